//! What is read of the parts when somebody asks for the metrics.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use crate::broadcast::Broadcaster;
use crate::bus::EventBus;
use crate::metrics::Readings;
use crate::protocol::event::LoggedEvent;
use crate::services::CommitQueue;
use crate::settings::Settings;
use crate::store::Store;

/// What `/metrics` looks at when it is asked.
pub(super) struct Seen {
    pub(super) started_at_unix_seconds: f64,
    pub(super) store: Store,
    pub(super) requests: TaskTracker,
    pub(super) queue: CommitQueue,
    pub(super) bus: EventBus<Arc<LoggedEvent>>,
    pub(super) broadcaster: Broadcaster,
    pub(super) settings: Settings,
}

impl Seen {
    pub(super) fn read(&self) -> Readings {
        let bus = self.bus.stats();
        // A subscriber's position is the event that it takes next.
        let done = |position: u64| position.saturating_sub(1);
        Readings {
            started_at_unix_seconds: self.started_at_unix_seconds,
            database_is_writable: self.store.is_writable(),
            requests_under_way: self.requests.len() as u64,
            command_queue: self.queue.depth() as u64,
            command_queue_capacity: self.settings.services.queue_commands as u64,
            log_head: *self.store.committed().borrow(),
            relayed: done(bus.next),
            ring: bus.next - bus.oldest,
            ring_capacity: self.settings.bus.capacity_events.get() as u64,
            violations_unreceived: self.broadcaster.count_unreceived(),
            receipts_forgotten: self.broadcaster.count_forgotten(),
            subscribers: bus.subscribers.into_iter().map(|s| (s.name, done(s.position))).collect(),
        }
    }
}
