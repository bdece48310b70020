//! A violation: one rule that fired on one sample, and what people did about it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::chart::{Chart, Side};
use crate::domain::ids::{CharacteristicId, SampleId, ViolationId};
use crate::domain::rules::Severity;

/// Whether a violation still holds. Open means: neither acknowledged nor withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationStatus {
    /// The pattern is there.
    Open,
    /// Re-judging found that it is not.
    Withdrawn,
}

/// Who answered a violation, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The operator.
    pub user: String,
    /// Usually one of the reason codes.
    pub reason: String,
    /// Free text.
    pub comment: Option<String>,
    /// When.
    pub timestamp: DateTime<Utc>,
}

/// At most one per sample, chart and rule; never deleted by re-judging.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// Its id.
    pub id: ViolationId,
    /// The newest sample of the pattern.
    pub sample_id: SampleId,
    /// Whose chart.
    pub characteristic_id: CharacteristicId,
    /// Which of its two charts.
    pub chart: Chart,
    /// The rule's number.
    pub rule_id: u32,
    /// The rule's name.
    pub rule_name: String,
    /// How urgent.
    pub severity: Severity,
    /// The pattern in words.
    pub message: String,
    /// On which side of the center line, if on one.
    pub side: Option<Side>,
    /// The plotted value, in the characteristic's unit.
    pub value: f64,
    /// Center line that judged it.
    pub center_line: f64,
    /// Upper control limit that judged it.
    pub ucl: f64,
    /// Lower control limit that judged it.
    pub lcl: f64,
    /// Process sigma (single observations).
    pub sigma: f64,
    /// Measurements of the sample.
    pub n: u32,
    /// Members of the pattern, oldest first.
    pub involved_sample_ids: Vec<SampleId>,
    /// The sample's time.
    pub timestamp: DateTime<Utc>,
    /// When it was found.
    pub created_at: DateTime<Utc>,
    /// Whether it waits for an operator.
    pub requires_acknowledgement: bool,
    /// Whether it still holds.
    pub status: ViolationStatus,
    /// The answer, once there is one.
    pub acknowledgement: Option<Acknowledgement>,
}
