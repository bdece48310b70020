//! What the bus keeps about one subscriber, so that statistics and shutdown can ask without disturbing it.
//!
//! Written by the subscriber alone, read by anyone. The numbers order nothing and guard nothing, hence `Relaxed`;
//! where the shutdown report must be exact, a lock stands between writer and reader.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::stats::SubscriberStats;

pub(super) struct Subscriber<E> {
    pub(super) name: Arc<str>,
    pub(super) role: Role<E>,
    /// The first event it is not done with: for a cursor the one it pulls next, for a handler also the one it
    /// has in hand.
    position: AtomicU64,
    handled: AtomicU64,
    panicked: AtomicU64,
    lost: AtomicU64,
    running: AtomicBool,
}

pub(super) enum Role<E> {
    Cursor,
    Handler(Filter<E>),
}

/// Which events a handler is called for.
pub(super) struct Filter<E> {
    pub(super) wants: Box<dyn Fn(&E) -> bool + Send + Sync>,
    /// The kinds as they print, for statistics: the bus itself is generic over events without kinds.
    pub(super) kinds: Vec<String>,
}

impl<E> Subscriber<E> {
    pub(super) fn new(name: Arc<str>, role: Role<E>, position: u64) -> Self {
        Self {
            name,
            role,
            position: AtomicU64::new(position),
            handled: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            running: AtomicBool::new(false),
        }
    }

    pub(super) fn is_cursor(&self) -> bool {
        matches!(self.role, Role::Cursor)
    }

    pub(super) fn wants(&self, event: &E) -> bool {
        match &self.role {
            Role::Cursor => true,
            Role::Handler(filter) => (filter.wants)(event),
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.position.load(Relaxed)
    }

    pub(super) fn moved_to(&self, position: u64) {
        self.position.store(position, Relaxed);
    }

    pub(super) fn has_handled(&self, events: u64) {
        self.handled.fetch_add(events, Relaxed);
    }

    pub(super) fn has_panicked(&self) {
        self.panicked.fetch_add(1, Relaxed);
    }

    pub(super) fn has_lost(&self, events: u64) {
        self.lost.fetch_add(events, Relaxed);
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.load(Relaxed)
    }

    pub(super) fn set_running(&self, running: bool) {
        self.running.store(running, Relaxed);
    }

    pub(super) fn stats(&self, next: u64) -> SubscriberStats {
        let position = self.position();
        SubscriberStats {
            name: Arc::clone(&self.name),
            position,
            depth: next.saturating_sub(position),
            handled: self.handled.load(Relaxed),
            panicked: self.panicked.load(Relaxed),
            lost: self.lost.load(Relaxed),
            running: self.is_running(),
        }
    }
}
