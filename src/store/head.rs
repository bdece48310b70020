//! The head of the event log: where it ends, where it begins, and which ids come next.
//!
//! Never derived from `max()`: numbers do not restart when retention empties the log, and ids are reserved
//! under the head, so none is ever used twice.

use sqlx::SqliteConnection;

use crate::clock;
use crate::domain::ids::{CharacteristicId, InvalidId, LimitsId, SampleId, ViolationId};
use crate::store::StoreError;

/// The one row of `log_head`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct LogHead {
    /// Names the log; positions of another epoch mean nothing here.
    pub epoch: String,
    /// Position of the newest event; 0 before the first.
    #[sqlx(try_from = "i64")]
    pub seq: u64,
    /// Events up to here are gone.
    #[sqlx(try_from = "i64")]
    pub floor: u64,
    next_characteristic_id: i64,
    next_limits_id: i64,
    next_sample_id: i64,
    next_violation_id: i64,
    /// The batch that was committed last.
    pub last_batch: String,
}

fn take<Id: TryFrom<i64, Error = InvalidId>>(next: &mut i64) -> Id {
    let id = Id::try_from(*next).expect("counting from 1, 2^53 is centuries away");
    *next += 1;
    id
}

impl LogHead {
    pub(super) fn next_characteristic_id(&mut self) -> CharacteristicId {
        take(&mut self.next_characteristic_id)
    }

    pub(super) fn next_limits_id(&mut self) -> LimitsId {
        take(&mut self.next_limits_id)
    }

    pub(super) fn next_sample_id(&mut self) -> SampleId {
        take(&mut self.next_sample_id)
    }

    pub(super) fn next_violation_id(&mut self) -> ViolationId {
        take(&mut self.next_violation_id)
    }

    pub(super) async fn create_if_missing(connection: &mut SqliteConnection) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO log_head (one, epoch, seq, floor, next_characteristic_id, next_limits_id, \
             next_sample_id, next_violation_id, last_batch) VALUES (1, ?, 0, 0, 1, 1, 1, 1, '') \
             ON CONFLICT (one) DO NOTHING",
        )
        .bind(format!("{:016x}", clock::nonce() as u64))
        .execute(connection)
        .await?;
        Ok(())
    }

    pub(super) async fn read(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        let head = sqlx::query_as(
            "SELECT epoch, seq, floor, next_characteristic_id, next_limits_id, next_sample_id, \
             next_violation_id, last_batch FROM log_head",
        )
        .fetch_one(connection)
        .await?;
        Ok(head)
    }

    pub(super) async fn write(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE log_head SET seq = ?, next_characteristic_id = ?, next_limits_id = ?, \
             next_sample_id = ?, next_violation_id = ?, last_batch = ?",
        )
        .bind(self.seq as i64)
        .bind(self.next_characteristic_id)
        .bind(self.next_limits_id)
        .bind(self.next_sample_id)
        .bind(self.next_violation_id)
        .bind(&self.last_batch)
        .execute(connection)
        .await?;
        Ok(())
    }
}
