//! Violations and their acknowledgements.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::domain::ids::{CharacteristicId, EpisodeId, SampleId, ViolationId};
use crate::domain::rules::Severity;
use crate::domain::violation::{Acknowledgement, Violation, ViolationStatus};
use crate::protocol::rest::ViolationStatsView;
use crate::store::{Page, Paged, Store, StoreError, Transaction};

/// Which violations a list holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ViolationFilter {
    /// Those of this characteristic.
    pub characteristic_id: Option<CharacteristicId>,
    /// Those of this sample.
    pub sample_id: Option<SampleId>,
    /// Those of this episode.
    pub episode_id: Option<EpisodeId>,
    /// Answered or not.
    pub acknowledged: Option<bool>,
    /// Of rules that want an answer, or not.
    pub requires_acknowledgement: Option<bool>,
    /// Answered by this person, in either case; on SQLite that holds for A to Z alone.
    pub ack_user: Option<String>,
    /// Still holding or not.
    pub status: Option<ViolationStatus>,
    /// Those of this severity.
    pub severity: Option<Severity>,
    /// Those of this rule.
    pub rule_id: Option<u32>,
    /// Those of characteristics in this group or below it.
    pub group: Option<String>,
    /// Of samples measured at or after.
    pub from: Option<DateTime<Utc>>,
    /// Of samples measured before.
    pub to: Option<DateTime<Utc>>,
}

/// A violation with the position of the event that announced it.
#[derive(Debug, Clone, PartialEq)]
pub struct ViolationRecord {
    /// The violation.
    pub violation: Violation,
    /// The position of its event.
    pub seq: u64,
}

impl Store {
    /// One violation.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn violation(&self, id: ViolationId) -> Result<Option<ViolationRecord>, StoreError> {
        read!(self, violations::one(id))
    }

    /// These violations, as far as they exist and their characteristics do.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn violations_by_id(
        &self,
        ids: impl IntoIterator<Item = ViolationId>,
    ) -> Result<HashMap<ViolationId, Violation>, StoreError> {
        let ids: Vec<_> = ids.into_iter().collect();
        read!(self, violations::by_id(&ids))
    }

    /// A page of violations, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn violations(
        &self,
        filter: &ViolationFilter,
        page: Page,
    ) -> Result<Paged<ViolationRecord>, StoreError> {
        read!(self, violations::page(filter, page))
    }

    /// What fired on these samples and was not withdrawn, in the order it was found.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn violations_of_samples(
        &self,
        samples: impl IntoIterator<Item = SampleId>,
    ) -> Result<HashMap<SampleId, Vec<Violation>>, StoreError> {
        let samples: Vec<_> = samples.into_iter().collect();
        let mut fired: HashMap<_, Vec<_>> = read!(self, violations::of_samples(samples))?;
        fired.values_mut().for_each(|fired| fired.retain(|one| one.status == ViolationStatus::Open));
        Ok(fired)
    }

    /// Totals, by rule and by severity.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn violation_stats(&self, filter: &ViolationFilter) -> Result<ViolationStatsView, StoreError> {
        read!(self, violations::stats(filter))
    }
}

impl Transaction {
    /// One violation, as this transaction sees it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn violation(&mut self, id: ViolationId) -> Result<Option<ViolationRecord>, StoreError> {
        within!(self, violations::one(id))
    }

    /// What fired on these samples, also what was withdrawn, as this transaction sees it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn violations_of_samples(
        &mut self,
        samples: Vec<SampleId>,
    ) -> Result<HashMap<SampleId, Vec<Violation>>, StoreError> {
        within!(self, violations::of_samples(samples))
    }

    /// The open violations of a characteristic announced at or before a position, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_violation_ids(
        &mut self,
        characteristic_id: CharacteristicId,
        up_to_seq: u64,
        limit: u32,
    ) -> Result<Vec<ViolationId>, StoreError> {
        within!(self, violations::open_ids(characteristic_id, up_to_seq, limit))
    }

    /// Stores the answer that a violation has got.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn update_acknowledgement(
        &mut self,
        id: ViolationId,
        answer: &Acknowledgement,
    ) -> Result<(), StoreError> {
        self.touch();
        within!(self, violations::update_acknowledgement(id, answer))
    }

    /// Stores whether a violation holds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn update_violation_status(
        &mut self,
        id: ViolationId,
        status: ViolationStatus,
    ) -> Result<(), StoreError> {
        self.touch();
        within!(self, violations::update_status(id, status))
    }

    /// Stores the pattern with which a violation holds now: its side, message and members.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn update_pattern(&mut self, violation: &Violation) -> Result<(), StoreError> {
        self.touch();
        within!(self, violations::update_pattern(violation))
    }
}
