//! The task of a shard: brings it the bus's events, time, groups that had to be looked up, and orders.
//!
//! * **Paces**: what is queued leaves at once after a quiet time, otherwise at most once in a flush interval, so that
//!   many frames share one write. A batch that fills the queues is flushed in any case.
//! * **Late**: fallen off the ring, it reads the log until its position is in the ring again; pings, orders and
//!   whatever else goes by time go on meanwhile. If the log does not hold what it missed either, every client resumes,
//!   and is told by that what it has lost.
//! * **Ends** with the bus, or when told to: then every client is told to come back.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::tick::tick_interval;
use super::{Beginning, Order, Shard, run_length};
use crate::broadcast::local::Local;
use crate::broadcast::ports::{Catalog, History, HistoryError};
use crate::bus::{NextBatch, Subscription as Cursor};
use crate::domain::ids::CharacteristicId;
use crate::error_chain::error_chain;
use crate::protocol::close::CloseCode;
use crate::protocol::event::LoggedEvent;

/// Events taken from the bus at once, before requests get their turn.
const BATCH: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not zero");

/// How long to wait before something that could not be read is read again.
const RETRY: Duration = Duration::from_millis(200);

/// How long to wait for the relay when the log has been read to its end.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Runs a shard, on the thread of its connections.
pub struct ShardTask {
    shard: Rc<RefCell<Shard>>,
    local: Rc<Local>,
    cursor: Cursor<Arc<LoggedEvent>>,
    history: Arc<dyn History>,
    catalog: Arc<dyn Catalog>,
    orders: mpsc::Receiver<Order>,
    last_flush: Instant,
}

impl ShardTask {
    pub(in crate::broadcast) fn new(
        (shard, local): (Rc<RefCell<Shard>>, Rc<Local>),
        cursor: Cursor<Arc<LoggedEvent>>,
        (history, catalog): (Arc<dyn History>, Arc<dyn Catalog>),
        orders: mpsc::Receiver<Order>,
    ) -> Self {
        Self { shard, local, cursor, history, catalog, orders, last_flush: Instant::now() }
    }

    /// Serves until `stop`, then sends every client away.
    pub async fn run(mut self, stop: CancellationToken) {
        let (mut batch, mut events) = (Vec::with_capacity(BATCH.get()), Vec::with_capacity(BATCH.get()));
        let mut ticks = interval(tick_interval(&self.local.settings));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut looking, mut reading) = (None, None);
        if self.cursor.position() != self.position() + 1 {
            reading = self.read_on();
        }
        loop {
            let flush_at = self.flush_at();
            if flush_at.is_some_and(|at| at <= Instant::now()) {
                self.flush().await;
                continue;
            }
            let release_at = self.shard.borrow().next_release();
            if looking.is_none() {
                looking = self.look_up();
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = moment(flush_at) => self.flush().await,
                _ = ticks.tick() => self.shard.borrow_mut().tick(Instant::now()),
                () = moment(release_at) => self.shard.borrow_mut().release(Instant::now()),
                Some(order) = self.orders.recv() => self.shard.borrow_mut().obey(order, Instant::now()),
                groups = result_of(&mut looking) => {
                    looking = None;
                    self.shard.borrow_mut().learn_groups(groups);
                }
                read = result_of(&mut reading) => {
                    self.take(read).await;
                    reading = self.read_on();
                }
                next = self.cursor.next_batch(BATCH, &mut batch), if reading.is_none() => match next {
                    NextBatch::Events => {
                        let is_full = batch.len() == BATCH.get();
                        events.extend(batch.drain(..).map(|(_, event)| event));
                        self.deliver(&events).await;
                        events.clear();
                        if is_full {
                            self.flush().await;
                        }
                    }
                    NextBatch::Lagged(lagged) => {
                        self.local.metrics.shard_lags.inc();
                        warn!(missed = lagged.missed, "a shard fell off the ring, reading the log");
                        reading = self.read_on();
                    }
                    NextBatch::Closed => break,
                },
            }
        }
        let now = Instant::now();
        self.shard.borrow_mut().tick(now);
        self.shard.borrow().send_away(now);
    }

    fn position(&self) -> u64 {
        self.shard.borrow().position()
    }

    async fn deliver(&mut self, mut events: &[Arc<LoggedEvent>]) {
        let now = Instant::now();
        while let Some((run, rest)) = events.split_at_checked(run_length(events).max(1)) {
            self.shard.borrow_mut().on_run(run, now);
            self.local.processed.set(self.position());
            if self.local.is_pressed.take() {
                self.flush().await;
            }
            events = rest;
        }
    }

    /// When what is queued has to leave; `None`: nothing is.
    fn flush_at(&self) -> Option<Instant> {
        let interval = Duration::from_secs_f64(self.local.settings.flush_interval_ms.max(0.0) / 1e3);
        (!self.local.dirty.borrow().is_empty()).then(|| self.last_flush + interval)
    }

    /// Begins to look up the groups that somebody waits for.
    fn look_up(&self) -> Option<Doing<Groups>> {
        let unknown = self.shard.borrow().groups_to_look_up();
        let catalog = Arc::clone(&self.catalog);
        (!unknown.is_empty()).then(|| -> Doing<Groups> { Box::pin(look_up(catalog, unknown)) })
    }

    async fn flush(&mut self) {
        self.local.flush();
        self.last_flush = Instant::now();
        yield_now().await; // the woken write before more is queued for them
    }

    /// Begins to read what comes next from the log; `None`, if the ring has it again.
    fn read_on(&mut self) -> Option<Doing<Read>> {
        let after = self.position();
        if self.cursor.seek(after + 1).is_ok() {
            return None;
        }
        let (history, catalog) = (Arc::clone(&self.history), Arc::clone(&self.catalog));
        Some(Box::pin(read(history, catalog, after, self.local.settings.page_events)))
    }

    async fn take(&mut self, read: Read) {
        match read {
            Read::Page(page) => {
                self.deliver(&page).await;
                self.flush().await;
            }
            // Every client resumes, and the shard goes on from the end.
            Read::Beginning(beginning) => {
                error!("the log no longer holds what a shard has to tell: its clients have to begin anew");
                self.shard.borrow().end_all(CloseCode::TooSlow);
                self.shard.borrow_mut().jump(beginning);
            }
            Read::Renewed => self.shard.borrow().end_all(CloseCode::NewEpoch),
        }
    }
}

/// Goes on however often something else happens meanwhile.
type Doing<T> = Pin<Box<dyn Future<Output = T>>>;

/// Never, if nothing is being done.
async fn result_of<T>(doing: &mut Option<Doing<T>>) -> T {
    match doing {
        Some(doing) => doing.await,
        None => std::future::pending().await,
    }
}

/// What the log had for a shard that fell off the ring.
enum Read {
    /// What comes next; nothing, if the relay is as far.
    Page(Vec<Arc<LoggedEvent>>),
    /// What comes next is not in the log any more: where it stands now.
    Beginning(Beginning),
    /// It is another log now. The relay finds that, too, and the process ends.
    Renewed,
}

/// What comes after a position, however long that takes.
async fn read(history: Arc<dyn History>, catalog: Arc<dyn Catalog>, after: u64, page_events: u32) -> Read {
    loop {
        match history.page(after, page_events).await {
            Ok(page) => {
                if page.is_empty() {
                    sleep(LOOK_AGAIN).await;
                }
                return Read::Page(page);
            }
            Err(HistoryError::Removed { .. }) => match begin_anew(&*history, &*catalog).await {
                Some(beginning) => return Read::Beginning(beginning),
                None => sleep(RETRY).await,
            },
            Err(HistoryError::Renewed) => {
                sleep(RETRY).await;
                return Read::Renewed;
            }
            Err(error) => {
                warn!(error = %error_chain(&error), "a shard could not read the log, trying again");
                sleep(RETRY).await;
            }
        }
    }
}

async fn begin_anew(history: &dyn History, catalog: &dyn Catalog) -> Option<Beginning> {
    let (position, revisions) = history
        .revisions()
        .await
        .inspect_err(
            |error| warn!(error = %error_chain(error), "a shard could not read the log, trying again"),
        )
        .ok()?;
    let groups = catalog
        .groups()
        .await
        .inspect_err(
            |error| warn!(error = %error_chain(error), "groups could not be looked up, trying again"),
        )
        .ok()?;
    Some(Beginning { position, revisions, groups: groups.into_iter().collect() })
}

/// Never, if there is none.
async fn moment(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

type Groups = Vec<(CharacteristicId, Option<String>)>;

/// The groups of new characteristics, however long that takes.
async fn look_up(catalog: Arc<dyn Catalog>, ids: Vec<CharacteristicId>) -> Groups {
    loop {
        match catalog.groups_of(&ids).await {
            // One that is not there any more is in no group.
            Ok(mut groups) => return ids.iter().map(|id| (*id, groups.remove(id).flatten())).collect(),
            Err(error) => {
                warn!(error = %error_chain(&error), "groups could not be looked up, trying again");
                sleep(RETRY).await;
            }
        }
    }
}
