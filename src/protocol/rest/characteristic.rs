//! Characteristics and their rules over REST.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::domain::characteristic::Characteristic;
use crate::domain::chart::ChartKind;
use crate::domain::ids::CharacteristicId;
use crate::domain::rules::{PatternError, Preset, Rule, RuleSet, RuleSetting, Severity};
use crate::protocol::payload::{ControlLimitsView, SamplePayload};
use crate::protocol::time;

/// Body of `POST /characteristics`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateCharacteristic {
    pub name: String,
    pub key: Option<String>,
    pub description: Option<String>,
    /// Without it: I-MR for single values, X-bar/R for 2 to 10, X-bar/S above.
    pub chart: Option<ChartKind>,
    /// Without it: 1.
    pub subgroup_size: Option<u32>,
    pub min_measurements: Option<u32>,
    pub unit: Option<String>,
    pub decimals: Option<u32>,
    pub target: Option<f64>,
    pub usl: Option<f64>,
    pub lsl: Option<f64>,
    pub group: Option<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    pub rules: Option<RulesRequest>,
    pub reaction_plan: Option<String>,
}

/// Which rules judge: a list (rules not named are off) or a preset.
#[derive(Debug, Clone, PartialEq)]
pub enum RulesRequest {
    Preset(PresetRequest),
    Rules(Vec<RuleRequest>),
}

/// By its first character, not by trying: so that what is wrong is told with its place.
impl<'de> Deserialize<'de> for RulesRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RulesVisitor)
    }
}

struct RulesVisitor;

impl<'de> Visitor<'de> for RulesVisitor {
    type Value = RulesRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of {rule_id, enabled, ...} or {\"preset\": ...}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, rules: A) -> Result<RulesRequest, A::Error> {
        Deserialize::deserialize(SeqAccessDeserializer::new(rules)).map(RulesRequest::Rules)
    }

    fn visit_map<A: MapAccess<'de>>(self, preset: A) -> Result<RulesRequest, A::Error> {
        Deserialize::deserialize(MapAccessDeserializer::new(preset)).map(RulesRequest::Preset)
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresetRequest {
    pub preset: Preset,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleRequest {
    pub rule_id: u32,
    #[serde(default = "yes")]
    pub enabled: bool,
    pub severity: Option<Severity>,
    pub requires_acknowledgement: Option<bool>,
    #[serde(default)]
    pub parameters: RuleParameters,
}

/// Lengths of a pattern: at least `k` of the last `m` points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleParameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub m: Option<u32>,
}

const fn yes() -> bool {
    true
}

/// Why a list of rules is no rule set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// Rules are numbered 1 to 8.
    #[error("rule_id is from 1 to 8, not {0}")]
    Unknown(u32),
    /// One rule, two settings.
    #[error("rule {0} is named twice")]
    Twice(u32),
    /// Lengths that make no pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

impl RulesRequest {
    /// The rule set that was asked for.
    ///
    /// # Errors
    /// [`RulesError`], with the index of the culprit.
    pub fn rule_set(&self) -> Result<RuleSet, (usize, RulesError)> {
        let rules = match self {
            Self::Preset(request) => return Ok(RuleSet::preset(request.preset)),
            Self::Rules(rules) => rules,
        };
        let mut set = RuleSet::none();
        let mut named = Vec::new();
        for (index, request) in rules.iter().enumerate() {
            let id = request.rule_id;
            let rule = Rule::from_id(id).ok_or((index, RulesError::Unknown(id)))?;
            if named.contains(&rule) {
                return Err((index, RulesError::Twice(id)));
            }
            named.push(rule);
            let RuleParameters { k, m } = request.parameters;
            let mut setting =
                RuleSetting::standard(rule).with_parameters(k, m).map_err(|e| (index, e.into()))?;
            setting.enabled = request.enabled;
            setting.severity = request.severity.unwrap_or(setting.severity);
            setting.requires_acknowledgement =
                request.requires_acknowledgement.unwrap_or(setting.requires_acknowledgement);
            set = set.with(setting);
        }
        Ok(set)
    }
}

/// One of the eight rules as it is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleView {
    pub rule_id: u32,
    pub rule_name: String,
    pub enabled: bool,
    pub severity: Severity,
    pub requires_acknowledgement: bool,
    pub parameters: RuleParameters,
}

impl From<&RuleSetting> for RuleView {
    fn from(setting: &RuleSetting) -> Self {
        let (rule, pattern) = (setting.rule(), setting.pattern());
        let parameters = match rule {
            Rule::Outlier => RuleParameters::default(),
            _ if rule.counts_some() => RuleParameters { k: Some(pattern.k), m: Some(pattern.m) },
            _ => RuleParameters { k: None, m: Some(pattern.m) },
        };
        Self {
            rule_id: rule.id(),
            rule_name: rule.name().to_owned(),
            enabled: setting.enabled,
            severity: setting.severity,
            requires_acknowledgement: setting.requires_acknowledgement,
            parameters,
        }
    }
}

impl From<RuleView> for RuleRequest {
    fn from(view: RuleView) -> Self {
        Self {
            rule_id: view.rule_id,
            enabled: view.enabled,
            severity: Some(view.severity),
            requires_acknowledgement: Some(view.requires_acknowledgement),
            parameters: view.parameters,
        }
    }
}

/// Answer of `GET` and `PUT /characteristics/{id}/rules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesView {
    pub rules: Vec<RuleView>,
}

impl From<&RuleSet> for RulesView {
    fn from(rules: &RuleSet) -> Self {
        Self { rules: rules.iter().map(RuleView::from).collect() }
    }
}

/// Whether a characteristic has control limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitsState {
    /// None: its samples are not judged.
    None,
    /// Limits judge its samples.
    InForce,
}

/// A characteristic as REST tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CharacteristicView {
    pub id: CharacteristicId,
    pub key: Option<String>,
    pub name: String,
    pub description: Option<String>,
    pub chart: ChartKind,
    pub subgroup_size: u32,
    pub min_measurements: u32,
    pub unit: Option<String>,
    pub decimals: Option<u32>,
    pub target: Option<f64>,
    pub usl: Option<f64>,
    pub lsl: Option<f64>,
    pub group: Option<String>,
    pub tags: Vec<String>,
    pub reaction_plan: Option<String>,
    pub rules: Vec<RuleView>,
    #[serde(with = "time")]
    pub created_at: DateTime<Utc>,
    pub limits_state: LimitsState,
    pub open_violations: u64,
    pub newest_sample: Option<SamplePayload>,
    pub control_limits: Option<ControlLimitsView>,
}

/// What a characteristic's view tells besides its definition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    pub open_violations: u64,
    pub newest_sample: Option<SamplePayload>,
    pub control_limits: Option<ControlLimitsView>,
}

impl CharacteristicView {
    /// A characteristic with what stands about it.
    pub fn new(characteristic: &Characteristic, standing: Standing) -> Self {
        let definition = characteristic.definition.clone();
        let limits_state =
            if standing.control_limits.is_some() { LimitsState::InForce } else { LimitsState::None };
        Self {
            id: characteristic.id,
            key: definition.key.map(|key| key.as_str().to_owned()),
            name: definition.name,
            description: definition.description,
            chart: definition.chart,
            subgroup_size: definition.subgroup_size,
            min_measurements: definition.min_measurements,
            unit: definition.unit,
            decimals: definition.decimals,
            target: definition.target,
            usl: definition.usl,
            lsl: definition.lsl,
            group: definition.group,
            tags: definition.tags,
            reaction_plan: definition.reaction_plan,
            rules: RulesView::from(&characteristic.rules).rules,
            created_at: characteristic.created_at,
            limits_state,
            open_violations: standing.open_violations,
            newest_sample: standing.newest_sample,
            control_limits: standing.control_limits,
        }
    }
}
