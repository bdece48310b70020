//! Episodes: the open one of each characteristic, and those that are over.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::episode::{Episode, EpisodeStatus};
use crate::domain::ids::{CharacteristicId, EpisodeId};
use crate::domain::rules::Severity;
use crate::domain::violation::{Acknowledgement, Violation};
use crate::store::{Page, Paged, Store, StoreError, Transaction};

/// Which episodes a list holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EpisodeFilter {
    /// Those of this characteristic.
    pub characteristic_id: Option<CharacteristicId>,
    /// Open or over.
    pub status: Option<EpisodeStatus>,
    /// Those whose answer holds, or the others.
    pub acknowledged: Option<bool>,
    /// Those of this severity.
    pub severity: Option<Severity>,
    /// Those of characteristics in this group or below it.
    pub group: Option<String>,
    /// Opened at or after.
    pub from: Option<DateTime<Utc>>,
    /// Opened before.
    pub to: Option<DateTime<Utc>>,
}

impl Store {
    /// One episode.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn episode(&self, id: EpisodeId) -> Result<Option<Episode>, StoreError> {
        read!(self, episodes::one(id))
    }

    /// A page of episodes, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn episodes(&self, filter: &EpisodeFilter, page: Page) -> Result<Paged<Episode>, StoreError> {
        read!(self, episodes::page(filter, page))
    }
}

impl Transaction {
    /// One episode, as this transaction sees it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn episode(&mut self, id: EpisodeId) -> Result<Option<Episode>, StoreError> {
        within!(self, episodes::one(id))
    }

    /// The open episode of a characteristic, as this transaction sees it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_episode(&mut self, of: CharacteristicId) -> Result<Option<Episode>, StoreError> {
        within!(self, episodes::open_of(of))
    }

    /// Stores an episode as it is now. Written with what [`Transaction::append`] gathers.
    pub fn keep_episode(&mut self, episode: Arc<Episode>) {
        self.pending.episodes.insert(episode.id, episode);
        self.touch();
    }

    /// Puts a violation that holds again into another episode than it was in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn move_to_episode(&mut self, violation: &Violation) -> Result<(), StoreError> {
        self.touch();
        within!(self, violations::update_episode(violation))
    }

    /// The newest answer to a violation of an episode that holds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn newest_answer_in_episode(
        &mut self,
        id: EpisodeId,
    ) -> Result<Option<Acknowledgement>, StoreError> {
        within!(self, violations::newest_answer_of_episode(id))
    }

    /// Stores the same answer to the oldest open violations of an episode, up to `limit` of them; gives them as they
    /// were before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn acknowledge_in_episode(
        &mut self,
        id: EpisodeId,
        answer: &Acknowledgement,
        limit: u32,
    ) -> Result<Vec<Violation>, StoreError> {
        let open = within!(self, violations::open_of_episode(id, limit))?;
        if !open.is_empty() {
            self.touch();
            let ids = open.iter().map(|violation| violation.id).collect();
            within!(self, violations::update_acknowledgements(ids, answer))?;
        }
        Ok(open)
    }
}
