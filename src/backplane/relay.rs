//! Hands committed events to the bus: each once, in the order of the log, none left out.
//!
//! Knows the store and the bus; knows nothing of who listens.
//!
//! * **State**: the position of the last event handed on; the bus numbers its events by the same positions.
//! * **Woken** by a commit's own rows (fast), by the watched position (sure), or by a timer (surest). Rows that
//!   do not continue the position are read from the log instead.
//! * **Full**: rows that found the hand-over queue full are read from the log. The bus never refuses.
//! * **Late or failing reads**: tried again at the next wake-up; nothing is passed over. Where the log no longer
//!   holds what comes next, or is another one, it ends, and the process with it: the bus has no holes.
//! * **Dies**: the process stops; the next one goes on from the log.
//! * **Stops**: reads the log to its end once more, so that everything committed was published.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::bus::EventBus;
use crate::error_chain::error_chain;
use crate::metrics::{Kind, Metrics};
use crate::protocol::event::LoggedEvent;
use crate::store::{Handover, Store, StoreError};

/// How the relay follows the log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How often to look at the log without having been woken.
    pub poll_interval_ms: u64,
    /// Events read at once.
    pub page_events: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { poll_interval_ms: 1_000, page_events: 500 }
    }
}

/// Follows the log and publishes it.
pub struct Relay {
    store: Store,
    handover: Handover,
    committed: watch::Receiver<u64>,
    bus: EventBus<Arc<LoggedEvent>>,
    metrics: Metrics,
    settings: Settings,
    position: u64,
}

impl Relay {
    /// A relay that goes on after `position`, where the next event of `bus` must stand.
    pub fn new(
        (store, handover): (Store, Handover),
        bus: EventBus<Arc<LoggedEvent>>,
        metrics: Metrics,
        settings: Settings,
        position: u64,
    ) -> Self {
        let mut committed = store.committed();
        committed.mark_changed(); // commits before this moment wake it, too
        Self { store, handover, committed, bus, metrics, settings, position }
    }

    /// Runs until `stop`, then publishes the rest of the log.
    ///
    /// # Errors
    /// [`StoreError::Removed`] or [`StoreError::Renewed`]: what comes next cannot be had any more.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), StoreError> {
        let poll_interval = Duration::from_millis(self.settings.poll_interval_ms.max(1));
        while !stop.is_cancelled() {
            tokio::select! {
                biased; // a commit's own rows first: they spare a read
                Some(events) = self.handover.next() => {
                    if !self.hand_on(&events) {
                        self.catch_up().await?;
                    }
                }
                Ok(()) = self.committed.changed() => {
                    if *self.committed.borrow_and_update() > self.position {
                        self.catch_up().await?;
                    }
                }
                () = stop.cancelled() => {}
                () = sleep(poll_interval) => self.catch_up().await?,
            }
        }
        self.catch_up().await
    }

    /// Publishes what continues the position; says whether it did.
    fn hand_on(&mut self, events: &[Arc<LoggedEvent>]) -> bool {
        let known = events.partition_point(|event| event.seq <= self.position);
        let fresh = &events[known..];
        let Some(first) = fresh.first() else { return true };
        if first.seq != self.position + 1 {
            return false;
        }
        let now = Instant::now();
        for event in fresh {
            event.note_published(now);
            self.metrics.events_published.get_or_create(&Kind { kind: event.kind.as_str() }).inc();
        }
        self.position += fresh.len() as u64;
        // A closed bus means that the node is stopping: the log keeps what it did not take.
        let _ = self.bus.publish_all(fresh.iter().cloned());
        true
    }

    async fn catch_up(&mut self) -> Result<(), StoreError> {
        loop {
            match self.read_page().await {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error @ (StoreError::Removed { .. } | StoreError::Renewed)) => return Err(error),
                Err(error) => {
                    warn!(position = self.position, error = %error_chain(&error), "could not read the event log, trying again");
                    return Ok(());
                }
            }
        }
    }

    async fn read_page(&mut self) -> Result<usize, StoreError> {
        let page = self.store.log_page(self.position, self.settings.page_events.max(1)).await?;
        if !page.is_empty() {
            self.metrics.relay_catch_ups.inc();
            let continued = self.hand_on(&page);
            assert!(continued, "the log has a hole after position {}", self.position);
        }
        Ok(page.len())
    }
}
