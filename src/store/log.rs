//! Reading the event log, a page at a time.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::ids::CharacteristicId;
use crate::protocol::event::LoggedEvent;
use crate::store::{LogHead, Store, StoreError};

/// What came first after a position of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstRevisions {
    /// The newest position at that moment.
    pub head: u64,
    /// Of each characteristic that has events after the position: the revision of the first of them.
    pub first_after: HashMap<CharacteristicId, u64>,
}

/// Where the log stands, read together with something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogPlace {
    pub(super) epoch: String,
    pub(super) seq: u64,
    pub(super) floor: u64,
}

impl LogPlace {
    /// Whether everything after a position is still there.
    fn reaches_back_to(&self, epoch: &str, after: u64) -> Result<(), StoreError> {
        if self.epoch != epoch {
            return Err(StoreError::Renewed);
        }
        if self.floor > after {
            return Err(StoreError::Removed { floor: self.floor });
        }
        Ok(())
    }
}

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
        let LogHead { epoch, seq, floor, .. } = self.head().await?;
        LogPlace { epoch, seq, floor }.reaches_back_to(self.epoch(), after)?;
        Ok(page)
    }

    /// What came first after a position, of each characteristic: where each stood at that position follows from it.
    ///
    /// # Errors
    /// As [`Store::log_page`].
    pub async fn first_revisions_after(&self, after: u64) -> Result<FirstRevisions, StoreError> {
        // One statement: the floor and the head are those of the moment in which the events were looked at.
        let (place, first_after) = read!(self, log::first_revisions_after(after))?;
        place.reaches_back_to(self.epoch(), after)?;
        Ok(FirstRevisions { head: place.seq, first_after })
    }

    /// The newest revision of every characteristic, as of a position of the log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revisions(&self) -> Result<(u64, Vec<(CharacteristicId, u64)>), StoreError> {
        read!(self, log::revisions())
    }
}
