//! The payloads of logged events; REST answers with the same shapes.
//! Values are in the characteristic's own unit, times in UTC.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::characteristic::Characteristic;
use crate::domain::chart::{Chart, DispersionStatistic, Side, Zone};
use crate::domain::ids::{CharacteristicId, EpisodeId, LimitsId, SampleId, ViolationId};
use crate::domain::limits::DispersionLimits;
use crate::domain::phase::{LimitsMethod, Phase, ProposedLimits};
use crate::domain::rules::Severity;
use crate::domain::sample::{Mode, Sample};
use crate::domain::violation::{Violation, ViolationStatus};
use crate::protocol::time;

/// A violation in few words, within its sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ViolationSummary {
    pub violation_id: ViolationId,
    pub chart: Chart,
    pub rule_id: u32,
    pub rule_name: String,
    pub severity: Severity,
}

impl ViolationSummary {
    /// The summary of a violation.
    pub fn new(violation: &Violation) -> Self {
        Self {
            violation_id: violation.id,
            chart: violation.chart,
            rule_id: violation.rule_id,
            rule_name: violation.rule_name.clone(),
            severity: violation.severity,
        }
    }
}

/// `sample`: a sample was processed. `zone` and `in_control` are null while there are no limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SamplePayload {
    pub sample_id: SampleId,
    pub characteristic_id: CharacteristicId,
    #[serde(with = "time")]
    pub timestamp: DateTime<Utc>,
    #[serde(with = "time")]
    pub received_at: DateTime<Utc>,
    pub value: f64,
    pub n: u32,
    pub range_value: Option<f64>,
    pub std_dev: Option<f64>,
    pub dispersion_value: Option<f64>,
    pub zone: Option<Zone>,
    pub in_control: Option<bool>,
    pub limits_id: Option<LimitsId>,
    pub ucl: Option<f64>,
    pub center_line: Option<f64>,
    pub lcl: Option<f64>,
    pub out_of_spec: Option<u32>,
    pub mode: Mode,
    pub key: Option<String>,
    pub source: Option<String>,
    pub external_id: Option<String>,
    pub violations: Vec<ViolationSummary>,
}

impl SamplePayload {
    /// The payload of a processed sample.
    pub fn new(sample: &Sample, violations: &[Arc<Violation>]) -> Self {
        let judgement = sample.judgement;
        let origin = sample.origin.as_ref();
        Self {
            sample_id: sample.id,
            characteristic_id: sample.characteristic_id,
            timestamp: sample.timestamp,
            received_at: sample.received_at,
            value: sample.subgroup.mean,
            n: sample.subgroup.n,
            range_value: sample.subgroup.range,
            std_dev: sample.subgroup.std_dev,
            dispersion_value: sample.dispersion_value,
            zone: judgement.and_then(|j| j.zone),
            in_control: judgement.map(|j| j.in_control),
            limits_id: judgement.and_then(|j| j.limits_id),
            ucl: judgement.and_then(|j| j.ucl),
            center_line: judgement.and_then(|j| j.center_line),
            lcl: judgement.and_then(|j| j.lcl),
            out_of_spec: sample.out_of_spec,
            mode: sample.mode,
            key: sample.key.as_ref().map(|key| key.as_str().to_owned()),
            source: origin.map(|o| o.source.clone()),
            external_id: origin.and_then(|o| o.external_id.clone()),
            violations: violations.iter().map(|v| ViolationSummary::new(v)).collect(),
        }
    }
}

/// `violation`: a rule fired. Also what REST answers for a violation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ViolationView {
    pub id: ViolationId,
    pub violation_id: ViolationId,
    /// What it belongs to; null for what is of the past, or older than episodes are.
    pub episode_id: Option<EpisodeId>,
    pub sample_id: Option<SampleId>,
    pub characteristic_id: CharacteristicId,
    pub characteristic_name: String,
    pub characteristic_key: Option<String>,
    pub group: Option<String>,
    pub unit: Option<String>,
    pub decimals: Option<u32>,
    pub chart: Chart,
    pub rule_id: u32,
    pub rule_name: String,
    pub severity: Severity,
    pub message: String,
    pub side: Option<Side>,
    pub value: Option<f64>,
    pub center_line: Option<f64>,
    pub ucl: Option<f64>,
    pub lcl: Option<f64>,
    pub sigma: Option<f64>,
    pub n: Option<u32>,
    pub involved_sample_ids: Vec<SampleId>,
    #[serde(with = "time")]
    pub timestamp: DateTime<Utc>,
    #[serde(with = "time")]
    pub created_at: DateTime<Utc>,
    pub rejudged: bool,
    pub status: ViolationStatus,
    pub requires_acknowledgement: bool,
    pub acknowledged: bool,
    pub ack_user: Option<String>,
    pub ack_reason: Option<String>,
    pub ack_comment: Option<String>,
    #[serde(with = "time::optional")]
    pub ack_timestamp: Option<DateTime<Utc>>,
    pub source: Option<String>,
    pub external_id: Option<String>,
    pub external_sample_id: Option<String>,
}

impl ViolationView {
    /// A violation together with the characteristic it is about.
    pub fn new(violation: &Violation, characteristic: &Characteristic) -> Self {
        let definition = &characteristic.definition;
        let answer = violation.acknowledgement.as_ref();
        Self {
            id: violation.id,
            violation_id: violation.id,
            episode_id: violation.episode_id,
            sample_id: violation.sample_id,
            characteristic_id: violation.characteristic_id,
            characteristic_name: definition.name.clone(),
            characteristic_key: definition.key.as_ref().map(|key| key.as_str().to_owned()),
            group: definition.group.clone(),
            unit: definition.unit.clone(),
            decimals: definition.decimals,
            chart: violation.chart,
            rule_id: violation.rule_id,
            rule_name: violation.rule_name.clone(),
            severity: violation.severity,
            message: violation.message.clone(),
            side: violation.side,
            value: violation.value,
            center_line: violation.center_line,
            ucl: violation.ucl,
            lcl: violation.lcl,
            sigma: violation.sigma,
            n: violation.n,
            involved_sample_ids: violation.involved_sample_ids.clone(),
            timestamp: violation.timestamp,
            created_at: violation.created_at,
            rejudged: violation.rejudged,
            status: violation.status,
            requires_acknowledgement: violation.requires_acknowledgement,
            acknowledged: answer.is_some(),
            ack_user: answer.map(|a| a.user.clone()),
            ack_reason: answer.map(|a| a.reason.clone()),
            ack_comment: answer.and_then(|a| a.comment.clone()),
            ack_timestamp: answer.map(|a| a.timestamp),
            source: violation.origin.as_ref().map(|o| o.source.clone()),
            external_id: violation.origin.as_ref().and_then(|o| o.external_id.clone()),
            external_sample_id: violation.external_sample_id.clone(),
        }
    }
}

/// `ack_update`: somebody answered a violation. Goes to every client. `source` and `external_id` name the violation
/// as the system that judged it does; `ack_source` is the other system in which it was answered, null for here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AckUpdate {
    pub violation_id: ViolationId,
    pub characteristic_id: CharacteristicId,
    pub sample_id: Option<SampleId>,
    pub acknowledged: bool,
    pub user: Option<String>,
    pub reason: Option<String>,
    pub comment: Option<String>,
    #[serde(with = "time::optional")]
    pub timestamp: Option<DateTime<Utc>>,
    pub source: Option<String>,
    pub external_id: Option<String>,
    pub ack_source: Option<String>,
}

impl AckUpdate {
    /// The answer that a violation has got.
    pub fn new(violation: &Violation) -> Self {
        let answer = violation.acknowledgement.as_ref();
        Self {
            violation_id: violation.id,
            characteristic_id: violation.characteristic_id,
            sample_id: violation.sample_id,
            acknowledged: answer.is_some(),
            user: answer.map(|a| a.user.clone()),
            reason: answer.map(|a| a.reason.clone()),
            comment: answer.and_then(|a| a.comment.clone()),
            timestamp: answer.map(|a| a.timestamp),
            source: violation.origin.as_ref().map(|o| o.source.clone()),
            external_id: violation.origin.as_ref().and_then(|o| o.external_id.clone()),
            ack_source: answer.and_then(|a| a.source.clone()),
        }
    }
}

/// Limits of a dispersion chart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DispersionView {
    pub statistic: DispersionStatistic,
    pub center_line: f64,
    pub ucl: f64,
    pub lcl: f64,
}

impl From<DispersionLimits> for DispersionView {
    fn from(limits: DispersionLimits) -> Self {
        let DispersionLimits { statistic, center_line, ucl, lcl } = limits;
        Self { statistic, center_line, ucl, lcl }
    }
}

/// `control_limits`: new limits are in force. `sigma` is that of single observations; `limits_id` is null of a
/// preview, which are in force nowhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ControlLimitsView {
    pub characteristic_id: CharacteristicId,
    pub limits_id: Option<LimitsId>,
    pub center_line: f64,
    pub ucl: f64,
    pub lcl: f64,
    pub sigma: f64,
    pub dispersion: Option<DispersionView>,
    pub method: LimitsMethod,
    pub sample_count: Option<u32>,
    pub first_sample_id: Option<SampleId>,
    #[serde(default)]
    pub provisional: bool,
    #[serde(with = "time")]
    pub timestamp: DateTime<Utc>,
    pub reason: Option<String>,
    pub user: Option<String>,
}

impl ControlLimitsView {
    /// The limits of a phase.
    pub fn new(phase: &Phase) -> Self {
        let Phase { limits, dispersion, method, baseline, .. } = *phase;
        let proposed = ProposedLimits { limits, dispersion, method, baseline };
        Self {
            limits_id: Some(phase.id),
            provisional: phase.is_provisional,
            reason: phase.reason.clone(),
            user: phase.user.clone(),
            ..Self::preview(phase.characteristic_id, &proposed, phase.timestamp)
        }
    }

    /// Limits that are in force nowhere.
    pub fn preview(
        characteristic_id: CharacteristicId,
        proposed: &ProposedLimits,
        timestamp: DateTime<Utc>,
    ) -> Self {
        let ProposedLimits { limits, dispersion, method, baseline } = proposed;
        Self {
            characteristic_id,
            limits_id: None,
            center_line: limits.center_line(),
            ucl: limits.ucl(),
            lcl: limits.lcl(),
            sigma: limits.sigma(),
            dispersion: dispersion.map(DispersionView::from),
            method: *method,
            sample_count: baseline.map(|b| b.sample_count),
            first_sample_id: baseline.map(|b| b.first_sample_id),
            provisional: false,
            timestamp,
            reason: None,
            user: None,
        }
    }
}
