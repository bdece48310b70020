//! The average run length of a rule set: from a table for the presets, else by simulating the engine itself.
//!
//! Independent normal points, known limits, every run from the start of a phase. Deterministic: the same plan
//! gives the same estimate, in however many steps it is simulated. The caller decides when to go on and when to
//! give up; nothing here waits or knows time.

use crate::domain::chart::ChartKind;
use crate::domain::ids::SampleId;
use crate::domain::limits::ControlLimits;
use crate::domain::rules::{Pattern, Preset, Rule, RuleSet};
use crate::domain::run_length::{AverageRunLength, RunLengthMethod};
use crate::domain::sample::Subgroup;
use crate::spc::lines::PhaseLimits;
use crate::spc::normal::NormalDeviates;
use crate::spc::phase::{Judging, PhaseState, Point};

/// In control, in points. The figure of rule 1 is 1 / (2 Phi(-3)); those of rules 1, 2, 5 and 6 solve the Markov
/// chains of their zones, after Champ and Woodall, Technometrics 29 (1987); that of all eight comes from long
/// simulation. The long test of run lengths holds the engine against all four.
const TABLE: [(Preset, f64); 4] = [
    (Preset::Outlier, 370.398),
    (Preset::Balanced, 109.049),
    (Preset::WesternElectric, 91.751),
    (Preset::Nelson, 73.31),
];

/// Fewer runs say too little of their own spread to end a simulation on.
const FEWEST_RUNS: u32 = 100;

/// What a run length depends on: which rules are on, and their patterns; not how severe they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Patterns([Option<Pattern>; Rule::ALL.len()]);

impl From<&RuleSet> for Patterns {
    fn from(rules: &RuleSet) -> Self {
        Self(Rule::ALL.map(|rule| Some(rules.get(rule)).filter(|s| s.enabled).map(|s| s.pattern())))
    }
}

/// The in-control run length of a rule set, if it is known without simulating.
pub fn known_run_length(rules: &RuleSet) -> Option<AverageRunLength> {
    let patterns = Patterns::from(rules);
    if patterns == Patterns::from(&RuleSet::none()) {
        let method = RunLengthMethod::Exact;
        return Some(AverageRunLength { points: None, standard_error: None, method });
    }
    let preset = |(preset, _): &&(Preset, f64)| patterns == Patterns::from(&RuleSet::preset(*preset));
    let (_, points) = TABLE.iter().find(preset)?;
    let method = RunLengthMethod::Tabulated;
    Some(AverageRunLength { points: Some(*points), standard_error: None, method })
}

/// What is simulated, and when it is enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunLengthPlan {
    /// Judge the points.
    pub rules: RuleSet,
    /// How far the process has moved, in sigmas of the plotted point; 0 is in control.
    pub shift_sigmas: f64,
    /// Chooses the points.
    pub seed: u64,
    /// Enough once the standard error is at most this share of the mean.
    pub relative_standard_error: f64,
    /// Enough in any case after so many points.
    pub most_points: u64,
}

/// Runs of a process under a rule set, simulated step by step.
#[derive(Debug)]
pub struct RunLengthSimulation {
    plan: RunLengthPlan,
    judging: Judging,
    limits: PhaseLimits,
    normal: NormalDeviates,
    state: PhaseState,
    /// Points of the run that has not signalled yet.
    length: u64,
    /// Points of all runs, this one included.
    points: u64,
    ended: EndedRuns,
}

impl RunLengthSimulation {
    /// A simulation of which nothing is done yet.
    pub fn new(plan: RunLengthPlan) -> Self {
        let limits = ControlLimits::from_sigma(0.0, 1.0, 1).expect("sigma 1 around 0 makes limits");
        Self {
            plan,
            judging: Judging::new(ChartKind::IMr, plan.rules),
            limits: PhaseLimits::new(limits, None),
            normal: NormalDeviates::seeded(plan.seed),
            state: PhaseState::new(),
            length: 0,
            points: 0,
            ended: EndedRuns::default(),
        }
    }

    /// Simulates up to `points` more points, fewer if that is enough.
    pub fn advance(&mut self, points: u32) {
        for _ in 0..points {
            if self.is_finished() {
                return;
            }
            self.points += 1;
            self.length += 1;
            if self.signals() {
                self.ended.add(self.length as f64);
                (self.length, self.state) = (0, PhaseState::new());
            }
        }
    }

    /// Whether it is enough: precise as was asked for, or as many points as may be.
    pub fn is_finished(&self) -> bool {
        let at_end_of_a_run = self.length == 0 && self.ended.count >= FEWEST_RUNS;
        self.points >= self.plan.most_points
            || at_end_of_a_run
                && self.ended.standard_error() <= self.plan.relative_standard_error * self.ended.mean
    }

    /// The estimate from what has been simulated so far.
    ///
    /// All points over all signals, so that a run that was cut short counts with the points it has; that is the
    /// plain mean where none was. Its standard error is that of the ended runs. While these are too few to show
    /// it, it is taken from a geometric distribution, which run lengths are close to: as large as the mean over
    /// the root of their number.
    pub fn estimate(&self) -> AverageRunLength {
        let method = RunLengthMethod::Simulation;
        let EndedRuns { count, .. } = self.ended;
        if count == 0 {
            return AverageRunLength { points: None, standard_error: None, method };
        }
        let points = self.points as f64 / f64::from(count);
        let standard_error = match count {
            FEWEST_RUNS.. => self.ended.standard_error(),
            _ => points / f64::from(count).sqrt(),
        };
        AverageRunLength { points: Some(points), standard_error: Some(standard_error), method }
    }

    /// Judges one more point of the present run.
    fn signals(&mut self) -> bool {
        let mean = self.normal.draw() + self.plan.shift_sigmas;
        let subgroup = Subgroup { n: 1, mean, range: None, std_dev: None };
        let point = Point { sample_id: SampleId::try_from(1).expect("1 is an id"), subgroup };
        let verdict = self.state.judge(&point, Some(&self.limits), &self.judging);
        verdict.judged.is_some_and(|judged| !judged.signals.is_empty())
    }
}

/// Lengths of the runs that ended in a signal, summed up by Welford's method.
#[derive(Debug, Clone, Copy, Default)]
struct EndedRuns {
    count: u32,
    mean: f64,
    squares: f64,
}

impl EndedRuns {
    fn add(&mut self, length: f64) {
        self.count += 1;
        let before = length - self.mean;
        self.mean += before / f64::from(self.count);
        self.squares += before * (length - self.mean);
    }

    /// Of the mean; not a number for a single run.
    fn standard_error(&self) -> f64 {
        let count = f64::from(self.count);
        (self.squares / (count - 1.0) / count).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rules::{RuleSetting, Severity};

    fn only(rule: Rule, m: Option<u32>) -> RuleSet {
        RuleSet::none().with(RuleSetting::standard(rule).with_parameters(None, m).expect("a pattern"))
    }

    fn plan(rules: RuleSet) -> RunLengthPlan {
        RunLengthPlan {
            rules,
            shift_sigmas: 0.0,
            seed: 1,
            relative_standard_error: 0.02,
            most_points: u64::MAX,
        }
    }

    fn finished(plan: RunLengthPlan, step: u32) -> AverageRunLength {
        let mut simulation = RunLengthSimulation::new(plan);
        while !simulation.is_finished() {
            simulation.advance(step);
        }
        simulation.estimate()
    }

    #[test]
    fn presets_stand_in_the_table_however_severe_their_rules_are() {
        for (preset, points) in TABLE {
            let mut rules = RuleSet::preset(preset);
            let mut outlier = *rules.get(Rule::Outlier);
            (outlier.severity, outlier.requires_acknowledgement) = (Severity::Info, false);
            rules = rules.with(outlier);
            let known = known_run_length(&rules).expect("tabulated");
            assert_eq!((known.points, known.method), (Some(points), RunLengthMethod::Tabulated));
            let other = RuleSetting::standard(Rule::Shift).with_parameters(None, Some(7)).expect("a pattern");
            assert_eq!(known_run_length(&rules.with(other)), None, "another pattern is another rule set");
        }
    }

    #[test]
    fn patterns_of_rules_that_are_off_do_not_matter() {
        let mut off = RuleSetting::standard(Rule::Shift).with_parameters(None, Some(7)).expect("a pattern");
        off.enabled = false;
        let outlier = RuleSet::preset(Preset::Outlier);
        assert_eq!(known_run_length(&outlier.with(off)), known_run_length(&outlier));
    }

    #[test]
    fn a_set_without_rules_never_signals() {
        let never = known_run_length(&RuleSet::none()).expect("exact");
        assert_eq!((never.points, never.method), (None, RunLengthMethod::Exact));
    }

    #[test]
    fn runs_on_one_side_are_as_long_as_coins_say() {
        for m in [2, 4, 6] {
            let estimate = finished(plan(only(Rule::Shift, Some(m))), 1_000);
            let (points, error) = (estimate.points.expect("runs"), estimate.standard_error.expect("runs"));
            let exact = 2f64.powi(m as i32) - 1.0; // until m heads or m tails in a row
            assert!(error <= 0.02 * points, "{estimate:?}");
            assert!((points - exact).abs() < 4.0 * error, "m = {m}: {exact}, not {estimate:?}");
        }
    }

    #[test]
    fn the_steps_it_is_simulated_in_change_nothing() {
        let plan = plan(only(Rule::Shift, Some(3)));
        assert_eq!(finished(plan, 1), finished(plan, 10_000));
        assert_ne!(finished(RunLengthPlan { seed: 2, ..plan }, 10_000), finished(plan, 10_000));
    }

    #[test]
    fn a_simulation_ends_at_its_last_point_and_counts_the_run_that_was_cut_short() {
        let limited = RunLengthPlan { most_points: 1_000, ..plan(only(Rule::Shift, Some(9))) };
        let mut simulation = RunLengthSimulation::new(limited);
        simulation.advance(u32::MAX);
        let estimate = simulation.estimate();
        let runs = f64::from(simulation.ended.count);
        assert_eq!((simulation.points, simulation.is_finished()), (1_000, true));
        assert!((1.0..10.0).contains(&runs), "{runs} runs");
        assert_eq!(estimate.points, Some(1_000.0 / runs));
        assert_eq!(estimate.standard_error, Some(1_000.0 / runs / runs.sqrt()));
    }

    #[test]
    fn a_pattern_that_is_never_seen_has_no_run_length() {
        let estimate =
            finished(RunLengthPlan { most_points: 10_000, ..plan(only(Rule::Shift, Some(64))) }, 100);
        assert_eq!(
            (estimate.points, estimate.standard_error, estimate.method),
            (None, None, RunLengthMethod::Simulation)
        );
    }
}
