//! What is removed when its time is over: each function takes a few rows of one kind, oldest first.
//!
//! Reading tells whether there is anything to do, so that nothing is written where nothing is due.

use super::Connection;
use crate::domain::ids::{CharacteristicId, SampleId};
use crate::domain::rules::MAX_WINDOW;
use crate::store::rows::{corrupt, id};
use crate::store::{RemovedOf, StoreError};

/// The newest samples of a characteristic that stay, excluded ones not counted: four of the longest windows, so that the
/// next verdict has a whole window even after many of them were excluded, and an exclusion finds what it judges again.
const KEPT_SAMPLES: i64 = 4 * MAX_WINDOW as i64;

/// The position of the newest of the oldest `limit` events, as far as they are older than a time without a break, and
/// none is an episode's that the dispatcher has not taken yet.
pub async fn log_until(
    connection: &mut Connection,
    before_micros: i64,
    limit: u32,
) -> Result<Option<u64>, StoreError> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT seq, at FROM events WHERE seq > (SELECT floor FROM log_head) AND seq < COALESCE(\
           (SELECT MIN(seq) FROM events WHERE type = 'episode' AND seq > (SELECT seq FROM notify_cursor)), \
           (SELECT seq + 1 FROM log_head)) ORDER BY seq LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    let old = rows.iter().take_while(|(_, at)| *at < before_micros);
    Ok(old.last().map(|(seq, _)| *seq as u64))
}

pub async fn remove_log_until(connection: &mut Connection, seq: u64) -> Result<u64, StoreError> {
    let removed =
        sqlx::query("DELETE FROM events WHERE seq <= $1").bind(seq as i64).execute(connection).await?;
    Ok(removed.rows_affected())
}

pub async fn has_answers_before(connection: &mut Connection, before_micros: i64) -> Result<bool, StoreError> {
    let found: Option<i64> = sqlx::query_scalar("SELECT at FROM idempotency WHERE at < $1 LIMIT 1")
        .bind(before_micros)
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

pub async fn remove_answers(
    connection: &mut Connection,
    before_micros: i64,
    limit: u32,
) -> Result<u64, StoreError> {
    let removed = sqlx::query(
        "DELETE FROM idempotency WHERE (scope, key, part) IN \
         (SELECT scope, key, part FROM idempotency WHERE at < $1 ORDER BY at LIMIT $2)",
    )
    .bind(before_micros)
    .bind(i64::from(limit))
    .execute(connection)
    .await?;
    Ok(removed.rows_affected())
}

/// The id of the first sample that came at or after a time; samples come in the order of their ids.
pub async fn first_sample_since(connection: &mut Connection, at_micros: i64) -> Result<i64, StoreError> {
    let next: i64 =
        sqlx::query_scalar("SELECT next_sample_id FROM log_head").fetch_one(&mut *connection).await?;
    let (mut low, mut high) = (1, next);
    while low < high {
        let middle = low + (high - low) / 2;
        let came: Option<i64> =
            sqlx::query_scalar("SELECT received_at FROM samples WHERE id >= $1 ORDER BY id LIMIT 1")
                .bind(middle)
                .fetch_optional(&mut *connection)
                .await?;
        if came.is_some_and(|came| came < at_micros) { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

/// Up to `limit` characteristics after one that have samples before an id.
pub async fn with_samples_before(
    connection: &mut Connection,
    after: Option<CharacteristicId>,
    horizon: i64,
    limit: u32,
) -> Result<Vec<CharacteristicId>, StoreError> {
    let raw: Vec<i64> = sqlx::query_scalar(
        "SELECT c.id FROM characteristics c WHERE c.id > $1 AND NOT c.deleted \
         AND (SELECT min(s.id) FROM samples s WHERE s.characteristic_id = c.id) < $2 ORDER BY c.id LIMIT $3",
    )
    .bind(after.map_or(0, CharacteristicId::get))
    .bind(horizon)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    raw.into_iter().map(|raw| corrupt("characteristics", raw, id(raw))).collect()
}

/// Samples of characteristic `$1` from `$2` to before `$3` that nothing needs any more. Kept are:
/// the newest one, and the newest that was judged (what is shown, and the alarm state); of those that count, the
/// newest [`KEPT_SAMPLES`] with what is excluded among them, the baseline of the limits in force, and
/// everything collected for limits that are not there yet.
const REMOVABLE: &str = "SELECT s.id FROM samples s JOIN characteristics c ON c.id = s.characteristic_id \
    LEFT JOIN control_limits l ON l.id = c.limits_id \
    WHERE s.characteristic_id = $1 AND s.id >= $2 AND s.id < $3 \
    AND s.id < (SELECT max(n.id) FROM samples n WHERE n.characteristic_id = $1) \
    AND s.id <> coalesce((SELECT max(j.id) FROM samples j WHERE j.characteristic_id = $1 \
        AND j.in_control IS NOT NULL AND NOT j.is_excluded), 0) \
    AND (s.mode = 'store' OR s.source IS NOT NULL OR ( \
        s.id < coalesce((SELECT min(w.id) FROM (SELECT k.id FROM samples k WHERE k.characteristic_id = $1 \
            AND NOT k.is_excluded AND k.mode <> 'store' AND k.source IS NULL ORDER BY k.id DESC LIMIT $4) w), 0) \
        AND NOT (c.limits_id IS NULL AND s.id >= c.phase_from) \
        AND NOT (s.id >= coalesce(l.first_sample_id, 1) AND s.id <= coalesce(l.last_sample_id, 0)))) \
    ORDER BY s.id LIMIT $5";

/// The first and the last of the oldest `limit` samples from one id to before another that can go.
pub async fn removable_samples(
    connection: &mut Connection,
    of: CharacteristicId,
    (from, horizon): (i64, i64),
    limit: u32,
) -> Result<Option<(SampleId, SampleId)>, StoreError> {
    let raw: Vec<i64> = sqlx::query_scalar(REMOVABLE)
        .bind(of.get())
        .bind(from)
        .bind(horizon)
        .bind(KEPT_SAMPLES)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    let (Some(&first), Some(&last)) = (raw.first(), raw.last()) else { return Ok(None) };
    Ok(Some((corrupt("samples", first, id(first))?, corrupt("samples", last, id(last))?)))
}

/// Asks again, under the lock: limits or an exclusion may have come in between.
pub async fn remove_samples(
    connection: &mut Connection,
    of: CharacteristicId,
    (from, to): (SampleId, SampleId),
    limit: u32,
) -> Result<u64, StoreError> {
    let delete = format!("DELETE FROM samples WHERE id IN ({REMOVABLE})");
    let removed = sqlx::query(&delete)
        .bind(of.get())
        .bind(from.get())
        .bind(to.get() + 1)
        .bind(KEPT_SAMPLES)
        .bind(i64::from(limit))
        .execute(connection)
        .await?;
    Ok(removed.rows_affected())
}

/// One that is marked as deleted.
pub async fn deleted_characteristic(
    connection: &mut Connection,
) -> Result<Option<CharacteristicId>, StoreError> {
    let raw: Option<i64> =
        sqlx::query_scalar("SELECT id FROM characteristics WHERE deleted ORDER BY id LIMIT 1")
            .fetch_optional(connection)
            .await?;
    raw.map(|raw| corrupt("characteristics", raw, id(raw))).transpose()
}

/// Removes up to `limit` rows of a characteristic that is marked as deleted; the row itself goes last.
pub async fn remove_deleted(
    connection: &mut Connection,
    of: CharacteristicId,
    limit: u32,
) -> Result<RemovedOf, StoreError> {
    let mut removed = RemovedOf::default();
    let is_deleted: Option<bool> = sqlx::query_scalar("SELECT deleted FROM characteristics WHERE id = $1")
        .bind(of.get())
        .fetch_optional(&mut *connection)
        .await?;
    if is_deleted != Some(true) {
        return Ok(removed);
    }
    let mut left = i64::from(limit);
    removed.samples = remove_rows_of(connection, "samples", of, left).await?;
    left -= removed.samples as i64;
    if left > 0 {
        removed.violations = remove_rows_of(connection, "violations", of, left).await?;
        left -= removed.violations as i64;
    }
    if left > 0 {
        removed.episodes = remove_rows_of(connection, "episodes", of, left).await?;
        left -= removed.episodes as i64;
    }
    if left <= 0 {
        return Ok(removed);
    }
    sqlx::query("UPDATE characteristics SET limits_id = NULL WHERE id = $1")
        .bind(of.get())
        .execute(&mut *connection)
        .await?;
    removed.limits = remove_rows_of(connection, "control_limits", of, left).await?;
    if removed.limits as i64 == left {
        return Ok(removed); // there may be more
    }
    let done =
        sqlx::query("DELETE FROM characteristics WHERE id = $1").bind(of.get()).execute(connection).await?;
    removed.characteristics = done.rows_affected();
    Ok(removed)
}

/// Removes the oldest `limit` rows of a characteristic from a table.
async fn remove_rows_of(
    connection: &mut Connection,
    table: &'static str,
    of: CharacteristicId,
    limit: i64,
) -> Result<u64, StoreError> {
    let delete = format!(
        "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE characteristic_id = $1 ORDER BY id LIMIT $2)"
    );
    let removed = sqlx::query(&delete).bind(of.get()).bind(limit).execute(connection).await?;
    Ok(removed.rows_affected())
}
