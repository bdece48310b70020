//! Reading the event log, a page at a time.

use std::sync::Arc;

use crate::domain::ids::CharacteristicId;
use crate::protocol::event::LoggedEvent;
use crate::store::{LogHead, Store, StoreError};

impl Store {
    /// The head of the log as it is stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn head(&self) -> Result<LogHead, StoreError> {
        read!(self, head::read())
    }

    /// Up to `limit` events after a position, in order. Empty at the end of the log.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Removed`] where the log no longer reaches back to `after`,
    /// [`StoreError::Renewed`] where it was given a new epoch, so that `after` means nothing any more.
    pub async fn log_page(&self, after: u64, limit: u32) -> Result<Vec<Arc<LoggedEvent>>, StoreError> {
        let page = read!(self, log::page(after, limit))?;
        if page.first().is_some_and(|event| event.seq == after + 1) {
            return Ok(page); // only the oldest are ever removed, so what continues the position is whole
        }
        // Read after the page: a floor that is not above the position now was not above it then.
        let head = self.head().await?;
        if head.epoch != self.epoch() {
            return Err(StoreError::Renewed);
        }
        if head.floor > after {
            return Err(StoreError::Removed { floor: head.floor });
        }
        Ok(page)
    }

    /// The newest revision of every characteristic, as of a position of the log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revisions(&self) -> Result<(u64, Vec<(CharacteristicId, u64)>), StoreError> {
        read!(self, log::revisions())
    }
}
