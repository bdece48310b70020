//! Removing what nobody needs any more, a few rows at a time.
//!
//! What to remove is looked for by reading, and removed by a transaction that asks again: who writes holds the
//! lock, so nothing is removed that became needed in between. The log loses its oldest events only, and its floor
//! is raised in the same transaction; positions and ids never restart.

use chrono::{DateTime, Utc};

use crate::domain::ids::{CharacteristicId, SampleId};
use crate::store::{Store, StoreError, Transaction};

/// Rows that were removed of a deleted characteristic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemovedOf {
    /// Its samples.
    pub samples: u64,
    /// Its violations.
    pub violations: u64,
    /// Its episodes.
    pub episodes: u64,
    /// Its control limits.
    pub limits: u64,
    /// Itself: 1 when nothing is left.
    pub characteristics: u64,
}

impl RemovedOf {
    /// Rows of every kind.
    pub fn total(&self) -> u64 {
        self.samples + self.violations + self.episodes + self.limits + self.characteristics
    }
}

/// A range of one characteristic's samples, both ends included; not all in it have to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleRange {
    /// Whose.
    pub characteristic_id: CharacteristicId,
    /// The first.
    pub from: SampleId,
    /// The last.
    pub to: SampleId,
}

impl Store {
    /// Whether the oldest event is older than `before`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_log_before(&self, before: DateTime<Utc>) -> Result<bool, StoreError> {
        let until = read!(self, retention::log_until(before.timestamp_micros(), 1))?;
        Ok(until.is_some())
    }

    /// Whether an answer kept for a request is older than `before`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_answers_before(&self, before: DateTime<Utc>) -> Result<bool, StoreError> {
        read!(self, retention::has_answers_before(before.timestamp_micros()))
    }

    /// The id before which every sample came before `before`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sample_horizon(&self, before: DateTime<Utc>) -> Result<i64, StoreError> {
        read!(self, retention::first_sample_since(before.timestamp_micros()))
    }

    /// Up to `limit` characteristics after one, by id, that have samples before `horizon`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn with_samples_before(
        &self,
        after: Option<CharacteristicId>,
        horizon: i64,
        limit: u32,
    ) -> Result<Vec<CharacteristicId>, StoreError> {
        read!(self, retention::with_samples_before(after, horizon, limit))
    }

    /// Where the oldest `limit` samples of a characteristic stand that came before `horizon`, after `after`, and
    /// that no window, no baseline and no limits to come need.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn removable_samples(
        &self,
        characteristic_id: CharacteristicId,
        after: Option<SampleId>,
        horizon: i64,
        limit: u32,
    ) -> Result<Option<SampleRange>, StoreError> {
        let ids = (after.map_or(0, SampleId::get) + 1, horizon);
        let found = read!(self, retention::removable_samples(characteristic_id, ids, limit))?;
        Ok(found.map(|(from, to)| SampleRange { characteristic_id, from, to }))
    }

    /// A characteristic that is marked as deleted and not gone yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn deleted_characteristic(&self) -> Result<Option<CharacteristicId>, StoreError> {
        read!(self, retention::deleted_characteristic())
    }
}

impl Transaction {
    /// Removes up to `limit` of the oldest events, as long as they are older than `before`, and raises the floor.
    /// Returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_log(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        let Some(until) = within!(self, retention::log_until(before.timestamp_micros(), limit))? else {
            return Ok(0);
        };
        let removed = within!(self, retention::remove_log_until(until))?;
        self.raise_floor(until);
        Ok(removed)
    }

    /// Removes up to `limit` answers older than `before`. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_answers(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        self.touch();
        within!(self, retention::remove_answers(before.timestamp_micros(), limit))
    }

    /// Removes what can still go of a range, up to `limit` samples. Returns how many. Their violations stay.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_samples(&mut self, range: SampleRange, limit: u32) -> Result<u64, StoreError> {
        let SampleRange { characteristic_id, from, to } = range;
        self.flush().await?; // what this transaction has stored counts, too
        self.touch();
        within!(self, retention::remove_samples(characteristic_id, (from, to), limit))
    }

    /// Removes up to `limit` rows of a characteristic that is marked as deleted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_deleted(
        &mut self,
        id: CharacteristicId,
        limit: u32,
    ) -> Result<RemovedOf, StoreError> {
        self.flush().await?;
        self.touch();
        within!(self, retention::remove_deleted(id, limit))
    }
}
