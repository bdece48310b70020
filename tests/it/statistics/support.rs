//! Points, limits and rule sets for the tests of the statistics.

use andon::domain::chart::{Chart, ChartKind};
use andon::domain::ids::SampleId;
use andon::domain::limits::{ControlLimits, LimitValues};
use andon::domain::rules::{Rule, RuleSet, RuleSetting};
use andon::domain::sample::Subgroup;
use andon::spc::{Judged, Judging, PhaseLimits, PhaseState, Point};

pub fn sample_id(id: usize) -> SampleId {
    i64::try_from(id).ok().and_then(|id| SampleId::try_from(id).ok()).expect("a positive id")
}

/// A point of `n` measurements without any dispersion of its own.
pub fn point(id: usize, mean: f64, n: u32) -> Point {
    Point { sample_id: sample_id(id), subgroup: Subgroup { n, mean, range: None, std_dev: None } }
}

pub fn control_limits(lcl: f64, center_line: f64, ucl: f64, subgroup_size: u32) -> ControlLimits {
    ControlLimits::new(LimitValues { center_line, ucl, lcl, sigma: 1.0, subgroup_size }).expect("valid")
}

/// Sigma is 1 and the center line 0, so that a value is its own distance in sigmas.
pub fn standard_limits() -> PhaseLimits {
    PhaseLimits::new(control_limits(-3.0, 0.0, 3.0, 1), None)
}

/// The rules with these numbers as the field knows them.
pub fn rules(ids: &[u32]) -> RuleSet {
    Rule::ALL.into_iter().fold(RuleSet::default(), |set, rule| {
        let mut setting = RuleSetting::standard(rule);
        setting.enabled = ids.contains(&rule.id());
        set.with(setting)
    })
}

/// One rule alone, with these parameters.
pub fn only(rule: Rule, k: Option<u32>, m: Option<u32>) -> RuleSet {
    let setting = RuleSetting::standard(rule).with_parameters(k, m).expect("parameters of this rule");
    rules(&[]).with(setting)
}

/// A phase of individuals, numbered from 1.
pub struct Phase {
    pub state: PhaseState,
    limits: PhaseLimits,
    fed: usize,
}

impl Phase {
    pub fn new(limits: PhaseLimits) -> Self {
        Self { state: PhaseState::new(), limits, fed: 0 }
    }

    pub fn judge(&mut self, value: f64, n: u32, rules: RuleSet) -> Judged {
        self.fed += 1;
        let judging = Judging::new(ChartKind::IMr, rules);
        let verdict = self.state.judge(&point(self.fed, value, n), Some(&self.limits), &judging);
        verdict.judged.expect("there are limits")
    }
}

/// The numbers of the points, from 1, at which the only rule of `rules` fires.
pub fn fires_at(rules: RuleSet, values: &[f64]) -> Vec<usize> {
    let mut phase = Phase::new(standard_limits());
    let mut at = Vec::new();
    for (number, &value) in (1..).zip(values) {
        let signals = phase.judge(value, 1, rules).signals;
        at.extend(signals.iter().filter(|s| s.chart == Chart::Location).map(|_| number));
    }
    at
}
