//! The wire from the client's end: the text of what it says, and what it reads.
//!
//! Both sides only ever add, so a type, field or value that this version does not know is kept as text and is
//! never an error.

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::value::RawValue;

use crate::domain::ids::CharacteristicId;
use crate::protocol::event::EventKind;
use crate::protocol::payload::{AckUpdate, ControlLimitsView, SamplePayload, ViolationView};
use crate::protocol::socket::{Chosen, ClientMessage, ServerMessage, Subscription};
use crate::protocol::update::{CharacteristicUpdate, SampleUpdate, ViolationUpdate};

impl ClientMessage {
    /// The message as JSON text: what [`ClientMessage::parse`] reads.
    pub fn text(&self) -> String {
        let message = match self {
            Self::Subscribe(Subscription { chosen, history }) => {
                let mut message = match chosen {
                    Chosen::All => serde_json::json!({"type": "subscribe", "all": true}),
                    Chosen::These(ids) => serde_json::json!({"type": "subscribe", "characteristic_ids": ids}),
                };
                if *history {
                    message["history"] = true.into();
                }
                message
            }
            Self::Unsubscribe(ids) => serde_json::json!({"type": "unsubscribe", "characteristic_ids": ids}),
            Self::ByKey(message, keys) => {
                let mut message: serde_json::Value =
                    serde_json::from_str(&message.text()).expect("a message's own text is JSON");
                message["characteristic_keys"] = serde_json::json!(keys);
                message
            }
            Self::Ping(ping) => match &ping.t {
                Some(t) => serde_json::json!({"type": "ping", "t": t}),
                None => serde_json::json!({"type": "ping"}),
            },
            Self::Auth(token) => serde_json::json!({"type": "auth", "token": token}),
        };
        message.to_string()
    }
}

/// One message of the server.
#[derive(Debug, Clone)]
pub enum Received {
    /// A logged event.
    Event(EventMessage),
    /// What the server says besides events.
    Server(ServerMessage),
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
    /// A type, or a value within a known type, that this version does not know.
    Other { name: String, raw: Box<RawValue> },
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
            return Ok(Self::Server(message));
        }
        // A snapshot looks like an event but is none: it does not count as a revision.
        if name != "snapshot"
            && let Ok(fields) = serde_json::from_str::<EventFields>(text)
        {
            return Ok(Self::Event(fields.event(name, text)));
        }
        Ok(Self::Other(OtherMessage { name, text: text.into() }))
    }
}

impl EventMessage {
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
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::socket::Ping;

    const ACK: &str = r#"{"violation_id":3,"characteristic_id":7,"sample_id":9,"acknowledged":true,"user":"Kim","reason":"Tool Change","comment":null,"timestamp":"2026-01-02T03:04:05.000000Z","source":null,"external_id":null}"#;

    fn event(text: &str) -> EventMessage {
        match Received::parse(text).expect(text) {
            Received::Event(event) => event,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_client_says_is_what_the_server_reads() {
        let id = |id| CharacteristicId::try_from(id).expect("positive");
        let t = RawValue::from_string(r#"{"a":1.5}"#.to_owned()).expect("JSON");
        for message in [
            ClientMessage::Subscribe(Subscription::all()),
            ClientMessage::Subscribe(Subscription::these(vec![id(1), id(2)]).with_history()),
            ClientMessage::Unsubscribe(vec![id(2)]),
            ClientMessage::ByKey(Box::new(ClientMessage::Unsubscribe(vec![id(2)])), vec!["k".to_owned()]),
            ClientMessage::Ping(Ping::default()),
            ClientMessage::Ping(Ping { t: Some(t) }),
            ClientMessage::Auth("a \"token\"".to_owned()),
        ] {
            assert_eq!(ClientMessage::parse(&message.text()), Ok(message));
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
        for (name, payload) in [("episode", r#"{"a": 1.50}"#), ("control_limits", r#"{"method":"magic"}"#)] {
            let text = format!(
                r#"{{"type":"{name}","seq":5,"characteristic_id":7,"revision":4,"payload":{payload}}}"#
            );
            let event = event(&text);
            let EventPayload::Other { name: kept, raw } = &event.payload else { panic!("{event:?}") };
            assert_eq!((kept.as_str(), raw.get(), event.revision), (name, payload, 4));
        }
    }

    #[test]
    fn a_message_that_is_neither_is_kept_as_it_came() {
        for (name, rest) in [
            ("resumed", r#""seq":5,"replayed":2"#),
            ("snapshot", r#""characteristic_id":7,"seq":5,"revision":4,"payload":{}"#),
            ("error", r#""code":"rate_limited","message":"slow down","request":null"#),
            ("sample", r#""seq":"later""#),
        ] {
            let text = format!(r#"{{"type":"{name}",{rest}}}"#);
            let other = Received::parse(&text).expect("understood");
            assert!(matches!(&other, Received::Other(o) if o.name == name && o.text() == text), "{other:?}");
        }
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        for text in ["", "{", "[]", r#"["sample"]"#, "7", "{}", r#"{"type":7}"#] {
            assert!(Received::parse(text).is_err(), "{text}");
        }
    }
}
