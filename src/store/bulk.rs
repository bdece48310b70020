//! Many rows in few statements: multi-row `VALUES`, in chunks of a few fixed sizes so that each table needs
//! only a handful of prepared statements.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection};

use crate::domain::ids::CharacteristicId;
use crate::domain::sample::Sample;
use crate::domain::violation::Violation;
use crate::protocol::event::EventHeader;
use crate::store::StoreError;
use crate::store::rows::{doubles_to_blob, name_of};

/// Rows per statement, largest first. 64 rows of 21 columns stay far below SQLite's 32,766 variables.
const CHUNKS: [usize; 4] = [64, 16, 4, 1];

/// A log row that waits to be written.
#[derive(Debug)]
pub(super) struct LogRow {
    pub(super) header: EventHeader,
    pub(super) at_micros: i64,
    pub(super) payload: String,
}

/// What waits to be written in this transaction.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) samples: Vec<Arc<Sample>>,
    /// Each with the position of its event.
    pub(super) violations: Vec<(u64, Arc<Violation>)>,
    pub(super) log: Vec<LogRow>,
    pub(super) revisions: HashMap<CharacteristicId, u64>,
}

type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;

pub(super) async fn write(
    connection: &mut SqliteConnection,
    pending: &mut Pending,
) -> Result<(), StoreError> {
    insert(connection, SAMPLES, &pending.samples, bind_sample).await?;
    insert(connection, VIOLATIONS, &pending.violations, bind_violation).await?;
    insert(connection, EVENTS, &pending.log, bind_log_row).await?;
    for (id, revision) in &pending.revisions {
        sqlx::query("UPDATE characteristics SET revision = ? WHERE id = ?")
            .bind(*revision as i64)
            .bind(id.get())
            .execute(&mut *connection)
            .await?;
    }
    *pending = Pending::default();
    Ok(())
}

/// A table's insert statement up to `VALUES`, and its number of columns.
#[derive(Clone, Copy)]
struct Insert {
    head: &'static str,
    columns: usize,
}

const SAMPLES: Insert = Insert {
    head: "INSERT INTO samples (id, characteristic_id, at, received_at, measurements, n, value, range_value, \
           std_dev, dispersion_value, limits_id, zone, in_control, ucl, center_line, lcl, out_of_spec, \
           is_excluded, batch, operator, metadata)",
    columns: 21,
};

const VIOLATIONS: Insert = Insert {
    head: "INSERT INTO violations (id, seq, sample_id, characteristic_id, chart, rule_id, rule_name, severity, \
           message, side, value, center_line, ucl, lcl, sigma, n, involved_sample_ids, at, created_at, \
           requires_acknowledgement, status)",
    columns: 21,
};

const EVENTS: Insert =
    Insert { head: "INSERT INTO events (seq, characteristic_id, revision, type, at, payload)", columns: 6 };

async fn insert<'q, T>(
    connection: &mut SqliteConnection,
    insert: Insert,
    mut rows: &'q [T],
    bind: impl Fn(Bound<'q>, &'q T) -> Bound<'q>,
) -> Result<(), StoreError> {
    for size in CHUNKS {
        if rows.len() < size {
            continue;
        }
        let statement: Arc<str> = statement(insert, size).into();
        while rows.len() >= size {
            let (chunk, rest) = rows.split_at(size);
            let query = sqlx::query(AssertSqlSafe(Arc::clone(&statement)));
            chunk.iter().fold(query, &bind).execute(&mut *connection).await?;
            rows = rest;
        }
    }
    Ok(())
}

fn statement(insert: Insert, rows: usize) -> String {
    let row = format!("({})", vec!["?"; insert.columns].join(","));
    format!("{} VALUES {}", insert.head, vec![row.as_str(); rows].join(","))
}

fn bind_sample<'q>(query: Bound<'q>, sample: &'q Arc<Sample>) -> Bound<'q> {
    let judgement = sample.judgement.as_ref();
    query
        .bind(sample.id.get())
        .bind(sample.characteristic_id.get())
        .bind(sample.timestamp.timestamp_micros())
        .bind(sample.received_at.timestamp_micros())
        .bind(doubles_to_blob(&sample.measurements))
        .bind(sample.subgroup.n)
        .bind(sample.subgroup.mean)
        .bind(sample.subgroup.range)
        .bind(sample.subgroup.std_dev)
        .bind(sample.dispersion_value)
        .bind(judgement.map(|j| j.limits_id.get()))
        .bind(judgement.map(|j| name_of(&j.zone)))
        .bind(judgement.map(|j| j.in_control))
        .bind(judgement.map(|j| j.ucl))
        .bind(judgement.map(|j| j.center_line))
        .bind(judgement.map(|j| j.lcl))
        .bind(sample.out_of_spec)
        .bind(sample.is_excluded)
        .bind(sample.batch.as_deref())
        .bind(sample.operator.as_deref())
        .bind(sample.metadata.as_deref())
}

fn bind_violation<'q>(query: Bound<'q>, (seq, violation): &'q (u64, Arc<Violation>)) -> Bound<'q> {
    let involved: Vec<i64> = violation.involved_sample_ids.iter().map(|id| id.get()).collect();
    query
        .bind(violation.id.get())
        .bind(*seq as i64)
        .bind(violation.sample_id.get())
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
        .bind(format!("{involved:?}"))
        .bind(violation.timestamp.timestamp_micros())
        .bind(violation.created_at.timestamp_micros())
        .bind(violation.requires_acknowledgement)
        .bind(name_of(&violation.status))
}

fn bind_log_row<'q>(query: Bound<'q>, row: &'q LogRow) -> Bound<'q> {
    query
        .bind(row.header.seq as i64)
        .bind(row.header.characteristic_id.get())
        .bind(row.header.revision as i64)
        .bind(row.header.kind.as_str())
        .bind(row.at_micros)
        .bind(row.payload.as_str())
}
