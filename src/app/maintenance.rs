//! What is done to a database while nobody serves it, or behind the back of whoever does.

use crate::app::AppError;
use crate::store::{self, Store};

/// The names of a log before and after it was renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The epoch that positions until now belong to.
    pub old: String,
    /// The epoch from now on.
    pub new: String,
}

/// Gives the log a new epoch, so that every client subscribes afresh: after a restore, positions that were told
/// before may come again with other events.
///
/// On SQLite nobody may serve the file meanwhile. On PostgreSQL running processes notice, and end.
///
/// # Errors
/// [`AppError::Store`], if the database is in use or cannot be written.
pub async fn renew_epoch(settings: &store::Settings) -> Result<Renewal, AppError> {
    let (store, _handover) = Store::open(settings).await?;
    let old = store.epoch().to_owned();
    let mut transaction = store.begin().await?;
    let new = transaction.renew_epoch();
    transaction.commit().await?;
    store.close().await;
    Ok(Renewal { old, new })
}
