//! Which events of other systems were taken, and under which of our ids.

use std::collections::HashMap;

use sqlx::{QueryBuilder, Row as _};

use super::{Connection, Db, Row, push_not_deleted};
use crate::domain::foreign::ForeignEventId;
use crate::domain::ids::{CharacteristicId, SampleId, ViolationId};
use crate::store::StoreError;
use crate::store::foreign::Taken;
use crate::store::rows::{corrupt, id};

pub async fn find(connection: &mut Connection, event: &ForeignEventId) -> Result<Option<Taken>, StoreError> {
    let row = sqlx::query(
        "SELECT sample_id, violation_id, limits_id, seq FROM foreign_events WHERE source = $1 AND id = $2",
    )
    .bind(&event.source)
    .bind(&event.id)
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(taken_from).transpose()
}

fn taken_from(row: &Row) -> Result<Taken, StoreError> {
    let read = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Taken {
            sample_id: row.try_get::<Option<i64>, _>("sample_id")?.map(id).transpose()?,
            violation_id: row.try_get::<Option<i64>, _>("violation_id")?.map(id).transpose()?,
            limits_id: row.try_get::<Option<i64>, _>("limits_id")?.map(id).transpose()?,
            seq: row.try_get::<Option<i64>, _>("seq")?.map(|seq| seq as u64),
        })
    };
    corrupt("foreign_events", 0, read())
}

pub async fn insert(
    connection: &mut Connection,
    event: &ForeignEventId,
    taken: &Taken,
    at_micros: i64,
) -> Result<(), StoreError> {
    let mut insert = QueryBuilder::<Db>::new(
        "INSERT INTO foreign_events (source, id, sample_id, violation_id, limits_id, seq, at) VALUES (",
    );
    let mut values = insert.separated(", ");
    values.push_bind(event.source.clone()).push_bind(event.id.clone());
    values.push_bind(taken.sample_id.map(SampleId::get)).push_bind(taken.violation_id.map(ViolationId::get));
    values.push_bind(taken.limits_id.map(|id| id.get())).push_bind(taken.seq.map(|seq| seq as i64));
    values.push_bind(at_micros);
    insert.push(")");
    insert.build().execute(connection).await?;
    Ok(())
}

pub async fn sample_id(
    connection: &mut Connection,
    source: &str,
    external_id: &str,
) -> Result<Option<SampleId>, StoreError> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT id FROM samples WHERE source = $1 AND external_id = $2")
            .bind(source)
            .bind(external_id)
            .fetch_optional(connection)
            .await?;
    found.map(|raw| corrupt("samples", raw, id(raw))).transpose()
}

/// Those of these samples that are known, each with its characteristic.
pub async fn samples(
    connection: &mut Connection,
    source: &str,
    external_ids: &[String],
) -> Result<HashMap<String, (SampleId, CharacteristicId)>, StoreError> {
    let mut select = QueryBuilder::<Db>::new("SELECT external_id, id, characteristic_id FROM samples WHERE ");
    push_not_deleted(&mut select, "characteristic_id");
    select.push(" AND source = ").push_bind(source.to_owned()).push(" AND external_id IN (");
    let mut list = select.separated(", ");
    for external_id in external_ids {
        list.push_bind(external_id.clone());
    }
    select.push(")");
    let rows: Vec<(String, i64, i64)> = select.build_query_as().fetch_all(connection).await?;
    rows.into_iter()
        .map(|(external_id, sample, of)| {
            Ok((external_id, (corrupt("samples", sample, id(sample))?, corrupt("samples", sample, id(of))?)))
        })
        .collect()
}

/// Lets go of another system's id of a sample of a deleted characteristic, whose row is still to be removed.
pub async fn release_sample(connection: &mut Connection, sample: SampleId) -> Result<(), StoreError> {
    let update = sqlx::query("UPDATE samples SET external_id = NULL WHERE id = $1").bind(sample.get());
    update.execute(connection).await?;
    Ok(())
}

/// Lets go of another system's id of a violation of a deleted characteristic, whose row is still to be removed.
pub async fn release_violation(
    connection: &mut Connection,
    violation: ViolationId,
) -> Result<(), StoreError> {
    let update = sqlx::query("UPDATE violations SET external_id = NULL WHERE id = $1").bind(violation.get());
    update.execute(connection).await?;
    Ok(())
}

pub async fn violation_id(
    connection: &mut Connection,
    source: &str,
    external_id: &str,
) -> Result<Option<ViolationId>, StoreError> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT id FROM violations WHERE source = $1 AND external_id = $2")
            .bind(source)
            .bind(external_id)
            .fetch_optional(connection)
            .await?;
    found.map(|raw| corrupt("violations", raw, id(raw))).transpose()
}
