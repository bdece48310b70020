//! A subgroup of measurements and what is plotted of it, in the characteristic's own unit.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::characteristic::{DefinitionError, is_visible};
use crate::domain::chart::Zone;
use crate::domain::foreign::Origin;
use crate::domain::ids::{CharacteristicId, LimitsId, SampleId};
use crate::domain::limits::LARGEST_VALUE;

/// The most measurements one subgroup may have.
pub const MAX_SUBGROUP_SIZE: u32 = 25;

/// Why measurements make no subgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubgroupError {
    /// Not within the characteristic's `min_measurements..=subgroup_size`.
    #[error("{count} measurements given, {expected} expected", expected = range(*min, *max))]
    Count {
        /// How many were given.
        count: usize,
        /// The fewest allowed.
        min: u32,
        /// The most allowed.
        max: u32,
    },
    /// NaN or infinite.
    #[error("measurement {index} is not a finite number")]
    NotFinite {
        /// Its place, from 0.
        index: usize,
    },
    /// Beyond [`LARGEST_VALUE`].
    #[error("measurement {index} is too large to compute with; the largest is 1e150")]
    TooLarge {
        /// Its place, from 0.
        index: usize,
    },
}

fn range(min: u32, max: u32) -> String {
    if min == max { max.to_string() } else { format!("{min} to {max}") }
}

/// What the charts plot of one subgroup.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Subgroup {
    /// Number of measurements, at least 1.
    pub n: u32,
    /// Mean (of one measurement: itself).
    pub mean: f64,
    /// Largest minus smallest; `None` for n = 1.
    pub range: Option<f64>,
    /// Standard deviation with n - 1; `None` for n = 1.
    pub std_dev: Option<f64>,
}

impl Subgroup {
    /// Sums up measurements in two passes, so that a large mean does not swallow the deviations.
    ///
    /// # Errors
    /// [`SubgroupError`], if there are too few or too many, or one is not finite.
    pub fn of(measurements: &[f64], min: u32, max: u32) -> Result<Self, SubgroupError> {
        let count = measurements.len();
        let n = u32::try_from(count).unwrap_or(u32::MAX);
        if n == 0 || !(min..=max).contains(&n) {
            return Err(SubgroupError::Count { count, min, max });
        }
        if let Some(index) = measurements.iter().position(|m| !m.is_finite()) {
            return Err(SubgroupError::NotFinite { index });
        }
        if let Some(index) = measurements.iter().position(|m| m.abs() > LARGEST_VALUE) {
            return Err(SubgroupError::TooLarge { index });
        }
        if n == 1 {
            return Ok(Self { n, mean: measurements[0], range: None, std_dev: None });
        }
        let size = f64::from(n);
        // Around the first value: exact for constant data, and no overflow of the sum.
        let origin = measurements[0];
        let mean = origin + measurements.iter().map(|m| (m - origin) / size).sum::<f64>();
        let squares: f64 = measurements.iter().map(|m| (m - mean).powi(2)).sum();
        let largest = measurements.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let smallest = measurements.iter().copied().fold(f64::INFINITY, f64::min);
        let std_dev = (squares / (size - 1.0)).sqrt();
        let range = largest - smallest;
        Ok(Self { n, mean, range: Some(range), std_dev: Some(std_dev) })
    }
}

/// How a sample is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// As it happens: judged, and whoever listens is told.
    #[default]
    Live,
    /// Of the past: judged, but its violations wait for nobody, and only who asks for history is told.
    History,
    /// Only kept: not judged, part of no pattern and of no baseline.
    Store,
}

/// The sender's own name of a sample, unique within its characteristic: 1 to 128 visible characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SampleKey(String);

impl SampleKey {
    /// # Errors
    /// [`DefinitionError`], if it is empty, too long, or holds white space or control characters.
    pub fn new(key: String) -> Result<Self, DefinitionError> {
        if is_visible(&key) {
            Ok(Self(key))
        } else {
            Err(DefinitionError { field: "key", rule: "must be 1 to 128 visible characters" })
        }
    }

    /// The key itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a sample was judged, by the limits in force when it arrived.
///
/// What another system judged ([`Sample::origin`]) has no limits of ours, and of the lines only what it told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// The limits that judged it.
    pub limits_id: Option<LimitsId>,
    /// Where the plotted value lies.
    pub zone: Option<Zone>,
    /// Whether no rule fired.
    pub in_control: bool,
    /// Upper control limit for this sample's size.
    pub ucl: Option<f64>,
    /// Center line.
    pub center_line: Option<f64>,
    /// Lower control limit for this sample's size.
    pub lcl: Option<f64>,
}

/// A sample as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its id; samples of a characteristic are ordered by it (order of arrival).
    pub id: SampleId,
    /// What was measured.
    pub characteristic_id: CharacteristicId,
    /// The single values.
    pub measurements: Vec<f64>,
    /// What is plotted of them.
    pub subgroup: Subgroup,
    /// What the dispersion chart plots; `None` where there is nothing to compare with.
    pub dispersion_value: Option<f64>,
    /// When it was measured.
    pub timestamp: DateTime<Utc>,
    /// When it arrived here.
    pub received_at: DateTime<Utc>,
    /// `None` without limits: not judged is not in control.
    pub judgement: Option<Judgement>,
    /// Measurements beyond the specification limits; `None` without such limits.
    pub out_of_spec: Option<u32>,
    /// Counts as never taken.
    pub is_excluded: bool,
    /// How it is meant.
    pub mode: Mode,
    /// The sender's own name of it.
    pub key: Option<SampleKey>,
    /// The other system that judged it, if it was not this one.
    pub origin: Option<Origin>,
    /// The production batch, as the sender calls it.
    pub batch: Option<String>,
    /// Who measured.
    pub operator: Option<String>,
    /// The sender's own JSON object, given back as it came.
    pub metadata: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subgroup_is_summed_up() {
        let s = Subgroup::of(&[2.0, 4.0, 9.0], 3, 3).expect("three of three");
        assert_eq!((s.n, s.mean, s.range), (3, 5.0, Some(7.0)));
        assert!((s.std_dev.expect("n > 1") - 13f64.sqrt()).abs() < 1e-12);
        let one = Subgroup::of(&[7.5], 1, 1).expect("one of one");
        assert_eq!((one.mean, one.range, one.std_dev), (7.5, None, None));
    }

    #[test]
    fn a_large_mean_does_not_swallow_the_deviations() {
        let s = Subgroup::of(&[1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0], 1, 5).expect("within 1 to 5");
        assert_eq!((s.mean, s.std_dev), (1e9 + 2.0, Some(1.0)));
    }

    #[test]
    fn a_wrong_count_and_values_that_are_no_numbers_are_refused() {
        assert_eq!(Subgroup::of(&[], 1, 5), Err(SubgroupError::Count { count: 0, min: 1, max: 5 }));
        assert!(matches!(Subgroup::of(&[1.0; 6], 1, 5), Err(SubgroupError::Count { .. })));
        assert_eq!(Subgroup::of(&[1.0, f64::NAN], 2, 2), Err(SubgroupError::NotFinite { index: 1 }));
        assert_eq!(Subgroup::of(&[1.0, -1e151], 2, 2), Err(SubgroupError::TooLarge { index: 1 }));
        let largest = Subgroup::of(&[1e150, -1e150], 2, 2).expect("the largest");
        assert!(largest.std_dev.is_some_and(f64::is_finite));
        let text = Subgroup::of(&[1.0], 5, 5).expect_err("too few").to_string();
        assert_eq!(text, "1 measurements given, 5 expected");
    }
}
