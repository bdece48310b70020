//! Stopping: refuse, drain, cut, report.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::event_bus::EventBus;
use super::ring::Phase;
use super::shared::Shared;
use super::subscriber::Subscriber;

/// What a shutdown had to leave undone. Subscribers that finished are not mentioned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    pub left_behind: Vec<LeftBehind>,
}

/// A subscriber that did not finish within the grace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftBehind {
    pub name: Arc<str>,
    /// Events it will never see, or was working on. Counts the kinds a handler listens to; events that had
    /// already fallen off the ring count whatever their kind.
    pub undelivered: u64,
    /// A handler call was in progress. It ends at its next await; one that blocks its thread cannot be ended.
    pub running: bool,
}

impl ShutdownReport {
    /// Everybody got everything.
    pub fn is_clean(&self) -> bool {
        self.left_behind.is_empty()
    }
}

impl<E: Clone + Send + Sync + 'static> EventBus<E> {
    /// Closes the bus: publishing is refused from now on, subscribers may read what is in the ring for as long as
    /// `grace`, and then it is over. Returns as soon as everybody is done.
    ///
    /// Handlers end when they have drained. A cursor counts as done when it has read the last event or is dropped;
    /// it finds `Closed` after that. When the grace is over, cursors find `Closed` wherever they stand, and handler
    /// calls in progress are dropped at their next await. Calling again is harmless. A handler that calls it
    /// waits for itself until the grace is over, and is cut.
    ///
    /// # Panics
    /// Without a tokio runtime with time enabled.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the bus closed and draining, without the cut; call again for that.
    pub async fn shutdown(&self, grace: Duration) -> ShutdownReport {
        let shared = self.shared();
        shared.advance_to(Phase::Draining);
        shared.handlers.close();
        let everybody = async { tokio::join!(shared.handlers.wait(), cursors_drained(shared)) };
        if timeout(grace, everybody).await.is_ok() {
            shared.advance_to(Phase::Cut);
            return ShutdownReport::default();
        }
        let subscribers = shared.subscribers(); // before the cut: those it ends leave the roster
        shared.advance_to(Phase::Cut);
        shared.cut.cancel();
        let left_behind =
            subscribers.iter().filter_map(|subscriber| left_behind(shared, subscriber)).collect();
        ShutdownReport { left_behind }
    }
}

async fn cursors_drained<E>(shared: &Shared<E>) {
    loop {
        let drained = shared.drained.notified(); // before the look, or the last step would be missed
        let next = shared.ring().next();
        let is_done =
            |subscriber: &Arc<Subscriber<E>>| !subscriber.is_cursor() || subscriber.position() == next;
        if shared.subscribers().iter().all(is_done) {
            return;
        }
        drained.await;
    }
}

fn left_behind<E>(shared: &Shared<E>, subscriber: &Subscriber<E>) -> Option<LeftBehind> {
    let position = subscriber.position();
    let mut unread = Vec::new();
    let fallen_off = {
        let ring = shared.ring();
        ring.append(position, NonZeroUsize::MAX, &mut unread);
        ring.retained().start.saturating_sub(position)
    };
    let wanted = unread.iter().filter(|event| subscriber.wants(event)).count() as u64;
    let (undelivered, running) = (fallen_off + wanted, subscriber.is_running());
    (undelivered > 0 || running).then(|| LeftBehind {
        name: Arc::clone(&subscriber.name),
        undelivered,
        running,
    })
}
