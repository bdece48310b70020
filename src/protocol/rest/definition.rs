//! Changed definitions over REST: some fields, or all of them.

use serde::Deserialize;
use serde::de::Deserializer;
use utoipa::ToSchema;

use crate::domain::chart::ChartKind;
use crate::protocol::rest::{CreateCharacteristic, RulesRequest};
use crate::protocol::schema::{GroupPath, Key, Line, Text};

/// Body of `PATCH /characteristics/{id}`: a field that is left out stays; null clears one that may be left out when a
/// characteristic is created.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"unit": "mm", "usl": 74.06, "reaction_plan": null})))]
pub struct PatchCharacteristic {
    /// What people call it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Line)]
    pub name: Option<String>,
    /// The integrator's own id, unique.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Key>)]
    pub key: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Text>)]
    pub description: Option<Option<String>>,
    /// Null: that of a new characteristic with this `subgroup_size`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<ChartKind>)]
    pub chart: Option<Option<ChartKind>>,
    /// Measurements of a full subgroup.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = u32, minimum = 1, maximum = 25)]
    pub subgroup_size: Option<u32>,
    /// The fewest measurements of a subgroup; null: `subgroup_size`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 25)]
    pub min_measurements: Option<Option<u32>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Line>)]
    pub unit: Option<Option<String>>,
    /// Decimals to show.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 15)]
    pub decimals: Option<Option<u32>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<f64>)]
    pub target: Option<Option<f64>>,
    /// Upper specification limit, above `lsl`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<f64>)]
    pub usl: Option<Option<f64>>,
    /// Lower specification limit.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<f64>)]
    pub lsl: Option<Option<f64>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<GroupPath>)]
    pub group: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<Line>>, max_items = 50)]
    pub tags: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = RulesRequest)]
    pub rules: Option<RulesRequest>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Text>)]
    pub reaction_plan: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 2, maximum = 1000)]
    pub auto_limits_after: Option<Option<u32>>,
    /// Hides it, and refuses samples; or takes it back.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool)]
    pub retired: Option<bool>,
    /// Consent to another chart or subgroup size although there are samples.
    #[serde(default)]
    pub new_phase: bool,
}

/// What is there is given, be it null; serde alone would take a null for what is not there.
pub(in crate::protocol) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Body of `PUT /characteristics/by-key/{key}`: a whole definition.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"name": "Bore diameter", "subgroup_size": 5, "unit": "mm"})))]
pub struct PutCharacteristic {
    /// What people call it.
    #[schema(value_type = Line)]
    pub name: String,
    /// That of the path, if it is said at all.
    #[schema(value_type = Option<Key>)]
    pub key: Option<String>,
    #[schema(value_type = Option<Text>)]
    pub description: Option<String>,
    pub chart: Option<ChartKind>,
    /// Without it: 1.
    #[schema(minimum = 1, maximum = 25)]
    pub subgroup_size: Option<u32>,
    /// Without it: `subgroup_size`.
    #[schema(minimum = 1, maximum = 25)]
    pub min_measurements: Option<u32>,
    #[schema(value_type = Option<Line>)]
    pub unit: Option<String>,
    /// Decimals to show.
    #[schema(minimum = 0, maximum = 15)]
    pub decimals: Option<u32>,
    pub target: Option<f64>,
    /// Upper specification limit, above `lsl`.
    pub usl: Option<f64>,
    /// Lower specification limit.
    pub lsl: Option<f64>,
    #[schema(value_type = Option<GroupPath>)]
    pub group: Option<String>,
    #[serde(default)]
    #[schema(value_type = Vec<Line>, max_items = 50)]
    pub tags: Vec<String>,
    /// Without them the rules stay as they are.
    pub rules: Option<RulesRequest>,
    #[schema(value_type = Option<Text>)]
    pub reaction_plan: Option<String>,
    #[schema(minimum = 2, maximum = 1000)]
    pub auto_limits_after: Option<u32>,
    /// Without it, retired or not as before.
    pub retired: Option<bool>,
    /// Consent to another chart or subgroup size although there are samples.
    #[serde(default)]
    pub new_phase: bool,
}

impl PutCharacteristic {
    /// The definition and rules, as one who creates the characteristic says them.
    pub fn definition(self) -> CreateCharacteristic {
        CreateCharacteristic {
            name: self.name,
            key: self.key,
            description: self.description,
            chart: self.chart,
            subgroup_size: self.subgroup_size,
            min_measurements: self.min_measurements,
            unit: self.unit,
            decimals: self.decimals,
            target: self.target,
            usl: self.usl,
            lsl: self.lsl,
            group: self.group,
            tags: self.tags,
            rules: self.rules,
            reaction_plan: self.reaction_plan,
            auto_limits_after: self.auto_limits_after,
        }
    }
}
