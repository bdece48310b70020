//! Silences, and what they hold back in the delivery ledger.
//!
//! What is held back is scheduled for the end of the silence, so that an answer meanwhile supersedes it as it does a step
//! of an escalation. Whoever was told nothing of an episode does not hear of its answer, nor of its end.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{QueryBuilder, Row as _};

use super::ledger::{HEARD, hold, make_oldest_due, micros};
use super::{Connection, Db, NOW, Row, push_ids};
use crate::domain::ids::SilenceId;
use crate::domain::silence::{Silence, Silenced};
use crate::store::ledger::NewNotice;
use crate::store::rows::{Cause, corrupt, from_optional_name, id, name_of, time};
use crate::store::silences::NewSilence;
use crate::store::{Page, Paged, StoreError};

const SELECT: &str = "SELECT id, characteristic_ids, groups, tags, receivers, max_severity, reason, author, created_at, \
    ends_at, ended_by FROM silences";

fn list<T: Serialize>(list: &[T]) -> String {
    serde_json::to_string(list).expect("texts and numbers encode")
}

pub async fn begin(
    connection: &mut Connection,
    new: &NewSilence,
    most: u32,
) -> Result<Option<Silence>, StoreError> {
    hold(connection).await?; // one after the other, so that there are no more than may be
    let select = format!("SELECT COUNT(*) FROM silences WHERE ends_at > {NOW}");
    let in_force: i64 = sqlx::query_scalar(&select).fetch_one(&mut *connection).await?;
    if in_force >= i64::from(most) {
        return Ok(None);
    }
    let Silenced { characteristic_ids, groups, tags, receivers, max_severity } = &new.silenced;
    let insert = format!(
        "INSERT INTO silences (characteristic_ids, groups, tags, receivers, max_severity, reason, author, created_at, \
         ends_at) VALUES ($1, $2, $3, $4, $5, $6, $7, {NOW}, $8) RETURNING id"
    );
    let begun: i64 = sqlx::query_scalar(&insert)
        .bind(list(characteristic_ids))
        .bind(list(groups))
        .bind(list(tags))
        .bind(list(receivers))
        .bind(max_severity.as_ref().map(name_of))
        .bind(&new.reason)
        .bind(&new.author)
        .bind(new.ends_at.timestamp_micros())
        .fetch_one(&mut *connection)
        .await?;
    row(connection, begun).await
}

pub async fn end(
    connection: &mut Connection,
    id: SilenceId,
    by: &str,
) -> Result<Option<Silence>, StoreError> {
    hold(connection).await?;
    // Escalations begin as long after the end as they would have.
    let update = format!(
        "UPDATE deliveries SET not_before = not_before - (s.ends_at - {NOW}), \
         useful_until = useful_until - (s.ends_at - {NOW}) FROM silences s \
         WHERE s.id = $1 AND s.ends_at > {NOW} AND deliveries.silence_id = s.id AND deliveries.state = 'scheduled' \
         AND deliveries.not_before >= s.ends_at"
    );
    sqlx::query(&update).bind(id.get()).execute(&mut *connection).await?;
    let update =
        format!("UPDATE silences SET ends_at = {NOW}, ended_by = $1 WHERE id = $2 AND ends_at > {NOW}");
    sqlx::query(&update).bind(by).bind(id.get()).execute(&mut *connection).await?;
    row(connection, id.get()).await
}

pub async fn one(connection: &mut Connection, id: SilenceId) -> Result<Option<Silence>, StoreError> {
    row(connection, id.get()).await
}

async fn row(connection: &mut Connection, id: i64) -> Result<Option<Silence>, StoreError> {
    let found = sqlx::query(&format!("{SELECT} WHERE id = $1")).bind(id).fetch_optional(connection).await?;
    found.as_ref().map(silence_from).transpose()
}

pub async fn page(
    connection: &mut Connection,
    in_force: Option<bool>,
    page: Page,
) -> Result<Paged<Silence>, StoreError> {
    let wanted = match in_force {
        None => String::new(),
        Some(true) => format!(" WHERE ends_at > {NOW}"),
        Some(false) => format!(" WHERE ends_at <= {NOW}"),
    };
    let count = format!("SELECT COUNT(*) FROM silences{wanted}");
    let total: i64 = sqlx::query_scalar(&count).fetch_one(&mut *connection).await?;
    let select = format!("{SELECT}{wanted} ORDER BY id DESC LIMIT $1 OFFSET $2");
    let query = sqlx::query(&select).bind(i64::from(page.limit)).bind(page.offset as i64);
    let rows = query.fetch_all(connection).await?;
    let items = rows.iter().map(silence_from).collect::<Result<_, _>>()?;
    Ok(Paged { items, total: total as u64 })
}

pub async fn in_force(connection: &mut Connection) -> Result<Vec<Silence>, StoreError> {
    let select = format!("{SELECT} WHERE ends_at > {NOW} ORDER BY ends_at DESC, id");
    let rows = sqlx::query(&select).fetch_all(connection).await?;
    rows.iter().map(silence_from).collect()
}

pub async fn has_older_than(connection: &mut Connection, kept: Duration) -> Result<bool, StoreError> {
    let select = format!("SELECT id FROM silences WHERE ends_at < {NOW} - $1 LIMIT 1");
    let found: Option<i64> =
        sqlx::query_scalar(&select).bind(micros(kept)).fetch_optional(connection).await?;
    Ok(found.is_some())
}

pub async fn remove(connection: &mut Connection, kept: Duration) -> Result<u64, StoreError> {
    let delete = format!("DELETE FROM silences WHERE ends_at < {NOW} - $1");
    Ok(sqlx::query(&delete).bind(micros(kept)).execute(connection).await?.rows_affected())
}

/// When these end, as it is now: one that holds something back may have been ended meanwhile. The caller holds the order.
pub(super) async fn ends(
    connection: &mut Connection,
    silences: impl Iterator<Item = SilenceId>,
) -> Result<HashMap<i64, i64>, StoreError> {
    let ids: BTreeSet<_> = silences.map(SilenceId::get).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut select = QueryBuilder::<Db>::new("SELECT id, ends_at FROM silences WHERE id IN ");
    push_ids(&mut select, "(", ids.into_iter());
    let ends: Vec<(i64, i64)> = select.build_query_as().fetch_all(connection).await?;
    Ok(ends.into_iter().collect())
}

/// Answers and ends of episodes do not go to whom a silence has kept from hearing of the episode. Returns how many.
pub(super) async fn suppress_answers(
    connection: &mut Connection,
    answers: &[&NewNotice],
) -> Result<u64, StoreError> {
    let before = "SELECT 1 FROM notices n JOIN deliveries o ON o.seq = n.seq AND o.receiver = deliveries.receiver \
        AND o.recipient = deliveries.recipient WHERE n.episode_id = deliveries.episode_id AND n.seq < deliveries.seq \
        AND n.change NOT IN ('acknowledged', 'closed')";
    let mut update = QueryBuilder::<Db>::new(format!(
        "UPDATE deliveries SET state = 'suppressed', due_at = NULL, ended_at = {NOW}, \
         reason = 'a silence: nobody there has heard of the episode' \
         WHERE ended_at IS NULL AND attempts = 0 AND state <> 'scheduled' \
         AND EXISTS ({before} AND o.silence_id IS NOT NULL) AND NOT EXISTS ({before} AND {HEARD}) AND seq IN "
    ));
    push_ids(&mut update, "(", answers.iter().map(|notice| notice.seq as i64));
    update.push(" RETURNING id");
    let ids: Vec<i64> = update.build_query_scalar().fetch_all(&mut *connection).await?;
    if !ids.is_empty() {
        make_oldest_due(connection, ids.iter().copied()).await?;
    }
    Ok(ids.len() as u64)
}

fn silence_from(row: &Row) -> Result<Silence, StoreError> {
    fn read<T: DeserializeOwned>(row: &Row, column: &str) -> Result<Vec<T>, Cause> {
        Ok(serde_json::from_str(row.try_get(column)?)?)
    }
    let row_id: i64 = row.try_get("id")?;
    let silence = || -> Result<_, Cause> {
        Ok(Silence {
            id: id(row_id)?,
            silenced: Silenced {
                characteristic_ids: read(row, "characteristic_ids")?,
                groups: read(row, "groups")?,
                tags: read(row, "tags")?,
                receivers: read(row, "receivers")?,
                max_severity: from_optional_name(row.try_get("max_severity")?)?,
            },
            reason: row.try_get("reason")?,
            author: row.try_get("author")?,
            created_at: time(row.try_get("created_at")?)?,
            ends_at: time(row.try_get("ends_at")?)?,
            ended_by: row.try_get("ended_by")?,
        })
    };
    corrupt("silences", row_id, silence())
}
