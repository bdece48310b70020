//! Control limits from a baseline.

use andon::domain::chart::{ChartKind, DispersionStatistic};
use andon::domain::limits::LimitsError;
use andon::domain::sample::Subgroup;
use andon::spc::constants::{c4, d2};
use andon::spc::{Baseline, BaselinePoint, Estimate, EstimateError, estimate};

fn points<const N: usize>(subgroups: [&[f64]; N]) -> Vec<BaselinePoint> {
    let subgroup = |measurements: &[f64]| Subgroup::of(measurements, 1, 25).expect("1 to 25 numbers");
    subgroups.iter().map(|m| BaselinePoint { subgroup: subgroup(m), follows_break: false }).collect()
}

fn individuals<const N: usize>(values: [f64; N]) -> Vec<BaselinePoint> {
    points(values.each_ref().map(std::slice::from_ref))
}

fn of(chart: ChartKind, subgroup_size: u32, points: &[BaselinePoint]) -> Result<Estimate, EstimateError> {
    estimate(&Baseline { chart, subgroup_size, points, sigma_from: chart.dispersion() })
}

fn assert_close(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-12 * expected.abs().max(1.0), "{actual} is not {expected}");
}

#[test]
fn individuals_take_sigma_from_the_mean_moving_range() {
    let estimate = of(ChartKind::IMr, 1, &individuals([10.0, 12.0, 11.0, 15.0])).expect("limits");
    let mean_range = (2.0 + 1.0 + 4.0) / 3.0;
    let sigma = mean_range / d2(2).expect("n = 2");
    assert_close(estimate.limits.center_line(), 12.0);
    assert_close(estimate.limits.sigma(), sigma);
    assert_close(estimate.limits.ucl(), 12.0 + 3.0 * sigma);
    assert_close(estimate.limits.lcl(), 12.0 - 3.0 * sigma);
    assert_eq!(estimate.n_samples, 4);
    let moving_range = estimate.dispersion;
    assert_eq!((moving_range.statistic, moving_range.lcl), (DispersionStatistic::Mr, 0.0));
    assert_close(moving_range.center_line, mean_range);
    assert!((moving_range.ucl / mean_range - 3.266_532).abs() < 5e-7);
}

#[test]
fn a_moving_range_that_touches_an_excluded_point_is_dropped() {
    let mut broken = individuals([10.0, 12.0, 50.0, 51.0]);
    broken[2].follows_break = true;
    let estimate = of(ChartKind::IMr, 1, &broken).expect("limits");
    assert_close(estimate.dispersion.center_line, (2.0 + 1.0) / 2.0);
    assert_close(estimate.limits.center_line(), (10.0 + 12.0 + 50.0 + 51.0) / 4.0);
}

#[test]
fn ranges_make_limits_that_mind_the_root_of_n() {
    let baseline = points([&[1.0, 3.0, 2.0, 2.0], &[2.0, 2.0, 6.0, 2.0]]);
    let estimate = of(ChartKind::XbarR, 4, &baseline).expect("limits");
    let sigma = (2.0 + 4.0) / 2.0 / d2(4).expect("n = 4");
    assert_close(estimate.limits.center_line(), 2.5);
    assert_close(estimate.limits.sigma(), sigma);
    assert_close(estimate.limits.ucl(), 2.5 + 3.0 * sigma / 2.0);
    assert_close(estimate.limits.lcl(), 2.5 - 3.0 * sigma / 2.0);
    assert_eq!(estimate.dispersion.statistic, DispersionStatistic::R);
    assert_close(estimate.dispersion.center_line, 3.0);
}

#[test]
fn standard_deviations_make_the_limits_of_an_s_chart() {
    let baseline = points([&[1.0, 3.0], &[2.0, 6.0]]);
    let estimate = of(ChartKind::XbarS, 2, &baseline).expect("limits");
    let sigma = (2f64.sqrt() + 8f64.sqrt()) / 2.0 / c4(2).expect("n = 2");
    assert_close(estimate.limits.sigma(), sigma);
    assert_close(estimate.limits.ucl(), 3.0 + 3.0 * sigma / 2f64.sqrt());
    assert_eq!(estimate.dispersion.statistic, DispersionStatistic::S);
    assert_close(estimate.dispersion.center_line, (2f64.sqrt() + 8f64.sqrt()) / 2.0);
    assert_eq!(estimate.dispersion.lcl, 0.0);
}

#[test]
fn unequal_subgroups_count_by_their_observations_and_by_their_own_constants() {
    let baseline = points([&[1.0, 2.0, 6.0], &[4.0, 8.0], &[10.0]]);
    let center_line = (1.0 + 2.0 + 6.0 + 4.0 + 8.0 + 10.0) / 6.0;
    let ranges = of(ChartKind::XbarR, 3, &baseline).expect("limits");
    let sigma = (5.0 / d2(3).expect("n = 3") + 4.0 / d2(2).expect("n = 2")) / 2.0;
    assert_close(ranges.limits.center_line(), center_line);
    assert_close(ranges.limits.sigma(), sigma);
    assert_close(ranges.limits.ucl(), center_line + 3.0 * sigma / 3f64.sqrt());
    let deviations = of(ChartKind::XbarS, 3, &baseline).expect("limits");
    let sigma = (7f64.sqrt() / c4(3).expect("n = 3") + 8f64.sqrt() / c4(2).expect("n = 2")) / 2.0;
    assert_close(deviations.limits.center_line(), center_line);
    assert_close(deviations.limits.sigma(), sigma);
    assert_eq!((ranges.n_samples, deviations.n_samples), (3, 3));
}

#[test]
fn a_large_mean_does_not_swallow_the_variation() {
    const FAR: f64 = 1e9;
    let near = of(ChartKind::IMr, 1, &individuals([1.0, 3.0, 2.0, 6.0])).expect("limits");
    let far = of(ChartKind::IMr, 1, &individuals([1.0, 3.0, 2.0, 6.0].map(|x| x + FAR))).expect("limits");
    assert_eq!(far.limits.sigma(), near.limits.sigma());
    assert_eq!(far.limits.center_line() - FAR, near.limits.center_line());
    let many = vec![points([&[0.05, 0.15]]); 10_000].concat();
    let estimate = of(ChartKind::XbarR, 2, &many).expect("limits");
    assert_eq!(estimate.limits.center_line(), many[0].subgroup.mean, "a sum of tenths would drift");
}

#[test]
fn a_baseline_that_shows_no_sigma_is_refused() {
    assert_eq!(of(ChartKind::IMr, 1, &[]), Err(EstimateError::TooFew));
    assert_eq!(of(ChartKind::IMr, 1, &individuals([1.0])), Err(EstimateError::TooFew));
    let mut broken = individuals([1.0, 2.0]);
    broken[1].follows_break = true;
    assert_eq!(of(ChartKind::IMr, 1, &broken), Err(EstimateError::TooFew));
    assert_eq!(of(ChartKind::XbarR, 3, &individuals([1.0, 2.0, 3.0])), Err(EstimateError::TooFew));
    assert!(of(ChartKind::XbarR, 2, &points([&[1.0, 2.0]])).is_ok(), "one range is an estimate");
}

#[test]
fn a_baseline_without_variation_is_refused() {
    let no_variation = Err(EstimateError::Refused(LimitsError::NoVariation));
    assert_eq!(of(ChartKind::IMr, 1, &individuals([5.0; 10])), no_variation);
    assert_eq!(of(ChartKind::XbarR, 2, &points([&[1.0, 1.0], &[9.0, 9.0]])), no_variation);
    let rounding_noise = individuals([1e6, 1e6 + 1e-9, 1e6, 1e6 + 1e-9]);
    assert_eq!(of(ChartKind::IMr, 1, &rounding_noise), no_variation);
}

#[test]
fn a_baseline_too_large_to_calculate_with_is_refused() {
    let huge = individuals([1e150, -1e150]);
    assert_eq!(of(ChartKind::IMr, 1, &huge), Err(EstimateError::Refused(LimitsError::NotFinite)));
}

#[test]
fn a_chart_is_refused_for_subgroups_it_is_not_defined_for() {
    let baseline = individuals([1.0, 2.0]);
    for (chart, size) in [
        (ChartKind::IMr, 0),
        (ChartKind::IMr, 2),
        (ChartKind::XbarR, 1),
        (ChartKind::XbarR, 26),
        (ChartKind::XbarS, 1),
    ] {
        assert_eq!(of(chart, size, &baseline), Err(EstimateError::SubgroupSize(size)));
    }
}
