//! The ring: the newest events, found by position.
//!
//! Plain memory without a lock, a task or a wake-up; [`Shared`](super::shared::Shared) guards it. Only moves and
//! clones pointers, so that no code of the event's type ever runs in here.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use super::cursor::Lagged;

/// Where the bus is in its life. It only ever moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Open,
    /// Refuses events; subscribers still read what is there.
    Draining,
    /// Nobody reads any more.
    Cut,
}

/// What a subscriber finds at its position.
pub(super) enum Look<'ring, E> {
    Event(&'ring Arc<E>),
    Lagged(Lagged),
    /// It has read everything there is; more may come.
    Nothing,
    /// Nothing is there for it, and nothing more will come.
    Closed,
}

pub(super) struct Ring<E> {
    slots: Box<[Option<Arc<E>>]>,
    /// The position of the first event ever published here.
    start: u64,
    /// The position the next event will get.
    next: u64,
    phase: Phase,
}

impl<E> Ring<E> {
    pub(super) fn new(capacity: NonZeroUsize, start: u64) -> Self {
        let slots = (0..capacity.get()).map(|_| None).collect();
        Self { slots, start, next: start, phase: Phase::Open }
    }

    /// Puts the event in, and leaves in its place the one it pushed out: the caller drops that without the lock.
    pub(super) fn push(&mut self, event: &mut Option<Arc<E>>) {
        let slot = self.slot(self.next);
        std::mem::swap(&mut self.slots[slot], event);
        self.next += 1;
    }

    pub(super) fn look(&self, position: u64) -> Look<'_, E> {
        let oldest = self.oldest();
        if self.phase == Phase::Cut {
            return Look::Closed;
        }
        if position < oldest {
            return Look::Lagged(Lagged { missed: oldest - position, resume_at: oldest });
        }
        match self.slots[self.slot(position)].as_ref().filter(|_| position < self.next) {
            Some(event) => Look::Event(event),
            None if self.phase == Phase::Open => Look::Nothing,
            None => Look::Closed,
        }
    }

    /// Appends up to `max` events from `position` on, oldest first; those that fell off the ring are not among them.
    pub(super) fn append(&self, position: u64, max: NonZeroUsize, out: &mut Vec<Arc<E>>) {
        let position = position.max(self.oldest());
        let first = self.slot(position);
        let events = max.get().min(self.next.saturating_sub(position) as usize);
        // What is left of them stands at the beginning: two runs of slots, without a division for each event.
        let run = events.min(self.slots.len() - first);
        out.reserve(events);
        for slots in [&self.slots[first..first + run], &self.slots[..events - run]] {
            slots.iter().flatten().for_each(|event| out.push(Arc::clone(event)));
        }
    }

    /// The positions that can still be read; its end is where the next event goes.
    pub(super) fn retained(&self) -> Range<u64> {
        self.oldest()..self.next
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn published(&self) -> u64 {
        self.next - self.start
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn advance_to(&mut self, phase: Phase) {
        self.phase = self.phase.max(phase);
    }

    fn oldest(&self) -> u64 {
        self.start.max(self.next.saturating_sub(self.slots.len() as u64))
    }

    fn slot(&self, position: u64) -> usize {
        (position % self.slots.len() as u64) as usize
    }
}
