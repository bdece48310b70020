//! Who is connected, over REST; what is asked of a connection in its client's place; and violations that nobody has
//! confirmed.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::ids::{CharacteristicId, MAX_ID, ViolationId};
use crate::domain::rules::Severity;
use crate::protocol::json::Object;
use crate::protocol::schema::{GroupPath, Key, Text};
use crate::protocol::socket::{Chosen, Filter, Quality, Subscription, Unsubscription, check_groups};
use crate::protocol::time;

/// The number of a connection, as a path names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct ConnectionNumber(u64);

impl ConnectionNumber {
    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for ConnectionNumber {
    type Error = &'static str;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        let fits = (1..=MAX_ID as u64).contains(&number);
        fits.then_some(Self(number)).ok_or("a connection's number is from 1 to 9007199254740991")
    }
}

/// `GET /connections`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ConnectionQuery {
    /// Those of this login.
    pub user: Option<String>,
    /// Those whose newest round trip was like this.
    pub quality: Option<Quality>,
    /// Those that listen to this characteristic, be it by its id, by a group, or because they listen to all.
    pub characteristic_id: Option<CharacteristicId>,
    /// In place of `characteristic_id`: the integrator's own id.
    pub characteristic_key: Option<String>,
    /// Without it, by number.
    pub order: Option<ConnectionOrder>,
    /// How many to pass over.
    #[param(minimum = 0, maximum = 9007199254740991i64, default = 0)]
    pub offset: Option<u64>,
    /// How many to tell.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u64>,
}

/// Which connections come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionOrder {
    /// Those with the most bytes waiting.
    Queued,
    /// Those that have taken nothing for the longest time.
    Stalled,
}

/// How a client is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    Websocket,
    EventStream,
}

/// Where a client's events come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionFeed {
    /// It is told what happens as it happens.
    Live,
    /// It reads what it has missed; or nobody has said yet what it wants.
    Replaying,
}

/// What a client listens to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListeningView {
    /// How many are named.
    pub characteristics: u64,
    /// Those that are named; of more than 1,000 only so many.
    pub characteristic_ids: Vec<CharacteristicId>,
    pub groups: Vec<String>,
    pub all: bool,
}

/// One connection to this server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionView {
    pub connection_id: u64,
    /// The login, where there is one.
    pub user: Option<String>,
    /// Where it comes from.
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    pub transport: Transport,
    /// Whether what it gets is compressed.
    pub deflated: bool,
    #[serde(with = "time")]
    pub connected_at: DateTime<Utc>,
    pub subscriptions: ListeningView,
    pub state: ConnectionFeed,
    /// Of samples, only the newest of each characteristic waits.
    pub behind: bool,
    pub queued_frames: u64,
    pub queued_bytes: u64,
    /// How long it has taken nothing of what waits.
    pub stalled_ms: u64,
    /// The newest event written to it; 0 before the first.
    pub last_sent_seq: u64,
    /// Up to here it has confirmed; 0, if it confirms nothing.
    pub received_seq: u64,
    /// Events written to it.
    pub delivered: u64,
    /// Samples that newer ones took the place of, because it was slow.
    pub skipped_samples: u64,
    /// The newest round trip of a ping.
    pub latency_ms: Option<f64>,
    /// How much round trips differ from one to the next, smoothed.
    pub jitter_ms: Option<f64>,
    pub quality: Option<Quality>,
}

/// Body of `POST /connections/{id}/subscribe`: a `subscribe` message in the client's place.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(
    json!({"characteristic_ids": [1], "filter": {"types": ["violation"]}}),
    json!({"groups": ["plant/line4"], "snapshot": true})
))]
pub struct SubscribeRequest {
    pub characteristic_ids: Option<Vec<CharacteristicId>>,
    #[schema(value_type = Option<Vec<Key>>)]
    pub characteristic_keys: Option<Vec<String>>,
    #[schema(value_type = Option<Vec<GroupPath>>, max_items = 1000)]
    pub groups: Option<Vec<String>>,
    /// Every characteristic; stands alone.
    #[serde(default)]
    pub all: bool,
    /// The present state first.
    #[serde(default)]
    pub snapshot: bool,
    /// Events of the past, too.
    #[serde(default)]
    pub history: bool,
    #[schema(value_type = Option<Filter>)]
    pub filter: Option<Object<Filter>>,
}

impl SubscribeRequest {
    /// What is subscribed to, and the keys whose characteristics still have to be added.
    ///
    /// # Errors
    /// The sentence to be answered.
    pub fn subscription(self) -> Result<(Subscription, Vec<String>), String> {
        let Self { characteristic_ids: ids, characteristic_keys: keys, groups, .. } = self;
        let chosen = match (self.all, names_some(&ids, &keys, &groups)) {
            (true, false) => Chosen::All,
            (false, true) => Chosen::These(ids.unwrap_or_default()),
            _ => {
                let names = "characteristic_ids, characteristic_keys or groups, or else all: true";
                return Err(format!("say {names}"));
            }
        };
        let subscription = Subscription {
            chosen,
            groups: groups.unwrap_or_default(),
            since: None,
            snapshot: self.snapshot,
            history: self.history,
            filter: self.filter.map(|Object(filter)| filter),
        };
        subscription.check()?;
        Ok((subscription, keys.unwrap_or_default()))
    }
}

/// Body of `POST /connections/{id}/unsubscribe`: an `unsubscribe` message in the client's place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"characteristic_ids": [1]})))]
pub struct UnsubscribeRequest {
    pub characteristic_ids: Option<Vec<CharacteristicId>>,
    #[schema(value_type = Option<Vec<Key>>)]
    pub characteristic_keys: Option<Vec<String>>,
    /// As they were subscribed to.
    #[schema(value_type = Option<Vec<GroupPath>>, max_items = 1000)]
    pub groups: Option<Vec<String>>,
}

impl UnsubscribeRequest {
    /// What is left, and the keys whose characteristics still have to be added.
    ///
    /// # Errors
    /// The sentence to be answered.
    pub fn unsubscription(self) -> Result<(Unsubscription, Vec<String>), String> {
        let Self { characteristic_ids: ids, characteristic_keys: keys, groups } = self;
        if !names_some(&ids, &keys, &groups) {
            return Err("say characteristic_ids, characteristic_keys or groups".to_owned());
        }
        let groups = groups.unwrap_or_default();
        check_groups(&groups)?;
        Ok((Unsubscription { ids: ids.unwrap_or_default(), groups }, keys.unwrap_or_default()))
    }
}

fn names_some<T, U, V>(ids: &Option<T>, keys: &Option<U>, groups: &Option<V>) -> bool {
    ids.is_some() || keys.is_some() || groups.is_some()
}

/// Body of `POST /broadcast/test`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"severity": "WARNING", "message": "Does line 4 hear this?"})))]
pub struct TestRequest {
    /// Goes to who listens to this one; without it, to everybody.
    pub characteristic_id: Option<CharacteristicId>,
    /// In place of `characteristic_id`: the integrator's own id.
    #[schema(value_type = Option<Key>)]
    pub characteristic_key: Option<String>,
    pub severity: Severity,
    #[schema(value_type = Text)]
    pub message: String,
}

/// Answer of `POST /broadcast/test`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestedView {
    /// To how many it was said.
    pub connections: u64,
}

/// `GET /violations/unreceived`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct UnreceivedQuery {
    /// Those that have waited for at least so long; without it, the setting `broadcast.receipt_seconds`.
    #[param(minimum = 0, maximum = 4294967295i64)]
    pub for_seconds: Option<u32>,
    /// How many to pass over.
    #[param(minimum = 0, maximum = 9007199254740991i64, default = 0)]
    pub offset: Option<u64>,
    /// How many to tell.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u64>,
}

/// A violation that no connected client has confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UnreceivedView {
    pub violation_id: ViolationId,
    pub characteristic_id: CharacteristicId,
    /// The position of its event.
    pub seq: u64,
    pub rule_id: u32,
    pub severity: Severity,
    /// Since it could have been heard.
    pub age_seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(body: &str) -> Result<(Subscription, Vec<String>), String> {
        serde_json::from_str::<SubscribeRequest>(body).map_err(|error| error.to_string())?.subscription()
    }

    #[test]
    fn a_body_says_what_a_message_says() {
        let ids = vec![CharacteristicId::try_from(1).expect("positive")];
        let body = r#"{"characteristic_ids":[1],"characteristic_keys":["a"],"snapshot":true}"#;
        let these = Subscription::these(ids).with_snapshot();
        assert_eq!(subscription(body), Ok((these, vec!["a".to_owned()])));
        assert_eq!(subscription(r#"{"all":true}"#), Ok((Subscription::all(), vec![])));
        let groups = Subscription::groups(vec!["a/b".to_owned()]);
        assert_eq!(subscription(r#"{"groups":["a/b"]}"#), Ok((groups, vec![])));
        for bad in [
            "{}",
            r#"{"all":true,"groups":["a"]}"#,
            r#"{"groups":["a//b"]}"#,
            r#"{"characteristic_ids":[1],"filter":[["violation"]]}"#,
            r#"{"characteristic_ids":[1],"filter":{"sample_max_hz":0}}"#,
            r#"{"characteristic_ids":[1],"since":{"epoch":"e","seq":1}}"#,
        ] {
            assert!(subscription(bad).is_err(), "{bad}");
        }
    }
}
