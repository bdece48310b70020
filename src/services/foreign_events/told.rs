//! What another system tells, as values of the domain that hold together. Whether what they speak of is known here,
//! only the transaction that takes them can say. Values are in the characteristic's own unit.

use chrono::{DateTime, Utc};

use crate::domain::chart::{Chart, Side};
use crate::domain::foreign::ForeignEventId;
use crate::domain::sample::{Judgement, Mode, Subgroup};
use crate::services::control_limits::{GivenLimits, Signed};
use crate::services::spc_engine::CharacteristicRef;

/// One event of another system.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignEvent {
    /// What its sender calls it.
    pub id: ForeignEventId,
    /// What has happened there.
    pub told: Told,
}

/// What has happened in the other system.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// A sample was taken, and perhaps judged.
    Sample(CharacteristicRef, Box<ToldSample>),
    /// A rule of that system fired.
    Violation(CharacteristicRef, Box<ToldViolation>),
    /// Somebody answered a violation there; whose it is need not be said.
    Acknowledgement(Option<CharacteristicRef>, ToldAcknowledgement),
    /// Control limits are in force there.
    Limits(CharacteristicRef, ToldLimits),
}

impl Told {
    /// The characteristic that was named.
    pub(super) fn characteristic(&self) -> Option<&CharacteristicRef> {
        match self {
            Self::Sample(named, _) | Self::Violation(named, _) | Self::Limits(named, _) => Some(named),
            Self::Acknowledgement(named, _) => named.as_ref(),
        }
    }
}

/// A sample as another system judged it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToldSample {
    /// The sender's own id of it.
    pub external_id: Option<String>,
    /// The single values, if they were told.
    pub measurements: Vec<f64>,
    /// What is plotted.
    pub subgroup: Subgroup,
    /// What the dispersion chart plots.
    pub dispersion_value: Option<f64>,
    /// When it was measured.
    pub timestamp: DateTime<Utc>,
    /// How the sender judged it, if it did.
    pub judgement: Option<Judgement>,
    /// Measurements beyond the specification limits, if they were counted.
    pub out_of_spec: Option<u32>,
    /// How it is meant.
    pub mode: Mode,
    /// The production batch.
    pub batch: Option<String>,
    /// Who measured.
    pub operator: Option<String>,
    /// A JSON object, kept as it is.
    pub metadata: Option<String>,
}

/// A violation that another system found.
#[derive(Debug, Clone, PartialEq)]
pub struct ToldViolation {
    /// The sender's own id of it.
    pub external_id: String,
    /// The sender's own id of its sample.
    pub external_sample_id: Option<String>,
    /// On which chart.
    pub chart: Chart,
    /// The sender's number of the rule.
    pub rule_id: u32,
    /// The sender's name of the rule.
    pub rule_name: String,
    /// The sender's word for how urgent it is.
    pub severity: String,
    /// The pattern in words; without them, the rule's name makes a sentence.
    pub message: Option<String>,
    /// On which side of the center line.
    pub side: Option<Side>,
    /// The plotted value.
    pub value: Option<f64>,
    /// Center line.
    pub center_line: Option<f64>,
    /// Upper control limit.
    pub ucl: Option<f64>,
    /// Lower control limit.
    pub lcl: Option<f64>,
    /// Sigma of single observations.
    pub sigma: Option<f64>,
    /// Measurements of the sample.
    pub n: Option<u32>,
    /// The sender's ids of the pattern's members, oldest first.
    pub involved: Vec<String>,
    /// The time of the sample.
    pub timestamp: DateTime<Utc>,
    /// Whether it waits for an operator.
    pub requires_acknowledgement: bool,
}

/// An answer that a violation got in another system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldAcknowledgement {
    /// The sender's own id of the violation.
    pub external_id: String,
    /// The operator.
    pub user: String,
    /// Why.
    pub reason: String,
    /// Free text.
    pub comment: Option<String>,
    /// When; `None`: now.
    pub timestamp: Option<DateTime<Utc>>,
}

/// Limits that are in force in another system.
#[derive(Debug, Clone, PartialEq)]
pub struct ToldLimits {
    /// The limits.
    pub given: GivenLimits,
    /// Who set them there, and why.
    pub signed: Signed,
}
