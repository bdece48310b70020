//! Makes the shards, gives connections their numbers, and reaches every shard from any thread.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::StreamExt as _;
use futures_util::future::ready;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::connection::{About, Connection, Shared};
use super::encoding::Encoding;
use super::keys::KnownKeys;
use super::local::Local;
use super::ports::{Catalog, History};
use super::pulse::Pulse;
use super::receipts::{Receipts, Unreceived};
use super::seat::{Desk, Outflow, Seat};
use super::settings::Settings;
use super::shard::{
    Beginning, ConnectionState, Order, OrderError, Orders, Shard, ShardTask, Wanted, wants_catalog,
};
use super::snapshots::Snapshots;
use super::subscriptions::ConnectionId;
use super::tally::Tally;
use crate::bus::EventBus;
use crate::clock::{self, Clock};
use crate::domain::ids::CharacteristicId;
use crate::error_chain::error_chain;
use crate::metrics::{self, Metrics};
use crate::protocol::event::LoggedEvent;
use crate::protocol::socket::{Subscription, TestView, Unsubscription};

/// Characteristics that a connection names when it is looked at, at most.
const NAMED: usize = 1_000;

/// Where the log stands when broadcasting begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// The name of the log.
    pub epoch: String,
    /// The position of the newest event.
    pub seq: u64,
    /// The newest revision of every characteristic, as of that position.
    pub revisions: Vec<(CharacteristicId, u64)>,
    /// The group of every characteristic, as of that position or later.
    pub groups: Vec<(CharacteristicId, Option<String>)>,
}

/// What a broadcaster is made of.
pub struct Parts {
    /// Where events come from.
    pub bus: EventBus<Arc<LoggedEvent>>,
    /// Where missed events and the present state are read.
    pub history: Arc<dyn History>,
    /// Where keys and groups of characteristics are looked up.
    pub catalog: Arc<dyn Catalog>,
    /// The position of the newest event in the log.
    pub head: watch::Receiver<u64>,
    /// What time it is.
    pub clock: Clock,
    /// Where things are counted.
    pub metrics: Metrics,
    /// Where the log stands.
    pub start: Start,
}

/// Makes the shards and reaches them. Cheap to clone; may go to any thread.
#[derive(Clone)]
pub struct Broadcaster {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Arc<Settings>,
    parts: Parts,
    snapshots: Arc<Snapshots>,
    receipts: Arc<Receipts>,
    readers: Arc<Semaphore>,
    next_connection: Arc<AtomicU64>,
    /// The ways to the shards: written when a worker starts, cloned when somebody asks.
    orders: Mutex<Vec<Orders>>,
}

impl Broadcaster {
    /// A broadcaster for events after `parts.start`.
    pub fn new(settings: Settings, parts: Parts) -> Self {
        let readers = Arc::new(Semaphore::new(settings.readers.max(1)));
        let kept = NonZeroUsize::new(settings.cached_snapshots).unwrap_or(NonZeroUsize::MIN);
        let (history, metrics) = (Arc::clone(&parts.history), parts.metrics.clone());
        let snapshots = Arc::new(Snapshots::new(history, Arc::clone(&readers), metrics, kept));
        let inner = Inner {
            settings: Arc::new(settings),
            parts,
            snapshots,
            receipts: Arc::default(),
            readers,
            next_connection: Arc::new(AtomicU64::new(1)),
            orders: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A shard that has seen the log up to the start, and the handle for its sockets: both stay on this thread.
    pub fn shard(&self, name: String) -> (ShardTask, ShardHandle) {
        let Inner { settings, parts, snapshots, receipts, readers, .. } = &*self.inner;
        let Parts { bus, history, catalog, head, clock, metrics, start } = parts;
        let local = Rc::new(Local {
            settings: Arc::clone(settings),
            epoch: start.epoch.as_str().into(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            waiting: metrics.waiting(&metrics::Shard { shard: name.as_str().into() }),
            head: head.clone(),
            processed: Cell::new(start.seq),
            tally: RefCell::new(Tally::default()),
            dirty: RefCell::default(),
            is_pressed: Cell::new(false),
            scratch: RefCell::new(BytesMut::new()),
        });
        // A shard made so late that the ring has lost the start reads the log first.
        let from_start = bus.subscribe_from(name.as_str(), start.seq + 1);
        let cursor = from_start.unwrap_or_else(|_| bus.subscribe_cursor(name));
        let beginning = Beginning {
            position: start.seq,
            revisions: start.revisions.clone(),
            groups: start.groups.clone(),
        };
        let shared = (Arc::clone(snapshots), Arc::clone(receipts));
        let shard = Shard::new(Rc::clone(&local), bus.clone(), shared, beginning);
        let shard = Rc::new(RefCell::new(shard));
        let (orders, received) = mpsc::channel(settings.shard_orders.max(1));
        self.inner.orders.lock().unwrap_or_else(PoisonError::into_inner).push(orders);
        let ports = (Arc::clone(history), Arc::clone(catalog));
        let task = ShardTask::new((Rc::clone(&shard), Rc::clone(&local)), cursor, ports, received);
        let desk = Desk {
            shard,
            local,
            history: Arc::clone(history),
            catalog: Arc::clone(catalog),
            snapshots: Arc::clone(snapshots),
            readers: Arc::clone(readers),
            groups_learned: Rc::default(),
        };
        (task, ShardHandle { desk, next_connection: Arc::clone(&self.inner.next_connection) })
    }

    /// The keys of a new connection.
    pub fn known_keys(&self) -> KnownKeys {
        KnownKeys::new(Arc::clone(&self.inner.parts.catalog), self.inner.settings.subscriptions_per_client)
    }

    /// How clients are served.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Where things are counted.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.parts.metrics
    }

    /// Violations that no client has confirmed for at least so long, oldest first, with their age.
    pub fn unreceived(&self, for_at_least: Duration) -> Vec<(Unreceived, Duration)> {
        let now = Instant::now();
        let overdue = self.inner.receipts.overdue(now, for_at_least);
        overdue.into_iter().map(|it| (it, now.saturating_duration_since(it.published))).collect()
    }

    /// How many violations no client has confirmed for the time of the settings.
    pub fn count_unreceived(&self) -> u64 {
        let for_at_least = Duration::from_secs(self.inner.settings.receipt_seconds);
        self.inner.receipts.count_overdue(Instant::now(), for_at_least)
    }

    /// Violations that gave way to newer ones before anybody had confirmed them.
    pub fn count_forgotten(&self) -> u64 {
        self.inner.receipts.count_forgotten()
    }

    /// Everybody who is connected to this node, or those who listen to a characteristic; by number, and without the
    /// characteristics that each names.
    pub async fn connections(&self, listening_to: Option<CharacteristicId>) -> Vec<ConnectionState> {
        let mut all = self.list(Wanted { listening_to, ..Wanted::default() }).await;
        all.sort_unstable_by_key(|state| state.id);
        all
    }

    /// These connections in this order, as far as they are still there, with the characteristics that they name.
    pub async fn named_connections(&self, ids: Vec<ConnectionId>) -> Vec<ConnectionState> {
        let found = self.list(Wanted { of: Some(ids.clone()), names: NAMED, ..Wanted::default() }).await;
        let mut found: HashMap<_, _> = found.into_iter().map(|state| (state.id, state)).collect();
        ids.iter().filter_map(|id| found.remove(id)).collect()
    }

    /// One connection.
    ///
    /// # Errors
    /// [`OrderError::NoSuchConnection`].
    pub async fn connection(&self, id: ConnectionId) -> Result<ConnectionState, OrderError> {
        let found = self.named_connections(vec![id]).await;
        found.into_iter().next().ok_or(OrderError::NoSuchConnection(id))
    }

    async fn list(&self, wanted: Wanted) -> Vec<ConnectionState> {
        let answers = self.ask(|answer| Order::List { wanted: wanted.clone(), answer }).await;
        answers.into_iter().flatten().collect()
    }

    /// Ends a connection.
    ///
    /// # Errors
    /// [`OrderError::NoSuchConnection`].
    pub async fn disconnect(&self, id: ConnectionId) -> Result<(), OrderError> {
        self.ask_owner(id, |answer| Order::Disconnect { of: id, answer }).await
    }

    /// Subscribes in the place of a client, which gets the answer. Waits for a client that is still told what it
    /// missed, no longer than for a read of the database.
    ///
    /// # Errors
    /// [`OrderError`].
    pub async fn subscribe(&self, id: ConnectionId, subscription: Subscription) -> Result<(), OrderError> {
        let mut groups = None;
        if wants_catalog(&subscription) {
            match timeout(self.patience(), self.inner.parts.catalog.groups()).await {
                Ok(Ok(found)) => groups = Some(Arc::new(found)),
                // Those that are not known yet are found by their next event.
                Ok(Err(error)) => warn!(error = %error_chain(&error), "groups could not be looked up"),
                Err(_) => warn!("groups could not be looked up in time"),
            }
        }
        let order = |answer| Order::Subscribe {
            of: id,
            subscription: Box::new(subscription.clone()),
            groups: groups.clone(),
            answer,
        };
        // What comes too late is not done any more.
        self.ask_owner(id, order).await.map_err(|error| match error {
            OrderError::Late => OrderError::Replaying,
            other => other,
        })
    }

    /// Unsubscribes in the place of a client, which gets the answer.
    ///
    /// # Errors
    /// [`OrderError`].
    pub async fn unsubscribe(&self, id: ConnectionId, leaving: Unsubscription) -> Result<(), OrderError> {
        let order = |answer| Order::Unsubscribe { of: id, leaving: leaving.clone(), answer };
        self.ask_owner(id, order).await
    }

    /// Sends a test message to who listens to its characteristic, or to everybody; says to how many.
    pub async fn test(&self, view: TestView) -> u64 {
        self.ask(|answer| Order::Test { view: view.clone(), answer }).await.into_iter().sum()
    }

    /// Asks every shard; one that has stopped, or does not answer in time, has no answer.
    async fn ask<T>(&self, order: impl Fn(oneshot::Sender<T>) -> Order) -> Vec<T> {
        self.asked(order).filter_map(ready).collect().await
    }

    /// Asks for something to be done to a connection. Only its own shard has an answer.
    async fn ask_owner(
        &self,
        id: ConnectionId,
        order: impl Fn(oneshot::Sender<Option<Result<(), OrderError>>>) -> Order,
    ) -> Result<(), OrderError> {
        let (mut answers, mut is_late) = (self.asked(order), false);
        while let Some(answer) = answers.next().await {
            match answer {
                Some(Some(done)) => return done,
                Some(None) => {}
                None => is_late = true,
            }
        }
        Err(if is_late { OrderError::Late } else { OrderError::NoSuchConnection(id) })
    }

    /// How long somebody waits who asks from elsewhere.
    fn patience(&self) -> Duration {
        Duration::from_millis(self.inner.settings.read_timeout_ms)
    }

    /// The answers of all shards, as they come; `None` for each that has none in time.
    fn asked<T>(
        &self,
        order: impl Fn(oneshot::Sender<T>) -> Order,
    ) -> FuturesUnordered<impl Future<Output = Option<T>>> {
        let patience = self.patience();
        let orders = self.inner.orders.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ask = |shard: Orders| {
            let (answer, answered) = oneshot::channel();
            let order = order(answer);
            let answer = async move {
                shard.send(order).await.ok()?;
                answered.await.ok()
            };
            async move { timeout(patience, answer).await.ok().flatten() }
        };
        orders.into_iter().map(ask).collect()
    }
}

/// The sockets' way to the shard of their thread. Cheap to clone.
#[derive(Clone)]
pub struct ShardHandle {
    desk: Desk,
    next_connection: Arc<AtomicU64>,
}

impl ShardHandle {
    /// How many moments the shard waits for to let samples go.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.desk.shard.borrow().held.borrow().len()
    }

    /// A place for a new client, which does not listen yet.
    pub fn seat(&self, about: About, encoding: Encoding) -> (Seat, Outflow) {
        let local = &self.desk.local;
        let id = ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed));
        let pulse = Pulse::new(Instant::now(), local.rhythm(), clock::fraction());
        let state = RefCell::new(Connection::new(about, encoding, pulse));
        let shared = Rc::new(Shared {
            id,
            state,
            news: Notify::new(),
            is_dirty: Cell::new(false),
            is_left: Cell::new(false),
        });
        let kind = if encoding == Encoding::EventStream { "event_stream" } else { "websocket" };
        Seat::new(self.desk.clone(), shared, local.metrics.open(kind))
    }
}
