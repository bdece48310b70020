//! How much room the database takes, and how much there is left.

use std::path::{Path, PathBuf};

use crate::store::{Backend, Store, StoreError};

/// Bytes taken and bytes left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What the database takes: on SQLite the file and its write-ahead log.
    pub database_bytes: u64,
    /// What its file system has left for this user; `None` where the database is elsewhere.
    pub free_bytes: Option<u64>,
}

impl Store {
    /// Measures the room; on SQLite this asks the file system.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn space(&self) -> Result<Space, StoreError> {
        match &self.backend {
            Backend::Sqlite(database) => of_file(database.path().to_owned()).await,
            Backend::Postgres(database) => {
                let mut connection = database.reader().await?;
                Ok(Space { database_bytes: super::postgres::size(&mut connection).await?, free_bytes: None })
            }
        }
    }
}

/// The room that a database file takes, and has.
pub(super) async fn of_file(path: PathBuf) -> Result<Space, StoreError> {
    let measure = tokio::task::spawn_blocking(move || measure(&path).map_err(|error| (path, error)));
    let measured = measure.await.expect("measuring does not panic and is never cancelled");
    measured.map_err(|(path, error)| {
        let source = Box::new(StoreError::Unavailable(sqlx::Error::Io(error)));
        StoreError::Unusable { database: path.display().to_string(), source }
    })
}

fn measure(path: &Path) -> std::io::Result<Space> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    // No log beside it: then it takes nothing.
    let wal_bytes = std::fs::metadata(PathBuf::from(wal)).map_or(0, |file| file.len());
    let database_bytes = std::fs::metadata(path)?.len() + wal_bytes;
    let disk = rustix::fs::statvfs(path)?;
    Ok(Space { database_bytes, free_bytes: Some(disk.f_bavail.saturating_mul(disk.f_frsize)) })
}
