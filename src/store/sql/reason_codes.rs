//! The reasons that operators choose from, in their order.

use super::Connection;
use crate::store::StoreError;

pub async fn all(connection: &mut Connection) -> Result<Vec<String>, StoreError> {
    let names = sqlx::query_scalar("SELECT name FROM reason_codes ORDER BY position").fetch_all(connection);
    Ok(names.await?)
}

pub async fn replace(connection: &mut Connection, names: &[String]) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM reason_codes").execute(&mut *connection).await?;
    for (position, name) in (1i64..).zip(names) {
        sqlx::query("INSERT INTO reason_codes (position, name) VALUES ($1, $2)")
            .bind(position)
            .bind(name)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
