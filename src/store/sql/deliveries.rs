//! Deliveries and notices as people look at them.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::{QueryBuilder, Row as _};

use super::{Connection, Db, NOW, Row};
use crate::domain::ids::{DeliveryId, EpisodeId};
use crate::store::ledger::{AttemptRecord, Backlog, DeliveryFilter, DeliveryRecord, NoticeRecord};
use crate::store::rows::{Cause, corrupt, count, from_name, from_optional_name, id, name_of, time};
use crate::store::{Page, Paged, StoreError};

const SELECT: &str = "SELECT d.id, d.seq, n.epoch, d.episode_id, n.characteristic_id, n.change, d.receiver, d.recipient, \
    d.step, d.reminder, d.silence_id, d.digest, d.state, d.reason, d.attempts, n.at AS created_at, \
    CASE WHEN d.state = 'scheduled' THEN d.not_before ELSE d.due_at END AS due_at, d.useful_until, d.ended_at \
    FROM deliveries d JOIN notices n ON n.seq = d.seq";

pub async fn backlogs(connection: &mut Connection) -> Result<HashMap<String, Backlog>, StoreError> {
    let select = format!(
        "SELECT d.receiver, COUNT(*), {NOW} - MIN(COALESCE(d.not_before, n.at)) \
         FROM deliveries d JOIN notices n ON n.seq = d.seq \
         WHERE d.ended_at IS NULL AND d.state <> 'scheduled' GROUP BY d.receiver"
    );
    let rows: Vec<(String, i64, Option<i64>)> = sqlx::query_as(&select).fetch_all(connection).await?;
    let backlog = |(receiver, waiting, age): (_, i64, Option<i64>)| {
        let oldest_age = age.map(|micros| Duration::from_micros(micros.max(0) as u64));
        (receiver, Backlog { waiting: waiting as u64, oldest_age })
    };
    Ok(rows.into_iter().map(backlog).collect())
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
         WHERE delivery_id = (SELECT COALESCE(digest, id) FROM deliveries WHERE id = $1) ORDER BY number",
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
    // The join costs more than the count, where it is not needed.
    let joined = if is_about_notices(filter) { " JOIN notices n ON n.seq = d.seq" } else { "" };
    let mut count = QueryBuilder::<Db>::new(format!("SELECT COUNT(*) FROM deliveries d{joined}"));
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

fn is_about_notices(filter: &DeliveryFilter) -> bool {
    let DeliveryFilter { receiver: _, state: _, episode_id, characteristic_id, from, to, after_seq: _ } =
        filter;
    episode_id.is_some() || characteristic_id.is_some() || from.is_some() || to.is_some()
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
        query.push(" AND n.episode_id = ").push_bind(id.get());
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
    let rows: Vec<(i64, String, i64, Option<String>)> = sqlx::query_as(
        "SELECT seq, change, at, routes FROM notices WHERE episode_id = $1 ORDER BY seq DESC LIMIT $2",
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
    let notice = |(seq, change, at, routes): (i64, String, i64, Option<String>)| {
        let deliveries = deliveries.remove(&(seq as u64)).unwrap_or_default();
        let read = || -> Result<_, Cause> {
            let routes = routes.map_or(Ok(Vec::new()), |routes| serde_json::from_str(&routes))?;
            Ok(NoticeRecord {
                seq: seq as u64,
                change: from_name(&change)?,
                at: time(at)?,
                routes,
                deliveries,
            })
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
            reminder: count(row.try_get("reminder")?)?,
            silence_id: row.try_get::<Option<i64>, _>("silence_id")?.map(id).transpose()?,
            digest_id: row.try_get::<Option<i64>, _>("digest")?.map(id).transpose()?,
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
