//! From the bus to connected clients.
//!
//! Each worker thread has a [shard](Shard) that owns its connections and their subscriptions: one map, one
//! owner, no lock. A shard is one subscriber of the bus; it looks up who listens and offers each the same
//! encoded frame. It never waits for a client: one whose queue is full is let go.
//!
//! Knows the bus and the wire; knows nothing of HTTP, of the store or of actix. What it needs from the log it
//! states as [`History`], what from the catalog as [`Keys`].

mod keys;
mod outbox;
mod session;
mod shard;
mod subscriptions;
mod withheld;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use serde::Deserialize;
use tokio::sync::{mpsc, watch};

pub use keys::{Keys, KeysError, KnownKeys};
pub use outbox::{Inbox, Offer, Outbox, Outgoing, Room, Waiting, outbox};
pub use session::{Session, Step};
pub use shard::{Shard, ShardHandle, ShardStopped};
pub use subscriptions::ConnectionId;

use crate::bus::EventBus;
use crate::domain::ids::CharacteristicId;
use crate::metrics::{self, Metrics};
use crate::protocol::event::LoggedEvent;

/// How clients are served.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Frames that may wait for one client before it is let go.
    pub queue_frames: usize,
    /// Bytes of replies that may wait for one client before it is let go.
    pub queue_reply_bytes: usize,
    /// Characteristics that one client may name.
    pub subscriptions_per_client: usize,
    /// Requests of sessions that may wait for a shard.
    pub shard_requests: usize,
    /// How often a client hears from the server at least.
    pub heartbeat_seconds: f64,
    /// How often a client is pinged.
    pub ping_interval_ms: u64,
    /// How long a client may stay silent before it is let go.
    pub pong_timeout_ms: u64,
    /// How long a client may take to say who it is, where tokens are required.
    pub auth_timeout_ms: u64,
    /// The largest message of a client.
    pub message_bytes: usize,
    /// Events read at once by a shard that fell off the ring.
    pub page_events: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            queue_frames: 8_192,
            queue_reply_bytes: 4 << 20,
            subscriptions_per_client: 20_000,
            shard_requests: 1_024,
            heartbeat_seconds: 15.0,
            ping_interval_ms: 20_000,
            pong_timeout_ms: 30_000,
            auth_timeout_ms: 10_000,
            message_bytes: 1 << 20,
            page_events: 500,
        }
    }
}

/// Settings that cannot work together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No time span.
    #[error("broadcast.heartbeat_seconds must be from 0.01 to 86400")]
    Heartbeat,
    /// Clients would be let go before they are asked.
    #[error("broadcast.ping_interval_ms must be at least 1 and smaller than broadcast.pong_timeout_ms")]
    PingInterval,
}

impl Settings {
    /// # Errors
    /// [`SettingsError`], naming the setting.
    pub fn check(&self) -> Result<(), SettingsError> {
        if !(0.01..=86_400.0).contains(&self.heartbeat_seconds) {
            return Err(SettingsError::Heartbeat);
        }
        if !(1..self.pong_timeout_ms).contains(&self.ping_interval_ms) {
            return Err(SettingsError::PingInterval);
        }
        Ok(())
    }
}

/// Why events could not be read from the log.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// They are not there any more: retention has passed the position.
    #[error("events up to position {floor} were removed from the log")]
    Removed {
        /// Events up to here are gone.
        floor: u64,
    },
    /// Not now.
    #[error("could not read the event log")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What a shard needs from the event log: the events it missed, or, where they are gone, where to go on.
#[async_trait]
pub trait History: Send + Sync {
    /// Up to `limit` events after a position, in order; empty at the end of the log.
    ///
    /// # Errors
    /// [`HistoryError`], if it cannot be read now.
    async fn page(&self, after: u64, limit: u32) -> Result<Vec<Arc<LoggedEvent>>, HistoryError>;

    /// The newest revision of every characteristic, as of a position of the log.
    ///
    /// # Errors
    /// [`HistoryError`], if it cannot be read now.
    async fn revisions(&self) -> Result<(u64, Vec<(CharacteristicId, u64)>), HistoryError>;
}

/// Where the log stands when broadcasting begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// The name of the log.
    pub epoch: String,
    /// The position of the newest event.
    pub seq: u64,
    /// The newest revision of every characteristic, as of that position.
    pub revisions: Vec<(CharacteristicId, u64)>,
}

/// Makes the shards, and gives connections their numbers. Cheap to clone.
#[derive(Clone)]
pub struct Broadcaster {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    bus: EventBus<Arc<LoggedEvent>>,
    history: Arc<dyn History>,
    keys: Arc<dyn Keys>,
    head: watch::Receiver<u64>,
    metrics: Metrics,
    start: Start,
    next_connection: AtomicU64,
}

/// What a broadcaster is made of.
pub struct Parts {
    /// Where events come from.
    pub bus: EventBus<Arc<LoggedEvent>>,
    /// Where missed events are read.
    pub history: Arc<dyn History>,
    /// Where the keys of characteristics are looked up.
    pub keys: Arc<dyn Keys>,
    /// The position of the newest event in the log.
    pub head: watch::Receiver<u64>,
    /// Where things are counted.
    pub metrics: Metrics,
    /// Where the log stands.
    pub start: Start,
}

impl Broadcaster {
    /// A broadcaster for events after `parts.start`.
    pub fn new(settings: Settings, parts: Parts) -> Self {
        let Parts { bus, history, keys, head, metrics, start } = parts;
        let next_connection = AtomicU64::new(1);
        let shared = Shared { settings, bus, history, keys, head, metrics, start, next_connection };
        Self { shared: Arc::new(shared) }
    }

    /// A shard that has seen the log up to the start, and the handle for its sessions.
    pub fn shard(&self, name: String) -> (Shard, ShardHandle) {
        let Shared { settings, bus, history, head, metrics, start, .. } = &*self.shared;
        // A shard made so late that the ring has lost the start reads the log first.
        let of_shard = metrics::Shard { shard: name.as_str().into() };
        let in_queues = Waiting {
            frames: metrics.client_queue_frames.get_or_create_owned(&of_shard),
            bytes: metrics.client_queue.get_or_create_owned(&of_shard),
        };
        let from_start = bus.subscribe_from(name.as_str(), start.seq + 1);
        let cursor = from_start.unwrap_or_else(|_| bus.subscribe_cursor(name));
        let (requests, waiting) = mpsc::channel(settings.shard_requests.max(1));
        let processed = Arc::new(AtomicU64::new(start.seq));
        let shard = Shard::new(shard::Parts {
            settings: settings.clone(),
            cursor,
            history: Arc::clone(history),
            metrics: metrics.clone(),
            start: start.clone(),
            requests: waiting,
            processed: Arc::clone(&processed),
        });
        (shard, ShardHandle::new(requests, processed, head.clone(), &start.epoch, in_queues))
    }

    /// The number of a new connection.
    pub fn next_connection_id(&self) -> ConnectionId {
        ConnectionId(self.shared.next_connection.fetch_add(1, Ordering::Relaxed))
    }

    /// The keys of a new connection.
    pub fn known_keys(&self) -> KnownKeys {
        KnownKeys::new(Arc::clone(&self.shared.keys), self.shared.settings.subscriptions_per_client)
    }

    /// How clients are served.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Where things are counted.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }
}
