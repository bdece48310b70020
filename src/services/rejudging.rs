//! Judges the points around a sample again, after it was excluded or included: by the limits of their phase and the
//! present rules.
//!
//! Acts only on the difference between what was found with the sample and what is found without it. So rows that say
//! something else for other reasons, such as rules that were changed meanwhile, stay as they are. Violations are
//! never deleted: what holds no more is withdrawn, and its acknowledgement stays.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::chart::{Chart, ChartKind, DispersionStatistic};
use crate::domain::episode::EpisodeChange;
use crate::domain::event::Event;
use crate::domain::ids::SampleId;
use crate::domain::phase::Phase;
use crate::domain::sample::Sample;
use crate::domain::violation::{Violation, ViolationStatus};
use crate::services::alert_manager::{Grounds, violation_of};
use crate::services::episodes;
use crate::services::warm::WarmState;
use crate::services::work::Work;
use crate::spc::{Finding, Judging, PhaseLimits, Point, REACH, Signal, Stretch, compare};
use crate::store::{NeighbourFilter, Neighbours, Rejudged, StoreError};

/// A signal's place among those of one sample: of either chart the rules in order, location first.
type Place = (bool, u32);

/// Judges a sample that was just excluded or included, and those after it that share a window with it.
pub(super) async fn rejudge_around(
    sample: &Sample,
    state: &mut WarmState,
    work: &mut Work<'_>,
) -> Result<(), StoreError> {
    let limits_id = sample.judgement.and_then(|judgement| judgement.limits_id);
    let phase = match (limits_id, &state.phase) {
        (None, _) => None,
        (Some(id), Some(present)) if present.id == id => Some(Arc::clone(present)),
        (Some(id), _) => match work.transaction.phase(id).await? {
            Some(phase) => Some(Arc::new(phase)),
            None => return Ok(()),
        },
    };
    let filter = NeighbourFilter {
        characteristic_id: sample.characteristic_id,
        limits_id,
        around: sample.id,
        before: REACH,
        after: REACH,
    };
    let Neighbours { mut before, mut after, excluded } = work.transaction.neighbours(&filter).await?;
    // Without limits, what came before the present phase looks like what came in it.
    let is_present = |id: SampleId| id >= state.phase_from;
    before.retain(|other| is_present(other.id) == is_present(sample.id));
    after.retain(|other| is_present(other.id) == is_present(sample.id));
    let mut judging = judging_in(phase.as_deref(), state);
    if phase.is_none() && !is_present(sample.id) {
        keep_individuals(&mut before, &mut after);
        let has_moving_range = |one: &Sample| one.dispersion_value.is_some();
        if sample.subgroup.n > 1 || ![sample].into_iter().chain(&before).chain(&after).any(has_moving_range) {
            return Ok(());
        }
        judging = Judging::new(ChartKind::IMr, state.characteristic.rules);
    }

    let limits = phase.as_ref().map(|phase| PhaseLimits::new(phase.limits, phase.dispersion));
    let point = |sample: &Sample| Point { sample_id: sample.id, subgroup: sample.subgroup };
    let stretch = Stretch {
        before: before.iter().map(point).collect(),
        point: point(sample),
        after: after.iter().map(point).collect(),
        breaks: excluded,
    };
    let found = compare(&stretch, limits.as_ref(), &judging);

    let ids = [sample].into_iter().chain(&after).map(|sample| sample.id).collect();
    let mut rows = work.transaction.violations_of_samples(ids).await?;
    let mut rows_of = |sample: &Sample| rows.remove(&sample.id).unwrap_or_default();
    let what = if sample.is_excluded { "excluded" } else { "included again" };
    let mut revision = Revision {
        chart: judging.chart,
        grounds: phase.zip(limits),
        reason: format!("sample {} was {what}", sample.id),
        episode: None,
        state,
        work,
    };
    let own = if sample.is_excluded { Change::LeftOut } else { Change::Counted(&found.point) };
    revision.apply(sample.clone(), rows_of(sample), own).await?;
    for (sample_after, (with, without)) in after.into_iter().zip(&found.after) {
        let (was, now) = if sample.is_excluded { (with, without) } else { (without, with) };
        if was != now {
            let rows = rows_of(&sample_after);
            revision.apply(sample_after, rows, Change::Other { was, now }).await?;
        }
    }
    let Revision { episode, state, work, .. } = revision;
    episodes::settle(episode, state, work).await
}

/// Of a past without limits nothing is known but the samples, and of those only moving ranges depend on one another.
/// What is left are the individuals next to an individual, which are of its phase.
fn keep_individuals(before: &mut Vec<Sample>, after: &mut Vec<Sample>) {
    let is_subgroup = |one: &Sample| one.subgroup.n > 1;
    before.drain(..before.iter().rposition(is_subgroup).map_or(0, |index| index + 1));
    after.truncate(after.iter().position(is_subgroup).unwrap_or(after.len()));
}

/// The present rules, on the chart that the limits are of.
fn judging_in(phase: Option<&Phase>, state: &WarmState) -> Judging {
    let is_present = phase.map(|phase| phase.id) == state.phase.as_ref().map(|phase| phase.id);
    let statistic = phase.and_then(|phase| phase.dispersion).map(|limits| limits.statistic);
    let chart = match statistic.filter(|_| !is_present) {
        None => return state.judging,
        Some(DispersionStatistic::Mr) => ChartKind::IMr,
        Some(DispersionStatistic::R) => ChartKind::XbarR,
        Some(DispersionStatistic::S) => ChartKind::XbarS,
    };
    Judging::new(chart, state.characteristic.rules)
}

/// What has become of a sample.
#[derive(Clone, Copy)]
enum Change<'a> {
    /// It was excluded: nothing holds on it.
    LeftOut,
    /// It was included: it is judged as if it were new.
    Counted(&'a Finding),
    /// Another one was excluded or included.
    Other { was: &'a Finding, now: &'a Finding },
}

impl<'a> Change<'a> {
    fn was(self) -> Option<&'a Finding> {
        match self {
            Self::Other { was, .. } => Some(was),
            Self::LeftOut | Self::Counted(_) => None,
        }
    }

    fn now(self) -> Option<&'a Finding> {
        match self {
            Self::Other { now, .. } | Self::Counted(now) => Some(now),
            Self::LeftOut => None,
        }
    }
}

/// Carries out what a comparison has found.
struct Revision<'a, 'w> {
    chart: ChartKind,
    /// `None`: nothing judges, and there are no signals.
    grounds: Option<(Arc<Phase>, PhaseLimits)>,
    reason: String,
    /// What is new of the episode.
    episode: Option<EpisodeChange>,
    state: &'a mut WarmState,
    work: &'a mut Work<'w>,
}

impl Revision<'_, '_> {
    async fn apply(
        &mut self,
        mut sample: Sample,
        mut rows: Vec<Violation>,
        change: Change<'_>,
    ) -> Result<(), StoreError> {
        let stored = Rejudged {
            in_control: sample.judgement.map(|judgement| judgement.in_control),
            zone: sample.judgement.and_then(|judgement| judgement.zone),
            dispersion_value: sample.dispersion_value,
        };
        if let Some(now) = change.now()
            && change.was().map(|was| was.verdict.dispersion_value) != Some(now.verdict.dispersion_value)
        {
            sample.dispersion_value = now.verdict.dispersion_value;
        }
        let mut places: BTreeSet<_> = rows.iter().map(place_of_row).collect();
        places.extend([change.was(), change.now()].into_iter().flatten().flat_map(|f| &f.signals).map(place));
        let mut has_changed = matches!(change, Change::Counted(_));
        for at in places {
            let row = rows.iter_mut().find(|row| place_of_row(row) == at);
            let (held, holds) = (signal_at(change.was(), at), signal_at(change.now(), at));
            has_changed |= match (row, held, holds) {
                (Some(row), held, None) if held.is_some() || matches!(change, Change::LeftOut) => {
                    self.withdraw(row).await?
                }
                (Some(row), None, Some(signal)) if row.status == ViolationStatus::Withdrawn => {
                    self.restate(row, signal).await?
                }
                // A trend of two points may turn round.
                (Some(row), Some((held, _)), Some(signal))
                    if row.status == ViolationStatus::Open && held.side != signal.0.side =>
                {
                    self.restate(row, signal).await?
                }
                (None, None, Some(signal)) => {
                    rows.extend(self.create(&sample, signal)?);
                    true
                }
                _ => false,
            };
        }
        if matches!(change, Change::LeftOut) {
            return Ok(()); // it keeps what it was judged, for who looks at it
        }
        let holds = rows.iter().any(|row| row.status == ViolationStatus::Open);
        let in_control = stored.in_control.map(|before| if has_changed { !holds } else { before });
        let rejudged = Rejudged { in_control, dispersion_value: sample.dispersion_value, ..stored };
        if rejudged != stored {
            self.work.transaction.update_verdict(sample.id, &rejudged).await?;
        }
        Ok(())
    }

    async fn withdraw(&mut self, row: &mut Violation) -> Result<bool, StoreError> {
        if row.status == ViolationStatus::Withdrawn {
            return Ok(false);
        }
        if row.is_open() {
            self.state.standing.close(row.requires_acknowledgement);
        }
        let before = row.clone();
        row.status = ViolationStatus::Withdrawn;
        self.tell(row).await?;
        episodes::withdraw(&before, self.state, self.work).await?;
        Ok(true)
    }

    /// It holds, perhaps again, with the pattern that is found now.
    async fn restate(
        &mut self,
        row: &mut Violation,
        (signal, involved): &(Signal, Vec<SampleId>),
    ) -> Result<bool, StoreError> {
        let (was_open, held) = (row.is_open(), row.status == ViolationStatus::Open);
        row.status = ViolationStatus::Open;
        if row.is_open() && !was_open {
            self.state.standing.open(row.requires_acknowledgement);
        }
        row.side = signal.side;
        row.message = signal.message(self.chart);
        row.involved_sample_ids.clone_from(involved);
        self.work.transaction.update_pattern(row).await?;
        if !held {
            let change = episodes::restore(row, self.state, self.work).await?;
            self.episode = self.episode.or(change);
        }
        self.tell(row).await?;
        Ok(true)
    }

    async fn tell(&mut self, row: &Violation) -> Result<(), StoreError> {
        self.work.transaction.update_violation_status(row.id, row.status).await?;
        let (violation, reason) = (Arc::new(row.clone()), self.reason.clone());
        let event = Event::ViolationStatusChanged { violation, reason, at: self.work.now };
        self.work.append(self.state, &event).map(drop)
    }

    fn create(
        &mut self,
        sample: &Sample,
        (signal, involved): &(Signal, Vec<SampleId>),
    ) -> Result<Option<Violation>, StoreError> {
        let Some((phase, limits)) = &self.grounds else { return Ok(None) };
        let episode_id = episodes::of_news(sample.mode, self.state, self.work);
        let characteristic = Arc::clone(&self.state.characteristic);
        let chart = self.chart;
        let grounds = Grounds { characteristic: &characteristic, chart, phase, limits, episode_id };
        let violation = Violation {
            rejudged: true,
            involved_sample_ids: involved.clone(),
            ..violation_of(signal, sample, &grounds, self.work)
        };
        if violation.is_open() {
            self.state.standing.open(violation.requires_acknowledgement);
        }
        let created = Arc::new(violation.clone());
        let event = Event::ViolationCreated { violation: Arc::clone(&created), characteristic };
        self.work.append(self.state, &event)?;
        let change = episodes::take_in([&created], self.state, self.work)?;
        self.episode = self.episode.or(change);
        Ok(Some(violation))
    }
}

fn place((signal, _): &(Signal, Vec<SampleId>)) -> Place {
    (signal.chart == Chart::Dispersion, signal.rule.id())
}

fn place_of_row(row: &Violation) -> Place {
    (row.chart == Chart::Dispersion, row.rule_id)
}

fn signal_at(finding: Option<&Finding>, at: Place) -> Option<&(Signal, Vec<SampleId>)> {
    finding?.signals.iter().find(|signal| place(signal) == at)
}
