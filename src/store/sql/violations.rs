//! Violations and their acknowledgements.

use std::collections::HashMap;

use sqlx::{QueryBuilder, Row as _};

use super::{
    Connection, Db, Row, acknowledgement_from, push_group, push_ids, push_known_id, push_not_deleted, sought,
};
use crate::domain::foreign::Origin;
use crate::domain::ids::{CharacteristicId, EpisodeId, SampleId, ViolationId};
use crate::domain::violation::{Acknowledgement, Violation, ViolationStatus};
use crate::protocol::rest::{RuleCount, SeverityCount, ViolationStatsView};
use crate::store::rows::{
    Cause, corrupt, count, from_name, from_optional_name, id, ids_text, name_of, optional_count, time,
};
use crate::store::violations::{ViolationFilter, ViolationRecord};
use crate::store::{Page, Paged, StoreError};

const SELECT: &str = "SELECT v.id, v.seq, v.sample_id, v.characteristic_id, v.chart, v.rule_id, v.rule_name, \
    v.severity, v.message, v.side, v.value, v.center_line, v.ucl, v.lcl, v.sigma, v.n, v.involved_sample_ids, v.at, \
    v.created_at, v.requires_acknowledgement, v.rejudged, v.history, v.source, v.external_id, v.external_sample_id, \
    v.status, v.ack_user, v.ack_reason, v.ack_comment, v.ack_at, v.ack_source, v.episode_id FROM violations v";

const OPEN: &str = " AND v.ack_at IS NULL AND v.status = 'open'";

pub async fn one(
    connection: &mut Connection,
    id: ViolationId,
) -> Result<Option<ViolationRecord>, StoreError> {
    let mut select = QueryBuilder::<Db>::new(SELECT);
    select.push(" WHERE v.id = ").push_bind(id.get()).push(" AND ");
    push_not_deleted(&mut select, "v.characteristic_id");
    let row = select.build().fetch_optional(connection).await?;
    row.as_ref().map(record_from).transpose()
}

pub async fn page(
    connection: &mut Connection,
    filter: &ViolationFilter,
    page: Page,
) -> Result<Paged<ViolationRecord>, StoreError> {
    let mut count = QueryBuilder::<Db>::new("SELECT COUNT(*) FROM violations v");
    push_filter(&mut count, filter);
    let total: i64 = count.build_query_scalar().fetch_one(&mut *connection).await?;
    let mut select = QueryBuilder::<Db>::new(SELECT);
    push_filter(&mut select, filter);
    select.push(" ORDER BY v.id DESC LIMIT ").push_bind(i64::from(page.limit));
    select.push(" OFFSET ").push_bind(page.offset as i64);
    let rows = select.build().fetch_all(connection).await?;
    let items = rows.iter().map(record_from).collect::<Result<_, _>>()?;
    Ok(Paged { items, total: total as u64 })
}

pub async fn by_id(
    connection: &mut Connection,
    ids: &[ViolationId],
) -> Result<HashMap<ViolationId, Violation>, StoreError> {
    let mut select = QueryBuilder::<Db>::new(SELECT);
    push_ids(&mut select, " WHERE v.id IN (", ids.iter().map(|id| id.get()));
    select.push(" AND ");
    push_not_deleted(&mut select, "v.characteristic_id");
    let rows = select.build().fetch_all(connection).await?;
    let by_id = |row| record_from(row).map(|record| (record.violation.id, record.violation));
    rows.iter().map(by_id).collect()
}

/// By sample, each in the order it was found.
pub async fn of_samples(
    connection: &mut Connection,
    samples: Vec<SampleId>,
) -> Result<HashMap<SampleId, Vec<Violation>>, StoreError> {
    let mut by_sample: HashMap<SampleId, Vec<Violation>> = HashMap::new();
    let mut select = QueryBuilder::<Db>::new(SELECT);
    push_ids(&mut select, " WHERE v.sample_id IN (", samples.into_iter().map(SampleId::get));
    select.push(" ORDER BY v.id");
    for row in select.build().fetch_all(connection).await? {
        let violation = record_from(&row)?.violation;
        if let Some(sample_id) = violation.sample_id {
            by_sample.entry(sample_id).or_default().push(violation);
        }
    }
    Ok(by_sample)
}

/// The newest open violations of a characteristic, newest first.
pub async fn newest_open(
    connection: &mut Connection,
    of: CharacteristicId,
    limit: u32,
) -> Result<Vec<Violation>, StoreError> {
    let mut select = QueryBuilder::<Db>::new(SELECT);
    select.push(" WHERE v.characteristic_id = ").push_bind(of.get()).push(OPEN);
    select.push(" ORDER BY v.id DESC LIMIT ").push_bind(i64::from(limit));
    let rows = select.build().fetch_all(connection).await?;
    rows.iter().map(|row| Ok(record_from(row)?.violation)).collect()
}

/// The oldest open violations of an episode, oldest first.
pub async fn open_of_episode(
    connection: &mut Connection,
    of: EpisodeId,
    limit: u32,
) -> Result<Vec<Violation>, StoreError> {
    let mut select = QueryBuilder::<Db>::new(SELECT);
    select.push(" WHERE v.episode_id = ").push_bind(of.get()).push(OPEN);
    select.push(" ORDER BY v.id LIMIT ").push_bind(i64::from(limit));
    let rows = select.build().fetch_all(connection).await?;
    rows.iter().map(|row| Ok(record_from(row)?.violation)).collect()
}

/// The newest answer to one of an episode that is not withdrawn.
pub async fn newest_answer_of_episode(
    connection: &mut Connection,
    of: EpisodeId,
) -> Result<Option<Acknowledgement>, StoreError> {
    let mut select = QueryBuilder::<Db>::new(SELECT);
    select.push(" WHERE v.episode_id = ").push_bind(of.get());
    select.push(" AND v.status = 'open' AND v.ack_at IS NOT NULL ORDER BY v.ack_at DESC, v.id DESC LIMIT 1");
    let row = select.build().fetch_optional(connection).await?;
    row.as_ref().map_or(Ok(None), |row| Ok(record_from(row)?.violation.acknowledgement))
}

/// Totals, by rule and by severity.
pub async fn stats(
    connection: &mut Connection,
    filter: &ViolationFilter,
) -> Result<ViolationStatsView, StoreError> {
    let mut select = QueryBuilder::<Db>::new(
        "SELECT v.rule_id, v.rule_name, v.severity, COUNT(*), \
         COUNT(*) FILTER (WHERE v.ack_at IS NULL AND v.status = 'open') FROM violations v",
    );
    push_filter(&mut select, filter);
    select.push(" GROUP BY v.rule_id, v.rule_name, v.severity ORDER BY v.rule_id, v.rule_name, v.severity");
    let rows: Vec<(i64, String, String, i64, i64)> = select.build_query_as().fetch_all(connection).await?;
    let mut stats = ViolationStatsView::default();
    for (raw_rule, rule_name, severity, total, unacknowledged) in rows {
        let (total, unacknowledged) = (total as u64, unacknowledged as u64);
        let rule_id = corrupt("violations", raw_rule, count(raw_rule))?;
        let severity = corrupt("violations", raw_rule, from_name(&severity))?;
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

/// The open violations of a characteristic announced at or before a position, oldest first.
pub async fn open_ids(
    connection: &mut Connection,
    characteristic_id: CharacteristicId,
    up_to_seq: u64,
    limit: u32,
) -> Result<Vec<ViolationId>, StoreError> {
    let mut select = QueryBuilder::<Db>::new("SELECT v.id FROM violations v WHERE v.characteristic_id = ");
    push_known_id(&mut select, characteristic_id.get());
    select.push(OPEN);
    select.push(" AND v.seq <= ").push_bind(i64::try_from(up_to_seq).unwrap_or(i64::MAX));
    select.push(" ORDER BY v.id LIMIT ").push_bind(i64::from(limit));
    let raw_ids: Vec<i64> = select.build_query_scalar().fetch_all(connection).await?;
    raw_ids.into_iter().map(|raw| corrupt("violations", raw, id(raw))).collect()
}

pub async fn update_acknowledgement(
    connection: &mut Connection,
    id: ViolationId,
    answer: &Acknowledgement,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE violations SET ack_user = $1, ack_reason = $2, ack_comment = $3, ack_at = $4, ack_source = $5 \
         WHERE id = $6",
    )
    .bind(&answer.user)
    .bind(&answer.reason)
    .bind(&answer.comment)
    .bind(answer.timestamp.timestamp_micros())
    .bind(&answer.source)
    .bind(id.get())
    .execute(connection)
    .await?;
    Ok(())
}

/// The same answer to several violations.
pub async fn update_acknowledgements(
    connection: &mut Connection,
    ids: Vec<ViolationId>,
    answer: &Acknowledgement,
) -> Result<(), StoreError> {
    let mut update = QueryBuilder::<Db>::new("UPDATE violations SET ack_user = ");
    update.push_bind(&answer.user);
    update.push(", ack_reason = ").push_bind(&answer.reason);
    update.push(", ack_comment = ").push_bind(&answer.comment);
    update.push(", ack_at = ").push_bind(answer.timestamp.timestamp_micros());
    update.push(", ack_source = ").push_bind(&answer.source);
    push_ids(&mut update, " WHERE id IN (", ids.into_iter().map(ViolationId::get));
    update.build().execute(connection).await?;
    Ok(())
}

pub async fn update_episode(connection: &mut Connection, violation: &Violation) -> Result<(), StoreError> {
    sqlx::query("UPDATE violations SET episode_id = $1 WHERE id = $2")
        .bind(violation.episode_id.map(EpisodeId::get))
        .bind(violation.id.get())
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn update_status(
    connection: &mut Connection,
    id: ViolationId,
    status: ViolationStatus,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE violations SET status = $1 WHERE id = $2")
        .bind(name_of(&status))
        .bind(id.get())
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn update_pattern(connection: &mut Connection, violation: &Violation) -> Result<(), StoreError> {
    sqlx::query("UPDATE violations SET side = $1, message = $2, involved_sample_ids = $3 WHERE id = $4")
        .bind(violation.side.as_ref().map(name_of))
        .bind(&violation.message)
        .bind(ids_text(&violation.involved_sample_ids))
        .bind(violation.id.get())
        .execute(connection)
        .await?;
    Ok(())
}

fn push_filter(query: &mut QueryBuilder<Db>, filter: &ViolationFilter) {
    match filter.characteristic_id {
        Some(id) => {
            query.push(" WHERE v.characteristic_id = ");
            push_known_id(query, id.get());
        }
        // What is deleted is removed in small steps: until then, nobody sees it.
        None => {
            query.push(" WHERE v.characteristic_id NOT IN (SELECT id FROM characteristics WHERE deleted)");
        }
    }
    if let Some(id) = filter.episode_id {
        query.push(" AND v.episode_id = ").push_bind(id.get());
    }
    if let Some(id) = filter.sample_id {
        query.push(" AND v.sample_id = ").push_bind(id.get());
    }
    match filter.acknowledged {
        Some(true) => drop(query.push(" AND v.ack_at IS NOT NULL")),
        Some(false) => drop(query.push(" AND v.ack_at IS NULL")),
        None => {}
    }
    match filter.requires_acknowledgement {
        Some(true) => drop(query.push(" AND v.requires_acknowledgement")),
        Some(false) => drop(query.push(" AND NOT v.requires_acknowledgement")),
        None => {}
    }
    if let Some(user) = &filter.ack_user {
        query.push(" AND lower(v.ack_user) = lower(").push_bind(sought(user)).push(")");
    }
    // Said as it is: an index of the open ones serves no parameter.
    match filter.status {
        Some(ViolationStatus::Open) => drop(query.push(" AND v.status = 'open'")),
        Some(ViolationStatus::Withdrawn) => drop(query.push(" AND v.status = 'withdrawn'")),
        None => {}
    }
    if let Some(severity) = &filter.severity {
        query.push(" AND v.severity = ").push_bind(name_of(severity));
    }
    if let Some(rule_id) = filter.rule_id {
        query.push(" AND v.rule_id = ").push_bind(i64::from(rule_id));
    }
    if let Some(group) = &filter.group {
        query.push(" AND v.characteristic_id IN (SELECT id FROM characteristics WHERE ");
        push_group(query, group);
        query.push(")");
    }
    if let Some(from) = filter.from {
        query.push(" AND v.at >= ").push_bind(from.timestamp_micros());
    }
    if let Some(to) = filter.to {
        query.push(" AND v.at < ").push_bind(to.timestamp_micros());
    }
}

fn record_from(row: &Row) -> Result<ViolationRecord, StoreError> {
    let row_id: i64 = row.try_get("id")?;
    let read = || -> Result<_, Cause> {
        let origin = match row.try_get::<Option<String>, _>("source")? {
            Some(source) => Some(Origin { source, external_id: row.try_get("external_id")? }),
            None => None,
        };
        let violation = Violation {
            id: id(row_id)?,
            sample_id: row.try_get::<Option<i64>, _>("sample_id")?.map(id).transpose()?,
            characteristic_id: id(row.try_get("characteristic_id")?)?,
            episode_id: row.try_get::<Option<i64>, _>("episode_id")?.map(id).transpose()?,
            chart: from_name(row.try_get("chart")?)?,
            rule_id: count(row.try_get("rule_id")?)?,
            rule_name: row.try_get("rule_name")?,
            severity: from_name(row.try_get("severity")?)?,
            message: row.try_get("message")?,
            side: from_optional_name(row.try_get("side")?)?,
            value: row.try_get("value")?,
            center_line: row.try_get("center_line")?,
            ucl: row.try_get("ucl")?,
            lcl: row.try_get("lcl")?,
            sigma: row.try_get("sigma")?,
            n: optional_count(row.try_get("n")?)?,
            involved_sample_ids: serde_json::from_str(row.try_get("involved_sample_ids")?)?,
            timestamp: time(row.try_get("at")?)?,
            created_at: time(row.try_get("created_at")?)?,
            requires_acknowledgement: row.try_get("requires_acknowledgement")?,
            rejudged: row.try_get("rejudged")?,
            is_history: row.try_get("history")?,
            origin,
            external_sample_id: row.try_get("external_sample_id")?,
            status: from_name(row.try_get("status")?)?,
            acknowledgement: acknowledgement_from(row)?,
        };
        Ok(ViolationRecord { violation, seq: row.try_get::<i64, _>("seq")? as u64 })
    };
    corrupt("violations", row_id, read())
}
