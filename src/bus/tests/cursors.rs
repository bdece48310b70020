//! Cursor subscriptions: order, gaps, positions, cancellation, and whose code runs under the lock.

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Wake, Waker};

use super::{at_most, bus_of, drain, event, finishes, lagged, soon};
use crate::bus::{EventBus, Lagged, Next, NextBatch, OutOfRing, Settings};

#[test]
fn positions_begin_where_the_bus_was_told_and_are_contiguous() {
    let bus = EventBus::new(Settings { capacity: at_most(8) }, 41);
    let mut cursor = bus.subscribe_cursor("cursor");
    assert_eq!(bus.publish('a'), Ok(41));
    assert_eq!(bus.publish_all(['b', 'c']), Ok(42..44));
    assert_eq!(bus.retained(), 41..44);
    assert_eq!(drain(&mut cursor), [event(41, 'a'), event(42, 'b'), event(43, 'c')]);
}

#[test]
fn a_cursor_sees_what_is_published_after_it_joined_and_nothing_before() {
    let bus = bus_of(8);
    bus.publish('a').unwrap();
    let mut cursor = bus.subscribe_cursor("cursor");
    assert_eq!(cursor.try_next(), None);
    bus.publish('b').unwrap();
    assert_eq!(drain(&mut cursor), [event(1, 'b')]);
}

#[test]
fn a_cursor_that_fell_off_the_ring_is_told_how_many_it_missed_and_goes_on_with_the_oldest() {
    let bus = bus_of(3);
    let mut cursor = bus.subscribe_cursor("cursor");
    bus.publish_all(0..3).unwrap();
    assert_eq!(cursor.try_next(), Some(event(0, 0)));
    bus.publish_all(3..8).unwrap();
    assert_eq!(drain(&mut cursor), [lagged(4, 5), event(5, 5), event(6, 6), event(7, 7)]);
}

#[test]
fn a_full_ring_that_was_read_in_time_loses_nothing() {
    let bus = bus_of(3);
    let mut cursor = bus.subscribe_cursor("cursor");
    bus.publish_all(0..3).unwrap();
    assert_eq!(drain(&mut cursor), [event(0, 0), event(1, 1), event(2, 2)]);
}

#[test]
fn a_batch_larger_than_the_ring_leaves_its_end() {
    let bus = bus_of(2);
    let mut cursor = bus.subscribe_cursor("cursor");
    assert_eq!(bus.publish_all(0..5), Ok(0..5));
    assert_eq!(drain(&mut cursor), [lagged(3, 3), event(3, 3), event(4, 4)]);
}

#[test]
fn an_empty_batch_publishes_nothing() {
    let bus = bus_of::<u8>(2);
    assert_eq!(bus.publish_all([]), Ok(0..0));
    assert_eq!(bus.stats().published, 0);
}

#[test]
fn a_batch_is_appended_up_to_its_maximum_and_a_gap_comes_alone() {
    let (bus, mut out) = (bus_of(4), vec![]);
    let mut cursor = bus.subscribe_cursor("cursor");
    assert_eq!(cursor.try_next_batch(at_most(2), &mut out), None);
    bus.publish_all('a'..='f').unwrap();
    let gap = Lagged { missed: 2, resume_at: 2 };
    assert_eq!(cursor.try_next_batch(at_most(3), &mut out), Some(NextBatch::Lagged(gap)));
    assert_eq!(gap.missed_positions(), 0..2);
    assert_eq!(out, []);
    assert_eq!(cursor.try_next_batch(at_most(3), &mut out), Some(NextBatch::Events));
    assert_eq!(cursor.try_next_batch(at_most(3), &mut out), Some(NextBatch::Events));
    assert_eq!(out, [(2, 'c'), (3, 'd'), (4, 'e'), (5, 'f')]);
    assert_eq!(cursor.position(), 6);
}

#[test]
fn one_may_subscribe_from_any_position_in_the_ring_up_to_its_head() {
    let bus = bus_of(2);
    bus.publish_all('a'..='c').unwrap();
    assert_eq!(drain(&mut bus.subscribe_from("oldest", 1).unwrap()), [event(1, 'b'), event(2, 'c')]);
    assert_eq!(drain(&mut bus.subscribe_from("head", 3).unwrap()), []);
}

#[test]
fn a_position_outside_the_ring_is_refused_with_what_the_ring_holds() {
    let bus = bus_of(2);
    bus.publish_all('a'..='c').unwrap();
    for position in [0, 4] {
        let refused = bus.subscribe_from("cursor", position).unwrap_err();
        assert_eq!(refused, OutOfRing { position, oldest: 1, next: 3 });
    }
    assert_eq!(bus.stats().subscribers, []);
}

#[test]
fn seeking_moves_back_and_forth_within_the_ring_and_not_outside_it() {
    let bus = bus_of(3);
    let mut cursor = bus.subscribe_cursor("cursor");
    bus.publish_all('a'..='d').unwrap();
    cursor.seek(3).unwrap();
    assert_eq!(cursor.try_next(), Some(event(3, 'd')));
    cursor.seek(1).unwrap();
    assert_eq!(cursor.seek(0), Err(OutOfRing { position: 0, oldest: 1, next: 4 }));
    assert_eq!(cursor.try_next(), Some(event(1, 'b')));
}

#[tokio::test]
async fn a_waiting_cursor_wakes_for_an_event_from_a_plain_thread() {
    let bus = bus_of(2);
    let mut cursor = bus.subscribe_cursor("cursor");
    let next = tokio::spawn(async move { cursor.next().await });
    tokio::task::yield_now().await; // on this single thread: the reader waits now
    std::thread::spawn(move || bus.publish('a')).join().unwrap().unwrap();
    assert_eq!(soon(next).await.unwrap(), event(0, 'a'));
}

#[tokio::test]
async fn a_waiting_cursor_wakes_for_a_batch() {
    let bus = bus_of(2);
    let mut cursor = bus.subscribe_cursor("cursor");
    let next = tokio::spawn(async move { cursor.next().await });
    tokio::task::yield_now().await; // on this single thread: the reader waits now
    bus.publish_all(['a', 'b']).unwrap();
    assert_eq!(soon(next).await.unwrap(), event(0, 'a'));
}

#[tokio::test]
async fn a_next_dropped_after_its_wake_up_loses_no_event() {
    let bus = bus_of(2);
    let mut cursor = bus.subscribe_cursor("cursor");
    {
        let mut next = pin!(cursor.next());
        assert!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        bus.publish('a').unwrap();
    }
    assert_eq!(soon(cursor.next()).await, event(0, 'a'));
}

#[tokio::test]
async fn a_next_batch_dropped_after_its_wake_up_leaves_the_buffer_and_the_position() {
    let (bus, mut out) = (bus_of(2), vec![]);
    let mut cursor = bus.subscribe_cursor("cursor");
    {
        let mut next = pin!(cursor.next_batch(at_most(2), &mut out));
        assert!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        bus.publish('a').unwrap();
    }
    assert_eq!((out.len(), cursor.position()), (0, 0));
    assert_eq!(soon(cursor.next_batch(at_most(2), &mut out)).await, NextBatch::Events);
    assert_eq!(out, [(0, 'a')]);
}

#[tokio::test]
async fn a_cursor_that_keeps_losing_a_select_still_gets_every_event() {
    let bus = bus_of(64);
    let mut cursor = bus.subscribe_cursor("cursor");
    let mut seen = vec![];
    for number in 0..64 {
        tokio::select! {
            biased;
            () = std::future::ready(()), if number % 4 != 3 => {}
            next = cursor.next() => seen.push(next),
            () = std::future::ready(()) => {}
        }
        bus.publish(number).unwrap();
    }
    assert_eq!(seen.len(), 16);
    seen.extend(drain(&mut cursor));
    assert_eq!(seen, (0..64).map(|number| event(number, number)).collect::<Vec<_>>());
}

#[tokio::test]
async fn cursors_read_the_rest_and_find_closed_when_the_last_handle_is_dropped() {
    let bus = bus_of(4);
    let other = bus.clone();
    let mut cursor = bus.subscribe_cursor("cursor");
    drop(bus);
    other.publish('a').unwrap();
    drop(other);
    assert_eq!(soon(cursor.next()).await, event(0, 'a'));
    assert_eq!(soon(cursor.next()).await, Next::Closed);
    assert_eq!(soon(cursor.next()).await, Next::Closed);
}

#[test]
fn a_dropped_cursor_leaves_the_statistics() {
    let bus = bus_of::<u8>(4);
    let cursor = bus.subscribe_cursor("cursor");
    assert_eq!(bus.stats().subscribers.len(), 1);
    drop(cursor);
    assert_eq!(bus.stats().subscribers, []);
}

#[test]
fn a_cursor_tells_its_position_its_depth_and_what_it_lost() {
    let bus = bus_of(4);
    let mut cursor = bus.subscribe_cursor("cursor");
    bus.publish_all(0..6).unwrap();
    assert_eq!(cursor.try_next(), Some(lagged(2, 2)));
    assert_eq!(cursor.try_next(), Some(event(2, 2)));
    let stats = super::stats_of(&bus, "cursor");
    assert_eq!((stats.position, stats.depth, stats.handled, stats.lost), (3, 3, 1, 2));
    assert!(!stats.running);
}

#[test]
fn a_poisoned_lock_does_not_stop_the_bus() {
    let bus = bus_of(4);
    let mut cursor = bus.subscribe_cursor("cursor");
    let poisoner = bus.clone();
    let panicked = std::thread::spawn(move || {
        let _ring = poisoner.shared().ring_mut();
        panic!("with the lock held");
    });
    panicked.join().unwrap_err();
    bus.publish('a').unwrap();
    assert_eq!(cursor.try_next(), Some(event(0, 'a')));
}

/// An event whose clone and drop use the bus: a deadlock, were they to run under its lock.
struct Intrusive(Arc<OnceLock<EventBus<Intrusive>>>);

impl Intrusive {
    fn use_the_bus(&self) {
        if let Some(bus) = self.0.get() {
            drop(bus.shared().ring_mut()); // what publishing takes
            bus.stats();
        }
    }
}

impl Clone for Intrusive {
    fn clone(&self) -> Self {
        self.use_the_bus();
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Intrusive {
    fn drop(&mut self) {
        self.use_the_bus();
    }
}

#[test]
fn the_clone_and_the_drop_of_an_event_may_use_the_bus() {
    finishes(|| {
        let cell = Arc::new(OnceLock::new());
        let bus = cell.get_or_init(|| bus_of(2));
        let (mut one, mut other) = (bus.subscribe_cursor("one"), bus.subscribe_cursor("other"));
        let mut out = vec![];
        for _ in 0..4 {
            bus.publish(Intrusive(Arc::clone(&cell))).unwrap();
            assert!(matches!(one.try_next(), Some(Next::Event { .. })));
        }
        bus.publish_all([Intrusive(Arc::clone(&cell)), Intrusive(Arc::clone(&cell))]).unwrap();
        let mut paged = vec![];
        bus.page(4, at_most(8), &mut paged).unwrap();
        assert_eq!(paged.len(), 2);
        other.seek(4).unwrap();
        assert_eq!(other.try_next_batch(at_most(8), &mut out), Some(NextBatch::Events));
    });
}

#[test]
fn a_waker_may_use_the_bus() {
    struct Reader(EventBus<char>);
    impl Wake for Reader {
        fn wake(self: Arc<Self>) {
            drop(self.0.shared().ring_mut());
            self.0.stats();
        }
    }
    finishes(|| {
        let bus = bus_of(2);
        let mut cursor = bus.subscribe_cursor("cursor");
        let waker = Waker::from(Arc::new(Reader(bus.clone())));
        let mut next = pin!(cursor.next());
        assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        bus.publish('a').unwrap();
        assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    });
}
