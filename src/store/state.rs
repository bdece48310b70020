//! The present state of a characteristic, as of one position of the log.
//!
//! Read within one transaction, so that all of it is of one moment: what came up to the position is in it, and nothing
//! that came later. It is short, since on SQLite a long one lets the write-ahead log grow.

use crate::domain::episode::Episode;
use crate::domain::ids::CharacteristicId;
use crate::domain::sample::Sample;
use crate::domain::violation::Violation;
use crate::store::{CharacteristicRecord, Store, StoreError};

/// Everything that somebody has to know who begins to look at a characteristic.
#[derive(Debug, Clone, PartialEq)]
pub struct CharacteristicState {
    /// The position of the log that it is the state of.
    pub seq: u64,
    /// The characteristic with what is counted of it and the limits in force.
    pub record: CharacteristicRecord,
    /// The newest sample.
    pub newest_sample: Option<Sample>,
    /// What fired on that and was not withdrawn, in the order it was found.
    pub fired: Vec<Violation>,
    /// The newest open violations, newest first.
    pub open_violations: Vec<Violation>,
    /// What they belong to, if it is not over.
    pub open_episode: Option<Episode>,
}

impl Store {
    /// The present state of a characteristic, with at most `newest_open` of its open violations.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Renewed`], if the log was given a new epoch.
    pub async fn state_of(
        &self,
        id: CharacteristicId,
        newest_open: u32,
    ) -> Result<Option<CharacteristicState>, StoreError> {
        let (head, state) = read_at_once!(self, state::of(id, newest_open))?;
        if head.epoch != self.epoch() {
            return Err(StoreError::Renewed);
        }
        Ok(state)
    }
}
