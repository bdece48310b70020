//! Notices that the machine's clock was set.
//!
//! The times of the ledger are those of the clock; what waits has been waiting for as long as it has. A machine without a
//! clock of its own begins years ago and is set when the network comes: without this, everything that waits then would be of
//! no use any more, or not due for years.

use std::time::Duration;

use tokio::time::Instant;

use super::{Connection, NOW};
use crate::store::StoreError;

/// A clock that is this much off from one look to the next was set: more than a busy machine is late, less than the shortest
/// use of a delivery.
const STEP: Duration = Duration::from_secs(30);

/// The clock, in microseconds.
pub(super) async fn now_micros(connection: &mut Connection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(&format!("SELECT {NOW}")).fetch_one(connection).await?)
}

/// Moves all times of what is not over.
pub(super) async fn shift_deliveries(connection: &mut Connection, micros: i64) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE deliveries SET due_at = due_at + $1, not_before = not_before + $1, useful_until = useful_until + $1 \
         WHERE ended_at IS NULL AND NOT (state = 'scheduled' AND silence_id IS NOT NULL)", // a silence ends by the clock
    )
    .bind(micros)
    .execute(connection)
    .await?;
    Ok(())
}

/// The clock when it was last looked at.
#[derive(Debug, Default)]
pub(super) struct SeenClock(Option<(i64, Instant)>);

impl SeenClock {
    /// By how many microseconds it was set since the last look, if it was.
    pub(super) fn look(&mut self, clock_micros: i64, now: Instant) -> Option<i64> {
        let (before, at) = self.0.replace((clock_micros, now))?;
        let passed = i64::try_from((now - at).as_micros()).unwrap_or(i64::MAX);
        let step = clock_micros.saturating_sub(before).saturating_sub(passed);
        (step.unsigned_abs() > STEP.as_micros() as u64).then_some(step)
    }

    /// As if it had been set since.
    #[cfg(test)]
    pub(super) fn set_back(&mut self, micros: i64) {
        let (before, at) = self.0.expect("it was looked at");
        self.0 = Some((before - micros, at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clock_that_goes_as_time_does_was_not_set() {
        let (mut seen, now, second) = (SeenClock::default(), Instant::now(), Duration::from_secs(1));
        assert_eq!(seen.look(5_000_000, now), None, "there is nothing to compare it with");
        assert_eq!(seen.look(6_000_000, now + second), None);
        assert_eq!(seen.look(35_000_000, now + second), None, "it may be a little off");
        assert_eq!(seen.look(3_636_000_000, now + second * 2), Some(3_600_000_000));
        assert_eq!(seen.look(36_000_000, now + second * 2), Some(-3_600_000_000));
        assert_eq!(seen.look(37_000_000, now + second * 3), None);
    }
}
