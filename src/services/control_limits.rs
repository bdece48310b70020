//! Sets control limits, given or calculated from a baseline. New limits start a new phase.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::characteristic::Characteristic;
use crate::domain::chart::ChartKind;
use crate::domain::event::Event;
use crate::domain::ids::{CharacteristicId, SampleId};
use crate::domain::limits::{ControlLimits, DispersionLimits, LimitValues, LimitsError};
use crate::domain::phase::{BaselineRange, LimitsMethod, Phase};
use crate::services::queue::{Command, CommitError, CommitQueue};
use crate::services::warm::WarmState;
use crate::services::work::Work;
use crate::spc::{self, Baseline, BaselinePoint, EstimateError, Judging, PhaseLimits, PhaseState, Point};
use crate::store::{RecentFilter, RecentSample, StoreError};

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

/// Which samples limits are calculated from: without any choice, those of the present phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Selection {
    /// Measured at or after.
    pub from: Option<DateTime<Utc>>,
    /// Measured before.
    pub to: Option<DateTime<Utc>>,
    /// The newest so many.
    pub last_n: Option<u32>,
    /// Fewer than these are too few.
    pub min_samples: u32,
    /// Only tell what would be.
    pub preview: bool,
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
    /// What is in force now (of a preview: what would be).
    pub after: Arc<Phase>,
    /// Whether they differ; limits that do not change start no phase.
    pub changed: bool,
}

/// Limits that were calculated.
#[derive(Debug, Clone, PartialEq)]
pub struct Recalculated {
    /// What changed.
    pub change: LimitsChange,
    /// What they were calculated from.
    pub baseline: BaselineRange,
    /// Which of those would signal under them.
    pub signals: Vec<BaselineSignals>,
}

/// A baseline sample that signals under the limits it helped to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaselineSignals {
    /// The sample.
    pub sample_id: SampleId,
    /// What fires on it.
    pub rule_ids: Vec<u32>,
}

/// Sets and calculates control limits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ControlLimitService {
    queue: CommitQueue,
}

impl ControlLimitService {
    /// A service that commits through `queue`.
    pub fn new(queue: CommitQueue) -> Self {
        Self { queue }
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

    /// Calculates limits from stored samples and, unless it is a preview, puts them in force.
    ///
    /// # Errors
    /// [`CommitError`], if nothing could be stored; the inner [`LimitsRefusal`], if there are too few samples
    /// or they do not vary.
    pub async fn recalculate(
        &self,
        id: CharacteristicId,
        selection: Selection,
        signed: Signed,
    ) -> Result<Result<Recalculated, LimitsRefusal>, CommitError> {
        self.queue.run(Recalculate { id, selection, signed }).await
    }
}

/// Limits of both charts and where they come from.
struct NewLimits {
    limits: ControlLimits,
    dispersion: Option<DispersionLimits>,
    method: LimitsMethod,
    baseline: Option<BaselineRange>,
}

impl GivenLimits {
    fn for_characteristic(self, characteristic: &Characteristic) -> Result<NewLimits, LimitsError> {
        let subgroup_size = characteristic.definition.subgroup_size;
        let (limits, dispersion) = match self {
            Self::Limits { center_line, ucl, lcl } => {
                let sigma = (ucl - lcl) / 6.0 * f64::from(subgroup_size).sqrt();
                // In their order first: of limits the wrong way round, sigma would be the smaller worry.
                if !(lcl < center_line && center_line < ucl)
                    && [lcl, center_line, ucl].iter().all(|v| v.is_finite())
                {
                    return Err(LimitsError::OutOfOrder);
                }
                (ControlLimits::new(LimitValues { center_line, ucl, lcl, sigma, subgroup_size })?, None)
            }
            Self::Sigma { center_line, sigma } => (
                ControlLimits::from_sigma(center_line, sigma, subgroup_size)?,
                spc::dispersion_limits(characteristic.definition.chart, sigma, subgroup_size),
            ),
        };
        Ok(NewLimits { limits, dispersion, method: LimitsMethod::Given, baseline: None })
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
        match self.given.for_characteristic(&state.characteristic) {
            Ok(new) => put_in_force(new, state, &self.signed, work).await.map(Ok),
            Err(error) => {
                work.put(state);
                Ok(Err(error.into()))
            }
        }
    }
}

async fn put_in_force(
    new: NewLimits,
    mut state: WarmState,
    signed: &Signed,
    work: &mut Work<'_>,
) -> Result<LimitsChange, StoreError> {
    let before = state.phase.clone();
    let change = match before.as_ref().filter(|phase| new.judges_like(phase)) {
        Some(same) => LimitsChange { after: Arc::clone(same), before, changed: false },
        None => {
            let after = Arc::new(new.phase(&state, signed, work));
            work.transaction.insert_phase(&after).await?;
            work.append(&mut state, &Event::ControlLimitsUpdated(Arc::clone(&after)))?;
            state.start_phase(Arc::clone(&after));
            LimitsChange { before, after, changed: true }
        }
    };
    work.put(state);
    Ok(change)
}

impl NewLimits {
    fn judges_like(&self, phase: &Phase) -> bool {
        self.limits == phase.limits && self.dispersion == phase.dispersion
    }

    fn phase(self, state: &WarmState, signed: &Signed, work: &mut Work<'_>) -> Phase {
        Phase {
            id: work.transaction.next_limits_id(),
            characteristic_id: state.characteristic.id,
            limits: self.limits,
            dispersion: self.dispersion,
            method: self.method,
            baseline: self.baseline,
            timestamp: work.now,
            reason: signed.reason.clone(),
            user: signed.user.clone(),
        }
    }
}

struct Recalculate {
    id: CharacteristicId,
    selection: Selection,
    signed: Signed,
}

impl Command for Recalculate {
    type Answer = Result<Recalculated, LimitsRefusal>;

    async fn apply(&self, work: &mut Work<'_>) -> Result<Self::Answer, StoreError> {
        let Some(state) = work.take(self.id).await? else {
            return Ok(Err(LimitsRefusal::Unknown(self.id)));
        };
        work.transaction.flush().await?; // samples of this very transaction count
        let samples = work.transaction.recent_samples(&self.filter(&state, work)).await?;
        let basis = Basis::new(samples, self.selection.last_n, &state);
        let wanted = self.selection.min_samples;
        let estimate = tokio::task::spawn_blocking(move || basis.estimate(wanted))
            .await
            .expect("the estimate does not panic and is never cancelled");
        let Estimated { new, range, signals } = match estimate {
            Ok(estimated) => estimated,
            Err(refusal) => {
                work.put(state);
                return Ok(Err(refusal));
            }
        };
        let change = if self.selection.preview {
            let before = state.phase.clone();
            let changed = !before.as_ref().is_some_and(|phase| new.judges_like(phase));
            let after = Arc::new(new.phase(&state, &self.signed, work));
            work.put(state);
            LimitsChange { before, after, changed }
        } else {
            put_in_force(new, state, &self.signed, work).await?
        };
        Ok(Ok(Recalculated { change, baseline: range, signals }))
    }
}

impl Recalculate {
    fn filter(&self, state: &WarmState, work: &Work<'_>) -> RecentFilter {
        let Selection { from, to, last_n, .. } = self.selection;
        let chosen = from.is_some() || to.is_some() || last_n.is_some();
        let phase = (!chosen).then(|| state.phase.as_ref().map(|phase| phase.id));
        // Excluded ones are read, too: they break moving ranges. `last_n` counts only the others.
        RecentFilter { characteristic_id: self.id, phase, from, to, newest: work.settings.baseline_samples }
    }
}

/// The samples to calculate from, without excluded ones.
struct Basis {
    judging: Judging,
    chart: ChartKind,
    subgroup_size: u32,
    ids: Vec<SampleId>,
    points: Vec<BaselinePoint>,
}

struct Estimated {
    new: NewLimits,
    range: BaselineRange,
    signals: Vec<BaselineSignals>,
}

impl Basis {
    fn new(samples: Vec<RecentSample>, last_n: Option<u32>, state: &WarmState) -> Self {
        let (mut ids, mut points) = (Vec::new(), Vec::new());
        let mut follows_break = false;
        for RecentSample { id, subgroup, is_excluded } in samples {
            if !is_excluded {
                ids.push(id);
                points.push(BaselinePoint { subgroup, follows_break });
            }
            follows_break = is_excluded;
        }
        let surplus = last_n.map_or(0, |n| points.len().saturating_sub(n as usize));
        ids.drain(..surplus);
        points.drain(..surplus);
        let definition = &state.characteristic.definition;
        Self {
            judging: state.judging,
            chart: definition.chart,
            subgroup_size: definition.subgroup_size,
            ids,
            points,
        }
    }

    fn estimate(self, wanted: u32) -> Result<Estimated, LimitsRefusal> {
        let found = self.points.len();
        let too_few = LimitsRefusal::TooFew { found, wanted };
        let (Some(first), Some(last)) = (self.ids.first(), self.ids.last()) else { return Err(too_few) };
        if found < wanted as usize {
            return Err(too_few);
        }
        let range = BaselineRange {
            first_sample_id: *first,
            last_sample_id: *last,
            sample_count: u32::try_from(found).unwrap_or(u32::MAX),
        };
        let baseline =
            Baseline { chart: self.chart, subgroup_size: self.subgroup_size, points: &self.points };
        let estimate = spc::estimate(&baseline).map_err(|error| match error {
            EstimateError::TooFew | EstimateError::SubgroupSize(_) => too_few,
            EstimateError::Refused(error) => LimitsRefusal::Limits(error),
        })?;
        let new = NewLimits {
            limits: estimate.limits,
            dispersion: Some(estimate.dispersion),
            method: LimitsMethod::estimating(self.chart),
            baseline: Some(range),
        };
        let signals = self.signals(&PhaseLimits::new(new.limits, new.dispersion));
        Ok(Estimated { new, range, signals })
    }

    /// Judges the baseline by the limits it makes.
    fn signals(&self, limits: &PhaseLimits) -> Vec<BaselineSignals> {
        let mut state = PhaseState::new();
        let mut signals = Vec::new();
        for (&sample_id, point) in self.ids.iter().zip(&self.points) {
            if point.follows_break {
                state.break_moving_range();
            }
            let point = Point { sample_id, subgroup: point.subgroup };
            let judged = state.judge(&point, Some(limits), &self.judging).judged;
            let mut rule_ids: Vec<u32> = judged
                .iter()
                .flat_map(|j| j.signals.iter().map(|s| s.rule.id()).collect::<Vec<_>>())
                .collect();
            rule_ids.dedup();
            if !rule_ids.is_empty() {
                signals.push(BaselineSignals { sample_id, rule_ids });
            }
        }
        signals
    }
}
