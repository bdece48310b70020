//! How many messages a receiver is sent in a while: what is more waits, and is told in one of the next.
//!
//! Pure: the time is given. It begins full, and knows nothing of what was sent before the process started.

use std::time::Duration;

use tokio::time::Instant;

/// What may still be sent.
#[derive(Debug, Clone)]
pub struct Rate {
    messages: u32,
    per: Duration,
    /// When the messages of the last while were sent, oldest first.
    sent: Vec<Instant>,
}

impl Rate {
    /// So many messages in any stretch of this length; 0: as many as there are.
    pub fn new(messages: u32, per: Duration) -> Self {
        Self { messages, per, sent: Vec::new() }
    }

    /// How many of `wanted` may be sent now.
    pub fn room(&mut self, wanted: u32, now: Instant) -> u32 {
        if self.messages == 0 {
            return wanted;
        }
        self.sent.retain(|sent| now < *sent + self.per);
        wanted.min(self.messages.saturating_sub(self.sent.len() as u32))
    }

    /// When there is room again; `None`: there is now.
    pub fn held_until(&self, now: Instant) -> Option<Instant> {
        let is_full = self.messages > 0 && self.sent.len() >= self.messages as usize;
        is_full
            .then(|| self.sent[self.sent.len() - self.messages as usize] + self.per)
            .filter(|until| now < *until)
    }

    /// So many are sent now.
    pub fn sent(&mut self, messages: usize, now: Instant) {
        if self.messages > 0 {
            self.sent.extend(std::iter::repeat_n(now, messages));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn in_no_stretch_are_there_more_than_may_be() {
        let now = Instant::now();
        let mut rate = Rate::new(3, SECOND * 60);
        assert_eq!((rate.room(9, now), rate.held_until(now)), (3, None));
        rate.sent(2, now);
        rate.sent(1, now + SECOND * 20);
        assert_eq!(rate.room(9, now + SECOND * 59), 0);
        assert_eq!(rate.held_until(now + SECOND * 59), Some(now + SECOND * 60));
        assert_eq!((rate.room(9, now + SECOND * 60), rate.room(1, now + SECOND * 60)), (2, 1));
        assert_eq!(rate.held_until(now + SECOND * 60), None);
    }

    #[tokio::test]
    async fn without_a_limit_there_is_always_room() {
        let now = Instant::now();
        let mut rate = Rate::new(0, SECOND);
        rate.sent(1_000, now);
        assert_eq!((rate.room(9, now), rate.held_until(now)), (9, None));
    }
}
