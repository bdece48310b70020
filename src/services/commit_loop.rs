//! The one place where anything changes: takes what waits, judges on copies, commits, answers.
//!
//! * **State**: the warm states, owned here alone; no lock.
//! * **Full**: the queue in front is bounded; callers wait, then are told to come back ([`CommitError::Busy`]).
//! * **Late**: no timer gathers a batch. While one commit is on its way to the disk, the next batch waits
//!   together; an idle system commits each command at once.
//! * **Fails**: the copies are dropped and nothing was. A database that does not answer fails the whole batch;
//!   data that it refuses is found by repeating the batch one by one, so that only the culprit fails.
//!   While the database takes no writes, it is tried again now and then.
//! * **Renewed**: a log that was given a new epoch by somebody else is not written to any more; the loop ends.
//! * **Stops**: no new commands; those that wait are committed, then the loop ends.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::error_chain::error_chain;
use crate::metrics::Metrics;
use crate::services::Settings;
use crate::services::lookups::Lookups;
use crate::services::queue::{CommitError, CommitQueue, Job};
use crate::services::warm::Warm;
use crate::services::work::Work;
use crate::store::{Store, StoreError};

/// Applies commands to the store.
#[derive(Debug)]
pub struct CommitLoop {
    store: Store,
    clock: Clock,
    metrics: Metrics,
    settings: Settings,
    jobs: mpsc::Receiver<Box<dyn Job>>,
    /// Taken from the queue, but too large for the batch before.
    left_over: Option<Box<dyn Job>>,
    warm: Warm,
}

impl CommitLoop {
    /// The loop, and the queue that leads to it.
    pub fn new(store: Store, clock: Clock, metrics: Metrics, settings: Settings) -> (Self, CommitQueue) {
        let timeout = Duration::from_millis(settings.queue_timeout_ms);
        let (queue, jobs) = CommitQueue::new(settings.queue_commands, timeout);
        let warm = Warm::new(settings.warm_characteristics);
        (Self { store, clock, metrics, settings, jobs, left_over: None, warm }, queue)
    }

    /// Runs until `stop`, then commits what still waits.
    ///
    /// # Errors
    /// [`StoreError::Renewed`], if the log was given a new epoch: everything known here means nothing any more.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), StoreError> {
        let probe_interval = Duration::from_millis(self.settings.probe_interval_ms.max(1));
        loop {
            let unwritable = !self.store.is_writable();
            tokio::select! {
                batch = next_batch(&mut self.jobs, &mut self.left_over, &self.settings) => match batch {
                    Some(batch) => self.commit(batch).await?,
                    None => break,
                },
                () = stop.cancelled(), if !self.jobs.is_closed() => self.jobs.close(),
                () = sleep(probe_interval), if unwritable => self.probe().await?,
            }
        }
        info!("commit loop has committed everything that was waiting");
        Ok(())
    }

    async fn probe(&mut self) -> Result<(), StoreError> {
        match self.store.probe().await {
            Ok(()) => {
                // What other processes committed meanwhile, the probe has passed over.
                self.warm.clear();
                info!("the database takes writes again");
            }
            Err(error @ StoreError::Renewed) => return Err(error),
            Err(_) => {} // tried again
        }
        Ok(())
    }

    /// Commits a batch, or as much of it as can be.
    async fn commit(&mut self, batch: Vec<Box<dyn Job>>) -> Result<(), StoreError> {
        let mut batches = VecDeque::from([batch]);
        while let Some(mut batch) = batches.pop_front() {
            let begun = Instant::now();
            match self.try_commit(&mut batch).await {
                Ok(()) => {
                    self.metrics.committed(batch.len(), begun.elapsed());
                    batch.into_iter().for_each(|job| job.finish(Ok(())));
                }
                Err(error @ (StoreError::Unavailable(_) | StoreError::Uncertain(_))) => {
                    error!(error = %error_chain(&error), "the database does not take writes");
                    self.fail(batch, &error.into());
                    // Those left of a divided batch would only wait for the same trouble, one by one.
                    self.fail(batches.drain(..).flatten(), &CommitError::Unavailable);
                }
                Err(error @ StoreError::Renewed) => {
                    self.fail(batch, &CommitError::Unavailable);
                    self.fail(batches.drain(..).flatten(), &CommitError::Unavailable);
                    return Err(error);
                }
                Err(error) if batch.len() == 1 => {
                    warn!(error = %error_chain(&error), "a command was refused by the database");
                    self.fail(batch, &error.into());
                }
                // Somewhere in it is a culprit.
                Err(_) => batches.extend(batch.into_iter().map(|job| vec![job])),
            }
        }
        Ok(())
    }

    fn fail(&self, batch: impl IntoIterator<Item = Box<dyn Job>>, error: &CommitError) {
        for job in batch {
            self.metrics.commands_failed.inc();
            job.finish(Err(error.clone()));
        }
    }

    async fn try_commit(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        let transaction = self.store.begin().await?;
        let mut lookups = Lookups::default();
        batch.iter().for_each(|job| job.look_up(&mut lookups));
        let (now, policy) = (self.clock.now(), self.settings.episode_policy());
        let mut work = Work::begin(transaction, lookups, (now, policy), &mut self.warm).await?;
        for job in batch {
            job.apply(&mut work).await?;
        }
        work.commit().await
    }
}

/// Waits for a command and takes those that wait behind it, up to the size of one transaction.
///
/// Cancel safe: it awaits only the first, which `recv` does not lose.
async fn next_batch(
    jobs: &mut mpsc::Receiver<Box<dyn Job>>,
    left_over: &mut Option<Box<dyn Job>>,
    settings: &Settings,
) -> Option<Vec<Box<dyn Job>>> {
    let first = match left_over.take() {
        Some(job) => job,
        None => jobs.recv().await?,
    };
    let mut bytes = first.bytes();
    let mut batch = vec![first];
    while batch.len() < settings.commands_per_commit.max(1) {
        let Ok(job) = jobs.try_recv() else { break };
        bytes += job.bytes();
        if bytes > settings.bytes_per_commit {
            *left_over = Some(job);
            break;
        }
        batch.push(job);
    }
    Some(batch)
}
