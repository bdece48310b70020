//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential, with full jitter: any time up to a bound that doubles with each attempt, from `first` to `longest`. The
/// chance is from 0 to 1.
///
/// Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
pub fn wait_after(attempt: u32, first: Duration, longest: Duration, chance: f64) -> Duration {
    let doubled = 1u32.checked_shl(attempt.saturating_sub(1)).and_then(|factor| first.checked_mul(factor));
    doubled.unwrap_or(longest).min(longest).mul_f64(chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_longest() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(300));
        for (attempt, bound) in [(1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (33, 300), (u32::MAX, 300)] {
            let bound = Duration::from_secs(bound);
            assert_eq!(wait_after(attempt, first, longest, 1.0), bound, "{attempt}");
            assert_eq!(wait_after(attempt, first, longest, 0.25), bound / 4, "{attempt}");
            assert_eq!(wait_after(attempt, first, longest, 0.0), Duration::ZERO);
        }
    }
}
