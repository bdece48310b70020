//! When to tell the server how far events were processed.
//!
//! Pure: the time comes in. A receipt means *processed by the caller*: it was handed the event and came back for the
//! next one. Receipts are cumulative, so few are enough; what is not confirmed when a connection breaks is not
//! confirmed later, for the server forgets the connection with its receipts.

use std::time::Duration;

use tokio::time::Instant;

/// How often to confirm. Both apply: whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipts {
    /// After so many events.
    pub after_events: u32,
    /// So long after the first one that is not confirmed, while the caller waits for the next.
    pub within: Duration,
}

impl Default for Receipts {
    /// A hundred events or one second: the server's view of who has received what is a second old at most.
    fn default() -> Self {
        Self { after_events: 100, within: Duration::from_secs(1) }
    }
}

/// The shortest time between two receipts, however fast events come: a fifth of what a server takes from a client.
const PACE: Duration = Duration::from_millis(100);

/// What one connection has confirmed.
#[derive(Debug, Default)]
pub(super) struct Confirmations {
    /// The highest position handed out.
    handed_seq: u64,
    /// Events that were handed out and not come back from.
    handed: u32,
    /// The highest position come back from.
    processed_seq: u64,
    /// Events that were processed and are not confirmed.
    processed: u32,
    processed_since: Option<Instant>,
    /// No receipt before this moment.
    not_before: Option<Instant>,
}

impl Confirmations {
    pub(super) fn on_handed(&mut self, seq: u64) {
        self.handed_seq = self.handed_seq.max(seq);
        self.handed = self.handed.saturating_add(1);
    }

    /// The caller is back: it has processed what it was handed.
    pub(super) fn on_return(&mut self, now: Instant) {
        if self.handed > 0 {
            self.processed = self.processed.saturating_add(std::mem::take(&mut self.handed));
            self.processed_seq = self.handed_seq;
            self.processed_since.get_or_insert(now);
        }
    }

    /// When the next receipt is due, if nothing else happens.
    pub(super) fn due_at(&self, receipts: Receipts) -> Option<Instant> {
        let since = self.processed_since?;
        let due = if self.processed >= receipts.after_events { since } else { since + receipts.within };
        Some(self.not_before.map_or(due, |moment| due.max(moment)))
    }

    /// The position to confirm now, which counts as confirmed then.
    pub(super) fn take(&mut self, now: Instant) -> Option<u64> {
        self.processed_since.take()?;
        self.processed = 0;
        self.not_before = Some(now + PACE);
        Some(self.processed_seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const RECEIPTS: Receipts = Receipts { after_events: 3, within: Duration::from_millis(500) };

    #[tokio::test]
    async fn only_what_the_caller_came_back_from_is_confirmed_soon_enough_and_not_too_often() {
        let (mut confirmations, start) = (Confirmations::default(), Instant::now());
        confirmations.on_handed(7);
        assert_eq!(confirmations.due_at(RECEIPTS), None, "it may still be at work");
        assert_eq!(confirmations.take(start), None);
        confirmations.on_return(start);
        confirmations.on_return(start + MS);
        assert_eq!(confirmations.due_at(RECEIPTS), Some(start + 500 * MS));
        for seq in [9, 8] {
            confirmations.on_handed(seq);
            confirmations.on_return(start + 2 * MS);
        }
        assert_eq!(confirmations.due_at(RECEIPTS), Some(start), "so many are confirmed at once");
        confirmations.on_handed(10);
        assert_eq!(confirmations.take(start + 2 * MS), Some(9));
        assert_eq!((confirmations.due_at(RECEIPTS), confirmations.take(start)), (None, None));
        for seq in 11..20 {
            confirmations.on_handed(seq);
            confirmations.on_return(start + 3 * MS);
        }
        assert_eq!(confirmations.due_at(RECEIPTS), Some(start + 2 * MS + PACE));
    }
}
