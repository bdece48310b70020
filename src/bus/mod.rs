//! An in-process event bus: a bounded ring of numbered events, and a cursor per subscriber.
//!
//! [`EventBus::publish`] is synchronous, never waits for a subscriber, and works from any thread, with or
//! without a runtime. Subscribers either pull at their own pace ([`Subscription`]) or hand the bus an async
//! handler, which then runs in a task of its own ([`EventBus::subscribe`]).
//!
//! Knows its events only by [`BusEvent::kind`], and nothing else of this crate; imports nothing of it.
//!
//! * **Who owns the state.** The ring sits behind one lock, held for a few pointer moves: no await, no wake-up
//!   and no code of the event's type runs under it. Each position belongs to its subscriber.
//! * **Full.** The ring never refuses: the newest event takes the oldest one's place. A subscriber that had not
//!   read that one gets [`Lagged`], with the exact count, before its next event.
//! * **Dies.** The bus is memory only and forgets with the process; who needs more reads a log. A handler's
//!   panic is logged and counted, and costs that handler that one event.
//! * **Late.** A slow subscriber delays nobody else; [`EventBus::stats`] shows its depth.
//! * **Stops.** [`EventBus::shutdown`] refuses new events, lets subscribers drain, and reports what was left.
//!   When the last [`EventBus`] handle is dropped, subscribers drain what is there and end.

mod cursor;
mod event_bus;
mod handler;
mod ring;
mod shared;
mod shutdown;
mod stats;
mod subscriber;
mod subscription;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::hash::Hash;
use std::num::NonZeroUsize;

pub use cursor::{Lagged, OutOfRing};
pub use event_bus::{Closed, EventBus};
pub use handler::{Delivery, HandlerSubscription, Kinds};
pub use shutdown::{LeftBehind, ShutdownReport};
pub use stats::{BusStats, SubscriberStats};
pub use subscription::{Next, NextBatch, Subscription};

/// An event whose kind is known, so that handlers can subscribe to some kinds only.
///
/// Cursor subscriptions do without: they see every event.
pub trait BusEvent {
    type Kind: Copy + Eq + Hash + Debug + Send + Sync + 'static;

    /// What kind of event this is. Called once per event and handler, so it has to be cheap.
    fn kind(&self) -> Self::Kind;
}

/// How large the bus is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Events the ring keeps, read or not; each costs one pointer up front and the event while it is kept.
    pub capacity: NonZeroUsize,
}

impl Default for Settings {
    /// 65,536 events: 512 KiB of pointers, and nearly two seconds of slack at 36,000 events a second, the rate
    /// one SQLite writer sustains.
    fn default() -> Self {
        const CAPACITY: NonZeroUsize = NonZeroUsize::new(65_536).expect("65,536 is not zero");
        Self { capacity: CAPACITY }
    }
}
