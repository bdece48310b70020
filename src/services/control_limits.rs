//! Sets control limits, given or calculated from a baseline. New limits start a new phase.

use std::sync::Arc;

use crate::domain::characteristic::{Characteristic, Definition};
use crate::domain::episode::ClosingReason;
use crate::domain::event::Event;
use crate::domain::ids::CharacteristicId;
use crate::domain::limits::{ControlLimits, LimitValues, LimitsError};
use crate::domain::phase::{LimitsMethod, Phase, ProposedLimits};
use crate::services::episodes;
use crate::services::queue::{Command, CommitError, CommitQueue};
use crate::services::warm::WarmState;
use crate::services::work::Work;
use crate::spc;
use crate::store::{Store, StoreError};

/// Limits that somebody gives, in the characteristic's own unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GivenLimits {
    /// Both limits of a full subgroup; sigma follows from their distance.
    Limits {
        /// Center line.
        center_line: f64,
        /// Upper control limit.
        ucl: f64,
        /// Lower control limit.
        lcl: f64,
    },
    /// The same with a sigma of single observations that does not follow from them; limits of the dispersion
    /// chart do.
    Told {
        /// Center line.
        center_line: f64,
        /// Upper control limit.
        ucl: f64,
        /// Lower control limit.
        lcl: f64,
        /// Sigma.
        sigma: f64,
    },
    /// Sigma of single observations; limits of both charts follow from it.
    Sigma {
        /// Center line.
        center_line: f64,
        /// Sigma.
        sigma: f64,
    },
}

/// Who changes limits, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signed {
    /// By whom.
    pub user: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// Why limits were not set.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LimitsRefusal {
    /// No such characteristic.
    #[error("characteristic {0} does not exist")]
    Unknown(CharacteristicId),
    /// They cannot be limits.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// The chart's sigma cannot be estimated in the way that was asked for.
    #[error(
        "this chart does not estimate sigma so: i_mr takes moving_range, xbar_r and xbar_s take range or std_dev"
    )]
    Method,
    /// Leaving out what is out of control left other points out of control, again and again.
    #[error("points beyond the limits were left out 20 times, and others still lie beyond the new ones")]
    Unstable,
    /// No two values that sigma could be estimated from.
    #[error(
        "no sample shows a spread: there is no subgroup of two or more, or no two neighbouring individuals"
    )]
    NoSpread,
    /// Too few samples to calculate from.
    #[error("{found} samples to calculate from, at least {wanted} are needed")]
    TooFew {
        /// How many there are.
        found: usize,
        /// How many there must be.
        wanted: u32,
    },
}

/// Limits that were asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitsChange {
    /// What was in force before.
    pub before: Option<Arc<Phase>>,
    /// What is in force now.
    pub after: Arc<Phase>,
    /// Whether they differ; limits that do not change start no phase.
    pub changed: bool,
}

/// Sets and calculates control limits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ControlLimitService {
    pub(super) queue: CommitQueue,
    /// Baselines are read from here, outside the queue: nobody waits while a long history is read.
    pub(super) store: Store,
    pub(super) baseline_samples: u32,
}

impl ControlLimitService {
    /// A service that commits through `queue` and reads at most `baseline_samples` from `store`.
    pub fn new(queue: CommitQueue, store: Store, baseline_samples: u32) -> Self {
        Self { queue, store, baseline_samples }
    }

    /// Puts given limits in force.
    ///
    /// # Errors
    /// [`CommitError`], if nothing could be stored; the inner [`LimitsRefusal`], if they cannot be limits.
    pub async fn set(
        &self,
        id: CharacteristicId,
        given: GivenLimits,
        signed: Signed,
    ) -> Result<Result<LimitsChange, LimitsRefusal>, CommitError> {
        self.queue.run(SetLimits { id, given, signed }).await
    }
}

impl GivenLimits {
    fn for_characteristic(self, characteristic: &Characteristic) -> Result<ProposedLimits, LimitsError> {
        let Definition { chart, subgroup_size, .. } = characteristic.definition;
        let limits = self.limits(subgroup_size)?;
        let dispersion = match self {
            Self::Limits { .. } => None,
            Self::Told { sigma, .. } | Self::Sigma { sigma, .. } => {
                spc::dispersion_limits(chart, sigma, subgroup_size)
            }
        };
        Ok(ProposedLimits { limits, dispersion, method: LimitsMethod::Given, baseline: None })
    }

    fn limits(self, subgroup_size: u32) -> Result<ControlLimits, LimitsError> {
        match self {
            Self::Limits { center_line, ucl, lcl } => {
                let sigma = (ucl - lcl) / 6.0 * f64::from(subgroup_size).sqrt();
                ControlLimits::new(LimitValues { center_line, ucl, lcl, sigma, subgroup_size })
            }
            Self::Told { center_line, ucl, lcl, sigma } => {
                ControlLimits::new(LimitValues { center_line, ucl, lcl, sigma, subgroup_size })
            }
            Self::Sigma { center_line, sigma } => {
                ControlLimits::from_sigma(center_line, sigma, subgroup_size)
            }
        }
    }

    /// Whether they could be the limits of single measurements.
    pub(super) fn check(self) -> Result<(), LimitsError> {
        self.limits(1).map(drop)
    }

    /// Whether a phase already has these lines. What it knows besides, sigma and the dispersion chart's limits, is
    /// not taken from it by somebody who repeats the lines.
    fn are_those_of(self, phase: &Phase) -> bool {
        let limits = &phase.limits;
        let in_force = (limits.center_line(), limits.ucl(), limits.lcl());
        match self {
            Self::Limits { center_line, ucl, lcl } => in_force == (center_line, ucl, lcl),
            Self::Told { center_line, ucl, lcl, sigma } => {
                in_force == (center_line, ucl, lcl) && limits.sigma() == sigma
            }
            Self::Sigma { .. } => false,
        }
    }
}

struct SetLimits {
    id: CharacteristicId,
    given: GivenLimits,
    signed: Signed,
}

impl Command for SetLimits {
    type Answer = Result<LimitsChange, LimitsRefusal>;

    async fn apply(&self, work: &mut Work<'_>) -> Result<Self::Answer, StoreError> {
        let Some(state) = work.take(self.id).await? else {
            return Ok(Err(LimitsRefusal::Unknown(self.id)));
        };
        set_given(self.given, state, &self.signed, work).await
    }
}

/// Puts given limits in force, unless they are already; gives the state back.
pub(super) async fn set_given(
    given: GivenLimits,
    state: WarmState,
    signed: &Signed,
    work: &mut Work<'_>,
) -> Result<Result<LimitsChange, LimitsRefusal>, StoreError> {
    // Provisional limits that somebody gives are provisional no more: that is a change.
    let unchanged = |phase: &Arc<Phase>| !phase.is_provisional && given.are_those_of(phase);
    if let Some(phase) = state.phase.clone().filter(unchanged) {
        work.give_back(state);
        return Ok(Ok(LimitsChange { before: Some(Arc::clone(&phase)), after: phase, changed: false }));
    }
    match given.for_characteristic(&state.characteristic) {
        Ok(proposed) => put_in_force(&proposed, state, signed, work).await.map(Ok),
        Err(error) => {
            work.give_back(state);
            Ok(Err(error.into()))
        }
    }
}

/// Starts a phase with these limits, unless they judge as the present ones do.
pub(super) async fn put_in_force(
    proposed: &ProposedLimits,
    mut state: WarmState,
    signed: &Signed,
    work: &mut Work<'_>,
) -> Result<LimitsChange, StoreError> {
    let before = state.phase.clone();
    let unchanged = |phase: &&Arc<Phase>| !phase.is_provisional && proposed.judge_like(phase);
    let change = match before.as_ref().filter(unchanged) {
        Some(same) => LimitsChange { after: Arc::clone(same), before, changed: false },
        None => {
            let after = Arc::new(phase(proposed, &state, signed, work));
            episodes::close(ClosingReason::NewLimits, &mut state, work)?;
            work.transaction.insert_phase(&after).await?;
            work.append(&mut state, &Event::ControlLimitsUpdated(Arc::clone(&after)))?;
            state.start_phase(Arc::clone(&after));
            LimitsChange { before, after, changed: true }
        }
    };
    work.put(state);
    Ok(change)
}

fn phase(proposed: &ProposedLimits, state: &WarmState, signed: &Signed, work: &mut Work<'_>) -> Phase {
    let ProposedLimits { limits, dispersion, method, baseline } = *proposed;
    Phase {
        id: work.transaction.next_limits_id(),
        characteristic_id: state.characteristic.id,
        limits,
        dispersion,
        method,
        baseline,
        is_provisional: false,
        from_sample_id: work.transaction.coming_sample_id(),
        timestamp: work.now,
        reason: signed.reason.clone(),
        user: signed.user.clone(),
    }
}
