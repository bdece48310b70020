//! Digests in the delivery ledger: what is due to one recipient at the same time, told in one message.
//!
//! The first of them leads: it is leased, tried, and recorded, under its name. The others are never due themselves, and
//! follow it into whatever state it comes to. What was ever tried keeps its company: a message that may have arrived is
//! tried again as it was.

use std::collections::BTreeSet;

use sqlx::{QueryBuilder, Row as _};

use super::ledger::{CHUNK, IS_ANSWERED, push_known};
use super::{Connection, Db, LEASING, NOW, Row, push_ids};
use crate::store::StoreError;
use crate::store::ledger::{LeaseRequest, LeasedPart};
use crate::store::rows::{Cause, corrupt, count};

/// That is not over, of what was tried. The states are named, since an index over all that is not over is a bad choice.
const UNDER_WAY: &str = "state IN ('leased', 'retrying', 'uncertain')";

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
    let lead = "UPDATE deliveries SET digest = id, \
        useful_until = (SELECT MAX(m.useful_until) FROM deliveries m WHERE m.digest = $1 OR m.id = $1) WHERE id = $1";
    for (id, _) in leased.iter().filter(|(_, attempt)| *attempt == 1) {
        let waiting = waiting_beside(connection, *id, most.saturating_sub(1)).await?;
        // What another process leases alone just now is not taken from it.
        let mut update = QueryBuilder::<Db>::new(format!(
            "UPDATE deliveries SET state = 'leased', attempts = 1, due_at = NULL, \
             not_before = CASE WHEN not_before > {NOW} THEN {NOW} ELSE not_before END, digest = "
        ));
        update.push_bind(id).push(" WHERE state = 'pending' AND attempts = 0 AND id IN ");
        push_ids(&mut update, "(", waiting.into_iter());
        if update.build().execute(&mut *connection).await?.rows_affected() > 0 {
            sqlx::query(lead).bind(id).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

/// Up to `most` that were never tried, for the recipient of this one, the oldest first. Of an episode, nothing goes before
/// something older that is tried by itself.
///
/// Written so that a planner with old statistics has no choice: it would look at all that waits, for each.
async fn waiting_beside(connection: &mut Connection, id: i64, most: u32) -> Result<Vec<i64>, StoreError> {
    let select = "SELECT receiver, recipient FROM deliveries WHERE id = $1";
    let (receiver, recipient): (String, String) =
        sqlx::query_as(select).bind(id).fetch_one(&mut *connection).await?;
    let select = format!(
        "SELECT m.id FROM deliveries m WHERE m.receiver = $2 AND m.recipient = $3 AND m.state = 'pending' \
         AND m.attempts = 0 AND m.id <> $1 AND m.digest IS NULL AND m.useful_until > {NOW} \
         AND (SELECT MIN(w.id) FROM deliveries w WHERE w.episode_id = m.episode_id AND w.receiver = m.receiver \
           AND w.recipient = m.recipient AND w.ended_at IS NULL AND w.id < m.id AND w.id <> $1 \
           AND (w.attempts > 0 OR w.digest IS NOT NULL)) IS NULL ORDER BY m.id LIMIT $4"
    );
    let query = sqlx::query_scalar(&select).bind(id).bind(receiver).bind(recipient);
    Ok(query.bind(i64::from(most)).fetch_all(connection).await?)
}

/// Those that are told together with one of these are leased again with it.
pub(super) async fn lease_again(
    connection: &mut Connection,
    leads: impl Iterator<Item = i64>,
) -> Result<(), StoreError> {
    let mut update = QueryBuilder::<Db>::new(format!(
        "UPDATE deliveries SET state = 'leased', attempts = attempts + 1 WHERE id <> digest AND {UNDER_WAY} AND digest IN "
    ));
    push_ids(&mut update, "(", leads);
    update.build().execute(connection).await?;
    Ok(())
}

/// What was told in one message is told one by one from now on, since nobody takes it like that; except what somebody has
/// answered meanwhile. Gives all of it.
pub(super) async fn dissolve(
    connection: &mut Connection,
    leads: impl Iterator<Item = i64>,
) -> Result<Vec<i64>, StoreError> {
    let mut update = QueryBuilder::<Db>::new(format!(
        "UPDATE deliveries SET digest = NULL, due_at = NULL, \
         state = CASE WHEN {IS_ANSWERED} THEN 'superseded' WHEN state = 'leased' THEN 'retrying' ELSE state END, \
         ended_at = CASE WHEN {IS_ANSWERED} THEN {NOW} END WHERE {UNDER_WAY} AND digest IN "
    ));
    push_ids(&mut update, "(", leads);
    update.push(" RETURNING id");
    Ok(update.build_query_scalar().fetch_all(connection).await?)
}

/// What is told together with these: the one that leads, and what it is.
pub(super) async fn parts(
    connection: &mut Connection,
    leads: impl Iterator<Item = i64>,
) -> Result<Vec<(i64, LeasedPart)>, StoreError> {
    let mut select = QueryBuilder::<Db>::new(
        "SELECT m.id, m.digest, m.reminder, n.body FROM deliveries m JOIN notices n ON n.seq = m.seq \
         WHERE m.id <> m.digest AND m.state = 'leased' AND m.digest IN ",
    );
    push_ids(&mut select, "(", leads);
    select.push(" ORDER BY m.id");
    let rows = select.build().fetch_all(connection).await?;
    let part = |row: &Row| {
        let read = || -> Result<_, Cause> {
            let (reminder, body) = (count(row.try_get("reminder")?)?, row.try_get::<&str, _>("body")?.into());
            Ok((row.try_get("digest")?, LeasedPart { reminder, body }))
        };
        corrupt("deliveries", row.try_get("id")?, read())
    };
    rows.iter().map(part).collect()
}

/// Whoever is told together with one of these comes to the same state. Gives those that are over with it.
pub(super) async fn follow(
    connection: &mut Connection,
    leads: impl Iterator<Item = i64>,
) -> Result<Vec<i64>, StoreError> {
    let mut update = QueryBuilder::<Db>::new(
        "UPDATE deliveries SET state = l.state, reason = l.reason, ended_at = l.ended_at FROM deliveries l \
         WHERE l.id = deliveries.digest AND deliveries.id <> deliveries.digest \
         AND deliveries.state IN ('leased', 'retrying', 'uncertain') AND deliveries.digest IN ",
    );
    push_ids(&mut update, "(", leads);
    update.push(" RETURNING deliveries.id");
    Ok(update.build_query_scalar().fetch_all(connection).await?)
}
