//! Writing the delivery ledger. Every time here is one of the database's clock, as of the statement.
//!
//! Of the deliveries about one episode to one recipient only the oldest that is not over has a time at which it is due;
//! the others wait behind it, and the next one is due when it ends. So a lease looks at what can be leased and at
//! nothing else, however long the others wait.
//!
//! Who puts a delivery behind another must not miss that the other one just ends, and the other way round. So whoever
//! begins, ends or revives deliveries holds the cursor's row; who only leases does not.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::{QueryBuilder, Row as _};
use tracing::trace;

use super::{Connection, Db, LEASING, LOCKING, NOW, Row, digests, escalation, push_ids, reminders, silences};
use crate::domain::delivery::DeliveryState;
use crate::domain::ids::{DeliveryId, EpisodeId};
use crate::store::StoreError;
use crate::store::ledger::{Finished, LeaseRequest, Leased, NewDelivery, NewNotice, Suppressed, Turn};
use crate::store::rows::{Cause, corrupt, count, id, name_of};

/// Rows of one statement: far below the 32,766 values that SQLite takes.
pub(super) const CHUNK: usize = 1_000;

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}

pub async fn cursor(connection: &mut Connection) -> Result<u64, StoreError> {
    let seq: i64 = sqlx::query_scalar("SELECT seq FROM notify_cursor").fetch_one(connection).await?;
    Ok(seq as u64)
}

/// Holds the order of deliveries until the end of the transaction; gives the cursor.
pub(super) async fn hold(connection: &mut Connection) -> Result<u64, StoreError> {
    let select = format!("SELECT seq FROM notify_cursor{LOCKING}");
    let seq: i64 = sqlx::query_scalar(&select).fetch_one(connection).await?;
    Ok(seq as u64)
}

pub async fn take(
    connection: &mut Connection,
    (from, to): (u64, u64),
    epoch: &str,
    notices: &[NewNotice],
) -> Result<Option<Suppressed>, StoreError> {
    if hold(connection).await? != from {
        return Ok(None);
    }
    for notices in notices.chunks(CHUNK) {
        let mut insert = QueryBuilder::<Db>::new(
            "INSERT INTO notices \
             (seq, epoch, episode_id, characteristic_id, change, severity, body, routes, deliveries, at) ",
        );
        insert.push_values(notices, |mut row, notice| {
            row.push_bind(notice.seq as i64).push_bind(epoch).push_bind(notice.episode_id.get());
            row.push_bind(notice.characteristic_id.get()).push_bind(name_of(&notice.change));
            row.push_bind(name_of(&notice.severity)).push_bind(notice.body.as_str());
            row.push_bind(serde_json::to_string(&notice.routes).expect("words encode"));
            row.push_bind(notice.deliveries.len() as i64).push(NOW);
        });
        insert.build().execute(&mut *connection).await?;
    }
    let of = |notice: &NewNotice, delivery: &NewDelivery| {
        let is_held = delivery.held.is_some() && !notice.change.is_answer();
        (notice.seq, notice.episode_id, is_held, delivery.clone())
    };
    let deliveries: Vec<_> =
        notices.iter().flat_map(|n| n.deliveries.iter().map(move |d| of(n, d))).collect();
    let held = deliveries.iter().filter_map(|(.., delivery)| Some(delivery.held.as_ref()?.silence));
    let ends = silences::ends(connection, held).await?;
    let mut suppressed = Suppressed::default();
    for deliveries in deliveries.chunks(CHUNK) {
        let ids = insert_waiting(connection, deliveries, &ends).await?;
        suppressed.inhibited += suppress_lesser(connection, deliveries).await?;
        reminders::schedule(connection, &ids).await?;
        make_oldest_due(connection, ids.into_iter()).await?;
    }
    let (answers, news): (Vec<_>, Vec<_>) = notices.iter().partition(|notice| notice.change.is_answer());
    for answers in answers.chunks(CHUNK) {
        escalation::supersede(connection, answers).await?;
        escalation::tell_whoever_was_called(connection, answers).await?;
        suppressed.silenced += silences::suppress_answers(connection, answers).await?;
    }
    for news in news.chunks(CHUNK) {
        escalation::renew_scheduled(connection, news.iter().map(|notice| notice.episode_id.get())).await?;
    }
    sqlx::query("UPDATE notify_cursor SET seq = $1").bind(to as i64).execute(connection).await?;
    trace!(target: "andon::points", { event.seq = to }, "notices commit begins");
    Ok(Some(suppressed))
}

/// Of a step of an escalation, or a reminder: somebody has answered since it began. Nobody else has to be called.
pub(super) const IS_ANSWERED: &str = "((deliveries.step > 0 OR deliveries.reminder > 0) AND EXISTS (SELECT 1 FROM notices n \
    WHERE n.episode_id = deliveries.episode_id AND n.seq > deliveries.seq \
    AND n.at >= COALESCE(deliveries.not_before, 0) AND n.change IN ('acknowledged', 'closed')))";

/// Of a delivery `o`: its recipient has heard of it, or will.
pub(super) const HEARD: &str = "(o.state IN ('scheduled', 'pending', 'leased', 'retrying', 'uncertain', 'delivered') \
    OR (o.state = 'superseded' AND o.attempts > 0))";

/// A delivery of a notice and of an episode, and whether a silence holds it back.
type Waiting = (u64, EpisodeId, bool, NewDelivery);

async fn insert_waiting(
    connection: &mut Connection,
    deliveries: &[Waiting],
    ends: &HashMap<i64, i64>,
) -> Result<Vec<i64>, StoreError> {
    let mut insert = QueryBuilder::<Db>::new(
        "INSERT INTO deliveries (seq, episode_id, receiver, recipient, route, step, state, attempts, not_before, \
         useful_until, remind_after, silence_id, reason) ",
    );
    insert.push_values(deliveries, |mut row, (seq, episode, is_held, delivery)| {
        row.push_bind(*seq as i64).push_bind(episode.get()).push_bind(delivery.receiver.as_str());
        row.push_bind(delivery.recipient.as_str());
        row.push_bind(i64::from(delivery.route)).push_bind(i64::from(delivery.step));
        let is_scheduled = *is_held || delivery.after.is_some();
        row.push(if is_scheduled { "'scheduled'" } else { "'pending'" }).push("0");
        let held = delivery.held.as_ref().filter(|_| *is_held);
        let until = held.and_then(|held| ends.get(&held.silence.get()));
        let after = delivery.after.unwrap_or_default();
        // What is held back begins as long after the silence as it would have after the notice.
        let after = if is_scheduled { after } else { delivery.group_for };
        let mut push_begin = |plus: Duration| match until {
            Some(until) => {
                row.push_bind(until.saturating_add(micros(plus)));
            }
            None => {
                row.push(NOW).push_unseparated(" + ").push_bind_unseparated(micros(plus));
            }
        };
        push_begin(after);
        push_begin(after.saturating_add(delivery.useful_for));
        row.push_bind(delivery.remind_after.map(micros));
        row.push_bind(held.map(|held| held.silence.get()));
        row.push_bind(held.map(|held| held.reason.as_str()));
    });
    insert.push(" RETURNING id");
    Ok(insert.build_query_scalar().fetch_all(connection).await?)
}

/// What is less severe than the episode goes to nobody who has heard of the episode when it was as severe as it is, and of no
/// answer since. Returns how many.
async fn suppress_lesser(connection: &mut Connection, deliveries: &[Waiting]) -> Result<u64, StoreError> {
    let lesser: Vec<_> = deliveries.iter().filter(|(.., delivery)| delivery.is_lesser).collect();
    if lesser.is_empty() {
        return Ok(0);
    }
    let mut update = QueryBuilder::<Db>::new("WITH l (seq, receiver, recipient, step) AS (");
    update.push_values(lesser, |mut row, (seq, .., delivery)| {
        row.push("CAST(").push_bind_unseparated(*seq as i64).push_unseparated(" AS BIGINT)");
        row.push("CAST(").push_bind_unseparated(delivery.receiver.as_str()).push_unseparated(" AS TEXT)");
        row.push("CAST(").push_bind_unseparated(delivery.recipient.as_str()).push_unseparated(" AS TEXT)");
        row.push("CAST(").push_bind_unseparated(i64::from(delivery.step)).push_unseparated(" AS BIGINT)");
    });
    update.push(format!(
        ") UPDATE deliveries SET state = 'suppressed', ended_at = {NOW}, \
         reason = 'inhibited: it has heard of something more severe in this episode' \
         FROM l WHERE deliveries.seq = l.seq AND deliveries.receiver = l.receiver AND deliveries.recipient = l.recipient \
         AND deliveries.step = l.step AND deliveries.ended_at IS NULL AND deliveries.attempts = 0 \
         AND EXISTS (SELECT 1 FROM notices now JOIN notices n ON n.episode_id = now.episode_id AND n.seq < now.seq \
           AND n.severity = now.severity \
           JOIN deliveries o ON o.seq = n.seq AND o.receiver = l.receiver AND o.recipient = l.recipient \
             AND o.step = l.step AND {HEARD} \
           WHERE now.seq = l.seq AND n.change NOT IN ('acknowledged', 'closed') \
           AND NOT EXISTS (SELECT 1 FROM notices a WHERE a.episode_id = n.episode_id AND a.seq > n.seq \
             AND a.seq < now.seq AND a.change IN ('acknowledged', 'closed'))) \
         RETURNING deliveries.id"
    ));
    let ids: Vec<i64> = update.build_query_scalar().fetch_all(connection).await?;
    Ok(ids.len() as u64)
}

pub async fn turn(
    connection: &mut Connection,
    receiver: &str,
    finished: &[Finished],
    wanted: &LeaseRequest<'_>,
) -> Result<Turn, StoreError> {
    if !finished.is_empty() {
        hold(connection).await?;
    }
    for finished in finished.chunks(CHUNK) {
        let ids = record(connection, finished).await?;
        let is_split = |id: &&i64| finished.iter().any(|it| it.id.get() == **id && it.splits());
        let mut others = digests::dissolve(connection, ids.iter().filter(is_split).copied()).await?;
        others.extend(digests::follow(connection, ids.iter().copied()).await?);
        make_oldest_due(connection, ids.into_iter().chain(others)).await?;
    }
    let leased = if wanted.count > 0 { lease(connection, receiver, wanted).await? } else { Vec::new() };
    let select = format!(
        "SELECT MIN(due_at) - {NOW} FROM deliveries WHERE receiver = $1 AND due_at IS NOT NULL AND due_at > {NOW}"
    );
    let next: Option<i64> = sqlx::query_scalar(&select).bind(receiver).fetch_one(connection).await?;
    for Finished { id, attempt, .. } in finished {
        trace!(target: "andon::points", { delivery.id = %id, attempt }, "record commit begins");
    }
    for Leased { id, attempt, .. } in &leased {
        trace!(target: "andon::points", { delivery.id = %id, attempt }, "lease commit begins");
    }
    Ok(Turn { leased, next_due_in: next.map(|micros| Duration::from_micros(micros.max(0) as u64)) })
}

/// Tells how attempts went. What is told of an attempt that is not the newest any more changes only that attempt. Gives
/// the deliveries that have changed.
async fn record(connection: &mut Connection, finished: &[Finished]) -> Result<Vec<i64>, StoreError> {
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
    let is_useless = format!("{NOW} + f.wait >= deliveries.useful_until");
    let is_answered = format!("deliveries.digest IS NULL AND {IS_ANSWERED}");
    let ends = format!("f.wait IS NULL OR {is_useless} OR ({is_answered})");
    update.push(format!(
        ") UPDATE deliveries SET state = CASE WHEN f.wait IS NULL THEN f.state WHEN {is_useless} THEN 'expired' \
           WHEN {is_answered} THEN 'superseded' ELSE f.state END, \
         due_at = CASE WHEN {ends} THEN NULL ELSE {NOW} + f.wait END, \
         ended_at = CASE WHEN {ends} THEN {NOW} ELSE NULL END, reason = f.reason \
         FROM f WHERE deliveries.id = f.id AND deliveries.attempts = f.attempt AND deliveries.state = 'leased' \
         RETURNING deliveries.id"
    ));
    let recorded: Vec<i64> = update.build_query_scalar().fetch_all(&mut *connection).await?;

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
         WHERE delivery_id = f.id AND number = f.attempt AND delivery_attempts.duration_micros IS NULL",
    );
    update.build().execute(connection).await?;
    Ok(recorded)
}

/// Makes the oldest that is not over due, of each episode and recipient that one of these is about.
///
/// Written so that a planner with statistics of yesterday, when everything was over, has no choice: with a join it may go
/// through all that waits, for each.
pub(super) async fn make_oldest_due(
    connection: &mut Connection,
    ids: impl Iterator<Item = i64>,
) -> Result<(), StoreError> {
    let mut update = QueryBuilder::<Db>::new(format!(
        "UPDATE deliveries SET due_at = CASE WHEN not_before > {NOW} THEN not_before ELSE {NOW} END \
         WHERE due_at IS NULL AND ended_at IS NULL AND (digest IS NULL OR digest = id) AND id IN \
         (SELECT (SELECT MIN(w.id) FROM deliveries w WHERE w.episode_id = o.episode_id \
           AND w.receiver = o.receiver AND w.recipient = o.recipient AND w.ended_at IS NULL \
           AND w.state <> 'scheduled') \
          FROM deliveries o WHERE o.id IN "
    ));
    push_ids(&mut update, "(", ids);
    update.push(")");
    update.build().execute(connection).await?;
    Ok(())
}

async fn lease(
    connection: &mut Connection,
    receiver: &str,
    wanted: &LeaseRequest<'_>,
) -> Result<Vec<Leased>, StoreError> {
    if wanted.at_once > 1 {
        hold(connection).await?; // nobody else puts the same into another message
    }
    let mut update =
        QueryBuilder::<Db>::new("WITH due AS (SELECT d.id FROM deliveries d WHERE d.receiver = ");
    update.push_bind(receiver).push(format!(
        " AND d.due_at IS NOT NULL AND d.due_at <= {NOW} AND d.useful_until > {NOW} AND d.id NOT IN "
    ));
    push_known(&mut update, wanted.under_way);
    if wanted.at_once > 1 {
        push_ids(
            &mut update,
            " AND d.id IN (",
            digests::leads(connection, receiver, wanted).await?.into_iter(),
        );
    }
    update.push(" ORDER BY d.due_at, d.id LIMIT ").push_bind(i64::from(wanted.count).min(CHUNK as i64));
    update.push(format!(
        "{LEASING}) UPDATE deliveries SET state = 'leased', attempts = attempts + 1, due_at = {NOW} + "
    ));
    update.push_bind(micros(wanted.lease));
    update.push(" FROM due WHERE deliveries.id = due.id RETURNING deliveries.id, deliveries.attempts");
    let taken: Vec<(i64, i64)> = update.build_query_as().fetch_all(&mut *connection).await?;
    if taken.is_empty() {
        return Ok(Vec::new());
    }
    if wanted.at_once > 1 {
        digests::gather(connection, &taken, wanted.at_once).await?;
    }
    let again = taken.iter().filter(|(_, attempt)| *attempt > 1).map(|(id, _)| *id);
    if again.clone().next().is_some() {
        // Of an attempt that nobody will tell of any more, nothing is known.
        let mut update = QueryBuilder::<Db>::new(
            "UPDATE delivery_attempts SET outcome = 'uncertain', detail = 'the process ended' \
             WHERE outcome IS NULL AND delivery_id IN ",
        );
        push_ids(&mut update, "(", again);
        update.build().execute(&mut *connection).await?;
    }
    let mut insert =
        QueryBuilder::<Db>::new("INSERT INTO delivery_attempts (delivery_id, number, started_at) ");
    insert.push_values(&taken, |mut row, (id, attempt)| {
        row.push_bind(*id).push_bind(*attempt).push(NOW);
    });
    insert.build().execute(&mut *connection).await?;
    let mut select = QueryBuilder::<Db>::new(
        "SELECT d.id, d.attempts, d.seq, n.epoch, d.recipient, d.step, d.reminder, n.body, d.digest FROM deliveries d \
         JOIN notices n ON n.seq = d.seq WHERE d.id IN ",
    );
    push_ids(&mut select, "(", taken.iter().map(|(id, _)| *id));
    select.push(" ORDER BY d.id");
    let rows = select.build().fetch_all(&mut *connection).await?;
    let mut leased = rows.iter().map(leased_from).collect::<Result<Vec<_>, _>>()?;
    let mut leads = Vec::new();
    for row in &rows {
        leads.extend(row.try_get::<Option<i64>, _>("digest")?);
    }
    if !leads.is_empty() {
        let is_again = |id: &&i64| taken.iter().any(|(taken, attempt)| taken == *id && *attempt > 1);
        digests::lease_again(connection, leads.iter().filter(is_again).copied()).await?;
        for (lead, part) in digests::parts(connection, leads.iter().copied()).await? {
            leased.iter_mut().filter(|it| it.id.get() == lead).for_each(|it| it.others.push(part.clone()));
        }
    }
    Ok(leased)
}

/// Deliveries by their ids; a list without any would match nothing, not even by `NOT IN`.
pub(super) fn push_known(query: &mut QueryBuilder<Db>, ids: &[DeliveryId]) {
    query.push("(0");
    for id in ids {
        query.push(", ").push_bind(id.get());
    }
    query.push(")");
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
            reminder: count(row.try_get("reminder")?)?,
            body: row.try_get::<&str, _>("body")?.into(),
            others: Vec::new(),
        })
    };
    corrupt("deliveries", row_id, read())
}

pub async fn release(connection: &mut Connection) -> Result<(), StoreError> {
    let update = format!(
        "UPDATE deliveries SET state = 'uncertain', due_at = CASE WHEN due_at IS NULL THEN NULL ELSE {NOW} END \
         WHERE state = 'leased' AND ended_at IS NULL AND (due_at IS NOT NULL OR digest IS NOT NULL)"
    );
    sqlx::query(&update).execute(connection).await?;
    Ok(())
}

/// What nobody may send any more: of no use, and not just being tried.
fn is_useless() -> String {
    format!(
        "ended_at IS NULL AND (digest IS NULL OR digest = id) AND useful_until <= {NOW} AND (state <> 'leased' OR due_at <= {NOW})"
    )
}

pub async fn has_useless(connection: &mut Connection) -> Result<bool, StoreError> {
    let select = format!("SELECT id FROM deliveries WHERE {} LIMIT 1", is_useless());
    let found: Option<i64> = sqlx::query_scalar(&select).fetch_optional(connection).await?;
    Ok(found.is_some())
}

pub async fn expire(connection: &mut Connection, limit: u32) -> Result<u64, StoreError> {
    hold(connection).await?;
    let select = format!("SELECT id FROM deliveries WHERE {} LIMIT $1{LEASING}", is_useless());
    let limit = i64::from(limit).min(CHUNK as i64);
    let ids: Vec<i64> = sqlx::query_scalar(&select).bind(limit).fetch_all(&mut *connection).await?;
    let mut update = QueryBuilder::<Db>::new(format!(
        "UPDATE deliveries SET state = 'expired', due_at = NULL, ended_at = {NOW} WHERE id IN "
    ));
    push_ids(&mut update, "(", ids.iter().copied());
    update.build().execute(&mut *connection).await?;
    let together = digests::follow(connection, ids.iter().copied()).await?;
    let expired = ids.len() + together.len();
    make_oldest_due(connection, ids.into_iter().chain(together)).await?;
    Ok(expired as u64)
}

pub async fn has_notices_older_than(connection: &mut Connection, kept: Duration) -> Result<bool, StoreError> {
    let select = format!("SELECT seq FROM notices WHERE at < {NOW} - $1 LIMIT 1");
    let found: Option<i64> =
        sqlx::query_scalar(&select).bind(micros(kept)).fetch_optional(connection).await?;
    Ok(found.is_some())
}

pub async fn remove(connection: &mut Connection, kept: Duration, limit: u32) -> Result<u64, StoreError> {
    hold(connection).await?;
    let select = format!(
        "SELECT n.seq FROM notices n WHERE n.at < {NOW} - $1 AND NOT EXISTS (SELECT 1 FROM deliveries d \
         WHERE d.seq = n.seq AND d.ended_at IS NULL) ORDER BY n.at LIMIT $2"
    );
    let old: Vec<i64> = sqlx::query_scalar(&select)
        .bind(micros(kept))
        .bind(i64::from(limit).min(CHUNK as i64))
        .fetch_all(&mut *connection)
        .await?;
    for table in ["deliveries", "notices"] {
        let mut delete = QueryBuilder::<Db>::new(format!("DELETE FROM {table} WHERE seq IN "));
        push_ids(&mut delete, "(", old.iter().copied());
        delete.build().execute(&mut *connection).await?;
    }
    Ok(old.len() as u64)
}
