//! Calculates control limits from stored samples: the baseline.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::chart::ChartKind;
use crate::domain::ids::{CharacteristicId, SampleId};
use crate::domain::phase::{BaselineRange, LimitsMethod};
use crate::services::control_limits::{LimitsChange, LimitsRefusal, NewLimits, Signed, put_in_force};
use crate::services::queue::Command;
use crate::services::warm::WarmState;
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

/// The command behind `ControlLimitService::recalculate`.
pub(super) struct Recalculate {
    pub(super) id: CharacteristicId,
    pub(super) selection: Selection,
    pub(super) signed: Signed,
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
