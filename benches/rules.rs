//! Time to judge one point under all eight rules, after short and long histories.
//!
//! `floor` feeds the same points to a mere sum: what remains when no rule is judged.

use std::hint::black_box;

use andon::domain::chart::ChartKind;
use andon::domain::ids::SampleId;
use andon::domain::limits::ControlLimits;
use andon::domain::rules::{Preset, RuleSet};
use andon::domain::sample::Subgroup;
use andon::spc::{Judging, PhaseLimits, PhaseState, Point, dispersion_limits};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const POINTS: usize = 1_000;
const HISTORIES: [usize; 3] = [1_000, 100_000, 10_000_000];

/// Sums of twelve uniform deviates, near enough to normal for branches to be as they are in practice.
fn points() -> Vec<Point> {
    let mut rng = StdRng::seed_from_u64(1);
    let point = |id| {
        let mean = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        let sample_id = SampleId::try_from(id).expect("a positive id");
        Point { sample_id, subgroup: Subgroup { n: 1, mean, range: None, std_dev: None } }
    };
    (1..).take(POINTS).map(point).collect()
}

fn judge(c: &mut Criterion) {
    let points = points();
    let limits = PhaseLimits::new(ControlLimits::from_sigma(0.0, 1.0, 1).expect("valid limits"), None);
    let judging = Judging::new(ChartKind::IMr, RuleSet::preset(Preset::Nelson));
    let mut group = c.benchmark_group("rules");
    group.throughput(Throughput::Elements(POINTS as u64));
    group.bench_function("floor", |b| {
        b.iter(|| points.iter().map(|point| black_box(point).subgroup.mean).sum::<f64>());
    });
    for history in HISTORIES {
        let mut state = PhaseState::new();
        for point in points.iter().cycle().take(history) {
            state.judge(point, Some(&limits), &judging);
        }
        group.bench_function(BenchmarkId::new("all_eight", history), |b| {
            b.iter(|| {
                for point in &points {
                    black_box(state.judge(black_box(point), Some(&limits), &judging));
                }
            });
        });
    }
    // Subgroups of 4 where 5 are nominal: lines of their own for both charts.
    let dispersion = dispersion_limits(ChartKind::XbarR, 1.0, 5);
    let limits = PhaseLimits::new(ControlLimits::from_sigma(0.0, 1.0, 5).expect("valid limits"), dispersion);
    let judging = Judging::new(ChartKind::XbarR, RuleSet::preset(Preset::Nelson));
    let smaller: Vec<Point> = points
        .iter()
        .map(|p| Point { subgroup: Subgroup { n: 4, range: Some(2.0), ..p.subgroup }, ..*p })
        .collect();
    let mut state = PhaseState::new();
    group.bench_function("all_eight_of_smaller_subgroups", |b| {
        b.iter(|| {
            for point in &smaller {
                black_box(state.judge(black_box(point), Some(&limits), &judging));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, judge);
criterion_main!(benches);
