//! Violations and their acknowledgement over REST.

use serde::{Deserialize, Serialize};

use crate::domain::ids::{CharacteristicId, ViolationId};
use crate::domain::rules::Severity;
use crate::protocol::rest::ItemError;

/// Body of `POST /violations/{id}/acknowledge`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    pub reason: String,
    pub comment: Option<String>,
    /// Required where no login says who.
    pub user: Option<String>,
}

/// Body of `POST /violations/batch-acknowledge`: named ones, or all open ones of a characteristic
/// whose event lies at or before a position.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchAcknowledge {
    pub violation_ids: Option<Vec<ViolationId>>,
    pub characteristic_id: Option<CharacteristicId>,
    pub up_to_seq: Option<u64>,
    pub reason: String,
    pub comment: Option<String>,
    pub user: Option<String>,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchAcknowledgeView {
    pub total: usize,
    pub successful: usize,
    pub failed: usize,
    pub results: Vec<AcknowledgedItem>,
}

/// What became of one violation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcknowledgedItem {
    pub violation_id: ViolationId,
    pub success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ItemError>,
}

/// Answer of `GET /violations/stats`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ViolationStatsView {
    pub total: u64,
    pub unacknowledged: u64,
    pub by_rule: Vec<RuleCount>,
    pub by_severity: Vec<SeverityCount>,
}

/// How often a rule fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCount {
    pub rule_id: u32,
    pub rule_name: String,
    pub total: u64,
    pub unacknowledged: u64,
}

/// How many violations have a severity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeverityCount {
    pub severity: Severity,
    pub total: u64,
    pub unacknowledged: u64,
}

/// The list of reason codes, both ways.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonCodes {
    pub reason_codes: Vec<String>,
}
