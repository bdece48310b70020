//! Reading the event log.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::Row as _;

use super::{Connection, Row};
use crate::domain::ids::CharacteristicId;
use crate::protocol::event::{EventHeader, EventKind, LoggedEvent};
use crate::store::StoreError;
use crate::store::log::LogPlace;
use crate::store::rows::{corrupt, id};

pub async fn page(
    connection: &mut Connection,
    after: u64,
    limit: u32,
) -> Result<Vec<Arc<LoggedEvent>>, StoreError> {
    let rows = sqlx::query(
        "SELECT seq, characteristic_id, revision, type, history, payload FROM events WHERE seq > $1 \
         ORDER BY seq LIMIT $2",
    )
    .bind(i64::try_from(after).unwrap_or(i64::MAX))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(event_from).collect()
}

/// Those about episodes that stand after one position and up to another.
pub async fn episode_events(
    connection: &mut Connection,
    (after, until): (u64, u64),
    limit: u32,
) -> Result<Vec<Arc<LoggedEvent>>, StoreError> {
    let rows = sqlx::query(
        "SELECT seq, characteristic_id, revision, type, history, payload FROM events \
         WHERE type = 'episode' AND seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3",
    )
    .bind(i64::try_from(after).unwrap_or(i64::MAX))
    .bind(i64::try_from(until).unwrap_or(i64::MAX))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(event_from).collect()
}

fn event_from(row: &Row) -> Result<Arc<LoggedEvent>, StoreError> {
    let seq: i64 = row.try_get("seq")?;
    let read = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
        let name: &str = row.try_get("type")?;
        let header = EventHeader {
            seq: seq as u64,
            characteristic_id: id(row.try_get("characteristic_id")?)?,
            revision: row.try_get::<i64, _>("revision")? as u64,
            kind: EventKind::from_name(name).ok_or_else(|| format!("unknown type {name}"))?,
            is_history: row.try_get("history")?,
        };
        Ok(Arc::new(LoggedEvent::new(header, row.try_get("payload")?)))
    };
    corrupt("events", seq, read())
}

/// Whose events stand after a position.
pub async fn characteristics_after(
    connection: &mut Connection,
    after: u64,
) -> Result<Vec<CharacteristicId>, StoreError> {
    // Bounded on both sides for PostgreSQL, as below: it is asked under the head's lock.
    let raw: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT characteristic_id FROM events WHERE seq > $1 AND seq <= (SELECT seq FROM log_head)",
    )
    .bind(i64::try_from(after).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    raw.into_iter().map(|raw| corrupt("events", raw, id(raw))).collect()
}

/// Epoch, head and floor of the log; a characteristic with its revision, if there is one.
type FirstRow = (String, i64, i64, Option<i64>, Option<i64>);

/// Of each characteristic that has events after a position, the revision of the first of them.
pub async fn first_revisions_after(
    connection: &mut Connection,
    after: u64,
) -> Result<(LogPlace, HashMap<CharacteristicId, u64>), StoreError> {
    // One statement, so that all of it is of one moment. Nothing stands beyond the head: that bound is for PostgreSQL,
    // which takes an open range of a table that it has no statistics of for a third of it, and reads all of it.
    let rows: Vec<FirstRow> = sqlx::query_as(
        "SELECT h.epoch, h.seq, h.floor, f.characteristic_id, f.revision FROM log_head h LEFT JOIN \
         (SELECT characteristic_id, MIN(revision) AS revision FROM events \
          WHERE seq > $1 AND seq <= (SELECT seq FROM log_head) GROUP BY characteristic_id) f ON TRUE",
    )
    .bind(i64::try_from(after).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    let (epoch, seq, floor, ..) = rows.first().cloned().ok_or(sqlx::Error::RowNotFound)?;
    let mut first_after = HashMap::with_capacity(rows.len());
    for (raw, revision) in rows.into_iter().filter_map(|(.., raw, revision)| raw.zip(revision)) {
        first_after.insert(corrupt("events", raw, id(raw))?, revision as u64);
    }
    Ok((LogPlace { epoch, seq: seq as u64, floor: floor as u64 }, first_after))
}

/// The newest revision of every characteristic, as of a position of the log.
pub async fn revisions(
    connection: &mut Connection,
) -> Result<(u64, Vec<(CharacteristicId, u64)>), StoreError> {
    // One statement, so that position and revisions belong together.
    let rows: Vec<(i64, Option<i64>, Option<i64>)> = sqlx::query_as(
        "SELECT h.seq, c.id, c.revision FROM log_head h LEFT JOIN characteristics c ON NOT c.deleted",
    )
    .fetch_all(connection)
    .await?;
    let seq = rows.first().map_or(0, |row| row.0 as u64);
    let known = rows
        .into_iter()
        .filter_map(|(_, id, revision)| Some((CharacteristicId::try_from(id?).ok()?, revision? as u64)));
    Ok((seq, known.collect()))
}
