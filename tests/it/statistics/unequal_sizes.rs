//! Subgroups smaller than the nominal size: lines per point, and which values rules 3 and 4 compare.

use andon::domain::chart::ChartKind;
use andon::domain::limits::ControlLimits;
use andon::domain::rules::{Rule, RuleSet};
use andon::spc::constants::{c4, d2, d3};
use andon::spc::{PhaseLimits, dispersion_limits};

use super::support::{Phase, control_limits, only};

/// Limits of subgroups of 4 around 0: 3 at n = 4, so 6 at n = 1 and 1.5 at n = 16.
fn limits_of_four() -> PhaseLimits {
    PhaseLimits::new(control_limits(-3.0, 0.0, 3.0, 4), None)
}

fn fires_at(rules: RuleSet, points: &[(f64, u32)]) -> Vec<usize> {
    let mut phase = Phase::new(limits_of_four());
    let mut fires = |&(value, n)| !phase.judge(value, n, rules).signals.is_empty();
    (1..).zip(points).filter(|(_, point)| fires(*point)).map(|(number, _)| number).collect()
}

#[test]
fn limits_widen_with_the_root_of_the_missing_measurements() {
    let limits = limits_of_four();
    assert_eq!((limits.lines(1).lcl, limits.lines(1).ucl), (-6.0, 6.0));
    assert_eq!((limits.lines(16).lcl, limits.lines(16).ucl), (-1.5, 1.5));
    assert_eq!(limits.lines(1).upper_one_sigma, 2.0);
    let computed = ControlLimits::from_sigma(10.0, 2.0, 5).expect("valid");
    let of_three = PhaseLimits::new(computed, None).lines(3);
    let expected = 10.0 + 3.0 * 2.0 / 3f64.sqrt();
    assert!((of_three.ucl - expected).abs() < 1e-12, "sigma of single observations over sqrt(n)");
}

#[test]
fn asymmetric_limits_keep_their_proportions() {
    let lines = PhaseLimits::new(control_limits(-3.0, 0.0, 12.0, 4), None).lines(1);
    assert_eq!((lines.lcl, lines.ucl), (-6.0, 24.0));
    assert_eq!((lines.lower_two_sigma, lines.upper_two_sigma), (-4.0, 16.0));
}

#[test]
fn each_point_is_compared_with_the_lines_of_its_own_size() {
    let outlier = only(Rule::Outlier, None, None);
    assert_eq!(fires_at(outlier, &[(5.0, 4), (5.0, 1), (6.0, 1), (6.1, 1)]), [1usize, 4]);
    let zone_a = only(Rule::ZoneA, None, None);
    assert_eq!(fires_at(zone_a, &[(2.5, 4), (2.5, 1), (4.5, 1)]), [3usize]);
    let inner = only(Rule::Stratification, None, Some(2));
    assert_eq!(fires_at(inner, &[(1.5, 1), (0.5, 4), (1.5, 4)]), [2usize]);
}

#[test]
fn a_trend_is_one_of_plain_means_while_the_sizes_in_its_window_agree() {
    let trend = only(Rule::Trend, None, Some(3));
    assert_eq!(fires_at(trend, &[(0.1, 1), (0.2, 1), (0.3, 1)]), [3usize]);
    // Rising means, but 0.6 of one measurement is less far out than 0.5 of four.
    assert_eq!(fires_at(trend, &[(0.4, 4), (0.5, 4), (0.6, 1)]), [0usize; 0]);
    // Falling means, but rising z: 0.4 * 2, 0.5 * 2, 0.3 * 4.
    assert_eq!(fires_at(trend, &[(0.4, 4), (0.5, 4), (0.3, 16)]), [3usize]);
    // The odd size has left the window of three.
    assert_eq!(fires_at(trend, &[(9.0, 1), (0.4, 4), (0.5, 4), (0.6, 4)]), [4usize]);
    assert_eq!(fires_at(trend, &[(0.4, 1), (0.1, 4), (0.2, 4)]), [0usize; 0], "z falls from 0.4 to 0.2");
}

#[test]
fn plain_means_tell_apart_what_the_distance_from_a_far_center_line_rounds_off() {
    let limits = PhaseLimits::new(control_limits(0.0, 1e9, 2e9, 4), None);
    let steps = [0.1, 0.1 + 1e-9, 0.1 + 2e-9];
    let trend_fires = |before: u32, newest: u32| {
        let mut phase = Phase::new(limits);
        phase.judge(0.1, before, only(Rule::Trend, None, Some(3)));
        let sizes = [4, 4, newest];
        let judged = steps
            .into_iter()
            .zip(sizes)
            .map(|(mean, n)| phase.judge(mean, n, only(Rule::Trend, None, Some(3))).signals.is_empty());
        !judged.last().expect("three points")
    };
    assert!(trend_fires(4, 4));
    assert!(trend_fires(1, 4), "the odd size is older than the window");
    assert!(!trend_fires(4, 16), "z falls");
}

#[test]
fn alternation_follows_the_same_choice() {
    let alternation = only(Rule::Alternation, None, Some(3));
    assert_eq!(fires_at(alternation, &[(0.1, 4), (0.2, 4), (0.1, 4)]), [3usize]);
    assert_eq!(fires_at(alternation, &[(0.1, 4), (0.2, 1), (0.1, 4)]), [0usize; 0], "z is 0.2 each time");
    assert_eq!(fires_at(alternation, &[(0.1, 4), (0.3, 1), (0.1, 16)]), [0usize; 0], "z rises throughout");
    assert_eq!(fires_at(alternation, &[(0.1, 4), (0.2, 16), (0.3, 4)]), [3usize], "z is 0.2, 0.8, 0.6");
}

#[test]
fn dispersion_lines_for_a_smaller_subgroup_are_those_of_its_own_constants() {
    for (chart, nominal, n) in [
        (ChartKind::XbarR, 5, 2),
        (ChartKind::XbarR, 9, 4),
        (ChartKind::XbarR, 9, 8),
        (ChartKind::XbarS, 12, 5),
        (ChartKind::XbarS, 12, 11),
    ] {
        let given = dispersion_limits(chart, 0.7, nominal);
        let limits = PhaseLimits::new(control_limits(-3.0, 0.0, 3.0, nominal), given);
        assert_eq!(limits.dispersion_lines(nominal), given);
        let of_n = limits.dispersion_lines(n).expect("a chart of n");
        let expected = dispersion_limits(chart, 0.7, n).expect("a chart of n");
        for (actual, expected) in
            [(of_n.ucl, expected.ucl), (of_n.center_line, expected.center_line), (of_n.lcl, expected.lcl)]
        {
            assert!((actual - expected).abs() < 1e-12, "{chart:?} {n} of {nominal}: {actual}, {expected}");
        }
    }
}

#[test]
fn a_single_measurement_has_no_range_chart_and_every_individual_a_moving_range_chart() {
    let limits =
        |chart, n| PhaseLimits::new(control_limits(-3.0, 0.0, 3.0, n), dispersion_limits(chart, 1.0, n));
    assert_eq!(limits(ChartKind::XbarR, 5).dispersion_lines(1), None);
    assert_eq!(limits(ChartKind::XbarS, 5).dispersion_lines(1), None);
    assert_eq!(limits(ChartKind::IMr, 1).dispersion_lines(1), dispersion_limits(ChartKind::IMr, 1.0, 1));
    assert_eq!(PhaseLimits::new(control_limits(-3.0, 0.0, 3.0, 5), None).dispersion_lines(5), None);
}

#[test]
fn standards_given_make_the_limits_of_the_dispersion_chart() {
    let limits = |chart, n| dispersion_limits(chart, 2.0, n).expect("a chart of n");
    let (r, s) = (limits(ChartKind::XbarR, 8), limits(ChartKind::XbarS, 8));
    let (d2, d3, c4) = (d2(8).expect("n = 8"), d3(8).expect("n = 8"), c4(8).expect("n = 8"));
    assert_eq!((r.lcl, r.center_line, r.ucl), ((d2 - 3.0 * d3) * 2.0, d2 * 2.0, (d2 + 3.0 * d3) * 2.0));
    let reach = 3.0 * (1.0 - c4 * c4).sqrt();
    assert_eq!((s.lcl, s.center_line, s.ucl), ((c4 - reach) * 2.0, c4 * 2.0, (c4 + reach) * 2.0));
    assert_eq!(limits(ChartKind::XbarR, 6).lcl, 0.0, "floored up to n = 6");
    assert!(limits(ChartKind::XbarR, 7).lcl > 0.0);
    assert_eq!(limits(ChartKind::XbarS, 5).lcl, 0.0, "floored up to n = 5");
    assert!(limits(ChartKind::XbarS, 6).lcl > 0.0);
    assert_eq!(dispersion_limits(ChartKind::XbarR, 2.0, 1), None);
    assert_eq!(dispersion_limits(ChartKind::XbarS, 2.0, 26), None);
}
