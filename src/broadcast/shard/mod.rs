//! A shard: the connections of one worker thread, what they listen to, and what becomes of each event.
//!
//! Everything here is plain state, changed in synchronous steps and on one thread; the task in `task.rs` brings events
//! and time, sockets bring requests through their [`Seat`](super::Seat).
//!
//! * **Order**: events and requests come in turn. So `welcome` and `subscribed` stand in the client's queue before
//!   any event they are about, with the position and revisions from which to count.
//! * **Full**: nobody waits for a client. Too many alerts in a queue: it is emptied, and the client reads the log from
//!   the last position it was written.
//! * **Late**: the shard itself reads the log where it fell off the ring (`task.rs`). Where the log does not hold what
//!   a client missed, it is told so (`recovered: false`), and gets the present state instead.
//! * **Dies**: the process stops; clients connect again and resume.
//! * **Stops**: every client is told to come back, after what stands in its queue.

mod membership;
mod order;
mod replay;
mod subscribe;
mod task;
mod tick;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub(super) use membership::wants_catalog;
pub use order::{ConnectionState, OrderError};
pub(super) use order::{Order, Orders, Wanted};
pub(super) use replay::{Arrived, Pulled};
pub(super) use subscribe::{Base, Outcome};
pub use task::ShardTask;

use super::acknowledgements::Acknowledgements;
use super::connection::{Connection, Shared};
use super::encoding::{EVENT_STREAM_RETRY_MS, Encoding};
use super::feed::{Feed, Need, Replay};
use super::frame::{Frame, Item, Run};
use super::groups::{Groups, Moved};
use super::hazards::{Hazard, is_planted};
use super::interest::Interest;
use super::local::Local;
use super::ports::HistoryError;
use super::receipts::Receipts;
use super::recent::Recent;
use super::snapshots::Snapshots;
use super::subscriptions::{ConnectionId, Subscriptions};
use super::tally::Reason;
use crate::bus::EventBus;
use crate::domain::ids::CharacteristicId;
use crate::metrics;
use crate::protocol::close::CloseCode;
use crate::protocol::event::{EventKind, LoggedEvent};
use crate::protocol::socket::{ServerMessage, Welcome};

/// A sample that may leave at a moment.
pub(super) type Held = Reverse<(Instant, ConnectionId, CharacteristicId)>;

/// The state of one shard.
pub(super) struct Shard {
    local: Rc<Local>,
    bus: EventBus<Arc<LoggedEvent>>,
    snapshots: Arc<Snapshots>,
    receipts: Arc<Receipts>,
    /// The newest event that every live connection was offered.
    position: u64,
    revisions: BTreeMap<CharacteristicId, u64>,
    recent: Recent,
    groups: Groups,
    /// Characteristics whose group has to be looked up, since somebody listens to groups.
    unknown: HashSet<CharacteristicId>,
    connections: HashMap<ConnectionId, Rc<Shared>>,
    subscriptions: Subscriptions<Rc<Shared>>,
    pub(super) held: RefCell<BinaryHeap<Held>>,
    /// Orders that wait until their connection is live; who gave them waits, too, so there are few.
    deferred: Vec<Order>,
    /// Where a page of the ring is taken; empty between calls.
    page: Vec<Arc<LoggedEvent>>,
}

/// Where a shard begins: what is so as of a position.
#[derive(Debug, Clone, Default)]
pub(super) struct Beginning {
    pub(super) position: u64,
    pub(super) revisions: Vec<(CharacteristicId, u64)>,
    pub(super) groups: Vec<(CharacteristicId, Option<String>)>,
}

/// Events that are offered together, at most: so few that they do not fill half of anybody's queue.
const RUN: usize = 32;

/// How many of the first events may be offered together: all of one characteristic, to the same listeners.
pub(in crate::broadcast) fn run_length(events: &[Arc<LoggedEvent>]) -> usize {
    let Some(first) = events.first() else { return 0 };
    let is_like_the_first = |event: &&Arc<LoggedEvent>| {
        event.characteristic_id == first.characteristic_id
            && event.kind.goes_to_all() == first.kind.goes_to_all()
            && event.kind != EventKind::CharacteristicUpdate
    };
    if first.kind == EventKind::CharacteristicUpdate {
        return 1; // it may move it
    }
    1 + events[1..].iter().take(RUN - 1).take_while(is_like_the_first).count()
}

/// What the ring holds of the log up to a position.
fn recent(bus: &EventBus<Arc<LoggedEvent>>, position: u64) -> Recent {
    const ALL: NonZeroUsize = NonZeroUsize::MAX;
    let (first, mut events) = (bus.retained().start, Vec::new());
    if first > position || bus.page(first, ALL, &mut events).is_err() {
        return Recent::after(position);
    }
    let mut recent = Recent::after(first - 1);
    events
        .iter()
        .take_while(|event| event.seq <= position)
        .for_each(|event| recent.push(event.characteristic_id));
    recent
}

impl Shard {
    pub(super) fn new(
        local: Rc<Local>,
        bus: EventBus<Arc<LoggedEvent>>,
        (snapshots, receipts): (Arc<Snapshots>, Arc<Receipts>),
        beginning: Beginning,
    ) -> Self {
        let Beginning { position, revisions, groups } = beginning;
        local.processed.set(position);
        let recent = recent(&bus, position);
        Self {
            local,
            bus,
            recent,
            snapshots,
            receipts,
            position,
            revisions: revisions.into_iter().collect(),
            groups: Groups::at_start(position, groups),
            unknown: HashSet::new(),
            connections: HashMap::new(),
            subscriptions: Subscriptions::default(),
            held: RefCell::default(),
            deferred: Vec::new(),
            page: Vec::new(),
        }
    }

    /// The newest event that every live connection was offered.
    fn position(&self) -> u64 {
        self.position
    }

    /// Offers the next events, which are [of one kind](run_length), to everyone who listens: client by client, so that the
    /// processor has what it needs of a client at hand for all of them.
    ///
    /// # Panics
    /// If one is not the next: a hole would be told to nobody.
    pub(in crate::broadcast) fn on_run(&mut self, run: &[Arc<LoggedEvent>], now: Instant) {
        let Some(first) = run.first() else { return };
        let id = first.characteristic_id;
        self.hold_group_listeners(id);
        let mut moved = None;
        for event in run {
            assert_eq!(event.seq, self.position + 1, "a shard is handed every event once, in order");
            self.position = event.seq;
            self.revisions.insert(id, event.revision);
            self.recent.push(id);
            self.receipts.note(event, now);
            moved = self.groups.note(event);
        }
        self.offer_all(id, &Run::new(run, now), moved.as_ref(), now);
    }

    fn offer_all(&self, id: CharacteristicId, run: &Rc<Run>, moved: Option<&Moved>, now: Instant) {
        if run.first().kind.goes_to_all() {
            for shared in self.connections.values() {
                self.offer(shared, run, None, now);
            }
            return;
        }
        let group = self.groups.of(id);
        for (_, listener) in self.subscriptions.listeners(id, group) {
            self.offer(&listener.connection, run, Some(&listener.interest), now);
        }
        if let Some(Moved { from }) = moved {
            for (connection, listener) in self.subscriptions.listeners(id, Some(from)) {
                if self.subscriptions.interest(connection, id, group).is_none() {
                    self.offer(&listener.connection, run, Some(&listener.interest), now);
                }
            }
        }
    }

    fn offer(&self, shared: &Rc<Shared>, run: &Rc<Run>, interest: Option<&Interest>, now: Instant) {
        let mut state = shared.state.borrow_mut();
        if !state.is_live() && !is_planted(Hazard::LiveWhileReplaying) {
            return; // it reads for itself, and will come to these
        }
        let mut is_due = interest.is_some_and(|it| state.take_run(run, it, now, &self.local));
        if !is_due {
            for frame in &run.frames {
                is_due |= self.hand_to(shared, &mut state, frame, interest, now);
            }
        }
        if is_due {
            self.make_room(&mut state);
            drop(state);
            self.local.mark(shared);
        }
    }

    /// Hands an event to a connection, if it is due; says whether it was.
    fn hand_to(
        &self,
        shared: &Rc<Shared>,
        state: &mut Connection,
        frame: &Rc<Frame>,
        interest: Option<&Interest>,
        now: Instant,
    ) -> bool {
        match interest {
            Some(interest) if frame.event.seq > interest.after => {
                if let Some(moment) = state.take(frame, interest, now, &self.local) {
                    let held = Reverse((moment, shared.id, frame.event.characteristic_id));
                    self.held.borrow_mut().push(held);
                }
                true
            }
            None if state.acknowledgements.are_due(frame.event.seq) => {
                state.take_acknowledgement(frame, now, &self.local);
                true
            }
            _ => false,
        }
    }

    /// A queue that is too full is emptied, to be read from the log again; too many replies end the connection.
    fn make_room(&self, state: &mut Connection) {
        let settings = &self.local.settings;
        if state.is_live()
            && state.lanes.ready_bytes() > settings.alert_queue_bytes
            && state.start_over(&self.local)
        {
            self.local.metrics.replays(metrics::Reason { reason: "overflow" });
        }
        if state.lanes.ready_bytes() > settings.alert_queue_bytes + settings.reply_queue_bytes
            && state.end(CloseCode::TooSlow, None)
        {
            self.count_end(CloseCode::TooSlow);
            state.wake();
        }
    }

    /// Adds a connection and welcomes it: acknowledgements after the welcome's position come to it.
    /// The shard says the position; what `welcome` has there does not matter.
    pub(super) fn join(&mut self, shared: &Rc<Shared>, welcome: Welcome, now: Instant) {
        let payload = Welcome { seq: self.position, ..welcome };
        {
            let mut state = shared.state.borrow_mut();
            state.acknowledgements = Acknowledgements::from(self.position);
            let patience = Duration::from_millis(self.local.settings.first_words_ms);
            if !patience.is_zero() {
                let need = Need::FirstWords { until: Some(now + patience) };
                state.feed = Feed::Replay(Replay::whole(self.position, self.position).waiting_for(need));
            }
            state.pulse.hear(now);
            if state.encoding == Encoding::EventStream {
                state.queue(Item::Retry { after_ms: EVENT_STREAM_RETRY_MS }, now);
            }
            state.say(&ServerMessage::Welcome { payload }, now);
        }
        self.connections.insert(shared.id, Rc::clone(shared));
        self.local.mark(shared);
    }

    /// Takes a connection away: from here on nothing is queued for it. Of a client that does not read, what waits is
    /// thrown away at once, as nobody knows when its socket will be gone.
    pub(super) fn leave(&mut self, shared: &Shared) {
        self.connections.remove(&shared.id);
        self.subscriptions.remove_connection(shared.id);
        if shared.state.borrow().ends_deaf() {
            self.discard(shared);
        }
    }

    /// Throws away what waits.
    pub(super) fn discard(&self, shared: &Shared) {
        let unwritten = shared.state.borrow_mut().lanes.drain();
        self.local.tally.borrow_mut().skipped(Reason::Ended, unwritten);
    }

    /// Queues something that is no event, and wakes who writes.
    pub(super) fn queue(&self, shared: &Rc<Shared>, item: Item, now: Instant) {
        let mut state = shared.state.borrow_mut();
        state.queue(item, now);
        self.make_room(&mut state);
        state.wake();
    }

    /// Says something to one client, and wakes who writes.
    pub(super) fn say(&self, shared: &Rc<Shared>, message: &ServerMessage, now: Instant) {
        let mut state = shared.state.borrow_mut();
        state.say(message, now);
        self.make_room(&mut state);
        state.wake();
    }

    /// Ends a connection, if nobody has before.
    pub(super) fn end(&self, shared: &Shared, code: CloseCode, reason: Option<String>) {
        if shared.end(code, reason) {
            self.count_end(code);
        }
    }

    /// Ends all: the log has another name now.
    pub(super) fn end_all(&self, code: CloseCode) {
        for shared in self.connections.values() {
            self.end(shared, code, None);
        }
    }

    /// Sends everyone away, to come back at moments spread over a while: all at once would be a storm.
    pub(super) fn send_away(&self, now: Instant) {
        let (window, all) = (self.local.settings.return_window_ms, self.connections.len() as u64);
        for (place, shared) in (1..).zip(self.connections.values()) {
            let after_ms = window * place / all;
            let reason = format!(r#"{{"retry_after_ms":{after_ms}}}"#);
            shared.state.borrow_mut().queue(Item::Retry { after_ms }, now);
            self.end(shared, CloseCode::GoingAway, Some(reason));
        }
    }

    /// Goes on from another place of the log; whoever was connected has been let go.
    fn jump(&mut self, beginning: Beginning) {
        let Beginning { position, revisions, groups } = beginning;
        self.position = position;
        self.revisions = revisions.into_iter().collect();
        self.recent = Recent::after(position);
        self.groups = Groups::at_start(position, groups);
        self.unknown.clear();
        self.local.processed.set(position);
    }

    fn count_end(&self, code: CloseCode) {
        self.local.metrics.closed(code.name());
    }

    /// A client has processed everything up to a position, as far as that was written to it.
    pub(super) fn confirm(&mut self, shared: &Shared, seq: u64, now: Instant) {
        let (before, confirmed) = {
            let mut state = shared.state.borrow_mut();
            let confirmed = seq.min(state.last_sent_seq).max(state.received_seq);
            (std::mem::replace(&mut state.received_seq, confirmed), confirmed)
        };
        if confirmed == before {
            return;
        }
        self.local.metrics.receipts.inc();
        self.receipts.confirm((before, confirmed), |waiting| {
            let group = self.groups.of(waiting.characteristic_id);
            let interest = self.subscriptions.interest(shared.id, waiting.characteristic_id, group);
            interest.is_some_and(|it| waiting.seq > it.after && it.admits_violation(waiting.fired))
        });
        self.page.clear();
        if self.bus.page(confirmed, NonZeroUsize::MIN, &mut self.page).is_ok()
            && let Some(published) = self.page.pop().and_then(|event| event.published())
        {
            self.local.tally.borrow_mut().received(published, now);
        }
    }

    /// How much a connection has chosen: characteristics, groups, and one for all.
    pub(super) fn subscription_count(&self, connection: ConnectionId) -> u64 {
        let count = |choice: &super::subscriptions::Choice| {
            choice.ids.len() as u64 + choice.groups.len() as u64 + u64::from(choice.all)
        };
        self.subscriptions.choice(connection).map_or(0, count)
    }

    /// What a connection wants of a characteristic.
    fn interest(&self, connection: ConnectionId, id: CharacteristicId) -> Option<&Interest> {
        self.subscriptions.interest(connection, id, self.groups.of(id))
    }

    /// Whether the log has another name now, and says so to everyone.
    pub(in crate::broadcast) fn is_renewed(&self, error: &HistoryError) -> bool {
        let is_renewed = matches!(error, HistoryError::Renewed);
        if is_renewed {
            self.end_all(CloseCode::NewEpoch);
        }
        is_renewed
    }
}
