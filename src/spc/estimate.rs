//! Control limits from a baseline of points, in the characteristic's own unit.
//!
//! Sums run over differences from the first point, so that a large mean does not swallow them. How many
//! points make a good baseline is the caller's policy; here it only matters that there is an estimate.

use crate::domain::chart::{ChartKind, DispersionStatistic};
use crate::domain::limits::{ControlLimits, DispersionLimits, LimitsError};
use crate::domain::sample::Subgroup;
use crate::spc::dispersion::UnitDispersion;

/// What limits are estimated from.
#[derive(Debug, Clone, Copy)]
pub struct Baseline<'a> {
    /// Chooses how sigma is estimated.
    pub chart: ChartKind,
    /// The nominal size, which the limits will hold for.
    pub subgroup_size: u32,
    /// Oldest first, without the excluded points.
    pub points: &'a [BaselinePoint],
    /// What sigma is estimated from: usually what the chart plots, but subgroups can show it either way.
    pub sigma_from: DispersionStatistic,
}

/// One point of a baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BaselinePoint {
    /// What was measured.
    pub subgroup: Subgroup,
    /// An excluded point stood between this one and the one before: their moving range is dropped.
    pub follows_break: bool,
}

/// Limits and where they come from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Of the location chart.
    pub limits: ControlLimits,
    /// Of the dispersion chart.
    pub dispersion: DispersionLimits,
    /// Points in the baseline.
    pub n_samples: usize,
}

/// Why a baseline gives no limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EstimateError {
    /// There is no moving range, or no subgroup of two or more: nothing shows sigma.
    #[error("too few samples to estimate sigma")]
    TooFew,
    /// The chart is not defined for such subgroups.
    #[error("this chart cannot have subgroups of {0}")]
    SubgroupSize(u32),
    /// The baseline shows no variation, or its values are too large to calculate with.
    #[error("the baseline gives no valid control limits")]
    Refused(#[source] LimitsError),
}

/// Center line, sigma and three-sigma limits of both charts.
///
/// I-MR: mean moving range / d2(2). X-bar/R and X-bar/S: mean of R/d2(n) and S/c4(n) over the subgroups
/// of two or more, around the mean of all observations.
///
/// # Errors
/// [`EstimateError`], if the baseline shows no sigma or none that limits can be drawn with.
pub fn estimate(baseline: &Baseline<'_>) -> Result<Estimate, EstimateError> {
    let Baseline { chart, subgroup_size, points, sigma_from } = *baseline;
    let statistic = chart.dispersion();
    let unit = UnitDispersion::of(statistic, subgroup_size)
        .filter(|_| chart != ChartKind::IMr || subgroup_size == 1)
        .ok_or(EstimateError::SubgroupSize(subgroup_size))?;
    let sigma = match sigma_from {
        DispersionStatistic::Mr => mean(moving_ranges(points).map(|range| range / unit.mean)),
        DispersionStatistic::R => sigma_within(points, sigma_from, |subgroup| subgroup.range),
        DispersionStatistic::S => sigma_within(points, sigma_from, |subgroup| subgroup.std_dev),
    };
    let (center_line, sigma) = mean_of_observations(points).zip(sigma).ok_or(EstimateError::TooFew)?;
    let limits =
        ControlLimits::from_sigma(center_line, sigma, subgroup_size).map_err(EstimateError::Refused)?;
    Ok(Estimate { limits, dispersion: unit.limits(statistic, sigma), n_samples: points.len() })
}

/// Mean of all observations: each subgroup counts by its size.
fn mean_of_observations(points: &[BaselinePoint]) -> Option<f64> {
    let origin = points.first()?.subgroup.mean;
    let observations: f64 = points.iter().map(|p| f64::from(p.subgroup.n)).sum();
    let differences = points.iter().map(|p| f64::from(p.subgroup.n) * (p.subgroup.mean - origin));
    Some(origin + differences.sum::<f64>() / observations)
}

fn moving_ranges(points: &[BaselinePoint]) -> impl Iterator<Item = f64> {
    let unbroken = points.windows(2).filter(|pair| !pair[1].follows_break);
    unbroken.map(|pair| (pair[1].subgroup.mean - pair[0].subgroup.mean).abs())
}

/// Mean of what each subgroup of two or more says of sigma, by the constant of its own size.
fn sigma_within(
    points: &[BaselinePoint],
    statistic: DispersionStatistic,
    plotted: fn(&Subgroup) -> Option<f64>,
) -> Option<f64> {
    mean(points.iter().filter_map(|BaselinePoint { subgroup, .. }| {
        Some(plotted(subgroup)? / UnitDispersion::of(statistic, subgroup.n)?.mean)
    }))
}

/// The mean of what there is; `None` of nothing.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut count, mut sum) = (0.0, 0.0);
    for value in values {
        count += 1.0;
        sum += value;
    }
    (count > 0.0).then(|| sum / count)
}
