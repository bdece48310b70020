//! Questions that show whether what is stored hangs together. Each is one short statement, so that it sees one
//! moment and holds up nobody.

use super::Connection;
use crate::store::{StoreError, inspection::Counted};

/// Position, characteristic and revision of up to `limit` events after a position.
pub async fn log_rows(
    connection: &mut Connection,
    after: u64,
    limit: u32,
) -> Result<Vec<(i64, i64, i64)>, StoreError> {
    let rows = sqlx::query_as(
        "SELECT seq, characteristic_id, revision FROM events WHERE seq > $1 ORDER BY seq LIMIT $2",
    )
    .bind(after as i64)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// How many events stand at or below the floor, or beyond the head.
pub async fn strays(connection: &mut Connection) -> Result<i64, StoreError> {
    let strays = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM events e WHERE e.seq <= h.floor) \
         + (SELECT count(*) FROM events e WHERE e.seq > h.seq) FROM log_head h",
    )
    .fetch_one(connection)
    .await?;
    Ok(strays)
}

/// For characteristics, limits, samples, violations and episodes: the id that comes next, and the largest one there is.
pub async fn ids(connection: &mut Connection) -> Result<[(i64, Option<i64>); 5], StoreError> {
    type Ids = (i64, Option<i64>, i64, Option<i64>, i64, Option<i64>, i64, Option<i64>, i64, Option<i64>);
    let (c, c_most, l, l_most, s, s_most, v, v_most, e, e_most): Ids = sqlx::query_as(
        "SELECT h.next_characteristic_id, (SELECT max(id) FROM characteristics), \
         h.next_limits_id, (SELECT max(id) FROM control_limits), \
         h.next_sample_id, (SELECT max(id) FROM samples), \
         h.next_violation_id, (SELECT max(id) FROM violations), \
         h.next_episode_id, (SELECT max(id) FROM episodes) FROM log_head h",
    )
    .fetch_one(connection)
    .await?;
    Ok([(c, c_most), (l, l_most), (s, s_most), (v, v_most), (e, e_most)])
}

/// What is counted of up to `limit` characteristics after an id, beside a recount.
pub async fn standings(
    connection: &mut Connection,
    after: i64,
    limit: u32,
) -> Result<Vec<Counted>, StoreError> {
    let rows = sqlx::query_as(
        "SELECT c.id, c.revision, c.open_violations, c.unacknowledged, \
         (SELECT count(*) FROM violations v WHERE v.characteristic_id = c.id AND v.ack_at IS NULL \
          AND v.status = 'open') AS open_recounted, \
         (SELECT count(*) FROM violations v WHERE v.characteristic_id = c.id AND v.ack_at IS NULL \
          AND v.status = 'open' AND v.requires_acknowledgement) AS unacknowledged_recounted, \
         (SELECT count(*) FROM episodes e WHERE e.characteristic_id = c.id AND e.closed_at IS NULL \
          AND (e.holding <> (SELECT count(*) FROM violations v WHERE v.episode_id = e.id AND v.status = 'open') \
           OR e.unacknowledged <> (SELECT count(*) FROM violations v WHERE v.episode_id = e.id \
           AND v.ack_at IS NULL AND v.status = 'open' AND v.requires_acknowledgement))) AS miscounted_episodes \
         FROM characteristics c WHERE NOT c.deleted AND c.id > $1 ORDER BY c.id LIMIT $2",
    )
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// The first notice whose deliveries are not as many as were made; the first `episode` event that the cursor has passed
/// and no notice is about; the first delivery that waits behind nothing; how many there are, and how many are not over.
pub async fn ledger(
    connection: &mut Connection,
) -> Result<(Option<i64>, Option<i64>, Option<i64>, i64, i64), StoreError> {
    let counted = sqlx::query_as(
        "SELECT (SELECT MIN(n.seq) FROM notices n WHERE n.deliveries <> \
           (SELECT COUNT(*) FROM deliveries d WHERE d.seq = n.seq)), \
         (SELECT MIN(e.seq) FROM events e WHERE e.type = 'episode' AND e.seq <= (SELECT seq FROM notify_cursor) \
           AND e.seq > (SELECT COALESCE(MIN(n.seq), e.seq) FROM notices n) \
           AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.seq = e.seq)), \
         (SELECT MIN(d.id) FROM deliveries d WHERE d.due_at IS NULL AND d.ended_at IS NULL \
           AND NOT (d.state = 'scheduled' AND d.not_before IS NOT NULL) \
           AND NOT EXISTS (SELECT 1 FROM deliveries l WHERE l.id = d.digest AND l.id <> d.id AND l.ended_at IS NULL) \
           AND NOT EXISTS (SELECT 1 FROM deliveries w WHERE w.episode_id = d.episode_id AND w.receiver = d.receiver \
             AND w.recipient = d.recipient AND w.ended_at IS NULL AND w.state <> 'scheduled' AND w.id < d.id)), \
         (SELECT COUNT(*) FROM deliveries), (SELECT COUNT(*) FROM deliveries d WHERE d.ended_at IS NULL)",
    )
    .fetch_one(connection)
    .await?;
    Ok(counted)
}

/// Version and checksum of each step of the schema that was taken.
pub async fn schema(connection: &mut Connection) -> Result<Vec<(i64, Vec<u8>, bool)>, StoreError> {
    let steps = sqlx::query_as("SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version")
        .fetch_all(connection)
        .await?;
    Ok(steps)
}
