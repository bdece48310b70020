//! Andon in one file: SQLite with a write-ahead log.
//!
//! One connection writes, under `BEGIN IMMEDIATE`; the readers have connections of their own. One process serves
//! a file: a lock beside it says so.

pub(super) mod bulk;
mod clock;
mod lock;
#[path = "../sql/mod.rs"]
#[allow(clippy::duplicate_mod, reason = "the same text for each database, with that database's types")]
pub(super) mod sql;

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, Sqlite, SqlitePool};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;
use tracing::warn;

use self::clock::SeenClock;

use crate::store::{LogHead, Settings, StoreError};

type Connection = sqlx::SqliteConnection;
type Db = Sqlite;
type Row = sqlx::sqlite::SqliteRow;

/// Where a text stands in another, from 1.
const POSITION: &str = "instr";
/// The tags of characteristic `c`, to be compared with one.
const HAS_TAG: &str = "json_each(c.tags) t WHERE t.value = ";

/// The database's clock, in microseconds (it tells milliseconds).
const NOW: &str = "CAST(ROUND(unixepoch('subsec') * 1000.0) * 1000 AS INTEGER)";
/// What a SELECT says so that others wait for the rows: here, nobody else writes.
const LOCKING: &str = "";
/// What a SELECT says so that others pass over the rows.
const LEASING: &str = "";

/// 64 MiB (in KiB, as SQLite says it): the hot pages of the indexes.
const WRITER_CACHE: &str = "-65536";
/// 16 MiB for each reader.
const READER_CACHE: &str = "-16384";

pub(super) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// The database file. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Database {
    writer: SqlitePool,
    readers: SqlitePool,
    path: Arc<std::path::Path>,
    lock: Arc<lock::FileLock>,
    /// The turn of who writes what is not of the log.
    apart: Arc<Mutex<SeenClock>>,
}

/// A transaction that writes what is not of the log.
pub(super) struct Apart {
    pub(super) open: sqlx::Transaction<'static, Sqlite>,
    _turn: OwnedMutexGuard<SeenClock>,
}

impl Database {
    /// Opens the file, creates it if it is missing, and brings its schema up to date.
    pub(super) async fn open(settings: &Settings) -> Result<(Self, LogHead), StoreError> {
        let named = settings.url.strip_prefix("sqlite://").filter(|path| !path.starts_with([':', '?']));
        if named.is_none_or(str::is_empty) {
            return Err(StoreError::Address(settings.shown_url()));
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
        let lock = Arc::new(lock::FileLock::acquire(&path)?);
        let unusable =
            |source| StoreError::Unusable { database: path.display().to_string(), source: Box::new(source) };
        let (writer, readers, head) = connect(settings, options).await.map_err(unusable)?;
        let apart = Arc::new(Mutex::new(SeenClock::default()));
        Ok((Self { writer, readers, path: path.clone().into(), lock, apart }, head))
    }

    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }

    pub(super) async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        Ok(self.readers.acquire().await?)
    }

    /// Begins a transaction that only reads. What it sees is that of its first statement.
    ///
    /// # Cancel safety
    /// Only with the driver's own BEGIN, which is deferred. After a statement of ours the driver takes a second step; a
    /// caller that is gone by then leaves a connection in the pool that is within a transaction, and the next one who
    /// begins on it and goes, too, takes it out of the pool for ever.
    pub(super) async fn moment(&self) -> Result<sqlx::Transaction<'static, Sqlite>, StoreError> {
        Ok(self.readers.begin().await?)
    }

    /// Takes the lock that lets only one write, and reads the head under it.
    ///
    /// # Cancel safety
    /// Must not be given up, as [`Database::moment`] says; who writes does not.
    pub(super) async fn begin(&self) -> Result<(sqlx::Transaction<'static, Sqlite>, LogHead), StoreError> {
        let mut open = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let head = sql::head::read(&mut open).await?;
        Ok((open, head))
    }

    /// Takes the same lock for what is not of the log. One of these waits for it at most: who commits has the next turn.
    ///
    /// # Cancel safety
    /// As [`Database::begin`].
    pub(super) async fn begin_apart(&self) -> Result<Apart, StoreError> {
        let mut turn = Arc::clone(&self.apart).lock_owned().await;
        let mut open = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        if let Some(step) = turn.look(clock::now_micros(&mut open).await?, Instant::now()) {
            warn!(
                clock.step_seconds = step / 1_000_000,
                "the clock was set: deliveries that wait keep their waiting time"
            );
            clock::shift_deliveries(&mut open, step).await?;
            open.commit().await?;
            open = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        }
        Ok(Apart { open, _turn: turn })
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
        self.lock.release();
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
        sql::head::create_if_missing(&mut connection).await?;
        sql::head::read(&mut connection).await?
    };
    let readers = SqlitePoolOptions::new()
        .max_connections(settings.readers.max(1))
        .acquire_timeout(patience)
        .connect_with(options.read_only(true).create_if_missing(false).pragma("cache_size", READER_CACHE))
        .await?;
    Ok((writer, readers, head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{NewDelivery, NewNotice, Settings, Store};

    /// Whatever is done next at the ledger, what waits has been moved before.
    #[tokio::test]
    async fn a_clock_that_was_set_makes_nothing_useless_and_nothing_late() {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}", directory.path().join("andon.db").display());
        let (store, _handover) =
            Store::open(&Settings { url, ..Settings::default() }).await.expect("the store opens");
        let delivery = NewDelivery::at_once("scada", Duration::from_secs(3_600));
        let notice = NewNotice {
            seq: 1,
            episode_id: 1.try_into().expect("an id"),
            characteristic_id: 1.try_into().expect("an id"),
            change: crate::domain::episode::EpisodeChange::Opened,
            severity: crate::domain::rules::Severity::Critical,
            body: "{}".to_owned(),
            routes: Vec::new(),
            deliveries: vec![delivery],
        };
        assert!(store.take_notices((0, 1), &[notice]).await.expect("taken").is_some());
        let times = async || {
            let (delivery, _) =
                store.delivery(1.try_into().expect("an id")).await.expect("read").expect("there");
            (delivery.due_at.expect("due"), delivery.useful_until)
        };
        let (due_at, useful_until) = times().await;
        let crate::store::Backend::Sqlite(database) = &store.backend else { panic!("SQLite") };
        let year = 365 * 24 * 3_600_000_000_i64;
        database.apart.lock().await.set_back(year);
        assert_eq!(store.expire_deliveries(9).await.expect("swept"), 0);
        store.release_leases().await.expect("a transaction");
        let moved = times().await;
        for moved in [moved.0 - due_at, moved.1 - useful_until] {
            let micros = moved.num_microseconds().expect("not that long");
            assert!((micros - year).abs() < 60_000_000, "{micros}");
        }
    }
}
