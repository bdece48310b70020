//! Answers that are kept for requests which may come again.

use sqlx::{QueryBuilder, Row as _};

use super::{Connection, Db};
use crate::store::idempotency::{KeptAnswer, RequestKey};
use crate::store::{StoreError, rows::corrupt};

pub async fn find(
    connection: &mut Connection,
    request: &RequestKey,
) -> Result<Option<KeptAnswer>, StoreError> {
    let row = sqlx::query(
        "SELECT body_hash, status, answer FROM idempotency WHERE scope = $1 AND key = $2 AND part = $3",
    )
    .bind(&request.scope)
    .bind(&request.key)
    .bind(i64::from(request.part))
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let status: i64 = row.try_get("status")?;
    let status = corrupt("idempotency", status, u16::try_from(status).map_err(Into::into))?;
    Ok(Some(KeptAnswer { body_hash: row.try_get("body_hash")?, status, answer: row.try_get("answer")? }))
}

pub async fn keep(
    connection: &mut Connection,
    request: &RequestKey,
    kept: &KeptAnswer,
    at_micros: i64,
) -> Result<(), StoreError> {
    let mut insert = QueryBuilder::<Db>::new(
        "INSERT INTO idempotency (scope, key, part, body_hash, status, answer, at) VALUES (",
    );
    let mut values = insert.separated(", ");
    values.push_bind(request.scope.clone()).push_bind(request.key.clone()).push_bind(i64::from(request.part));
    values.push_bind(kept.body_hash.clone()).push_bind(i64::from(kept.status)).push_bind(kept.answer.clone());
    values.push_bind(at_micros);
    insert.push(")");
    insert.build().execute(connection).await?;
    Ok(())
}
