//! Samples, as they were judged.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{QueryBuilder, Row as _};

use super::{Connection, Db, Row, push_ids, push_known_id, push_not_deleted};
use crate::domain::foreign::Origin;
use crate::domain::ids::{CharacteristicId, SampleId};
use crate::domain::sample::{Judgement, Sample, SampleKey, Subgroup};
use crate::store::rows::{
    Cause, corrupt, count, doubles_from_blob, from_name, from_optional_name, id, name_of, optional_count,
    time,
};
use crate::store::samples::{
    KeyedSample, NeighbourFilter, Neighbours, RecentFilter, RecentSample, Rejudged, SampleFilter,
    SampleRecord,
};
use crate::store::{Page, Paged, StoreError};

const COLUMNS: &str = "s.id, s.seq, s.characteristic_id, s.at, s.received_at, s.measurements, s.n, s.value, \
    s.range_value, s.std_dev, s.dispersion_value, s.limits_id, s.zone, s.in_control, s.ucl, s.center_line, s.lcl, \
    s.out_of_spec, s.is_excluded, s.mode, s.key, s.source, s.external_id, s.batch, s.operator, s.metadata";

/// What counts for judging and estimating: not only stored, and judged here.
const COUNTS: &str = " AND s.mode <> 'store' AND s.source IS NULL";

fn select() -> QueryBuilder<'static, Db> {
    let mut select = QueryBuilder::new("SELECT ");
    select.push(COLUMNS).push(" FROM samples s");
    select
}

pub async fn measured_at(
    connection: &mut Connection,
    ids: &[SampleId],
) -> Result<HashMap<SampleId, DateTime<Utc>>, StoreError> {
    let mut select = QueryBuilder::<Db>::new("SELECT s.id, s.at FROM samples s WHERE s.id IN ");
    push_ids(&mut select, "(", ids.iter().map(|id| id.get()));
    let rows: Vec<(i64, i64)> = select.build_query_as().fetch_all(connection).await?;
    let measured = |(row_id, at)| corrupt("samples", row_id, id(row_id).and_then(|id| Ok((id, time(at)?))));
    rows.into_iter().map(measured).collect()
}

pub async fn one(connection: &mut Connection, id: SampleId) -> Result<Option<SampleRecord>, StoreError> {
    let mut select = select();
    select.push(" WHERE s.id = ").push_bind(id.get()).push(" AND ");
    push_not_deleted(&mut select, "s.characteristic_id");
    let row = select.build().fetch_optional(connection).await?;
    row.as_ref().map(record_from).transpose()
}

pub async fn total(connection: &mut Connection, filter: &SampleFilter) -> Result<u64, StoreError> {
    let mut count = QueryBuilder::<Db>::new("SELECT COUNT(*) FROM samples s");
    push_filter(&mut count, filter);
    let total: i64 = count.build_query_scalar().fetch_one(connection).await?;
    Ok(total as u64)
}

pub async fn newest(
    connection: &mut Connection,
    filter: &SampleFilter,
    page: Page,
) -> Result<Vec<Sample>, StoreError> {
    let mut select = select();
    push_filter(&mut select, filter);
    select.push(" ORDER BY s.id DESC LIMIT ").push_bind(i64::from(page.limit));
    select.push(" OFFSET ").push_bind(page.offset as i64);
    let rows = select.build().fetch_all(connection).await?;
    rows.iter().map(sample_from).collect()
}

pub async fn page(
    connection: &mut Connection,
    filter: &SampleFilter,
    page: Page,
) -> Result<Paged<Sample>, StoreError> {
    let total = total(connection, filter).await?;
    Ok(Paged { items: newest(connection, filter, page).await?, total })
}

pub async fn newest_of_each(
    connection: &mut Connection,
    ids: &[CharacteristicId],
) -> Result<HashMap<CharacteristicId, Sample>, StoreError> {
    let mut select = select();
    select.push(
        " WHERE s.id IN (SELECT (SELECT max(n.id) FROM samples n WHERE n.characteristic_id = c.id) \
         FROM characteristics c",
    );
    push_ids(&mut select, " WHERE c.id IN (", ids.iter().map(|id| id.get()));
    select.push(")");
    let rows = select.build().fetch_all(connection).await?;
    rows.iter().map(|row| sample_from(row).map(|sample| (sample.characteristic_id, sample))).collect()
}

/// Oldest first, excluded ones included.
pub async fn recent(
    connection: &mut Connection,
    filter: &RecentFilter,
) -> Result<Vec<RecentSample>, StoreError> {
    let mut select = QueryBuilder::<Db>::new(
        "SELECT s.id, s.n, s.value, s.range_value, s.std_dev, s.is_excluded FROM samples s \
         WHERE s.characteristic_id = ",
    );
    select.push_bind(filter.characteristic_id.get()).push(COUNTS);
    if let Some(since) = filter.since {
        select.push(" AND s.id >= ").push_bind(since.get());
    }
    if let Some(from) = filter.from {
        select.push(" AND s.at >= ").push_bind(from.timestamp_micros());
    }
    if let Some(to) = filter.to {
        select.push(" AND s.at < ").push_bind(to.timestamp_micros());
    }
    select.push(" ORDER BY s.id DESC LIMIT ").push_bind(i64::from(filter.newest));
    let rows = select.build().fetch_all(connection).await?;
    rows.iter().rev().map(recent_from).collect()
}

/// The points of one phase around a sample, without itself and without excluded ones; and which excluded ones
/// stand among them. A phase is a stretch of its own: what lies beyond its ends is not searched for more of it.
pub async fn neighbours(
    connection: &mut Connection,
    filter: &NeighbourFilter,
) -> Result<Neighbours, StoreError> {
    let around = filter.around.get();
    let that_count = |query: &mut QueryBuilder<Db>| {
        query.push(" WHERE s.characteristic_id = ").push_bind(filter.characteristic_id.get()).push(COUNTS);
    };
    let is_of_phase = |sample: &Result<Sample, StoreError>| match sample {
        Ok(sample) => sample.judgement.and_then(|judgement| judgement.limits_id) == filter.limits_id,
        Err(_) => true,
    };
    let mut before = select();
    that_count(&mut before);
    before.push(" AND NOT s.is_excluded AND s.id < ").push_bind(around);
    before.push(" ORDER BY s.id DESC LIMIT ").push_bind(i64::from(filter.before));
    let rows = before.build().fetch_all(&mut *connection).await?;
    let before = rows.iter().map(sample_from).take_while(is_of_phase);
    let mut before: Vec<Sample> = before.collect::<Result<_, _>>()?;
    before.reverse();

    let mut after = select();
    that_count(&mut after);
    after.push(" AND NOT s.is_excluded AND s.id > ").push_bind(around);
    after.push(" ORDER BY s.id LIMIT ").push_bind(i64::from(filter.after));
    let rows = after.build().fetch_all(&mut *connection).await?;
    let after = rows.iter().map(sample_from).take_while(is_of_phase);
    let after: Vec<Sample> = after.collect::<Result<_, _>>()?;

    let first = before.first().map_or(around, |sample| sample.id.get());
    let last = after.last().map_or(around, |sample| sample.id.get());
    let mut excluded = QueryBuilder::<Db>::new("SELECT s.id FROM samples s");
    that_count(&mut excluded);
    excluded.push(" AND s.is_excluded AND s.id > ").push_bind(first);
    excluded.push(" AND s.id < ").push_bind(last).push(" AND s.id <> ").push_bind(around);
    excluded.push(" ORDER BY s.id");
    let raw: Vec<i64> = excluded.build_query_scalar().fetch_all(connection).await?;
    let excluded = raw.into_iter().map(|raw| corrupt("samples", raw, id(raw))).collect::<Result<_, _>>()?;
    Ok(Neighbours { before, after, excluded })
}

/// Whether the newest judged sample signalled; `None` if there is none.
pub async fn is_signalling(
    connection: &mut Connection,
    id: CharacteristicId,
) -> Result<Option<bool>, StoreError> {
    let in_control: Option<bool> = sqlx::query_scalar(
        "SELECT in_control FROM samples WHERE characteristic_id = $1 AND in_control IS NOT NULL \
         AND NOT is_excluded ORDER BY id DESC LIMIT 1",
    )
    .bind(id.get())
    .fetch_optional(connection)
    .await?;
    Ok(in_control.map(|in_control| !in_control))
}

pub async fn by_key(
    connection: &mut Connection,
    wanted: &[KeyedSample],
) -> Result<Vec<SampleRecord>, StoreError> {
    let mut found = Vec::new();
    for wanted in wanted.chunks(500) {
        let mut query = QueryBuilder::<Db>::new("WITH wanted(characteristic_id, key) AS (");
        query.push_values(wanted, |mut row, wanted| {
            row.push_bind(wanted.characteristic_id.get()).push_bind(wanted.key.as_str().to_owned());
        });
        query.push(") SELECT ").push(COLUMNS);
        query.push(
            " FROM wanted w JOIN samples s ON s.characteristic_id = w.characteristic_id AND s.key = w.key",
        );
        for row in query.build().fetch_all(&mut *connection).await? {
            found.push(record_from(&row)?);
        }
    }
    Ok(found)
}

pub async fn set_excluded(
    connection: &mut Connection,
    id: SampleId,
    is_excluded: bool,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE samples SET is_excluded = $1 WHERE id = $2")
        .bind(is_excluded)
        .bind(id.get())
        .execute(connection)
        .await?;
    Ok(())
}

/// Stores what judging a sample again has found.
pub async fn update_verdict(
    connection: &mut Connection,
    id: SampleId,
    rejudged: &Rejudged,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE samples SET in_control = $1, zone = $2, dispersion_value = $3 WHERE id = $4")
        .bind(rejudged.in_control)
        .bind(rejudged.zone.as_ref().map(name_of))
        .bind(rejudged.dispersion_value)
        .bind(id.get())
        .execute(connection)
        .await?;
    Ok(())
}

fn push_filter(query: &mut QueryBuilder<Db>, filter: &SampleFilter) {
    match filter.characteristic_id {
        Some(id) => {
            query.push(" WHERE s.characteristic_id = ");
            push_known_id(query, id.get());
        }
        // What is deleted is removed in small steps: until then, nobody sees it.
        None => {
            query.push(" WHERE s.characteristic_id NOT IN (SELECT id FROM characteristics WHERE deleted)");
        }
    }
    if let Some(from) = filter.from {
        query.push(" AND s.at >= ").push_bind(from.timestamp_micros());
    }
    if let Some(to) = filter.to {
        query.push(" AND s.at < ").push_bind(to.timestamp_micros());
    }
}

fn subgroup_from(row: &Row) -> Result<Subgroup, Cause> {
    Ok(Subgroup {
        n: count(row.try_get("n")?)?,
        mean: row.try_get("value")?,
        range: row.try_get("range_value")?,
        std_dev: row.try_get("std_dev")?,
    })
}

fn recent_from(row: &Row) -> Result<RecentSample, StoreError> {
    let raw: i64 = row.try_get("id")?;
    let read = || -> Result<_, Cause> {
        let is_excluded = row.try_get("is_excluded")?;
        Ok(RecentSample { id: id(raw)?, subgroup: subgroup_from(row)?, is_excluded })
    };
    corrupt("samples", raw, read())
}

fn record_from(row: &Row) -> Result<SampleRecord, StoreError> {
    Ok(SampleRecord { sample: sample_from(row)?, seq: row.try_get::<i64, _>("seq")? as u64 })
}

fn sample_from(row: &Row) -> Result<Sample, StoreError> {
    let row_id: i64 = row.try_get("id")?;
    let read = || -> Result<_, Cause> {
        let judgement = match row.try_get::<Option<bool>, _>("in_control")? {
            Some(in_control) => Some(Judgement {
                limits_id: row.try_get::<Option<i64>, _>("limits_id")?.map(id).transpose()?,
                zone: from_optional_name(row.try_get("zone")?)?,
                in_control,
                ucl: row.try_get("ucl")?,
                center_line: row.try_get("center_line")?,
                lcl: row.try_get("lcl")?,
            }),
            None => None,
        };
        let origin = match row.try_get::<Option<String>, _>("source")? {
            Some(source) => Some(Origin { source, external_id: row.try_get("external_id")? }),
            None => None,
        };
        Ok(Sample {
            id: id(row_id)?,
            characteristic_id: id(row.try_get("characteristic_id")?)?,
            measurements: doubles_from_blob(row.try_get("measurements")?)?,
            subgroup: subgroup_from(row)?,
            dispersion_value: row.try_get("dispersion_value")?,
            timestamp: time(row.try_get("at")?)?,
            received_at: time(row.try_get("received_at")?)?,
            judgement,
            out_of_spec: optional_count(row.try_get("out_of_spec")?)?,
            is_excluded: row.try_get("is_excluded")?,
            mode: from_name(row.try_get("mode")?)?,
            key: row.try_get::<Option<String>, _>("key")?.map(SampleKey::new).transpose()?,
            origin,
            batch: row.try_get("batch")?,
            operator: row.try_get("operator")?,
            metadata: row.try_get("metadata")?,
        })
    };
    corrupt("samples", row_id, read())
}
