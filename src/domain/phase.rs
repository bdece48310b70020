//! A phase: one set of control limits and the samples that it judges.
//!
//! New limits start a new phase at the next arriving sample; no run-rule window reaches back across it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::chart::ChartKind;
use crate::domain::ids::{CharacteristicId, LimitsId, SampleId};
use crate::domain::limits::{ControlLimits, DispersionLimits};

/// Whether a characteristic has control limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitsState {
    /// None: its samples are not judged.
    None,
    /// Calculated from the first samples, without anybody having looked at them.
    Provisional,
    /// Limits judge its samples.
    InForce,
}

impl LimitsState {
    /// The state that limits make.
    pub fn of(phase: Option<&Phase>) -> Self {
        match phase {
            None => Self::None,
            Some(phase) if phase.is_provisional => Self::Provisional,
            Some(_) => Self::InForce,
        }
    }
}

/// Where limits come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitsMethod {
    /// Given by a person or another system.
    Given,
    /// Sigma estimated from the mean moving range.
    MovingRange,
    /// Sigma estimated from the subgroups' ranges.
    Range,
    /// Sigma estimated from the subgroups' standard deviations.
    StdDev,
}

impl LimitsMethod {
    /// How limits are estimated for a chart.
    pub const fn estimating(chart: ChartKind) -> Self {
        match chart {
            ChartKind::IMr => Self::MovingRange,
            ChartKind::XbarR => Self::Range,
            ChartKind::XbarS => Self::StdDev,
        }
    }
}

/// The samples that limits were estimated from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BaselineRange {
    /// The oldest of them.
    pub first_sample_id: SampleId,
    /// The newest of them.
    pub last_sample_id: SampleId,
    /// How many.
    pub sample_count: u32,
}

/// Limits that could be put in force.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProposedLimits {
    /// Limits of the location chart.
    pub limits: ControlLimits,
    /// Limits of the dispersion chart, if known.
    pub dispersion: Option<DispersionLimits>,
    /// Where they come from.
    pub method: LimitsMethod,
    /// What they were estimated from; `None` for given limits.
    pub baseline: Option<BaselineRange>,
}

impl ProposedLimits {
    /// Whether they would judge every sample as a phase does.
    pub fn judge_like(&self, phase: &Phase) -> bool {
        self.limits == phase.limits && self.dispersion == phase.dispersion
    }
}

/// Control limits with their origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// The id of these limits.
    pub id: LimitsId,
    /// Whose limits.
    pub characteristic_id: CharacteristicId,
    /// Limits of the location chart.
    pub limits: ControlLimits,
    /// Limits of the dispersion chart, if known.
    pub dispersion: Option<DispersionLimits>,
    /// Where they come from.
    pub method: LimitsMethod,
    /// What they were estimated from; `None` for given limits.
    pub baseline: Option<BaselineRange>,
    /// Calculated from the first samples without anybody having looked at them.
    pub is_provisional: bool,
    /// Samples from this id on belong to the phase.
    pub from_sample_id: SampleId,
    /// When they were set.
    pub timestamp: DateTime<Utc>,
    /// Why.
    pub reason: Option<String>,
    /// By whom.
    pub user: Option<String>,
}
