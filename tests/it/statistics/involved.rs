//! Which points a signal names.

use andon::domain::chart::ChartKind;
use andon::domain::limits::DispersionLimits;
use andon::domain::rules::{Rule, RuleSet};
use andon::spc::{Judging, PhaseLimits, PhaseState, dispersion_limits};

use super::support::{Phase, control_limits, only, point, rules, sample_id, standard_limits};

/// The numbers of the points named by the only signal at the newest of `values`.
fn involved(rules: RuleSet, values: &[f64]) -> Vec<i64> {
    let mut phase = Phase::new(standard_limits());
    let mut newest = None;
    for &value in values {
        newest = phase.judge(value, 1, rules).signals.iter().next().copied();
    }
    let signal = newest.expect("a signal at the newest point");
    phase.state.involved(&signal).into_iter().map(|id| id.get()).collect()
}

#[test]
fn a_run_names_its_last_m_points_oldest_first() {
    assert_eq!(involved(only(Rule::Outlier, None, None), &[0.0, 5.0, 5.0]), [3]);
    assert_eq!(involved(only(Rule::Shift, None, Some(3)), &[0.5; 5]), [3, 4, 5]);
    assert_eq!(involved(only(Rule::Trend, None, Some(3)), &[0.3, 0.1, 0.2, 0.3]), [2, 3, 4]);
    assert_eq!(involved(only(Rule::Alternation, None, Some(3)), &[0.1, 0.1, 0.2, 0.1]), [2, 3, 4]);
    assert_eq!(involved(only(Rule::Stratification, None, Some(2)), &[0.0; 4]), [3, 4]);
    assert_eq!(involved(only(Rule::Mixture, None, Some(2)), &[1.5, 1.5, -1.5]), [2, 3]);
}

#[test]
fn a_count_names_only_the_points_beyond_the_line_on_its_side() {
    assert_eq!(involved(only(Rule::ZoneA, None, None), &[2.5, 2.5, 0.0, 2.5]), [2, 4]);
    assert_eq!(involved(only(Rule::ZoneA, None, None), &[-2.5, 2.5, -2.5]), [1, 3]);
    assert_eq!(involved(only(Rule::ZoneA, None, None), &[2.5, 2.5, 2.5]), [1, 2, 3]);
    assert_eq!(involved(only(Rule::ZoneB, None, None), &[1.5, 1.5, 1.0, 1.5, 1.5]), [1, 2, 4, 5]);
}

#[test]
fn the_longest_pattern_is_named_whole_long_after_the_phase_began() {
    let named = involved(only(Rule::Shift, None, Some(64)), &[0.5; 200]);
    assert_eq!(named, (137..=200).collect::<Vec<i64>>());
}

#[test]
fn a_dispersion_signal_names_the_newest_point() {
    let narrow = DispersionLimits {
        ucl: 1.0,
        ..dispersion_limits(ChartKind::IMr, 1.0, 1).expect("a moving range chart")
    };
    let limits = PhaseLimits::new(control_limits(-3.0, 0.0, 3.0, 1), Some(narrow));
    let judging = Judging { dispersion: true, ..Judging::new(ChartKind::IMr, rules(&[])) };
    let mut state = PhaseState::new();
    state.judge(&point(7, 0.0, 1), Some(&limits), &judging);
    let verdict = state.judge(&point(9, 2.0, 1), Some(&limits), &judging);
    let signals = verdict.judged.expect("there are limits").signals;
    let named: Vec<_> = signals.iter().flat_map(|signal| state.involved(signal)).collect();
    assert_eq!(named, [sample_id(9)]);
}
