//! Violations and their acknowledgement over REST.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::ids::{CharacteristicId, ViolationId};
use crate::domain::rules::Severity;
use crate::protocol::rest::ItemError;
use crate::protocol::schema::{Line, Text};

/// Body of `POST /violations/{id}/acknowledge`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"reason": "Tool Change", "comment": "insert 3 was worn", "user": "ann"})))]
pub struct Acknowledge {
    /// Usually one of the reason codes.
    #[schema(value_type = Line)]
    pub reason: String,
    #[schema(value_type = Option<Text>)]
    pub comment: Option<String>,
    /// Required where no login says who.
    #[schema(value_type = Option<Line>)]
    pub user: Option<String>,
    /// Whether its sample shall count as never taken from now on.
    #[serde(default)]
    pub exclude_sample: bool,
}

/// Body of `POST /episodes/{id}/acknowledge`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"reason": "Tool Change", "comment": "insert 3 was worn", "user": "ann"})))]
pub struct AcknowledgeEpisode {
    /// Usually one of the reason codes.
    #[schema(value_type = Line)]
    pub reason: String,
    #[schema(value_type = Option<Text>)]
    pub comment: Option<String>,
    /// Required where no login says who.
    #[schema(value_type = Option<Line>)]
    pub user: Option<String>,
}

/// Body of `POST /violations/batch-acknowledge`: named ones, or all open ones of a characteristic
/// whose event lies at or before a position.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(
    json!({"violation_ids": [1, 2], "reason": "False Alarm", "user": "ann"}),
    json!({"characteristic_id": 1, "up_to_seq": 1000, "reason": "Setup Adjustment", "user": "ann"})
))]
pub struct BatchAcknowledge {
    #[schema(min_items = 1, max_items = 1000)]
    pub violation_ids: Option<Vec<ViolationId>>,
    /// In place of `violation_ids`, with `up_to_seq`: the oldest 1,000 open ones.
    pub characteristic_id: Option<CharacteristicId>,
    /// In place of `characteristic_id`: the integrator's own id.
    pub characteristic_key: Option<String>,
    /// A position in the event log, as events tell it.
    #[schema(minimum = 0, maximum = 9007199254740991i64)]
    pub up_to_seq: Option<u64>,
    /// Usually one of the reason codes.
    #[schema(value_type = Line)]
    pub reason: String,
    #[schema(value_type = Option<Text>)]
    pub comment: Option<String>,
    /// Required where no login says who.
    #[schema(value_type = Option<Line>)]
    pub user: Option<String>,
    /// Whether their samples shall count as never taken from now on.
    #[serde(default)]
    pub exclude_sample: bool,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchAcknowledgeView {
    pub total: usize,
    pub successful: usize,
    pub failed: usize,
    pub results: Vec<AcknowledgedItem>,
}

/// What became of one violation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AcknowledgedItem {
    pub violation_id: ViolationId,
    pub success: bool,
    /// There if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<ItemError>,
}

/// Answer of `GET /violations/stats`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ViolationStatsView {
    pub total: u64,
    pub unacknowledged: u64,
    pub by_rule: Vec<RuleCount>,
    pub by_severity: Vec<SeverityCount>,
}

/// How often a rule fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleCount {
    pub rule_id: u32,
    pub rule_name: String,
    pub total: u64,
    pub unacknowledged: u64,
}

/// How many violations have a severity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeverityCount {
    pub severity: Severity,
    pub total: u64,
    pub unacknowledged: u64,
}

/// The list of reason codes, both ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"reason_codes": ["Tool Change", "Measurement Error", "Other"]})))]
pub struct ReasonCodes {
    /// In the order in which they are shown; none stands twice.
    // A set, so that the document says `uniqueItems`.
    #[schema(value_type = BTreeSet<Line>, min_items = 1, max_items = 200)]
    pub reason_codes: Vec<String>,
}
