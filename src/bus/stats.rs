//! What the bus can tell about itself: a value for metrics, health and people.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ring::Phase;
use super::shared::Shared;
use super::subscriber::Role;

/// The bus at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusStats {
    /// Events published on this bus since it began.
    pub published: u64,
    /// The oldest event still in the ring.
    pub oldest: u64,
    /// Where the next event will go.
    pub next: u64,
    /// No more events are taken.
    pub closed: bool,
    /// Handlers by the kind they listen to, as the kind prints with `{:?}`. Those that listen to every kind stand
    /// under [`BusStats::EVERY_KIND`].
    pub handlers_per_kind: BTreeMap<String, usize>,
    /// In the order in which they came.
    pub subscribers: Vec<SubscriberStats>,
}

/// One subscriber at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriberStats {
    pub name: Arc<str>,
    /// The first event it is not done with: for a cursor the one it reads next, for a handler also the one it is
    /// working on.
    pub position: u64,
    /// How far that is behind the head, in events of any kind.
    pub depth: u64,
    /// Events a cursor was given, or events a handler has completed.
    pub handled: u64,
    /// Handler calls that ended in a panic.
    pub panicked: u64,
    /// Events of any kind that were overwritten before this subscriber read them, whether or not it was told.
    pub lost: u64,
    /// A handler call is in progress.
    pub running: bool,
}

impl BusStats {
    /// The entry in [`handlers_per_kind`](Self::handlers_per_kind) for handlers that take every kind.
    pub const EVERY_KIND: &str = "*";

    pub(super) fn of<E>(shared: &Shared<E>) -> Self {
        let subscribers = shared.subscribers();
        let mut handlers_per_kind = BTreeMap::new();
        for subscriber in &subscribers {
            if let Role::Handler(filter) = &subscriber.role {
                for kind in &filter.kinds {
                    *handlers_per_kind.entry(kind.clone()).or_default() += 1;
                }
            }
        }
        let (published, retained, phase) = {
            let ring = shared.ring();
            (ring.published(), ring.retained(), ring.phase())
        };
        Self {
            published,
            oldest: retained.start,
            next: retained.end,
            closed: phase != Phase::Open,
            handlers_per_kind,
            subscribers: subscribers.iter().map(|subscriber| subscriber.stats(retained.end)).collect(),
        }
    }
}
