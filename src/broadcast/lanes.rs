//! What waits for one client, in the order in which it leaves.
//!
//! While the client keeps up, everything stands in one queue, in the order of the log. A client that falls behind
//! (more than so many bytes of samples wait) gets two lanes: *ready* holds alerts and replies, first come, first
//! served, and nothing in it is ever left out; of samples only the newest of each characteristic waits, in turn, so
//! that a busy characteristic starves no other. Before an alert its own characteristic's sample moves into *ready*:
//! order within a characteristic never changes, and the sample that a violation speaks of is not replaced.
//!
//! Hence, for whatever is taken out: alerts leave in the order of the log, and a sample leaves only when every alert
//! before it has left. So the highest position written is where a client can resume, and from where what is
//! [cleared](Lanes::clear) here can be read again.
//!
//! Each event is told with the revision before it that this client got: what was withheld in between is `skipped`.
//! Pure memory: no clock, no socket, no lock.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem;
use std::rc::Rc;

use super::frame::{Frame, Item, Run, Told};
use super::hazards::{Hazard, is_planted};
use crate::domain::ids::CharacteristicId;
use crate::protocol::event::EventKind;

/// Samples that were left out to make room, and what had to be given up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Newer ones took their place.
    pub(super) samples: u64,
}

/// What was taken out unwritten, to be read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cleared {
    /// The log has to be read from after this position.
    pub(super) from: u64,
    /// Events after it.
    pub(super) again: u64,
    /// Samples before it that newer ones took the place of.
    pub(super) samples: u64,
}

#[derive(Debug)]
struct Waiting {
    told: Told,
    /// Its turn will come; otherwise it is held until [`Lanes::release`].
    in_turn: bool,
}

/// The queue of one client.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    ready: VecDeque<Item>,
    ready_bytes: usize,
    /// Runs in `ready`.
    runs: usize,
    /// Events in `ready` beside the first of each run.
    in_runs: usize,
    /// Of samples in `ready`.
    sample_bytes: usize,
    /// Only the newest sample of each characteristic waits.
    behind: bool,
    samples: HashMap<CharacteristicId, Waiting>,
    waiting_bytes: usize,
    turns: VecDeque<CharacteristicId>,
    /// Of characteristics whose newest events were withheld: the revision before those.
    known: HashMap<CharacteristicId, u64>,
}

impl Lanes {
    /// Queues a message for this client alone.
    pub(super) fn push(&mut self, item: Item) {
        self.ready_bytes += item.bytes();
        self.ready.push_back(item);
    }

    /// Queues an alert, behind its characteristic's waiting sample.
    pub(super) fn push_alert(&mut self, frame: Rc<Frame>) {
        if !is_planted(Hazard::AlertBeforeItsSample) {
            self.promote(frame.event.characteristic_id);
        }
        let told = self.tell(frame);
        self.push(Item::Event(told));
    }

    /// Queues a sample: in line while fewer than `room` bytes of samples wait there, else as the newest of its
    /// characteristic.
    pub(super) fn push_sample(&mut self, frame: Rc<Frame>, room: usize) -> LeftOut {
        if self.behind || self.samples.contains_key(&frame.event.characteristic_id) {
            return self.keep_newest(frame, true);
        }
        let bytes = frame.bytes();
        let told = self.tell(frame);
        self.push(Item::Event(told));
        self.sample_bytes += bytes;
        if self.sample_bytes > room { self.fall_behind() } else { LeftOut::default() }
    }

    /// Queues a run in line, if there is room for it and nothing else of its characteristic has to be thought of. Says
    /// whether it was.
    pub(super) fn push_run(&mut self, run: &Rc<Run>, room: usize) -> bool {
        let id = run.first().characteristic_id;
        if self.behind
            || self.samples.contains_key(&id)
            || self.known.contains_key(&id)
            || self.sample_bytes + run.sample_bytes() > room
        {
            return false;
        }
        self.sample_bytes += run.sample_bytes();
        self.runs += 1;
        self.in_runs += run.frames.len() - 1;
        self.push(Item::Run(Rc::clone(run)));
        true
    }

    /// Makes single events of runs, where each is to be looked at.
    fn expand_runs(&mut self) {
        self.in_runs = 0;
        if mem::take(&mut self.runs) == 0 {
            return;
        }
        for item in mem::take(&mut self.ready) {
            match item {
                Item::Run(run) => self.ready.extend(run.told().map(Item::Event)),
                other => self.ready.push_back(other),
            }
        }
    }

    /// Keeps a sample back until it is [released](Self::release), in place of an older one.
    pub(super) fn hold_sample(&mut self, frame: Rc<Frame>) -> LeftOut {
        self.keep_newest(frame, false)
    }

    /// Keeps a sample as the newest of its characteristic, whatever room there is.
    pub(super) fn keep_newest_sample(&mut self, frame: Rc<Frame>) -> LeftOut {
        self.keep_newest(frame, true)
    }

    /// A sample that was held may leave now; says whether there was one.
    pub(super) fn release(&mut self, id: CharacteristicId) -> bool {
        let is_held = |waiting: &&mut Waiting| !waiting.in_turn && !is_planted(Hazard::HeldForEver);
        let Some(waiting) = self.samples.get_mut(&id).filter(is_held) else {
            return false;
        };
        waiting.in_turn = true;
        self.turns.push_back(id);
        true
    }

    /// An event that is not told: the next one of its characteristic counts it as skipped.
    pub(super) fn withhold(&mut self, id: CharacteristicId, revision: u64) {
        if !is_planted(Hazard::WithheldUncounted) {
            self.known.entry(id).or_insert(revision - 1);
        }
    }

    /// A characteristic is subscribed to anew: what waits of it leaves before the answer, and then it counts anew.
    pub(super) fn count_anew(&mut self, id: CharacteristicId) {
        self.promote(id);
        self.known.remove(&id);
    }

    /// A characteristic is not subscribed to any more: its waiting sample is left out. What stands in line leaves
    /// before the answer.
    pub(super) fn forget(&mut self, id: CharacteristicId) -> LeftOut {
        self.known.remove(&id);
        LeftOut { samples: u64::from(self.take_waiting(id).is_some()) }
    }

    /// The next thing to write; `None`: nothing is due. Samples that wait for their turn come only `with_samples`.
    pub(super) fn pop(&mut self, with_samples: bool) -> Option<Item> {
        if is_planted(Hazard::SampleBeforeAlert)
            && let Some(told) = self.turns.pop_front().and_then(|id| self.take_in_turn(id))
        {
            return Some(Item::Event(told));
        }
        if let Some(item) = self.ready.pop_front() {
            self.ready_bytes -= item.bytes();
            match &item {
                Item::Event(told) if told.frame.event.kind == EventKind::Sample => {
                    self.sample_bytes = self.sample_bytes.saturating_sub(told.frame.bytes());
                }
                Item::Run(run) => {
                    self.runs -= 1;
                    self.in_runs -= run.frames.len() - 1;
                    self.sample_bytes = self.sample_bytes.saturating_sub(run.sample_bytes());
                }
                _ => {}
            }
            return Some(item);
        }
        while with_samples && let Some(id) = self.turns.pop_front() {
            if let Some(told) = self.take_in_turn(id) {
                return Some(Item::Event(told));
            }
        }
        if with_samples {
            self.behind = false; // everything has left that may
        }
        None
    }

    /// The run that comes next, if it is worth a piece of its own: it is long, or `alone`, and nothing else waits in line.
    pub(super) fn next_piece(&self, alone: bool) -> Option<Rc<Run>> {
        let is_alone = alone && self.ready.len() == 1;
        match self.ready.front() {
            Some(Item::Run(run)) if run.frames.len() > 1 || is_alone => Some(Rc::clone(run)),
            _ => None,
        }
    }

    /// Whether there is something to write now.
    pub(super) fn is_due(&self, with_samples: bool) -> bool {
        !self.ready.is_empty() || (with_samples && !self.turns.is_empty())
    }

    /// Only the newest sample of each characteristic waits.
    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Bytes of samples that stand in line.
    pub(super) fn sample_bytes(&self) -> usize {
        self.sample_bytes
    }

    /// Bytes of alerts, of replies and of what leaves with them.
    pub(super) fn ready_bytes(&self) -> usize {
        self.ready_bytes
    }

    /// Everything that waits: frames and bytes.
    pub(super) fn depth(&self) -> (usize, usize) {
        (self.ready.len() + self.in_runs + self.samples.len(), self.ready_bytes + self.waiting_bytes)
    }

    /// Takes all events out, to be read from the log again; messages stay. `written` is the highest position that
    /// was written. `None`, if there is no event.
    pub(super) fn clear(&mut self, written: u64) -> Option<Cleared> {
        self.expand_runs();
        // What stands before the answer to a subscription leaves before it: the client counts anew from there.
        let kept = self.ready.iter().rposition(is_divide).map_or(0, |index| index + 1);
        let mut events = vec![];
        let mut newest_kept = 0;
        for (index, item) in mem::take(&mut self.ready).into_iter().enumerate() {
            match item {
                Item::Event(told) if index >= kept => events.push(told),
                other => {
                    if let Item::Event(told) = &other {
                        newest_kept = newest_kept.max(told.frame.event.seq);
                    }
                    self.ready.push_back(other);
                }
            }
        }
        events.extend(mem::take(&mut self.samples).into_values().map(|waiting| waiting.told));
        self.turns.clear();
        (self.waiting_bytes, self.sample_bytes, self.behind) = (0, 0, false);
        self.ready_bytes = self.ready.iter().map(Item::bytes).sum();
        let oldest = events.iter().map(|told| told.frame.event.seq).min()?;
        let from = match written.max(newest_kept) {
            written if is_planted(Hazard::ClearedTooFar) => written.saturating_sub(3),
            written => written.max(oldest - 1),
        };
        events.sort_unstable_by_key(|told| told.frame.event.seq);
        let again = events.split_off(events.partition_point(|told| told.frame.event.seq <= from));
        // What is not read again are samples that newer alerts have overtaken: the newest of them still wait.
        let samples = events.into_iter().map(|told| self.set_aside(told)).sum();
        let cleared = Cleared { from, again: again.len() as u64, samples };
        // From each characteristic's first one on it is as if nothing had been told.
        for told in again.into_iter().rev() {
            self.known.insert(told.frame.event.characteristic_id, told.previous);
        }
        Some(cleared)
    }

    /// Takes everything out, for ever; says how many events that were.
    pub(super) fn drain(&mut self) -> u64 {
        self.expand_runs();
        let in_line = self.ready.iter().filter(|item| matches!(item, Item::Event(_))).count();
        let events = in_line + self.samples.len();
        *self = Self::default();
        events as u64
    }

    /// Moves the waiting sample of a characteristic in front of what is queued next.
    fn promote(&mut self, id: CharacteristicId) {
        if let Some(waiting) = self.take_waiting(id) {
            self.sample_bytes += waiting.told.frame.bytes();
            self.push(Item::Event(waiting.told));
        }
    }

    fn tell(&mut self, frame: Rc<Frame>) -> Told {
        let event = &frame.event;
        let known = if self.known.is_empty() { None } else { self.known.remove(&event.characteristic_id) };
        let previous = known.unwrap_or(event.revision - 1);
        Told { frame, previous }
    }

    fn keep_newest(&mut self, frame: Rc<Frame>, in_turn: bool) -> LeftOut {
        let id = frame.event.characteristic_id;
        self.waiting_bytes += frame.bytes();
        let mut told = self.tell(frame);
        let mut left_out = LeftOut::default();
        let mut has_turn = false;
        if let Some(older) = self.samples.remove(&id) {
            self.waiting_bytes -= older.told.frame.bytes();
            if !is_planted(Hazard::SkippedForgotten) {
                told.previous = older.told.previous;
            }
            has_turn = older.in_turn;
            left_out.samples = 1;
        }
        if in_turn && !has_turn {
            self.turns.push_back(id);
        }
        self.samples.insert(id, Waiting { told, in_turn: in_turn || has_turn });
        left_out
    }

    fn take_waiting(&mut self, id: CharacteristicId) -> Option<Waiting> {
        if self.samples.is_empty() {
            return None;
        }
        let waiting = self.samples.remove(&id)?;
        self.waiting_bytes -= waiting.told.frame.bytes();
        Some(waiting) // its turn, if it has one, passes it over
    }

    fn take_in_turn(&mut self, id: CharacteristicId) -> Option<Told> {
        if !self.samples.get(&id)?.in_turn {
            return None;
        }
        self.take_waiting(id).map(|waiting| waiting.told)
    }

    /// Sorts out what stands in line: alerts, messages and the sample right before its own alert stay.
    fn fall_behind(&mut self) -> LeftOut {
        self.expand_runs();
        self.behind = true;
        let mut alerted: HashSet<CharacteristicId> = HashSet::new();
        let mut stays = vec![false; self.ready.len()];
        let kept = self.ready.iter().rposition(is_divide).map_or(0, |index| index + 1);
        stays[..kept].fill(true);
        for (index, item) in self.ready.iter().enumerate().skip(kept).rev() {
            stays[index] = match item {
                Item::Event(told) if told.frame.event.kind == EventKind::Sample => {
                    alerted.remove(&told.frame.event.characteristic_id)
                }
                Item::Event(told) => {
                    alerted.insert(told.frame.event.characteristic_id);
                    true
                }
                _ => true,
            };
        }
        let mut left_out = LeftOut::default();
        (self.sample_bytes, self.ready_bytes) = (0, 0);
        for (item, stays) in mem::take(&mut self.ready).into_iter().zip(stays) {
            match item {
                Item::Event(told) if !stays => left_out.samples += self.set_aside(told),
                Item::Event(told) => self.put_back(told, &mut left_out),
                other => self.push(other),
            }
        }
        left_out
    }

    /// A sample leaves the line and waits as the newest of its characteristic; says how many it took the place of.
    fn set_aside(&mut self, told: Told) -> u64 {
        let id = told.frame.event.characteristic_id;
        self.waiting_bytes += told.frame.bytes();
        let older = self.samples.insert(id, Waiting { told, in_turn: true });
        let Some(older) = older else {
            self.turns.push_back(id);
            return 0;
        };
        self.waiting_bytes -= older.told.frame.bytes();
        if let Some(newest) = self.samples.get_mut(&id) {
            newest.told.previous = older.told.previous;
        }
        1
    }

    /// An event stays in line; an older sample of its characteristic that was set aside gives way to it.
    fn put_back(&mut self, mut told: Told, left_out: &mut LeftOut) {
        let id = told.frame.event.characteristic_id;
        if let Some(older) = self.take_waiting(id) {
            told.previous = older.told.previous;
            left_out.samples += 1;
        }
        if told.frame.event.kind == EventKind::Sample {
            self.sample_bytes += told.frame.bytes();
        }
        self.push(Item::Event(told));
    }
}

/// What stands before it cannot come behind it: from the answer to a subscription on revisions count, and from that to an
/// unsubscription on nothing more comes.
fn is_divide(item: &Item) -> bool {
    matches!(item, Item::Message(message) if matches!(message.name, "subscribed" | "unsubscribed"))
}
