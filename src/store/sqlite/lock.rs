//! One process per database file: an advisory lock on a file beside it.
//!
//! The operating system lets go of it when the process ends, however it ends.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// Held as long as the store is open.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// Locks `<database>.lock`.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another process has it, [`StoreError::Lock`] if it cannot be made.
    pub fn acquire(database: &Path) -> Result<Self, StoreError> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let file = match File::options().create(true).truncate(false).write(true).open(&path) {
            Ok(file) => file,
            Err(source) => return Err(StoreError::Lock { path, source }),
        };
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse(database.to_owned())),
            Err(TryLockError::Error(source)) => Err(StoreError::Lock { path, source }),
        }
    }

    /// Lets go before the last holder is dropped: a worker of the web server may drop its share late.
    pub fn release(&self) {
        // If it fails, the lock goes with the process.
        let _ = self.file.unlock();
    }
}

/// The file's own name, whatever links lead to it: two processes must find the same lock.
pub fn real_path(database: &Path) -> PathBuf {
    if let Ok(path) = database.canonicalize() {
        return path;
    }
    // Not there yet: then only its directory can be a link.
    let parent = database.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new(".")).canonicalize();
    match (parent, database.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => database.to_owned(),
    }
}
