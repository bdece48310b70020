//! Control limits: each set of them is a phase of its characteristic.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteExecutor};

use crate::domain::ids::{CharacteristicId, LimitsId};
use crate::domain::limits::{ControlLimits, DispersionLimits, LimitValues};
use crate::domain::phase::{BaselineRange, Phase};
use crate::store::rows::{corrupt, from_name, from_optional_name, id, name_of, push_ids, time};
use crate::store::{Page, Paged, Store, StoreError, Transaction};

const SELECT: &str = "SELECT id, characteristic_id, subgroup_size, center_line, ucl, lcl, sigma, \
    dispersion_statistic, dispersion_center_line, dispersion_ucl, dispersion_lcl, method, sample_count, \
    first_sample_id, last_sample_id, at, reason, user FROM control_limits";

impl Store {
    /// All limits a characteristic has had, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn phases(&self, id: CharacteristicId, page: Page) -> Result<Paged<Phase>, StoreError> {
        let total: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM control_limits WHERE characteristic_id = ?")
                .bind(id.get())
                .fetch_one(&self.readers)
                .await?;
        let mut select = QueryBuilder::<Sqlite>::new(SELECT);
        select.push(" WHERE characteristic_id = ").push_bind(id.get());
        select
            .push(" ORDER BY id DESC LIMIT ")
            .push_bind(page.limit)
            .push(" OFFSET ")
            .push_bind(page.offset as i64);
        let rows = select.build().fetch_all(&self.readers).await?;
        let items = rows.iter().map(phase_from).collect::<Result<_, _>>()?;
        Ok(Paged { items, total: total as u64 })
    }

    /// These limits, as far as they exist.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn phases_by_id(
        &self,
        ids: impl IntoIterator<Item = LimitsId>,
    ) -> Result<HashMap<LimitsId, Phase>, StoreError> {
        let mut select = QueryBuilder::<Sqlite>::new(SELECT);
        push_ids(&mut select, " WHERE id IN (", ids.into_iter().map(LimitsId::get));
        let rows = select.build().fetch_all(&self.readers).await?;
        rows.iter().map(|row| phase_from(row).map(|phase| (phase.id, phase))).collect()
    }
}

impl Transaction {
    /// Adds control limits and puts them in force.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert_phase(&mut self, phase: &Phase) -> Result<(), StoreError> {
        self.touch();
        let written = insert_phase(self.connection(), phase).await;
        self.note(written)
    }
}

async fn insert_phase(connection: &mut sqlx::SqliteConnection, phase: &Phase) -> Result<(), StoreError> {
    let (limits, dispersion, baseline) = (&phase.limits, phase.dispersion, phase.baseline);
    sqlx::query(
        "INSERT INTO control_limits (id, characteristic_id, subgroup_size, center_line, ucl, lcl, sigma, \
         dispersion_statistic, dispersion_center_line, dispersion_ucl, dispersion_lcl, method, sample_count, \
         first_sample_id, last_sample_id, at, reason, user) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(phase.id.get())
    .bind(phase.characteristic_id.get())
    .bind(limits.subgroup_size())
    .bind(limits.center_line())
    .bind(limits.ucl())
    .bind(limits.lcl())
    .bind(limits.sigma())
    .bind(dispersion.map(|d| name_of(&d.statistic)))
    .bind(dispersion.map(|d| d.center_line))
    .bind(dispersion.map(|d| d.ucl))
    .bind(dispersion.map(|d| d.lcl))
    .bind(name_of(&phase.method))
    .bind(baseline.map(|b| b.sample_count))
    .bind(baseline.map(|b| b.first_sample_id.get()))
    .bind(baseline.map(|b| b.last_sample_id.get()))
    .bind(phase.timestamp.timestamp_micros())
    .bind(&phase.reason)
    .bind(&phase.user)
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE characteristics SET limits_id = ? WHERE id = ?")
        .bind(phase.id.get())
        .bind(phase.characteristic_id.get())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn read_phase(
    executor: impl SqliteExecutor<'_>,
    id: LimitsId,
) -> Result<Option<Phase>, StoreError> {
    let mut select = QueryBuilder::<Sqlite>::new(SELECT);
    select.push(" WHERE id = ").push_bind(id.get());
    let row = select.build().fetch_optional(executor).await?;
    row.as_ref().map(phase_from).transpose()
}

fn phase_from(row: &SqliteRow) -> Result<Phase, StoreError> {
    let row_id: i64 = row.try_get("id")?;
    let read = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
        let limits = ControlLimits::new(LimitValues {
            center_line: row.try_get("center_line")?,
            ucl: row.try_get("ucl")?,
            lcl: row.try_get("lcl")?,
            sigma: row.try_get("sigma")?,
            subgroup_size: row.try_get("subgroup_size")?,
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
                sample_count: row.try_get("sample_count")?,
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
            timestamp: time(row.try_get("at")?)?,
            reason: row.try_get("reason")?,
            user: row.try_get("user")?,
        })
    };
    corrupt("control_limits", row_id, read())
}
