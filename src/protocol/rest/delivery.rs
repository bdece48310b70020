//! The delivery ledger over REST: what people were told, to whom, and how it went.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::delivery::{AttemptOutcome, DeliveryState, Replayable};
use crate::domain::episode::EpisodeChange;
use crate::domain::ids::{CharacteristicId, DeliveryId, EpisodeId, SilenceId, ViolationId};
use crate::protocol::schema::{Line, Moment};
use crate::protocol::time;

/// One notice to one receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryView {
    pub id: DeliveryId,
    pub delivery_id: DeliveryId,
    /// The name under which the receiver gets it, the same with every attempt.
    pub name: String,
    /// The position of the notice's `episode` event.
    pub seq: u64,
    pub episode_id: EpisodeId,
    pub characteristic_id: CharacteristicId,
    /// What is new about the episode.
    pub change: EpisodeChange,
    /// The name of the receiver in the settings.
    pub receiver: String,
    /// One of the receiver's addresses; null, if it has no several.
    pub recipient: Option<String>,
    /// Of the escalation; 0: the first.
    pub step: u32,
    /// The number of the reminder; 0: it is none.
    pub reminder: u32,
    /// The silence that holds it back, or did.
    pub silence_id: Option<SilenceId>,
    /// The delivery that tells it in one message with others; null: it is told alone.
    pub digest_id: Option<DeliveryId>,
    pub state: DeliveryState,
    /// Why it ended, or waits, like that.
    pub reason: Option<String>,
    /// Attempts begun.
    pub attempt_total: u32,
    #[serde(with = "time")]
    pub created_at: DateTime<Utc>,
    /// When it is tried next, or when the lease ends; null: it is over, or waits behind an earlier one of its episode.
    #[serde(with = "time::optional")]
    pub due_at: Option<DateTime<Utc>>,
    /// Afterwards nobody tries any more.
    #[serde(with = "time")]
    pub useful_until: DateTime<Utc>,
    #[serde(with = "time::optional")]
    pub ended_at: Option<DateTime<Utc>>,
}

/// Body of `POST /deliveries/replay`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"receiver": "mes", "from": "2026-01-05T06:00:00Z", "to": "2026-01-05T14:00:00Z"})))]
pub struct ReplayRequest {
    /// Its name in the settings.
    #[schema(value_type = Line)]
    pub receiver: String,
    /// Of notices that were taken from the log from this time on.
    #[schema(value_type = Moment)]
    pub from: String,
    /// Before this time.
    #[schema(value_type = Moment)]
    pub to: String,
    /// What has ended like that; left out: what is dead or expired.
    #[schema(min_items = 1, max_items = 3)]
    pub states: Option<Vec<Replayable>>,
}

/// What is told anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplayView {
    /// Deliveries that are due now, or next in line.
    pub deliveries: u64,
}

/// One attempt of a delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AttemptView {
    /// From 1.
    pub number: u32,
    #[serde(with = "time")]
    pub started_at: DateTime<Utc>,
    /// Null: it is under way, or its process ended.
    pub duration_ms: Option<f64>,
    /// Null: it is under way.
    pub outcome: Option<AttemptOutcome>,
    /// What the receiver answered, or the error.
    pub detail: Option<String>,
}

/// A delivery with its attempts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryDetailView {
    #[serde(flatten)]
    pub delivery: DeliveryView,
    /// In their order.
    pub attempts: Vec<AttemptView>,
}

/// What people were told about an episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NoticeView {
    /// The position of its `episode` event.
    pub seq: u64,
    pub change: EpisodeChange,
    /// When it was taken from the log.
    #[serde(with = "time")]
    pub timestamp: DateTime<Utc>,
    /// Of each route of the settings then, in their order: `matches`, or why not; none, if it is from before that was kept.
    pub routes: Vec<String>,
    /// To whom it goes; none, if no route matched.
    pub deliveries: Vec<DeliveryView>,
}

/// Why people were told of a violation, or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhyView {
    pub violation_id: ViolationId,
    /// Null: it belongs to none.
    pub episode_id: Option<EpisodeId>,
    /// In a sentence.
    pub explanation: String,
    /// What people were told about its episode from then on, oldest first; at most the newest 100 of the episode. Where that is
    /// nothing, the notice before.
    pub notices: Vec<NoticeView>,
}
