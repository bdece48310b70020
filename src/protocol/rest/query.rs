//! Query strings of lists. A name that is not one of them is refused.

use serde::Deserialize;

use crate::domain::ids::{CharacteristicId, SampleId};
use crate::domain::rules::Severity;
use crate::domain::violation::ViolationStatus;

/// A list without filters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    pub offset: Option<u64>,
    pub limit: Option<u64>,
}

/// `GET /characteristics`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CharacteristicQuery {
    /// Those in this group or below it.
    pub group: Option<String>,
    /// Those whose name or key holds this text.
    pub q: Option<String>,
    pub tag: Option<String>,
    pub key: Option<String>,
    pub offset: Option<u64>,
    pub limit: Option<u64>,
}

/// `GET /samples`. Times are RFC 3339; `from` inclusive, `to` exclusive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleQuery {
    pub characteristic_id: Option<CharacteristicId>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub offset: Option<u64>,
    pub limit: Option<u64>,
}

/// `GET .../chart-data`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChartQuery {
    pub from: Option<String>,
    pub to: Option<String>,
    /// Points, the newest ones.
    pub limit: Option<u64>,
}

/// `GET /violations`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViolationQuery {
    pub characteristic_id: Option<CharacteristicId>,
    pub sample_id: Option<SampleId>,
    pub acknowledged: Option<bool>,
    pub status: Option<ViolationStatus>,
    pub severity: Option<Severity>,
    pub rule_id: Option<u32>,
    /// Those of characteristics in this group or below it.
    pub group: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub offset: Option<u64>,
    pub limit: Option<u64>,
}

/// `GET /violations/stats`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatsQuery {
    pub characteristic_id: Option<CharacteristicId>,
    pub group: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
}
