//! Delivers alerts to receivers, at least once: one [worker](super::worker) for each receiver, and a sweeper.
//!
//! Knows the ledger and the notifiers; knows nothing of sockets, HTTP or the event bus.
//!
//! * **The sweeper** gives up what is of no use any more, whoever it was for (a receiver may be gone from the settings),
//!   removes what has had its time, measures what waits, and tells what has been due for too long. The
//!   [heartbeat](super::heartbeat) beats by what it finds.
//! * **Stops** when all of them have.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, error, info, info_span, warn};

use crate::error_chain::error_chain;
use crate::metrics::{Kind, Metrics};
use crate::notify::heartbeat::{Heartbeat, Wellness};
use crate::notify::receivers::Receivers;
use crate::notify::settings::Settings;
use crate::notify::worker::{Patience, Worker};
use crate::store::{Backlog, Store, StoreError};

/// Rows that the sweeper changes in one transaction, at most.
const STEP_ROWS: u32 = 500;

/// Everything that tells receivers.
#[derive(Debug)]
pub struct Deliverer {
    store: Store,
    receivers: Arc<Receivers>,
    heartbeat: Option<Heartbeat>,
    metrics: Metrics,
    settings: Settings,
    /// Whether people can be told.
    wellness: watch::Sender<Wellness>,
}

impl Deliverer {
    pub(super) fn new(
        store: Store,
        receivers: Arc<Receivers>,
        heartbeat: Option<Heartbeat>,
        metrics: Metrics,
        settings: Settings,
    ) -> Self {
        Self { store, receivers, heartbeat, metrics, settings, wellness: watch::Sender::default() }
    }

    /// Runs until `stop`. Ends early only if a worker does, which none is meant to.
    pub async fn run(mut self, stop: CancellationToken) {
        if let Err(error) = self.store.release_leases().await {
            warn!(error = %error_chain(&error), "could not release leases, they end by themselves");
        }
        let patience = Patience {
            poll_interval: Duration::from_millis(self.settings.poll_interval_ms.max(1)),
            stop_grace: Duration::from_millis(self.settings.stop_grace_ms),
        };
        let mut tasks = JoinSet::new();
        for receiver in self.receivers.iter() {
            let span = info_span!("receiver", receiver.name = receiver.settings.name);
            let worker =
                Worker::new(receiver.clone(), self.store.clone(), self.metrics.notifying.clone(), patience);
            tasks.spawn(worker.run(stop.clone()).instrument(span));
        }
        if let Some(heartbeat) = self.heartbeat.take() {
            let fresh = 3 * Duration::from_millis(self.settings.sweep_interval_ms.max(1_000));
            let (wellness, metrics) = (self.wellness.subscribe(), self.metrics.notifying.clone());
            let beating = heartbeat.run(wellness, fresh, metrics, stop.clone());
            tasks.spawn(beating.instrument(info_span!("heartbeat")));
        }
        tasks.spawn(self.sweep(stop.clone()).instrument(info_span!("sweeper")));
        while let Some(ended) = tasks.join_next().await {
            if !stop.is_cancelled() {
                error!(ended = ?ended, "a part of the deliverer ended early");
                return; // the process stops with an error
            }
        }
    }

    async fn sweep(self, stop: CancellationToken) {
        let interval = Duration::from_millis(self.settings.sweep_interval_ms.max(1));
        let (mut is_failing, mut overdue) = (false, BTreeSet::new());
        while !stop.is_cancelled() {
            match self.sweep_once(&stop).await {
                Ok(found) => {
                    is_failing = false;
                    self.tell_overdue(&overdue, &found);
                    overdue = found;
                    self.wellness.send_replace(overdue.is_empty().then(Instant::now));
                }
                Err(error) if !std::mem::replace(&mut is_failing, true) => {
                    warn!(error = %error_chain(&error), "could not look through the delivery ledger, trying again");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(interval) => {}
            }
        }
    }

    /// Tells once of each receiver to whom something has been due for too long, and once when it is not any more.
    fn tell_overdue(&self, before: &BTreeSet<String>, now: &BTreeSet<String>) {
        let seconds = self.settings.overdue_seconds;
        for name in now.difference(before) {
            error!(
                receiver.name = name,
                "something has been due to receiver {name} for more than {seconds} s"
            );
        }
        for name in before.difference(now) {
            info!(receiver.name = name, "nothing is overdue to receiver {name} any more");
        }
    }

    /// Gives the receivers to whom something has been due for too long, also those that the settings do not have any more.
    async fn sweep_once(&self, stop: &CancellationToken) -> Result<BTreeSet<String>, StoreError> {
        while !stop.is_cancelled() {
            let expired = self.store.expire_deliveries(STEP_ROWS).await?;
            if expired == 0 {
                break;
            }
            warn!(deliveries = expired, "deliveries came to nothing as long as they were of use");
            self.metrics.notifying.expired(expired);
        }
        let kept = Duration::from_secs(24 * 60 * 60 * u64::from(self.settings.kept_days));
        while !stop.is_cancelled() && !kept.is_zero() {
            let removed = self.store.remove_notices(kept, STEP_ROWS).await?;
            if removed == 0 {
                break;
            }
            self.metrics.rows_removed.get_or_create(&Kind { kind: "notices" }).inc_by(removed);
        }
        if !kept.is_zero() {
            let removed = self.store.remove_silences(kept).await?;
            self.metrics.rows_removed.get_or_create(&Kind { kind: "silences" }).inc_by(removed);
        }
        let backlogs = self.store.backlogs().await?;
        for receiver in self.receivers.iter() {
            let name = receiver.settings.name.as_str();
            let backlog = backlogs.get(name);
            let age = backlog.and_then(|backlog| backlog.oldest_age).unwrap_or_default();
            let waiting = backlog.map_or(0, |backlog| backlog.waiting);
            self.metrics.notifying.set_backlog(&name.into(), waiting, age);
        }
        let limit = Duration::from_secs(self.settings.overdue_seconds.into());
        let is_overdue = |backlog: &Backlog| backlog.oldest_age.is_some_and(|age| age > limit);
        Ok(backlogs.into_iter().filter(|(_, backlog)| is_overdue(backlog)).map(|(name, _)| name).collect())
    }
}
