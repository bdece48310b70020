//! What a client says: read from one text frame, or refused by name.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::refusal::{ErrorCode, Refusal};
use super::subscription::{Chosen, Filter, Position, Subscription, Unsubscription, check_groups};
use crate::domain::ids::{CharacteristicId, MAX_ID};
use crate::protocol::json::Object;
use crate::protocol::problem::{in_words_of_json, shortened};

/// What a client asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientMessage {
    /// Add these characteristics.
    Subscribe(Subscription),
    /// Leave these characteristics.
    Unsubscribe(Unsubscription),
    /// One of those two, to which the characteristics with these keys still have to be [added](Self::with).
    ByKey(Box<Self>, Vec<String>),
    /// Answer with `pong`.
    Ping(Ping),
    /// A token, as the first message.
    Auth(String),
    /// Everything up to this position was processed.
    Received(u64),
    /// Answer with how this connection is.
    Status,
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
            "subscribe" => fields(text).and_then(SubscribeFields::message),
            "unsubscribe" => fields(text).and_then(UnsubscribeFields::message),
            "ping" => fields(text).and_then(PingFields::ping).map(Self::Ping),
            "received" => fields(text).and_then(ReceivedFields::message),
            "status" => fields(text).map(|StatusFields { .. }| Self::Status),
            "auth" => serde_json::from_str(text)
                .map(|auth: AuthFields| Self::Auth(auth.token))
                .map_err(|_| "auth needs a `token`".to_owned()), // the text may hold the token: do not quote it
            _ => {
                let message = "types are: subscribe, unsubscribe, received, ping, status, auth".to_owned();
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
            Self::Received(_) => "received",
            Self::Status => "status",
        }
    }

    /// The same for more characteristics.
    #[must_use]
    pub fn with(mut self, more: Vec<CharacteristicId>) -> Self {
        if let Self::Subscribe(Subscription { chosen: Chosen::These(ids), .. })
        | Self::Unsubscribe(Unsubscription { ids, .. }) = &mut self
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

fn fields<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| in_words_of_json(&error))
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
    groups: Option<Vec<String>>,
    #[serde(default)]
    all: bool,
    since: Option<Object<Position>>,
    #[serde(default)]
    snapshot: bool,
    #[serde(default)]
    history: bool,
    filter: Option<Object<Filter>>,
}

impl SubscribeFields {
    fn message(self) -> Result<ClientMessage, String> {
        let Self { characteristic_ids: many, characteristic_id: one, characteristic_keys: keys, .. } = self;
        let chosen = match (self.all, &many, &one, &keys, &self.groups) {
            (true, None, None, None, None) => Chosen::All,
            (true, ..) => {
                let names = "characteristic_ids, characteristic_keys or groups";
                return Err(format!("`all` stands alone, without {names}"));
            }
            (false, ..) => Chosen::These(named_ids(many, one, keys.is_some() || self.groups.is_some())?),
        };
        let subscription = Subscription {
            chosen,
            groups: self.groups.unwrap_or_default(),
            since: self.since.map(|Object(since)| since),
            snapshot: self.snapshot,
            history: self.history,
            filter: self.filter.map(|Object(filter)| filter),
        };
        subscription.check()?;
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
    groups: Option<Vec<String>>,
}

impl UnsubscribeFields {
    fn message(self) -> Result<ClientMessage, String> {
        let Self { characteristic_ids: many, characteristic_id: one, characteristic_keys: keys, .. } = self;
        let ids = named_ids(many, one, keys.is_some() || self.groups.is_some())?;
        let groups = self.groups.unwrap_or_default();
        check_groups(&groups)?;
        Ok(ClientMessage::Unsubscribe(Unsubscription { ids, groups }).by_key(keys))
    }
}

fn named_ids(
    many: Option<Vec<CharacteristicId>>,
    one: Option<CharacteristicId>,
    has_others: bool,
) -> Result<Vec<CharacteristicId>, String> {
    match (many, one) {
        (None, None) if has_others => Ok(Vec::new()),
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
struct ReceivedFields {
    #[serde(rename = "type", alias = "action")]
    _kind: IgnoredAny,
    seq: u64,
}

impl ReceivedFields {
    fn message(self) -> Result<ClientMessage, String> {
        let fits = self.seq <= MAX_ID as u64;
        fits.then_some(ClientMessage::Received(self.seq))
            .ok_or_else(|| "`seq` is at most 9007199254740991".to_owned())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusFields {
    #[serde(rename = "type", alias = "action")]
    _kind: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthFields {
    #[serde(rename = "type", alias = "action")]
    _kind: IgnoredAny,
    token: String,
}
