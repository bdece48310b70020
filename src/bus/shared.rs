//! What every handle, cursor and handler task of one bus shares: the ring, its lock and its wake-ups.
//!
//! No wake-up is lost because a waiter asks in this order: take the `Notified` future, look at the ring, wait.
//! `notify_waiters` reaches every `Notified` that already exists, polled or not. A publisher unlocks the ring
//! before it notifies; so whoever looked too early to see the event held its future before that notification.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ring::{Phase, Ring};
use super::subscriber::Subscriber;

pub(super) struct Shared<E> {
    ring: RwLock<Ring<E>>,
    /// Wakes subscribers: the ring has an event more, or has changed its phase.
    pub(super) news: Notify,
    /// Wakes a shutdown in progress: a cursor has read everything, or is gone.
    pub(super) drained: Notify,
    /// Who is subscribed. A lock and not a task that owns it, as a bus needs no runtime; `publish` never takes it.
    roster: Mutex<Vec<Arc<Subscriber<E>>>>,
    pub(super) handlers: TaskTracker,
    /// Cancelled when the grace of a shutdown is over; handler calls end at their next await.
    pub(super) cut: CancellationToken,
}

impl<E> Shared<E> {
    pub(super) fn new(capacity: NonZeroUsize, start: u64) -> Self {
        Self {
            ring: RwLock::new(Ring::new(capacity, start)),
            news: Notify::new(),
            drained: Notify::new(),
            roster: Mutex::new(Vec::new()),
            handlers: TaskTracker::new(),
            cut: CancellationToken::new(),
        }
    }

    // A lock poisoned by some panic still guards a whole value, as every change under it is a few plain moves.
    pub(super) fn ring(&self) -> RwLockReadGuard<'_, Ring<E>> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ring_mut(&self) -> RwLockWriteGuard<'_, Ring<E>> {
        self.ring.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn advance_to(&self, phase: Phase) {
        self.ring_mut().advance_to(phase);
        self.news.notify_waiters();
    }

    pub(super) fn join(&self, subscriber: Arc<Subscriber<E>>) {
        self.roster().push(subscriber);
    }

    pub(super) fn leave(&self, leaving: &Arc<Subscriber<E>>) {
        self.roster().retain(|subscriber| !Arc::ptr_eq(subscriber, leaving));
        self.drained.notify_waiters();
    }

    pub(super) fn subscribers(&self) -> Vec<Arc<Subscriber<E>>> {
        self.roster().clone()
    }

    fn roster(&self) -> MutexGuard<'_, Vec<Arc<Subscriber<E>>>> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
