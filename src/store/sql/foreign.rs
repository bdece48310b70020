//! Which events of other systems were taken, and under which of our ids.

use sqlx::{QueryBuilder, Row as _};

use super::{Connection, Db, Row};
use crate::domain::foreign::ForeignEventId;
use crate::domain::ids::{SampleId, ViolationId};
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
