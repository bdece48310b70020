//! What other systems told, by their own names: each event is taken once, however often it comes.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::domain::foreign::ForeignEventId;
use crate::domain::ids::{CharacteristicId, LimitsId, SampleId, ViolationId};
use crate::store::{StoreError, Transaction};

/// What became of a foreign event here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    /// The sample that it is about.
    pub sample_id: Option<SampleId>,
    /// The violation that it is about.
    pub violation_id: Option<ViolationId>,
    /// The limits that it set.
    pub limits_id: Option<LimitsId>,
    /// The position of our event; `None` where there was nothing new to tell.
    pub seq: Option<u64>,
}

impl Transaction {
    /// What became of a foreign event, if it was taken before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn foreign_event(&mut self, event: &ForeignEventId) -> Result<Option<Taken>, StoreError> {
        within!(self, foreign::find(event))
    }

    /// Remembers a foreign event.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert_foreign_event(
        &mut self,
        event: &ForeignEventId,
        taken: &Taken,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.touch();
        within!(self, foreign::insert(event, taken, at.timestamp_micros()))
    }

    /// Our id of another system's sample. [`Transaction::flush`] before, if it may be new.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn foreign_sample_id(
        &mut self,
        source: &str,
        external_id: &str,
    ) -> Result<Option<SampleId>, StoreError> {
        within!(self, foreign::sample_id(source, external_id))
    }

    /// Those of another system's samples that are known, by its ids. [`Transaction::flush`] before, if they may be new.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn foreign_samples(
        &mut self,
        source: &str,
        external_ids: &[String],
    ) -> Result<HashMap<String, (SampleId, CharacteristicId)>, StoreError> {
        if external_ids.is_empty() {
            return Ok(HashMap::new());
        }
        within!(self, foreign::samples(source, external_ids))
    }

    /// Lets go of another system's id of a sample whose characteristic is deleted: it may come again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release_foreign_sample(&mut self, sample: SampleId) -> Result<(), StoreError> {
        self.touch();
        within!(self, foreign::release_sample(sample))
    }

    /// Lets go of another system's id of a violation whose characteristic is deleted: it may come again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release_foreign_violation(&mut self, violation: ViolationId) -> Result<(), StoreError> {
        self.touch();
        within!(self, foreign::release_violation(violation))
    }

    /// Our id of another system's violation. [`Transaction::flush`] before, if it may be new.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn foreign_violation_id(
        &mut self,
        source: &str,
        external_id: &str,
    ) -> Result<Option<ViolationId>, StoreError> {
        within!(self, foreign::violation_id(source, external_id))
    }
}
