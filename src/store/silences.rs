//! Silences: kept apart from the log, since nobody who watches a process has to know of them.
//!
//! What a silence holds back stands in the delivery ledger, and begins there when it ends.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::ids::SilenceId;
use crate::domain::silence::{Silence, Silenced};
use crate::store::{Page, Paged, Store, StoreError};

/// A silence that is to begin now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSilence {
    /// What it is about.
    pub silenced: Silenced,
    /// Why.
    pub reason: String,
    /// Who says so.
    pub author: String,
    /// Until when.
    pub ends_at: DateTime<Utc>,
}

impl Store {
    /// Begins a silence, unless so many are in force. `None`: they are.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// It is done all the same, by a task that nobody gives up.
    pub async fn silence(&self, new: NewSilence, most: u32) -> Result<Option<Silence>, StoreError> {
        let store = self.clone();
        let begin = async move { write_apart!(store, silences::begin(&new, most)) };
        tokio::spawn(begin).await.map_err(|_| sqlx::Error::WorkerCrashed)?
    }

    /// Ends a silence: what it holds back is due now. `None`: there is none of that id; one that is over is given as it is.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// It is done all the same, by a task that nobody gives up.
    pub async fn end_silence(&self, id: SilenceId, by: String) -> Result<Option<Silence>, StoreError> {
        let store = self.clone();
        let end = async move { write_apart!(store, silences::end(id, &by)) };
        tokio::spawn(end).await.map_err(|_| sqlx::Error::WorkerCrashed)?
    }

    /// One silence.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn one_silence(&self, id: SilenceId) -> Result<Option<Silence>, StoreError> {
        read!(self, silences::one(id))
    }

    /// A page of silences, newest first: those in force, those that are over, or all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn silences(&self, in_force: Option<bool>, page: Page) -> Result<Paged<Silence>, StoreError> {
        read!(self, silences::page(in_force, page))
    }

    /// All that are in force, the one that ends last first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn silences_in_force(&self) -> Result<Vec<Silence>, StoreError> {
        read!(self, silences::in_force())
    }

    /// Removes silences that have been over for longer than `kept`. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_silences(&self, kept: Duration) -> Result<u64, StoreError> {
        if !read!(self, silences::has_older_than(kept))? {
            return Ok(0);
        }
        write_apart!(self, silences::remove(kept))
    }
}
