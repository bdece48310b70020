//! The ring as it would be had the process not been restarted: the newest events of the log, put on the bus before
//! anybody listens.
//!
//! Clients that come back after a restart resume from just before the head. From the ring that costs nothing; from the
//! log each of them would read for itself. What is preloaded is no news: whoever subscribes begins after it, and
//! nothing counts it.
//!
//! * **Late**: read once at start, in pages; retention may go on meanwhile. What it passes is left out, with all before
//!   it: the ring has no holes. * **Fails**: then the database cannot be served, and the process does not start.

use std::sync::Arc;

use crate::protocol::event::LoggedEvent;
use crate::store::StoreError;

/// Events read at once.
const PAGE: u32 = 1_000;

/// The newest events of the log up to `head`, at most `most` and without a hole: the last is that at `head`, or there
/// are none. `page` reads up to so many events after a position.
///
/// # Errors
/// [`StoreError`], if the log cannot be read or is another one.
pub async fn newest_events(
    head: u64,
    most: usize,
    mut page: impl AsyncFnMut(u64, u32) -> Result<Vec<Arc<LoggedEvent>>, StoreError>,
) -> Result<Vec<Arc<LoggedEvent>>, StoreError> {
    let mut events: Vec<Arc<LoggedEvent>> = Vec::new();
    let mut after = head.saturating_sub(most as u64);
    while after < head {
        let limit = u32::try_from(head - after).map_or(PAGE, |left| left.min(PAGE));
        match page(after, limit).await {
            Ok(found) => {
                let Some(last) = found.last() else { break }; // it ends before its head
                after = last.seq;
                for event in found {
                    if events.last().is_some_and(|before| before.seq + 1 != event.seq) {
                        events.clear();
                    }
                    events.push(event);
                }
            }
            Err(StoreError::Removed { floor }) => {
                events.clear();
                after = floor;
            }
            Err(error) => return Err(error),
        }
    }
    // On a shared database somebody may have added to it: the relay tells of that.
    events.truncate(events.partition_point(|event| event.seq <= head));
    if events.last().is_none_or(|last| last.seq != head) {
        events.clear();
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::CharacteristicId;
    use crate::protocol::event::{EventHeader, EventKind};

    fn event(seq: u64) -> Arc<LoggedEvent> {
        let characteristic_id = CharacteristicId::try_from(1).expect("positive");
        let header =
            EventHeader { seq, characteristic_id, revision: seq, kind: EventKind::Sample, is_history: false };
        Arc::new(LoggedEvent::new(header, "{}"))
    }

    /// What is read of a log with these positions; `floor_at(n)` is its floor when page `n` is read.
    async fn preloaded(
        positions: impl Iterator<Item = u64> + Clone,
        (head, most): (u64, usize),
        floor_at: impl Fn(u32) -> u64,
    ) -> Vec<u64> {
        let mut pages = 0;
        let read = newest_events(head, most, async |after, limit| {
            let floor = floor_at(pages);
            pages += 1;
            if floor > after {
                return Err(StoreError::Removed { floor });
            }
            let rest = positions.clone().filter(|seq| *seq > after && *seq > floor);
            Ok(rest.take(limit as usize).map(event).collect())
        });
        let events = read.await.expect("readable");
        events.iter().map(|event| event.seq).collect()
    }

    fn all(positions: std::ops::RangeInclusive<u64>) -> Vec<u64> {
        positions.collect()
    }

    #[tokio::test]
    async fn the_newest_so_many_are_read_in_pages() {
        assert_eq!(preloaded(1..=5_000, (5_000, 2_500), |_| 0).await, all(2_501..=5_000));
        assert_eq!(preloaded(1..=3, (3, 2_500), |_| 0).await, all(1..=3));
        assert_eq!(preloaded(1..=5_000, (5_000, 0), |_| 0).await, vec![0; 0]);
        assert_eq!(preloaded(std::iter::empty(), (0, 2_500), |_| 0).await, vec![0; 0]);
    }

    #[tokio::test]
    async fn what_is_added_meanwhile_is_left_to_the_relay() {
        assert_eq!(preloaded(1..=5_000, (3_210, 1_000), |_| 0).await, all(2_211..=3_210));
    }

    #[tokio::test]
    async fn the_floor_is_where_it_begins_even_if_it_rises_meanwhile() {
        assert_eq!(preloaded(1..=5_000, (5_000, 2_500), |_| 4_000).await, all(4_001..=5_000));
        // It passes what comes next while pages are read: twice, and behind what was read already.
        let rising = |pages: u32| [0, 3_700, 3_800, 3_800, 4_100][pages.min(4) as usize];
        assert_eq!(preloaded(1..=5_000, (5_000, 2_500), rising).await, all(3_801..=5_000));
        let to_the_head = |pages: u32| if pages == 0 { 0 } else { 5_000 };
        assert_eq!(preloaded(1..=5_000, (5_000, 2_500), to_the_head).await, vec![0; 0]);
    }

    #[tokio::test]
    async fn nothing_before_a_hole_is_taken() {
        let with_holes = (1..=50).filter(|seq| ![13, 20].contains(seq));
        assert_eq!(preloaded(with_holes, (50, 45), |_| 0).await, all(21..=50));
        let without_end = 1..=49;
        assert_eq!(preloaded(without_end, (50, 45), |_| 0).await, vec![0; 0]);
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_read_is_no_log_to_begin_with() {
        let read = newest_events(5, 5, async |_, _| Err(StoreError::Renewed)).await;
        assert!(matches!(read, Err(StoreError::Renewed)));
    }
}
