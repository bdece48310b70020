//! Removes what has had its time: old events, answers kept for requests, samples (if asked to), and what is left of
//! deleted characteristics. Measures the room on the disk on the way.
//!
//! Every step is one command in the queue of all others, so one order holds and nobody else writes meanwhile.
//! What there is to do is found by reading; where nothing is due, nothing is written.
//!
//! * **State**: none. A round that was cut short, even by a death, is taken up by the next one.
//! * **Full**: a step waits while other commands do, for `retention.give_way_ms` at most, and pauses after each.
//! * **Late**: a round takes as long as it takes; the next begins an interval after it has ended.
//! * **Fails**: the round ends; the next one tries again. The commit loop says what is wrong with the database.
//! * **Stops**: between two steps.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::clock::Clock;
use crate::domain::ids::CharacteristicId;
use crate::error_chain::error_chain;
use crate::health::Health;
use crate::metrics::{Kind, Metrics};
use crate::services::queue::{Command, CommitError, CommitQueue};
use crate::services::work::Work;
use crate::store::{RemovedOf, SampleRange, Space, Store, StoreError};

/// Characteristics that are looked through at once.
const PAGE: u32 = 100;
/// How often to look whether other commands still wait.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How long things are kept, and how gently they are removed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// From the end of a round to the next one.
    pub interval_ms: u64,
    /// Rows of one kind that one step removes, at most.
    pub rows_per_step: u32,
    /// Pause after each step.
    pub pause_ms: u64,
    /// How long a step waits for other commands to go first, at most.
    pub give_way_ms: u64,
    /// How long events stay in the log; 0: for ever.
    pub log_hours: u32,
    /// How long answers to requests with an `Idempotency-Key` are kept; 0: for ever.
    pub answers_hours: u32,
    /// How long samples are kept; 0: for ever. What judging and limits need stays in any case.
    pub samples_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interval_ms: 60_000,
            rows_per_step: 500,
            pause_ms: 20,
            give_way_ms: 1_000,
            log_hours: 7 * 24,
            answers_hours: 24,
            samples_days: 0,
        }
    }
}

/// What retention works with.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Where to look for what is due.
    pub store: Store,
    /// Where it is removed.
    pub queue: CommitQueue,
    /// What time it is.
    pub clock: Clock,
    /// Where it is counted.
    pub metrics: Metrics,
    /// Where a disk that is nearly full is told.
    pub health: Health,
    /// Below this the disk is nearly full; 0: never.
    pub min_free_bytes: u64,
}

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error("could not look for what is due")]
    Look(#[from] StoreError),
    #[error("could not remove what is due")]
    Remove(#[from] CommitError),
}

/// Removes what has had its time.
#[derive(Debug)]
pub struct Retention {
    parts: Parts,
    settings: Settings,
}

impl Retention {
    /// A retention that runs once it is told to.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        Self { parts, settings }
    }

    /// Runs a round now and then, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let interval = Duration::from_millis(self.settings.interval_ms.max(1));
        while !stop.is_cancelled() {
            self.run_round(&stop).await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(interval) => {}
            }
        }
    }

    /// Removes everything that is due now, step by step, and measures the room. Ends early at `stop`.
    pub async fn run_round(&self, stop: &CancellationToken) {
        self.measure().await;
        match self.remove(stop).await {
            Ok(()) => {}
            Err(RoundError::Remove(CommitError::Stopping)) => {}
            // The commit loop has said what is wrong.
            Err(RoundError::Remove(error @ (CommitError::Busy | CommitError::Unavailable))) => {
                debug!(error = %error_chain(&error), "retention goes on in the next round");
            }
            Err(error) => warn!(error = %error_chain(&error), "retention goes on in the next round"),
        }
        self.measure_log().await;
    }

    async fn remove(&self, stop: &CancellationToken) -> Result<(), RoundError> {
        let Parts { store, clock, .. } = &self.parts;
        let (now, limit) = (clock.now(), self.settings.rows_per_step.max(1));
        if let Some(before) = ago(now, TimeDelta::hours(self.settings.log_hours.into())) {
            while !stop.is_cancelled() && store.has_log_before(before).await? {
                self.count("events", self.step(RemoveLog { before, limit }).await?);
                self.measure_log().await;
            }
        }
        if let Some(before) = ago(now, TimeDelta::hours(self.settings.answers_hours.into())) {
            while !stop.is_cancelled() && store.has_answers_before(before).await? {
                self.count("answers", self.step(RemoveAnswers { before, limit }).await?);
            }
        }
        while !stop.is_cancelled()
            && let Some(id) = store.deleted_characteristic().await?
        {
            let removed = self.step(RemoveDeleted { id, limit }).await?;
            self.count("samples", removed.samples);
            self.count("violations", removed.violations);
            self.count("episodes", removed.episodes);
            self.count("limits", removed.limits);
            self.count("characteristics", removed.characteristics);
        }
        if let Some(before) = ago(now, TimeDelta::days(self.settings.samples_days.into())) {
            self.remove_samples(store.sample_horizon(before).await?, stop).await?;
        }
        Ok(())
    }

    /// Removes samples before `horizon`, one characteristic after the other.
    async fn remove_samples(&self, horizon: i64, stop: &CancellationToken) -> Result<(), RoundError> {
        let (store, limit) = (&self.parts.store, self.settings.rows_per_step.max(1));
        let mut after = None;
        loop {
            let page = store.with_samples_before(after, horizon, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(*last);
            for id in page {
                let mut done = None;
                while !stop.is_cancelled()
                    && let Some(range) = store.removable_samples(id, done, horizon, limit).await?
                {
                    done = Some(range.to);
                    self.count("samples", self.step(RemoveSamples { range, limit }).await?);
                }
            }
            if stop.is_cancelled() {
                return Ok(());
            }
        }
    }

    /// Lets others go first, then does one step, then pauses.
    async fn step<C: Command>(&self, command: C) -> Result<C::Answer, CommitError> {
        let queue = &self.parts.queue;
        let patience = Instant::now() + Duration::from_millis(self.settings.give_way_ms);
        let idle = async {
            while queue.depth() > 0 {
                sleep(LOOK_AGAIN).await;
            }
        };
        let _ = timeout_at(patience, idle).await; // never idle: then one step all the same
        let done = queue.run(command).await?;
        self.parts.metrics.retention_steps.inc();
        sleep(Duration::from_millis(self.settings.pause_ms)).await;
        Ok(done)
    }

    fn count(&self, kind: &'static str, rows: u64) {
        if rows > 0 {
            self.parts.metrics.rows_removed.get_or_create(&Kind { kind }).inc_by(rows);
        }
    }

    async fn measure_log(&self) {
        if let Ok(head) = self.parts.store.head().await {
            self.parts.metrics.log_floor.set(head.floor as i64);
            // Without a gap: what is there is what lies between.
            self.parts.metrics.log_rows.set((head.seq - head.floor) as i64);
        }
    }

    /// Measures the room, and tells once when it becomes scarce, and once when it is enough again.
    async fn measure(&self) {
        let Parts { store, metrics, health, min_free_bytes, .. } = &self.parts;
        let Space { database_bytes, free_bytes } = match store.space().await {
            Ok(space) => space,
            Err(error) => {
                warn!(error = %error_chain(&error), "could not measure the room of the database");
                return;
            }
        };
        metrics.database_size.set(i64::try_from(database_bytes).unwrap_or(i64::MAX));
        let Some(free_bytes) = free_bytes else { return };
        metrics.set_disk_free_bytes(free_bytes);
        let is_low = free_bytes < *min_free_bytes;
        if health.tell_disk(is_low) {
            if is_low {
                warn!(disk.free_bytes = free_bytes, "the disk of the database is nearly full");
            } else {
                info!(disk.free_bytes = free_bytes, "the disk of the database has room again");
            }
        }
    }
}

/// `None` of no time at all: then nothing is too old.
fn ago(now: DateTime<Utc>, kept: TimeDelta) -> Option<DateTime<Utc>> {
    if kept.is_zero() { None } else { now.checked_sub_signed(kept) }
}

struct RemoveLog {
    before: DateTime<Utc>,
    limit: u32,
}

impl Command for RemoveLog {
    type Answer = u64;

    async fn apply(&self, work: &mut Work<'_>) -> Result<u64, StoreError> {
        work.transaction.remove_log(self.before, self.limit).await
    }
}

struct RemoveAnswers {
    before: DateTime<Utc>,
    limit: u32,
}

impl Command for RemoveAnswers {
    type Answer = u64;

    async fn apply(&self, work: &mut Work<'_>) -> Result<u64, StoreError> {
        work.transaction.remove_answers(self.before, self.limit).await
    }
}

struct RemoveSamples {
    range: SampleRange,
    limit: u32,
}

impl Command for RemoveSamples {
    type Answer = u64;

    async fn apply(&self, work: &mut Work<'_>) -> Result<u64, StoreError> {
        work.transaction.remove_samples(self.range, self.limit).await
    }
}

struct RemoveDeleted {
    id: CharacteristicId,
    limit: u32,
}

impl Command for RemoveDeleted {
    type Answer = RemovedOf;

    async fn apply(&self, work: &mut Work<'_>) -> Result<RemovedOf, StoreError> {
        work.transaction.remove_deleted(self.id, self.limit).await
    }
}
