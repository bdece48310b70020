//! The reasons that operators choose from, in their order.

use crate::store::{Store, StoreError, Transaction};

impl Store {
    /// The list.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reason_codes(&self) -> Result<Vec<String>, StoreError> {
        let names = sqlx::query_scalar("SELECT name FROM reason_codes ORDER BY position")
            .fetch_all(&self.readers)
            .await?;
        Ok(names)
    }
}

impl Transaction {
    /// Replaces the list.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn replace_reason_codes(&mut self, names: &[String]) -> Result<(), StoreError> {
        self.touch();
        let written = self.write_reason_codes(names).await;
        self.note(written)
    }

    async fn write_reason_codes(&mut self, names: &[String]) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM reason_codes").execute(self.connection()).await?;
        for (position, name) in (1i64..).zip(names) {
            sqlx::query("INSERT INTO reason_codes (position, name) VALUES (?, ?)")
                .bind(position)
                .bind(name)
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }
}
