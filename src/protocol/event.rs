//! An event as it stands in the log and travels to clients.

use std::fmt::Write as _;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::domain::event::Event;
use crate::domain::ids::CharacteristicId;
use crate::protocol::frame;
use crate::protocol::payload::{AckUpdate, ControlLimitsView, SamplePayload, ViolationView};
use crate::protocol::update::{CharacteristicUpdate, SampleUpdate, ViolationUpdate};

/// The kinds of logged events, as the contract names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A sample was processed.
    Sample,
    /// A rule fired.
    Violation,
    /// A violation was acknowledged.
    AckUpdate,
    /// New control limits.
    ControlLimits,
    /// A sample was excluded or included again.
    SampleUpdate,
    /// A violation does not hold any more, or holds again.
    ViolationUpdate,
    /// A definition or its rules have changed.
    CharacteristicUpdate,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Sample,
        Self::Violation,
        Self::AckUpdate,
        Self::ControlLimits,
        Self::SampleUpdate,
        Self::ViolationUpdate,
        Self::CharacteristicUpdate,
    ];

    /// The name on the wire and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sample => "sample",
            Self::Violation => "violation",
            Self::AckUpdate => "ack_update",
            Self::ControlLimits => "control_limits",
            Self::SampleUpdate => "sample_update",
            Self::ViolationUpdate => "violation_update",
            Self::CharacteristicUpdate => "characteristic_update",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Acknowledgements go to every client, the others to subscribers of the characteristic.
    pub const fn goes_to_all(self) -> bool {
        matches!(self, Self::AckUpdate)
    }
}

/// The kind and JSON payload of a domain event.
///
/// # Errors
/// If a number in it is not finite, which the domain's types exclude.
pub fn encode(event: &Event) -> serde_json::Result<(EventKind, String)> {
    Ok(match event {
        Event::SampleProcessed { sample, violations } => {
            (EventKind::Sample, serde_json::to_string(&SamplePayload::new(sample, violations))?)
        }
        Event::ViolationCreated { violation, characteristic } => {
            (EventKind::Violation, serde_json::to_string(&ViolationView::new(violation, characteristic))?)
        }
        Event::ViolationAcknowledged(violation) => {
            (EventKind::AckUpdate, serde_json::to_string(&AckUpdate::new(violation))?)
        }
        Event::ControlLimitsUpdated(phase) => {
            (EventKind::ControlLimits, serde_json::to_string(&ControlLimitsView::new(phase))?)
        }
        Event::SampleExclusionChanged(exclusion) => {
            (EventKind::SampleUpdate, serde_json::to_string(&SampleUpdate::new(exclusion))?)
        }
        Event::ViolationStatusChanged { violation, reason, at } => (
            EventKind::ViolationUpdate,
            serde_json::to_string(&ViolationUpdate::new(violation, reason, *at))?,
        ),
        Event::CharacteristicChanged(change) => {
            (EventKind::CharacteristicUpdate, serde_json::to_string(&CharacteristicUpdate::new(change))?)
        }
    })
}

/// One row of the event log, with the frame that all its receivers share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Position in the log; contiguous.
    pub seq: u64,
    /// Whose event.
    pub characteristic_id: CharacteristicId,
    /// Position within the characteristic; contiguous.
    pub revision: u64,
    /// What happened.
    pub kind: EventKind,
    /// Of the past: goes only to who asked for history.
    pub is_history: bool,
    frame: Bytes,
}

/// Where an event stands, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventHeader {
    /// Position in the log.
    pub seq: u64,
    /// Whose event.
    pub characteristic_id: CharacteristicId,
    /// Position within the characteristic.
    pub revision: u64,
    /// What happened.
    pub kind: EventKind,
    /// Of the past: goes only to who asked for history.
    pub is_history: bool,
}

impl LoggedEvent {
    /// `payload` is the JSON text that [`encode`] made.
    pub fn new(header: EventHeader, payload: &str) -> Self {
        let EventHeader { seq, characteristic_id, revision, kind, is_history } = header;
        let mut message = String::with_capacity(payload.len() + 112);
        write!(
            message,
            r#"{{"type":"{}","seq":{seq},"characteristic_id":{characteristic_id},"revision":{revision},"payload":{payload}}}"#,
            kind.as_str(),
        )
        .expect("writing to a string cannot fail");
        Self { seq, characteristic_id, revision, kind, is_history, frame: frame::text(&message) }
    }

    /// The complete WebSocket text frame.
    pub fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// The same frame for a connection from which `skipped` revisions before this one were withheld.
    pub fn frame_after(&self, skipped: u64) -> Bytes {
        let message = self.message();
        let mut text = String::with_capacity(message.len() + 32);
        write!(text, r#"{{"skipped":{skipped},"#).expect("writing to a string cannot fail");
        text += std::str::from_utf8(&message[1..]).expect("a message is text that begins with a brace");
        frame::text(&text)
    }

    /// The JSON message alone.
    pub fn message(&self) -> Bytes {
        frame::message(&self.frame)
    }
}
