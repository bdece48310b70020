//! Calculates control limits from stored samples: the baseline.
//!
//! Reading and calculating happen outside the commit loop, on what is committed; only the result goes through it.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::characteristic::Characteristic;
use crate::domain::chart::{ChartKind, DispersionStatistic};
use crate::domain::ids::{CharacteristicId, SampleId};
use crate::domain::phase::{BaselineRange, LimitsMethod, Phase, ProposedLimits};
use crate::domain::rules::{Preset, RuleSet};
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
    /// How sigma is estimated; `None`: as the chart does.
    pub method: Option<LimitsMethod>,
    /// Leaves out the points beyond the limits they would make, again and again until none is.
    pub exclude_out_of_control: bool,
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
    /// Which samples were left out because they lay beyond the limits.
    pub left_out: Vec<SampleId>,
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
            let (before, chart) = (record.phase_from, record.characteristic.definition.chart);
            let samples = self.store.recent_samples(&self.filter(id, &selection, before)).await?;
            let basis = Basis::new(samples, selection.last_n, &record.characteristic);
            if selection.method.is_some_and(|method| !basis.takes(method)) {
                return Ok(Err(LimitsRefusal::Method));
            }
            let estimate = tokio::task::spawn_blocking(move || basis.estimate_as(&selection))
                .await
                .expect("the estimate does not panic and is never cancelled");
            let Estimated { proposed, baseline, signals, left_out } = match estimate {
                Ok(estimated) => estimated,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if selection.preview {
                let changed = !record.phase.as_ref().is_some_and(|phase| proposed.judge_like(phase));
                let before = record.phase.map(Arc::new);
                let in_force = None;
                return Ok(Ok(Recalculated {
                    before,
                    proposed,
                    in_force,
                    changed,
                    baseline,
                    signals,
                    left_out,
                }));
            }
            let command = PutCalculated { id, before, chart, proposed, signed: signed.clone() };
            match self.queue.run(command).await? {
                Ok(Some(LimitsChange { before, after, changed })) => {
                    let in_force = Some(after);
                    return Ok(Ok(Recalculated {
                        before,
                        proposed,
                        in_force,
                        changed,
                        baseline,
                        signals,
                        left_out,
                    }));
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
        phase_from: SampleId,
    ) -> RecentFilter {
        let Selection { from, to, last_n, .. } = *selection;
        let chosen = from.is_some() || to.is_some() || last_n.is_some();
        // Excluded ones are read, too: they break moving ranges. `last_n` counts only the others.
        let newest = self.baseline_samples;
        RecentFilter { characteristic_id, since: (!chosen).then_some(phase_from), from, to, newest }
    }
}

/// Puts calculated limits in force, if the phase that they were calculated in still lasts, and the chart is the same.
struct PutCalculated {
    id: CharacteristicId,
    before: SampleId,
    chart: ChartKind,
    proposed: ProposedLimits,
    signed: Signed,
}

impl Command for PutCalculated {
    type Answer = Result<Option<LimitsChange>, LimitsRefusal>;

    async fn apply(&self, work: &mut Work<'_>) -> Result<Self::Answer, StoreError> {
        let Some(state) = work.take(self.id).await? else {
            return Ok(Err(LimitsRefusal::Unknown(self.id)));
        };
        let definition = &state.characteristic.definition;
        let is_same_chart = definition.chart == self.chart
            && definition.subgroup_size == self.proposed.limits.subgroup_size();
        if state.phase_from != self.before || !is_same_chart {
            work.give_back(state);
            return Ok(Ok(None));
        }
        put_in_force(&self.proposed, state, &self.signed, work).await.map(|change| Ok(Some(change)))
    }
}

/// How often points beyond the limits are left out, at most.
const ROUNDS: u32 = 20;

/// The samples to calculate from, without excluded ones.
pub(super) struct Basis {
    judging: Judging,
    chart: ChartKind,
    subgroup_size: u32,
    ids: Vec<SampleId>,
    points: Vec<BaselinePoint>,
}

pub(super) struct Estimated {
    pub(super) proposed: ProposedLimits,
    baseline: BaselineRange,
    signals: Vec<BaselineSignals>,
    left_out: Vec<SampleId>,
}

impl Basis {
    pub(super) fn new(
        samples: Vec<RecentSample>,
        last_n: Option<u32>,
        characteristic: &Characteristic,
    ) -> Self {
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

    /// Whether sigma can be estimated in this way: ranges and standard deviations need subgroups.
    fn takes(&self, method: LimitsMethod) -> bool {
        match self.chart {
            ChartKind::IMr => method == LimitsMethod::MovingRange,
            ChartKind::XbarR | ChartKind::XbarS => {
                matches!(method, LimitsMethod::Range | LimitsMethod::StdDev)
            }
        }
    }

    /// From all of them, as the chart does.
    pub(super) fn estimate(self, wanted: u32) -> Result<Estimated, LimitsRefusal> {
        self.estimate_as(&Selection { min_samples: wanted, ..Selection::default() })
    }

    fn estimate_as(mut self, selection: &Selection) -> Result<Estimated, LimitsRefusal> {
        let method = selection.method.unwrap_or(LimitsMethod::estimating(self.chart));
        let mut left_out = Vec::new();
        for _ in 0..ROUNDS {
            let (proposed, baseline) = self.propose(selection.min_samples, method)?;
            let limits = PhaseLimits::new(proposed.limits, proposed.dispersion);
            let beyond = if selection.exclude_out_of_control { self.beyond(&limits) } else { Vec::new() };
            if beyond.is_empty() {
                left_out.sort_unstable();
                let signals = self.signals(&limits);
                return Ok(Estimated { proposed, baseline, signals, left_out });
            }
            left_out.extend(beyond.iter().map(|index| self.ids[*index]));
            self.leave_out(&beyond);
        }
        Err(LimitsRefusal::Unstable)
    }

    fn propose(
        &self,
        wanted: u32,
        method: LimitsMethod,
    ) -> Result<(ProposedLimits, BaselineRange), LimitsRefusal> {
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
        let baseline = Baseline {
            chart: self.chart,
            subgroup_size: self.subgroup_size,
            points: &self.points,
            sigma_from: match method {
                LimitsMethod::Range => DispersionStatistic::R,
                LimitsMethod::StdDev => DispersionStatistic::S,
                LimitsMethod::MovingRange | LimitsMethod::Given => self.chart.dispersion(),
            },
        };
        let estimate = spc::estimate(&baseline).map_err(|error| match error {
            EstimateError::TooFew | EstimateError::SubgroupSize(_) => LimitsRefusal::NoSpread,
            EstimateError::Refused(error) => LimitsRefusal::Limits(error),
        })?;
        let (limits, dispersion) = (estimate.limits, Some(estimate.dispersion));
        Ok((ProposedLimits { limits, dispersion, method, baseline: Some(range) }, range))
    }

    /// The points that lie beyond the limits, of either chart where both are judged: a moving range says nothing of
    /// its own.
    fn beyond(&self, limits: &PhaseLimits) -> Vec<usize> {
        let outlier = Judging::new(self.chart, RuleSet::preset(Preset::Outlier));
        let beyond = self.judge(limits, &outlier).into_iter().enumerate();
        beyond.filter(|(_, rule_ids)| !rule_ids.is_empty()).map(|(index, _)| index).collect()
    }

    /// As if they had never been taken: they break moving ranges.
    fn leave_out(&mut self, indexes: &[usize]) {
        for index in indexes.iter().rev() {
            self.ids.remove(*index);
            self.points.remove(*index);
            if let Some(next) = self.points.get_mut(*index) {
                next.follows_break = true;
            }
        }
    }

    /// Judges the baseline by the limits it makes.
    fn signals(&self, limits: &PhaseLimits) -> Vec<BaselineSignals> {
        let fired = self.ids.iter().zip(self.judge(limits, &self.judging));
        fired
            .filter(|(_, rule_ids)| !rule_ids.is_empty())
            .map(|(&sample_id, rule_ids)| BaselineSignals { sample_id, rule_ids })
            .collect()
    }

    /// The rules that fire on each point.
    fn judge(&self, limits: &PhaseLimits, judging: &Judging) -> Vec<Vec<u32>> {
        let mut state = PhaseState::new();
        let mut rules = |(&sample_id, point): (&SampleId, &BaselinePoint)| {
            if point.follows_break {
                state.break_moving_range();
            }
            let point = Point { sample_id, subgroup: point.subgroup };
            let judged = state.judge(&point, Some(limits), judging).judged;
            let signals = judged.map(|judged| judged.signals);
            let mut rule_ids: Vec<u32> =
                signals.iter().flat_map(|signals| signals.iter().map(|s| s.rule.id())).collect();
            rule_ids.sort_unstable(); // rule 1 may fire on both charts
            rule_ids.dedup();
            rule_ids
        };
        self.ids.iter().zip(&self.points).map(&mut rules).collect()
    }
}
