//! What a client reads.

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::ids::CharacteristicId;
use crate::protocol::episode::EpisodeUpdate;
use crate::protocol::event::EventKind;
use crate::protocol::payload::{AckUpdate, ControlLimitsView, SamplePayload, ViolationView};
use crate::protocol::snapshot::SnapshotPayload;
use crate::protocol::socket::ServerMessage;
use crate::protocol::update::{CharacteristicUpdate, SampleUpdate, ViolationUpdate};

/// One message of the server.
#[derive(Debug, Clone)]
pub enum Received {
    /// A logged event.
    Event(EventMessage),
    /// The present state of a characteristic.
    Snapshot(ReceivedSnapshot),
    /// What the server says besides.
    Server(ServerText),
    /// A message that this version does not know.
    Other(OtherMessage),
}

/// A logged event as it arrived.
#[derive(Debug, Clone)]
pub struct EventMessage {
    /// Position in the log.
    pub seq: u64,
    /// Whose event.
    pub characteristic_id: CharacteristicId,
    /// Position within the characteristic.
    pub revision: u64,
    /// Revisions of this characteristic withheld from this connection just before.
    pub skipped: u64,
    /// What happened.
    pub payload: EventPayload,
    text: Box<str>,
}

/// What happened, typed where this version knows the type.
#[derive(Debug, Clone)]
pub enum EventPayload {
    /// A sample was processed.
    Sample(Box<SamplePayload>),
    /// A rule fired.
    Violation(Box<ViolationView>),
    /// A violation was acknowledged.
    AckUpdate(Box<AckUpdate>),
    /// New control limits.
    ControlLimits(Box<ControlLimitsView>),
    /// A sample was excluded or included again.
    SampleUpdate(Box<SampleUpdate>),
    /// A violation does not hold any more, or holds again.
    ViolationUpdate(Box<ViolationUpdate>),
    /// A definition has changed.
    CharacteristicUpdate(Box<CharacteristicUpdate>),
    /// People have to know something new of an episode.
    Episode(Box<EpisodeUpdate>),
    /// A type, or a value within a known type, that this version does not know.
    Other { name: String, raw: Box<RawValue> },
}

/// The present state of a characteristic as it arrived. No event: it has no revision of its own.
#[derive(Debug, Clone)]
pub struct ReceivedSnapshot {
    /// Whose state.
    pub characteristic_id: CharacteristicId,
    /// It is that of this position of the log.
    pub seq: u64,
    /// Events up to this revision are in it.
    pub revision: u64,
    /// How it stands.
    pub payload: SnapshotState,
    text: Box<str>,
}

/// How a characteristic stands, typed where this version knows all of it.
#[derive(Debug, Clone)]
pub enum SnapshotState {
    /// As this version tells it.
    Known(Box<SnapshotPayload>),
    /// With a value that this version does not know.
    Other(Box<RawValue>),
}

/// What the server says besides events and snapshots, as it arrived.
#[derive(Debug, Clone)]
pub struct ServerText {
    /// What it says.
    pub message: ServerMessage,
    text: Box<str>,
}

/// A message that this version does not know.
#[derive(Debug, Clone)]
pub struct OtherMessage {
    /// Its `type`.
    pub name: String,
    text: Box<str>,
}

impl Received {
    /// Reads one text frame.
    ///
    /// # Errors
    /// If it is not a JSON object with a `type`.
    pub fn parse(text: &str) -> serde_json::Result<Self> {
        // Serde would also read a struct from an array.
        if !text.trim_start().starts_with('{') {
            return Err(serde_json::Error::custom("a message is a JSON object"));
        }
        let TypeOnly { name } = serde_json::from_str(text)?;
        let known_event = EventKind::from_name(&name).is_some();
        if !known_event && let Ok(message) = serde_json::from_str(text) {
            return Ok(Self::Server(ServerText { message, text: text.into() }));
        }
        if let Ok(fields) = serde_json::from_str::<EventFields>(text) {
            return Ok(match name.as_str() {
                "snapshot" => Self::Snapshot(fields.snapshot(text)),
                _ => Self::Event(fields.event(name, text)),
            });
        }
        Ok(Self::Other(OtherMessage { name, text: text.into() }))
    }
}

impl EventMessage {
    /// An alert is everything but a sample: none may be missing.
    pub fn is_alert(&self) -> bool {
        match &self.payload {
            EventPayload::Sample(_) => false,
            EventPayload::Other { name, .. } => name != EventKind::Sample.as_str(),
            _ => true,
        }
    }

    /// The message exactly as it arrived.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl ReceivedSnapshot {
    /// The message exactly as it arrived.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl ServerText {
    /// The message exactly as it arrived.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl OtherMessage {
    /// The message exactly as it arrived.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl OtherMessage {
    /// The words of an error with a code of a later version, if it is one about a request of this type.
    pub fn refusal_of(&self, request: &str) -> Option<String> {
        let error: Value = serde_json::from_str(&self.text).ok().filter(|_| self.name == "error")?;
        (error["request"] == request).then(|| error["message"].as_str().unwrap_or(&self.text).to_owned())
    }
}

#[derive(Deserialize)]
struct TypeOnly {
    #[serde(rename = "type")]
    name: String,
}

#[derive(Deserialize)]
struct EventFields<'a> {
    seq: u64,
    characteristic_id: CharacteristicId,
    revision: u64,
    #[serde(default)]
    skipped: u64,
    #[serde(borrow)]
    payload: &'a RawValue,
}

impl EventFields<'_> {
    fn event(self, name: String, text: &str) -> EventMessage {
        let Self { seq, characteristic_id, revision, skipped, payload } = self;
        let payload = typed(&name, payload.get())
            .unwrap_or_else(|| EventPayload::Other { name, raw: payload.to_owned() });
        EventMessage { seq, characteristic_id, revision, skipped, payload, text: text.into() }
    }

    /// A snapshot has the form of an event.
    fn snapshot(self, text: &str) -> ReceivedSnapshot {
        let Self { seq, characteristic_id, revision, payload, .. } = self;
        let payload = match serde_json::from_str(payload.get()) {
            Ok(known) => SnapshotState::Known(known),
            Err(_) => SnapshotState::Other(payload.to_owned()),
        };
        ReceivedSnapshot { characteristic_id, seq, revision, payload, text: text.into() }
    }
}

fn typed(name: &str, payload: &str) -> Option<EventPayload> {
    Some(match EventKind::from_name(name)? {
        EventKind::Sample => EventPayload::Sample(serde_json::from_str(payload).ok()?),
        EventKind::Violation => EventPayload::Violation(serde_json::from_str(payload).ok()?),
        EventKind::AckUpdate => EventPayload::AckUpdate(serde_json::from_str(payload).ok()?),
        EventKind::ControlLimits => EventPayload::ControlLimits(serde_json::from_str(payload).ok()?),
        EventKind::SampleUpdate => EventPayload::SampleUpdate(serde_json::from_str(payload).ok()?),
        EventKind::ViolationUpdate => EventPayload::ViolationUpdate(serde_json::from_str(payload).ok()?),
        EventKind::CharacteristicUpdate => {
            EventPayload::CharacteristicUpdate(serde_json::from_str(payload).ok()?)
        }
        EventKind::Episode => EventPayload::Episode(serde_json::from_str(payload).ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACK: &str = r#"{"violation_id":3,"characteristic_id":7,"sample_id":9,"acknowledged":true,"user":"Kim","reason":"Tool Change","comment":null,"timestamp":"2026-01-02T03:04:05.000000Z","source":null,"external_id":null}"#;

    fn event(text: &str) -> EventMessage {
        match Received::parse(text).expect(text) {
            Received::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_event_is_typed_and_keeps_its_text() {
        let text = format!(
            r#"{{"skipped":2,"type":"ack_update","seq":5,"characteristic_id":7,"revision":4,"payload":{ACK}}}"#
        );
        let event = event(&text);
        assert_eq!((event.seq, event.revision, event.skipped, event.text()), (5, 4, 2, text.as_str()));
        assert!(matches!(event.payload, EventPayload::AckUpdate(ack) if ack.user.as_deref() == Some("Kim")));
    }

    #[test]
    fn an_unknown_field_is_ignored() {
        let payload = ACK.replacen('{', r#"{"mood":"calm","#, 1);
        let text = format!(
            r#"{{"type":"ack_update","shade":1,"seq":5,"characteristic_id":7,"revision":4,"payload":{payload}}}"#
        );
        assert!(matches!(event(&text).payload, EventPayload::AckUpdate(_)));
    }

    #[test]
    fn an_unknown_event_or_value_is_kept_raw_with_its_place() {
        for (name, payload) in [("weather", r#"{"a": 1.50}"#), ("control_limits", r#"{"method":"magic"}"#)] {
            let text = format!(
                r#"{{"type":"{name}","seq":5,"characteristic_id":7,"revision":4,"payload":{payload}}}"#
            );
            let event = event(&text);
            let EventPayload::Other { name: kept, raw } = &event.payload else { panic!("{event:?}") };
            assert_eq!((kept.as_str(), raw.get(), event.revision), (name, payload, 4));
        }
    }

    #[test]
    fn a_sample_of_a_later_version_is_still_no_alert() {
        for (name, is_alert) in [("sample", false), ("violation", true), ("episode", true)] {
            let text = format!(
                r#"{{"type":"{name}","seq":5,"characteristic_id":7,"revision":4,"payload":{{"new":1}}}}"#
            );
            assert_eq!(event(&text).is_alert(), is_alert, "{name}");
        }
    }

    #[test]
    fn a_snapshot_is_no_event() {
        let text = r#"{"type":"snapshot","characteristic_id":7,"seq":5,"revision":4,"payload":{"a": 1.50}}"#;
        let Ok(Received::Snapshot(snapshot)) = Received::parse(text) else { panic!("{text}") };
        assert_eq!((snapshot.characteristic_id.get(), snapshot.seq, snapshot.revision), (7, 5, 4));
        assert_eq!(snapshot.text(), text);
        assert!(matches!(snapshot.payload, SnapshotState::Other(raw) if raw.get() == r#"{"a": 1.50}"#));
    }

    #[test]
    fn the_state_in_a_snapshot_is_typed() {
        let definition = r#""id":7,"name":"Bore","key":null,"description":null,"chart":"i_mr","subgroup_size":1,"min_measurements":1,"unit":null,"decimals":null,"target":null,"usl":null,"lsl":null,"group":null,"tags":[],"auto_limits_after":null,"reaction_plan":null"#;
        let text = format!(
            r#"{{"type":"snapshot","characteristic_id":7,"seq":5,"revision":4,"payload":{{"characteristic":{{{definition},"rules":[],"created_at":"2026-01-02T03:04:05Z","retired":false}},"newest_sample":null,"control_limits":null,"alarm_state":"normal","open_violations":[],"open_total":2}}}}"#
        );
        let Ok(Received::Snapshot(snapshot)) = Received::parse(&text) else { panic!("{text}") };
        let SnapshotState::Known(state) = snapshot.payload else { panic!("{snapshot:?}") };
        assert_eq!((state.characteristic.id.get(), state.open_total), (7, 2));
    }

    #[test]
    fn what_the_server_says_keeps_its_text() {
        let text = r#"{"type":"resumed", "seq":9,"replayed":3,"mood":"calm"}"#;
        let Ok(Received::Server(said)) = Received::parse(text) else { panic!("{text}") };
        assert!(matches!(said.message, ServerMessage::Resumed { seq: 9, replayed: 3 }));
        assert_eq!(said.text(), text);
    }

    #[test]
    fn a_message_that_is_neither_is_kept_as_it_came() {
        for (name, rest) in [
            ("snapshot", r#""characteristic_id":7,"payload":{}"#),
            ("error", r#""code":"too_shiny","message":"slow down","request":null"#),
            ("sample", r#""seq":"later""#),
        ] {
            let text = format!(r#"{{"type":"{name}",{rest}}}"#);
            let other = Received::parse(&text).expect("understood");
            assert!(matches!(&other, Received::Other(o) if o.name == name && o.text() == text), "{other:?}");
        }
    }

    #[test]
    fn a_refusal_with_a_new_code_is_still_a_refusal() {
        let text = r#"{"type":"error","code":"too_shiny","message":"slow down","request":"subscribe"}"#;
        let Ok(Received::Other(other)) = Received::parse(text) else { panic!("{text}") };
        assert_eq!(other.refusal_of("subscribe").as_deref(), Some("slow down"));
        assert_eq!(other.refusal_of("ping"), None);
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        for text in ["", "{", "[]", r#"["sample"]"#, "7", "{}", r#"{"type":7}"#] {
            assert!(Received::parse(text).is_err(), "{text}");
        }
    }
}
