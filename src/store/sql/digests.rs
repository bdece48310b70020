//! Digests in the delivery ledger: what is due to one recipient at the same time, told in one message.
//!
//! The first of them leads: it is leased, tried, and recorded, under its name. The others are never due themselves, and
//! follow it into whatever state it comes to. What was ever tried keeps its company: a message that may have arrived is
//! tried again as it was.

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlx::{QueryBuilder, Row as _};

use super::ledger::{CHUNK, push_known};
use super::{Connection, Db, LEASING, NOW, push_ids};
use crate::store::StoreError;
use crate::store::ledger::LeaseRequest;

/// What is due to a receiver and may lead a digest: one for each recipient.
pub(super) async fn leads(
    connection: &mut Connection,
    receiver: &str,
    wanted: &LeaseRequest<'_>,
) -> Result<Vec<i64>, StoreError> {
    let mut select =
        QueryBuilder::<Db>::new("SELECT d.id, d.recipient FROM deliveries d WHERE d.receiver = ");
    select.push_bind(receiver).push(format!(
        " AND d.due_at IS NOT NULL AND d.due_at <= {NOW} AND d.useful_until > {NOW} AND d.id NOT IN "
    ));
    push_known(&mut select, wanted.under_way);
    select.push(" ORDER BY d.due_at, d.id LIMIT ").push_bind(CHUNK as i64).push(LEASING);
    let due: Vec<(i64, String)> = select.build_query_as().fetch_all(connection).await?;
    let mut recipients = BTreeSet::new();
    let first = due.into_iter().filter(|(_, recipient)| recipients.insert(recipient.clone()));
    Ok(first.map(|(id, _)| id).take(wanted.count as usize).collect())
}

/// Gathers what else waits for the recipients of these, which have just been leased, each with the number of its attempt.
pub(super) async fn gather(
    connection: &mut Connection,
    leased: &[(i64, i64)],
    most: u32,
) -> Result<(), StoreError> {
    let mut update = QueryBuilder::<Db>::new(
        "UPDATE deliveries SET state = 'leased', attempts = attempts + 1 WHERE id <> digest AND ended_at IS NULL \
         AND digest IN ",
    );
    push_ids(&mut update, "(", leased.iter().filter(|(_, attempt)| *attempt > 1).map(|(id, _)| *id));
    update.build().execute(&mut *connection).await?;
    // Of each episode the oldest is due; written so that a planner with old statistics has no choice but to begin there. Nothing
    // goes before something older that is tried by itself.
    let gather = format!(
        "UPDATE deliveries SET state = 'leased', attempts = 1, due_at = NULL, digest = $1 WHERE id IN \
         (SELECT m.id FROM deliveries l CROSS JOIN deliveries h CROSS JOIN deliveries m \
          WHERE l.id = $1 AND h.receiver = l.receiver AND h.recipient = l.recipient AND h.due_at IS NOT NULL \
          AND m.episode_id = h.episode_id AND m.receiver = h.receiver AND m.recipient = h.recipient \
          AND m.id <> $1 AND m.ended_at IS NULL AND m.state = 'pending' AND m.attempts = 0 \
          AND m.digest IS NULL AND m.useful_until > {NOW} \
          AND NOT EXISTS (SELECT 1 FROM deliveries w WHERE w.episode_id = m.episode_id AND w.receiver = m.receiver \
            AND w.recipient = m.recipient AND w.ended_at IS NULL AND w.id < m.id AND w.id <> $1 \
            AND (w.attempts > 0 OR w.digest IS NOT NULL)) \
          ORDER BY m.id LIMIT $2)"
    );
    let lead = "UPDATE deliveries SET digest = id, \
        useful_until = (SELECT MAX(m.useful_until) FROM deliveries m WHERE m.digest = $1 OR m.id = $1) WHERE id = $1";
    for (id, _) in leased.iter().filter(|(_, attempt)| *attempt == 1) {
        let query = sqlx::query(&gather).bind(id).bind(i64::from(most.saturating_sub(1)));
        if query.execute(&mut *connection).await?.rows_affected() > 0 {
            sqlx::query(lead).bind(id).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

/// What is told together with these: the one that leads, and what is told.
pub(super) async fn bodies(
    connection: &mut Connection,
    leads: impl Iterator<Item = i64>,
) -> Result<Vec<(i64, Arc<str>)>, StoreError> {
    let mut select = QueryBuilder::<Db>::new(
        "SELECT m.digest, n.body FROM deliveries m JOIN notices n ON n.seq = m.seq \
         WHERE m.id <> m.digest AND m.ended_at IS NULL AND m.digest IN ",
    );
    push_ids(&mut select, "(", leads);
    select.push(" ORDER BY m.id");
    let rows = select.build().fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get("digest")?, row.try_get::<&str, _>("body")?.into()))).collect()
}

/// Whoever is told together with one of these comes to the same state. Gives those that are over with it.
pub(super) async fn follow(
    connection: &mut Connection,
    leads: impl Iterator<Item = i64>,
) -> Result<Vec<i64>, StoreError> {
    let mut update = QueryBuilder::<Db>::new(
        "UPDATE deliveries SET state = l.state, reason = l.reason, ended_at = l.ended_at FROM deliveries l \
         WHERE l.id = deliveries.digest AND deliveries.id <> deliveries.digest AND deliveries.ended_at IS NULL \
         AND deliveries.digest IN ",
    );
    push_ids(&mut update, "(", leads);
    update.push(" RETURNING deliveries.id");
    Ok(update.build_query_scalar().fetch_all(connection).await?)
}
