//! A violation: one rule that fired on one sample, and what people did about it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::chart::{Chart, Side};
use crate::domain::foreign::Origin;
use crate::domain::ids::{CharacteristicId, EpisodeId, SampleId, ViolationId};
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
    /// The other system in which it was answered, if it was not this one.
    pub source: Option<String>,
}

/// At most one per sample, chart and rule; never deleted by re-judging.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// Its id.
    pub id: ViolationId,
    /// The newest sample of the pattern; `None` where another system told of none that is known here.
    pub sample_id: Option<SampleId>,
    /// Whose chart.
    pub characteristic_id: CharacteristicId,
    /// What it belongs to; `None`: of the past, about which nobody is told, or older than episodes are.
    pub episode_id: Option<EpisodeId>,
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
    /// The plotted value, in the characteristic's unit. This and the next five are always there, unless
    /// another system judged and did not tell.
    pub value: Option<f64>,
    /// Center line that judged it.
    pub center_line: Option<f64>,
    /// Upper control limit that judged it.
    pub ucl: Option<f64>,
    /// Lower control limit that judged it.
    pub lcl: Option<f64>,
    /// Process sigma (single observations).
    pub sigma: Option<f64>,
    /// Measurements of the sample.
    pub n: Option<u32>,
    /// Members of the pattern, oldest first.
    pub involved_sample_ids: Vec<SampleId>,
    /// The sample's time.
    pub timestamp: DateTime<Utc>,
    /// When it was found.
    pub created_at: DateTime<Utc>,
    /// Whether it waits for an operator.
    pub requires_acknowledgement: bool,
    /// Found when the sample was judged again, after another one was excluded or included.
    pub rejudged: bool,
    /// Of a sample of the past: who does not ask for history is not told.
    pub is_history: bool,
    /// The other system that judged it, if it was not this one.
    pub origin: Option<Origin>,
    /// That system's id of the sample.
    pub external_sample_id: Option<String>,
    /// Whether it still holds.
    pub status: ViolationStatus,
    /// The answer, once there is one.
    pub acknowledgement: Option<Acknowledgement>,
}

impl Violation {
    /// Neither acknowledged nor withdrawn.
    pub fn is_open(&self) -> bool {
        self.acknowledgement.is_none() && self.status == ViolationStatus::Open
    }
}
