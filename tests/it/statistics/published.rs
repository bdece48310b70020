//! Published data with known answers.
//!
//! Piston rings: inside diameters in mm, 40 subgroups of 5 (Montgomery, *Introduction to Statistical
//! Quality Control*). Flow rate: 10 individuals (NIST/SEMATECH e-Handbook, 6.3.2.2).

use andon::domain::chart::{Chart, ChartKind};
use andon::domain::rules::{Preset, RuleSet};
use andon::domain::sample::Subgroup;
use andon::spc::{
    Baseline, BaselinePoint, Estimate, Judging, PhaseLimits, PhaseState, Point, Signal, estimate,
};

use super::support::sample_id;

const PISTON_RINGS: &str = include_str!("../../data/piston_rings.csv");
const FLOW_RATE: &str = include_str!("../../data/flow_rate.csv");

/// One subgroup per line; the first column is its number.
fn subgroups(csv: &str) -> Vec<Subgroup> {
    let subgroup = |line: &str| {
        let values: Vec<f64> =
            line.split(',').skip(1).map(|field| field.parse().expect("a number")).collect();
        Subgroup::of(&values, 1, 5).expect("1 to 5 numbers")
    };
    csv.lines().skip(1).map(subgroup).collect()
}

fn limits_from(chart: ChartKind, subgroups: &[Subgroup]) -> Estimate {
    let points: Vec<BaselinePoint> =
        subgroups.iter().map(|&subgroup| BaselinePoint { subgroup, follows_break: false }).collect();
    estimate(&Baseline {
        chart,
        subgroup_size: subgroups[0].n,
        points: &points,
        sigma_from: chart.dispersion(),
    })
    .expect("limits")
}

/// Every signal of all eight rules with the number of its point, from 1.
fn signals(chart: ChartKind, estimate: &Estimate, subgroups: &[Subgroup]) -> Vec<(usize, Signal)> {
    let limits = PhaseLimits::new(estimate.limits, Some(estimate.dispersion));
    let judging = Judging { dispersion: true, ..Judging::new(chart, RuleSet::preset(Preset::Nelson)) };
    let mut state = PhaseState::new();
    let mut found = Vec::new();
    for (number, &subgroup) in (1..).zip(subgroups) {
        let point = Point { sample_id: sample_id(number), subgroup };
        let judged = state.judge(&point, Some(&limits), &judging).judged.expect("there are limits");
        found.extend(judged.signals.iter().map(|&signal| (number, signal)));
    }
    found
}

fn points_of_rule(signals: &[(usize, Signal)], chart: Chart, rule: u32) -> Vec<usize> {
    let of_rule = signals.iter().filter(|(_, s)| s.chart == chart && s.rule.id() == rule);
    of_rule.map(|(number, _)| *number).collect()
}

fn assert_rounds_to(actual: f64, published: f64, half_unit: f64) {
    assert!((actual - published).abs() <= half_unit, "{actual} does not round to {published}");
}

#[test]
fn piston_rings_give_the_published_limits() {
    let Estimate { limits, dispersion, n_samples } =
        limits_from(ChartKind::XbarR, &subgroups(PISTON_RINGS)[..25]);
    assert_rounds_to(limits.center_line(), 74.00118, 5e-6);
    assert_rounds_to(limits.sigma(), 0.009785, 5e-7);
    assert_rounds_to(limits.lcl(), 73.98805, 5e-6);
    assert_rounds_to(limits.ucl(), 74.0143, 5e-5);
    // Published as 0.04812, with D4 rounded to 2.114; the exact constants give 0.048126.
    assert_rounds_to(dispersion.ucl, 0.048126, 5e-7);
    assert_rounds_to(dispersion.center_line * 2.114, 0.04812, 1e-5);
    assert_eq!((dispersion.lcl, n_samples), (0.0, 25));
}

#[test]
fn piston_rings_are_out_at_subgroups_37_to_39_and_zone_a_tells_at_35() {
    let all = subgroups(PISTON_RINGS);
    assert_eq!(all.len(), 40);
    let chart = ChartKind::XbarR;
    let found = signals(chart, &limits_from(chart, &all[..25]), &all);
    assert_eq!(points_of_rule(&found, Chart::Location, 1), [37, 38, 39]);
    assert_eq!(points_of_rule(&found, Chart::Location, 5).first(), Some(&35));
    assert_eq!(points_of_rule(&found, Chart::Dispersion, 1), [0; 0]);
}

#[test]
fn flow_rates_give_the_handbook_limits_and_none_is_out() {
    let all = subgroups(FLOW_RATE);
    assert_eq!(all.len(), 10);
    let found = limits_from(ChartKind::IMr, &all);
    assert_rounds_to(found.limits.center_line(), 50.81, 1e-12);
    assert_rounds_to(found.dispersion.center_line, 1.8778, 5e-5);
    assert_rounds_to(found.limits.lcl(), 45.818, 5e-4);
    assert_rounds_to(found.limits.ucl(), 55.802, 5e-4);
    let found = signals(ChartKind::IMr, &found, &all);
    assert_eq!(points_of_rule(&found, Chart::Location, 1), [0; 0]);
    assert_eq!(points_of_rule(&found, Chart::Dispersion, 1), [0; 0]);
}
