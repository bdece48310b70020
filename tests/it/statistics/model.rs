//! The engine against a model that recomputes every rule from the whole history at every point.
//!
//! The model knows nothing of counters or masks; it reads as the rules are written. Values lie on a grid
//! whose lines, sizes and sums are exact in binary, so that ties and points exactly on lines are common
//! and neither side can hide behind rounding.

use andon::domain::chart::{Chart, ChartKind, Side, Zone};
use andon::domain::ids::SampleId;
use andon::domain::limits::DispersionLimits;
use andon::domain::rules::{MAX_WINDOW, Pattern, Preset, Rule, RuleSet, RuleSetting};
use andon::spc::{Judging, PhaseLimits, PhaseState, dispersion_limits};
use proptest::prelude::*;

use super::support::{control_limits, point, sample_id};

const CENTER_LINE: f64 = 10.0;
/// Zone widths at the nominal size; unequal, as given limits may be.
const SIGMA_ABOVE: f64 = 2.0;
const SIGMA_BELOW: f64 = 1.0;
const NOMINAL_SIZE: u32 = 4;
const MOVING_RANGE_LIMIT: f64 = 6.0;

/// One plotted point of the history.
#[derive(Debug, Clone, Copy)]
struct Plotted {
    id: SampleId,
    x: f64,
    n: u32,
    /// An excluded point stood just before it, or it is the first.
    after_break: bool,
}

impl Plotted {
    /// How many sigmas of its own size the point lies above the center line; below: negative.
    fn z(&self) -> f64 {
        let root = f64::from(self.n).sqrt() / f64::from(NOMINAL_SIZE).sqrt();
        let distance = self.x - CENTER_LINE;
        distance * root / if distance > 0.0 { SIGMA_ABOVE } else { SIGMA_BELOW }
    }

    fn beyond(&self, k: f64, side: Side) -> bool {
        match side {
            Side::Upper => self.z() > k,
            Side::Lower => self.z() < -k,
        }
    }

    fn zone(&self) -> Zone {
        match self.z() {
            z if z > 3.0 => Zone::BeyondUcl,
            z if z > 2.0 => Zone::ZoneAUpper,
            z if z > 1.0 => Zone::ZoneBUpper,
            z if z > 0.0 => Zone::ZoneCUpper,
            0.0 => Zone::Center,
            z if z >= -1.0 => Zone::ZoneCLower,
            z if z >= -2.0 => Zone::ZoneBLower,
            z if z >= -3.0 => Zone::ZoneALower,
            _ => Zone::BeyondLcl,
        }
    }
}

/// A signal as the model sees it: rule, side, and who is involved.
type Expected = (Chart, Rule, Option<Side>, Vec<SampleId>);

const SIDES: [Side; 2] = [Side::Upper, Side::Lower];

/// The signal of one rule at the last point of `history`, straight from the rule's words.
fn signal_of(history: &[Plotted], rule: Rule, Pattern { k, m }: Pattern) -> Option<Expected> {
    let (k, m) = (k as usize, m as usize);
    let newest = history.last()?;
    let available = &history[history.len().saturating_sub(m)..];
    let names = |points: &[Plotted]| points.iter().map(|p| p.id).collect::<Vec<_>>();
    let location = |side, ids| Some((Chart::Location, rule, side, ids));
    if rule == Rule::Outlier {
        let side = SIDES.into_iter().find(|&side| newest.beyond(3.0, side))?;
        return location(Some(side), vec![newest.id]);
    }
    if rule.counts_some() {
        let line = if rule == Rule::ZoneA { 2.0 } else { 1.0 };
        let side = SIDES.into_iter().find(|&side| newest.beyond(line, side))?;
        let on_side: Vec<Plotted> = available.iter().filter(|p| p.beyond(line, side)).copied().collect();
        return if on_side.len() >= k { location(Some(side), names(&on_side)) } else { None };
    }
    if available.len() < m {
        return None;
    }
    let same_size = available.iter().all(|p| p.n == available[0].n);
    let compared: Vec<f64> = available.iter().map(|p| if same_size { p.x } else { p.z() }).collect();
    let differences: Vec<f64> = compared.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let any_beyond_one = |p: &Plotted| p.beyond(1.0, Side::Upper) || p.beyond(1.0, Side::Lower);
    let side = match rule {
        Rule::Shift => Some(SIDES.into_iter().find(|&side| available.iter().all(|p| p.beyond(0.0, side)))?),
        Rule::Trend if differences.iter().all(|&d| d > 0.0) => Some(Side::Upper),
        Rule::Trend if differences.iter().all(|&d| d < 0.0) => Some(Side::Lower),
        Rule::Alternation
            if differences.iter().all(|&d| d != 0.0)
                && differences.windows(2).all(|pair| (pair[0] > 0.0) != (pair[1] > 0.0)) =>
        {
            None
        }
        Rule::Stratification if !available.iter().any(any_beyond_one) => None,
        Rule::Mixture
            if available.iter().all(any_beyond_one)
                && SIDES.iter().all(|&side| available.iter().any(|p| p.beyond(1.0, side))) =>
        {
            None
        }
        _ => return None,
    };
    location(side, names(available))
}

fn moving_range(history: &[Plotted]) -> Option<f64> {
    match history {
        [.., before, newest] if !newest.after_break => Some((newest.x - before.x).abs()),
        _ => None,
    }
}

/// Every signal at the last point of `history`.
fn signals_of(history: &[Plotted], judging: &Judging) -> Vec<Expected> {
    let enabled = judging.rules.iter().filter(|setting| setting.enabled);
    let mut signals: Vec<Expected> =
        enabled.filter_map(|setting| signal_of(history, setting.rule(), setting.pattern())).collect();
    if judging.dispersion && moving_range(history).is_some_and(|range| range > MOVING_RANGE_LIMIT) {
        let newest = history.last().map(|p| p.id).into_iter().collect();
        signals.push((Chart::Dispersion, Rule::Outlier, Some(Side::Upper), newest));
    }
    signals
}

#[derive(Debug, Clone)]
enum Step {
    /// A point this many half units above the center line, of one of three sizes.
    Point { halves: i32, n: u32 },
    /// A point that was excluded: never fed.
    Excluded,
    /// Other rules from the next point on.
    Rules(Judging),
    /// The state is lost and made anew from the last points of the phase.
    Restart,
}

fn limits() -> PhaseLimits {
    let moving_ranges = DispersionLimits {
        ucl: MOVING_RANGE_LIMIT,
        ..dispersion_limits(ChartKind::IMr, 1.0, 1).expect("a moving range chart")
    };
    let (lcl, ucl) = (CENTER_LINE - 3.0 * SIGMA_BELOW, CENTER_LINE + 3.0 * SIGMA_ABOVE);
    PhaseLimits::new(control_limits(lcl, CENTER_LINE, ucl, NOMINAL_SIZE), Some(moving_ranges))
}

/// A state made from the last points of `history`, under rules that have nothing to do with those before.
fn restarted(history: &[Plotted], excluded_last: bool) -> PhaseState {
    let judging = Judging::new(ChartKind::IMr, RuleSet::preset(Preset::Outlier));
    let mut state = PhaseState::new();
    for plotted in &history[history.len().saturating_sub(MAX_WINDOW as usize)..] {
        if plotted.after_break {
            state.break_moving_range();
        }
        let id = usize::try_from(plotted.id.get()).expect("positive");
        state.judge(&point(id, plotted.x, plotted.n), Some(&limits()), &judging);
    }
    if excluded_last {
        state.break_moving_range();
    }
    state
}

/// Walks through `steps` and compares engine and model at every point; returns which rules fired at all.
fn compare(steps: &[Step], mut judging: Judging) -> Result<Vec<Rule>, TestCaseError> {
    let (limits, mut state) = (limits(), PhaseState::new());
    let (mut history, mut after_break) = (Vec::<Plotted>::new(), true);
    let mut fired = Vec::new();
    for (number, step) in (1..).zip(steps) {
        match step {
            Step::Excluded => {
                state.break_moving_range();
                after_break = true;
            }
            Step::Rules(other) => judging = *other,
            Step::Restart => state = restarted(&history, after_break),
            Step::Point { halves, n } => {
                let x = CENTER_LINE + f64::from(*halves) / 2.0;
                history.push(Plotted { id: sample_id(number), x, n: *n, after_break });
                after_break = false;
                let verdict = state.judge(&point(number, x, *n), Some(&limits), &judging);
                let judged = verdict.judged.expect("there are limits");
                let actual: Vec<Expected> =
                    judged.signals.iter().map(|s| (s.chart, s.rule, s.side, state.involved(s))).collect();
                prop_assert_eq!(&actual, &signals_of(&history, &judging), "at point {}", number);
                prop_assert_eq!(judged.signals.is_empty(), actual.is_empty());
                prop_assert_eq!(judged.zone, history[history.len() - 1].zone());
                prop_assert_eq!(verdict.dispersion_value, moving_range(&history));
                fired.extend(actual.into_iter().map(|(_, rule, _, _)| rule));
            }
        }
    }
    Ok(fired)
}

fn any_judging() -> impl Strategy<Value = Judging> {
    let length = prop_oneof![4 => 2..=9u32, 1 => 10..=20u32, 1 => 55..=MAX_WINDOW];
    let setting = (any::<bool>(), length, 1..=MAX_WINDOW);
    (prop::collection::vec(setting, Rule::ALL.len()), any::<bool>()).prop_map(|(drawn, dispersion)| {
        let rules = Rule::ALL.into_iter().zip(drawn).map(|(rule, (enabled, m, k))| {
            let (k, m) = match rule {
                Rule::Outlier => (None, None),
                Rule::Alternation => (None, Some(m.max(3))),
                _ if rule.counts_some() => (Some(1 + k % m), Some(m)),
                _ => (None, Some(m)),
            };
            let mut setting = RuleSetting::standard(rule).with_parameters(k, m).expect("within bounds");
            setting.enabled = enabled;
            setting
        });
        let rules = rules.fold(RuleSet::default(), RuleSet::with);
        Judging { dispersion, ..Judging::new(ChartKind::IMr, rules) }
    })
}

/// A stretch of points with some habit, since chance alone makes no long patterns.
fn any_stretch() -> impl Strategy<Value = Vec<i32>> {
    let up_to = |length| prop::collection::vec(-16..=16i32, 1..length);
    prop_oneof![
        3 => up_to(20),
        1 => up_to(70).prop_map(|v| v.into_iter().map(|h| h.abs().max(1)).collect()),
        1 => up_to(70).prop_map(|v| v.into_iter().map(|h| -h.abs().min(8)).collect()),
        1 => up_to(70).prop_map(|v| v.into_iter().map(|h| h.clamp(-2, 4)).collect()),
        1 => up_to(70).prop_map(|v| v.into_iter().map(|h| if h > 0 { h + 4 } else { h - 3 }).collect()),
        1 => (-30..=0i32, 2..70i32).prop_map(|(from, length)| (from..from + length).collect()),
        1 => (-30..=30i32, 2..70i32).prop_map(|(from, length)| (from - length..from).rev().collect()),
        2 => up_to(70).prop_map(|v| {
            v.into_iter().enumerate().map(|(i, h)| if i % 2 == 0 { h.abs() + 1 } else { -h.abs() }).collect()
        }),
    ]
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let sizes = prop_oneof![
        3 => Just(vec![NOMINAL_SIZE]),
        1 => Just(vec![1]),
        2 => prop::sample::select(vec![vec![1, 4, 16], vec![4, 4, 4, 4, 4, 4, 4, 4, 1], vec![4, 16]]),
    ];
    let event = prop_oneof![Just(Step::Excluded), Just(Step::Restart), any_judging().prop_map(Step::Rules),];
    let points = (any_stretch(), sizes, any::<prop::sample::Index>()).prop_map(|(halves, sizes, shuffle)| {
        let size = |i: usize| sizes[(i * 7 + shuffle.index(sizes.len())) % sizes.len()];
        (0..).zip(halves).map(|(i, halves)| Step::Point { halves, n: size(i) }).collect::<Vec<_>>()
    });
    let stretch = (points, prop::collection::vec((any::<prop::sample::Index>(), event), 0..4));
    prop::collection::vec(stretch, 1..8).prop_map(|stretches| {
        let interrupted = stretches.into_iter().flat_map(|(mut steps, events)| {
            for (place, event) in events {
                steps.insert(place.index(steps.len() + 1), event);
            }
            steps
        });
        interrupted.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        rng_seed: prop::test_runner::RngSeed::Fixed(20_260_401),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_engine_judges_as_the_rules_are_written(steps in any_steps(), judging in any_judging()) {
        compare(&steps, judging)?;
    }
}

#[test]
fn the_random_series_make_every_rule_fire() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngSeed, TestRunner};
    let config = Config { rng_seed: RngSeed::Fixed(7), ..Config::default() };
    let mut runner = TestRunner::new(config);
    let mut fired = Vec::new();
    for _ in 0..40 {
        let steps = any_steps().new_tree(&mut runner).expect("steps").current();
        let judging = any_judging().new_tree(&mut runner).expect("rules").current();
        fired.extend(compare(&steps, judging).expect("engine and model agree"));
    }
    for rule in Rule::ALL {
        let times = fired.iter().filter(|&&f| f == rule).count();
        assert!(times >= 40, "rule {} fired only {times} times", rule.id());
    }
}
