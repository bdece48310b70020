//! The lines of a location chart, drawn once when limits take effect, and the zones between them.
//!
//! Values are in the characteristic's own unit. "Beyond" is strict: a point on a line belongs to the
//! inner zone.

use crate::domain::chart::Zone;
use crate::domain::limits::{ControlLimits, DispersionLimits};
use crate::spc::dispersion::rescaled;

/// The seven lines of a location chart for one subgroup size.
///
/// One zone is a third of the way from the center line to the limit of its side, so that given,
/// asymmetric limits have their own zone width above and below.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lines {
    /// Upper control limit.
    pub ucl: f64,
    /// Two sigma above the center line.
    pub upper_two_sigma: f64,
    /// One sigma above the center line.
    pub upper_one_sigma: f64,
    /// Center line.
    pub center_line: f64,
    /// One sigma below the center line.
    pub lower_one_sigma: f64,
    /// Two sigma below the center line.
    pub lower_two_sigma: f64,
    /// Lower control limit.
    pub lcl: f64,
}

impl Lines {
    fn between(lcl: f64, center_line: f64, ucl: f64) -> Self {
        let upper_width = (ucl - center_line) / 3.0;
        let lower_width = (center_line - lcl) / 3.0;
        Self {
            ucl,
            upper_two_sigma: center_line + 2.0 * upper_width,
            upper_one_sigma: center_line + upper_width,
            center_line,
            lower_one_sigma: center_line - lower_width,
            lower_two_sigma: center_line - 2.0 * lower_width,
            lcl,
        }
    }

    /// Where a plotted `value` lies.
    pub fn zone(&self, value: f64) -> Zone {
        if value > self.center_line {
            match value {
                v if v > self.ucl => Zone::BeyondUcl,
                v if v > self.upper_two_sigma => Zone::ZoneAUpper,
                v if v > self.upper_one_sigma => Zone::ZoneBUpper,
                _ => Zone::ZoneCUpper,
            }
        } else {
            match value {
                v if v < self.lcl => Zone::BeyondLcl,
                v if v < self.lower_two_sigma => Zone::ZoneALower,
                v if v < self.lower_one_sigma => Zone::ZoneBLower,
                v if v < self.center_line => Zone::ZoneCLower,
                _ => Zone::Center,
            }
        }
    }
}

/// The limits in force in one phase, with their lines drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhaseLimits {
    nominal: Lines,
    nominal_size: u32,
    dispersion: Option<DispersionLimits>,
}

impl PhaseLimits {
    /// Draws the lines at the nominal subgroup size.
    pub fn new(limits: ControlLimits, dispersion: Option<DispersionLimits>) -> Self {
        let nominal = Lines::between(limits.lcl(), limits.center_line(), limits.ucl());
        Self { nominal, nominal_size: limits.subgroup_size(), dispersion }
    }

    /// The lines for a subgroup of `n`: at the nominal size N the limits exactly as they were given, else
    /// each at sqrt(N/n) times its distance from the center line.
    pub fn lines(&self, n: u32) -> Lines {
        if n == self.nominal_size {
            return self.nominal;
        }
        let Lines { ucl, center_line, lcl, .. } = self.nominal;
        let stretch = (f64::from(self.nominal_size) / f64::from(n)).sqrt();
        let scaled = |limit: f64| center_line + (limit - center_line) * stretch;
        Lines::between(scaled(lcl), center_line, scaled(ucl))
    }

    /// The limits of the dispersion chart for a subgroup of `n`; `None` without such a chart, and for an R
    /// or S chart of a single measurement.
    pub fn dispersion_lines(&self, n: u32) -> Option<DispersionLimits> {
        rescaled(self.dispersion.as_ref()?, self.nominal_size, n)
    }
}
