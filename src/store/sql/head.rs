//! The one row of `log_head`.

use super::Connection;
use crate::store::{LogHead, StoreError};

pub const COLUMNS: &str = "epoch, seq, floor, next_characteristic_id, next_limits_id, next_sample_id, \
    next_violation_id, next_episode_id, last_batch";

pub async fn create_if_missing(connection: &mut Connection) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO log_head (one, epoch, seq, floor, next_characteristic_id, next_limits_id, \
         next_sample_id, next_violation_id, next_episode_id, last_batch) VALUES (1, $1, 0, 0, 1, 1, 1, 1, 1, '') \
         ON CONFLICT (one) DO NOTHING",
    )
    .bind(LogHead::new_epoch())
    .execute(connection)
    .await?;
    Ok(())
}

pub async fn read(connection: &mut Connection) -> Result<LogHead, StoreError> {
    let select = format!("SELECT {COLUMNS} FROM log_head");
    Ok(sqlx::query_as(&select).fetch_one(connection).await?)
}

pub async fn write(connection: &mut Connection, head: &LogHead) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE log_head SET epoch = $1, seq = $2, floor = $3, next_characteristic_id = $4, next_limits_id = $5, \
         next_sample_id = $6, next_violation_id = $7, next_episode_id = $8, last_batch = $9",
    )
    .bind(&head.epoch)
    .bind(head.seq as i64)
    .bind(head.floor as i64)
    .bind(head.next_characteristic_id)
    .bind(head.next_limits_id)
    .bind(head.next_sample_id)
    .bind(head.next_violation_id)
    .bind(head.next_episode_id)
    .bind(&head.last_batch)
    .execute(connection)
    .await?;
    Ok(())
}
