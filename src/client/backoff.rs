//! How long to wait before trying again: longer each time, and not all clients at once.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// Exponential, with full jitter: any time up to a bound that doubles.
///
/// Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    chance: SmallRng,
    failures: u32,
}

impl Backoff {
    /// Bounds from `first`, doubling up to `longest`.
    pub fn new(first: Duration, longest: Duration, seed: u64) -> Self {
        Self { first, longest, chance: SmallRng::seed_from_u64(seed), failures: 0 }
    }

    /// Up to a second at first, up to half a minute after five failures: a restarted server is found soon, and a
    /// thousand clients of one that stays away knock about seventy times a second.
    pub fn usual(seed: u64) -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(30), seed)
    }

    /// Counts a failure; how long to wait now.
    pub(super) fn next_wait(&mut self) -> Duration {
        let doubled = 1u32.checked_shl(self.failures).and_then(|factor| self.first.checked_mul(factor));
        self.failures = self.failures.saturating_add(1);
        doubled.unwrap_or(self.longest).min(self.longest).mul_f64(self.chance.random::<f64>())
    }

    /// It works again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_longest_and_begins_anew_after_success() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(2));
        let largest_of_many = |failures: u32| {
            let waits = (0..500).map(|seed| {
                let mut backoff = Backoff::new(first, longest, seed);
                (0..=failures).map(|_| backoff.next_wait()).last().expect("one more than failures")
            });
            waits.max().expect("many")
        };
        for (failures, bound_ms) in [(0, 100), (1, 200), (4, 1_600), (5, 2_000), (31, 2_000), (40, 2_000)] {
            let (largest, bound) = (largest_of_many(failures), Duration::from_millis(bound_ms));
            assert!(largest <= bound && largest > bound.mul_f64(0.9), "{failures}: {largest:?}");
        }
        let mut backoff = Backoff::new(first, longest, 7);
        let waits: Vec<_> = (0..9).map(|_| backoff.next_wait()).collect();
        assert!(waits.iter().any(|wait| *wait > first));
        backoff.reset();
        assert!(backoff.next_wait() <= first);
    }
}
