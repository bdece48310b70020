//! Delivers alerts to receivers, at least once: one [worker](super::worker) for each receiver, and a sweeper.
//!
//! Knows the ledger and the notifiers; knows nothing of sockets, HTTP or the event bus.
//!
//! * **Another plan**: each receiver has a station of its own, where a worker for each plan follows the one before: when that has
//!   ended what was under way, said goodbye, or was cut short after `stop_grace_ms`. So no receiver waits for another one, and
//!   none is told by two at a time. A station closes when its receiver is gone from the plan.
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

use crate::domain::delivery::AttemptOutcome;
use crate::error_chain::error_chain;
use crate::metrics::{Kind, Metrics};
use crate::notify::heartbeat::Wellness;
use crate::notify::worker::{Patience, Worker};
use crate::notify::{PlanInForce, Settings};
use crate::store::{Backlog, Store, StoreError};

/// Rows that the sweeper changes in one transaction, at most.
const STEP_ROWS: u32 = 500;

/// Everything that tells receivers.
#[derive(Debug, Clone)]
pub struct Deliverer {
    store: Store,
    plan: PlanInForce,
    metrics: Metrics,
    /// Whether people can be told.
    wellness: watch::Sender<Wellness>,
}

impl Deliverer {
    pub(super) fn new(store: Store, plan: PlanInForce, metrics: Metrics) -> Self {
        Self { store, plan, metrics, wellness: watch::Sender::default() }
    }

    /// Runs until `stop`. Ends early only if a part of it does, which none is meant to.
    pub async fn run(self, stop: CancellationToken) {
        if let Err(error) = self.store.release_leases().await {
            warn!(error = %error_chain(&error), "could not release leases, they end by themselves");
        }
        // Each gives the name of the receiver whose station it was.
        let mut tasks: JoinSet<Option<String>> = JoinSet::new();
        tasks.spawn(self.clone().beat(stop.clone()).instrument(info_span!("heartbeat")));
        tasks.spawn(self.clone().sweep(stop.clone()).instrument(info_span!("sweeper")));
        let (mut plans, mut stations) = (self.plan.watch(), BTreeSet::new());
        loop {
            let plan = Arc::clone(&plans.borrow_and_update());
            let names = plan.receivers.iter().map(|receiver| &receiver.settings.name);
            for name in names.filter(|_| !stop.is_cancelled()) {
                if stations.insert(name.clone()) {
                    let span = info_span!("receiver", receiver.name = name);
                    tasks.spawn(self.clone().station(name.clone(), stop.clone()).instrument(span));
                }
            }
            tokio::select! {
                Ok(()) = plans.changed() => {}
                ended = tasks.join_next() => match ended {
                    None => return,
                    Some(Ok(Some(name))) => {
                        stations.remove(&name); // if it is back in the plan by now, it gets another one
                        let outcomes = AttemptOutcome::ALL.map(AttemptOutcome::as_str);
                        self.metrics.notifying.forget(&name.into(), outcomes);
                    }
                    Some(ended) if !stop.is_cancelled() => {
                        error!(ended = ?ended, "a part of the deliverer ended early");
                        return; // the process stops with an error
                    }
                    Some(_) => {}
                },
            }
        }
    }

    /// Serves the receiver of a name under each plan that has one.
    async fn station(self, name: String, stop: CancellationToken) -> Option<String> {
        self.metrics.notifying.set_backlog(&name.as_str().into(), 0, Duration::ZERO);
        let serve = self.plan.under_each(&stop, |plan, until| {
            let receiver = plan.receivers.named(&name)?.clone();
            let patience = Patience {
                poll_interval: plan.poll_interval(),
                stop_grace: Duration::from_millis(plan.settings.stop_grace_ms),
            };
            let metrics = self.metrics.notifying.clone();
            Some(Worker::new(receiver, self.store.clone(), metrics, patience).run(until))
        });
        serve.await;
        (!stop.is_cancelled()).then_some(name)
    }

    /// Lets the heartbeat of each plan beat.
    async fn beat(self, stop: CancellationToken) -> Option<String> {
        let beat = self.plan.under_each(&stop, |plan, until| {
            let heartbeat = plan.heartbeat.clone();
            let fresh = 3 * Duration::from_millis(plan.settings.sweep_interval_ms.max(1_000));
            let (wellness, metrics) = (self.wellness.subscribe(), self.metrics.notifying.clone());
            Some(async move {
                match heartbeat {
                    Some(heartbeat) => heartbeat.run(wellness, fresh, metrics, until).await,
                    None => until.cancelled().await,
                }
            })
        });
        beat.await;
        None
    }

    async fn sweep(self, stop: CancellationToken) -> Option<String> {
        let (mut is_failing, mut overdue) = (false, BTreeSet::new());
        let mut plans = self.plan.watch();
        while !stop.is_cancelled() {
            let plan = Arc::clone(&plans.borrow_and_update());
            match self.sweep_once(&plan.settings, &stop).await {
                Ok(found) => {
                    is_failing = false;
                    tell_overdue(plan.settings.overdue_seconds, &overdue, &found);
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
                Ok(()) = plans.changed() => {}
                () = sleep(Duration::from_millis(plan.settings.sweep_interval_ms.max(1))) => {}
            }
        }
        None
    }

    /// Gives the receivers to whom something has been due for too long, also those that the settings do not have any more.
    async fn sweep_once(
        &self,
        settings: &Settings,
        stop: &CancellationToken,
    ) -> Result<BTreeSet<String>, StoreError> {
        while !stop.is_cancelled() {
            let expired = self.store.expire_deliveries(STEP_ROWS).await?;
            if expired == 0 {
                break;
            }
            warn!(deliveries = expired, "deliveries came to nothing as long as they were of use");
            self.metrics.notifying.expired(expired);
        }
        let kept = Duration::from_secs(24 * 60 * 60 * u64::from(settings.kept_days));
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
        self.plan.look(|plan| {
            for receiver in plan.receivers.iter() {
                let name = receiver.settings.name.as_str();
                let backlog = backlogs.get(name);
                let age = backlog.and_then(|backlog| backlog.oldest_age).unwrap_or_default();
                let waiting = backlog.map_or(0, |backlog| backlog.waiting);
                self.metrics.notifying.set_backlog(&name.into(), waiting, age);
            }
        });
        let limit = Duration::from_secs(settings.overdue_seconds.into());
        let is_overdue = |backlog: &Backlog| backlog.oldest_age.is_some_and(|age| age > limit);
        Ok(backlogs.into_iter().filter(|(_, backlog)| is_overdue(backlog)).map(|(name, _)| name).collect())
    }
}

/// Tells once of each receiver to whom something has been due for too long, and once when it is not any more.
fn tell_overdue(seconds: u32, before: &BTreeSet<String>, now: &BTreeSet<String>) {
    for name in now.difference(before) {
        error!(receiver.name = name, "something has been due to receiver {name} for more than {seconds} s");
    }
    for name in before.difference(now) {
        info!(receiver.name = name, "nothing is overdue to receiver {name} any more");
    }
}
