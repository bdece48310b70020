//! The handle: publish, subscribe, ask.
//!
//! Subscribing by kind lives in `handler.rs`, stopping in `shutdown.rs`.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use super::Settings;
use super::cursor::{Cursor, OutOfRing, stands_in};
use super::ring::Phase;
use super::shared::Shared;
use super::stats::BusStats;
use super::subscriber::Role;
use super::subscription::Subscription;

/// The bus has been shut down and takes no more events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event bus is closed")]
pub struct Closed;

/// A handle to an event bus; clones are handles to the same bus.
///
/// Events are handed to every subscriber as clones, so hold what is large in an `Arc`.
///
/// When the last handle is dropped, subscribers read what is in the ring and then end, as nobody is left to
/// publish. A handler that owns a handle keeps its own bus alive, until [`shutdown`](Self::shutdown).
pub struct EventBus<E> {
    publishers: Arc<Publishers<E>>,
}

/// Closes the bus with the last handle; subscribers hold [`Shared`] only.
struct Publishers<E>(Arc<Shared<E>>);

impl<E: Clone + Send + Sync + 'static> EventBus<E> {
    /// An empty bus whose first event will have the position `start`.
    pub fn new(settings: Settings, start: u64) -> Self {
        Self { publishers: Arc::new(Publishers(Arc::new(Shared::new(settings.capacity, start)))) }
    }

    /// Puts one event in the ring, wakes who waits, and returns the event's position.
    ///
    /// Never waits for a subscriber and needs no runtime: it can be called from any thread, from async code, and
    /// from a handler of this same bus. Positions are contiguous, whoever publishes.
    ///
    /// # Errors
    /// [`Closed`] after [`shutdown`](Self::shutdown) began; the event is dropped.
    pub fn publish(&self, event: E) -> Result<u64, Closed> {
        // The slot comes back with the event that was pushed out, and drops it when the lock is gone.
        let mut slot = Some(Arc::new(event));
        let position = {
            let mut ring = self.shared().ring_mut();
            if ring.phase() != Phase::Open {
                return Err(Closed);
            }
            ring.push(&mut slot);
            ring.next() - 1
        };
        self.shared().news.notify_waiters();
        Ok(position)
    }

    /// Publishes the events next to one another, under one lock and with one wake-up; returns their positions.
    ///
    /// The iterator runs to its end first. A batch larger than the ring is accepted, and its beginning is gone at
    /// once: subscribers lag by it.
    ///
    /// # Errors
    /// [`Closed`] after [`shutdown`](Self::shutdown) began; no event of the batch is published then.
    pub fn publish_all(&self, events: impl IntoIterator<Item = E>) -> Result<Range<u64>, Closed> {
        let mut slots: Vec<_> = events.into_iter().map(|event| Some(Arc::new(event))).collect();
        let positions = {
            let mut ring = self.shared().ring_mut();
            if ring.phase() != Phase::Open {
                return Err(Closed);
            }
            let first = ring.next();
            slots.iter_mut().for_each(|slot| ring.push(slot));
            first..ring.next()
        };
        if !positions.is_empty() {
            self.shared().news.notify_waiters();
        }
        Ok(positions)
    }

    /// A cursor that starts with the next event published. The name is for statistics and need not be unique.
    pub fn subscribe_cursor(&self, name: impl Into<Arc<str>>) -> Subscription<E> {
        Subscription::new(Cursor::at_head(self.shared(), name.into(), Role::Cursor))
    }

    /// A cursor that starts with the event at `position`, or with the next one published if `position` is where
    /// that will go.
    ///
    /// # Errors
    /// [`OutOfRing`], with what the ring holds, when `position` is neither.
    pub fn subscribe_from(
        &self,
        name: impl Into<Arc<str>>,
        position: u64,
    ) -> Result<Subscription<E>, OutOfRing> {
        Ok(Subscription::new(Cursor::at(self.shared(), name.into(), position)?))
    }

    /// Appends up to `max` events, the one at `position` first; none if `position` is where the next event will go.
    ///
    /// For readers that come rarely and keep their position themselves: nobody subscribes, nothing is counted, and
    /// nothing is missed in silence. A bus that was shut down still shows what is in its ring.
    ///
    /// # Errors
    /// [`OutOfRing`], with what the ring holds, when `position` is outside; nothing is appended then.
    pub fn page(&self, position: u64, max: NonZeroUsize, out: &mut Vec<E>) -> Result<(), OutOfRing> {
        let mut found = Vec::new();
        {
            let ring = self.shared().ring();
            stands_in(&ring, position)?;
            ring.append(position, max, &mut found); // pointers: the event's own clone runs without the lock
        }
        out.extend(found.iter().map(|event| E::clone(event)));
        Ok(())
    }

    /// The positions in the ring; the end of the range is where the next event will go.
    pub fn retained(&self) -> Range<u64> {
        self.shared().ring().retained()
    }

    /// The bus and its subscribers at this moment. Disturbs nobody; numbers of one subscriber that is at work may
    /// be an event apart from one another.
    pub fn stats(&self) -> BusStats {
        BusStats::of(self.shared())
    }

    pub(super) fn shared(&self) -> &Arc<Shared<E>> {
        &self.publishers.0
    }
}

impl<E> Clone for EventBus<E> {
    fn clone(&self) -> Self {
        Self { publishers: Arc::clone(&self.publishers) }
    }
}

impl<E> Drop for Publishers<E> {
    fn drop(&mut self) {
        self.0.advance_to(Phase::Draining);
    }
}
