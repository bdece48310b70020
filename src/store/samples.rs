//! Samples, as they were judged when they arrived.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteExecutor};

use crate::domain::ids::{CharacteristicId, LimitsId, SampleId};
use crate::domain::sample::{Judgement, Sample, Subgroup};
use crate::store::rows::{corrupt, doubles_from_blob, from_name, id, time};
use crate::store::{Page, Paged, Store, StoreError, Transaction};

/// Which samples a list holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SampleFilter {
    /// Those of this characteristic.
    pub characteristic_id: Option<CharacteristicId>,
    /// Measured at or after.
    pub from: Option<DateTime<Utc>>,
    /// Measured before.
    pub to: Option<DateTime<Utc>>,
}

/// As much of a past sample as judging and estimating need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecentSample {
    /// Its id.
    pub id: SampleId,
    /// What was plotted.
    pub subgroup: Subgroup,
    /// Counts as never taken.
    pub is_excluded: bool,
}

/// Which past samples `recent_samples` reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecentFilter {
    /// Whose.
    pub characteristic_id: CharacteristicId,
    /// Those judged by these limits (`Some(None)`: by none); `None`: of any phase.
    pub phase: Option<Option<LimitsId>>,
    /// Measured at or after.
    pub from: Option<DateTime<Utc>>,
    /// Measured before.
    pub to: Option<DateTime<Utc>>,
    /// The newest so many.
    pub newest: u32,
}

const SELECT: &str = "SELECT s.id, s.characteristic_id, s.at, s.received_at, s.measurements, s.n, s.value, \
    s.range_value, s.std_dev, s.dispersion_value, s.limits_id, s.zone, s.in_control, s.ucl, s.center_line, s.lcl, \
    s.out_of_spec, s.is_excluded, s.batch, s.operator, s.metadata FROM samples s WHERE TRUE";

impl Store {
    /// One sample.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sample(&self, id: SampleId) -> Result<Option<Sample>, StoreError> {
        let mut select = QueryBuilder::<Sqlite>::new(SELECT);
        select.push(" AND s.id = ").push_bind(id.get());
        let row = select.build().fetch_optional(&self.readers).await?;
        row.as_ref().map(sample_from).transpose()
    }

    /// A page of samples, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn samples(&self, filter: &SampleFilter, page: Page) -> Result<Paged<Sample>, StoreError> {
        let mut count = QueryBuilder::<Sqlite>::new("SELECT COUNT(*) FROM samples s WHERE TRUE");
        push_filter(&mut count, filter);
        let total: i64 = count.build_query_scalar().fetch_one(&self.readers).await?;
        Ok(Paged { items: self.newest(filter, page).await?, total: total as u64 })
    }

    /// The same without counting all of them, which takes its time in a long history.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn newest(&self, filter: &SampleFilter, page: Page) -> Result<Vec<Sample>, StoreError> {
        let mut select = QueryBuilder::<Sqlite>::new(SELECT);
        push_filter(&mut select, filter);
        select.push(" ORDER BY s.id DESC LIMIT ").push_bind(page.limit);
        select.push(" OFFSET ").push_bind(page.offset as i64);
        let rows = select.build().fetch_all(&self.readers).await?;
        rows.iter().map(sample_from).collect()
    }

    /// The newest sample of each of these characteristics that has one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn newest_samples(
        &self,
        ids: &[CharacteristicId],
    ) -> Result<HashMap<CharacteristicId, Sample>, StoreError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let mut select = QueryBuilder::<Sqlite>::new(SELECT);
        select.push(
            " AND s.id IN (SELECT (SELECT max(n.id) FROM samples n WHERE n.characteristic_id = c.id) \
             FROM characteristics c WHERE c.id IN (",
        );
        let mut list = select.separated(", ");
        for id in ids {
            list.push_bind(id.get());
        }
        select.push("))");
        let rows = select.build().fetch_all(&self.readers).await?;
        rows.iter().map(|row| sample_from(row).map(|sample| (sample.characteristic_id, sample))).collect()
    }
}

impl Store {
    /// Past samples, oldest first, excluded ones included.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recent_samples(&self, filter: &RecentFilter) -> Result<Vec<RecentSample>, StoreError> {
        read_recent(&self.readers, filter).await
    }
}

impl Transaction {
    /// The same, as this transaction sees them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recent_samples(&mut self, filter: &RecentFilter) -> Result<Vec<RecentSample>, StoreError> {
        let read = read_recent(self.connection(), filter).await;
        self.note(read)
    }
}

async fn read_recent(
    executor: impl SqliteExecutor<'_>,
    filter: &RecentFilter,
) -> Result<Vec<RecentSample>, StoreError> {
    let mut select = QueryBuilder::<Sqlite>::new(
        "SELECT id, n, value, range_value, std_dev, is_excluded FROM samples WHERE characteristic_id = ",
    );
    select.push_bind(filter.characteristic_id.get());
    if let Some(phase) = filter.phase {
        select.push(" AND limits_id IS ").push_bind(phase.map(LimitsId::get));
    }
    if let Some(from) = filter.from {
        select.push(" AND at >= ").push_bind(from.timestamp_micros());
    }
    if let Some(to) = filter.to {
        select.push(" AND at < ").push_bind(to.timestamp_micros());
    }
    select.push(" ORDER BY id DESC LIMIT ").push_bind(filter.newest);
    let rows = select.build().fetch_all(executor).await?;
    rows.iter().rev().map(recent_from).collect()
}

fn push_filter(query: &mut QueryBuilder<Sqlite>, filter: &SampleFilter) {
    if let Some(id) = filter.characteristic_id {
        query.push(" AND s.characteristic_id = ").push_bind(id.get());
    }
    if let Some(from) = filter.from {
        query.push(" AND s.at >= ").push_bind(from.timestamp_micros());
    }
    if let Some(to) = filter.to {
        query.push(" AND s.at < ").push_bind(to.timestamp_micros());
    }
}

fn subgroup_from(row: &SqliteRow) -> Result<Subgroup, sqlx::Error> {
    Ok(Subgroup {
        n: row.try_get("n")?,
        mean: row.try_get("value")?,
        range: row.try_get("range_value")?,
        std_dev: row.try_get("std_dev")?,
    })
}

fn recent_from(row: &SqliteRow) -> Result<RecentSample, StoreError> {
    let raw: i64 = row.try_get("id")?;
    Ok(RecentSample {
        id: corrupt("samples", raw, id(raw))?,
        subgroup: subgroup_from(row)?,
        is_excluded: row.try_get("is_excluded")?,
    })
}

fn sample_from(row: &SqliteRow) -> Result<Sample, StoreError> {
    let row_id: i64 = row.try_get("id")?;
    let read = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
        let judgement = match row.try_get::<Option<i64>, _>("limits_id")? {
            Some(limits_id) => Some(Judgement {
                limits_id: id(limits_id)?,
                zone: from_name(row.try_get("zone")?)?,
                in_control: row.try_get("in_control")?,
                ucl: row.try_get("ucl")?,
                center_line: row.try_get("center_line")?,
                lcl: row.try_get("lcl")?,
            }),
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
            out_of_spec: row.try_get("out_of_spec")?,
            is_excluded: row.try_get("is_excluded")?,
            batch: row.try_get("batch")?,
            operator: row.try_get("operator")?,
            metadata: row.try_get("metadata")?,
        })
    };
    corrupt("samples", row_id, read())
}
