//! Many rows in few statements: multi-row `VALUES`, in chunks of a few fixed sizes so that each table needs
//! only a handful of prepared statements.

use std::sync::Arc;

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqliteConnection};

use crate::domain::episode::Episode;
use crate::domain::sample::{Sample, SampleKey};
use crate::domain::violation::Violation;
use crate::store::StoreError;
use crate::store::rows::{doubles_to_blob, ids_text, name_of, patterns_text};
use crate::store::transaction::{LogRow, Pending};

/// Rows per statement, largest first. 64 rows of 30 columns stay far below SQLite's 32,766 variables.
const CHUNKS: [usize; 4] = [64, 16, 4, 1];

type Bound<'q> = Query<'q, Sqlite, SqliteArguments<'q>>;

pub(in crate::store) async fn write(
    connection: &mut SqliteConnection,
    pending: &Pending,
) -> Result<(), StoreError> {
    insert(connection, SAMPLES, &pending.samples, bind_sample).await?;
    insert(connection, VIOLATIONS, &pending.violations, bind_violation).await?;
    insert(connection, EVENTS, &pending.log, bind_log_row).await?;
    let episodes: Vec<_> = pending.episodes.values().collect();
    insert(connection, EPISODES, &episodes, |query, episode| bind_episode(query, episode)).await?;
    for (id, (standing, state)) in &pending.standings {
        sqlx::query(
            "UPDATE characteristics SET revision = ?, samples_collected = ?, open_violations = ?, \
             unacknowledged = ?, signalling = ?, alarm_state = ? WHERE id = ?",
        )
        .bind(standing.revision as i64)
        .bind(standing.samples_collected as i64)
        .bind(standing.open_violations as i64)
        .bind(standing.unacknowledged as i64)
        .bind(standing.is_signalling)
        .bind(name_of(state))
        .bind(id.get())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// A table's insert statement up to `VALUES` and after them, and its number of columns.
#[derive(Clone, Copy)]
struct Insert {
    head: &'static str,
    tail: &'static str,
    columns: usize,
}

const SAMPLES: Insert = Insert {
    head: "INSERT INTO samples (id, seq, characteristic_id, at, received_at, measurements, n, value, range_value, \
           std_dev, dispersion_value, limits_id, zone, in_control, ucl, center_line, lcl, out_of_spec, \
           is_excluded, mode, key, source, external_id, batch, operator, metadata)",
    tail: "",
    columns: 26,
};

const VIOLATIONS: Insert = Insert {
    head: "INSERT INTO violations (id, seq, sample_id, characteristic_id, chart, rule_id, rule_name, severity, \
           message, side, value, center_line, ucl, lcl, sigma, n, involved_sample_ids, at, created_at, \
           requires_acknowledgement, rejudged, history, source, external_id, external_sample_id, status, ack_user, \
           ack_reason, ack_comment, ack_at, ack_source, episode_id)",
    tail: "",
    columns: 32,
};

const EVENTS: Insert = Insert {
    head: "INSERT INTO events (seq, characteristic_id, revision, type, history, at, payload)",
    tail: "",
    columns: 7,
};

const EPISODES: Insert = Insert {
    head: "INSERT INTO episodes (id, characteristic_id, severity, patterns, violations, holding, unacknowledged, \
           first_violation_id, newest_violation_id, opened_at, heard_at, points_in_control, points_since_answer, \
           ack_user, ack_reason, ack_comment, ack_at, ack_source, lapsed_at, closed_at, closing_reason)",
    tail: " ON CONFLICT (id) DO UPDATE SET severity = excluded.severity, patterns = excluded.patterns, \
           violations = excluded.violations, holding = excluded.holding, unacknowledged = excluded.unacknowledged, \
           newest_violation_id = excluded.newest_violation_id, heard_at = excluded.heard_at, \
           points_in_control = excluded.points_in_control, points_since_answer = excluded.points_since_answer, \
           ack_user = excluded.ack_user, ack_reason = excluded.ack_reason, ack_comment = excluded.ack_comment, \
           ack_at = excluded.ack_at, ack_source = excluded.ack_source, lapsed_at = excluded.lapsed_at, \
           closed_at = excluded.closed_at, closing_reason = excluded.closing_reason",
    columns: 21,
};

async fn insert<T>(
    connection: &mut SqliteConnection,
    insert: Insert,
    mut rows: &[T],
    bind: impl for<'q> Fn(Bound<'q>, &'q T) -> Bound<'q>,
) -> Result<(), StoreError> {
    for size in CHUNKS {
        if rows.len() < size {
            continue;
        }
        let statement = statement(insert, size);
        while rows.len() >= size {
            let (chunk, rest) = rows.split_at(size);
            let query = sqlx::query(&statement);
            chunk.iter().fold(query, &bind).execute(&mut *connection).await?;
            rows = rest;
        }
    }
    Ok(())
}

fn statement(insert: Insert, rows: usize) -> String {
    let row = format!("({})", vec!["?"; insert.columns].join(","));
    format!("{} VALUES {}{}", insert.head, vec![row.as_str(); rows].join(","), insert.tail)
}

fn bind_sample<'q>(query: Bound<'q>, (seq, sample): &'q (u64, Arc<Sample>)) -> Bound<'q> {
    let judgement = sample.judgement.as_ref();
    let origin = sample.origin.as_ref();
    query
        .bind(sample.id.get())
        .bind(*seq as i64)
        .bind(sample.characteristic_id.get())
        .bind(sample.timestamp.timestamp_micros())
        .bind(sample.received_at.timestamp_micros())
        .bind(doubles_to_blob(&sample.measurements))
        .bind(sample.subgroup.n)
        .bind(sample.subgroup.mean)
        .bind(sample.subgroup.range)
        .bind(sample.subgroup.std_dev)
        .bind(sample.dispersion_value)
        .bind(judgement.and_then(|j| j.limits_id).map(|id| id.get()))
        .bind(judgement.and_then(|j| j.zone.as_ref()).map(name_of))
        .bind(judgement.map(|j| j.in_control))
        .bind(judgement.and_then(|j| j.ucl))
        .bind(judgement.and_then(|j| j.center_line))
        .bind(judgement.and_then(|j| j.lcl))
        .bind(sample.out_of_spec)
        .bind(sample.is_excluded)
        .bind(name_of(&sample.mode))
        .bind(sample.key.as_ref().map(SampleKey::as_str))
        .bind(origin.map(|o| o.source.as_str()))
        .bind(origin.and_then(|o| o.external_id.as_deref()))
        .bind(sample.batch.as_deref())
        .bind(sample.operator.as_deref())
        .bind(sample.metadata.as_deref())
}

fn bind_violation<'q>(query: Bound<'q>, (seq, violation): &'q (u64, Arc<Violation>)) -> Bound<'q> {
    let origin = violation.origin.as_ref();
    let answer = violation.acknowledgement.as_ref();
    query
        .bind(violation.id.get())
        .bind(*seq as i64)
        .bind(violation.sample_id.map(|id| id.get()))
        .bind(violation.characteristic_id.get())
        .bind(name_of(&violation.chart))
        .bind(violation.rule_id)
        .bind(violation.rule_name.as_str())
        .bind(name_of(&violation.severity))
        .bind(violation.message.as_str())
        .bind(violation.side.as_ref().map(name_of))
        .bind(violation.value)
        .bind(violation.center_line)
        .bind(violation.ucl)
        .bind(violation.lcl)
        .bind(violation.sigma)
        .bind(violation.n)
        .bind(ids_text(&violation.involved_sample_ids))
        .bind(violation.timestamp.timestamp_micros())
        .bind(violation.created_at.timestamp_micros())
        .bind(violation.requires_acknowledgement)
        .bind(violation.rejudged)
        .bind(violation.is_history)
        .bind(origin.map(|o| o.source.as_str()))
        .bind(origin.and_then(|o| o.external_id.as_deref()))
        .bind(violation.external_sample_id.as_deref())
        .bind(name_of(&violation.status))
        .bind(answer.map(|a| a.user.as_str()))
        .bind(answer.map(|a| a.reason.as_str()))
        .bind(answer.and_then(|a| a.comment.as_deref()))
        .bind(answer.map(|a| a.timestamp.timestamp_micros()))
        .bind(answer.and_then(|a| a.source.as_deref()))
        .bind(violation.episode_id.map(|id| id.get()))
}

fn bind_episode<'q>(query: Bound<'q>, episode: &'q Episode) -> Bound<'q> {
    let answer = episode.acknowledgement.as_ref();
    query
        .bind(episode.id.get())
        .bind(episode.characteristic_id.get())
        .bind(name_of(&episode.severity))
        .bind(patterns_text(&episode.patterns))
        .bind(episode.violations as i64)
        .bind(episode.holding as i64)
        .bind(episode.unacknowledged as i64)
        .bind(episode.first_violation_id.get())
        .bind(episode.newest_violation_id.get())
        .bind(episode.opened_at.timestamp_micros())
        .bind(episode.heard_at.timestamp_micros())
        .bind(episode.points_in_control)
        .bind(episode.points_since_answer)
        .bind(answer.map(|a| a.user.as_str()))
        .bind(answer.map(|a| a.reason.as_str()))
        .bind(answer.and_then(|a| a.comment.as_deref()))
        .bind(answer.map(|a| a.timestamp.timestamp_micros()))
        .bind(answer.and_then(|a| a.source.as_deref()))
        .bind(episode.lapsed_at.map(|at| at.timestamp_micros()))
        .bind(episode.closing.map(|closing| closing.at.timestamp_micros()))
        .bind(episode.closing.map(|closing| name_of(&closing.reason)))
}

fn bind_log_row<'q>(query: Bound<'q>, row: &'q LogRow) -> Bound<'q> {
    query
        .bind(row.header.seq as i64)
        .bind(row.header.characteristic_id.get())
        .bind(row.header.revision as i64)
        .bind(row.header.kind.as_str())
        .bind(row.header.is_history)
        .bind(row.at_micros)
        .bind(row.payload.as_str())
}
