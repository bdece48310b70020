//! A position in the ring that moves forward: what cursor subscriptions and handler tasks have in common.
//!
//! Hands out pointers to events; cloning the event itself is the caller's, outside the lock.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Arc, RwLockReadGuard};

use tokio::task::coop;

use super::ring::{Look, Phase, Ring};
use super::shared::Shared;
use super::subscriber::{Role, Subscriber};

/// A subscriber fell off the ring: events were overwritten before it read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lagged {
    /// Events overwritten unread, of whatever kind.
    pub missed: u64,
    /// Where the subscriber stands now: the oldest event that was in the ring at that moment.
    pub resume_at: u64,
}

impl Lagged {
    /// The positions that were missed: what to read from a log, if there is one.
    pub fn missed_positions(&self) -> Range<u64> {
        self.resume_at - self.missed..self.resume_at
    }
}

/// The position asked for is not in the ring: overwritten already, before the bus began, or not published yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("position {position} is outside the ring, which holds {oldest}..{next}")]
pub struct OutOfRing {
    pub position: u64,
    /// The oldest event that can still be read.
    pub oldest: u64,
    /// Where the next event will go; the newest position one can stand at.
    pub next: u64,
}

pub(super) enum Pulled<T> {
    Events(T),
    Lagged(Lagged),
    Closed,
}

pub(super) struct Cursor<E> {
    shared: Arc<Shared<E>>,
    subscriber: Arc<Subscriber<E>>,
    position: u64,
}

impl<E> Cursor<E> {
    /// Joins at the head: the first event it sees is the next one published.
    pub(super) fn at_head(shared: &Arc<Shared<E>>, name: Arc<str>, role: Role<E>) -> Self {
        let next = shared.ring().next();
        Self::join(shared, name, role, next)
    }

    pub(super) fn at(shared: &Arc<Shared<E>>, name: Arc<str>, position: u64) -> Result<Self, OutOfRing> {
        stands_in(&shared.ring(), position)?;
        Ok(Self::join(shared, name, Role::Cursor, position))
    }

    fn join(shared: &Arc<Shared<E>>, name: Arc<str>, role: Role<E>, position: u64) -> Self {
        let subscriber = Arc::new(Subscriber::new(name, role, position));
        shared.join(Arc::clone(&subscriber));
        Self { shared: Arc::clone(shared), subscriber, position }
    }

    pub(super) fn shared(&self) -> &Arc<Shared<E>> {
        &self.shared
    }

    pub(super) fn subscriber(&self) -> &Arc<Subscriber<E>> {
        &self.subscriber
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn seek(&mut self, position: u64) -> Result<(), OutOfRing> {
        let ring = self.shared.ring();
        stands_in(&ring, position)?;
        self.show(position, ring);
        self.position = position;
        Ok(())
    }

    /// Waits until there is something to pull. Holds no event, so dropping it loses none.
    pub(super) async fn ready(&self) {
        coop::consume_budget().await;
        loop {
            let news = self.shared.news.notified(); // before the look, or news in between would be lost
            if !matches!(self.shared.ring().look(self.position), Look::Nothing) {
                return;
            }
            news.await;
        }
    }

    /// The next event, once there is one. Cancel safe: it moves on only in the step that returns.
    pub(super) async fn pull(&mut self) -> Pulled<(u64, Arc<E>)> {
        coop::consume_budget().await; // a full ring must not keep its reader's neighbours from running
        loop {
            if let Some(pulled) = self.try_pull() {
                return pulled;
            }
            self.ready().await;
        }
    }

    pub(super) fn try_pull(&mut self) -> Option<Pulled<(u64, Arc<E>)>> {
        let position = self.position;
        self.take(|_, event| ((position, Arc::clone(event)), 1))
    }

    /// Appends up to `max` consecutive events.
    pub(super) fn try_pull_batch(&mut self, max: NonZeroUsize, out: &mut Vec<Arc<E>>) -> Option<Pulled<()>> {
        let (position, before) = (self.position, out.len());
        self.take(|ring, _| {
            ring.append(position, max, out);
            ((), (out.len() - before) as u64)
        })
    }

    /// Looks at the ring and, if an event is there, lets `take_events` say what it took and how many that were.
    fn take<T>(&mut self, take_events: impl FnOnce(&Ring<E>, &Arc<E>) -> (T, u64)) -> Option<Pulled<T>> {
        let ring = self.shared.ring();
        let (pulled, position) = match ring.look(self.position) {
            Look::Event(event) => {
                let (taken, events) = take_events(&ring, event);
                (Pulled::Events(taken), self.position + events)
            }
            Look::Lagged(lagged) => {
                self.subscriber.has_lost(lagged.missed);
                (Pulled::Lagged(lagged), lagged.resume_at)
            }
            Look::Closed => return Some(Pulled::Closed),
            Look::Nothing => return None,
        };
        self.show(position, ring);
        self.position = position;
        Some(pulled)
    }

    /// Takes the locked ring, so that a shutdown never counts as left what was just pulled.
    fn show(&self, position: u64, ring: RwLockReadGuard<'_, Ring<E>>) {
        if !self.subscriber.is_cursor() {
            return; // a handler's position shows when its call is over
        }
        self.subscriber.moved_to(position);
        let drained = ring.phase() != Phase::Open && position == ring.next();
        drop(ring); // before a waker runs
        if drained {
            self.shared.drained.notify_waiters();
        }
    }
}

impl<E> Drop for Cursor<E> {
    fn drop(&mut self) {
        self.shared.leave(&self.subscriber);
    }
}

pub(super) fn stands_in<E>(ring: &Ring<E>, position: u64) -> Result<(), OutOfRing> {
    let retained = ring.retained();
    let inside = (retained.start..=retained.end).contains(&position);
    inside.then_some(()).ok_or(OutOfRing { position, oldest: retained.start, next: retained.end })
}
