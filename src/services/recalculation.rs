//! Calculates control limits from stored samples: the baseline.
//!
//! Reading and calculating happen outside the commit loop, on what is committed; only the result goes through it.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::characteristic::Characteristic;
use crate::domain::chart::ChartKind;
use crate::domain::ids::{CharacteristicId, LimitsId, SampleId};
use crate::domain::phase::{BaselineRange, LimitsMethod, Phase, ProposedLimits};
use crate::services::control_limits::{
    ControlLimitService, LimitsChange, LimitsRefusal, Signed, put_in_force,
};
use crate::services::queue::{Command, CommitError};
use crate::services::work::Work;
use crate::spc::{self, Baseline, BaselinePoint, EstimateError, Judging, PhaseLimits, PhaseState, Point};
use crate::store::{RecentFilter, RecentSample, StoreError};

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

/// Limits that were calculated.
#[derive(Debug, Clone, PartialEq)]
pub struct Recalculated {
    /// What was in force before.
    pub before: Option<Arc<Phase>>,
    /// What was calculated.
    pub proposed: ProposedLimits,
    /// What is in force now; `None` of a preview.
    pub in_force: Option<Arc<Phase>>,
    /// Whether the calculated limits differ from those before.
    pub changed: bool,
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

/// How often to begin again when other limits come into force during the calculation.
const TRIES: u32 = 3;

impl ControlLimitService {
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
        for _ in 0..TRIES {
            let Some(record) = self.store.characteristic(id).await? else {
                return Ok(Err(LimitsRefusal::Unknown(id)));
            };
            let before = record.phase.as_ref().map(|phase| phase.id);
            let samples = self.store.recent_samples(&self.filter(id, &selection, before)).await?;
            let basis = Basis::new(samples, selection.last_n, &record.characteristic);
            let estimate = tokio::task::spawn_blocking(move || basis.estimate(selection.min_samples))
                .await
                .expect("the estimate does not panic and is never cancelled");
            let Estimated { proposed, baseline, signals } = match estimate {
                Ok(estimated) => estimated,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if selection.preview {
                let changed = !record.phase.as_ref().is_some_and(|phase| proposed.judge_like(phase));
                let before = record.phase.map(Arc::new);
                return Ok(Ok(Recalculated { before, proposed, in_force: None, changed, baseline, signals }));
            }
            let command = PutCalculated { id, before, proposed, signed: signed.clone() };
            match self.queue.run(command).await? {
                Ok(Some(LimitsChange { before, after, changed })) => {
                    let in_force = Some(after);
                    return Ok(Ok(Recalculated { before, proposed, in_force, changed, baseline, signals }));
                }
                Ok(None) => {} // another phase has begun: its samples are the ones that count now
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        Err(CommitError::Busy)
    }

    fn filter(
        &self,
        characteristic_id: CharacteristicId,
        selection: &Selection,
        phase: Option<LimitsId>,
    ) -> RecentFilter {
        let Selection { from, to, last_n, .. } = *selection;
        let chosen = from.is_some() || to.is_some() || last_n.is_some();
        // Excluded ones are read, too: they break moving ranges. `last_n` counts only the others.
        let newest = self.baseline_samples;
        RecentFilter { characteristic_id, phase: (!chosen).then_some(phase), from, to, newest }
    }
}

/// Puts calculated limits in force, if those that were in force `before` the calculation still are.
struct PutCalculated {
    id: CharacteristicId,
    before: Option<LimitsId>,
    proposed: ProposedLimits,
    signed: Signed,
}

impl Command for PutCalculated {
    type Answer = Result<Option<LimitsChange>, LimitsRefusal>;

    async fn apply(&self, work: &mut Work<'_>) -> Result<Self::Answer, StoreError> {
        let Some(state) = work.take(self.id).await? else {
            return Ok(Err(LimitsRefusal::Unknown(self.id)));
        };
        if state.phase.as_ref().map(|phase| phase.id) != self.before {
            work.put(state);
            return Ok(Ok(None));
        }
        put_in_force(&self.proposed, state, &self.signed, work).await.map(|change| Ok(Some(change)))
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
    proposed: ProposedLimits,
    baseline: BaselineRange,
    signals: Vec<BaselineSignals>,
}

impl Basis {
    fn new(samples: Vec<RecentSample>, last_n: Option<u32>, characteristic: &Characteristic) -> Self {
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
        let definition = &characteristic.definition;
        Self {
            judging: Judging::new(definition.chart, characteristic.rules),
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
            EstimateError::TooFew | EstimateError::SubgroupSize(_) => LimitsRefusal::NoSpread,
            EstimateError::Refused(error) => LimitsRefusal::Limits(error),
        })?;
        let proposed = ProposedLimits {
            limits: estimate.limits,
            dispersion: Some(estimate.dispersion),
            method: LimitsMethod::estimating(self.chart),
            baseline: Some(range),
        };
        let signals = self.signals(&PhaseLimits::new(proposed.limits, proposed.dispersion));
        Ok(Estimated { proposed, baseline: range, signals })
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
            rule_ids.sort_unstable(); // rule 1 may fire on both charts
            rule_ids.dedup();
            if !rule_ids.is_empty() {
                signals.push(BaselineSignals { sample_id, rule_ids });
            }
        }
        signals
    }
}
