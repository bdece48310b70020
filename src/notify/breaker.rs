//! Leaves a receiver alone that fails again and again, and finds out with one attempt whether it is back.
//!
//! Pure: the time is given.

use std::time::Duration;

use tokio::time::Instant;

/// How a receiver has answered lately.
#[derive(Debug, Clone)]
pub struct Breaker {
    limit: u32,
    pause: Duration,
    failures: u32,
    /// Nothing is sent before.
    held_until: Option<Instant>,
    /// The receiver wants nothing any more.
    is_gone: bool,
}

impl Breaker {
    /// One that holds for `pause` after so many failures in a row.
    pub fn new(limit: u32, pause: Duration) -> Self {
        Self { limit, pause, failures: 0, held_until: None, is_gone: false }
    }

    /// How many attempts may be begun, of `wanted`, while so many are under way.
    pub fn room(&self, wanted: u32, under_way: u32, now: Instant) -> u32 {
        if self.is_gone || self.held_until.is_some_and(|until| now < until) {
            0
        } else if self.failures >= self.limit {
            wanted.min(1u32.saturating_sub(under_way)) // one finds out
        } else {
            wanted
        }
    }

    /// Until when nothing is begun; `None`: it may be now, or never again.
    pub fn held_until(&self, now: Instant) -> Option<Instant> {
        self.held_until.filter(|until| now < *until && !self.is_gone)
    }

    /// Whether it keeps attempts back because too many have failed, or for good.
    pub fn is_open(&self) -> bool {
        self.is_gone || self.failures >= self.limit
    }

    /// The receiver has answered: with success, or that it refuses this one.
    pub fn answered(&mut self) {
        self.failures = 0;
    }

    /// The receiver has failed; it may have said when to come again.
    pub fn failed(&mut self, retry_after: Option<Duration>, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        let pause = (self.failures >= self.limit).then_some(self.pause);
        if let Some(wait) = retry_after.max(pause) {
            let until = now + wait;
            self.held_until = Some(self.held_until.map_or(until, |held| held.max(until)));
        }
    }

    /// The receiver wants nothing any more.
    pub fn gone(&mut self) {
        self.is_gone = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn after_too_many_failures_nothing_is_sent_and_then_one_finds_out() {
        let now = Instant::now();
        let mut breaker = Breaker::new(3, SECOND);
        breaker.failed(None, now);
        breaker.failed(None, now);
        assert_eq!((breaker.room(4, 0, now), breaker.is_open()), (4, false));
        breaker.answered();
        breaker.failed(None, now);
        breaker.failed(None, now);
        assert_eq!(breaker.room(4, 0, now), 4, "not in a row");
        breaker.failed(None, now);
        assert_eq!((breaker.room(4, 0, now), breaker.is_open()), (0, true));
        assert_eq!(breaker.held_until(now), Some(now + SECOND));
        assert_eq!((breaker.room(4, 0, now + SECOND), breaker.room(4, 1, now + SECOND)), (1, 0));
        breaker.failed(None, now + SECOND);
        assert_eq!(breaker.room(4, 0, now + SECOND), 0, "not back");
        breaker.answered();
        assert_eq!((breaker.room(4, 2, now + SECOND * 2), breaker.is_open()), (4, false));
    }

    #[tokio::test]
    async fn a_receiver_that_names_a_time_is_left_alone_until_then() {
        let now = Instant::now();
        let mut breaker = Breaker::new(3, SECOND);
        breaker.failed(Some(SECOND * 5), now);
        breaker.failed(Some(SECOND), now);
        assert_eq!((breaker.room(4, 0, now + SECOND * 4), breaker.is_open()), (0, false));
        assert_eq!(breaker.room(4, 0, now + SECOND * 5), 4);
    }

    #[tokio::test]
    async fn one_that_wants_nothing_any_more_is_left_alone_for_good() {
        let now = Instant::now();
        let mut breaker = Breaker::new(3, SECOND);
        breaker.gone();
        breaker.answered();
        assert_eq!((breaker.room(4, 0, now + SECOND * 99), breaker.is_open()), (0, true));
        assert_eq!(breaker.held_until(now), None);
    }
}
