//! Violations and their acknowledgements.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteExecutor};

use crate::domain::ids::{CharacteristicId, SampleId, ViolationId};
use crate::domain::rules::Severity;
use crate::domain::violation::{Acknowledgement, Violation, ViolationStatus};
use crate::protocol::rest::{RuleCount, SeverityCount, ViolationStatsView};
use crate::store::rows::{corrupt, from_name, from_optional_name, id, name_of, time};
use crate::store::{Page, Paged, Store, StoreError, Transaction};

/// Which violations a list holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ViolationFilter {
    /// Those of this characteristic.
    pub characteristic_id: Option<CharacteristicId>,
    /// Those of this sample.
    pub sample_id: Option<SampleId>,
    /// Answered or not.
    pub acknowledged: Option<bool>,
    /// Still holding or not.
    pub status: Option<ViolationStatus>,
    /// Those of this severity.
    pub severity: Option<Severity>,
    /// Those of this rule.
    pub rule_id: Option<u32>,
    /// Those of characteristics in this group or below it.
    pub group: Option<String>,
    /// Of samples measured at or after.
    pub from: Option<DateTime<Utc>>,
    /// Of samples measured before.
    pub to: Option<DateTime<Utc>>,
}

/// A violation with the position of the event that announced it.
#[derive(Debug, Clone, PartialEq)]
pub struct ViolationRecord {
    /// The violation.
    pub violation: Violation,
    /// The position of its event.
    pub seq: u64,
}

const SELECT: &str = "SELECT v.id, v.seq, v.sample_id, v.characteristic_id, v.chart, v.rule_id, v.rule_name, \
    v.severity, v.message, v.side, v.value, v.center_line, v.ucl, v.lcl, v.sigma, v.n, v.involved_sample_ids, v.at, \
    v.created_at, v.requires_acknowledgement, v.status, v.ack_user, v.ack_reason, v.ack_comment, v.ack_at \
    FROM violations v WHERE TRUE";

const OPEN: &str = " AND v.ack_at IS NULL AND v.status = 'open'";

impl Store {
    /// One violation.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn violation(&self, id: ViolationId) -> Result<Option<ViolationRecord>, StoreError> {
        read_violation(&self.readers, id).await
    }

    /// A page of violations, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn violations(
        &self,
        filter: &ViolationFilter,
        page: Page,
    ) -> Result<Paged<ViolationRecord>, StoreError> {
        let mut count = QueryBuilder::<Sqlite>::new("SELECT COUNT(*) FROM violations v WHERE TRUE");
        push_filter(&mut count, filter);
        let total: i64 = count.build_query_scalar().fetch_one(&self.readers).await?;
        let mut select = QueryBuilder::<Sqlite>::new(SELECT);
        push_filter(&mut select, filter);
        select.push(" ORDER BY v.id DESC LIMIT ").push_bind(page.limit);
        select.push(" OFFSET ").push_bind(page.offset as i64);
        let rows = select.build().fetch_all(&self.readers).await?;
        let items = rows.iter().map(record_from).collect::<Result<_, _>>()?;
        Ok(Paged { items, total: total as u64 })
    }

    /// What fired on these samples, in the order it was found.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn violations_of_samples(
        &self,
        samples: impl IntoIterator<Item = SampleId>,
    ) -> Result<HashMap<SampleId, Vec<Violation>>, StoreError> {
        let mut by_sample: HashMap<SampleId, Vec<Violation>> = HashMap::new();
        let mut select = QueryBuilder::<Sqlite>::new(SELECT);
        select.push(" AND v.sample_id IN (");
        let mut list = select.separated(", ");
        for sample in samples {
            list.push_bind(sample.get());
        }
        select.push(") ORDER BY v.id");
        for row in select.build().fetch_all(&self.readers).await? {
            let violation = record_from(&row)?.violation;
            by_sample.entry(violation.sample_id).or_default().push(violation);
        }
        Ok(by_sample)
    }

    /// How many open violations each of these characteristics has, where there are any.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_violations(
        &self,
        ids: &[CharacteristicId],
    ) -> Result<HashMap<CharacteristicId, u64>, StoreError> {
        let mut select =
            QueryBuilder::<Sqlite>::new("SELECT v.characteristic_id, COUNT(*) FROM violations v WHERE TRUE");
        select.push(OPEN).push(" AND v.characteristic_id IN (");
        let mut list = select.separated(", ");
        for id in ids {
            list.push_bind(id.get());
        }
        select.push(") GROUP BY v.characteristic_id");
        let rows: Vec<(i64, i64)> = select.build_query_as().fetch_all(&self.readers).await?;
        rows.into_iter()
            .map(|(raw, count)| Ok((corrupt("violations", raw, id(raw))?, count as u64)))
            .collect()
    }

    /// Totals, by rule and by severity.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn violation_stats(&self, filter: &ViolationFilter) -> Result<ViolationStatsView, StoreError> {
        let mut select = QueryBuilder::<Sqlite>::new(
            "SELECT v.rule_id, v.rule_name, v.severity, COUNT(*), \
             SUM(v.ack_at IS NULL AND v.status = 'open') FROM violations v WHERE TRUE",
        );
        push_filter(&mut select, filter);
        select
            .push(" GROUP BY v.rule_id, v.rule_name, v.severity ORDER BY v.rule_id, v.rule_name, v.severity");
        let rows: Vec<(u32, String, String, i64, i64)> =
            select.build_query_as().fetch_all(&self.readers).await?;
        let mut stats = ViolationStatsView::default();
        for (rule_id, rule_name, severity, total, unacknowledged) in rows {
            let (total, unacknowledged) = (total as u64, unacknowledged as u64);
            let severity = corrupt("violations", i64::from(rule_id), from_name(&severity))?;
            stats.total += total;
            stats.unacknowledged += unacknowledged;
            match stats.by_rule.last_mut().filter(|r| (r.rule_id, &r.rule_name) == (rule_id, &rule_name)) {
                Some(rule) => {
                    rule.total += total;
                    rule.unacknowledged += unacknowledged;
                }
                None => stats.by_rule.push(RuleCount { rule_id, rule_name, total, unacknowledged }),
            }
            match stats.by_severity.iter_mut().find(|s| s.severity == severity) {
                Some(known) => {
                    known.total += total;
                    known.unacknowledged += unacknowledged;
                }
                None => stats.by_severity.push(SeverityCount { severity, total, unacknowledged }),
            }
        }
        stats.by_severity.sort_by_key(|s| std::cmp::Reverse(s.severity));
        Ok(stats)
    }
}

impl Transaction {
    /// One violation, as this transaction sees it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn violation(&mut self, id: ViolationId) -> Result<Option<ViolationRecord>, StoreError> {
        let read = read_violation(self.connection(), id).await;
        self.note(read)
    }

    /// The open violations of a characteristic announced at or before a position, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_violation_ids(
        &mut self,
        characteristic_id: CharacteristicId,
        up_to_seq: u64,
        limit: u32,
    ) -> Result<Vec<ViolationId>, StoreError> {
        let mut select = QueryBuilder::<Sqlite>::new("SELECT v.id FROM violations v WHERE TRUE");
        select.push(OPEN).push(" AND v.characteristic_id = ").push_bind(characteristic_id.get());
        select.push(" AND v.seq <= ").push_bind(i64::try_from(up_to_seq).unwrap_or(i64::MAX));
        select.push(" ORDER BY v.id LIMIT ").push_bind(limit);
        let read: Result<Vec<i64>, _> = select.build_query_scalar().fetch_all(self.connection()).await;
        let raw_ids = self.note(read.map_err(StoreError::from))?;
        raw_ids.into_iter().map(|raw| corrupt("violations", raw, id(raw))).collect()
    }

    /// Stores the answer that a violation has got.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn update_acknowledgement(
        &mut self,
        id: ViolationId,
        answer: &Acknowledgement,
    ) -> Result<(), StoreError> {
        self.touch();
        let written = sqlx::query(
            "UPDATE violations SET ack_user = ?, ack_reason = ?, ack_comment = ?, ack_at = ? WHERE id = ?",
        )
        .bind(&answer.user)
        .bind(&answer.reason)
        .bind(&answer.comment)
        .bind(answer.timestamp.timestamp_micros())
        .bind(id.get())
        .execute(self.connection())
        .await;
        self.note(written.map(drop).map_err(StoreError::from))
    }
}

async fn read_violation(
    executor: impl SqliteExecutor<'_>,
    id: ViolationId,
) -> Result<Option<ViolationRecord>, StoreError> {
    let mut select = QueryBuilder::<Sqlite>::new(SELECT);
    select.push(" AND v.id = ").push_bind(id.get());
    let row = select.build().fetch_optional(executor).await?;
    row.as_ref().map(record_from).transpose()
}

fn push_filter(query: &mut QueryBuilder<Sqlite>, filter: &ViolationFilter) {
    if let Some(id) = filter.characteristic_id {
        query.push(" AND v.characteristic_id = ").push_bind(id.get());
    }
    if let Some(id) = filter.sample_id {
        query.push(" AND v.sample_id = ").push_bind(id.get());
    }
    match filter.acknowledged {
        Some(true) => drop(query.push(" AND v.ack_at IS NOT NULL")),
        Some(false) => drop(query.push(" AND v.ack_at IS NULL")),
        None => {}
    }
    if let Some(status) = &filter.status {
        query.push(" AND v.status = ").push_bind(name_of(status));
    }
    if let Some(severity) = &filter.severity {
        query.push(" AND v.severity = ").push_bind(name_of(severity));
    }
    if let Some(rule_id) = filter.rule_id {
        query.push(" AND v.rule_id = ").push_bind(rule_id);
    }
    if let Some(group) = &filter.group {
        query.push(" AND v.characteristic_id IN (SELECT id FROM characteristics WHERE group_path = ");
        query.push_bind(group.clone()).push(" OR substr(group_path, 1, ");
        query
            .push_bind(group.chars().count() as i64 + 1)
            .push(") = ")
            .push_bind(format!("{group}/"))
            .push(")");
    }
    if let Some(from) = filter.from {
        query.push(" AND v.at >= ").push_bind(from.timestamp_micros());
    }
    if let Some(to) = filter.to {
        query.push(" AND v.at < ").push_bind(to.timestamp_micros());
    }
}

fn record_from(row: &SqliteRow) -> Result<ViolationRecord, StoreError> {
    let row_id: i64 = row.try_get("id")?;
    let read = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
        let acknowledgement = match row.try_get::<Option<i64>, _>("ack_at")? {
            Some(at) => Some(Acknowledgement {
                user: row.try_get("ack_user")?,
                reason: row.try_get("ack_reason")?,
                comment: row.try_get("ack_comment")?,
                timestamp: time(at)?,
            }),
            None => None,
        };
        let violation = Violation {
            id: id(row_id)?,
            sample_id: id(row.try_get("sample_id")?)?,
            characteristic_id: id(row.try_get("characteristic_id")?)?,
            chart: from_name(row.try_get("chart")?)?,
            rule_id: row.try_get("rule_id")?,
            rule_name: row.try_get("rule_name")?,
            severity: from_name(row.try_get("severity")?)?,
            message: row.try_get("message")?,
            side: from_optional_name(row.try_get("side")?)?,
            value: row.try_get("value")?,
            center_line: row.try_get("center_line")?,
            ucl: row.try_get("ucl")?,
            lcl: row.try_get("lcl")?,
            sigma: row.try_get("sigma")?,
            n: row.try_get("n")?,
            involved_sample_ids: serde_json::from_str(row.try_get("involved_sample_ids")?)?,
            timestamp: time(row.try_get("at")?)?,
            created_at: time(row.try_get("created_at")?)?,
            requires_acknowledgement: row.try_get("requires_acknowledgement")?,
            status: from_name(row.try_get("status")?)?,
            acknowledgement,
        };
        Ok(ViolationRecord { violation, seq: row.try_get::<i64, _>("seq")? as u64 })
    };
    corrupt("violations", row_id, read())
}
