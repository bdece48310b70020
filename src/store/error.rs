//! How storing fails: a variant for each thing a caller does about it.

use std::path::PathBuf;

use sqlx::postgres::PgDatabaseError;

/// PostgreSQL's classes of SQLSTATE that do the same: data exception, integrity constraint, limit exceeded.
const DATA_CLASSES: [&str; 3] = ["22", "23", "54"];

/// SQLite's primary result codes that blame the data, not the database.
const DATA_CODES: [i64; 4] = [
    18, // SQLITE_TOOBIG
    19, // SQLITE_CONSTRAINT
    20, // SQLITE_MISMATCH
    25, // SQLITE_RANGE
];

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Locked, full, gone: the same call may go through later. Nothing was stored.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// The connection broke while it answered a commit: whether it was stored is not known.
    #[error("the outcome of a commit is not known")]
    Uncertain(#[source] sqlx::Error),
    /// The data was refused: the same call will never go through. Nothing was stored.
    #[error("the database refused the data")]
    Refused(#[source] sqlx::Error),
    /// What is stored cannot be understood.
    #[error("{table} row {id} is not what this version writes")]
    Corrupt {
        /// Where.
        table: &'static str,
        /// Which row.
        id: i64,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database cannot be served.
    #[error("cannot use {database}")]
    Unusable {
        /// Its file, or its address without what is secret in it.
        database: String,
        /// Why.
        #[source]
        source: Box<StoreError>,
    },
    /// Another process serves this file.
    #[error("{} is in use by another andon process", .0.display())]
    InUse(PathBuf),
    /// The lock beside the database file could not be had.
    #[error("could not lock {}", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The schema could not be brought up to date.
    #[error("could not bring the database schema up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// Neither `sqlite://path` nor `postgres://...`.
    #[error("{0:?} is no database address: say sqlite://PATH or postgres://USER:PASSWORD@HOST/DATABASE")]
    Address(String),
    /// The log was given a new epoch: what this process knows of it means nothing any more.
    #[error("the event log was renewed: this process must start again")]
    Renewed,
    /// The log no longer reaches back to the position asked for.
    #[error("events up to position {floor} were removed from the log")]
    Removed {
        /// Events up to here are gone.
        floor: u64,
    },
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let blames_data = match &error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                if database.try_downcast_ref::<PgDatabaseError>().is_some() {
                    DATA_CLASSES.iter().any(|class| code.starts_with(class))
                } else {
                    code.parse::<i64>().is_ok_and(|code| DATA_CODES.contains(&(code & 0xFF)))
                }
            }
            sqlx::Error::Encode(_) => true,
            _ => false,
        };
        if blames_data { Self::Refused(error) } else { Self::Unavailable(error) }
    }
}
