//! What the server says, besides events and snapshots.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::de;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::{self, RawValue};

use super::refusal::{ErrorCode, Refusal};
use crate::domain::ids::CharacteristicId;
use crate::domain::rules::Severity;
use crate::protocol::time;

/// What the server says, besides events and snapshots.
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
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        groups: Vec<String>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        all: bool,
        /// Where `since` was given: whether everything after it comes. If not, snapshots do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recovered: Option<bool>,
        epoch: String,
        /// What is told after this position comes.
        seq: u64,
        /// The revision that the next event of each characteristic follows.
        #[serde(deserialize_with = "revisions")]
        revisions: BTreeMap<i64, u64>,
    },
    /// No more events of these.
    Unsubscribed {
        characteristic_ids: Vec<CharacteristicId>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        groups: Vec<String>,
    },
    /// Everything that was missed has been told; from here on it comes as it happens.
    Resumed {
        /// What the connection's shard has processed.
        seq: u64,
        /// Events that were told again or late.
        replayed: u64,
    },
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
    /// How this connection is.
    Status { payload: StatusView },
    /// Somebody tries whether messages arrive. Never logged or counted.
    Test { payload: TestView },
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

/// How a connection is, for its client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusView {
    pub connection_id: u64,
    /// Characteristics named, and one for each group and for all.
    pub subscriptions: u64,
    /// Frames that wait to be written.
    pub queued: u64,
    /// Samples that newer ones took the place of, because the client was slow.
    pub skipped_samples: u64,
    /// The newest round trip of a ping; null before the first.
    pub latency_ms: Option<f64>,
    /// Null before the first round trip.
    pub quality: Option<Quality>,
}

/// How good a connection is, by its latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// Below 20 ms.
    Excellent,
    /// Below 50 ms.
    Good,
    /// Below 100 ms.
    Fair,
    /// Below 200 ms.
    Poor,
    /// Slower still.
    Critical,
}

impl Quality {
    /// The word for a latency.
    pub fn of(latency_ms: f64) -> Self {
        match latency_ms {
            ms if ms < 20.0 => Self::Excellent,
            ms if ms < 50.0 => Self::Good,
            ms if ms < 100.0 => Self::Fair,
            ms if ms < 200.0 => Self::Poor,
            _ => Self::Critical,
        }
    }
}

/// A message that somebody sends to see whether it arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestView {
    pub characteristic_id: Option<CharacteristicId>,
    pub severity: Severity,
    pub message: String,
    pub user: Option<String>,
    #[serde(with = "time")]
    pub timestamp: DateTime<Utc>,
}

impl From<Refusal> for ServerMessage {
    fn from(refusal: Refusal) -> Self {
        let Refusal { code, message, request } = refusal;
        Self::Error { code, message, request }
    }
}

impl ServerMessage {
    /// Its `type`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Welcome { .. } => "welcome",
            Self::AuthOk => "auth_ok",
            Self::AuthError { .. } => "auth_error",
            Self::Subscribed { .. } => "subscribed",
            Self::Unsubscribed { .. } => "unsubscribed",
            Self::Resumed { .. } => "resumed",
            Self::Pong { .. } => "pong",
            Self::Heartbeat { .. } => "heartbeat",
            Self::Status { .. } => "status",
            Self::Test { .. } => "test",
            Self::Error { .. } => "error",
        }
    }

    /// The message as JSON text.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("names and finite numbers always encode")
    }
}
