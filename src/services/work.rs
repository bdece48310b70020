//! What a command works with: the transaction, and copies of the warm states it touches.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::domain::event::Event;
use crate::domain::ids::CharacteristicId;
use crate::services::warm::{Warm, WarmState};
use crate::store::{StoreError, Transaction};

/// One batch in the making. Dropped without a commit, it never was.
pub(super) struct Work<'a> {
    pub(super) transaction: Transaction,
    pub(super) now: DateTime<Utc>,
    warm: &'a mut Warm,
    copies: HashMap<CharacteristicId, WarmState>,
}

impl<'a> Work<'a> {
    pub(super) fn new(transaction: Transaction, now: DateTime<Utc>, warm: &'a mut Warm) -> Self {
        Self { transaction, now, warm, copies: HashMap::new() }
    }

    /// Takes the copy of a characteristic's state out, to be given back with [`Work::put`];
    /// `None` if there is no such characteristic.
    pub(super) async fn take(&mut self, id: CharacteristicId) -> Result<Option<WarmState>, StoreError> {
        if let Some(state) = self.copies.remove(&id).or_else(|| self.warm.copy(id)) {
            return Ok(Some(state));
        }
        WarmState::load(&mut self.transaction, id).await
    }

    /// Gives a state back, as the next command shall find it.
    pub(super) fn put(&mut self, state: WarmState) {
        self.copies.insert(state.characteristic.id, state);
    }

    /// Adds an event of this characteristic to the log.
    pub(super) fn append(&mut self, state: &mut WarmState, event: &Event) -> Result<u64, StoreError> {
        self.transaction.append(event, self.now, &mut state.revision)
    }

    /// Commits, and then makes the copies the state.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        match self.transaction.commit().await {
            Ok(_) => {
                self.warm.accept(self.copies);
                Ok(())
            }
            Err(error) => {
                self.warm.clear();
                Err(error)
            }
        }
    }
}
