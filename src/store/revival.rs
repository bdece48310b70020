//! Trying deliveries again, whether they are over or wait.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::delivery::Replayable;
use crate::domain::ids::DeliveryId;
use crate::store::ledger::Retried;
use crate::store::{Store, StoreError};

/// Deliveries that are revived in one transaction: what waits behind it waits for some 20 ms.
const STEP: usize = 100;

/// What is to be told anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// To this receiver.
    pub receiver: String,
    /// Of notices that the dispatcher took at or after.
    pub from: DateTime<Utc>,
    /// Of notices that it took before.
    pub to: DateTime<Utc>,
    /// What has ended like that.
    pub states: Vec<Replayable>,
}

impl Store {
    /// Makes a delivery due, whether it is over or waits, and useful for a while again: now, or when those before it about its
    /// episode are over.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// It is done all the same, by a task that nobody gives up.
    pub async fn retry_delivery(&self, id: DeliveryId, useful_for: Duration) -> Result<Retried, StoreError> {
        let store = self.clone();
        let retry = async move { write_apart!(store, revival::retry(id, useful_for)) };
        tokio::spawn(retry).await.map_err(|_| sqlx::Error::WorkerCrashed)?
    }

    /// The same for all that have ended like that in a stretch of time, step by step; says how many. `None`: there are more
    /// than `most`, and nothing was done.
    ///
    /// # Errors
    /// [`StoreError`]; then some may have been revived.
    ///
    /// # Cancel safety
    /// It goes on all the same.
    pub async fn replay_deliveries(
        &self,
        replay: Replay,
        useful_for: Duration,
        most: u32,
    ) -> Result<Option<u64>, StoreError> {
        let ids = read!(self, revival::to_replay(&replay, most.saturating_add(1)))?;
        if ids.len() > most as usize {
            return Ok(None);
        }
        let store = self.clone();
        let revive = async move {
            let mut due = 0;
            for ids in ids.chunks(STEP) {
                due += store.revive(ids, useful_for).await?;
            }
            Ok(Some(due))
        };
        tokio::spawn(revive).await.map_err(|_| sqlx::Error::WorkerCrashed)?
    }

    async fn revive(&self, ids: &[DeliveryId], useful_for: Duration) -> Result<u64, StoreError> {
        write_apart!(self, revival::revive_all(ids, useful_for))
    }
}
