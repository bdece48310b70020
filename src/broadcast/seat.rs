//! A client's place at its shard, from the socket's side: one half says what the client wants, the other is what
//! there is to write. Both live on the shard's thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use super::connection::Shared;
use super::feed::{Feed, Need};
use super::frame::Item;
use super::local::Local;
use super::ports::{Catalog, History, HistoryError};
use super::shard::{Arrived, Base, Outcome, Pulled, Shard, wants_catalog};
use super::snapshots::Snapshots;
use super::subscriptions::ConnectionId;
use crate::domain::ids::CharacteristicId;
use crate::error_chain::error_chain;
use crate::metrics::Gauge;
use crate::protocol::PROTOCOL_VERSION;
use crate::protocol::close::CloseCode;
use crate::protocol::socket::{ServerMessage, StatusView, Subscription, Unsubscription, Welcome};

/// How long to wait before a log that could not be read, or a shard that has not come so far, is asked again.
const RETRY: Duration = Duration::from_millis(200);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How long a look at all groups is good for; a characteristic that is newer is found by its first event.
const GROUPS_FRESH: Duration = Duration::from_millis(500);

/// Pages that a body takes from the ring before others on its thread get their turn.
const PAGES_PER_TURN: usize = 4;

/// What both halves and the shard's handle need.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) shard: Rc<RefCell<Shard>>,
    pub(super) local: Rc<Local>,
    pub(super) history: Arc<dyn History>,
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) snapshots: Arc<Snapshots>,
    pub(super) readers: Arc<Semaphore>,
    /// When all groups were looked up the last time; held while that is done.
    pub(super) groups_learned: Rc<Mutex<Option<Instant>>>,
}

/// The half that says what a client wants.
pub struct Seat {
    desk: Desk,
    shared: Rc<Shared>,
    _counted: Counted,
}

/// The half from which the socket takes what is to be written. Dropped, it ends the connection.
pub struct Outflow {
    desk: Desk,
    shared: Rc<Shared>,
}

impl Seat {
    pub(super) fn new(desk: Desk, shared: Rc<Shared>, open: Gauge) -> (Self, Outflow) {
        let outflow = Outflow { desk: desk.clone(), shared: Rc::clone(&shared) };
        (Self { desk, shared, _counted: Counted::new(open) }, outflow)
    }

    /// The number of this connection.
    pub fn id(&self) -> ConnectionId {
        self.shared.id
    }

    /// Lets the client listen, and welcomes it.
    pub fn welcome(&self, user: Option<String>) {
        let local = &self.desk.local;
        let welcome = Welcome {
            connection_id: self.shared.id.0,
            protocol: PROTOCOL_VERSION,
            epoch: local.epoch.to_string(),
            seq: local.processed.get(),
            heartbeat_seconds: local.settings.heartbeat_seconds,
            server_time: local.clock.now(),
            user: user.clone(),
        };
        self.shared.state.borrow_mut().about.user = user;
        self.desk.shard.borrow_mut().join(&self.shared, welcome, Instant::now());
    }

    /// Adds subscriptions; the answer is queued.
    ///
    /// Waits while the log is asked where a position stands, and while the client is still told what was before; that
    /// delays only the answers to this client's own messages.
    pub async fn subscribe(&self, subscription: &Subscription) {
        self.begin_first_answer();
        self.subscribe_when_possible(subscription).await;
        self.end_silence(); // where it was refused
    }

    async fn subscribe_when_possible(&self, subscription: &Subscription) {
        if wants_catalog(subscription) {
            // Whoever resumes from memory is not to wait for a database that does not answer.
            let patience = Duration::from_millis(self.desk.local.settings.read_timeout_ms);
            if timeout(patience, self.learn_groups()).await.is_err() {
                warn!("groups could not be looked up in time");
            }
        }
        let mut base = Base::Unread;
        while self.close_code().is_none() {
            let outcome = self.desk.shard.borrow_mut().subscribe(
                &self.shared,
                subscription,
                base.clone(),
                Instant::now(),
            );
            match outcome {
                Outcome::Answered | Outcome::Late => break,
                Outcome::Later => {
                    self.shared.state.borrow_mut().is_awaited = true;
                    sleep(LOOK_AGAIN).await;
                }
                Outcome::NeedsBase { after } => base = self.base(after).await,
            }
        }
        self.shared.state.borrow_mut().is_awaited = false;
    }

    async fn base(&self, after: u64) -> Base {
        loop {
            let turn = self.desk.readers.acquire().await;
            let base = self.desk.history.base(after).await;
            drop(turn);
            match base {
                Ok(base) => return Base::Read { head: base.head, first_after: base.first_after },
                Err(HistoryError::Removed { .. }) => return Base::Passed,
                Err(error) if self.desk.shard.borrow().is_renewed(&error) => return Base::Passed,
                Err(error) => {
                    warn!(error = %error_chain(&error), "the log could not be asked for a position, trying again");
                    sleep(RETRY).await;
                }
            }
            if self.close_code().is_some() {
                return Base::Passed;
            }
        }
    }

    /// Looks up which characteristics there are, in which groups: those that are too new to have had an event, too.
    /// Many clients that come at once share one look.
    async fn learn_groups(&self) {
        let mut learned = self.desk.groups_learned.lock().await;
        let now = Instant::now();
        if learned.is_some_and(|learned| now < learned + GROUPS_FRESH) {
            return;
        }
        match self.desk.catalog.groups().await {
            Ok(found) => self.desk.shard.borrow_mut().learn_groups(found),
            // Those that are not known yet are found by their next event.
            Err(error) => warn!(error = %error_chain(&error), "groups could not be looked up"),
        }
        *learned = Some(now);
    }

    /// Takes subscriptions away; the answer is queued.
    pub fn unsubscribe(&self, leaving: &Unsubscription) {
        self.desk.shard.borrow_mut().unsubscribe(&self.shared, leaving, Instant::now());
    }

    /// Says something to the client.
    pub fn say(&self, message: &ServerMessage) {
        if let ServerMessage::Error { code, .. } = message {
            self.desk.local.metrics.refused(code.name());
        }
        self.desk.shard.borrow().say(&self.shared, message, Instant::now());
    }

    /// The client has said something that is to be answered. If these are its first words, it is told nothing before
    /// the answer, however long that takes: it may be about to say from where it resumes.
    pub fn begin_first_answer(&self) {
        self.desk.shard.borrow().begin_first_answer(&self.shared);
    }

    /// The client's first words are answered, and they were no subscription: it need not be waited for any more.
    pub fn end_silence(&self) {
        self.desk.shard.borrow_mut().end_silence(&self.shared, Instant::now());
    }

    /// The client was heard, whatever it said.
    pub fn hear(&self) {
        self.shared.state.borrow_mut().pulse.hear(Instant::now());
    }

    /// Nothing of what the client says is read until it is [heard](Self::hear) again: it may well answer its pings.
    pub fn stop_hearing(&self) {
        self.shared.state.borrow_mut().pulse.stop_hearing();
    }

    /// The client pings.
    pub fn on_ping(&self, payload: Bytes) {
        self.desk.shard.borrow().queue(&self.shared, Item::Pong(Box::new(payload)), Instant::now());
    }

    /// The client answers a ping; says whether this one was waited for.
    pub fn on_pong(&self, payload: &[u8]) -> bool {
        self.shared.state.borrow_mut().pulse.pong(payload, Instant::now())
    }

    /// The client has processed everything up to a position.
    pub fn on_received(&self, seq: u64) {
        self.desk.shard.borrow_mut().confirm(&self.shared, seq, Instant::now());
    }

    /// How this connection is.
    pub fn status(&self) -> StatusView {
        let state = self.shared.state.borrow();
        StatusView {
            connection_id: self.shared.id.0,
            subscriptions: self.desk.shard.borrow().subscription_count(self.shared.id),
            queued: state.lanes.depth().0 as u64,
            skipped_samples: state.skipped_samples,
            latency_ms: state.pulse.latency_ms(),
            quality: state.pulse.quality(),
        }
    }

    /// What the shard has processed.
    pub fn position(&self) -> u64 {
        self.desk.local.processed.get()
    }

    /// The position of the last event that was handed to the socket; 0 before the first.
    pub fn last_sent_seq(&self) -> u64 {
        self.shared.state.borrow().last_sent_seq
    }

    /// Ends the connection; the first reason stands.
    pub fn end(&self, code: CloseCode) {
        self.desk.shard.borrow().end(&self.shared, code, None);
    }

    /// Why the connection has to end, if it has to.
    pub fn close_code(&self) -> Option<CloseCode> {
        self.shared.state.borrow().farewell.as_ref().map(|farewell| farewell.code)
    }

    /// Reads from the database whatever this connection needs, until it has to end; says why it has to.
    ///
    /// # Cancel safety
    /// What was being read is read again.
    pub async fn attend(&self) -> CloseCode {
        loop {
            let news = self.shared.news.notified();
            if let Some(code) = self.close_code() {
                return code;
            }
            match self.need() {
                Some(Need::Page { after }) => self.read_page(after).await,
                Some(Need::Snapshots(wanted)) => self.read_snapshots(wanted).await,
                Some(Need::Group(_) | Need::FirstWords { .. }) | None => news.await,
            }
        }
    }

    fn need(&self) -> Option<Need> {
        match &self.shared.state.borrow().feed {
            Feed::Replay(replay) => replay.need.clone(),
            Feed::Live => None,
        }
    }

    async fn read_page(&self, after: u64) {
        let turn = self.desk.readers.acquire().await;
        let page = self.desk.history.page(after, self.desk.local.settings.page_events).await;
        drop(turn);
        if let Err(error @ HistoryError::Unreadable(_)) = &page {
            warn!(error = %error_chain(error), "the log could not be read for a client, trying again");
            sleep(RETRY).await;
            return;
        }
        self.arrive(Arrived::Page { after, page });
    }

    async fn read_snapshots(&self, wanted: Vec<(CharacteristicId, u64)>) {
        let limit = Duration::from_millis(self.desk.local.settings.read_timeout_ms);
        let read_all = async {
            let mut read = Vec::with_capacity(wanted.len());
            for (id, at_least) in wanted {
                read.push((id, self.desk.snapshots.read(id, at_least).await?));
            }
            Ok::<_, HistoryError>(read)
        };
        // Its client waits for no event meanwhile, so this must not take long.
        let arrived = match timeout(limit, read_all).await {
            Ok(Ok(read)) => Arrived::Snapshots(read),
            Ok(Err(error)) if self.desk.shard.borrow().is_renewed(&error) => return,
            Ok(Err(error)) => {
                warn!(error = %error_chain(&error), "snapshots could not be read, trying again");
                Arrived::NoSnapshots
            }
            Err(_) => Arrived::NoSnapshots,
        };
        self.arrive(arrived);
    }

    fn arrive(&self, arrived: Arrived) {
        self.desk.shard.borrow_mut().arrived(&self.shared, arrived, Instant::now());
    }
}

impl Drop for Seat {
    /// Nobody reads what the client says any more: nothing new is queued for it. What is due is still written, by as
    /// much as the client takes.
    fn drop(&mut self) {
        let mut shard = self.desk.shard.borrow_mut();
        shard.end(&self.shared, CloseCode::Gone, None);
        shard.leave(&self.shared);
        self.shared.is_left.set(true);
        self.shared.state.borrow_mut().wake();
    }
}

impl Outflow {
    /// The next bytes to write, everything that is due in one piece; `None` when nothing more will come.
    pub fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        for _ in 0..PAGES_PER_TURN {
            let now = Instant::now();
            {
                let mut state = self.shared.state.borrow_mut();
                if let Some(chunk) = state.write(now, &self.desk.local) {
                    return Poll::Ready(Some(chunk));
                }
                if state.farewell.is_some() && self.shared.is_left.get() {
                    return Poll::Ready(None);
                }
                state.remember_body(context.waker());
                if !state.has_more_to_pull() {
                    return Poll::Pending;
                }
            }
            if self.desk.shard.borrow_mut().pull(&self.shared, now) == Pulled::Nothing {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref(); // there is more, after the others
        Poll::Pending
    }
}

impl Drop for Outflow {
    fn drop(&mut self) {
        let mut shard = self.desk.shard.borrow_mut();
        shard.end(&self.shared, CloseCode::Gone, None);
        shard.leave(&self.shared);
        shard.discard(&self.shared);
    }
}

/// Counts a connection as long as its socket lives.
struct Counted(Gauge);

impl Counted {
    fn new(open: Gauge) -> Self {
        open.inc();
        Self(open)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
