//! The reasons that operators choose from, in their order.

use crate::store::{Store, StoreError, Transaction};

impl Store {
    /// The list.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reason_codes(&self) -> Result<Vec<String>, StoreError> {
        read!(self, reason_codes::all())
    }
}

impl Transaction {
    /// Replaces the list.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn replace_reason_codes(&mut self, names: &[String]) -> Result<(), StoreError> {
        self.touch();
        within!(self, reason_codes::replace(names))
    }
}
