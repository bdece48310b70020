//! The lines and zones of one phase, and where its dispersion chart begins.

use andon::domain::chart::{Chart, ChartKind, Side, Zone};
use andon::domain::limits::DispersionLimits;
use andon::domain::rules::{Rule, RuleSet};
use andon::domain::sample::Subgroup;
use andon::spc::{Judged, Judging, PhaseLimits, PhaseState, Point, Signal, Verdict, dispersion_limits};

use super::support::{Phase, control_limits, point, rules, sample_id, standard_limits};

#[test]
fn a_point_on_a_line_belongs_to_the_inner_zone() {
    let lines = standard_limits().lines(1);
    let zones = [
        (3.1, Zone::BeyondUcl),
        (3.0, Zone::ZoneAUpper),
        (2.1, Zone::ZoneAUpper),
        (2.0, Zone::ZoneBUpper),
        (1.1, Zone::ZoneBUpper),
        (1.0, Zone::ZoneCUpper),
        (f64::MIN_POSITIVE, Zone::ZoneCUpper),
        (0.0, Zone::Center),
        (-0.0, Zone::Center),
        (-f64::MIN_POSITIVE, Zone::ZoneCLower),
        (-1.0, Zone::ZoneCLower),
        (-1.1, Zone::ZoneBLower),
        (-2.0, Zone::ZoneBLower),
        (-2.1, Zone::ZoneALower),
        (-3.0, Zone::ZoneALower),
        (-3.1, Zone::BeyondLcl),
    ];
    for (value, zone) in zones {
        assert_eq!(lines.zone(value), zone, "{value}");
    }
}

#[test]
fn given_limits_have_their_own_zone_width_on_each_side() {
    let limits = PhaseLimits::new(control_limits(7.0, 10.0, 22.0, 1), None);
    let lines = limits.lines(1);
    assert_eq!((lines.lcl, lines.center_line, lines.ucl), (7.0, 10.0, 22.0));
    assert_eq!((lines.lower_two_sigma, lines.lower_one_sigma), (8.0, 9.0));
    assert_eq!((lines.upper_one_sigma, lines.upper_two_sigma), (14.0, 18.0));
    let mut phase = Phase::new(limits);
    let mut fired = |value| -> Vec<Rule> {
        phase.judge(value, 1, rules(&[1, 5])).signals.iter().map(|s| s.rule).collect()
    };
    assert_eq!(fired(17.9), []);
    assert_eq!(fired(18.1), [], "the first beyond 2 sigma above");
    assert_eq!(fired(7.9), [], "the first beyond 2 sigma below");
    assert_eq!(fired(7.5), [Rule::ZoneA]);
    assert_eq!(fired(6.9), [Rule::Outlier, Rule::ZoneA]);
}

#[test]
fn a_given_limit_is_kept_to_the_last_bit() {
    let (lcl, center_line, ucl) = (0.1, 0.2 + 0.1, 0.7);
    let lines = PhaseLimits::new(control_limits(lcl, center_line, ucl, 5), None).lines(5);
    assert_eq!((lines.lcl, lines.center_line, lines.ucl), (lcl, center_line, ucl));
}

#[test]
fn without_limits_a_point_is_not_judged_and_enters_no_pattern() {
    let judging = Judging::new(ChartKind::IMr, rules(&[2]));
    let mut state = PhaseState::new();
    for id in 1..=9 {
        let verdict = state.judge(&point(id, 0.5, 1), None, &judging);
        assert_eq!(verdict.judged, None);
    }
    let limits = standard_limits();
    let first = state.judge(&point(10, 0.5, 1), Some(&limits), &judging).judged.expect("limits");
    assert!(first.signals.is_empty());
}

#[test]
fn a_verdict_gives_the_zone_and_the_lines_of_its_point() {
    let Judged { zone, lines, signals } = Phase::new(standard_limits()).judge(2.5, 1, rules(&[1]));
    assert_eq!((zone, lines, signals.is_empty()), (Zone::ZoneAUpper, standard_limits().lines(1), true));
}

fn moving_range(state: &mut PhaseState, value: f64) -> Option<f64> {
    let judging = Judging::new(ChartKind::IMr, RuleSet::default());
    state.judge(&point(1, value, 1), None, &judging).dispersion_value
}

#[test]
fn the_moving_range_begins_at_the_second_point_and_again_after_a_break() {
    let mut state = PhaseState::new();
    let mut next = |value| moving_range(&mut state, value);
    assert_eq!((next(1.0), next(3.5), next(3.0)), (None, Some(2.5), Some(0.5)));
    state.break_moving_range();
    let mut next = |value| moving_range(&mut state, value);
    assert_eq!((next(9.0), next(9.0)), (None, Some(0.0)));
}

/// Judges one subgroup with standard-given limits of sigma 1 for subgroups of 5.
fn judge_subgroup(chart: ChartKind, subgroup: Subgroup, judging: &Judging) -> Verdict {
    let dispersion = dispersion_limits(chart, 1.0, 5);
    let limits = PhaseLimits::new(control_limits(-3.0, 0.0, 3.0, 5), dispersion);
    let point = Point { sample_id: sample_id(1), subgroup };
    PhaseState::new().judge(&point, Some(&limits), judging)
}

fn dispersion_sides(verdict: &Verdict) -> Vec<Option<Side>> {
    let judged = verdict.judged.expect("there are limits");
    judged.signals.iter().filter(|s| s.chart == Chart::Dispersion).map(|s| s.side).collect()
}

#[test]
fn range_and_standard_deviation_are_judged_by_rule_1_of_their_own_chart() {
    for (chart, ucl) in [(ChartKind::XbarR, 2.325_928_947 + 3.0 * 0.864_081_941), (ChartKind::XbarS, 1.963_5)]
    {
        let judging = Judging::new(chart, rules(&[1]));
        let with_dispersion = |d| Subgroup { n: 5, mean: 0.0, range: Some(d), std_dev: Some(d) };
        let beyond = judge_subgroup(chart, with_dispersion(ucl + 1e-3), &judging);
        assert_eq!(beyond.dispersion_value, Some(ucl + 1e-3));
        assert_eq!(dispersion_sides(&beyond), [Some(Side::Upper)]);
        let within = judge_subgroup(chart, with_dispersion(ucl - 1e-3), &judging);
        assert_eq!(dispersion_sides(&within), []);
        let zero = judge_subgroup(chart, with_dispersion(0.0), &judging);
        assert_eq!(dispersion_sides(&zero), [], "on a lower limit of 0 is not below it");
    }
}

#[test]
fn a_dispersion_below_its_lower_limit_is_a_signal() {
    let lifted =
        DispersionLimits { lcl: 0.5, ..dispersion_limits(ChartKind::XbarR, 1.0, 5).expect("a range chart") };
    let limits = PhaseLimits::new(control_limits(-3.0, 0.0, 3.0, 5), Some(lifted));
    let judging = Judging::new(ChartKind::XbarR, rules(&[1]));
    for (range, sides) in [(0.4, vec![Some(Side::Lower)]), (0.5, vec![])] {
        let subgroup = Subgroup { n: 5, mean: 0.0, range: Some(range), std_dev: None };
        let point = Point { sample_id: sample_id(1), subgroup };
        let verdict = PhaseState::new().judge(&point, Some(&limits), &judging);
        assert_eq!(dispersion_sides(&verdict), sides);
    }
}

#[test]
fn location_signals_come_in_rule_order_and_before_the_dispersion_signal() {
    let judging = Judging::new(ChartKind::XbarR, rules(&[1, 2, 3, 4, 5, 6, 7, 8]));
    let limits =
        PhaseLimits::new(control_limits(-3.0, 0.0, 3.0, 5), dispersion_limits(ChartKind::XbarR, 1.0, 5));
    let mut state = PhaseState::new();
    let mut order = |id: usize| -> Vec<(Chart, u32)> {
        let mean = 3.0 + id as f64;
        let subgroup = Subgroup { n: 5, mean, range: Some(9.0), std_dev: None };
        let point = Point { sample_id: sample_id(id), subgroup };
        let judged = state.judge(&point, Some(&limits), &judging).judged.expect("limits");
        judged.signals.iter().map(|Signal { chart, rule, .. }| (*chart, rule.id())).collect()
    };
    (1..9).for_each(|id| drop(order(id)));
    let location = [1, 2, 3, 5, 6].map(|rule| (Chart::Location, rule));
    assert_eq!(order(9), [location.as_slice(), &[(Chart::Dispersion, 1)]].concat());
}

#[test]
fn the_dispersion_chart_is_on_for_ranges_and_off_for_moving_ranges_unless_asked_for() {
    let on = |chart| Judging::new(chart, RuleSet::default()).dispersion;
    assert_eq!((on(ChartKind::IMr), on(ChartKind::XbarR), on(ChartKind::XbarS)), (false, true, true));
    let wide = Subgroup { n: 5, mean: 0.0, range: Some(9.0), std_dev: Some(9.0) };
    let off = Judging { dispersion: false, ..Judging::new(ChartKind::XbarR, rules(&[1])) };
    let verdict = judge_subgroup(ChartKind::XbarR, wide, &off);
    assert_eq!(verdict.dispersion_value, Some(9.0), "plotted all the same");
    assert_eq!(dispersion_sides(&verdict), []);
    let without_rules = Judging::new(ChartKind::XbarR, rules(&[]));
    let verdict = judge_subgroup(ChartKind::XbarR, wide, &without_rules);
    assert_eq!(dispersion_sides(&verdict), [], "rule 1 is off on both charts");
}

#[test]
fn dispersion_limits_of_another_statistic_judge_nothing() {
    let ranges = dispersion_limits(ChartKind::XbarR, 1.0, 5);
    let limits = PhaseLimits::new(control_limits(-3.0, 0.0, 3.0, 5), ranges);
    let subgroup = Subgroup { n: 5, mean: 0.0, range: Some(9.0), std_dev: Some(9.0) };
    let point = Point { sample_id: sample_id(1), subgroup };
    let sides = |chart| {
        let judging = Judging::new(chart, rules(&[1]));
        dispersion_sides(&PhaseState::new().judge(&point, Some(&limits), &judging))
    };
    assert_eq!(sides(ChartKind::XbarR), [Some(Side::Upper)]);
    assert_eq!(sides(ChartKind::XbarS), []);
}

#[test]
fn the_state_of_a_characteristic_stays_small() {
    assert!(size_of::<PhaseState>() < 1024, "{} bytes", size_of::<PhaseState>());
}
