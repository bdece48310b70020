//! Characteristics, with the limits in force and what is counted of them.

use std::collections::HashMap;

use crate::domain::alarm::{AlarmState, Standing};
use crate::domain::characteristic::Characteristic;
use crate::domain::ids::{CharacteristicId, SampleId};
use crate::domain::phase::Phase;
use crate::domain::rules::RuleSet;
use crate::store::{Page, Paged, Store, StoreError, Transaction};

/// A characteristic with what is needed to judge its next sample.
#[derive(Debug, Clone, PartialEq)]
pub struct CharacteristicRecord {
    /// The characteristic.
    pub characteristic: Characteristic,
    /// What is counted of it.
    pub standing: Standing,
    /// The limits in force.
    pub phase: Option<Phase>,
    /// Samples from this id on belong to the present phase.
    pub phase_from: SampleId,
}

impl CharacteristicRecord {
    /// How it stands with its operators.
    pub fn alarm_state(&self) -> AlarmState {
        self.standing.alarm_state(self.characteristic.is_retired, self.phase.is_some())
    }
}

/// Which characteristics a list holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CharacteristicFilter {
    /// Those in this group or below it.
    pub group: Option<String>,
    /// Those whose name or key holds this text.
    pub q: Option<String>,
    /// Those with this tag.
    pub tag: Option<String>,
    /// The one with this key.
    pub key: Option<String>,
    /// Only retired ones, or only the others.
    pub is_retired: Option<bool>,
    /// Those in this state.
    pub alarm_state: Option<AlarmState>,
}

/// How many characteristics of a group are in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCount {
    /// The group; `None`: of no group.
    pub group: Option<String>,
    /// The state.
    pub alarm_state: AlarmState,
    /// How many.
    pub characteristics: u64,
}

impl Store {
    /// One characteristic.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn characteristic(
        &self,
        id: CharacteristicId,
    ) -> Result<Option<CharacteristicRecord>, StoreError> {
        read!(self, characteristics::one(id))
    }

    /// A page of characteristics by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn characteristics(
        &self,
        filter: &CharacteristicFilter,
        page: Page,
    ) -> Result<Paged<CharacteristicRecord>, StoreError> {
        read!(self, characteristics::page(filter, page))
    }

    /// These characteristics, as far as they exist.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn characteristics_by_id(
        &self,
        ids: impl IntoIterator<Item = CharacteristicId>,
    ) -> Result<HashMap<CharacteristicId, Characteristic>, StoreError> {
        let ids: Vec<_> = ids.into_iter().collect();
        read!(self, characteristics::by_id(ids))
    }

    /// The characteristics with these keys, as far as they exist.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn characteristic_ids_by_key(
        &self,
        keys: &[String],
    ) -> Result<HashMap<String, CharacteristicId>, StoreError> {
        read!(self, characteristics::ids_by_key(keys))
    }

    /// The groups of all characteristics that are not deleted; an entry without one belongs to none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn groups(&self) -> Result<HashMap<CharacteristicId, Option<String>>, StoreError> {
        read!(self, characteristics::groups())
    }

    /// The same of these characteristics, as far as they exist.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn groups_of(
        &self,
        ids: &[CharacteristicId],
    ) -> Result<HashMap<CharacteristicId, Option<String>>, StoreError> {
        read!(self, characteristics::groups_of(ids))
    }

    /// How many characteristics of each group are in each state, without retired ones.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn group_counts(&self) -> Result<Vec<GroupCount>, StoreError> {
        read!(self, characteristics::group_counts())
    }
}

impl Transaction {
    /// One characteristic, as this transaction sees it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn characteristic(
        &mut self,
        id: CharacteristicId,
    ) -> Result<Option<CharacteristicRecord>, StoreError> {
        within!(self, characteristics::one(id))
    }

    /// The characteristics with these keys, as this transaction sees them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn characteristic_ids_by_key(
        &mut self,
        keys: &[String],
    ) -> Result<HashMap<String, CharacteristicId>, StoreError> {
        within!(self, characteristics::ids_by_key(keys))
    }

    /// Adds a characteristic.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert_characteristic(&mut self, characteristic: &Characteristic) -> Result<(), StoreError> {
        self.touch();
        let phase_from = self.coming_sample_id();
        within!(self, characteristics::insert(characteristic, phase_from))
    }

    /// Stores what its owner says about a characteristic now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn update_definition(&mut self, characteristic: &Characteristic) -> Result<(), StoreError> {
        self.touch();
        within!(self, characteristics::update_definition(characteristic))
    }

    /// Begins a phase without limits; gives the id of its first sample.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn clear_phase(&mut self, id: CharacteristicId) -> Result<SampleId, StoreError> {
        self.touch();
        let phase_from = self.coming_sample_id();
        within!(self, characteristics::clear_phase(id, phase_from))?;
        Ok(phase_from)
    }

    /// Sets the run rules of a characteristic.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn update_rules(&mut self, id: CharacteristicId, rules: &RuleSet) -> Result<(), StoreError> {
        self.touch();
        within!(self, characteristics::update_rules(id, rules))
    }

    /// Hides a characteristic from everybody and frees its key; its rows are removed later, in small steps.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mark_deleted(&mut self, id: CharacteristicId) -> Result<(), StoreError> {
        self.touch();
        within!(self, characteristics::mark_deleted(id))
    }

    /// Whether a characteristic has samples. [`Transaction::flush`] before, if they may be new.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_samples(&mut self, id: CharacteristicId) -> Result<bool, StoreError> {
        within!(self, characteristics::has_samples(id))
    }
}
