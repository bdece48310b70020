//! What is scheduled in the delivery ledger, steps of escalations above all: stored with their notice, begun at their time,
//! superseded by an answer.
//!
//! Until its time has come, it stands in nobody's way: it is no part of the order in which a recipient hears.

use sqlx::QueryBuilder;

use super::ledger::{CHUNK, hold, make_oldest_due};
use super::{Connection, Db, NOW, push_ids, reminders, silences};
use crate::store::StoreError;
use crate::store::ledger::NewNotice;
use crate::store::rows::{Cause, corrupt, from_optional_name, id, name_of};
use crate::store::schedule::{Begin, DueStep};

/// Of what is scheduled twice for an episode and a recipient the newer notice is told: a step at the earlier time. Nobody is
/// reminded of what is not the newest, nor told it after a silence.
pub(super) async fn renew_scheduled(
    connection: &mut Connection,
    episodes: impl Iterator<Item = i64> + Clone,
) -> Result<(), StoreError> {
    let to_same = "o.receiver = deliveries.receiver AND o.recipient = deliveries.recipient AND o.step = deliveries.step";
    let same = format!(
        "o.episode_id = deliveries.episode_id AND {to_same} AND o.reminder = 0 AND o.state = 'scheduled' \
         AND o.ended_at IS NULL"
    );
    let mut update = QueryBuilder::<Db>::new(format!(
        "UPDATE deliveries SET not_before = (SELECT MIN(o.not_before) FROM deliveries o WHERE {same}) \
         WHERE state = 'scheduled' AND ended_at IS NULL AND reminder = 0 AND silence_id IS NULL AND episode_id IN "
    ));
    push_ids(&mut update, "(", episodes.clone());
    update.build().execute(&mut *connection).await?;
    // A step that waits is replaced by one that waits; what a silence holds back, and a reminder, by anything newer.
    let mut update = QueryBuilder::<Db>::new(format!(
        "UPDATE deliveries SET state = 'superseded', reason = 'a newer notice', ended_at = {NOW} \
         WHERE state = 'scheduled' AND ended_at IS NULL \
         AND EXISTS (SELECT 1 FROM notices n JOIN deliveries o ON o.seq = n.seq \
           WHERE n.episode_id = deliveries.episode_id AND n.seq > deliveries.seq AND {to_same} \
           AND o.state <> 'suppressed' \
           AND (deliveries.step = 0 OR deliveries.reminder > 0 OR o.state = 'scheduled')) AND episode_id IN "
    ));
    push_ids(&mut update, "(", episodes);
    update.build().execute(connection).await?;
    Ok(())
}

/// Whoever was called by an escalation hears that somebody has answered, or that it is over, whatever the routes say.
pub(super) async fn tell_whoever_was_called(
    connection: &mut Connection,
    answers: &[&NewNotice],
) -> Result<(), StoreError> {
    for answer in answers {
        let insert = format!(
            "INSERT INTO deliveries \
             (seq, episode_id, receiver, recipient, route, step, state, attempts, not_before, useful_until) \
             SELECT $1, d.episode_id, d.receiver, d.recipient, MIN(d.route), 0, 'pending', 0, NULL, \
               {NOW} + MAX(d.useful_until - d.not_before) \
             FROM notices n JOIN deliveries d ON d.seq = n.seq \
             WHERE n.episode_id = $2 AND n.seq < $1 AND d.step > 0 AND d.attempts > 0 AND d.not_before IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM deliveries o WHERE o.seq = $1 AND o.receiver = d.receiver \
               AND o.recipient = d.recipient) \
             GROUP BY d.episode_id, d.receiver, d.recipient RETURNING id"
        );
        let ids: Vec<i64> = sqlx::query_scalar(&insert)
            .bind(answer.seq as i64)
            .bind(answer.episode_id.get())
            .fetch_all(&mut *connection)
            .await?;
        if ids.is_empty() {
            continue;
        }
        sqlx::query("UPDATE notices SET deliveries = deliveries + $1 WHERE seq = $2")
            .bind(ids.len() as i64)
            .bind(answer.seq as i64)
            .execute(&mut *connection)
            .await?;
        make_oldest_due(connection, ids.into_iter()).await?;
    }
    Ok(())
}

/// Nobody has to be told any more, of what came before, that an episode waits for an answer.
pub(super) async fn supersede(connection: &mut Connection, answers: &[&NewNotice]) -> Result<(), StoreError> {
    let mut update = QueryBuilder::<Db>::new("WITH a (episode, seq, reason) AS (");
    update.push_values(answers, |mut row, notice| {
        row.push("CAST(").push_bind_unseparated(notice.episode_id.get()).push_unseparated(" AS BIGINT)");
        row.push("CAST(").push_bind_unseparated(notice.seq as i64).push_unseparated(" AS BIGINT)");
        row.push("CAST(").push_bind_unseparated(name_of(&notice.change)).push_unseparated(" AS TEXT)");
    });
    update.push(format!(
        ") UPDATE deliveries SET state = 'superseded', reason = a.reason, due_at = NULL, ended_at = {NOW} FROM a \
         WHERE deliveries.episode_id = a.episode AND deliveries.seq < a.seq \
         AND (deliveries.step > 0 OR deliveries.reminder > 0 OR deliveries.state = 'scheduled') \
         AND deliveries.ended_at IS NULL AND deliveries.state <> 'leased' AND deliveries.digest IS NULL RETURNING deliveries.id"
    ));
    let ids: Vec<i64> = update.build_query_scalar().fetch_all(&mut *connection).await?;
    if ids.is_empty() {
        return Ok(());
    }
    make_oldest_due(connection, ids.into_iter()).await
}

pub async fn due_steps(connection: &mut Connection, limit: u32) -> Result<Vec<DueStep>, StoreError> {
    let select = format!(
        "SELECT d.id, d.receiver, n.characteristic_id, n.severity FROM deliveries d JOIN notices n ON n.seq = d.seq \
         WHERE d.state = 'scheduled' AND d.not_before <= {NOW} ORDER BY d.not_before, d.id LIMIT $1"
    );
    let limit = i64::from(limit).min(CHUNK as i64);
    let rows: Vec<(i64, String, i64, Option<String>)> =
        sqlx::query_as(&select).bind(limit).fetch_all(connection).await?;
    let step = |(row_id, receiver, characteristic_id, severity): (i64, _, i64, Option<String>)| {
        let read = || -> Result<_, Cause> {
            let severity = from_optional_name(severity.as_deref())?;
            Ok(DueStep { id: id(row_id)?, receiver, characteristic_id: id(characteristic_id)?, severity })
        };
        corrupt("deliveries", row_id, read())
    };
    rows.into_iter().map(step).collect()
}

pub async fn begin_scheduled(
    connection: &mut Connection,
    steps: &[Begin],
) -> Result<Vec<String>, StoreError> {
    hold(connection).await?;
    let held = steps.iter().filter_map(|step| Some(step.held.as_ref()?.silence));
    let ends = silences::ends(connection, held).await?;
    for Begin { id, held } in steps {
        let Some(held) = held else { continue };
        let Some(until) = ends.get(&held.silence.get()) else { continue }; // it was removed: the next look begins this
        let update = "UPDATE deliveries SET not_before = $1, useful_until = useful_until + $1 - not_before, silence_id = $2, \
            reason = $3 WHERE id = $4 AND state = 'scheduled' AND not_before < $1";
        let query = sqlx::query(update).bind(until).bind(held.silence.get());
        query.bind(held.reason.as_str()).bind(id.get()).execute(&mut *connection).await?;
    }
    let due: Vec<_> = steps.iter().filter(|step| step.held.is_none()).map(|step| step.id.get()).collect();
    reminders::postpone(connection, &due).await?;
    let mut update = QueryBuilder::<Db>::new(format!(
        "UPDATE deliveries SET state = 'pending', reason = NULL WHERE state = 'scheduled' AND not_before <= {NOW} AND id IN "
    ));
    push_ids(&mut update, "(", due.into_iter());
    update.push(" RETURNING id, receiver");
    let begun: Vec<(i64, String)> = update.build_query_as().fetch_all(&mut *connection).await?;
    let (ids, receivers): (Vec<_>, Vec<_>) = begun.into_iter().unzip();
    reminders::schedule(connection, &ids).await?;
    make_oldest_due(connection, ids.into_iter()).await?;
    Ok(receivers)
}

/// Steps that are not waited for any longer: of the step before, of the same route, nobody was told and nobody can be.
fn push_to_hasten(query: &mut QueryBuilder<Db>, out_of_reach: &[String]) {
    let before = "SELECT 1 FROM deliveries s WHERE s.seq = d.seq AND s.route = d.route AND s.step = d.step - 1 \
        AND s.reminder = 0";
    query.push(format!(
        "d.state = 'scheduled' AND d.step > 0 AND d.reminder = 0 AND d.not_before > {NOW} AND EXISTS ({before}) AND NOT EXISTS ({before} \
         AND s.state NOT IN ('dead', 'expired') \
         AND NOT (s.ended_at IS NULL AND s.state <> 'scheduled' AND s.receiver IN (''"
    ));
    for receiver in out_of_reach {
        query.push(", ").push_bind(receiver.clone());
    }
    query.push(")))");
}

pub async fn has_steps_to_hasten(
    connection: &mut Connection,
    out_of_reach: &[String],
) -> Result<bool, StoreError> {
    let mut select = QueryBuilder::<Db>::new("SELECT d.id FROM deliveries d WHERE ");
    push_to_hasten(&mut select, out_of_reach);
    select.push(" LIMIT 1");
    let found: Option<i64> = select.build_query_scalar().fetch_optional(connection).await?;
    Ok(found.is_some())
}

pub async fn hasten(connection: &mut Connection, out_of_reach: &[String]) -> Result<(), StoreError> {
    hold(connection).await?;
    let mut update = QueryBuilder::<Db>::new(format!(
        "UPDATE deliveries SET not_before = {NOW} WHERE id IN (SELECT d.id FROM deliveries d WHERE "
    ));
    push_to_hasten(&mut update, out_of_reach);
    update.push(")");
    update.build().execute(connection).await?;
    Ok(())
}
