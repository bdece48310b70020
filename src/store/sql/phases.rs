//! Control limits: each set of them is a phase of its characteristic.

use std::collections::HashMap;

use sqlx::{QueryBuilder, Row as _};

use super::{Connection, Db, Row, push_ids};
use crate::domain::ids::{CharacteristicId, LimitsId};
use crate::domain::limits::{ControlLimits, DispersionLimits, LimitValues};
use crate::domain::phase::{BaselineRange, Phase};
use crate::store::rows::{corrupt, count, from_name, from_optional_name, id, name_of, time};
use crate::store::{Page, Paged, StoreError};

const SELECT: &str = "SELECT id, characteristic_id, subgroup_size, center_line, ucl, lcl, sigma, \
    dispersion_statistic, dispersion_center_line, dispersion_ucl, dispersion_lcl, method, sample_count, \
    first_sample_id, last_sample_id, from_sample_id, provisional, at, reason, set_by FROM control_limits";

pub async fn page(
    connection: &mut Connection,
    id: CharacteristicId,
    page: Page,
) -> Result<Paged<Phase>, StoreError> {
    let total: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM control_limits WHERE characteristic_id = $1")
        .bind(id.get())
        .fetch_one(&mut *connection)
        .await?;
    let mut select = QueryBuilder::<Db>::new(SELECT);
    select.push(" WHERE characteristic_id = ").push_bind(id.get());
    select.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(page.limit));
    select.push(" OFFSET ").push_bind(page.offset as i64);
    let rows = select.build().fetch_all(connection).await?;
    let items = rows.iter().map(phase_from).collect::<Result<_, _>>()?;
    Ok(Paged { items, total: total as u64 })
}

pub async fn by_id(
    connection: &mut Connection,
    ids: Vec<LimitsId>,
) -> Result<HashMap<LimitsId, Phase>, StoreError> {
    let mut select = QueryBuilder::<Db>::new(SELECT);
    push_ids(&mut select, " WHERE id IN (", ids.into_iter().map(LimitsId::get));
    let rows = select.build().fetch_all(connection).await?;
    rows.iter().map(|row| phase_from(row).map(|phase| (phase.id, phase))).collect()
}

pub async fn one(connection: &mut Connection, id: LimitsId) -> Result<Option<Phase>, StoreError> {
    let mut select = QueryBuilder::<Db>::new(SELECT);
    select.push(" WHERE id = ").push_bind(id.get());
    let row = select.build().fetch_optional(connection).await?;
    row.as_ref().map(phase_from).transpose()
}

/// Adds control limits and puts them in force.
pub async fn insert(connection: &mut Connection, phase: &Phase) -> Result<(), StoreError> {
    let (limits, dispersion, baseline) = (&phase.limits, phase.dispersion, phase.baseline);
    let mut insert = QueryBuilder::<Db>::new(
        "INSERT INTO control_limits (id, characteristic_id, subgroup_size, center_line, ucl, lcl, sigma, \
         dispersion_statistic, dispersion_center_line, dispersion_ucl, dispersion_lcl, method, provisional, \
         sample_count, first_sample_id, last_sample_id, from_sample_id, at, reason, set_by) VALUES (",
    );
    let mut values = insert.separated(", ");
    values.push_bind(phase.id.get()).push_bind(phase.characteristic_id.get());
    values.push_bind(i64::from(limits.subgroup_size())).push_bind(limits.center_line());
    values.push_bind(limits.ucl()).push_bind(limits.lcl()).push_bind(limits.sigma());
    values.push_bind(dispersion.map(|d| name_of(&d.statistic))).push_bind(dispersion.map(|d| d.center_line));
    values.push_bind(dispersion.map(|d| d.ucl)).push_bind(dispersion.map(|d| d.lcl));
    values.push_bind(name_of(&phase.method)).push_bind(phase.is_provisional);
    values.push_bind(baseline.map(|b| i64::from(b.sample_count)));
    values.push_bind(baseline.map(|b| b.first_sample_id.get()));
    values.push_bind(baseline.map(|b| b.last_sample_id.get()));
    values.push_bind(phase.from_sample_id.get()).push_bind(phase.timestamp.timestamp_micros());
    values.push_bind(phase.reason.clone()).push_bind(phase.user.clone());
    insert.push(")");
    insert.build().execute(&mut *connection).await?;
    sqlx::query("UPDATE characteristics SET limits_id = $1, phase_from = $2 WHERE id = $3")
        .bind(phase.id.get())
        .bind(phase.from_sample_id.get())
        .bind(phase.characteristic_id.get())
        .execute(connection)
        .await?;
    Ok(())
}

fn phase_from(row: &Row) -> Result<Phase, StoreError> {
    let row_id: i64 = row.try_get("id")?;
    let read = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
        let limits = ControlLimits::new(LimitValues {
            center_line: row.try_get("center_line")?,
            ucl: row.try_get("ucl")?,
            lcl: row.try_get("lcl")?,
            sigma: row.try_get("sigma")?,
            subgroup_size: count(row.try_get("subgroup_size")?)?,
        })?;
        let dispersion = match from_optional_name(row.try_get("dispersion_statistic")?)? {
            Some(statistic) => Some(DispersionLimits {
                statistic,
                center_line: row.try_get("dispersion_center_line")?,
                ucl: row.try_get("dispersion_ucl")?,
                lcl: row.try_get("dispersion_lcl")?,
            }),
            None => None,
        };
        let baseline = match row.try_get::<Option<i64>, _>("first_sample_id")? {
            Some(first) => Some(BaselineRange {
                first_sample_id: id(first)?,
                last_sample_id: id(row.try_get("last_sample_id")?)?,
                sample_count: count(row.try_get("sample_count")?)?,
            }),
            None => None,
        };
        Ok(Phase {
            id: id(row_id)?,
            characteristic_id: id(row.try_get("characteristic_id")?)?,
            limits,
            dispersion,
            method: from_name(row.try_get("method")?)?,
            baseline,
            is_provisional: row.try_get("provisional")?,
            from_sample_id: id(row.try_get("from_sample_id")?)?,
            timestamp: time(row.try_get("at")?)?,
            reason: row.try_get("reason")?,
            user: row.try_get("set_by")?,
        })
    };
    corrupt("control_limits", row_id, read())
}
