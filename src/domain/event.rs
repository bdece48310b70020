//! What the domain services commit, and what is published because it was committed.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::characteristic::{Characteristic, Definition};
use crate::domain::episode::{Episode, EpisodeChange};
use crate::domain::ids::{CharacteristicId, SampleId};
use crate::domain::phase::Phase;
use crate::domain::rules::RuleSet;
use crate::domain::sample::{Mode, Sample};
use crate::domain::violation::Violation;

/// One fact about one characteristic.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A sample was judged and stored.
    SampleProcessed {
        /// The sample.
        sample: Arc<Sample>,
        /// What fired on it: location chart in rule order, then dispersion.
        violations: Vec<Arc<Violation>>,
    },
    /// A rule fired.
    ViolationCreated {
        /// What fired.
        violation: Arc<Violation>,
        /// Whose, as it was defined then.
        characteristic: Arc<Characteristic>,
    },
    /// Somebody answered a violation.
    ViolationAcknowledged(Arc<Violation>),
    /// New control limits are in force.
    ControlLimitsUpdated(Arc<Phase>),
    /// A sample counts as never taken, or counts again.
    SampleExclusionChanged(SampleExclusion),
    /// Re-judging found that a violation does not hold, or holds again.
    ViolationStatusChanged {
        /// The violation as it is now.
        violation: Arc<Violation>,
        /// Why.
        reason: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// What its owner says about a characteristic has changed.
    CharacteristicChanged(CharacteristicChange),
    /// An episode was opened, or what people have to know of it has changed.
    EpisodeChanged {
        /// The episode as it is now.
        episode: Arc<Episode>,
        /// What is new about it.
        change: EpisodeChange,
        /// When.
        at: DateTime<Utc>,
        /// Whose, as it was defined then.
        characteristic: Arc<Characteristic>,
    },
}

/// A decision about one sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleExclusion {
    /// The sample.
    pub sample_id: SampleId,
    /// Whose.
    pub characteristic_id: CharacteristicId,
    /// Counts as never taken from now on.
    pub is_excluded: bool,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub user: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What has become of a characteristic.
#[derive(Debug, Clone, PartialEq)]
pub struct CharacteristicChange {
    /// Which.
    pub characteristic_id: CharacteristicId,
    /// What is different now.
    pub what: Changed,
    /// Who said so.
    pub user: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What is different about a characteristic.
#[derive(Debug, Clone, PartialEq)]
pub enum Changed {
    /// Its definition, or whether it is retired.
    Definition {
        /// As it was.
        before: Box<Definition>,
        /// As it is.
        after: Box<Definition>,
        /// Retired or back again, if that has changed.
        is_retired: Option<bool>,
        /// Its chart begins anew, without limits.
        new_phase: bool,
    },
    /// The run rules that judge it.
    Rules(Box<RuleSet>),
    /// It is gone.
    Deleted,
}

impl Event {
    /// Whose event it is.
    pub fn characteristic_id(&self) -> CharacteristicId {
        match self {
            Self::SampleProcessed { sample, .. } => sample.characteristic_id,
            Self::ViolationCreated { violation, .. } | Self::ViolationStatusChanged { violation, .. } => {
                violation.characteristic_id
            }
            Self::ViolationAcknowledged(violation) => violation.characteristic_id,
            Self::ControlLimitsUpdated(phase) => phase.characteristic_id,
            Self::SampleExclusionChanged(exclusion) => exclusion.characteristic_id,
            Self::CharacteristicChanged(change) => change.characteristic_id,
            Self::EpisodeChanged { episode, .. } => episode.characteristic_id,
        }
    }

    /// Whether it is of the past: who does not ask for history is not told.
    pub fn is_history(&self) -> bool {
        match self {
            Self::SampleProcessed { sample, .. } => sample.mode != Mode::Live,
            Self::ViolationCreated { violation, .. } | Self::ViolationStatusChanged { violation, .. } => {
                violation.is_history
            }
            _ => false,
        }
    }
}
