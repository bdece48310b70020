//! Samples, as they were judged when they arrived.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::domain::chart::Zone;
use crate::domain::ids::{CharacteristicId, LimitsId, SampleId};
use crate::domain::sample::{Sample, SampleKey, Subgroup};
use crate::store::{Page, Paged, Store, StoreError, Transaction};

/// Which samples a list holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SampleFilter {
    /// Those of this characteristic.
    pub characteristic_id: Option<CharacteristicId>,
    /// Measured at or after.
    pub from: Option<DateTime<Utc>>,
    /// Measured before.
    pub to: Option<DateTime<Utc>>,
}

/// As much of a past sample as judging and estimating need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecentSample {
    /// Its id.
    pub id: SampleId,
    /// What was plotted.
    pub subgroup: Subgroup,
    /// Counts as never taken.
    pub is_excluded: bool,
}

/// Which past samples `recent_samples` reads: of those that count for judging and estimating, not of those that
/// were only stored or that another system has judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecentFilter {
    /// Whose.
    pub characteristic_id: CharacteristicId,
    /// From this one on: where a phase begins.
    pub since: Option<SampleId>,
    /// Measured at or after.
    pub from: Option<DateTime<Utc>>,
    /// Measured before.
    pub to: Option<DateTime<Utc>>,
    /// The newest so many.
    pub newest: u32,
}

/// A sample with the position of the event that announced it.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleRecord {
    /// The sample.
    pub sample: Sample,
    /// The position of its event.
    pub seq: u64,
}

/// A sample by its sender's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyedSample {
    /// Whose.
    pub characteristic_id: CharacteristicId,
    /// Its key.
    pub key: SampleKey,
}

/// Which points stand around a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighbourFilter {
    /// Whose.
    pub characteristic_id: CharacteristicId,
    /// In which phase; `None`: where none judged.
    pub limits_id: Option<LimitsId>,
    /// Around which sample.
    pub around: SampleId,
    /// At most so many before it.
    pub before: u32,
    /// At most so many after it.
    pub after: u32,
}

/// The points around a sample, oldest first, without itself and without excluded ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    /// Those before it.
    pub before: Vec<Sample>,
    /// Those after it.
    pub after: Vec<Sample>,
    /// The excluded ones among them, but for the sample itself.
    pub excluded: Vec<SampleId>,
}

/// What judging a sample again has found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rejudged {
    /// Whether no rule fires on it; `None` if nothing judges it.
    pub in_control: Option<bool>,
    /// Where it lies.
    pub zone: Option<Zone>,
    /// What the dispersion chart plots.
    pub dispersion_value: Option<f64>,
}

impl Store {
    /// One sample.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sample(&self, id: SampleId) -> Result<Option<SampleRecord>, StoreError> {
        read!(self, samples::one(id))
    }

    /// When these samples were measured, as far as they exist.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn measured_at(
        &self,
        ids: Vec<SampleId>,
    ) -> Result<HashMap<SampleId, DateTime<Utc>>, StoreError> {
        read!(self, samples::measured_at(&ids))
    }

    /// A page of samples, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn samples(&self, filter: &SampleFilter, page: Page) -> Result<Paged<Sample>, StoreError> {
        read!(self, samples::page(filter, page))
    }

    /// The same without counting all of them, which takes its time in a long history.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn newest(&self, filter: &SampleFilter, page: Page) -> Result<Vec<Sample>, StoreError> {
        read!(self, samples::newest(filter, page))
    }

    /// The newest sample of each of these characteristics that has one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn newest_samples(
        &self,
        ids: &[CharacteristicId],
    ) -> Result<HashMap<CharacteristicId, Sample>, StoreError> {
        read!(self, samples::newest_of_each(ids))
    }

    /// Past samples, oldest first, excluded ones included.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recent_samples(&self, filter: &RecentFilter) -> Result<Vec<RecentSample>, StoreError> {
        read!(self, samples::recent(filter))
    }
}

impl Transaction {
    /// One sample, as this transaction sees it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sample(&mut self, id: SampleId) -> Result<Option<SampleRecord>, StoreError> {
        within!(self, samples::one(id))
    }

    /// Past samples, oldest first, excluded ones included, as this transaction sees them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recent_samples(&mut self, filter: &RecentFilter) -> Result<Vec<RecentSample>, StoreError> {
        within!(self, samples::recent(filter))
    }

    /// The points around a sample in its phase.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn neighbours(&mut self, filter: &NeighbourFilter) -> Result<Neighbours, StoreError> {
        within!(self, samples::neighbours(filter))
    }

    /// Whether the newest judged sample of a characteristic signalled; `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_signalling(&mut self, id: CharacteristicId) -> Result<Option<bool>, StoreError> {
        within!(self, samples::is_signalling(id))
    }

    /// The samples with these keys, as far as there are any.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn samples_by_key(&mut self, wanted: &[KeyedSample]) -> Result<Vec<SampleRecord>, StoreError> {
        within!(self, samples::by_key(wanted))
    }

    /// Excludes a sample, or includes it again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_excluded(&mut self, id: SampleId, is_excluded: bool) -> Result<(), StoreError> {
        self.touch();
        within!(self, samples::set_excluded(id, is_excluded))
    }

    /// Stores what judging a sample again has found.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn update_verdict(&mut self, id: SampleId, rejudged: &Rejudged) -> Result<(), StoreError> {
        self.touch();
        within!(self, samples::update_verdict(id, rejudged))
    }
}
