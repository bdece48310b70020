//! Logged events over REST: the same messages as over the WebSocket.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::domain::ids::CharacteristicId;
use crate::protocol::event::EventKind;
use crate::protocol::schema::LogPosition;

/// Answer of `GET /events`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct EventsView {
    /// Names the log: positions of another one mean nothing in it.
    pub epoch: String,
    /// In the order of the log, as they go over the WebSocket.
    #[schema(value_type = Vec<EventMessageView>)]
    pub items: Vec<Box<RawValue>>,
    /// Everything up to here was looked at: `after` of the next request.
    #[schema(value_type = LogPosition)]
    pub next: String,
    /// The end of the log; whoever has got there has everything.
    pub head_seq: u64,
}

/// One event, as it is told everywhere.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct EventMessageView {
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// Its position in the log, without a gap.
    pub seq: u64,
    pub characteristic_id: CharacteristicId,
    /// Its position among the events of its characteristic, without a gap.
    pub revision: u64,
    /// What happened: its members follow from the `type`.
    #[schema(value_type = Object)]
    pub payload: Box<RawValue>,
}
