//! Steps of escalations in the delivery ledger: stored with their notice, begun at their time, superseded by an answer.
//!
//! Until its time has come, a step stands in nobody's way: it is no part of the order in which a recipient hears.

use sqlx::QueryBuilder;

use super::ledger::{CHUNK, hold, make_oldest_due};
use super::{Connection, Db, NOW, push_ids};
use crate::store::StoreError;
use crate::store::ledger::NewNotice;
use crate::store::rows::name_of;

/// Of a step that is scheduled twice for an episode and a recipient the newer notice is told, at the earlier time.
pub(super) async fn renew_scheduled(
    connection: &mut Connection,
    episodes: impl Iterator<Item = i64> + Clone,
) -> Result<(), StoreError> {
    let same = "o.episode_id = deliveries.episode_id AND o.receiver = deliveries.receiver \
        AND o.recipient = deliveries.recipient AND o.step = deliveries.step AND o.state = 'scheduled' \
        AND o.ended_at IS NULL";
    let mut update = QueryBuilder::<Db>::new(format!(
        "UPDATE deliveries SET not_before = (SELECT MIN(o.not_before) FROM deliveries o WHERE {same}) \
         WHERE state = 'scheduled' AND ended_at IS NULL AND episode_id IN "
    ));
    push_ids(&mut update, "(", episodes.clone());
    update.build().execute(&mut *connection).await?;
    let mut update = QueryBuilder::<Db>::new(format!(
        "UPDATE deliveries SET state = 'superseded', reason = 'a newer notice', ended_at = {NOW} \
         WHERE state = 'scheduled' AND ended_at IS NULL \
         AND EXISTS (SELECT 1 FROM deliveries o WHERE {same} AND o.seq > deliveries.seq) AND episode_id IN "
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
         WHERE deliveries.episode_id = a.episode AND deliveries.seq < a.seq AND deliveries.step > 0 \
         AND deliveries.ended_at IS NULL AND deliveries.state <> 'leased' RETURNING deliveries.id"
    ));
    let ids: Vec<i64> = update.build_query_scalar().fetch_all(&mut *connection).await?;
    if ids.is_empty() {
        return Ok(());
    }
    make_oldest_due(connection, ids.into_iter()).await
}

/// Steps whose time has come.
fn is_time() -> String {
    format!("state = 'scheduled' AND not_before <= {NOW}")
}

pub async fn has_scheduled(connection: &mut Connection) -> Result<bool, StoreError> {
    let select = format!("SELECT id FROM deliveries WHERE {} LIMIT 1", is_time());
    let found: Option<i64> = sqlx::query_scalar(&select).fetch_optional(connection).await?;
    Ok(found.is_some())
}

pub async fn begin_scheduled(connection: &mut Connection, limit: u32) -> Result<Vec<String>, StoreError> {
    hold(connection).await?;
    let update = format!(
        "UPDATE deliveries SET state = 'pending' WHERE id IN \
         (SELECT id FROM deliveries WHERE {} ORDER BY not_before LIMIT $1) RETURNING id, receiver",
        is_time()
    );
    let limit = i64::from(limit).min(CHUNK as i64);
    let begun: Vec<(i64, String)> = sqlx::query_as(&update).bind(limit).fetch_all(&mut *connection).await?;
    if begun.is_empty() {
        return Ok(Vec::new());
    }
    make_oldest_due(connection, begun.iter().map(|(id, _)| *id)).await?;
    Ok(begun.into_iter().map(|(_, receiver)| receiver).collect())
}

/// Steps that are not waited for any longer: of the step before, of the same route, nobody was told and nobody can be.
fn push_to_hasten(query: &mut QueryBuilder<Db>, out_of_reach: &[String]) {
    let before =
        "SELECT 1 FROM deliveries s WHERE s.seq = d.seq AND s.route = d.route AND s.step = d.step - 1";
    query.push(format!(
        "d.state = 'scheduled' AND d.not_before > {NOW} AND EXISTS ({before}) AND NOT EXISTS ({before} \
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
