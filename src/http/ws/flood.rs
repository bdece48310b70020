//! How many messages a client may send: a bucket that fills again, a warning when it is empty, and then the end.

use std::time::Duration;

use tokio::time::Instant;

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is read.
    Welcome,
    /// It came too soon: it is not read, and its client is told so.
    TooSoon,
    /// The client was told, and went on.
    Flood,
}

/// The bucket of one client.
#[derive(Debug)]
pub struct Bucket {
    per_second: f64,
    size: f64,
    left: f64,
    /// Messages over the limit since the bucket was full the last time.
    over: f64,
    seen: Instant,
}

impl Bucket {
    /// Full at first.
    pub fn new(per_second: f64, size: u32, now: Instant) -> Self {
        let size = f64::from(size.max(1));
        Self { per_second, size, left: size, over: 0.0, seen: now }
    }

    /// Takes one message.
    pub fn take(&mut self, now: Instant) -> Verdict {
        let passed: Duration = now.saturating_duration_since(self.seen);
        self.seen = now;
        self.left = (self.left + passed.as_secs_f64() * self.per_second).min(self.size);
        if self.left >= self.size {
            self.over = 0.0;
        }
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Verdict::Welcome;
        }
        self.over += 1.0;
        if self.over > self.size { Verdict::Flood } else { Verdict::TooSoon }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_goes_on_after_the_warning_is_a_flood_and_who_waits_is_welcome_again() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10.0, 3, start);
        let verdicts: Vec<_> = (0..7).map(|_| bucket.take(start)).collect();
        let expected = [[Verdict::Welcome; 3].as_slice(), &[Verdict::TooSoon; 3], &[Verdict::Flood]].concat();
        assert_eq!(verdicts, expected);
        assert_eq!(bucket.take(start + Duration::from_millis(100)), Verdict::Welcome);
        let later = start + Duration::from_secs(1);
        let verdicts: Vec<_> = (0..4).map(|_| bucket.take(later)).collect();
        assert_eq!(verdicts, [[Verdict::Welcome; 3].as_slice(), &[Verdict::TooSoon]].concat());
    }
}
