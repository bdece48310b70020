//! Between columns and domain types.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::{Error as ValueError, StrDeserializer};

use crate::domain::chart::Chart;
use crate::domain::episode::EpisodePattern;
use crate::domain::ids::{InvalidId, SampleId};
use crate::domain::rules::Severity;
use crate::store::StoreError;

pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The name of a plain enum's value, as the wire says it.
pub(super) fn name_of<T: Serialize>(value: &T) -> String {
    let quoted = serde_json::to_string(value).expect("a plain enum encodes as a name");
    quoted.trim_matches('"').to_owned()
}

/// The value of a plain enum with this name.
pub(super) fn from_name<T: DeserializeOwned>(name: &str) -> Result<T, Cause> {
    let deserializer: StrDeserializer<'_, ValueError> = StrDeserializer::new(name);
    T::deserialize(deserializer).map_err(Cause::from)
}

pub(super) fn from_optional_name<T: DeserializeOwned>(name: Option<&str>) -> Result<Option<T>, Cause> {
    name.map(from_name).transpose()
}

pub(super) fn id<Id: TryFrom<i64, Error = InvalidId>>(id: i64) -> Result<Id, Cause> {
    Id::try_from(id).map_err(Cause::from)
}

/// A number of things: what PostgreSQL cannot say unsigned.
pub(super) fn count(count: i64) -> Result<u32, Cause> {
    u32::try_from(count).map_err(Cause::from)
}

pub(super) fn optional_count(number: Option<i64>) -> Result<Option<u32>, Cause> {
    number.map(count).transpose()
}

pub(super) fn time(micros: i64) -> Result<DateTime<Utc>, Cause> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| "a time out of range".into())
}

/// A JSON array.
pub(super) fn ids_text(ids: &[SampleId]) -> String {
    format!("{:?}", ids.iter().map(|id| id.get()).collect::<Vec<_>>())
}

/// What stands of a pattern in a row: chart, rule, its name, whose it is, severity, and how many hold.
type PatternRow = (Chart, u32, String, Option<String>, Severity, u64);

/// A JSON array.
pub(super) fn patterns_text(patterns: &[EpisodePattern]) -> String {
    let row = |pattern: &EpisodePattern| -> PatternRow {
        let EpisodePattern { chart, rule_id, rule_name, source, severity, holding } = pattern.clone();
        (chart, rule_id, rule_name, source, severity, holding)
    };
    let rows: Vec<_> = patterns.iter().map(row).collect();
    serde_json::to_string(&rows).expect("names and numbers encode")
}

pub(super) fn patterns_from(text: &str) -> Result<Vec<EpisodePattern>, Cause> {
    let rows: Vec<PatternRow> = serde_json::from_str(text)?;
    let pattern = |(chart, rule_id, rule_name, source, severity, holding)| EpisodePattern {
        chart,
        rule_id,
        rule_name,
        source,
        severity,
        holding,
    };
    Ok(rows.into_iter().map(pattern).collect())
}

pub(super) fn doubles_to_blob(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub(super) fn doubles_from_blob(blob: &[u8]) -> Result<Vec<f64>, Cause> {
    let (doubles, rest) = blob.as_chunks::<8>();
    if !rest.is_empty() {
        return Err("measurements are not whole doubles".into());
    }
    Ok(doubles.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
}

/// Blames the row for what could not be read of it.
pub(super) fn corrupt<T>(table: &'static str, id: i64, read: Result<T, Cause>) -> Result<T, StoreError> {
    read.map_err(|source| StoreError::Corrupt { table, id, source })
}
