//! Samples over REST.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::chart::Zone;
use crate::domain::ids::{CharacteristicId, SampleId};
use crate::domain::sample::Sample;
use crate::protocol::json::JsonObject;
use crate::protocol::payload::{SamplePayload, ViolationSummary};
use crate::protocol::rest::LimitsState;
use crate::protocol::time;

/// Body of `POST /samples`, and one item of a batch.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleRequest {
    pub characteristic_id: Option<CharacteristicId>,
    pub characteristic_key: Option<String>,
    pub measurements: Vec<f64>,
    /// RFC 3339; without it, the time of arrival.
    pub timestamp: Option<String>,
    pub batch: Option<String>,
    pub operator: Option<String>,
    pub metadata: Option<JsonObject>,
}

/// Body of `POST /samples/batch`; the items are read one by one, so that a bad one stops nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    pub samples: Vec<Box<RawValue>>,
}

/// Answer of `POST /samples`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedView {
    pub sample_id: SampleId,
    pub seq: u64,
    #[serde(with = "time")]
    pub timestamp: DateTime<Utc>,
    pub value: f64,
    pub range_value: Option<f64>,
    pub zone: Option<Zone>,
    pub in_control: Option<bool>,
    pub limits_state: LimitsState,
    pub violations: Vec<ViolationSummary>,
    pub duplicate: bool,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchView {
    pub total: usize,
    pub successful: usize,
    pub failed: usize,
    pub results: Vec<BatchItem>,
}

/// What became of one sample of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchItem {
    pub index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_id: Option<SampleId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ItemError>,
    pub duplicate: bool,
}

/// Why one item of several failed: the short form of a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemError {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: u16,
    pub detail: String,
}

/// A stored sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleView {
    #[serde(flatten)]
    pub sample: SamplePayload,
    pub measurements: Vec<f64>,
    pub is_excluded: bool,
    pub batch: Option<String>,
    pub operator: Option<String>,
    pub metadata: Option<JsonObject>,
}

impl SampleView {
    /// A sample with the summaries of what fired on it.
    pub fn new(sample: Sample, violations: Vec<ViolationSummary>) -> Self {
        let mut payload = SamplePayload::new(&sample, &[]);
        payload.violations = violations;
        Self {
            sample: payload,
            measurements: sample.measurements,
            is_excluded: sample.is_excluded,
            batch: sample.batch,
            operator: sample.operator,
            metadata: sample.metadata.and_then(JsonObject::from_stored),
        }
    }
}
