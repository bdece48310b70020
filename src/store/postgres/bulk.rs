//! Many rows in one statement: a CTE whose parts insert from arrays, one array for each column.

use std::sync::{Arc, LazyLock};

use sqlx::PgConnection;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

use crate::domain::alarm::{AlarmState, Standing};
use crate::domain::episode::Episode;
use crate::domain::ids::CharacteristicId;
use crate::domain::sample::{Sample, SampleKey};
use crate::domain::violation::Violation;
use crate::store::StoreError;
use crate::store::rows::{doubles_to_blob, ids_text, name_of, patterns_text};
use crate::store::transaction::{LogRow, Pending};

type Bound<'q> = Query<'q, sqlx::Postgres, PgArguments>;

/// A table's columns with their types.
type Columns = &'static [(&'static str, &'static str)];

/// Name, type and value of each column in one place, so that the text and what is bound to it cannot drift apart.
macro_rules! columns {
    ($columns:ident, $bind:ident, $row:ident: $type:ty; $($name:literal $kind:ident = $value:expr;)*) => {
        const $columns: Columns = &[$(($name, stringify!($kind))),*];

        fn $bind<'q>(query: Bound<'q>, rows: &'q [$type]) -> Bound<'q> {
            query$(.bind(rows.iter().map(|$row| $value).collect::<Vec<_>>()))*
        }
    };
}

pub(in crate::store) async fn write(
    connection: &mut PgConnection,
    pending: &Pending,
) -> Result<(), StoreError> {
    let standings: Vec<Stands<'_>> =
        pending.standings.iter().map(|(id, (standing, state))| (*id, standing, *state)).collect();
    let query = sqlx::query(WRITE.as_str());
    let query = bind_samples(query, &pending.samples);
    let query = bind_violations(query, &pending.violations);
    let query = bind_standings(bind_events(query, &pending.log), &standings);
    query.execute(&mut *connection).await?;
    if !pending.episodes.is_empty() {
        let episodes: Vec<_> = pending.episodes.values().map(Arc::clone).collect();
        bind_episodes(sqlx::query(WRITE_EPISODES.as_str()), &episodes).execute(connection).await?;
    }
    Ok(())
}

type Stands<'a> = (CharacteristicId, &'a Standing, AlarmState);

/// The parts in the order in which they are bound.
static WRITE: LazyLock<String> = LazyLock::new(|| {
    let mut bound = 0;
    let samples = insert("samples", SAMPLES, &mut bound);
    let violations = insert("violations", VIOLATIONS, &mut bound);
    let events = insert("events", EVENTS, &mut bound);
    let (stands, names) = (arrays(STANDINGS, &mut bound), names(STANDINGS));
    let set: Vec<_> = STANDINGS.iter().skip(1).map(|(name, _)| format!("{name} = new.{name}")).collect();
    format!(
        "WITH s AS ({samples}), v AS ({violations}), e AS ({events}) \
         UPDATE characteristics c SET {} FROM UNNEST({stands}) AS new ({names}) WHERE c.id = new.id",
        set.join(", ")
    )
});

static WRITE_EPISODES: LazyLock<String> = LazyLock::new(|| {
    let set: Vec<_> = EPISODES.iter().skip(1).map(|(name, _)| format!("{name} = excluded.{name}")).collect();
    let insert = insert("episodes", EPISODES, &mut 0);
    format!("{insert} ON CONFLICT (id) DO UPDATE SET {}", set.join(", "))
});

fn insert(table: &str, columns: Columns, bound: &mut usize) -> String {
    format!("INSERT INTO {table} ({}) SELECT * FROM UNNEST({})", names(columns), arrays(columns, bound))
}

fn names(columns: Columns) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn arrays(columns: Columns, bound: &mut usize) -> String {
    let array = |(_, kind): &(&str, &str)| {
        *bound += 1;
        format!("${bound}::{kind}[]")
    };
    columns.iter().map(array).collect::<Vec<_>>().join(", ")
}

columns! {
    SAMPLES, bind_samples, row: (u64, Arc<Sample>);
    "id" bigint = row.1.id.get();
    "seq" bigint = row.0 as i64;
    "characteristic_id" bigint = row.1.characteristic_id.get();
    "at" bigint = row.1.timestamp.timestamp_micros();
    "received_at" bigint = row.1.received_at.timestamp_micros();
    "measurements" bytea = doubles_to_blob(&row.1.measurements);
    "n" bigint = i64::from(row.1.subgroup.n);
    "value" float8 = row.1.subgroup.mean;
    "range_value" float8 = row.1.subgroup.range;
    "std_dev" float8 = row.1.subgroup.std_dev;
    "dispersion_value" float8 = row.1.dispersion_value;
    "limits_id" bigint = row.1.judgement.as_ref().and_then(|j| j.limits_id).map(|id| id.get());
    "zone" text = row.1.judgement.as_ref().and_then(|j| j.zone.as_ref()).map(name_of);
    "in_control" bool = row.1.judgement.as_ref().map(|j| j.in_control);
    "ucl" float8 = row.1.judgement.as_ref().and_then(|j| j.ucl);
    "center_line" float8 = row.1.judgement.as_ref().and_then(|j| j.center_line);
    "lcl" float8 = row.1.judgement.as_ref().and_then(|j| j.lcl);
    "out_of_spec" bigint = row.1.out_of_spec.map(i64::from);
    "is_excluded" bool = row.1.is_excluded;
    "mode" text = name_of(&row.1.mode);
    "key" text = row.1.key.as_ref().map(SampleKey::as_str);
    "source" text = row.1.origin.as_ref().map(|o| o.source.as_str());
    "external_id" text = row.1.origin.as_ref().and_then(|o| o.external_id.as_deref());
    "batch" text = row.1.batch.as_deref();
    "operator" text = row.1.operator.as_deref();
    "metadata" text = row.1.metadata.as_deref();
}

columns! {
    VIOLATIONS, bind_violations, row: (u64, Arc<Violation>);
    "id" bigint = row.1.id.get();
    "seq" bigint = row.0 as i64;
    "sample_id" bigint = row.1.sample_id.map(|id| id.get());
    "characteristic_id" bigint = row.1.characteristic_id.get();
    "chart" text = name_of(&row.1.chart);
    "rule_id" bigint = i64::from(row.1.rule_id);
    "rule_name" text = row.1.rule_name.as_str();
    "severity" text = name_of(&row.1.severity);
    "message" text = row.1.message.as_str();
    "side" text = row.1.side.as_ref().map(name_of);
    "value" float8 = row.1.value;
    "center_line" float8 = row.1.center_line;
    "ucl" float8 = row.1.ucl;
    "lcl" float8 = row.1.lcl;
    "sigma" float8 = row.1.sigma;
    "n" bigint = row.1.n.map(i64::from);
    "involved_sample_ids" text = ids_text(&row.1.involved_sample_ids);
    "at" bigint = row.1.timestamp.timestamp_micros();
    "created_at" bigint = row.1.created_at.timestamp_micros();
    "requires_acknowledgement" bool = row.1.requires_acknowledgement;
    "rejudged" bool = row.1.rejudged;
    "history" bool = row.1.is_history;
    "source" text = row.1.origin.as_ref().map(|o| o.source.as_str());
    "external_id" text = row.1.origin.as_ref().and_then(|o| o.external_id.as_deref());
    "external_sample_id" text = row.1.external_sample_id.as_deref();
    "status" text = name_of(&row.1.status);
    "ack_user" text = row.1.acknowledgement.as_ref().map(|a| a.user.as_str());
    "ack_reason" text = row.1.acknowledgement.as_ref().map(|a| a.reason.as_str());
    "ack_comment" text = row.1.acknowledgement.as_ref().and_then(|a| a.comment.as_deref());
    "ack_at" bigint = row.1.acknowledgement.as_ref().map(|a| a.timestamp.timestamp_micros());
    "ack_source" text = row.1.acknowledgement.as_ref().and_then(|a| a.source.as_deref());
    "episode_id" bigint = row.1.episode_id.map(|id| id.get());
}

columns! {
    EPISODES, bind_episodes, row: Arc<Episode>;
    "id" bigint = row.id.get();
    "characteristic_id" bigint = row.characteristic_id.get();
    "severity" text = name_of(&row.severity);
    "patterns" text = patterns_text(&row.patterns);
    "violations" bigint = row.violations as i64;
    "holding" bigint = row.holding as i64;
    "unacknowledged" bigint = row.unacknowledged as i64;
    "first_violation_id" bigint = row.first_violation_id.get();
    "newest_violation_id" bigint = row.newest_violation_id.get();
    "opened_at" bigint = row.opened_at.timestamp_micros();
    "heard_at" bigint = row.heard_at.timestamp_micros();
    "points_in_control" bigint = i64::from(row.points_in_control);
    "points_since_answer" bigint = i64::from(row.points_since_answer);
    "ack_user" text = row.acknowledgement.as_ref().map(|a| a.user.as_str());
    "ack_reason" text = row.acknowledgement.as_ref().map(|a| a.reason.as_str());
    "ack_comment" text = row.acknowledgement.as_ref().and_then(|a| a.comment.as_deref());
    "ack_at" bigint = row.acknowledgement.as_ref().map(|a| a.timestamp.timestamp_micros());
    "ack_source" text = row.acknowledgement.as_ref().and_then(|a| a.source.as_deref());
    "lapsed_at" bigint = row.lapsed_at.map(|at| at.timestamp_micros());
    "closed_at" bigint = row.closing.map(|closing| closing.at.timestamp_micros());
    "closing_reason" text = row.closing.map(|closing| name_of(&closing.reason));
}

columns! {
    EVENTS, bind_events, e: LogRow;
    "seq" bigint = e.header.seq as i64;
    "characteristic_id" bigint = e.header.characteristic_id.get();
    "revision" bigint = e.header.revision as i64;
    "type" text = e.header.kind.as_str();
    "history" bool = e.header.is_history;
    "at" bigint = e.at_micros;
    "payload" text = e.payload.as_str();
}

columns! {
    STANDINGS, bind_standings, row: Stands<'q>;
    "id" bigint = row.0.get();
    "revision" bigint = row.1.revision as i64;
    "samples_collected" bigint = row.1.samples_collected as i64;
    "open_violations" bigint = row.1.open_violations as i64;
    "unacknowledged" bigint = row.1.unacknowledged as i64;
    "signalling" bool = row.1.is_signalling;
    "alarm_state" text = name_of(&row.2);
}
