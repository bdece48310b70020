//! Violations that no client has confirmed yet.
//!
//! A client confirms with `received` what it has processed. A violation leaves this list when the first live client
//! that it was told confirms it, or when somebody acknowledges it; what stays for too long was perhaps heard by
//! nobody.
//!
//! * **State**: one list for all shards of the process, behind a lock that is touched for violations and receipts
//!   alone. A restart begins with an empty one.
//! * **Full**: the oldest gives way, and is counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::ids::CharacteristicId;
use crate::protocol::event::{EventKind, Fired, LoggedEvent};

/// Violations kept, at most.
const MOST: usize = 10_000;

/// A violation that nobody has confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreceived {
    /// The position of its event.
    pub seq: u64,
    /// Whose.
    pub characteristic_id: CharacteristicId,
    /// What fired.
    pub fired: Fired,
    /// Since when it could have been heard.
    pub published: Instant,
}

#[derive(Debug, Default)]
struct List {
    waiting: BTreeMap<u64, Unreceived>,
    /// The newest violation that was ever on the list: the shards come to each at their own pace.
    noted: u64,
    forgotten: u64,
}

/// The list.
#[derive(Debug, Default)]
pub(super) struct Receipts(Mutex<List>);

impl Receipts {
    /// Notes a violation that is told now, and forgets one that is acknowledged.
    pub(super) fn note(&self, event: &LoggedEvent, now: Instant) {
        match (event.kind, event.fired) {
            (EventKind::Violation, Some(fired)) if !event.is_history => {
                let mut list = self.list();
                if event.seq <= list.noted {
                    return;
                }
                list.noted = event.seq;
                let (seq, characteristic_id) = (event.seq, event.characteristic_id);
                let published = event.published().unwrap_or(now);
                list.waiting.insert(seq, Unreceived { seq, characteristic_id, fired, published });
                if list.waiting.len() > MOST {
                    list.waiting.pop_first();
                    list.forgotten += 1;
                }
            }
            (EventKind::AckUpdate, _) => {
                let mut list = self.list();
                if list.waiting.is_empty() {
                    return;
                }
                let answered = event.acknowledged();
                list.waiting.retain(|_, waiting| Some(waiting.fired.violation_id) != answered);
            }
            _ => {}
        }
    }

    /// A client has confirmed positions; `was_told` says what it was told of them.
    pub(super) fn confirm(&self, (after, up_to): (u64, u64), was_told: impl Fn(&Unreceived) -> bool) {
        if after >= up_to {
            return;
        }
        let mut list = self.list();
        let confirmed: Vec<u64> = list
            .waiting
            .range(after + 1..=up_to)
            .filter(|(_, waiting)| was_told(waiting))
            .map(|(seq, _)| *seq)
            .collect();
        for seq in confirmed {
            list.waiting.remove(&seq);
        }
    }

    /// Those that have waited for so long, oldest first.
    pub(super) fn overdue(&self, now: Instant, for_at_least: Duration) -> Vec<Unreceived> {
        let is_overdue = |it: &&Unreceived| now.saturating_duration_since(it.published) >= for_at_least;
        self.list().waiting.values().filter(is_overdue).copied().collect()
    }

    /// How many have waited for so long.
    pub(super) fn count_overdue(&self, now: Instant, for_at_least: Duration) -> u64 {
        let is_overdue = |it: &&Unreceived| now.saturating_duration_since(it.published) >= for_at_least;
        self.list().waiting.values().filter(is_overdue).count() as u64
    }

    /// How many have given way to newer ones.
    pub(super) fn count_forgotten(&self) -> u64 {
        self.list().forgotten
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::event::EventHeader;

    fn event(seq: u64, kind: EventKind, payload: &str) -> LoggedEvent {
        let characteristic_id = 1.try_into().expect("positive");
        LoggedEvent::new(
            EventHeader { seq, characteristic_id, revision: seq, kind, is_history: false },
            payload,
        )
    }

    fn violation(seq: u64) -> LoggedEvent {
        event(seq, EventKind::Violation, &format!(r#"{{"id":{seq},"rule_id":1,"severity":"CRITICAL"}}"#))
    }

    fn waiting(receipts: &Receipts, now: Instant, seconds: u64) -> Vec<u64> {
        let overdue = receipts.overdue(now + Duration::from_secs(30), Duration::from_secs(seconds));
        overdue.iter().map(|it| it.seq).collect()
    }

    #[tokio::test]
    async fn a_violation_waits_until_a_client_that_was_told_confirms_it_or_somebody_acknowledges_it() {
        let (receipts, now) = (Receipts::default(), Instant::now());
        (1..=4).for_each(|seq| receipts.note(&violation(seq), now));
        receipts.note(&violation(2), now); // the other shard comes to it
        assert_eq!(waiting(&receipts, now, 30), [1, 2, 3, 4]);
        assert!(waiting(&receipts, now, 31).is_empty());
        receipts.confirm((0, 3), |it| it.seq != 2);
        assert_eq!(waiting(&receipts, now, 30), [2, 4]);
        receipts.note(&violation(1), now);
        receipts.note(&event(5, EventKind::AckUpdate, r#"{"violation_id":4}"#), now);
        assert_eq!(waiting(&receipts, now, 30), [2]);
        assert_eq!(receipts.count_overdue(now, Duration::ZERO), 1);
    }
}
