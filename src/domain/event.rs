//! What the domain services commit, and what is published because it was committed.

use std::sync::Arc;

use crate::domain::characteristic::Characteristic;
use crate::domain::ids::CharacteristicId;
use crate::domain::phase::Phase;
use crate::domain::sample::Sample;
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
}

impl Event {
    /// Whose event it is.
    pub fn characteristic_id(&self) -> CharacteristicId {
        match self {
            Self::SampleProcessed { sample, .. } => sample.characteristic_id,
            Self::ViolationCreated { violation, .. } => violation.characteristic_id,
            Self::ViolationAcknowledged(violation) => violation.characteristic_id,
            Self::ControlLimitsUpdated(phase) => phase.characteristic_id,
        }
    }
}
