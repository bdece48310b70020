//! What people read of a signal.

use andon::domain::chart::{Chart, ChartKind, Side};
use andon::domain::rules::{Pattern, Rule};
use andon::spc::Signal;

fn message(rule: Rule, side: Option<Side>) -> String {
    Signal { chart: Chart::Location, rule, pattern: rule.default_pattern(), side }.message(ChartKind::XbarR)
}

#[test]
fn every_rule_says_what_it_saw() {
    let (up, down) = (Some(Side::Upper), Some(Side::Lower));
    assert_eq!(message(Rule::Outlier, up), "point above the upper control limit");
    assert_eq!(message(Rule::Outlier, down), "point below the lower control limit");
    assert_eq!(message(Rule::Shift, up), "9 points in a row above the center line");
    assert_eq!(message(Rule::Shift, down), "9 points in a row below the center line");
    assert_eq!(message(Rule::Trend, up), "6 points in a row increasing");
    assert_eq!(message(Rule::Trend, down), "6 points in a row decreasing");
    assert_eq!(message(Rule::Alternation, None), "14 points in a row alternating up and down");
    assert_eq!(message(Rule::ZoneA, up), "2 of 3 points beyond 2 sigma above the center line");
    assert_eq!(message(Rule::ZoneB, down), "4 of 5 points beyond 1 sigma below the center line");
    let inner = "15 points in a row within 1 sigma of the center line";
    assert_eq!(message(Rule::Stratification, None), inner);
    let outer = "8 points in a row beyond 1 sigma on both sides of the center line";
    assert_eq!(message(Rule::Mixture, None), outer);
}

#[test]
fn a_message_gives_the_lengths_that_were_looked_for() {
    let pattern = Pattern { k: 3, m: 4 };
    let signal = Signal { chart: Chart::Location, rule: Rule::ZoneA, pattern, side: Some(Side::Lower) };
    assert_eq!(signal.message(ChartKind::IMr), "3 of 4 points beyond 2 sigma below the center line");
}

#[test]
fn a_dispersion_chart_names_what_it_plots() {
    let on = |chart, side| {
        let (rule, pattern) = (Rule::Outlier, Rule::Outlier.default_pattern());
        Signal { chart: Chart::Dispersion, rule, pattern, side: Some(side) }.message(chart)
    };
    assert_eq!(on(ChartKind::XbarR, Side::Upper), "range above its upper control limit");
    assert_eq!(on(ChartKind::IMr, Side::Upper), "moving range above its upper control limit");
    assert_eq!(on(ChartKind::XbarS, Side::Lower), "standard deviation below its lower control limit");
}
