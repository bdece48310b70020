//! Characteristics and their rules over REST.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ArrayBuilder, OneOfBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::alarm::AlarmState;
use crate::domain::characteristic::{Characteristic, Definition};
use crate::domain::chart::ChartKind;
use crate::domain::ids::CharacteristicId;
use crate::domain::phase::LimitsState;
use crate::domain::rules::{PatternError, Preset, Rule, RuleSet, RuleSetting, Severity};
use crate::protocol::json::{Object, object};
use crate::protocol::payload::{ControlLimitsView, SamplePayload};
use crate::protocol::schema::{GroupPath, Key, Line, Named, Text};
use crate::protocol::time;

/// Body of `POST /characteristics`.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({
    "name": "Bore diameter", "key": "PLANT7-BORE-12", "subgroup_size": 5, "unit": "mm", "decimals": 3,
    "target": 74.0, "usl": 74.05, "lsl": 73.95, "group": "plant/line4/press", "tags": ["safety"],
    "rules": {"preset": "nelson"}
})))]
pub struct CreateCharacteristic {
    /// What people call it.
    #[schema(value_type = Line)]
    pub name: String,
    /// The integrator's own id, unique.
    #[schema(value_type = Option<Key>)]
    pub key: Option<String>,
    #[schema(value_type = Option<Text>)]
    pub description: Option<String>,
    /// Without it: I-MR for single values, X-bar/R for 2 to 10, X-bar/S above.
    pub chart: Option<ChartKind>,
    /// Measurements of a full subgroup. Without it: 1, which is what `i_mr` takes; the other charts take more.
    #[schema(minimum = 1, maximum = 25)]
    pub subgroup_size: Option<u32>,
    /// The fewest measurements of a subgroup, at most `subgroup_size`. Without it: `subgroup_size`.
    #[schema(minimum = 1, maximum = 25)]
    pub min_measurements: Option<u32>,
    /// The unit of the measurements, for people.
    #[schema(value_type = Option<Line>)]
    pub unit: Option<String>,
    /// Decimals to show.
    #[schema(minimum = 0, maximum = 15)]
    pub decimals: Option<u32>,
    /// The value aimed at.
    pub target: Option<f64>,
    /// Upper specification limit, above `lsl`.
    pub usl: Option<f64>,
    /// Lower specification limit.
    pub lsl: Option<f64>,
    /// Where it belongs.
    #[schema(value_type = Option<GroupPath>)]
    pub group: Option<String>,
    /// Words to find it by.
    #[serde(default)]
    #[schema(value_type = Vec<Line>, max_items = 50)]
    pub tags: Vec<String>,
    /// Which rules judge it. Without it: the preset `balanced`.
    pub rules: Option<RulesRequest>,
    /// What to do when it signals.
    #[schema(value_type = Option<Text>)]
    pub reaction_plan: Option<String>,
    /// Provisional limits are calculated once from so many samples; without it, only who asks gets limits.
    #[schema(minimum = 2, maximum = 1000)]
    pub auto_limits_after: Option<u32>,
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

impl PartialSchema for RulesRequest {
    fn schema() -> RefOr<Schema> {
        let rule = Ref::from_schema_name(RuleRequest::name());
        let rules = ArrayBuilder::new().items(rule).max_items(Some(Rule::ALL.len())).build();
        let what =
            "A named set, or rules one by one; those that are not named are off, and none may stand twice.";
        let preset = Ref::from_schema_name(PresetRequest::name());
        let either = OneOfBuilder::new().item(preset).item(rules).description(Some(what));
        RefOr::T(Schema::OneOf(either.build()))
    }
}

impl ToSchema for RulesRequest {
    fn schemas(schemas: &mut Vec<Named>) {
        for (name, schema) in
            [(PresetRequest::name(), PresetRequest::schema()), (RuleRequest::name(), RuleRequest::schema())]
        {
            schemas.push((name.into_owned(), schema));
        }
        PresetRequest::schemas(schemas);
        RuleRequest::schemas(schemas);
    }
}

struct RulesVisitor;

impl<'de> Visitor<'de> for RulesVisitor {
    type Value = RulesRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of {rule_id, enabled, ...} or {\"preset\": ...}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, rules: A) -> Result<RulesRequest, A::Error> {
        let rules = Vec::<Object<RuleRequest>>::deserialize(SeqAccessDeserializer::new(rules))?;
        Ok(RulesRequest::Rules(rules.into_iter().map(|Object(rule)| rule).collect()))
    }

    fn visit_map<A: MapAccess<'de>>(self, preset: A) -> Result<RulesRequest, A::Error> {
        Deserialize::deserialize(MapAccessDeserializer::new(preset)).map(RulesRequest::Preset)
    }
}

/// A named rule set.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PresetRequest {
    pub preset: Preset,
}

/// One rule as it shall be set.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleRequest {
    /// Nelson's numbering.
    #[schema(minimum = 1, maximum = 8)]
    pub rule_id: u32,
    /// Without it: true.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Without it: `CRITICAL` for rule 1, `WARNING` for the others.
    pub severity: Option<Severity>,
    /// Without it: true.
    pub requires_acknowledgement: Option<bool>,
    /// Without it: the usual lengths. Rule 1 takes none, rules 5 and 6 take `k` and `m`, the others `m`.
    #[serde(default, deserialize_with = "object")]
    pub parameters: RuleParameters,
}

/// Lengths of a pattern: at least `k` of the last `m` points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleParameters {
    /// How many points must show it: from 1 to `m`.
    #[schema(minimum = 1, maximum = 64)]
    pub k: Option<u32>,
    /// Among how many points, the newest included.
    #[schema(minimum = 2, maximum = 64)]
    pub m: Option<u32>,
}

/// Lengths of a pattern as they are set; those that a rule does not have are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct RuleLengths {
    /// How many points must show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1, maximum = 64)]
    pub k: Option<u32>,
    /// Among how many points, the newest included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 2, maximum = 64)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleView {
    #[schema(minimum = 1, maximum = 8)]
    pub rule_id: u32,
    pub rule_name: String,
    pub enabled: bool,
    pub severity: Severity,
    pub requires_acknowledgement: bool,
    pub parameters: RuleLengths,
}

impl From<&RuleSetting> for RuleView {
    fn from(setting: &RuleSetting) -> Self {
        let (rule, pattern) = (setting.rule(), setting.pattern());
        let parameters = match rule {
            Rule::Outlier => RuleLengths::default(),
            _ if rule.counts_some() => RuleLengths { k: Some(pattern.k), m: Some(pattern.m) },
            _ => RuleLengths { k: None, m: Some(pattern.m) },
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
            parameters: RuleParameters { k: view.parameters.k, m: view.parameters.m },
        }
    }
}

/// All eight rules, by number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RulesView {
    pub rules: Vec<RuleView>,
}

impl From<&RuleSet> for RulesView {
    fn from(rules: &RuleSet) -> Self {
        Self { rules: rules.iter().map(RuleView::from).collect() }
    }
}

/// What its owner says about a characteristic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DefinitionView {
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
    pub auto_limits_after: Option<u32>,
}

impl DefinitionView {
    /// A definition as the wire says it.
    pub fn new(definition: &Definition) -> Self {
        let definition = definition.clone();
        Self {
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
            auto_limits_after: definition.auto_limits_after,
        }
    }
}

/// A characteristic as REST tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CharacteristicView {
    pub id: CharacteristicId,
    #[serde(flatten)]
    pub definition: DefinitionView,
    pub rules: Vec<RuleView>,
    #[serde(with = "time")]
    pub created_at: DateTime<Utc>,
    pub retired: bool,
    pub alarm_state: AlarmState,
    pub limits_state: LimitsState,
    /// Samples of the present phase.
    pub samples_collected: u64,
    /// Samples of the present phase from which limits can be calculated.
    pub samples_needed: u32,
    /// Neither acknowledged nor withdrawn.
    pub open_violations: u64,
    pub newest_sample: Option<SamplePayload>,
    /// Those in force.
    pub control_limits: Option<ControlLimitsView>,
}

/// What a characteristic's view tells besides its definition.
#[derive(Debug, Clone, PartialEq)]
pub struct StandingView {
    pub alarm_state: AlarmState,
    pub limits_state: LimitsState,
    pub samples_collected: u64,
    pub samples_needed: u32,
    pub open_violations: u64,
    pub newest_sample: Option<SamplePayload>,
    pub control_limits: Option<ControlLimitsView>,
}

impl CharacteristicView {
    /// A characteristic with what stands about it.
    pub fn new(characteristic: &Characteristic, standing: StandingView) -> Self {
        Self {
            id: characteristic.id,
            definition: DefinitionView::new(&characteristic.definition),
            rules: RulesView::from(&characteristic.rules).rules,
            created_at: characteristic.created_at,
            retired: characteristic.is_retired,
            alarm_state: standing.alarm_state,
            limits_state: standing.limits_state,
            samples_collected: standing.samples_collected,
            samples_needed: standing.samples_needed,
            open_violations: standing.open_violations,
            newest_sample: standing.newest_sample,
            control_limits: standing.control_limits,
        }
    }
}
