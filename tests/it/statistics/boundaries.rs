//! Each rule at its edges: on the line, one short, exactly m, one more, ties, sides, phase start.
//!
//! Sigma is 1 and the center line 0; positions count from 1.

use andon::domain::chart::Side;
use andon::domain::rules::Rule;

use super::support::{Phase, fires_at, only, rules, standard_limits};

/// The sides of the signals at the newest of `values`, under one rule.
fn side_at_end(rule: Rule, values: &[f64]) -> Vec<Option<Side>> {
    let mut phase = Phase::new(standard_limits());
    let mut newest = Vec::new();
    for &value in values {
        newest = phase.judge(value, 1, only(rule, None, None)).signals.iter().map(|s| s.side).collect();
    }
    newest
}

fn repeated(pattern: &[f64], times: usize) -> Vec<f64> {
    pattern.repeat(times)
}

const JUST: f64 = 1e-9;

#[test]
fn rule_1_fires_beyond_a_limit_but_not_on_it() {
    let outlier = only(Rule::Outlier, None, None);
    assert_eq!(fires_at(outlier, &[3.0, -3.0, 2.9, 0.0]), [0usize; 0]);
    assert_eq!(fires_at(outlier, &[3.0 + JUST, 0.0, -3.0 - JUST, 3.1, 3.2]), [1usize, 3, 4, 5]);
    assert_eq!(side_at_end(Rule::Outlier, &[4.0]), [Some(Side::Upper)]);
    assert_eq!(side_at_end(Rule::Outlier, &[-4.0]), [Some(Side::Lower)]);
}

#[test]
fn rule_2_fires_at_the_ninth_point_on_a_side_and_at_every_further_one() {
    let shift = only(Rule::Shift, None, None);
    assert_eq!(fires_at(shift, &[JUST; 8]), [0usize; 0]);
    assert_eq!(fires_at(shift, &[JUST; 9]), [9usize]);
    assert_eq!(fires_at(shift, &[-JUST; 11]), [9usize, 10, 11]);
    assert_eq!(side_at_end(Rule::Shift, &[JUST; 9]), [Some(Side::Upper)]);
    assert_eq!(side_at_end(Rule::Shift, &[-JUST; 9]), [Some(Side::Lower)]);
}

#[test]
fn rule_2_starts_over_at_a_point_on_the_center_line_or_on_the_other_side() {
    let shift = only(Rule::Shift, None, None);
    for breaker in [0.0, -0.5] {
        let mut values = vec![0.5; 8];
        values.push(breaker);
        values.extend([0.5; 9]);
        assert_eq!(fires_at(shift, &values), [18usize], "after {breaker}");
    }
    let mut crossing = vec![0.5; 9];
    crossing.extend([-0.5; 9]);
    assert_eq!(fires_at(shift, &crossing), [9usize, 18]);
}

#[test]
fn rule_3_counts_points_and_not_steps() {
    let trend = only(Rule::Trend, None, None);
    let rising: Vec<f64> = (0..8).map(|i| f64::from(i) / 10.0).collect();
    let falling: Vec<f64> = rising.iter().map(|x| -x).collect();
    assert_eq!(fires_at(trend, &rising[..5]), [0usize; 0]);
    assert_eq!(fires_at(trend, &rising), [6usize, 7, 8]);
    assert_eq!(fires_at(trend, &falling), [6usize, 7, 8]);
    assert_eq!(side_at_end(Rule::Trend, &rising), [Some(Side::Upper)]);
    assert_eq!(side_at_end(Rule::Trend, &falling), [Some(Side::Lower)]);
}

#[test]
fn rule_3_ends_at_an_equal_pair_whose_second_point_starts_the_next() {
    let trend = only(Rule::Trend, None, None);
    let tied = [0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.6, 0.7, 0.8, 0.9];
    assert_eq!(fires_at(trend, &tied), [0usize; 0]);
    let mut long_enough = tied.to_vec();
    long_enough.push(1.0);
    assert_eq!(fires_at(trend, &long_enough), [11usize]);
}

#[test]
fn rule_3_turns_at_a_peak_which_belongs_to_both_trends() {
    let peaked = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1];
    assert_eq!(fires_at(only(Rule::Trend, None, None), &peaked), [6usize, 11]);
}

#[test]
fn rule_4_fires_at_the_fourteenth_alternating_point_whatever_side_it_is_on() {
    let alternation = only(Rule::Alternation, None, None);
    let values = repeated(&[1.5, 1.0], 8);
    assert_eq!(fires_at(alternation, &values[..13]), [0usize; 0]);
    assert_eq!(fires_at(alternation, &values), [14usize, 15, 16]);
    assert_eq!(fires_at(alternation, &values[1..]), [14usize, 15]);
    assert_eq!(side_at_end(Rule::Alternation, &values), [None]);
}

#[test]
fn rule_4_ends_at_an_equal_pair_and_at_two_steps_the_same_way() {
    let alternation = only(Rule::Alternation, None, None);
    for (middle, why) in [(vec![1.0], "an equal pair"), (vec![0.5], "two steps down")] {
        let mut values = repeated(&[1.5, 1.0], 6);
        values.extend(middle);
        values.extend(repeated(&[1.5, 1.0], 5));
        assert_eq!(fires_at(alternation, &values), [0usize; 0], "{why}");
    }
    let mut restarted = vec![1.0];
    restarted.extend(repeated(&[1.0, 1.5], 7));
    assert_eq!(fires_at(alternation, &restarted), [15usize], "the second of a pair starts the next");
}

#[test]
fn rules_5_and_6_do_not_count_points_on_the_zone_line() {
    let (zone_a, zone_b) = (only(Rule::ZoneA, None, None), only(Rule::ZoneB, None, None));
    assert_eq!(fires_at(zone_a, &[2.0, 2.0, 2.0]), [0usize; 0]);
    assert_eq!(fires_at(zone_a, &[2.0 + JUST, 2.0 + JUST]), [2usize]);
    assert_eq!(fires_at(zone_b, &[1.0; 6]), [0usize; 0]);
    assert_eq!(fires_at(zone_b, &[1.0 + JUST; 4]), [4usize]);
    assert_eq!(side_at_end(Rule::ZoneA, &[-2.5, -2.5]), [Some(Side::Lower)]);
    assert_eq!(side_at_end(Rule::ZoneB, &[1.5; 4]), [Some(Side::Upper)]);
}

#[test]
fn rule_5_needs_the_newest_point_itself_beyond_and_two_of_three_on_its_side() {
    let zone_a = only(Rule::ZoneA, None, None);
    assert_eq!(fires_at(zone_a, &[2.5]), [0usize; 0], "one is not two");
    assert_eq!(fires_at(zone_a, &[2.5, 2.5, 0.0]), [2usize], "the third is not beyond");
    assert_eq!(fires_at(zone_a, &[2.5, 0.0, 2.5]), [3usize]);
    assert_eq!(fires_at(zone_a, &[2.5, 0.0, 0.0, 2.5]), [0usize; 0], "the first is too far back");
    assert_eq!(fires_at(zone_a, &[2.5, -2.5, 2.5]), [3usize], "the other side does not hinder");
    assert_eq!(fires_at(zone_a, &[2.5, -2.5, -2.5]), [3usize], "and does not help");
    assert_eq!(fires_at(zone_a, &[2.5, -2.5, 0.0, 2.5]), [0usize; 0]);
    assert_eq!(fires_at(zone_a, &[4.0, 4.0, 4.0]), [2usize, 3], "beyond the limit is beyond 2 sigma");
}

#[test]
fn rule_6_needs_four_of_five_with_the_newest_among_them() {
    let zone_b = only(Rule::ZoneB, None, None);
    assert_eq!(fires_at(zone_b, &[1.5, 1.5, 1.5]), [0usize; 0]);
    assert_eq!(fires_at(zone_b, &[1.5, 1.5, 0.0, 1.5, 1.5]), [5usize]);
    assert_eq!(fires_at(zone_b, &[1.5, 1.5, 1.5, 1.5, 0.5]), [4usize]);
    assert_eq!(fires_at(zone_b, &[1.5, 1.5, 0.0, 0.0, 1.5, 1.5]), [0usize; 0]);
    assert_eq!(fires_at(zone_b, &[1.5, 1.5, -1.5, 1.5, 1.5]), [5usize]);
    assert_eq!(fires_at(zone_b, &[0.0, 1.5, 1.5, 1.5, 1.5, 0.0, 1.5]), [5usize, 7]);
}

#[test]
fn rule_7_counts_points_on_the_one_sigma_line_and_wants_fifteen() {
    let stratification = only(Rule::Stratification, None, None);
    let hugging = repeated(&[1.0, -1.0, 0.0], 6);
    assert_eq!(fires_at(stratification, &hugging[..14]), [0usize; 0]);
    assert_eq!(fires_at(stratification, &hugging[..17]), [15usize, 16, 17]);
    assert_eq!(side_at_end(Rule::Stratification, &hugging), [None]);
    for escape in [1.0 + JUST, -1.0 - JUST] {
        let mut values = vec![0.5; 14];
        values.push(escape);
        values.extend([0.5; 15]);
        assert_eq!(fires_at(stratification, &values), [30usize], "after {escape}");
    }
}

#[test]
fn rule_8_wants_both_sides_within_its_eight_points() {
    let mixture = only(Rule::Mixture, None, None);
    let both = repeated(&[1.5, -1.5], 5);
    assert_eq!(fires_at(mixture, &both[..7]), [0usize; 0]);
    assert_eq!(fires_at(mixture, &both), [8usize, 9, 10]);
    assert_eq!(side_at_end(Rule::Mixture, &both), [None]);
    assert_eq!(fires_at(mixture, &[1.5; 12]), [0usize; 0], "one side alone is rule 6");
    let mut one_below = vec![-1.5];
    one_below.extend([1.5; 9]);
    assert_eq!(fires_at(mixture, &one_below), [8usize], "at the ninth the point below has left the window");
}

#[test]
fn rule_8_does_not_count_points_on_the_one_sigma_line() {
    for inner in [1.0, -1.0, 0.0] {
        let mut values = repeated(&[1.5, -1.5], 3);
        values.push(inner);
        values.extend(repeated(&[1.5, -1.5], 4));
        assert_eq!(fires_at(only(Rule::Mixture, None, None), &values), [15usize], "after {inner}");
    }
}

#[test]
fn every_length_is_a_parameter_up_to_the_longest_that_is_remembered() {
    let rising: Vec<f64> = (0..70).map(|i| f64::from(i) / 100.0 + 0.01).collect();
    let alternating = repeated(&[1.5, -1.5], 35);
    for m in [3, 4, 7, 63, 64] {
        let first = m as usize;
        let expected: Vec<usize> = (first..=70).collect();
        assert_eq!(fires_at(only(Rule::Shift, None, Some(m)), &rising), expected);
        assert_eq!(fires_at(only(Rule::Trend, None, Some(m)), &rising), expected);
        assert_eq!(fires_at(only(Rule::Alternation, None, Some(m)), &alternating), expected);
        assert_eq!(fires_at(only(Rule::Stratification, None, Some(m)), &rising), expected);
        assert_eq!(fires_at(only(Rule::Mixture, None, Some(m)), &alternating), expected);
        assert_eq!(fires_at(only(Rule::ZoneB, Some(m), Some(m)), &[1.5; 70]), expected);
        assert_eq!(fires_at(only(Rule::ZoneA, Some(m), Some(m)), &[-2.5; 70]), expected);
    }
    assert_eq!(fires_at(only(Rule::ZoneA, Some(1), Some(3)), &[2.5, 0.0, 2.5]), [1usize, 3]);
    assert_eq!(fires_at(only(Rule::Shift, None, Some(2)), &[0.5, 0.5, -0.5, -0.5]), [2usize, 4]);
    assert_eq!(fires_at(only(Rule::Trend, None, Some(2)), &[0.5, 0.5, 0.6, 0.5]), [3usize, 4]);
    assert_eq!(fires_at(only(Rule::Alternation, None, Some(3)), &[0.1, 0.2, 0.2, 0.1, 0.3]), [5usize]);
}

#[test]
fn nothing_resets_after_a_signal_and_every_rule_fires_once_per_point() {
    let mut phase = Phase::new(standard_limits());
    let ids = |phase: &mut Phase, value| -> Vec<u32> {
        let judged = phase.judge(value, 1, rules(&[1, 2, 3, 4, 5, 6, 7, 8]));
        judged.signals.iter().map(|signal| signal.rule.id()).collect()
    };
    for value in [3.1, 3.2, 3.3, 3.4, 3.5, 3.6, 3.7, 3.8] {
        ids(&mut phase, value);
    }
    assert_eq!(ids(&mut phase, 3.9), [1, 2, 3, 5, 6]);
    assert_eq!(ids(&mut phase, 4.0), [1, 2, 3, 5, 6]);
    assert_eq!(ids(&mut phase, 0.0), [0; 0]);
}

#[test]
fn a_new_phase_remembers_nothing_of_the_one_before() {
    let shift = rules(&[2]);
    let mut old = Phase::new(standard_limits());
    for _ in 0..8 {
        old.judge(0.5, 1, shift);
    }
    let mut new = Phase::new(standard_limits());
    for _ in 0..8 {
        assert!(new.judge(0.5, 1, shift).signals.is_empty());
    }
    assert!(!new.judge(0.5, 1, shift).signals.is_empty());
}

#[test]
fn a_rule_change_acts_from_the_next_point_and_counts_those_already_there() {
    let mut phase = Phase::new(standard_limits());
    for _ in 0..9 {
        assert!(phase.judge(0.5, 1, rules(&[1])).signals.is_empty());
    }
    assert!(!phase.judge(0.5, 1, rules(&[2])).signals.is_empty());
    assert!(phase.judge(0.5, 1, only(Rule::Shift, None, Some(12))).signals.is_empty());
    assert!(!phase.judge(0.5, 1, only(Rule::Shift, None, Some(12))).signals.is_empty());
}
