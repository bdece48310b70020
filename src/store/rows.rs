//! Between columns and domain types.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::{Error as ValueError, StrDeserializer};
use sqlx::{QueryBuilder, Sqlite};

use crate::domain::ids::InvalidId;
use crate::store::StoreError;

type Cause = Box<dyn std::error::Error + Send + Sync>;

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

pub(super) fn time(micros: i64) -> Result<DateTime<Utc>, Cause> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| "a time out of range".into())
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

/// Each id once: a page of violations names the same characteristic over and over.
pub(super) fn push_ids(
    select: &mut QueryBuilder<Sqlite>,
    start: &'static str,
    ids: impl Iterator<Item = i64>,
) {
    select.push(start);
    let mut list = select.separated(", ");
    for id in ids.collect::<BTreeSet<_>>() {
        list.push_bind(id);
    }
    select.push(")");
}
