//! A shard: the connections of one worker thread, what they listen to, and the task that serves them.
//!
//! * **State**: connections, subscriptions and the newest revision of every characteristic; owned by the task.
//!   Sessions ask it through a bounded queue; a session that waits there delays only its own client.
//! * **Order**: one task takes events and requests in turn. So `welcome` and `subscribed` stand in the client's
//!   queue before any event they are about, with the position and revisions from which to count.
//! * **Full**: a client's queue that has no room ends that client (4008); nobody waits for it.
//! * **Late**: a shard that fell off the ring reads the log from its position until it is back in the ring.
//!   If the log does not hold them any more either, nobody is served with a hole: every client is let go as too slow
//!   (4008: it connects again and resumes), and the shard goes on from the end of the log.
//! * **Dies**: the process stops; clients connect again.
//! * **Stops**: tells every client to go away, after what is already in its queue.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::broadcast::outbox::Offer;
use crate::broadcast::subscriptions::{Interest, Subscriptions};
use crate::broadcast::withheld::Withheld;
use crate::broadcast::{ConnectionId, History, HistoryError, Outbox, Outgoing, Settings, Start, Waiting};
use crate::bus::{NextBatch, Subscription as Cursor};
use crate::domain::ids::CharacteristicId;
use crate::error_chain::error_chain;
use crate::metrics::{Kind, Metrics, Reason};
use crate::protocol::close::CloseCode;
use crate::protocol::event::LoggedEvent;
use crate::protocol::frame;
use crate::protocol::socket::{Chosen, ErrorCode, Refusal, ServerMessage, Subscription, Welcome};

/// Events taken from the bus at once, before requests get their turn.
const BATCH: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not zero");

/// How long to wait before a log that could not be read is read again.
const RETRY: Duration = Duration::from_millis(200);

/// How long to wait for the relay when the log has been read to its end.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// What a session asks of its shard.
pub(super) enum Request {
    Join { connection: ConnectionId, outbox: Outbox, welcome: Welcome },
    Subscribe { connection: ConnectionId, subscription: Subscription },
    Unsubscribe { connection: ConnectionId, ids: Vec<CharacteristicId> },
    Leave { connection: ConnectionId },
}

/// The sessions' way to their shard. Cheap to clone.
#[derive(Clone)]
pub struct ShardHandle {
    requests: mpsc::Sender<Request>,
    processed: Arc<AtomicU64>,
    head: watch::Receiver<u64>,
    epoch: Arc<str>,
    waiting: Waiting,
}

/// The shard has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the shard has stopped")]
pub struct ShardStopped;

impl ShardHandle {
    pub(super) fn new(
        requests: mpsc::Sender<Request>,
        processed: Arc<AtomicU64>,
        head: watch::Receiver<u64>,
        epoch: &str,
        waiting: Waiting,
    ) -> Self {
        Self { requests, processed, head, epoch: epoch.into(), waiting }
    }

    /// Adds a connection and welcomes it: what goes to all after the welcome's position, it gets.
    /// The shard says the position; what `welcome` has there does not matter.
    ///
    /// # Errors
    /// [`ShardStopped`].
    pub async fn join(
        &self,
        connection: ConnectionId,
        outbox: Outbox,
        welcome: Welcome,
    ) -> Result<(), ShardStopped> {
        self.ask(Request::Join { connection, outbox, welcome }).await
    }

    /// Adds subscriptions; the shard answers the client itself.
    ///
    /// # Errors
    /// [`ShardStopped`].
    pub async fn subscribe(
        &self,
        connection: ConnectionId,
        subscription: Subscription,
    ) -> Result<(), ShardStopped> {
        self.ask(Request::Subscribe { connection, subscription }).await
    }

    /// Takes subscriptions away; the shard answers the client itself.
    ///
    /// # Errors
    /// [`ShardStopped`].
    pub async fn unsubscribe(
        &self,
        connection: ConnectionId,
        ids: Vec<CharacteristicId>,
    ) -> Result<(), ShardStopped> {
        self.ask(Request::Unsubscribe { connection, ids }).await
    }

    /// Takes a connection away.
    ///
    /// # Errors
    /// [`ShardStopped`].
    pub async fn leave(&self, connection: ConnectionId) -> Result<(), ShardStopped> {
        self.ask(Request::Leave { connection }).await
    }

    async fn ask(&self, request: Request) -> Result<(), ShardStopped> {
        self.requests.send(request).await.map_err(|_| ShardStopped)
    }

    /// The position up to which every event stands in its receivers' queues.
    pub fn processed_seq(&self) -> u64 {
        self.processed.load(Ordering::Acquire)
    }

    /// The position of the newest event in the log.
    pub fn head_seq(&self) -> u64 {
        *self.head.borrow()
    }

    /// What waits in all its clients' queues.
    pub fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// The name of the log.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }
}

pub(super) struct Parts {
    pub(super) settings: Settings,
    pub(super) cursor: Cursor<Arc<LoggedEvent>>,
    pub(super) history: Arc<dyn History>,
    pub(super) metrics: Metrics,
    pub(super) start: Start,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) processed: Arc<AtomicU64>,
}

/// The connections of one worker thread.
pub struct Shard {
    settings: Settings,
    cursor: Cursor<Arc<LoggedEvent>>,
    history: Arc<dyn History>,
    metrics: Metrics,
    epoch: String,
    requests: mpsc::Receiver<Request>,
    processed: Arc<AtomicU64>,
    position: u64,
    revisions: BTreeMap<CharacteristicId, u64>,
    connections: HashMap<ConnectionId, Outbox>,
    subscriptions: Subscriptions,
    withheld: Withheld,
}

impl Shard {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { settings, cursor, history, metrics, start, requests, processed } = parts;
        Self {
            settings,
            cursor,
            history,
            metrics,
            epoch: start.epoch,
            requests,
            processed,
            position: start.seq,
            revisions: start.revisions.into_iter().collect(),
            connections: HashMap::new(),
            subscriptions: Subscriptions::default(),
            withheld: Withheld::default(),
        }
    }

    /// Serves until `stop`, then sends every client away.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH.get());
        if self.cursor.position() != self.position + 1 {
            self.catch_up(&stop).await;
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(request) = self.requests.recv() => self.serve(request),
                next = self.cursor.next_batch(BATCH, &mut batch) => match next {
                    NextBatch::Events => {
                        for (position, event) in batch.drain(..) {
                            assert_eq!(position, event.seq, "only the relay publishes on this bus");
                            self.deliver(&event);
                        }
                        self.processed.store(self.position, Ordering::Release);
                    }
                    NextBatch::Lagged(lagged) => {
                        self.metrics.shard_lags.inc();
                        warn!(missed = lagged.missed, "a shard fell off the ring, reading the log");
                        self.catch_up(&stop).await;
                    }
                    NextBatch::Closed => break,
                },
            }
        }
        for (_, outbox) in self.connections.drain() {
            end(&outbox, CloseCode::GoingAway, &self.metrics);
        }
    }

    /// Reads the log until the position lies inside the ring again.
    async fn catch_up(&mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() && self.cursor.seek(self.position + 1).is_err() {
            match self.history.page(self.position, self.settings.page_events.max(1)).await {
                // The log has no more than that: the relay is about to publish it.
                Ok(page) if page.is_empty() => sleep(LOOK_AGAIN).await,
                Ok(page) => page.iter().for_each(|event| self.deliver(event)),
                Err(HistoryError::Removed { floor }) => self.jump(floor).await,
                Err(error) => wait_after(&error).await,
            }
            self.processed.store(self.position, Ordering::Release);
        }
    }

    /// Lets every client go, since events up to `floor` cannot be told any more, and goes on from the end of the log.
    async fn jump(&mut self, floor: u64) {
        match self.history.revisions().await {
            Ok((seq, revisions)) => {
                let (position, clients) = (self.position, self.connections.len());
                error!(
                    position,
                    floor, clients, "a shard fell behind the log itself, letting its clients go"
                );
                let all: Vec<_> = self.connections.drain().collect();
                for (connection, outbox) in all {
                    end(&outbox, CloseCode::TooSlow, &self.metrics);
                    self.remove(connection);
                }
                self.revisions = revisions.into_iter().collect();
                self.position = seq;
            }
            Err(error) => wait_after(&error).await,
        }
    }

    /// Offers an event to everyone it goes to: one frame, shared.
    fn deliver(&mut self, event: &LoggedEvent) {
        self.position = event.seq;
        self.revisions.insert(event.characteristic_id, event.revision);
        let (mut gone, mut passed_over) = (Vec::new(), Vec::new());
        let mut queued = 0;
        let withheld = &mut self.withheld;
        let mut offer = |connection: ConnectionId, outbox: &Outbox| {
            let frame = match withheld.take(connection, event.characteristic_id) {
                0 => event.frame().clone(),
                skipped => event.frame_after(skipped),
            };
            let outgoing = Outgoing { seq: Some(event.seq), frame };
            match outbox.offer(outgoing) {
                Offer::Queued => queued += 1,
                Offer::Full => gone.push((connection, true)),
                Offer::Gone => gone.push((connection, false)),
            }
        };
        if event.kind.goes_to_all() {
            self.connections.iter().for_each(|(connection, outbox)| offer(*connection, outbox));
        } else {
            for (connection, interest) in self.subscriptions.listeners(event.characteristic_id) {
                let Some(outbox) = self.connections.get(&connection) else { continue };
                if event.is_history && !interest.history {
                    passed_over.push(connection);
                } else {
                    offer(connection, outbox);
                }
            }
        }
        self.metrics.frames_queued.get_or_create(&Kind { kind: event.kind.as_str() }).inc_by(queued);
        for connection in passed_over {
            self.withheld.count(connection, event.characteristic_id);
        }
        for (connection, too_slow) in gone {
            if too_slow {
                count_close(CloseCode::TooSlow, &self.metrics);
            }
            self.remove(connection);
        }
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Join { connection, outbox, welcome } => {
                self.connections.insert(connection, outbox);
                let payload = Welcome { seq: self.position, ..welcome };
                self.reply(connection, &ServerMessage::Welcome { payload });
            }
            Request::Subscribe { connection, subscription } => self.subscribe(connection, subscription),
            Request::Unsubscribe { connection, ids } => self.unsubscribe(connection, ids),
            Request::Leave { connection } => self.remove(connection),
        }
    }

    fn subscribe(&mut self, connection: ConnectionId, subscription: Subscription) {
        if !self.connections.contains_key(&connection) {
            return; // it was let go meanwhile
        }
        let (epoch, seq) = (self.epoch.clone(), self.position);
        let Subscription { chosen, history } = subscription;
        let interest = Interest { history };
        let answer = match chosen {
            Chosen::All => {
                self.subscriptions.add_all(connection, interest);
                self.withheld.remove_connection(connection);
                let revisions = self.revisions.iter().map(|(id, revision)| (id.get(), *revision)).collect();
                let characteristic_ids = self.revisions.keys().copied().collect();
                ServerMessage::Subscribed { characteristic_ids, all: true, epoch, seq, revisions }
            }
            Chosen::These(ids) => {
                let most = self.settings.subscriptions_per_client;
                if self.subscriptions.count_with(connection, &ids) > most {
                    let message = format!("a client may subscribe to {most} characteristics");
                    self.refuse(connection, ErrorCode::TooManySubscriptions, message, "subscribe");
                    return;
                }
                let revision = |id: &CharacteristicId| self.revisions.get(id).copied().unwrap_or(0);
                let revisions = ids.iter().map(|id| (id.get(), revision(id))).collect();
                self.subscriptions.add(connection, ids.iter().copied(), interest);
                self.withheld.remove(connection, &ids);
                ServerMessage::Subscribed { characteristic_ids: ids, all: false, epoch, seq, revisions }
            }
        };
        self.reply(connection, &answer);
    }

    fn unsubscribe(&mut self, connection: ConnectionId, ids: Vec<CharacteristicId>) {
        if self.subscriptions.listens_to_all(connection) {
            let message = "this connection listens to all; it cannot leave single characteristics";
            self.refuse(connection, ErrorCode::InvalidField, message.to_owned(), "unsubscribe");
            return;
        }
        self.subscriptions.remove(connection, &ids);
        self.withheld.remove(connection, &ids);
        self.reply(connection, &ServerMessage::Unsubscribed { characteristic_ids: ids });
    }

    fn refuse(&mut self, connection: ConnectionId, code: ErrorCode, message: String, request: &str) {
        self.metrics.messages_refused.get_or_create(&Reason { reason: code.name() }).inc();
        self.reply(connection, &Refusal { code, message, request: Some(request.to_owned()) }.into());
    }

    fn reply(&mut self, connection: ConnectionId, message: &ServerMessage) {
        let Some(outbox) = self.connections.get(&connection) else { return };
        let outgoing = Outgoing { seq: None, frame: frame::text(&message.text()) };
        if outbox.offer(outgoing) == Offer::Full {
            count_close(CloseCode::TooSlow, &self.metrics);
            self.remove(connection);
        }
    }

    fn remove(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
        self.subscriptions.remove_connection(connection);
        self.withheld.remove_connection(connection);
    }
}

async fn wait_after(error: &HistoryError) {
    warn!(error = %error_chain(error), "a shard could not read the log, trying again");
    sleep(RETRY).await;
}

fn end(outbox: &Outbox, code: CloseCode, metrics: &Metrics) {
    if outbox.close(code) {
        count_close(code, metrics);
    }
}

fn count_close(code: CloseCode, metrics: &Metrics) {
    metrics.connections_closed.get_or_create(&Reason { reason: code.name() }).inc();
}
