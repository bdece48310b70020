//! What is remembered: the only SQL.
//!
//! One [`Transaction`] at a time writes; it reserves ids and positions under the log head, holds the samples,
//! violations, limits and acknowledgements of a batch together with their log rows, and commits all or
//! nothing. Readers have connections of their own and read in pages, since a long read would let the
//! write-ahead log grow.
//!
//! * **State**: the database file. In memory only the position of the newest commit ([`Store::committed`]).
//! * **Full or locked**: every call fails with [`StoreError::Unavailable`]; nothing is kept back in memory.
//! * **Dies**: what was committed is there; what was not never was. Durable: `synchronous = FULL`.
//! * **Late**: a commit's rows are also handed to the relay directly; when that queue is full they are
//!   dropped from it, and the relay reads them from the log.
//! * **Stops**: [`Store::close`], after the commit loop has ended.
//!
//! Two databases, one store: `sql/` is the text that both understand, compiled for each; `sqlite/` and `postgres/`
//! hold what differs: opening, the lock that lets one write at a time, and the writing of whole batches. On
//! PostgreSQL several processes may share a log: what others commit is heard of ([`Store::follow`]), and each
//! transaction says whose state is out of date ([`Transaction::elsewhere`]).

#[macro_use]
mod dispatch;

mod characteristics;
mod episodes;
mod error;
mod foreign;
mod head;
mod idempotency;
mod inspection;
mod ledger;
mod log;
mod phases;
mod postgres;
mod reason_codes;
mod retention;
mod revival;
mod rows;
mod samples;
mod schedule;
mod search;
mod silences;
mod space;
mod sqlite;
mod state;
mod transaction;
mod violations;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use characteristics::{CharacteristicFilter, CharacteristicRecord, GroupCount};
pub use episodes::EpisodeFilter;
pub use error::StoreError;
pub use foreign::Taken;
pub use head::LogHead;
pub use idempotency::{KeptAnswer, RequestKey};
pub use inspection::{Inspection, Unsound};
pub use ledger::{
    AttemptRecord, Backlog, DeliveryFilter, DeliveryRecord, Finished, Hold, LeaseRequest, Leased, LeasedPart,
    NewDelivery, NewNotice, NoticeRecord, Retried, Suppressed, Turn,
};
pub use log::FirstRevisions;
pub use retention::{RemovedOf, SampleRange};
pub use revival::Replay;
pub use samples::{
    KeyedSample, NeighbourFilter, Neighbours, RecentFilter, RecentSample, Rejudged, SampleFilter,
    SampleRecord,
};
pub use schedule::{Begin, DueStep};
pub use search::{EventFilter, FoundEvents};
pub use silences::NewSilence;
pub use space::Space;
pub use state::CharacteristicState;
pub use transaction::{Elsewhere, Transaction};
pub use violations::{ViolationFilter, ViolationRecord};

use crate::protocol::event::LoggedEvent;

/// Events of one commit, in order.
pub type CommittedEvents = Arc<[Arc<LoggedEvent>]>;

/// How the store is opened.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub url: String,
    /// Connections for reading.
    pub readers: u32,
    /// How long to wait for somebody else's lock.
    pub busy_timeout_ms: u64,
    /// How long a process that stands still within a transaction may hold up the others (PostgreSQL only).
    pub idle_transaction_timeout_ms: u64,
    /// Pages in the write-ahead log before it is folded in (16,000 nearly doubled sustained throughput).
    pub wal_autocheckpoint_pages: u32,
    /// Commits that may wait for the relay before it has to read the log.
    pub handover_commits: usize,
    /// With less than this left on the database's disk the process calls itself degraded (SQLite only); 0: never.
    pub min_free_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "sqlite://andon.db".to_owned(),
            readers: 4,
            busy_timeout_ms: 5_000,
            idle_transaction_timeout_ms: 10_000,
            wal_autocheckpoint_pages: 16_000,
            handover_commits: 64,
            min_free_bytes: 256 << 20,
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Rows passed over.
    pub offset: u64,
    /// Rows wanted, at most.
    pub limit: u32,
}

/// Rows of a page, and how many there are in all.
#[derive(Debug, Clone, PartialEq)]
pub struct Paged<T> {
    /// The rows.
    pub items: Vec<T>,
    /// All that match.
    pub total: u64,
}

impl Settings {
    /// The address without its password.
    fn shown_url(&self) -> String {
        // A query may name a password, too; and a password may hold what begins a query.
        let shown = |text: &str| text.split('?').next().unwrap_or_default().to_owned();
        match (self.url.find("://"), self.url.rfind('@')) {
            (Some(scheme), Some(at)) if scheme < at => {
                format!("{}...{}", &self.url[..scheme + 3], shown(&self.url[at..]))
            }
            _ => shown(&self.url),
        }
    }
}

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Backend,
    shared: Arc<Shared>,
}

/// The one database or the other.
#[derive(Debug, Clone)]
enum Backend {
    Sqlite(sqlite::Database),
    Postgres(postgres::Database),
}

#[derive(Debug)]
struct Shared {
    committed: watch::Sender<u64>,
    handover: mpsc::Sender<CommittedEvents>,
    writable: AtomicBool,
    /// How far this process has seen the log from within a transaction.
    seen: AtomicU64,
    epoch: String,
}

/// The receiving end of just-committed events; there is one, for the relay.
#[derive(Debug)]
pub struct Handover(mpsc::Receiver<CommittedEvents>);

impl Handover {
    /// The next commit's events; `None` once the store is gone.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<CommittedEvents> {
        self.0.recv().await
    }
}

impl Store {
    /// Opens the database, creates it if it is missing (SQLite), and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::InUse`] when another process serves the file.
    pub async fn open(settings: &Settings) -> Result<(Self, Handover), StoreError> {
        let (backend, head) = match settings.url.split_once("://") {
            Some(("postgres" | "postgresql", _)) => {
                let (database, head) = postgres::Database::open(settings).await?;
                (Backend::Postgres(database), head)
            }
            _ => {
                let (database, head) = sqlite::Database::open(settings).await?;
                (Backend::Sqlite(database), head)
            }
        };
        let (handover, received) = mpsc::channel(settings.handover_commits.max(1));
        let shared = Arc::new(Shared {
            committed: watch::Sender::new(head.seq),
            handover,
            writable: AtomicBool::new(true),
            seen: AtomicU64::new(head.seq),
            epoch: head.epoch,
        });
        Ok((Self { backend, shared }, Handover(received)))
    }

    /// Hears of what other processes commit, until `stop`; where there are none, only waits.
    pub async fn follow(&self, stop: CancellationToken) {
        match &self.backend {
            Backend::Sqlite(_) => stop.cancelled().await,
            Backend::Postgres(database) => postgres::follow(database, self, &stop).await,
        }
    }

    /// The position of the newest committed event: a wake-up that carries no data.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.shared.committed.subscribe()
    }

    /// The name of the log.
    pub fn epoch(&self) -> &str {
        &self.shared.epoch
    }

    /// Whether the newest attempt to write went through.
    pub fn is_writable(&self) -> bool {
        self.shared.writable.load(Ordering::Relaxed)
    }

    /// Writes nothing of interest, to see whether writing works again.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], if it does not.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        transaction.touch();
        transaction.commit().await.map(drop)
    }

    /// Closes every connection. Call it when nothing writes any more.
    pub async fn close(&self) {
        match &self.backend {
            Backend::Sqlite(database) => database.close().await,
            Backend::Postgres(database) => database.close().await,
        }
    }

    fn note_write(&self, went_through: bool) {
        self.shared.writable.store(went_through, Ordering::Relaxed);
    }

    fn seen_seq(&self) -> u64 {
        self.shared.seen.load(Ordering::Relaxed)
    }

    fn see(&self, seq: u64) {
        self.shared.seen.store(seq, Ordering::Relaxed);
    }

    fn announce(&self, seq: u64, events: CommittedEvents) {
        // Full: the relay is behind, sees the position and reads the log.
        let _ = self.shared.handover.try_send(events);
        self.hear(seq);
    }

    /// The log reaches at least so far.
    fn hear(&self, seq: u64) {
        self.shared.committed.send_if_modified(|committed| {
            let is_news = seq > *committed;
            *committed = seq.max(*committed);
            is_news
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        for (url, shown) in [
            ("sqlite://andon.db?mode=rwc", "sqlite://andon.db"),
            ("postgres://localhost/andon?password=secret", "postgres://localhost/andon"),
            ("postgres://andon:secret@db:5432/andon?sslmode=require", "postgres://...@db:5432/andon"),
            ("postgres://andon:sec@ret?@db/andon?password=secret", "postgres://...@db/andon"),
        ] {
            assert_eq!(Settings { url: url.to_owned(), ..Settings::default() }.shown_url(), shown);
        }
    }
}
