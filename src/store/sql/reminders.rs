//! Reminders in the delivery ledger: whoever was told, and reminds nobody by an answer, is told again.
//!
//! One is scheduled whenever something becomes due that is to be repeated: what it reminds of, or the reminder before it.
//! So there is one at a time, and none of a step that has not begun.

use std::collections::BTreeMap;

use sqlx::QueryBuilder;

use super::{Connection, Db, NOW, push_ids};
use crate::store::StoreError;

/// Schedules the reminders of what has just become due.
pub(super) async fn schedule(connection: &mut Connection, begun: &[i64]) -> Result<(), StoreError> {
    let mut insert = QueryBuilder::<Db>::new(format!(
        "INSERT INTO deliveries (seq, episode_id, receiver, recipient, route, step, reminder, state, attempts, not_before, \
         useful_until, remind_after) \
         SELECT seq, episode_id, receiver, recipient, route, step, reminder + 1, 'scheduled', 0, {NOW} + remind_after, \
         {NOW} + remind_after + (useful_until - not_before), remind_after \
         FROM deliveries WHERE remind_after IS NOT NULL AND state = 'pending' AND id IN "
    ));
    push_ids(&mut insert, "(", begun.iter().copied());
    insert.push(" RETURNING seq");
    let stored: Vec<i64> = insert.build_query_scalar().fetch_all(&mut *connection).await?;
    if stored.is_empty() {
        return Ok(());
    }
    let mut more: BTreeMap<i64, i64> = BTreeMap::new();
    stored.into_iter().for_each(|seq| *more.entry(seq).or_default() += 1);
    let mut update = QueryBuilder::<Db>::new("WITH m (seq, more) AS (");
    update.push_values(more, |mut row, (seq, more)| {
        row.push("CAST(").push_bind_unseparated(seq).push_unseparated(" AS BIGINT)");
        row.push("CAST(").push_bind_unseparated(more).push_unseparated(" AS BIGINT)");
    });
    update.push(") UPDATE notices SET deliveries = deliveries + m.more FROM m WHERE notices.seq = m.seq");
    update.build().execute(connection).await?;
    Ok(())
}

/// Nobody is reminded of what has not been told yet: the reminder waits for as long again.
pub(super) async fn postpone(connection: &mut Connection, begun: &[i64]) -> Result<(), StoreError> {
    let mut update = QueryBuilder::<Db>::new(format!(
        "UPDATE deliveries SET not_before = {NOW} + remind_after, useful_until = useful_until + {NOW} + remind_after - not_before \
         WHERE reminder > 0 AND state = 'scheduled' \
         AND EXISTS (SELECT 1 FROM deliveries w WHERE w.episode_id = deliveries.episode_id \
           AND w.receiver = deliveries.receiver AND w.recipient = deliveries.recipient AND w.ended_at IS NULL \
           AND w.state <> 'scheduled') AND id IN "
    ));
    push_ids(&mut update, "(", begun.iter().copied());
    update.build().execute(connection).await?;
    Ok(())
}
