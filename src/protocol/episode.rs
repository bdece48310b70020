//! Episodes on the wire: the payload of `episode` events, and what REST answers for an episode.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::characteristic::Characteristic;
use crate::domain::chart::Chart;
use crate::domain::episode::{ClosingReason, Episode, EpisodeChange, EpisodePattern, EpisodeStatus};
use crate::domain::ids::{CharacteristicId, EpisodeId, ViolationId};
use crate::domain::rules::Severity;
use crate::protocol::payload::ViolationView;
use crate::protocol::rest::NoticeView;
use crate::protocol::time;

/// One rule that fired in an episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EpisodeRule {
    pub chart: Chart,
    pub rule_id: u32,
    pub rule_name: String,
}

impl From<&EpisodePattern> for EpisodeRule {
    fn from(pattern: &EpisodePattern) -> Self {
        let EpisodePattern { chart, rule_id, rule_name, .. } = pattern.clone();
        Self { chart, rule_id, rule_name }
    }
}

/// Violations of one characteristic that belong together. Times are those at which Andon found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EpisodeView {
    pub id: EpisodeId,
    pub episode_id: EpisodeId,
    pub characteristic_id: CharacteristicId,
    pub characteristic_name: String,
    pub characteristic_key: Option<String>,
    pub group: Option<String>,
    pub status: EpisodeStatus,
    /// The severest of its violations that hold.
    pub severity: Severity,
    /// Which rules fired and hold, in the order in which they first did; at most 64.
    pub rules: Vec<EpisodeRule>,
    /// Violations that have joined it.
    pub violation_total: u64,
    /// Those of them that still wait for an operator.
    pub unacknowledged: u64,
    pub first_violation_id: ViolationId,
    pub newest_violation_id: ViolationId,
    #[serde(with = "time")]
    pub opened_at: DateTime<Utc>,
    /// Whether an answer holds: what makes an episode worse, or lapse, wants another one.
    pub acknowledged: bool,
    pub ack_user: Option<String>,
    pub ack_reason: Option<String>,
    pub ack_comment: Option<String>,
    #[serde(with = "time::optional")]
    pub ack_timestamp: Option<DateTime<Utc>>,
    /// When an answer to it has last proven not to help.
    #[serde(with = "time::optional")]
    pub lapsed_at: Option<DateTime<Utc>>,
    #[serde(with = "time::optional")]
    pub closed_at: Option<DateTime<Utc>>,
    pub closing_reason: Option<ClosingReason>,
}

impl EpisodeView {
    /// An episode together with the characteristic it is about.
    pub fn new(episode: &Episode, characteristic: &Characteristic) -> Self {
        let definition = &characteristic.definition;
        let answer = episode.acknowledgement.as_ref();
        Self {
            id: episode.id,
            episode_id: episode.id,
            characteristic_id: episode.characteristic_id,
            characteristic_name: definition.name.clone(),
            characteristic_key: definition.key.as_ref().map(|key| key.as_str().to_owned()),
            group: definition.group.clone(),
            status: episode.status(),
            severity: episode.severity,
            rules: episode.patterns.iter().map(EpisodeRule::from).collect(),
            violation_total: episode.violations,
            unacknowledged: episode.unacknowledged,
            first_violation_id: episode.first_violation_id,
            newest_violation_id: episode.newest_violation_id,
            opened_at: episode.opened_at,
            acknowledged: answer.is_some(),
            ack_user: answer.map(|a| a.user.clone()),
            ack_reason: answer.map(|a| a.reason.clone()),
            ack_comment: answer.and_then(|a| a.comment.clone()),
            ack_timestamp: answer.map(|a| a.timestamp),
            lapsed_at: episode.lapsed_at,
            closed_at: episode.closing.map(|closing| closing.at),
            closing_reason: episode.closing.map(|closing| closing.reason),
        }
    }
}

/// `episode`: people have to know something new of an episode. The episode as it is then, with what is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EpisodeUpdate {
    pub change: EpisodeChange,
    #[serde(with = "time")]
    pub timestamp: DateTime<Utc>,
    #[serde(flatten)]
    pub episode: EpisodeView,
}

/// An episode with its newest violations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EpisodeDetailView {
    #[serde(flatten)]
    pub episode: EpisodeView,
    /// Newest first; at most 100. The others are in `GET /violations?episode_id=`.
    pub violations: Vec<ViolationView>,
    /// What people were told about it, oldest first; the newest 100.
    pub notices: Vec<NoticeView>,
}
