//! The head of the event log: where it ends, where it begins, and which ids come next.
//!
//! Never derived from `max()`: numbers do not restart when retention empties the log, and ids are reserved
//! under the head, so none is ever used twice.

use crate::clock;
use crate::domain::ids::{CharacteristicId, EpisodeId, InvalidId, LimitsId, SampleId, ViolationId};

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
    pub(super) next_characteristic_id: i64,
    pub(super) next_limits_id: i64,
    pub(super) next_sample_id: i64,
    pub(super) next_violation_id: i64,
    pub(super) next_episode_id: i64,
    /// The batch that was committed last.
    pub last_batch: String,
}

fn take<Id: TryFrom<i64, Error = InvalidId>>(next: &mut i64) -> Id {
    let id = Id::try_from(*next).expect("counting from 1, 2^53 is centuries away");
    *next += 1;
    id
}

impl LogHead {
    /// A name that no other log has.
    pub(super) fn new_epoch() -> String {
        format!("{:016x}", clock::nonce() as u64)
    }

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

    pub(super) fn next_episode_id(&mut self) -> EpisodeId {
        take(&mut self.next_episode_id)
    }

    /// The id that the next sample will have, without taking it.
    pub(super) fn coming_sample_id(&self) -> SampleId {
        let mut next = self.next_sample_id;
        take(&mut next)
    }
}
