//! Run lengths and shares of flagged points, by simulation with fixed seeds, against known figures.
//!
//! Independent normal points, known limits, each run from the start of a phase; a shift is in sigmas of
//! the plotted point. An estimate must lie within four of its standard errors (of shares: taken from the means
//! of batches); those errors are small enough that the neighbouring definitions of the rules would fail.
//! The short form runs always, the long one in release mode:
//! `cargo test --release --test it run_lengths -- --ignored`.

use andon::domain::chart::ChartKind;
use andon::domain::rules::{Preset, Rule, RuleSet};
use andon::domain::run_length::AverageRunLength;
use andon::spc::{Judging, NormalDeviates, PhaseState, RunLengthPlan, RunLengthSimulation};

use super::support::{point, rules, standard_limits};

/// Of the points of a series.
const BATCHES: u32 = 100;

/// The mean of independent batches and its standard error.
#[derive(Debug)]
struct Simulated {
    mean: f64,
    standard_error: f64,
}

impl Simulated {
    fn of(batch_means: &[f64]) -> Self {
        let count = batch_means.len() as f64;
        let mean = batch_means.iter().sum::<f64>() / count;
        let squares: f64 = batch_means.iter().map(|m| (m - mean).powi(2)).sum();
        Self { mean, standard_error: (squares / (count - 1.0) / count).sqrt() }
    }

    fn assert_agrees_with(&self, known: f64, largest_relative_error: f64, what: &str) {
        let relative = self.standard_error / known;
        assert!(relative < largest_relative_error, "{what}: standard error {relative:.5} is too large");
        let off = (self.mean - known) / self.standard_error;
        assert!(off.abs() < 4.0, "{what}: {known} is known, {self:?} simulated: {off:.1} standard errors");
    }
}

/// Simulates until the standard error is at most this share of the mean.
fn average_run_length(
    rules: RuleSet,
    shift_sigmas: f64,
    relative_standard_error: f64,
    seed: u64,
) -> Simulated {
    let plan = RunLengthPlan { rules, shift_sigmas, seed, relative_standard_error, most_points: u64::MAX };
    let mut simulation = RunLengthSimulation::new(plan);
    simulation.advance(u32::MAX);
    assert!(simulation.is_finished());
    let AverageRunLength { points, standard_error, .. } = simulation.estimate();
    Simulated {
        mean: points.expect("there are signals"),
        standard_error: standard_error.expect("an estimate has one"),
    }
}

/// Rule sets with their average run lengths in control and after a shift of one sigma.
fn known_run_lengths() -> [(&'static str, RuleSet, f64, f64); 5] {
    [
        ("rule 1", RuleSet::preset(Preset::Outlier), 370.398, 43.895),
        ("rules 1 and 2", rules(&[1, 2]), 216.696, 17.053),
        ("balanced", RuleSet::preset(Preset::Balanced), 109.049, 9.698),
        ("Western Electric", RuleSet::preset(Preset::WesternElectric), 91.751, 9.222),
        ("Nelson", RuleSet::preset(Preset::Nelson), 73.31, 9.627),
    ]
}

fn assert_run_lengths(relative_standard_error: f64) {
    for (seed, (name, rules, in_control, shifted)) in (1924..).zip(known_run_lengths()) {
        // Runs after a shift are short: more of them cost little.
        for (shift, known, wanted) in
            [(0.0, in_control, relative_standard_error), (1.0, shifted, relative_standard_error / 2.0)]
        {
            let simulated = average_run_length(rules, shift, wanted, seed);
            simulated.assert_agrees_with(known, 1.5 * wanted, &format!("{name} at a shift of {shift}"));
        }
    }
}

/// Shares of the points of one long in-control series that each rule flags, by rule number.
fn flagged_shares(points: u32, seed: u64) -> Vec<Simulated> {
    let (limits, mut state) = (standard_limits(), PhaseState::new());
    let judging = Judging::new(ChartKind::IMr, RuleSet::preset(Preset::Nelson));
    let mut normal = NormalDeviates::seeded(seed);
    let per_batch = points / BATCHES;
    let mut batch_means = vec![Vec::new(); Rule::ALL.len()];
    for _ in 0..BATCHES {
        let mut flagged = [0.0; Rule::ALL.len()];
        for _ in 0..per_batch {
            let verdict = state.judge(&point(1, normal.draw(), 1), Some(&limits), &judging);
            for signal in verdict.judged.expect("there are limits").signals.iter() {
                flagged[signal.rule as usize] += 1.0;
            }
        }
        for (means, flagged) in batch_means.iter_mut().zip(flagged) {
            means.push(flagged / f64::from(per_batch));
        }
    }
    batch_means.iter().map(|means| Simulated::of(means)).collect()
}

fn assert_flagged_shares(points: u32, largest_relative_error: f64) {
    let known =
        [0.002_699_8, 0.003_906_25, 0.002_777_78, 0.004_573_64, 0.002_046_72, 0.004_465_68, 0.003_260_98];
    for ((rule, known), share) in (1..).zip(known).zip(flagged_shares(points, 1984)) {
        share.assert_agrees_with(known, largest_relative_error, &format!("share of rule {rule}"));
    }
}

#[test]
fn run_lengths_are_near_the_known_ones() {
    assert_run_lengths(0.022);
}

#[test]
fn shares_of_flagged_points_are_near_the_known_ones() {
    assert_flagged_shares(1_000_000, 0.06);
}

#[test]
#[ignore = "long: run in release mode"]
fn long_run_lengths_are_the_known_ones() {
    assert_run_lengths(0.0016);
}

#[test]
#[ignore = "long: run in release mode"]
fn long_shares_of_flagged_points_are_the_known_ones() {
    assert_flagged_shares(200_000_000, 0.003);
}
