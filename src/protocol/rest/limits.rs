//! Control limits and chart data over REST. Values are in the characteristic's own unit.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::chart::{Chart, ChartKind, Zone};
use crate::domain::ids::{CharacteristicId, LimitsId, SampleId, ViolationId};
use crate::domain::phase::LimitsMethod;
use crate::domain::rules::Severity;
use crate::protocol::payload::{ControlLimitsView, DispersionView};
use crate::protocol::schema::{Line, Moment, Note, Quantity};
use crate::protocol::time;

/// Body of `PUT .../control-limits`: a center line with both limits, or with sigma.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"center_line": 10.0, "sigma": 1.0, "reason": "capability study"})))]
pub struct SetLimits {
    #[schema(value_type = Quantity)]
    pub center_line: f64,
    /// Above the center line; goes with `lcl`.
    #[schema(value_type = Option<Quantity>)]
    pub ucl: Option<f64>,
    /// Below the center line; goes with `ucl`.
    #[schema(value_type = Option<Quantity>)]
    pub lcl: Option<f64>,
    /// Of single observations, in place of `ucl` and `lcl`; brings limits for the dispersion chart along.
    #[schema(value_type = Option<Quantity>)]
    pub sigma: Option<f64>,
    #[schema(value_type = Option<Note>)]
    pub reason: Option<String>,
    /// Who sets them, where no login says who.
    #[schema(value_type = Option<Line>)]
    pub user: Option<String>,
}

/// Body of `POST .../control-limits/recalculate`; everything may be left out.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(examples(json!({"last_n": 100, "min_samples": 25, "preview": true})))]
pub struct Recalculate {
    /// From this time on. Without `from`, `to` and `last_n`: the samples of the present phase.
    #[schema(value_type = Option<Moment>)]
    pub from: Option<String>,
    /// Before this time.
    #[schema(value_type = Option<Moment>)]
    pub to: Option<String>,
    /// The newest so many.
    #[schema(minimum = 2, maximum = 4294967295i64)]
    pub last_n: Option<u32>,
    /// The fewest to calculate from. Without it: 25.
    #[schema(minimum = 2, maximum = 4294967295i64)]
    pub min_samples: Option<u32>,
    /// How sigma is estimated; without it, as the chart does.
    pub method: Option<LimitsMethod>,
    /// Leaves out the points beyond the limits they would make, until none is.
    pub exclude_out_of_control: bool,
    /// Only calculates; changes nothing.
    pub preview: bool,
    #[schema(value_type = Option<Note>)]
    pub reason: Option<String>,
    /// Who asks for it, where no login says who.
    #[schema(value_type = Option<Line>)]
    pub user: Option<String>,
}

/// What a recalculation found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecalculationView {
    /// What was in force.
    pub before: Option<ControlLimitsView>,
    /// What was calculated; of a preview, `limits_id` is null.
    pub after: ControlLimitsView,
    pub calculation: CalculationView,
    pub baseline: BaselineView,
}

/// How new limits were calculated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CalculationView {
    pub method: LimitsMethod,
    pub preview: bool,
    /// Whether the limits in force have changed.
    pub changed: bool,
}

/// The samples that new limits were calculated from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BaselineView {
    pub first_sample_id: SampleId,
    pub last_sample_id: SampleId,
    pub n: u32,
    /// Which of them would signal under the new limits.
    pub signals: Vec<BaselineSignal>,
    /// Samples that were left out because they lay beyond the limits.
    pub left_out: Vec<SampleId>,
}

/// A baseline sample that signals under the limits it helped to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BaselineSignal {
    pub sample_id: SampleId,
    pub rule_ids: Vec<u32>,
}

/// Answer of `GET .../chart-data`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChartDataView {
    pub characteristic_id: CharacteristicId,
    pub characteristic_name: String,
    pub chart: ChartKind,
    pub unit: Option<String>,
    pub decimals: Option<u32>,
    /// Oldest first.
    pub points: Vec<ChartPoint>,
    /// Oldest first; points without a dispersion value are left out.
    pub dispersion: Vec<DispersionPoint>,
    pub control_limits: Option<ControlLimitsView>,
    /// For a full subgroup under the limits in force.
    pub zone_lines: Option<ZoneLinesView>,
    pub specification: SpecificationView,
}

/// A point of the location chart, with the limits that judged it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChartPoint {
    pub sample_id: SampleId,
    #[serde(with = "time")]
    pub timestamp: DateTime<Utc>,
    pub value: f64,
    pub n: u32,
    pub limits_id: Option<LimitsId>,
    pub ucl: Option<f64>,
    pub center_line: Option<f64>,
    pub lcl: Option<f64>,
    pub zone: Option<Zone>,
    pub in_control: Option<bool>,
    pub is_excluded: bool,
    /// Whether the limits in force were calculated from it.
    pub baseline: bool,
    pub rules: Vec<ChartRule>,
}

/// A rule that fired on a point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChartRule {
    pub violation_id: ViolationId,
    pub chart: Chart,
    pub rule_id: u32,
    pub severity: Severity,
    pub acknowledged: bool,
}

/// A point of the dispersion chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DispersionPoint {
    pub sample_id: SampleId,
    pub value: f64,
    pub limits: Option<DispersionView>,
}

/// The lines at one and two sigma.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ZoneLinesView {
    pub upper_2_sigma: f64,
    pub upper_1_sigma: f64,
    pub center_line: f64,
    pub lower_1_sigma: f64,
    pub lower_2_sigma: f64,
}

/// What the customer wants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SpecificationView {
    pub target: Option<f64>,
    pub usl: Option<f64>,
    pub lsl: Option<f64>,
}
