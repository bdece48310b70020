//! The delivery ledger. Every time here is one of the database's clock, as of the statement.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::{QueryBuilder, Row as _};

use super::{Connection, Db, LEASING, LOCKING, NOW, Row};
use crate::domain::delivery::DeliveryState;
use crate::domain::ids::{DeliveryId, EpisodeId};
use crate::store::ledger::{
    AttemptRecord, Backlog, DeliveryFilter, DeliveryRecord, Finished, LeaseRequest, Leased, NewDelivery,
    NewNotice, NoticeRecord, Retried, Turn,
};
use crate::store::rows::{Cause, corrupt, count, from_name, from_optional_name, id, name_of, time};
use crate::store::{Page, Paged, StoreError};

/// Rows of one statement: far below the 32,766 values that SQLite takes.
const CHUNK: usize = 1_000;

const SELECT: &str = "SELECT d.id, d.seq, n.epoch, d.episode_id, n.characteristic_id, n.change, d.receiver, d.recipient, \
    d.step, d.state, d.reason, d.attempts, n.at AS created_at, d.due_at, d.useful_until, d.ended_at \
    FROM deliveries d JOIN notices n ON n.seq = d.seq";

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}

pub async fn cursor(connection: &mut Connection) -> Result<u64, StoreError> {
    let seq: i64 = sqlx::query_scalar("SELECT seq FROM notify_cursor").fetch_one(connection).await?;
    Ok(seq as u64)
}

pub async fn take(
    connection: &mut Connection,
    (from, to): (u64, u64),
    epoch: &str,
    notices: &[NewNotice],
) -> Result<bool, StoreError> {
    let select = format!("SELECT seq FROM notify_cursor{LOCKING}");
    let seq: i64 = sqlx::query_scalar(&select).fetch_one(&mut *connection).await?;
    if seq as u64 != from {
        return Ok(false);
    }
    for notices in notices.chunks(CHUNK) {
        let mut insert = QueryBuilder::<Db>::new(
            "INSERT INTO notices (seq, epoch, episode_id, characteristic_id, change, body, deliveries, at) ",
        );
        insert.push_values(notices, |mut row, notice| {
            row.push_bind(notice.seq as i64).push_bind(epoch).push_bind(notice.episode_id.get());
            row.push_bind(notice.characteristic_id.get()).push_bind(name_of(&notice.change));
            row.push_bind(notice.body.as_str()).push_bind(notice.deliveries.len() as i64).push(NOW);
        });
        insert.build().execute(&mut *connection).await?;
    }
    let of = |notice: &NewNotice, delivery: &NewDelivery| (notice.seq, notice.episode_id, delivery.clone());
    let deliveries: Vec<_> =
        notices.iter().flat_map(|n| n.deliveries.iter().map(move |d| of(n, d))).collect();
    for deliveries in deliveries.chunks(CHUNK) {
        let mut insert = QueryBuilder::<Db>::new(
            "INSERT INTO deliveries (seq, episode_id, receiver, recipient, step, state, attempts, due_at, useful_until) ",
        );
        insert.push_values(deliveries, |mut row, (seq, episode, delivery)| {
            row.push_bind(*seq as i64).push_bind(episode.get()).push_bind(delivery.receiver.as_str());
            row.push_bind(delivery.recipient.as_str()).push_bind(i64::from(delivery.step));
            row.push("'pending'").push("0").push(NOW);
            row.push(NOW).push_unseparated(" + ").push_bind_unseparated(micros(delivery.useful_for));
        });
        insert.build().execute(&mut *connection).await?;
    }
    sqlx::query("UPDATE notify_cursor SET seq = $1").bind(to as i64).execute(connection).await?;
    Ok(true)
}

pub async fn turn(
    connection: &mut Connection,
    receiver: &str,
    finished: &[Finished],
    wanted: LeaseRequest,
) -> Result<Turn, StoreError> {
    for finished in finished.chunks(CHUNK) {
        record(connection, finished).await?;
    }
    let leased = if wanted.count > 0 { lease(connection, receiver, wanted).await? } else { Vec::new() };
    let select = format!(
        "SELECT MIN(due_at) - {NOW} FROM deliveries WHERE receiver = $1 AND due_at IS NOT NULL AND due_at > {NOW}"
    );
    let next: Option<i64> = sqlx::query_scalar(&select).bind(receiver).fetch_one(connection).await?;
    Ok(Turn { leased, next_due_in: next.map(|micros| Duration::from_micros(micros.max(0) as u64)) })
}

/// Tells how attempts went. What is told of an attempt that is not the newest any more changes only that attempt.
async fn record(connection: &mut Connection, finished: &[Finished]) -> Result<(), StoreError> {
    let mut update = QueryBuilder::<Db>::new("WITH f (id, attempt, state, wait, reason) AS (");
    update.push_values(finished, |mut row, finished| {
        let state = finished.state();
        let wait = finished.retry_after.filter(|_| !state.is_over()).map(micros);
        let reason = finished.detail.as_deref().filter(|_| state == DeliveryState::Dead);
        row.push("CAST(").push_bind_unseparated(finished.id.get()).push_unseparated(" AS BIGINT)");
        row.push("CAST(").push_bind_unseparated(i64::from(finished.attempt)).push_unseparated(" AS BIGINT)");
        row.push("CAST(").push_bind_unseparated(name_of(&state)).push_unseparated(" AS TEXT)");
        row.push("CAST(").push_bind_unseparated(wait).push_unseparated(" AS BIGINT)");
        row.push("CAST(").push_bind_unseparated(reason).push_unseparated(" AS TEXT)");
    });
    let is_useless = format!("f.wait IS NOT NULL AND {NOW} + f.wait >= deliveries.useful_until");
    update.push(format!(
        ") UPDATE deliveries SET state = CASE WHEN {is_useless} THEN 'expired' ELSE f.state END, \
         due_at = CASE WHEN f.wait IS NULL OR {is_useless} THEN NULL ELSE {NOW} + f.wait END, \
         ended_at = CASE WHEN f.wait IS NULL OR {is_useless} THEN {NOW} ELSE NULL END, reason = f.reason \
         FROM f WHERE deliveries.id = f.id AND deliveries.attempts = f.attempt AND deliveries.state = 'leased'"
    ));
    update.build().execute(&mut *connection).await?;

    let mut update = QueryBuilder::<Db>::new("WITH f (id, attempt, outcome, duration, detail) AS (");
    update.push_values(finished, |mut row, finished| {
        row.push("CAST(").push_bind_unseparated(finished.id.get()).push_unseparated(" AS BIGINT)");
        row.push("CAST(").push_bind_unseparated(i64::from(finished.attempt)).push_unseparated(" AS BIGINT)");
        row.push("CAST(").push_bind_unseparated(name_of(&finished.outcome)).push_unseparated(" AS TEXT)");
        row.push("CAST(").push_bind_unseparated(micros(finished.duration)).push_unseparated(" AS BIGINT)");
        row.push("CAST(").push_bind_unseparated(finished.detail.as_deref()).push_unseparated(" AS TEXT)");
    });
    update.push(
        ") UPDATE delivery_attempts SET outcome = f.outcome, duration_micros = f.duration, detail = f.detail FROM f \
         WHERE delivery_id = f.id AND number = f.attempt AND delivery_attempts.outcome IS NULL",
    );
    update.build().execute(connection).await?;
    Ok(())
}

async fn lease(
    connection: &mut Connection,
    receiver: &str,
    wanted: LeaseRequest,
) -> Result<Vec<Leased>, StoreError> {
    let update = format!(
        "WITH due AS (SELECT d.id FROM deliveries d WHERE d.receiver = $2 AND d.due_at IS NOT NULL \
          AND d.due_at <= {NOW} AND d.useful_until > {NOW} AND NOT EXISTS (SELECT 1 FROM deliveries earlier \
            WHERE earlier.episode_id = d.episode_id AND earlier.receiver = d.receiver \
            AND earlier.recipient = d.recipient AND earlier.due_at IS NOT NULL AND earlier.id < d.id) \
          ORDER BY d.due_at, d.id LIMIT $3{LEASING}) \
         UPDATE deliveries SET state = 'leased', attempts = attempts + 1, due_at = {NOW} + $1 FROM due \
         WHERE deliveries.id = due.id RETURNING deliveries.id, deliveries.attempts"
    );
    let taken: Vec<(i64, i64)> = sqlx::query_as(&update)
        .bind(micros(wanted.lease))
        .bind(receiver)
        .bind(i64::from(wanted.count))
        .fetch_all(&mut *connection)
        .await?;
    if taken.is_empty() {
        return Ok(Vec::new());
    }
    let mut insert =
        QueryBuilder::<Db>::new("INSERT INTO delivery_attempts (delivery_id, number, started_at) ");
    insert.push_values(&taken, |mut row, (id, attempt)| {
        row.push_bind(*id).push_bind(*attempt).push(NOW);
    });
    insert.build().execute(&mut *connection).await?;
    let mut select = QueryBuilder::<Db>::new(
        "SELECT d.id, d.attempts, d.seq, n.epoch, d.recipient, d.step, n.body FROM deliveries d \
         JOIN notices n ON n.seq = d.seq WHERE d.id IN (",
    );
    let mut ids = select.separated(", ");
    for (id, _) in &taken {
        ids.push_bind(*id);
    }
    select.push(") ORDER BY d.id");
    select.build().fetch_all(connection).await?.iter().map(leased_from).collect()
}

fn leased_from(row: &Row) -> Result<Leased, StoreError> {
    let row_id: i64 = row.try_get("id")?;
    let read = || -> Result<_, Cause> {
        Ok(Leased {
            id: id(row_id)?,
            attempt: count(row.try_get("attempts")?)?,
            seq: row.try_get::<i64, _>("seq")? as u64,
            epoch: row.try_get("epoch")?,
            recipient: row.try_get("recipient")?,
            step: count(row.try_get("step")?)?,
            body: row.try_get::<&str, _>("body")?.into(),
        })
    };
    corrupt("deliveries", row_id, read())
}

pub async fn release(connection: &mut Connection) -> Result<(), StoreError> {
    let update =
        format!("UPDATE deliveries SET due_at = {NOW} WHERE state = 'leased' AND due_at IS NOT NULL");
    sqlx::query(&update).execute(connection).await?;
    Ok(())
}

/// What nobody may send any more: of no use, and not just being tried.
fn is_expired() -> String {
    format!("due_at IS NOT NULL AND due_at <= {NOW} AND useful_until <= {NOW}")
}

pub async fn has_expired(connection: &mut Connection) -> Result<bool, StoreError> {
    let select = format!("SELECT id FROM deliveries WHERE {} LIMIT 1", is_expired());
    let found: Option<i64> = sqlx::query_scalar(&select).fetch_optional(connection).await?;
    Ok(found.is_some())
}

pub async fn expire(connection: &mut Connection, limit: u32) -> Result<u64, StoreError> {
    let update = format!(
        "UPDATE deliveries SET state = 'expired', due_at = NULL, ended_at = {NOW} \
         WHERE id IN (SELECT id FROM deliveries WHERE {} LIMIT $1{LEASING})",
        is_expired()
    );
    Ok(sqlx::query(&update).bind(i64::from(limit)).execute(connection).await?.rows_affected())
}

pub async fn has_notices_older_than(connection: &mut Connection, kept: Duration) -> Result<bool, StoreError> {
    let select = format!("SELECT seq FROM notices WHERE at < {NOW} - $1 LIMIT 1");
    let found: Option<i64> =
        sqlx::query_scalar(&select).bind(micros(kept)).fetch_optional(connection).await?;
    Ok(found.is_some())
}

pub async fn remove(connection: &mut Connection, kept: Duration, limit: u32) -> Result<u64, StoreError> {
    let select = format!(
        "SELECT n.seq FROM notices n WHERE n.at < {NOW} - $1 AND NOT EXISTS (SELECT 1 FROM deliveries d \
         WHERE d.seq = n.seq AND d.due_at IS NOT NULL) ORDER BY n.at LIMIT $2"
    );
    let old: Vec<i64> = sqlx::query_scalar(&select)
        .bind(micros(kept))
        .bind(i64::from(limit))
        .fetch_all(&mut *connection)
        .await?;
    for (table, column) in [("deliveries", "seq"), ("notices", "seq")] {
        let mut delete = QueryBuilder::<Db>::new(format!("DELETE FROM {table} WHERE {column} IN "));
        super::push_ids(&mut delete, "(", old.iter().copied());
        delete.build().execute(&mut *connection).await?;
    }
    Ok(old.len() as u64)
}

pub async fn backlogs(connection: &mut Connection) -> Result<HashMap<String, Backlog>, StoreError> {
    let select = format!(
        "SELECT d.receiver, COUNT(*), {NOW} - MIN(n.at) FROM deliveries d JOIN notices n ON n.seq = d.seq \
         WHERE d.due_at IS NOT NULL GROUP BY d.receiver"
    );
    let rows: Vec<(String, i64, Option<i64>)> = sqlx::query_as(&select).fetch_all(connection).await?;
    let backlog = |(receiver, waiting, age): (_, i64, Option<i64>)| {
        let oldest_age = age.map(|micros| Duration::from_micros(micros.max(0) as u64));
        (receiver, Backlog { waiting: waiting as u64, oldest_age })
    };
    Ok(rows.into_iter().map(backlog).collect())
}

pub async fn retry(
    connection: &mut Connection,
    id: DeliveryId,
    useful_for: Duration,
) -> Result<Retried, StoreError> {
    let update = format!(
        "UPDATE deliveries SET state = CASE WHEN due_at IS NULL THEN 'pending' ELSE state END, due_at = {NOW}, \
         useful_until = {NOW} + $1, ended_at = NULL, reason = NULL WHERE id = $2 AND state <> 'leased'"
    );
    let updated =
        sqlx::query(&update).bind(micros(useful_for)).bind(id.get()).execute(&mut *connection).await?;
    if updated.rows_affected() > 0 {
        return Ok(Retried::Due);
    }
    let known: Option<i64> = sqlx::query_scalar("SELECT id FROM deliveries WHERE id = $1")
        .bind(id.get())
        .fetch_optional(connection)
        .await?;
    Ok(if known.is_some() { Retried::Leased } else { Retried::Unknown })
}

pub async fn one(
    connection: &mut Connection,
    id: DeliveryId,
) -> Result<Option<(DeliveryRecord, Vec<AttemptRecord>)>, StoreError> {
    let select = format!("{SELECT} WHERE d.id = $1");
    let Some(row) = sqlx::query(&select).bind(id.get()).fetch_optional(&mut *connection).await? else {
        return Ok(None);
    };
    let attempts = sqlx::query(
        "SELECT delivery_id, number, started_at, duration_micros, outcome, detail FROM delivery_attempts \
         WHERE delivery_id = $1 ORDER BY number",
    )
    .bind(id.get())
    .fetch_all(connection)
    .await?;
    let attempts = attempts.iter().map(attempt_from).collect::<Result<_, _>>()?;
    Ok(Some((delivery_from(&row)?, attempts)))
}

pub async fn page(
    connection: &mut Connection,
    filter: &DeliveryFilter,
    page: Page,
) -> Result<Paged<DeliveryRecord>, StoreError> {
    let mut count =
        QueryBuilder::<Db>::new("SELECT COUNT(*) FROM deliveries d JOIN notices n ON n.seq = d.seq");
    push_filter(&mut count, filter);
    let total: i64 = count.build_query_scalar().fetch_one(&mut *connection).await?;
    let mut select = QueryBuilder::<Db>::new(SELECT);
    push_filter(&mut select, filter);
    select.push(" ORDER BY d.id DESC LIMIT ").push_bind(i64::from(page.limit));
    select.push(" OFFSET ").push_bind(page.offset as i64);
    let rows = select.build().fetch_all(connection).await?;
    let items = rows.iter().map(delivery_from).collect::<Result<_, _>>()?;
    Ok(Paged { items, total: total as u64 })
}

fn push_filter(query: &mut QueryBuilder<Db>, filter: &DeliveryFilter) {
    query.push(" WHERE 1 = 1");
    if let Some(receiver) = &filter.receiver {
        query.push(" AND d.receiver = ").push_bind(super::sought(receiver));
    }
    if let Some(state) = &filter.state {
        query.push(" AND d.state = ").push_bind(name_of(state));
    }
    if let Some(id) = filter.episode_id {
        query.push(" AND d.episode_id = ").push_bind(id.get());
    }
    if let Some(id) = filter.characteristic_id {
        query.push(" AND n.characteristic_id = ").push_bind(id.get());
    }
    if let Some(from) = filter.from {
        query.push(" AND n.at >= ").push_bind(from.timestamp_micros());
    }
    if let Some(to) = filter.to {
        query.push(" AND n.at < ").push_bind(to.timestamp_micros());
    }
    if let Some(seq) = filter.after_seq {
        query.push(" AND d.seq > ").push_bind(seq as i64);
    }
}

pub async fn notices_of(
    connection: &mut Connection,
    id: EpisodeId,
    limit: u32,
) -> Result<Vec<NoticeRecord>, StoreError> {
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(
        "SELECT seq, change, at FROM notices WHERE episode_id = $1 ORDER BY seq DESC LIMIT $2",
    )
    .bind(id.get())
    .bind(i64::from(limit))
    .fetch_all(&mut *connection)
    .await?;
    let mut select = QueryBuilder::<Db>::new(SELECT);
    select.push(" WHERE d.seq IN ");
    super::push_ids(&mut select, "(", rows.iter().map(|(seq, ..)| *seq));
    select.push(" ORDER BY d.id");
    let mut deliveries: HashMap<u64, Vec<DeliveryRecord>> = HashMap::new();
    for row in select.build().fetch_all(connection).await? {
        let delivery = delivery_from(&row)?;
        deliveries.entry(delivery.seq).or_default().push(delivery);
    }
    let notice = |(seq, change, at): (i64, String, i64)| {
        let deliveries = deliveries.remove(&(seq as u64)).unwrap_or_default();
        let read = || -> Result<_, Cause> {
            Ok(NoticeRecord { seq: seq as u64, change: from_name(&change)?, at: time(at)?, deliveries })
        };
        corrupt("notices", seq, read())
    };
    rows.into_iter().rev().map(notice).collect()
}

fn delivery_from(row: &Row) -> Result<DeliveryRecord, StoreError> {
    let row_id: i64 = row.try_get("id")?;
    let read = || -> Result<_, Cause> {
        let maybe_time = |column| row.try_get::<Option<i64>, _>(column)?.map(time).transpose();
        Ok(DeliveryRecord {
            id: id(row_id)?,
            seq: row.try_get::<i64, _>("seq")? as u64,
            epoch: row.try_get("epoch")?,
            episode_id: id(row.try_get("episode_id")?)?,
            characteristic_id: id(row.try_get("characteristic_id")?)?,
            change: from_name(row.try_get("change")?)?,
            receiver: row.try_get("receiver")?,
            recipient: row.try_get("recipient")?,
            step: count(row.try_get("step")?)?,
            state: from_name(row.try_get("state")?)?,
            reason: row.try_get("reason")?,
            attempts: count(row.try_get("attempts")?)?,
            created_at: time(row.try_get("created_at")?)?,
            due_at: maybe_time("due_at")?,
            useful_until: time(row.try_get("useful_until")?)?,
            ended_at: maybe_time("ended_at")?,
        })
    };
    corrupt("deliveries", row_id, read())
}

fn attempt_from(row: &Row) -> Result<AttemptRecord, StoreError> {
    let row_id: i64 = row.try_get("delivery_id")?;
    let read = || -> Result<_, Cause> {
        let duration: Option<i64> = row.try_get("duration_micros")?;
        Ok(AttemptRecord {
            number: count(row.try_get("number")?)?,
            started_at: time(row.try_get("started_at")?)?,
            duration: duration.map(|micros| Duration::from_micros(micros.max(0) as u64)),
            outcome: from_optional_name(row.try_get("outcome")?)?,
            detail: row.try_get("detail")?,
        })
    };
    corrupt("delivery_attempts", row_id, read())
}
