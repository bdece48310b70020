//! The engine: judges the points of one phase in order, in constant time and without allocating.
//!
//! A phase is what lies between two changes of the limits; each begins with a new [`PhaseState`]. The
//! state is a function of the last [`MAX_WINDOW`] points alone, whatever rules were on: a new state fed
//! with those gives the same verdicts from there on. Excluded points are never fed.

use crate::domain::chart::{Chart, ChartKind, DispersionStatistic, Side, Zone};
use crate::domain::ids::SampleId;
use crate::domain::limits::DispersionLimits;
use crate::domain::rules::{MAX_WINDOW, Rule, RuleSet};
use crate::domain::sample::Subgroup;
use crate::spc::lines::{Lines, PhaseLimits};
use crate::spc::signal::{Signal, Signals};
use crate::spc::window::Window;

const REMEMBERED: usize = MAX_WINDOW as usize;

/// What is fed: one subgroup that was not excluded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Names the point among those involved in a signal.
    pub sample_id: SampleId,
    /// What is plotted of it.
    pub subgroup: Subgroup,
}

/// How a characteristic is judged now; it may change between any two points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judging {
    /// Chooses what the dispersion chart plots.
    pub chart: ChartKind,
    /// The run rules of the location chart.
    pub rules: RuleSet,
    /// Whether rule 1 is judged on the dispersion chart, whatever `rules` says of the location chart.
    pub dispersion: bool,
}

impl Judging {
    /// The usual: the dispersion chart is judged for R and S, not for moving ranges, and only while rule 1 is on.
    pub const fn new(chart: ChartKind, rules: RuleSet) -> Self {
        let is_usual = !matches!(chart.dispersion(), DispersionStatistic::Mr);
        let dispersion = is_usual && rules.get(Rule::Outlier).enabled;
        Self { chart, rules, dispersion }
    }

    /// Limits of another statistic, left from before the chart was changed, judge nothing.
    fn applies(&self, limits: &DispersionLimits) -> bool {
        self.dispersion && limits.statistic == self.chart.dispersion()
    }
}

/// What became of one point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// What the dispersion chart plots; `None` for a single measurement on R and S charts, and for the
    /// moving range at the first point of a phase or after a break.
    pub dispersion_value: Option<f64>,
    /// `None` without limits: "not judged" is not "in control".
    pub judged: Option<Judged>,
}

/// How a point stands to the limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// Where it lies.
    pub zone: Zone,
    /// The lines it was compared with, for its own subgroup size.
    pub lines: Lines,
    /// The rules that fired; empty if and only if the point is in control.
    pub signals: Signals,
}

/// The points of a phase as far back as any rule looks.
#[derive(Debug, Clone)]
pub struct PhaseState {
    window: Window,
    /// A ring of the points in `window`; the newest is at `newest`.
    sample_ids: [SampleId; REMEMBERED],
    newest: usize,
    /// Where the next moving range starts.
    individual: Option<f64>,
}

impl PhaseState {
    /// A phase without points.
    pub fn new() -> Self {
        let unused = SampleId::try_from(1).expect("1 is an id");
        Self { window: Window::default(), sample_ids: [unused; REMEMBERED], newest: 0, individual: None }
    }

    /// Judges the next point of the phase. Without limits it is not judged and enters no pattern; it only
    /// begins or ends a moving range.
    pub fn judge(&mut self, point: &Point, limits: Option<&PhaseLimits>, judging: &Judging) -> Verdict {
        let dispersion_value = self.dispersion_value(&point.subgroup, judging.chart);
        let judged = limits.map(|limits| {
            let Subgroup { n, mean, .. } = point.subgroup;
            let lines = limits.lines(n);
            self.window.push(mean, n, &lines);
            self.newest = (self.newest + 1) % REMEMBERED;
            self.sample_ids[self.newest] = point.sample_id;
            let mut signals = self.window.signals(&judging.rules);
            let dispersion = limits.dispersion_lines(n).filter(|lines| judging.applies(lines));
            if let Some(signal) = dispersion_value.zip(dispersion).and_then(beyond_limits) {
                signals.add(signal);
            }
            Judged { zone: lines.zone(mean), lines, signals }
        });
        Verdict { dispersion_value, judged }
    }

    /// A point was excluded here: the next moving range is dropped.
    pub fn break_moving_range(&mut self) {
        self.individual = None;
    }

    /// The members of the pattern that ends at the newest point, oldest first. Of k-of-m rules only the
    /// points beyond the line on that side.
    pub fn involved(&self, signal: &Signal) -> Vec<SampleId> {
        let members = match signal.chart {
            Chart::Location => self.window.involved(signal),
            Chart::Dispersion => 1,
        };
        (0..self.window.len() as usize)
            .rev()
            .filter(|age| members >> age & 1 == 1)
            .map(|age| self.sample_ids[(self.newest + REMEMBERED - age) % REMEMBERED])
            .collect()
    }

    fn dispersion_value(&mut self, subgroup: &Subgroup, chart: ChartKind) -> Option<f64> {
        let before = self.individual.replace(subgroup.mean);
        match chart.dispersion() {
            DispersionStatistic::Mr => before.map(|before| (subgroup.mean - before).abs()),
            DispersionStatistic::R => subgroup.range,
            DispersionStatistic::S => subgroup.std_dev,
        }
    }
}

impl Default for PhaseState {
    fn default() -> Self {
        Self::new()
    }
}

/// Rule 1 of the dispersion chart.
fn beyond_limits((value, limits): (f64, DispersionLimits)) -> Option<Signal> {
    let side = match value {
        v if v > limits.ucl => Side::Upper,
        v if v < limits.lcl => Side::Lower,
        _ => return None,
    };
    let (rule, pattern) = (Rule::Outlier, Rule::Outlier.default_pattern());
    Some(Signal { chart: Chart::Dispersion, rule, pattern, side: Some(side) })
}
