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
//! SQLite for now. A second database is a second module with the same calls: ids and revisions come from
//! inside the transaction, so a database with several writers can lock the head row there.

mod bulk;
mod characteristics;
mod error;
mod head;
mod lock;
mod log;
mod phases;
mod reason_codes;
mod rows;
mod samples;
mod transaction;
mod violations;

use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, SqlitePool};
use tokio::sync::{mpsc, watch};

pub use characteristics::{CharacteristicFilter, CharacteristicRecord};
pub use error::StoreError;
pub use head::LogHead;
pub use samples::{RecentFilter, RecentSample, SampleFilter};
pub use transaction::Transaction;
pub use violations::{ViolationFilter, ViolationRecord};

use crate::protocol::event::LoggedEvent;

/// Events of one commit, in order.
pub type CommittedEvents = Arc<[Arc<LoggedEvent>]>;

/// 64 MiB (in KiB, as SQLite says it): the hot pages of the indexes.
const WRITER_CACHE: &str = "-65536";
/// 16 MiB for each reader.
const READER_CACHE: &str = "-16384";

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// How the store is opened.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `sqlite://PATH`.
    pub url: String,
    /// Connections for reading.
    pub readers: u32,
    /// How long to wait for somebody else's lock.
    pub busy_timeout_ms: u64,
    /// Pages in the write-ahead log before it is folded in (16,000 nearly doubled sustained throughput).
    pub wal_autocheckpoint_pages: u32,
    /// Commits that may wait for the relay before it has to read the log.
    pub handover_commits: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "sqlite://andon.db".to_owned(),
            readers: 4,
            busy_timeout_ms: 5_000,
            wal_autocheckpoint_pages: 16_000,
            handover_commits: 64,
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

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    committed: watch::Sender<u64>,
    handover: mpsc::Sender<CommittedEvents>,
    writable: AtomicBool,
    epoch: String,
    _lock: lock::FileLock,
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
    /// Opens the database, creates it if it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::InUse`] when another process serves the file.
    pub async fn open(settings: &Settings) -> Result<(Self, Handover), StoreError> {
        let named = settings.url.strip_prefix("sqlite://").filter(|path| !path.starts_with([':', '?']));
        if named.is_none_or(str::is_empty) {
            return Err(StoreError::Address(settings.url.clone()));
        }
        let options = SqliteConnectOptions::from_str(&settings.url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_millis(settings.busy_timeout_ms))
            .foreign_keys(true)
            .pragma("wal_autocheckpoint", settings.wal_autocheckpoint_pages.to_string())
            .pragma("cache_size", WRITER_CACHE);
        let path = lock::real_path(options.get_filename());
        let file_lock = lock::FileLock::acquire(&path)?;
        let unusable = |source| StoreError::File { path: path.clone(), source: Box::new(source) };
        let (writer, readers, head) = connect(settings, options).await.map_err(unusable)?;

        let (handover, received) = mpsc::channel(settings.handover_commits.max(1));
        let shared = Arc::new(Shared {
            committed: watch::Sender::new(head.seq),
            handover,
            writable: AtomicBool::new(true),
            epoch: head.epoch,
            _lock: file_lock,
        });
        Ok((Self { writer, readers, shared }, Handover(received)))
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
        self.readers.close().await;
        self.writer.close().await;
    }

    fn note_write(&self, went_through: bool) {
        self.shared.writable.store(went_through, Ordering::Relaxed);
    }

    fn announce(&self, seq: u64, events: CommittedEvents) {
        // Full: the relay is behind, sees the position and reads the log.
        let _ = self.shared.handover.try_send(events);
        self.shared.committed.send_replace(seq);
    }
}

/// Opens the one connection that writes and those that read, and brings the schema up to date in between.
async fn connect(
    settings: &Settings,
    options: SqliteConnectOptions,
) -> Result<(SqlitePool, SqlitePool, LogHead), StoreError> {
    let patience = Duration::from_millis(settings.busy_timeout_ms.max(1_000));
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(patience * 2)
        // A full disk makes SQLite end a transaction by itself; the ROLLBACK that follows fails then, and
        // the driver counts the connection as inside that transaction for ever. Such a one is replaced.
        .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
        .connect_with(options.clone())
        .await?;
    MIGRATIONS.run(&writer).await.map_err(StoreError::Migrate)?;
    let head = {
        let mut connection = writer.acquire().await?;
        LogHead::create_if_missing(&mut connection).await?;
        LogHead::read(&mut connection).await?
    };
    let readers = SqlitePoolOptions::new()
        .max_connections(settings.readers.max(1))
        .acquire_timeout(patience)
        .connect_with(options.read_only(true).create_if_missing(false).pragma("cache_size", READER_CACHE))
        .await?;
    Ok((writer, readers, head))
}
