//! WebSocket messages, both ways, except the logged events themselves (`protocol::event`).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::de::{self, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::{self, RawValue};

use crate::domain::ids::CharacteristicId;
use crate::protocol::problem::{in_words_of_json, shortened};
use crate::protocol::time;

/// Why a client's message was refused; the connection stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Not a JSON object.
    InvalidJson,
    /// No type, or one that is not known.
    UnknownType,
    /// A field that is missing, wrong, unknown or not built yet; the message names it.
    InvalidField,
    /// More subscriptions than one client may have.
    TooManySubscriptions,
    /// Not for this client.
    Forbidden,
}

impl ErrorCode {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::UnknownType => "unknown_type",
            Self::InvalidField => "invalid_field",
            Self::TooManySubscriptions => "too_many_subscriptions",
            Self::Forbidden => "forbidden",
        }
    }
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientMessage {
    /// Add these characteristics.
    Subscribe(Subscription),
    /// Leave these characteristics.
    Unsubscribe(Vec<CharacteristicId>),
    /// One of those two, to which the characteristics with these keys still have to be [added](Self::with).
    ByKey(Box<Self>, Vec<String>),
    /// Answer with `pong`.
    Ping(Ping),
    /// A token, as the first message.
    Auth(String),
}

/// What a `subscribe` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Whose events.
    pub chosen: Chosen,
    /// Events of the past, too.
    pub history: bool,
}

/// What a `subscribe` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// These ones; ids that do not exist (yet) are fine.
    These(Vec<CharacteristicId>),
    /// Every characteristic, later ones included.
    All,
}

impl Subscription {
    /// What happens to these characteristics.
    pub const fn these(ids: Vec<CharacteristicId>) -> Self {
        Self { chosen: Chosen::These(ids), history: false }
    }

    /// What happens to every characteristic.
    pub const fn all() -> Self {
        Self { chosen: Chosen::All, history: false }
    }

    /// The same with the events of the past.
    #[must_use]
    pub fn with_history(self) -> Self {
        Self { history: true, ..self }
    }
}

/// The most bytes that a ping gets back.
const MAX_ECHO_BYTES: usize = 1_024;

/// An application ping.
#[derive(Debug, Clone, Default)]
pub struct Ping {
    /// Whatever the client put there, given back.
    pub t: Option<Box<RawValue>>,
}

impl PartialEq for Ping {
    fn eq(&self, other: &Self) -> bool {
        self.t.as_ref().map(|t| t.get()) == other.t.as_ref().map(|t| t.get())
    }
}

/// A message that is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The contract's code.
    pub code: ErrorCode,
    /// What was wrong and what would be right.
    pub message: String,
    /// The `type` of the refused message, where it could be read.
    pub request: Option<String>,
}

impl ClientMessage {
    /// Reads one text frame.
    ///
    /// # Errors
    /// [`Refusal`], ready to be answered.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        // Serde would also read a struct from an array.
        if !text.trim_start().starts_with('{') {
            return Err(Refusal::not_json("a message is a JSON object".to_owned()));
        }
        let peek: Peek = serde_json::from_str(text).map_err(|e| Refusal::unreadable(&e))?;
        let Some(request) = peek.kind else {
            let message = "a message needs a `type`".to_owned();
            return Err(Refusal { code: ErrorCode::UnknownType, message, request: None });
        };
        let parsed = match request.as_str() {
            "subscribe" => serde_json::from_str(text)
                .map_err(|e| in_words_of_json(&e))
                .and_then(SubscribeFields::message),
            "unsubscribe" => serde_json::from_str(text)
                .map_err(|e| in_words_of_json(&e))
                .and_then(UnsubscribeFields::message),
            "ping" => serde_json::from_str(text)
                .map_err(|e| in_words_of_json(&e))
                .and_then(PingFields::ping)
                .map(Self::Ping),
            "auth" => serde_json::from_str(text)
                .map(|auth: AuthFields| Self::Auth(auth.token))
                .map_err(|_| "auth needs a `token`".to_owned()), // the text may hold the token: do not quote it
            _ => {
                let message = "types are: subscribe, unsubscribe, ping, auth".to_owned();
                let request = Some(request.chars().take(64).collect());
                return Err(Refusal { code: ErrorCode::UnknownType, message, request });
            }
        };
        parsed.map_err(|message| {
            let (code, message) = (ErrorCode::InvalidField, shortened(message));
            Refusal { code, message, request: Some(request) }
        })
    }

    /// Its `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ByKey(message, _) => message.name(),
            Self::Subscribe(_) => "subscribe",
            Self::Unsubscribe(_) => "unsubscribe",
            Self::Ping(_) => "ping",
            Self::Auth(_) => "auth",
        }
    }

    /// The same for more characteristics.
    #[must_use]
    pub fn with(mut self, more: Vec<CharacteristicId>) -> Self {
        if let Self::Subscribe(Subscription { chosen: Chosen::These(ids), .. }) | Self::Unsubscribe(ids) =
            &mut self
        {
            ids.extend(more);
        }
        self
    }

    fn by_key(self, keys: Option<Vec<String>>) -> Self {
        match keys {
            Some(keys) => Self::ByKey(Box::new(self), keys),
            None => self,
        }
    }
}

impl Refusal {
    fn unreadable(error: &serde_json::Error) -> Self {
        if error.classify() == serde_json::error::Category::Data {
            let message = in_words_of_json(error);
            return Self { code: ErrorCode::InvalidField, message, request: None };
        }
        Self::not_json(in_words_of_json(error))
    }

    fn not_json(message: String) -> Self {
        Self { code: ErrorCode::InvalidJson, message, request: None }
    }
}

#[derive(Deserialize)]
struct Peek {
    #[serde(rename = "type", alias = "action")]
    kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubscribeFields {
    #[serde(rename = "type", alias = "action")]
    _kind: IgnoredAny,
    characteristic_ids: Option<Vec<CharacteristicId>>,
    characteristic_id: Option<CharacteristicId>,
    characteristic_keys: Option<Vec<String>>,
    #[serde(default)]
    all: bool,
    #[serde(default)]
    history: bool,
}

impl SubscribeFields {
    fn message(self) -> Result<ClientMessage, String> {
        let Self { characteristic_ids: many, characteristic_id: one, characteristic_keys: keys, .. } = self;
        let chosen = match (self.all, &many, &one, &keys) {
            (true, None, None, None) => Chosen::All,
            (true, ..) => {
                return Err(
                    "`all` stands alone, without characteristic_ids or characteristic_keys".to_owned()
                );
            }
            (false, ..) => Chosen::These(named_ids(many, one, keys.is_some())?),
        };
        let subscription = Subscription { chosen, history: self.history };
        Ok(ClientMessage::Subscribe(subscription).by_key(keys))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnsubscribeFields {
    #[serde(rename = "type", alias = "action")]
    _kind: IgnoredAny,
    characteristic_ids: Option<Vec<CharacteristicId>>,
    characteristic_id: Option<CharacteristicId>,
    characteristic_keys: Option<Vec<String>>,
}

impl UnsubscribeFields {
    fn message(self) -> Result<ClientMessage, String> {
        let Self { characteristic_ids: many, characteristic_id: one, characteristic_keys: keys, .. } = self;
        let ids = named_ids(many, one, keys.is_some())?;
        Ok(ClientMessage::Unsubscribe(ids).by_key(keys))
    }
}

fn named_ids(
    many: Option<Vec<CharacteristicId>>,
    one: Option<CharacteristicId>,
    has_keys: bool,
) -> Result<Vec<CharacteristicId>, String> {
    match (many, one) {
        (None, None) if has_keys => Ok(Vec::new()),
        (Some(ids), None) => Ok(ids),
        (None, Some(id)) => Ok(vec![id]),
        (Some(_), Some(_)) => Err("give characteristic_ids or characteristic_id, not both".to_owned()),
        (None, None) => Err("missing field `characteristic_ids`".to_owned()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PingFields {
    #[serde(rename = "type", alias = "action")]
    _kind: IgnoredAny,
    t: Option<Box<RawValue>>,
}

impl PingFields {
    fn ping(self) -> Result<Ping, String> {
        let fits = self.t.as_ref().is_none_or(|t| t.get().len() <= MAX_ECHO_BYTES);
        fits.then_some(Ping { t: self.t }).ok_or_else(|| "`t` may have at most 1024 bytes".to_owned())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthFields {
    #[serde(rename = "type", alias = "action")]
    _kind: IgnoredAny,
    token: String,
}

/// What the server says, besides events.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// First words on a connection that may listen.
    Welcome { payload: Welcome },
    /// The token is good.
    AuthOk,
    /// It is not; 4001 follows.
    AuthError { message: String },
    /// From here on, events of these characteristics come.
    Subscribed {
        characteristic_ids: Vec<CharacteristicId>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        all: bool,
        epoch: String,
        /// What the connection's shard has processed.
        seq: u64,
        /// The revision that the next event of each characteristic follows.
        #[serde(deserialize_with = "revisions")]
        revisions: BTreeMap<i64, u64>,
    },
    /// No more events of these.
    Unsubscribed { characteristic_ids: Vec<CharacteristicId> },
    /// Answer to an application ping.
    Pong {
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "echo")]
        t: Option<Box<RawValue>>,
        #[serde(with = "time")]
        server_time: DateTime<Utc>,
        seq: u64,
    },
    /// A sign of life with positions.
    Heartbeat {
        epoch: String,
        /// What the connection's shard has processed.
        seq: u64,
        /// The last event written to this client; 0 before the first.
        last_sent_seq: u64,
        /// The end of the log as this node knows it.
        head_seq: u64,
        #[serde(with = "time")]
        server_time: DateTime<Utc>,
    },
    /// A message was refused.
    Error { code: ErrorCode, message: String, request: Option<String> },
}

/// Within a tagged enum serde reads neither numbers as names nor raw text: both are read as plain JSON.
fn revisions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<i64, u64>, D::Error> {
    let named = BTreeMap::<String, u64>::deserialize(deserializer)?;
    let entry = |(id, revision): (String, u64)| Ok((id.parse().map_err(de::Error::custom)?, revision));
    named.into_iter().map(entry).collect()
}

fn echo<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    let echo = Option::<serde_json::Value>::deserialize(deserializer)?;
    echo.map(|echo| value::to_raw_value(&echo)).transpose().map_err(de::Error::custom)
}

/// Who the client is connected to, and from where it counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    pub connection_id: u64,
    pub protocol: u32,
    pub epoch: String,
    pub seq: u64,
    pub heartbeat_seconds: f64,
    #[serde(with = "time")]
    pub server_time: DateTime<Utc>,
    pub user: Option<String>,
}

impl From<Refusal> for ServerMessage {
    fn from(refusal: Refusal) -> Self {
        let Refusal { code, message, request } = refusal;
        Self::Error { code, message, request }
    }
}

impl ServerMessage {
    /// The message as JSON text.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("names and finite numbers always encode")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(id: i64) -> CharacteristicId {
        CharacteristicId::try_from(id).expect("positive")
    }

    fn code(text: &str) -> Option<ErrorCode> {
        ClientMessage::parse(text).err().map(|r| r.code)
    }

    #[test]
    fn older_clients_say_action_and_a_single_id() {
        let these = Ok(ClientMessage::Subscribe(Subscription::these(vec![id(7)])));
        assert_eq!(ClientMessage::parse(r#"{"type":"subscribe","characteristic_ids":[7]}"#), these);
        assert_eq!(ClientMessage::parse(r#"{"action":"subscribe","characteristic_id":7}"#), these);
    }

    #[test]
    fn characteristics_are_named_by_id_by_key_or_by_both() {
        let keyed = |message| Ok(ClientMessage::ByKey(Box::new(message), vec!["k".to_owned()]));
        let parse = |fields: &str| {
            ClientMessage::parse(&format!(r#"{{"type":"subscribe","characteristic_keys":["k"]{fields}}}"#))
        };
        let these = |ids| ClientMessage::Subscribe(Subscription::these(ids));
        assert_eq!(parse(""), keyed(these(vec![])));
        assert_eq!(parse(r#","characteristic_ids":[7]"#), keyed(these(vec![id(7)])));
        assert!(parse(r#","all":true"#).is_err());
        let leave = ClientMessage::parse(r#"{"type":"unsubscribe","characteristic_keys":["k"]}"#);
        assert_eq!(leave, keyed(ClientMessage::Unsubscribe(vec![])));
        assert_eq!(these(vec![id(1)]).with(vec![id(2)]), these(vec![id(1), id(2)]));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert_eq!(code("{"), Some(ErrorCode::InvalidJson));
        assert_eq!(code("[1]"), Some(ErrorCode::InvalidJson));
        assert_eq!(code("7"), Some(ErrorCode::InvalidJson));
        assert_eq!(code("{}"), Some(ErrorCode::UnknownType));
        assert_eq!(code(r#"{"type":"dance"}"#), Some(ErrorCode::UnknownType));
        assert_eq!(code(r#"{"type":7}"#), Some(ErrorCode::InvalidField));
        assert_eq!(code(r#"{"type":"subscribe"}"#), Some(ErrorCode::InvalidField));
        assert_eq!(code(r#"{"type":"ping","type":"ping"}"#), Some(ErrorCode::InvalidField));
    }

    #[test]
    fn a_field_that_is_not_built_yet_is_refused_by_name() {
        for field in ["since", "snapshot", "filter", "groups"] {
            let text = format!(r#"{{"type":"subscribe","characteristic_ids":[1],"{field}":true}}"#);
            let refusal = ClientMessage::parse(&text).expect_err("not built yet");
            assert_eq!(refusal.code, ErrorCode::InvalidField);
            assert!(refusal.message.contains(field), "{}", refusal.message);
        }
    }

    #[test]
    fn ids_that_cannot_be_are_refused() {
        for bad in ["-1", "0", "1.5", "9007199254740992", "\"1\"", "1e999", "null"] {
            let text = format!(r#"{{"type":"subscribe","characteristic_ids":[{bad}]}}"#);
            assert!(code(&text).is_some(), "{bad}");
        }
    }

    #[test]
    fn what_the_server_says_can_be_read_back() {
        for text in [
            r#"{"type":"subscribed","characteristic_ids":[7],"epoch":"e","seq":3,"revisions":{"7":2}}"#,
            r#"{"type":"pong","t":{"a":1.5},"server_time":"2026-01-02T03:04:05.000000Z","seq":3}"#,
            r#"{"type":"pong","server_time":"2026-01-02T03:04:05.000000Z","seq":3}"#,
        ] {
            assert_eq!(serde_json::from_str::<ServerMessage>(text).expect(text).text(), text);
        }
    }

    #[test]
    fn a_refused_auth_does_not_repeat_the_token() {
        let refusal = ClientMessage::parse(r#"{"type":"auth","token":["s3cret"]}"#).expect_err("no text");
        assert!(!refusal.message.contains("s3cret"));
    }
}
