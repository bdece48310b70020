//! One client, as its shard knows it: what waits for it, where it reads, how it is.
//!
//! * **Live**: its shard hands it events as they come. **Replaying**: it reads the ring or the log from a cursor of
//!   its own, a page at a time and only when its socket has taken everything; then the shard hands it nothing.
//! * **Full**: too many alerts wait: they are taken out and read again later. Too many replies: it is let go.
//! * **Ends** once, for the first reason given; what is due is written before the goodbye, unless the client does
//!   not read.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::mem;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::acknowledgements::Acknowledgements;
use super::encoding::{Beat, Encoding};
use super::feed::{Feed, Need, Replay};
use super::frame::{Frame, Item, Message, Run};
use super::hazards::{Hazard, is_planted};
use super::interest::Interest;
use super::lanes::Lanes;
use super::local::Local;
use super::pulse::Pulse;
use super::subscriptions::ConnectionId;
use super::tally::{Lane, Reason, Tally};
use crate::domain::ids::CharacteristicId;
use crate::protocol::close::CloseCode;
use crate::protocol::event::{EventKind, LoggedEvent};
use crate::protocol::frame;
use crate::protocol::snapshot::Snapshot;
use crate::protocol::socket::ServerMessage;

/// Who is connected, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The login, where there is one.
    pub user: Option<String>,
    /// Where it comes from.
    pub address: Option<IpAddr>,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// A connection, shared by its shard, the body that writes and the task that reads: all on one thread.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) id: ConnectionId,
    pub(super) state: RefCell<Connection>,
    /// It has to end, or something has to be read for it.
    pub(super) news: Notify,
    /// It stands in its shard's list of those to be woken.
    pub(super) is_dirty: Cell<bool>,
    /// Whoever read for it does so no more: with its goodbye written, it is over.
    pub(super) is_left: Cell<bool>,
}

/// What a snapshot tells of its characteristic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Covered {
    /// Everything up to this revision, ...
    revision: u64,
    /// ... as of this position.
    seq: u64,
}

impl Covered {
    /// It is on its way, and will tell whatever happens until then.
    pub(super) const AWAITED: Self = Self { revision: u64::MAX, seq: u64::MAX };

    pub(super) fn by(snapshot: &Snapshot) -> Self {
        Self { revision: snapshot.revision, seq: snapshot.seq }
    }
}

/// When the next sample of a characteristic may leave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) next: Instant,
    /// The shard comes back to it at that moment.
    pub(super) is_scheduled: bool,
}

impl From<Instant> for Pace {
    fn from(next: Instant) -> Self {
        Self { next, is_scheduled: false }
    }
}

/// Why and with which words a connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Farewell {
    pub(super) code: CloseCode,
    pub(super) reason: Option<String>,
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) about: About,
    pub(super) encoding: Encoding,
    pub(super) lanes: Lanes,
    pub(super) feed: Feed,
    pub(super) acknowledgements: Acknowledgements,
    /// What snapshots tell, so that it is not told again.
    pub(super) covered: HashMap<CharacteristicId, Covered>,
    /// Snapshots that are due.
    pub(super) snapshots: VecDeque<CharacteristicId>,
    /// No snapshot is tried before this moment.
    pub(super) snapshots_from: Option<Instant>,
    /// Of those with a pace.
    pub(super) paced: HashMap<CharacteristicId, Pace>,
    /// A request waits until it is live, and is to be answered before anything else begins.
    pub(super) is_awaited: bool,
    pub(super) pulse: Pulse,
    /// Since when something waits and the client takes nothing.
    pub(super) stalled_since: Option<Instant>,
    pub(super) last_sent_seq: u64,
    pub(super) received_seq: u64,
    pub(super) delivered: u64,
    pub(super) skipped_samples: u64,
    pub(super) farewell: Option<Farewell>,
    is_over: bool,
    body: Option<Waker>,
}

impl Connection {
    pub(super) fn new(about: About, encoding: Encoding, pulse: Pulse) -> Self {
        Self {
            about,
            encoding,
            lanes: Lanes::default(),
            feed: Feed::Live,
            acknowledgements: Acknowledgements::default(),
            covered: HashMap::new(),
            snapshots: VecDeque::new(),
            snapshots_from: None,
            paced: HashMap::new(),
            is_awaited: false,
            pulse,
            stalled_since: None,
            last_sent_seq: 0,
            received_seq: 0,
            delivered: 0,
            skipped_samples: 0,
            farewell: None,
            is_over: false,
            body: None,
        }
    }

    /// The shard hands it events as they come.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.feed, Feed::Live) && self.farewell.is_none()
    }

    /// It reads for itself, or snapshots are due: otherwise everything comes from the shard.
    pub(super) fn has_more_to_pull(&self) -> bool {
        matches!(self.feed, Feed::Replay(_)) || !self.snapshots.is_empty()
    }

    /// It waits for the client's first words since it was welcomed at this position.
    pub(super) fn waits_for_first_words(&self) -> Option<u64> {
        match &self.feed {
            Feed::Replay(Replay { cursor, need: Some(Need::FirstWords { .. }), .. }) => Some(*cursor),
            _ => None,
        }
    }

    /// Its first request has come and is not answered yet.
    pub(super) fn is_being_answered_first(&self) -> bool {
        matches!(&self.feed, Feed::Replay(Replay { need: Some(Need::FirstWords { until: None }), .. }))
    }

    /// Ends it; the first reason stands. Says whether this was it.
    pub(super) fn end(&mut self, code: CloseCode, reason: Option<String>) -> bool {
        let is_first = self.farewell.is_none();
        if is_first {
            self.farewell = Some(Farewell { code, reason });
        }
        is_first
    }

    /// Queues a message for this client alone.
    pub(super) fn say(&mut self, message: &ServerMessage, now: Instant) {
        let position = match message {
            ServerMessage::Subscribed { seq, recovered: None | Some(false), .. } => Some(*seq),
            _ => None,
        };
        let text = Bytes::from(message.text());
        self.queue(Item::Message(Box::new(Message { name: message.name(), text, position })), now);
    }

    /// Queues something that is no event.
    pub(super) fn queue(&mut self, item: Item, now: Instant) {
        self.lanes.push(item);
        self.stalled_since.get_or_insert(now);
    }

    /// Queues an event that a listener is due, unless it is not wanted. Says when a sample that came too soon may
    /// leave, if its moment is not set yet.
    pub(super) fn take(
        &mut self,
        frame: &Rc<Frame>,
        interest: &Interest,
        now: Instant,
        local: &Local,
    ) -> Option<Instant> {
        let (event, tally) = (&*frame.event, &mut *local.tally.borrow_mut());
        tally.due(event.kind);
        if let Err(unwanted) = interest.admit(event) {
            return self.leave_out(event, unwanted.into(), tally);
        }
        if self.is_covered(event) {
            return self.leave_out(event, Reason::Snapshot, tally);
        }
        self.stalled_since.get_or_insert(now);
        if event.kind != EventKind::Sample {
            self.lanes.push_alert(Rc::clone(frame));
            return None;
        }
        if let Some(pace) = interest.sample_pace() {
            let paced = self.paced.entry(event.characteristic_id).or_insert_with(|| Pace::from(now));
            if paced.next > now {
                let replaced = self.lanes.hold_sample(Rc::clone(frame)).samples;
                tally.skipped(Reason::Pace, replaced);
                return (!mem::replace(&mut paced.is_scheduled, true)).then_some(paced.next);
            }
            paced.next = now + pace;
        }
        let left_out = match &self.feed {
            Feed::Replay(replay) if self.encoding.overtakes() && !replay.tells_whole(event.seq) => {
                self.lanes.keep_newest_sample(Rc::clone(frame))
            }
            Feed::Live if self.encoding.overtakes() => {
                let room = local.settings.sample_queue_bytes;
                let had_room = self.lanes.sample_bytes() <= room / 2;
                let left_out = self.lanes.push_sample(Rc::clone(frame), room);
                if had_room && self.lanes.sample_bytes() > room / 2 {
                    local.is_pressed.set(true);
                }
                left_out
            }
            _ => self.lanes.push_sample(Rc::clone(frame), usize::MAX),
        };
        self.skipped_samples += left_out.samples;
        tally.skipped(Reason::Slow, left_out.samples);
        None
    }

    /// Queues a run as one thing, if all of it is wanted and nothing has to be looked at one by one. Says whether it was.
    pub(super) fn take_run(
        &mut self,
        run: &Rc<Run>,
        interest: &Interest,
        now: Instant,
        local: &Local,
    ) -> bool {
        if !interest.admits_all(run) || self.covered.contains_key(&run.first().characteristic_id) {
            return false;
        }
        let room = if self.encoding.overtakes() { local.settings.sample_queue_bytes } else { usize::MAX };
        let had_room = self.lanes.sample_bytes() <= room / 2;
        if !self.lanes.push_run(run, room) {
            return false;
        }
        if had_room && self.lanes.sample_bytes() > room / 2 {
            local.is_pressed.set(true);
        }
        let tally = &mut *local.tally.borrow_mut();
        run.frames.iter().for_each(|frame| tally.due(frame.event.kind));
        self.stalled_since.get_or_insert(now);
        true
    }

    /// Queues an acknowledgement, which goes to everybody.
    pub(super) fn take_acknowledgement(&mut self, frame: &Rc<Frame>, now: Instant, local: &Local) {
        local.tally.borrow_mut().due(frame.event.kind);
        self.stalled_since.get_or_insert(now);
        self.lanes.push_alert(Rc::clone(frame));
    }

    fn leave_out(&mut self, event: &LoggedEvent, reason: Reason, tally: &mut Tally) -> Option<Instant> {
        self.lanes.withhold(event.characteristic_id, event.revision);
        tally.skipped(reason, 1);
        None
    }

    fn is_covered(&mut self, event: &LoggedEvent) -> bool {
        if self.covered.is_empty() {
            return false;
        }
        let Some(covered) = self.covered.get(&event.characteristic_id) else { return false };
        let is_covered = event.revision <= covered.revision && !is_planted(Hazard::CoveredToldAgain);
        // Before, what it covers might yet be read again.
        if !is_covered && covered.seq <= self.last_sent_seq {
            self.covered.remove(&event.characteristic_id);
        }
        is_covered
    }

    /// Takes all events out of a queue that is too full, to read them again from the log; says whether that helped.
    pub(super) fn start_over(&mut self, local: &Local) -> bool {
        let Some(cleared) = self.lanes.clear(self.last_sent_seq) else { return false };
        let mut tally = local.tally.borrow_mut();
        tally.skipped(Reason::Again, cleared.again);
        tally.skipped(Reason::Slow, cleared.samples);
        self.skipped_samples += cleared.samples;
        let is_forgotten = is_planted(Hazard::ClearedAndForgotten);
        let cursor = if is_forgotten { local.processed.get() } else { cleared.from };
        self.feed = Feed::Replay(Replay::of_the_slow(cursor));
        true
    }

    /// What is written next, at most about `write_bytes` of it; `None`: nothing is due.
    pub(super) fn write(&mut self, now: Instant, local: &Local) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        let out = &mut *local.scratch.borrow_mut();
        let is_deaf = self.ends_deaf();
        // A client that does not read is not made to wait for what it could not read.
        while !is_deaf && out.len() < local.settings.write_bytes {
            // What all share is not copied where the socket copies it anyway.
            let piece = self.lanes.next_piece(out.is_empty());
            if let Some(run) = piece.filter(|run| self.encoding.is_plain(run)) {
                if !out.is_empty() {
                    break;
                }
                drop(self.lanes.pop(true));
                run.frames.iter().for_each(|frame| self.note_written(frame, now, local));
                self.stalled_since = self.lanes.is_due(self.is_live()).then_some(now);
                return Some(run.wire.clone());
            }
            let Some(item) = self.lanes.pop(self.is_live()) else { break };
            self.put(&item, out, now, local);
        }
        let is_something = !out.is_empty();
        self.stalled_since = (is_something && self.lanes.is_due(self.is_live())).then_some(now);
        if !is_something && let Some(farewell) = &self.farewell {
            self.is_over = true;
            self.put_farewell(&farewell.clone(), out);
        }
        (!out.is_empty()).then(|| out.split().freeze())
    }

    fn put(&mut self, item: &Item, out: &mut BytesMut, now: Instant, local: &Local) {
        match item {
            Item::Event(told) => {
                let event = &told.frame.event;
                self.last_sent_seq = self.last_sent_seq.max(event.seq);
                let resume = self.epoch_to_resume(local).map(|epoch| (epoch, self.last_sent_seq));
                self.encoding.put_event(out, resume, told);
                self.note_written(&told.frame, now, local);
            }
            Item::Run(run) => {
                let resume = self.epoch_to_resume(local).map(|epoch| (epoch, self.last_sent_seq));
                self.encoding.put_run(out, resume, run);
                run.frames.iter().for_each(|frame| self.note_written(frame, now, local));
            }
            Item::Message(message) => {
                self.encoding.put_message(out, self.epoch_to_resume(local), message);
            }
            Item::Snapshot(snapshot) => self.encoding.put_snapshot(out, snapshot),
            Item::Heartbeat => {
                self.pulse.heartbeat_leaves();
                let text = local.heartbeat(self.last_sent_seq).text();
                // Nothing waits: so it has been told, or did not want, everything until now.
                let is_told_all = self.is_live() && self.lanes.depth().0 == 0 && self.snapshots.is_empty();
                let position = is_told_all.then(|| local.processed.get());
                self.encoding.put_heartbeat(out, &local.epoch, &Beat { text, position });
            }
            Item::Retry { after_ms } => self.encoding.put_retry(out, *after_ms),
            Item::Ping => {
                let nonce = self.pulse.ping_leaves(now);
                self.encoding.put_control(out, item, nonce);
            }
            Item::Pong(_) => self.encoding.put_control(out, item, 0),
        }
    }

    fn note_written(&mut self, frame: &Frame, now: Instant, local: &Local) {
        self.last_sent_seq = self.last_sent_seq.max(frame.event.seq);
        self.delivered += 1;
        let lane = match (&self.feed, frame.event.kind) {
            (Feed::Replay(_), _) => Lane::Replay,
            (_, EventKind::Sample) => Lane::Sample,
            _ => Lane::Alert,
        };
        local.tally.borrow_mut().written(frame.event.kind, lane, frame.published, now);
    }

    /// The log in which what is written now is a place to resume from. It is none while snapshots are due: who came
    /// back there would never get them.
    fn epoch_to_resume<'a>(&self, local: &'a Local) -> Option<&'a str> {
        let reads_snapshots =
            matches!(self.feed, Feed::Replay(Replay { need: Some(Need::Snapshots(_)), .. }));
        (self.snapshots.is_empty() && !reads_snapshots).then_some(&*local.epoch)
    }

    fn put_farewell(&self, farewell: &Farewell, out: &mut BytesMut) {
        if farewell.code == CloseCode::Gone || self.encoding == Encoding::EventStream {
            return; // nobody reads it, or there is no such thing
        }
        let reason = farewell.reason.as_deref().unwrap_or(farewell.code.reason());
        out.extend_from_slice(&frame::close_saying(farewell.code, reason));
    }

    /// It ends because the client does not read, or is gone.
    pub(super) fn ends_deaf(&self) -> bool {
        self.farewell.as_ref().is_some_and(Farewell::is_to_the_deaf)
    }

    /// Who is woken when there is something to write.
    pub(super) fn remember_body(&mut self, waker: &Waker) {
        match &mut self.body {
            Some(known) if known.will_wake(waker) => {}
            body => *body = Some(waker.clone()),
        }
    }

    /// Wakes the body.
    pub(super) fn wake(&mut self) {
        if let Some(body) = self.body.take() {
            body.wake();
        }
    }

    /// How long the oldest of what waits has been waiting, as far as the client is to blame.
    pub(super) fn stalled_for(&self, now: Instant) -> Duration {
        self.stalled_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

impl Farewell {
    /// The client does not read, or is gone.
    fn is_to_the_deaf(&self) -> bool {
        matches!(self.code, CloseCode::TooSlow | CloseCode::NoPong | CloseCode::Gone)
    }
}

impl Shared {
    /// Ends the connection; says whether this was the first reason.
    pub(super) fn end(&self, code: CloseCode, reason: Option<String>) -> bool {
        let mut state = self.state.borrow_mut();
        let is_first = state.end(code, reason);
        state.wake();
        self.news.notify_one();
        is_first
    }
}
