//! Andon on PostgreSQL, which several processes may share.
//!
//! Whoever writes holds the lock on the one row of `log_head` from the start of its transaction to its end: so
//! positions are contiguous in the order of commits, and nobody judges by what somebody else is just changing.
//!
//! * **Dies**: the server ends the transactions of a process that is gone and lets go of the lock; of one that
//!   only stands still, after `store.idle_transaction_timeout_ms`.
//! * **Late**: who waits longer than `store.busy_timeout_ms` for the lock is told that the database is unavailable.
//! * **A COMMIT without an answer**: the server is asked what became of the transaction, by its own name for it.
//! * **Wakes others**: a notification goes out with each commit ([`follow`]); it carries only a position, and
//!   whoever misses it looks at the log by itself.

pub(super) mod bulk;
mod follow;
#[path = "../sql/mod.rs"]
#[allow(clippy::duplicate_mod, reason = "the same text for each database, with that database's types")]
pub(super) mod sql;

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, FromRow as _, PgConnection, PgPool, Postgres, Row as _};
use tokio::time::sleep;

pub(super) use follow::{follow, notify};

use crate::store::{LogHead, Settings, StoreError};

type Connection = PgConnection;
type Db = Postgres;
type Row = sqlx::postgres::PgRow;

/// Where a text stands in another, from 1.
const POSITION: &str = "strpos";
/// The tags of characteristic `c`, to be compared with one.
const HAS_TAG: &str = "jsonb_array_elements_text(c.tags::jsonb) t WHERE t = ";

/// The database's clock, in microseconds.
const NOW: &str = "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000000 AS BIGINT)";
/// What a SELECT says so that others wait for the rows.
const LOCKING: &str = " FOR UPDATE";
/// What a SELECT says so that others pass over the rows.
const LEASING: &str = " FOR UPDATE SKIP LOCKED";

/// Connections for what is not of the log: the dispatcher's, and one that the receivers share.
const APART_CONNECTIONS: u32 = 2;

/// How often a transaction that the server still works on is asked about again.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// The least time to wait for another process that migrates the same database.
const MIGRATION_PATIENCE_MS: u64 = 30_000;

pub(super) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Database {
    writer: PgPool,
    readers: PgPool,
    apart: PgPool,
    patience: Duration,
}

/// A transaction that writes what is not of the log.
pub(super) struct Apart {
    pub(super) open: sqlx::Transaction<'static, Postgres>,
}

/// A transaction that holds the head's lock.
pub(super) struct Begun {
    pub(super) open: sqlx::Transaction<'static, Postgres>,
    pub(super) head: LogHead,
    /// The server's own name of the transaction.
    pub(super) name: String,
}

impl Database {
    /// Connects, and brings the schema up to date.
    pub(super) async fn open(settings: &Settings) -> Result<(Self, LogHead), StoreError> {
        let unusable =
            |source| StoreError::Unusable { database: settings.shown_url(), source: Box::new(source) };
        Self::connect(settings).await.map_err(unusable)
    }

    async fn connect(settings: &Settings) -> Result<(Self, LogHead), StoreError> {
        let address = |_| StoreError::Address(settings.shown_url());
        let options = PgConnectOptions::from_str(&settings.url).map_err(address)?.application_name("andon");
        let patience = Duration::from_millis(settings.busy_timeout_ms.max(1_000));
        let in_ms = |ms: u64| format!("{ms}ms");
        let writing = options.clone().options([
            ("lock_timeout", in_ms(settings.busy_timeout_ms.max(1))),
            ("idle_in_transaction_session_timeout", in_ms(settings.idle_transaction_timeout_ms)),
        ]);
        let writer = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            // A round trip for each commit; a connection that broke is noticed by `begin`, which tries again.
            .test_before_acquire(false)
            .acquire_timeout(patience * 2)
            .connect_with(writing.clone())
            .await?;
        let apart = PgPoolOptions::new()
            .min_connections(APART_CONNECTIONS)
            .max_connections(APART_CONNECTIONS)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(patience * 2)
            .connect_with(writing)
            .await?;
        migrate(&options, settings).await?;
        let head = {
            let mut connection = writer.acquire().await?;
            sql::head::create_if_missing(&mut connection).await?;
            sql::head::read(&mut connection).await?
        };
        let reading = options.options([("default_transaction_read_only", "on")]);
        let readers = PgPoolOptions::new()
            .max_connections(settings.readers.max(1))
            .acquire_timeout(patience)
            .connect_with(reading)
            .await?;
        Ok((Self { writer, readers, apart, patience }, head))
    }

    pub(super) async fn reader(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        Ok(self.readers.acquire().await?)
    }

    /// Begins a transaction that only reads. What it sees is that of its first statement.
    ///
    /// # Cancel safety
    /// Begun by a task of its own, which nobody gives up: the driver counts a transaction only once the server has answered,
    /// and of a caller that is gone by then a connection would be left in the pool that sees what was, for ever.
    pub(super) async fn moment(&self) -> Result<sqlx::Transaction<'static, Postgres>, StoreError> {
        let readers = self.readers.clone();
        let begun =
            async move { readers.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await };
        // As long as a connection may take to be had and to answer; without an owner it ends its transaction by itself.
        Ok(tokio::spawn(begun).await.map_err(|_| sqlx::Error::WorkerCrashed)??)
    }

    /// Takes the head's lock. A connection that turns out to be dead is replaced once: nothing was done on it.
    pub(super) async fn begin(&self) -> Result<Begun, StoreError> {
        match self.try_begin().await {
            Err(sqlx::Error::Io(_) | sqlx::Error::Protocol(_)) => Ok(self.try_begin().await?),
            Err(sqlx::Error::Database(error)) if is_disconnection(error.code().as_deref()) => {
                Ok(self.try_begin().await?)
            }
            other => Ok(other?),
        }
    }

    async fn try_begin(&self) -> Result<Begun, sqlx::Error> {
        let mut open = self.writer.begin().await?;
        let select = format!(
            "SELECT {}, pg_current_xact_id()::text AS name FROM log_head FOR UPDATE",
            sql::head::COLUMNS
        );
        let row = sqlx::query(&select).fetch_one(&mut *open).await?;
        Ok(Begun { open, head: LogHead::from_row(&row)?, name: row.try_get("name")? })
    }

    /// Whether a transaction whose COMMIT got no answer was committed all the same.
    pub(super) async fn has_committed(&self, name: &str) -> Result<bool, StoreError> {
        let asked = async {
            loop {
                let status: Option<String> = sqlx::query_scalar("SELECT pg_xact_status($1::text::xid8)")
                    .bind(name)
                    .fetch_one(&self.readers)
                    .await?;
                match status.as_deref() {
                    Some("in progress") => sleep(ASK_AGAIN).await,
                    status => return Ok(status == Some("committed")),
                }
            }
        };
        let timed_out = |_| StoreError::Unavailable(sqlx::Error::PoolTimedOut);
        tokio::time::timeout(self.patience * 2, asked).await.map_err(timed_out)?
    }

    /// Begins to write what is not of the log, without the head's lock.
    ///
    /// # Cancel safety
    /// Must not be given up, as [`Database::moment`] says.
    pub(super) async fn begin_apart(&self) -> Result<Apart, StoreError> {
        Ok(Apart { open: self.apart.begin().await? })
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.apart.close().await;
        self.writer.close().await;
    }
}

/// Brings the schema up to date. Another process may just be doing that, and it may take its time.
async fn migrate(options: &PgConnectOptions, settings: &Settings) -> Result<(), StoreError> {
    let patience = settings.busy_timeout_ms.max(MIGRATION_PATIENCE_MS);
    let options = options.clone().options([("lock_timeout", format!("{patience}ms"))]);
    let mut connection = PgConnection::connect_with(&options).await?;
    MIGRATIONS.run(&mut connection).await.map_err(StoreError::Migrate)?;
    Ok(connection.close().await?)
}

/// Bytes that the database takes, with all its schemas.
pub(super) async fn size(connection: &mut Connection) -> Result<u64, StoreError> {
    let bytes: i64 =
        sqlx::query_scalar("SELECT pg_database_size(current_database())").fetch_one(connection).await?;
    Ok(bytes as u64)
}

/// SQLSTATEs of a server that ends a connection: class 08, shutdown and crash, an idle transaction that it ended.
fn is_disconnection(code: Option<&str>) -> bool {
    code.is_some_and(|code| code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P03" | "25P03"))
}
