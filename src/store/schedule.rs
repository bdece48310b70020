//! What is scheduled in the delivery ledger: steps of escalations, reminders, and what silences hold back.

use crate::domain::ids::{CharacteristicId, DeliveryId};
use crate::domain::rules::Severity;
use crate::store::ledger::Hold;
use crate::store::{Store, StoreError};

/// A scheduled delivery whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueStep {
    /// Which.
    pub id: DeliveryId,
    /// The name of its receiver.
    pub receiver: String,
    /// Of which characteristic.
    pub characteristic_id: CharacteristicId,
    /// How severe the episode was when the notice was made; `None`: it was made before that was kept.
    pub severity: Option<Severity>,
}

/// What becomes of a scheduled delivery whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// Which.
    pub id: DeliveryId,
    /// A silence holds it back; `None`: it is due.
    pub held: Option<Hold>,
}

impl Store {
    /// Up to `limit` scheduled deliveries whose time has come, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_steps(&self, limit: u32) -> Result<Vec<DueStep>, StoreError> {
        read!(self, escalation::due_steps(limit))
    }

    /// Makes scheduled deliveries due, or holds them back. A reminder waits longer where what it reminds of has not been
    /// told yet. Gives the names of the receivers to whom something is due.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_scheduled(&self, steps: &[Begin]) -> Result<Vec<String>, StoreError> {
        write_apart!(self, escalation::begin_scheduled(steps))
    }

    /// Where nobody of a step was told, and nobody can be, the time of the next step of its route has come. These receivers
    /// cannot be told just now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn hasten_next_steps(&self, out_of_reach: &[String]) -> Result<(), StoreError> {
        if !read!(self, escalation::has_steps_to_hasten(out_of_reach))? {
            return Ok(());
        }
        write_apart!(self, escalation::hasten(out_of_reach))
    }
}
