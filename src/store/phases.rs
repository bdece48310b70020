//! Control limits: each set of them is a phase of its characteristic.

use std::collections::HashMap;

use crate::domain::ids::{CharacteristicId, LimitsId};
use crate::domain::phase::Phase;
use crate::store::{Page, Paged, Store, StoreError, Transaction};

impl Store {
    /// All limits a characteristic has had, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn phases(&self, id: CharacteristicId, page: Page) -> Result<Paged<Phase>, StoreError> {
        read!(self, phases::page(id, page))
    }

    /// These limits, as far as they exist.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn phases_by_id(
        &self,
        ids: impl IntoIterator<Item = LimitsId>,
    ) -> Result<HashMap<LimitsId, Phase>, StoreError> {
        let ids: Vec<_> = ids.into_iter().collect();
        read!(self, phases::by_id(ids))
    }
}

impl Transaction {
    /// One set of limits, as this transaction sees it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn phase(&mut self, id: LimitsId) -> Result<Option<Phase>, StoreError> {
        within!(self, phases::one(id))
    }

    /// Adds control limits and puts them in force.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert_phase(&mut self, phase: &Phase) -> Result<(), StoreError> {
        self.touch();
        within!(self, phases::insert(phase))
    }
}
