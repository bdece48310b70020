//! Samples over REST.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::domain::chart::Zone;
use crate::domain::ids::{CharacteristicId, SampleId};
use crate::domain::phase::LimitsState;
use crate::domain::sample::{Mode, Sample};
use crate::protocol::json::JsonObject;
use crate::protocol::payload::{SamplePayload, ViolationSummary};
use crate::protocol::schema::{Key, Line, Moment, ProblemType, Quantity};
use crate::protocol::time;

/// Body of `POST /samples`, and one item of a batch.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({
    "characteristic_id": 1, "measurements": [10.2], "timestamp": "2026-01-31T12:00:00+01:00", "batch": "B-17",
    "operator": "ann", "metadata": {"machine": "press 2"}
})))]
pub struct SampleRequest {
    /// Whose; this or `characteristic_key`, and only one of them.
    pub characteristic_id: Option<CharacteristicId>,
    /// Whose, by the integrator's own id.
    pub characteristic_key: Option<String>,
    /// The single values: from the characteristic's `min_measurements` to its `subgroup_size` of them.
    #[schema(value_type = Vec<Quantity>, min_items = 1, max_items = 25)]
    pub measurements: Vec<f64>,
    /// When it was measured; without it, the time of arrival. Little more than the present is the most.
    #[schema(value_type = Option<Moment>)]
    pub timestamp: Option<String>,
    /// The sender's own name of the sample, unique within its characteristic.
    #[schema(value_type = Option<Key>)]
    pub key: Option<String>,
    /// The production batch, as the sender calls it.
    #[schema(value_type = Option<Line>)]
    pub batch: Option<String>,
    /// Who measured.
    #[schema(value_type = Option<Line>)]
    pub operator: Option<String>,
    pub metadata: Option<JsonObject>,
    /// Without it, as the batch says, or live.
    pub mode: Option<Mode>,
}

/// Body of `POST /samples/batch`; the items are read one by one, so that a bad one stops nothing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"samples": [
    {"characteristic_id": 1, "measurements": [10.2]}, {"characteristic_id": 1, "measurements": [9.9]}
]})))]
pub struct BatchRequest {
    /// For the samples that do not say it themselves; without it, live.
    pub mode: Option<Mode>,
    /// In the order in which they are judged.
    #[schema(value_type = Vec<SampleRequest>, max_items = 10000)]
    pub samples: Vec<Box<RawValue>>,
}

/// Answer of `POST /samples`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecordedView {
    pub sample_id: SampleId,
    /// Its position in the event log.
    pub seq: u64,
    #[serde(with = "time")]
    pub timestamp: DateTime<Utc>,
    /// What the location chart plots: the measurement, or their mean.
    pub value: f64,
    /// Null for a single measurement.
    pub range_value: Option<f64>,
    /// Null while there are no limits: not judged is not in control.
    pub zone: Option<Zone>,
    pub in_control: Option<bool>,
    pub limits_state: LimitsState,
    pub violations: Vec<ViolationSummary>,
    pub duplicate: bool,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchView {
    pub total: usize,
    pub successful: usize,
    pub failed: usize,
    pub results: Vec<BatchItem>,
}

/// What became of one sample of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchItem {
    /// Its place in the request, from 0.
    pub index: usize,
    /// There unless it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sample_id: Option<SampleId>,
    /// There if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<ItemError>,
    pub duplicate: bool,
}

/// Why one item of several failed: the short form of a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ItemError {
    /// As that of a problem.
    #[serde(rename = "type")]
    #[schema(value_type = ProblemType)]
    pub kind: String,
    /// The HTTP status it would have alone.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What was wrong, and what would be right.
    pub detail: String,
}

/// A stored sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
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
