//! The statistics: control limits, zones and the eight run rules, judged point by point.
//!
//! Pure: points and limits come in as arguments, verdicts go out. Knows the words of `domain`; knows
//! nothing of storage, time or the wire. Values are in the characteristic's own unit.
//!
//! [`estimate()`] makes control limits from a baseline, [`PhaseLimits`] draws their lines, and one
//! [`PhaseState`] per phase judges each new point in constant time.
//! [`known_run_length`] and [`RunLengthSimulation`] tell how often a rule set gives a false alarm.

pub mod constants;
mod dispersion;
mod estimate;
mod lines;
mod normal;
mod phase;
mod rejudging;
mod run_length;
mod signal;
mod window;

pub use dispersion::dispersion_limits;
pub use estimate::{Baseline, BaselinePoint, Estimate, EstimateError, estimate};
pub use lines::{Lines, PhaseLimits};
pub use normal::NormalDeviates;
pub use phase::{Judged, Judging, PhaseState, Point, Verdict};
pub use rejudging::{Comparison, Finding, REACH, Stretch, compare};
pub use run_length::{Patterns, RunLengthPlan, RunLengthSimulation, known_run_length};
pub use signal::{Signal, Signals};
