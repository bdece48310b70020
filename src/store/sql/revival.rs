//! Trying deliveries again that are over, or before their time: each under its name, in its place.

use std::time::Duration;

use sqlx::QueryBuilder;

use super::ledger::{CHUNK, hold, make_oldest_due, micros};
use super::{Connection, Db, NOW, reminders};
use crate::domain::ids::DeliveryId;
use crate::store::StoreError;
use crate::store::ledger::Retried;
use crate::store::revival::Replay;
use crate::store::rows::{corrupt, id, name_of};

pub async fn retry(
    connection: &mut Connection,
    id: DeliveryId,
    useful_for: Duration,
) -> Result<Retried, StoreError> {
    hold(connection).await?;
    revive(connection, id, useful_for).await
}

/// Up to `limit` deliveries that are to be told anew, the oldest first.
pub async fn to_replay(
    connection: &mut Connection,
    replay: &Replay,
    limit: u32,
) -> Result<Vec<DeliveryId>, StoreError> {
    let mut select = QueryBuilder::<Db>::new(
        "SELECT d.id FROM notices n CROSS JOIN deliveries d WHERE d.seq = n.seq AND d.receiver = ",
    );
    select.push_bind(&replay.receiver);
    select.push(" AND n.at >= ").push_bind(replay.from.timestamp_micros());
    select.push(" AND n.at < ").push_bind(replay.to.timestamp_micros());
    select.push(" AND d.state IN (");
    let mut states = select.separated(", ");
    replay.states.iter().for_each(|state| {
        states.push_bind(name_of(state));
    });
    select.push(") ORDER BY d.id LIMIT ").push_bind(i64::from(limit));
    let ids: Vec<i64> = select.build_query_scalar().fetch_all(connection).await?;
    ids.into_iter().map(|row_id| corrupt("deliveries", row_id, id(row_id))).collect()
}

/// Revives these; gives how many of them are due, or next in line.
pub async fn revive_all(
    connection: &mut Connection,
    ids: &[DeliveryId],
    useful_for: Duration,
) -> Result<u64, StoreError> {
    debug_assert!(ids.len() <= CHUNK);
    hold(connection).await?;
    let mut due = 0;
    for id in ids {
        due += u64::from(revive(connection, *id, useful_for).await? == Retried::Due);
    }
    Ok(due)
}

async fn revive(
    connection: &mut Connection,
    id: DeliveryId,
    useful_for: Duration,
) -> Result<Retried, StoreError> {
    // What is told together with others is tried again with them, as long as that is not over.
    let select = "SELECT COALESCE(CASE WHEN ended_at IS NULL THEN digest END, id), state FROM deliveries WHERE id = $1";
    let found: Option<(i64, String)> =
        sqlx::query_as(select).bind(id.get()).fetch_optional(&mut *connection).await?;
    let Some((id, state)) = found else { return Ok(Retried::Unknown) };
    let update = format!(
        "UPDATE deliveries SET \
         state = CASE WHEN ended_at IS NULL AND state NOT IN ('leased', 'scheduled') THEN state ELSE 'pending' END, \
         digest = CASE WHEN ended_at IS NULL THEN digest END, \
         not_before = {NOW}, \
         due_at = NULL, useful_until = {NOW} + $1, ended_at = NULL, reason = NULL \
         WHERE id = $2 AND (state <> 'leased' OR due_at <= {NOW})"
    );
    let revived = sqlx::query(&update).bind(micros(useful_for)).bind(id).execute(&mut *connection).await?;
    if revived.rows_affected() == 0 {
        return Ok(Retried::Leased);
    }
    if state == "scheduled" {
        reminders::schedule(connection, &[id]).await?;
    }
    // Those after it wait behind it again; if one of them is just being tried, it waits for the end of that.
    let newer = "FROM deliveries r WHERE r.id = $1 AND deliveries.episode_id = r.episode_id \
        AND deliveries.receiver = r.receiver AND deliveries.recipient = r.recipient \
        AND deliveries.id > r.id AND deliveries.ended_at IS NULL AND deliveries.state <> 'scheduled'";
    let update = format!(
        "UPDATE deliveries SET due_at = NULL, \
         state = CASE WHEN deliveries.state = 'leased' THEN 'uncertain' ELSE deliveries.state END \
         {newer} AND (deliveries.state <> 'leased' OR deliveries.due_at <= {NOW})"
    );
    sqlx::query(&update).bind(id).execute(&mut *connection).await?;
    let select = "SELECT COUNT(*) FROM deliveries r JOIN deliveries w ON w.episode_id = r.episode_id \
        AND w.receiver = r.receiver AND w.recipient = r.recipient AND w.id > r.id AND w.ended_at IS NULL \
        AND w.state = 'leased' AND (w.digest IS NULL OR w.digest <> $1) WHERE r.id = $1";
    let being_tried: i64 = sqlx::query_scalar(select).bind(id).fetch_one(&mut *connection).await?;
    if being_tried == 0 {
        make_oldest_due(connection, [id].into_iter()).await?;
    }
    Ok(Retried::Due)
}
