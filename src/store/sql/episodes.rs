//! Episodes. They are written in bulk, with the batch that they are of.

use sqlx::{QueryBuilder, Row as _};

use super::{Connection, Db, Row, acknowledgement_from, push_group, push_known_id, push_not_deleted};
use crate::domain::episode::{Closing, Episode, EpisodeStatus};
use crate::domain::ids::{CharacteristicId, EpisodeId};
use crate::store::episodes::EpisodeFilter;
use crate::store::rows::{Cause, corrupt, count, from_name, id, name_of, patterns_from, time};
use crate::store::{Page, Paged, StoreError};

const SELECT: &str = "SELECT e.id, e.characteristic_id, e.severity, e.patterns, e.violations, e.holding, \
    e.unacknowledged, e.first_violation_id, e.newest_violation_id, e.opened_at, e.heard_at, e.points_in_control, \
    e.points_since_answer, e.ack_user, e.ack_reason, e.ack_comment, e.ack_at, e.ack_source, e.lapsed_at, e.closed_at, \
    e.closing_reason FROM episodes e";

pub async fn one(connection: &mut Connection, id: EpisodeId) -> Result<Option<Episode>, StoreError> {
    let mut select = QueryBuilder::<Db>::new(SELECT);
    select.push(" WHERE e.id = ").push_bind(id.get()).push(" AND ");
    push_not_deleted(&mut select, "e.characteristic_id");
    let row = select.build().fetch_optional(connection).await?;
    row.as_ref().map(episode_from).transpose()
}

pub async fn open_of(
    connection: &mut Connection,
    of: CharacteristicId,
) -> Result<Option<Episode>, StoreError> {
    let mut select = QueryBuilder::<Db>::new(SELECT);
    select.push(" WHERE e.closed_at IS NULL AND e.characteristic_id = ").push_bind(of.get());
    let row = select.build().fetch_optional(connection).await?;
    row.as_ref().map(episode_from).transpose()
}

pub async fn page(
    connection: &mut Connection,
    filter: &EpisodeFilter,
    page: Page,
) -> Result<Paged<Episode>, StoreError> {
    let mut count = QueryBuilder::<Db>::new("SELECT COUNT(*) FROM episodes e");
    push_filter(&mut count, filter);
    let total: i64 = count.build_query_scalar().fetch_one(&mut *connection).await?;
    let mut select = QueryBuilder::<Db>::new(SELECT);
    push_filter(&mut select, filter);
    select.push(" ORDER BY e.id DESC LIMIT ").push_bind(i64::from(page.limit));
    select.push(" OFFSET ").push_bind(page.offset as i64);
    let rows = select.build().fetch_all(connection).await?;
    let items = rows.iter().map(episode_from).collect::<Result<_, _>>()?;
    Ok(Paged { items, total: total as u64 })
}

fn push_filter(query: &mut QueryBuilder<Db>, filter: &EpisodeFilter) {
    match filter.characteristic_id {
        Some(id) => {
            query.push(" WHERE e.characteristic_id = ");
            push_known_id(query, id.get());
        }
        None => {
            query.push(" WHERE e.characteristic_id NOT IN (SELECT id FROM characteristics WHERE deleted)");
        }
    }
    match filter.status {
        Some(EpisodeStatus::Open) => drop(query.push(" AND e.closed_at IS NULL")),
        Some(EpisodeStatus::Closed) => drop(query.push(" AND e.closed_at IS NOT NULL")),
        None => {}
    }
    match filter.acknowledged {
        Some(true) => drop(query.push(" AND e.ack_at IS NOT NULL")),
        Some(false) => drop(query.push(" AND e.ack_at IS NULL")),
        None => {}
    }
    if let Some(severity) = &filter.severity {
        query.push(" AND e.severity = ").push_bind(name_of(severity));
    }
    if let Some(group) = &filter.group {
        query.push(" AND e.characteristic_id IN (SELECT id FROM characteristics WHERE ");
        push_group(query, group);
        query.push(")");
    }
    if let Some(from) = filter.from {
        query.push(" AND e.opened_at >= ").push_bind(from.timestamp_micros());
    }
    if let Some(to) = filter.to {
        query.push(" AND e.opened_at < ").push_bind(to.timestamp_micros());
    }
}

fn episode_from(row: &Row) -> Result<Episode, StoreError> {
    let row_id: i64 = row.try_get("id")?;
    let read = || -> Result<_, Cause> {
        let number = |column| -> Result<u64, Cause> { Ok(u64::try_from(row.try_get::<i64, _>(column)?)?) };
        let maybe_time = |column| row.try_get::<Option<i64>, _>(column)?.map(time).transpose();
        let closing = match maybe_time("closed_at")? {
            Some(at) => Some(Closing { at, reason: from_name(row.try_get("closing_reason")?)? }),
            None => None,
        };
        Ok(Episode {
            id: id(row_id)?,
            characteristic_id: id(row.try_get("characteristic_id")?)?,
            severity: from_name(row.try_get("severity")?)?,
            patterns: patterns_from(row.try_get("patterns")?)?,
            violations: number("violations")?,
            holding: number("holding")?,
            unacknowledged: number("unacknowledged")?,
            first_violation_id: id(row.try_get("first_violation_id")?)?,
            newest_violation_id: id(row.try_get("newest_violation_id")?)?,
            opened_at: time(row.try_get("opened_at")?)?,
            heard_at: time(row.try_get("heard_at")?)?,
            points_in_control: count(row.try_get("points_in_control")?)?,
            points_since_answer: count(row.try_get("points_since_answer")?)?,
            acknowledgement: acknowledgement_from(row)?,
            lapsed_at: maybe_time("lapsed_at")?,
            closing,
        })
    };
    corrupt("episodes", row_id, read())
}
