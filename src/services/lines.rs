//! The lines that a chart draws for a phase: the very ones that judge its samples.

use crate::domain::limits::DispersionLimits;
use crate::domain::phase::Phase;
use crate::spc::PhaseLimits;

/// The lines between the control limits, for a full subgroup.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ZoneLines {
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
}

/// The zone lines of a phase.
pub fn zone_lines(phase: &Phase) -> ZoneLines {
    let lines = PhaseLimits::new(phase.limits, phase.dispersion).lines(phase.limits.subgroup_size());
    ZoneLines {
        upper_two_sigma: lines.upper_two_sigma,
        upper_one_sigma: lines.upper_one_sigma,
        center_line: lines.center_line,
        lower_one_sigma: lines.lower_one_sigma,
        lower_two_sigma: lines.lower_two_sigma,
    }
}

/// The limits of the dispersion chart for a subgroup of `n`.
pub fn dispersion_limits(phase: &Phase, n: u32) -> Option<DispersionLimits> {
    PhaseLimits::new(phase.limits, phase.dispersion).dispersion_lines(n)
}
