//! Limits of the dispersion charts (MR, R, S), in the characteristic's own unit.

use crate::domain::chart::{ChartKind, DispersionStatistic};
use crate::domain::limits::DispersionLimits;
use crate::spc::constants::{c4, d2, d3};

/// How the dispersion of `n` standard normal values is distributed.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnitDispersion {
    /// Expected value: d2 or c4.
    pub mean: f64,
    /// Standard deviation: d3 or sqrt(1 - c4^2).
    pub std_dev: f64,
}

impl UnitDispersion {
    /// `None` for sizes that show no dispersion or have no constants. A moving range spans two points
    /// whatever `n` is.
    pub(super) fn of(statistic: DispersionStatistic, n: u32) -> Option<Self> {
        let range_of = |n| Some(Self { mean: d2(n)?, std_dev: d3(n)? });
        match statistic {
            DispersionStatistic::Mr => range_of(2),
            DispersionStatistic::R => range_of(n),
            DispersionStatistic::S => {
                let mean = c4(n)?;
                Some(Self { mean, std_dev: (1.0 - mean * mean).sqrt() })
            }
        }
    }

    /// Three-sigma limits for a known `sigma` of single observations, the lower one floored at 0.
    pub(super) fn limits(self, statistic: DispersionStatistic, sigma: f64) -> DispersionLimits {
        let Self { mean, std_dev } = self;
        DispersionLimits {
            statistic,
            center_line: mean * sigma,
            ucl: (mean + 3.0 * std_dev) * sigma,
            lcl: ((mean - 3.0 * std_dev) * sigma).max(0.0),
        }
    }
}

/// Three-sigma limits of the dispersion chart of `chart` for a known `sigma` of single observations.
///
/// `None` if subgroups of `subgroup_size` have no such chart: below 2 or above 25 for R and S.
pub fn dispersion_limits(chart: ChartKind, sigma: f64, subgroup_size: u32) -> Option<DispersionLimits> {
    let statistic = chart.dispersion();
    Some(UnitDispersion::of(statistic, subgroup_size)?.limits(statistic, sigma))
}

/// `limits`, which hold for subgroups of `nominal`, as they are for subgroups of `n`: the center line in
/// proportion to the expected value, the distance to each limit in proportion to its standard deviation.
///
/// For limits of [`dispersion_limits`] and `n < nominal` this is exactly the chart of `n`: a lower limit
/// floored at the nominal size stays floored at smaller ones.
pub(super) fn rescaled(limits: &DispersionLimits, nominal: u32, n: u32) -> Option<DispersionLimits> {
    let to = UnitDispersion::of(limits.statistic, n)?;
    if n == nominal {
        return Some(*limits);
    }
    let from = UnitDispersion::of(limits.statistic, nominal)?;
    let center_line = limits.center_line * (to.mean / from.mean);
    let spread = to.std_dev / from.std_dev;
    Some(DispersionLimits {
        statistic: limits.statistic,
        center_line,
        ucl: center_line + (limits.ucl - limits.center_line) * spread,
        lcl: (center_line + (limits.lcl - limits.center_line) * spread).max(0.0),
    })
}
