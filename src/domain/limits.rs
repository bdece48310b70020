//! Control limits: valid once built. Everything is in the characteristic's own unit.
//!
//! Never confuse them with specification limits: control limits say what the process does,
//! specification limits what the customer wants.

use crate::domain::chart::DispersionStatistic;

/// Sigma must exceed this share of max(1, |center line|): below it, differences are rounding noise.
const SMALLEST_RELATIVE_SIGMA: f64 = 1e-12;

/// The largest value, either way, that is taken: its squares and ranges are finite, too.
pub const LARGEST_VALUE: f64 = 1e150;

/// Why control limits were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// A limit is NaN, infinite, or too large to compute with.
    #[error("control limits and sigma must be numbers between -1e150 and 1e150")]
    NotFinite,
    /// Not lcl < center line < ucl.
    #[error("control limits must satisfy lcl < center_line < ucl")]
    OutOfOrder,
    /// Sigma is zero or lost in rounding: the process shows no variation.
    #[error("sigma must be greater than 1e-12 times the larger of 1 and the center line")]
    NoVariation,
}

/// What [`ControlLimits::new`] checks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LimitValues {
    /// Center line of the location chart.
    pub center_line: f64,
    /// Upper control limit at the nominal subgroup size.
    pub ucl: f64,
    /// Lower control limit at the nominal subgroup size.
    pub lcl: f64,
    /// Standard deviation of single observations.
    pub sigma: f64,
    /// The subgroup size that `ucl` and `lcl` hold for.
    pub subgroup_size: u32,
}

/// Limits of a location chart; `lcl < center_line < ucl` and a sigma that can be divided by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ControlLimits(LimitValues);

impl ControlLimits {
    /// # Errors
    /// [`LimitsError`], for limits that are not finite, out of order or without variation.
    pub fn new(values: LimitValues) -> Result<Self, LimitsError> {
        let LimitValues { center_line, ucl, lcl, sigma, subgroup_size: _ } = values;
        // Also false for NaN.
        if ![center_line, ucl, lcl, sigma].iter().all(|v| v.abs() <= LARGEST_VALUE) {
            return Err(LimitsError::NotFinite);
        }
        // The wrong way round is out of order; all in one place is a process that does not vary.
        if lcl > center_line || center_line > ucl {
            return Err(LimitsError::OutOfOrder);
        }
        if is_lost_in_rounding(sigma, center_line) {
            return Err(LimitsError::NoVariation);
        }
        let ordered = lcl < center_line && center_line < ucl;
        if ordered { Ok(Self(values)) } else { Err(LimitsError::OutOfOrder) }
    }

    /// Three-sigma limits around `center_line`: `sigma` of single observations over sqrt(n).
    ///
    /// # Errors
    /// As [`ControlLimits::new`].
    pub fn from_sigma(center_line: f64, sigma: f64, subgroup_size: u32) -> Result<Self, LimitsError> {
        if center_line.is_finite() && is_lost_in_rounding(sigma, center_line) {
            return Err(LimitsError::NoVariation); // said of sigma itself, before the limits it would make
        }
        let reach = 3.0 * sigma / f64::from(subgroup_size).sqrt();
        let (lcl, ucl) = (center_line - reach, center_line + reach);
        Self::new(LimitValues { center_line, ucl, lcl, sigma, subgroup_size })
    }

    /// Center line.
    pub fn center_line(&self) -> f64 {
        self.0.center_line
    }

    /// Upper control limit at the nominal subgroup size.
    pub fn ucl(&self) -> f64 {
        self.0.ucl
    }

    /// Lower control limit at the nominal subgroup size.
    pub fn lcl(&self) -> f64 {
        self.0.lcl
    }

    /// Standard deviation of single observations.
    pub fn sigma(&self) -> f64 {
        self.0.sigma
    }

    /// The subgroup size that the limits hold for.
    pub fn subgroup_size(&self) -> u32 {
        self.0.subgroup_size
    }
}

fn is_lost_in_rounding(sigma: f64, center_line: f64) -> bool {
    sigma <= SMALLEST_RELATIVE_SIGMA * center_line.abs().max(1.0)
}

/// Limits of the dispersion chart at the nominal subgroup size; `lcl` is never below 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DispersionLimits {
    /// What is plotted.
    pub statistic: DispersionStatistic,
    /// Its expected value.
    pub center_line: f64,
    /// Upper control limit.
    pub ucl: f64,
    /// Lower control limit, floored at 0.
    pub lcl: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(lcl: f64, center_line: f64, ucl: f64, sigma: f64) -> Result<ControlLimits, LimitsError> {
        ControlLimits::new(LimitValues { center_line, ucl, lcl, sigma, subgroup_size: 1 })
    }

    #[test]
    fn limits_in_the_wrong_order_are_refused() {
        assert!(limits(-3.0, 0.0, 3.0, 1.0).is_ok());
        assert_eq!(limits(3.0, 0.0, -3.0, 1.0), Err(LimitsError::OutOfOrder));
        assert_eq!(limits(0.0, 0.0, 3.0, 1.0), Err(LimitsError::OutOfOrder));
        assert_eq!(limits(3.0, 0.0, -3.0, -1.0), Err(LimitsError::OutOfOrder));
    }

    #[test]
    fn limits_that_are_no_numbers_or_show_no_variation_are_refused() {
        assert_eq!(limits(f64::NAN, 0.0, 3.0, 1.0), Err(LimitsError::NotFinite));
        assert_eq!(limits(-3.0, 0.0, f64::INFINITY, 1.0), Err(LimitsError::NotFinite));
        assert_eq!(limits(-3.0, 0.0, 3.0, 0.0), Err(LimitsError::NoVariation));
        assert_eq!(limits(5.0, 5.0, 5.0, 0.0), Err(LimitsError::NoVariation));
        assert_eq!(limits(1e6 - 1.0, 1e6, 1e6 + 1.0, 1e-6), Err(LimitsError::NoVariation));
    }

    #[test]
    fn the_limits_of_means_mind_the_root_of_n() {
        let limits = ControlLimits::from_sigma(10.0, 2.0, 4).expect("valid");
        assert_eq!((limits.lcl(), limits.ucl(), limits.sigma()), (7.0, 13.0, 2.0));
    }
}
