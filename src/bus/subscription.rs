//! The pull side: a subscriber that reads at its own pace and is told what it missed.
//!
//! Every method that waits is cancel safe, so it can stand in a `tokio::select!`. The ring never waits for a
//! subscription; one that is not read falls behind, then off the ring, and finds [`Lagged`] when it reads again.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::cursor::{Cursor, Lagged, OutOfRing, Pulled};

/// What [`Subscription::next`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<E> {
    Event {
        position: u64,
        event: E,
    },
    Lagged(Lagged),
    /// Nothing more will come. Every later call says the same.
    Closed,
}

/// What [`Subscription::next_batch`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextBatch {
    /// At least one event was appended to the caller's buffer.
    Events,
    /// Nothing was appended; the next call reads from [`Lagged::resume_at`].
    Lagged(Lagged),
    /// Nothing was appended and nothing more will come. Every later call says the same.
    Closed,
}

/// A cursor on the bus: sees every event from its position on, in order, each once.
///
/// Dropping it is leaving: nothing keeps its place.
pub struct Subscription<E> {
    cursor: Cursor<E>,
    /// Events between the lock and their clones; empty between calls, kept for its memory.
    pulled: Vec<Arc<E>>,
}

impl<E: Clone> Subscription<E> {
    pub(super) fn new(cursor: Cursor<E>) -> Self {
        Self { cursor, pulled: Vec::new() }
    }

    /// The next event, once there is one; or how many were missed; or the end.
    ///
    /// # Cancel safety
    /// Dropping the future before it is ready takes nothing and moves nothing: the next call returns what this
    /// one would have.
    pub async fn next(&mut self) -> Next<E> {
        let pulled = self.cursor.pull().await;
        self.hand_over(pulled)
    }

    /// Like [`next`](Self::next), without waiting: `None` when everything published so far is read.
    pub fn try_next(&mut self) -> Option<Next<E>> {
        let pulled = self.cursor.try_pull()?;
        Some(self.hand_over(pulled))
    }

    /// Waits for events and appends at most `max` of them, each with its position, to `out`.
    ///
    /// Takes what is there: it does not wait for a batch to fill.
    ///
    /// # Cancel safety
    /// Like [`next`](Self::next): `out` and the position change only in the step that returns.
    pub async fn next_batch(&mut self, max: NonZeroUsize, out: &mut Vec<(u64, E)>) -> NextBatch {
        loop {
            self.ready().await;
            if let Some(batch) = self.try_next_batch(max, out) {
                return batch;
            }
        }
    }

    /// Like [`next_batch`](Self::next_batch), without waiting: `None` when everything published so far is read.
    pub fn try_next_batch(&mut self, max: NonZeroUsize, out: &mut Vec<(u64, E)>) -> Option<NextBatch> {
        let first = self.position();
        let pulled = self.cursor.try_pull_batch(max, &mut self.pulled)?;
        Some(match pulled {
            Pulled::Events(()) => {
                let events = self.pulled.drain(..).map(Arc::unwrap_or_clone);
                let before = out.len();
                out.extend((first..).zip(events));
                self.cursor.subscriber().has_handled((out.len() - before) as u64);
                NextBatch::Events
            }
            Pulled::Lagged(lagged) => NextBatch::Lagged(lagged),
            Pulled::Closed => NextBatch::Closed,
        })
    }

    /// Waits until [`try_next`](Self::try_next) and [`try_next_batch`](Self::try_next_batch) have an answer.
    ///
    /// # Cancel safety
    /// Takes nothing, so there is nothing to lose.
    pub async fn ready(&self) {
        self.cursor.ready().await;
    }

    /// The position of the event this subscription reads next.
    pub fn position(&self) -> u64 {
        self.cursor.position()
    }

    /// Moves to another position in the ring, back or forth. What is skipped that way is not counted as lost.
    ///
    /// # Errors
    /// [`OutOfRing`] when the position is not in the ring; the subscription then stays where it was.
    pub fn seek(&mut self, position: u64) -> Result<(), OutOfRing> {
        self.cursor.seek(position)
    }

    fn hand_over(&self, pulled: Pulled<(u64, Arc<E>)>) -> Next<E> {
        match pulled {
            Pulled::Events((position, event)) => {
                self.cursor.subscriber().has_handled(1);
                Next::Event { position, event: Arc::unwrap_or_clone(event) }
            }
            Pulled::Lagged(lagged) => Next::Lagged(lagged),
            Pulled::Closed => Next::Closed,
        }
    }
}

impl<E> fmt::Debug for Subscription<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("name", &self.cursor.subscriber().name)
            .field("position", &self.cursor.position())
            .finish_non_exhaustive()
    }
}
