//! How long a process in control runs until its first, false, signal.

use serde::{Deserialize, Serialize};

/// How an average run length is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunLengthMethod {
    /// Follows without calculation: a set without rules never signals.
    Exact,
    /// One of the presets, whose figures are known.
    Tabulated,
    /// Estimated from simulated runs.
    Simulation,
}

/// The average run length (ARL) of a rule set on the location chart: points from the start of a phase to the
/// first signal, both counted, for independent normal points and known limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AverageRunLength {
    /// In points; `None` where there is never a signal, or none was seen in all that was simulated.
    pub points: Option<f64>,
    /// Of [`AverageRunLength::points`], in points; `None` where these are no estimate.
    pub standard_error: Option<f64>,
    /// How it is known.
    pub method: RunLengthMethod,
}
