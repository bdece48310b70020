//! An event as it stands in the log and travels to clients.

use std::fmt::Write as _;
use std::sync::OnceLock;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::domain::event::Event;
use crate::domain::ids::{CharacteristicId, ViolationId};
use crate::domain::rules::Severity;
use crate::protocol::episode::{EpisodeUpdate, EpisodeView};
use crate::protocol::payload::{AckUpdate, ControlLimitsView, SamplePayload, ViolationView};
use crate::protocol::rest::given;
use crate::protocol::update::{CharacteristicUpdate, SampleUpdate, ViolationUpdate};
use crate::protocol::{deflate, frame};

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
    /// An episode was opened, or what people have to know of it has changed.
    Episode,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Sample,
        Self::Violation,
        Self::AckUpdate,
        Self::ControlLimits,
        Self::SampleUpdate,
        Self::ViolationUpdate,
        Self::CharacteristicUpdate,
        Self::Episode,
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
            Self::Episode => "episode",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Goes only to who asks for it by its type.
    pub const fn is_asked_for(self) -> bool {
        matches!(self, Self::Episode)
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
        Event::EpisodeChanged { episode, change, at, characteristic } => {
            let episode = EpisodeView::new(episode, characteristic);
            let update = EpisodeUpdate { change: *change, timestamp: *at, episode };
            (EventKind::Episode, serde_json::to_string(&update)?)
        }
    })
}

/// One row of the event log, with the frame that all its receivers share.
#[derive(Debug, Clone)]
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
    /// What filters ask of a violation; `None` for other kinds.
    pub fired: Option<Fired>,
    frame: Bytes,
    published: OnceLock<Instant>,
    deflated_tail: OnceLock<Bytes>,
}

/// What filters and receipts need to know of a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Fired {
    /// Which violation.
    #[serde(rename = "id")]
    pub violation_id: ViolationId,
    /// Which rule.
    pub rule_id: u32,
    /// How urgent.
    pub severity: Severity,
}

/// Where a changed definition puts its characteristic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct DefinitionChange {
    /// In another group, or in none; `None`, if that has not changed.
    #[serde(default, deserialize_with = "given")]
    pub group: Option<Option<String>>,
    /// Out of sight.
    #[serde(default, rename = "deleted")]
    pub is_deleted: bool,
}

/// When it was published is no part of what it is.
impl PartialEq for LoggedEvent {
    fn eq(&self, other: &Self) -> bool {
        self.seq == other.seq && self.is_history == other.is_history && self.frame == other.frame
    }
}

impl Eq for LoggedEvent {}

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
        let is_violation = kind == EventKind::Violation;
        let fired = is_violation.then(|| serde_json::from_str(payload).ok()).flatten();
        let (frame, published, deflated_tail) = (frame::text(&message), OnceLock::new(), OnceLock::new());
        Self { seq, characteristic_id, revision, kind, is_history, fired, frame, published, deflated_tail }
    }

    /// Notes when it went onto the bus; the first time stands.
    pub fn note_published(&self, at: Instant) {
        let _ = self.published.set(at);
    }

    /// When it went onto the bus, if it came that way.
    pub fn published(&self) -> Option<Instant> {
        self.published.get().copied()
    }

    /// The complete WebSocket text frame.
    pub fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// The JSON message alone.
    pub fn message(&self) -> Bytes {
        frame::message(&self.frame)
    }

    /// The message without its first brace, deflated: once, for all who agreed on that.
    pub fn deflated_tail(&self) -> &Bytes {
        self.deflated_tail.get_or_init(|| deflate::deflated_tail(&self.message()))
    }

    /// What a changed definition means for who listens to it; `None`: it is no change of a definition.
    pub fn definition_change(&self) -> Option<DefinitionChange> {
        #[derive(Deserialize)]
        struct Message {
            payload: Payload,
        }
        #[derive(Deserialize)]
        struct Payload {
            changes: DefinitionChange,
        }
        if self.kind != EventKind::CharacteristicUpdate {
            return None;
        }
        let message: Message = serde_json::from_slice(&self.message()).ok()?;
        Some(message.payload.changes)
    }

    /// What is new about an episode; `None`: it is about none.
    pub fn episode_update(&self) -> Option<EpisodeUpdate> {
        #[derive(Deserialize)]
        struct Message {
            payload: EpisodeUpdate,
        }
        if self.kind != EventKind::Episode {
            return None;
        }
        let message: Message = serde_json::from_slice(&self.message()).ok()?;
        Some(message.payload)
    }

    /// In which group the characteristic of a violation was when it was found; `None`: it is no violation.
    pub fn group_of_violation(&self) -> Option<Option<String>> {
        #[derive(Deserialize)]
        struct Message {
            payload: Payload,
        }
        #[derive(Deserialize)]
        struct Payload {
            #[serde(default)]
            group: Option<String>,
        }
        if self.kind != EventKind::Violation {
            return None;
        }
        let message: Message = serde_json::from_slice(&self.message()).ok()?;
        Some(message.payload.group)
    }

    /// The violation that an acknowledgement answers.
    pub fn acknowledged(&self) -> Option<ViolationId> {
        #[derive(Deserialize)]
        struct Message {
            payload: Payload,
        }
        #[derive(Deserialize)]
        struct Payload {
            violation_id: ViolationId,
        }
        if self.kind != EventKind::AckUpdate {
            return None;
        }
        let message: Message = serde_json::from_slice(&self.message()).ok()?;
        Some(message.payload.violation_id)
    }
}
