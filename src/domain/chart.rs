//! Which control chart a characteristic is watched with. Units: subgroup sizes count measurements.

use serde::{Deserialize, Serialize};

/// The pair of charts of one characteristic: one for location, one for dispersion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChartKind {
    /// Individuals and moving range of two.
    IMr,
    /// Subgroup mean and range.
    XbarR,
    /// Subgroup mean and standard deviation.
    XbarS,
}

impl ChartKind {
    /// The usual choice: I-MR for single values, X-bar/R for 2 to 10, X-bar/S above.
    pub const fn default_for(subgroup_size: u32) -> Self {
        match subgroup_size {
            0 | 1 => Self::IMr,
            2..=10 => Self::XbarR,
            _ => Self::XbarS,
        }
    }

    /// What the dispersion chart plots.
    pub const fn dispersion(self) -> DispersionStatistic {
        match self {
            Self::IMr => DispersionStatistic::Mr,
            Self::XbarR => DispersionStatistic::R,
            Self::XbarS => DispersionStatistic::S,
        }
    }
}

/// What a dispersion chart plots, in the characteristic's own unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DispersionStatistic {
    /// Moving range of two neighbouring individuals.
    Mr,
    /// Range of the subgroup.
    R,
    /// Standard deviation of the subgroup (n - 1 below the fraction).
    S,
}

/// Which of a characteristic's two charts a signal stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chart {
    /// Individuals or subgroup means.
    Location,
    /// Moving ranges, ranges or standard deviations.
    Dispersion,
}

/// Where a plotted point lies between the limits; a point on a line belongs to the inner zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Zone {
    /// Above the upper control limit.
    BeyondUcl,
    /// Between two and three sigma above the center line.
    ZoneAUpper,
    /// Between one and two sigma above the center line.
    ZoneBUpper,
    /// Up to one sigma above the center line.
    ZoneCUpper,
    /// Exactly on the center line.
    Center,
    /// Up to one sigma below the center line.
    ZoneCLower,
    /// Between one and two sigma below the center line.
    ZoneBLower,
    /// Between two and three sigma below the center line.
    ZoneALower,
    /// Below the lower control limit.
    BeyondLcl,
}

/// The side of the center line that a signal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Above the center line, or increasing.
    Upper,
    /// Below the center line, or decreasing.
    Lower,
}
