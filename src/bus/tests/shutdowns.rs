//! Shutting down: refuse, drain, cut, report.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::{DEADLINE, Kind, Signal, bus_of, drain, event, soon, stats_of, until};
use crate::bus::{Closed, EventBus, Kinds, LeftBehind, Next, ShutdownReport};

/// For tests whose subscribers never finish: how long it is cannot change their outcome.
const SHORT: Duration = Duration::from_millis(20);

fn left_behind(name: &str, undelivered: u64, running: bool) -> LeftBehind {
    LeftBehind { name: name.into(), undelivered, running }
}

fn hang(_: Signal) -> std::future::Pending<()> {
    pending()
}

/// With a grace beyond the deadline: only draining can end it in time.
fn shut_down_in_the_background(bus: &EventBus<char>) -> JoinHandle<ShutdownReport> {
    let bus = bus.clone();
    tokio::spawn(async move { bus.shutdown(DEADLINE * 2).await })
}

#[tokio::test]
async fn a_bus_that_is_shut_down_refuses_events_and_says_so() {
    let bus = bus_of(4);
    assert_eq!(bus.shutdown(DEADLINE).await, ShutdownReport::default());
    assert_eq!(bus.publish('a'), Err(Closed));
    assert_eq!(bus.publish_all(['a', 'b']), Err(Closed));
    assert!(bus.stats().closed);
    assert_eq!(bus.stats().published, 0);
}

#[tokio::test]
async fn handlers_drain_the_ring_before_a_shutdown_returns() {
    let (bus, handled) = (bus_of(1000), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&handled);
    bus.subscribe("handler", Kinds::Every, move |_| {
        let counted = Arc::clone(&counted);
        async move {
            tokio::task::yield_now().await;
            counted.fetch_add(1, SeqCst);
        }
    });
    bus.publish_all((0..1000).map(Signal::Sample)).unwrap();
    assert!(bus.shutdown(DEADLINE).await.is_clean());
    assert_eq!(handled.load(SeqCst), 1000);
    assert_eq!(bus.stats().subscribers, []);
}

#[tokio::test]
async fn cursors_read_the_rest_during_a_shutdown_and_then_find_closed() {
    let bus = bus_of(4);
    let (mut busy, mut idle) = (bus.subscribe_cursor("busy"), bus.subscribe_cursor("idle"));
    bus.publish('a').unwrap();
    assert_eq!(drain(&mut idle), [event(0, 'a')]);
    let idle = tokio::spawn(async move { idle.next().await });
    let busy = tokio::spawn(async move { (busy.next().await, busy.next().await) });
    assert!(bus.shutdown(DEADLINE).await.is_clean());
    assert_eq!(soon(idle).await.unwrap(), Next::Closed);
    assert_eq!(soon(busy).await.unwrap(), (event(0, 'a'), Next::Closed));
}

#[tokio::test]
async fn a_shutdown_returns_when_the_last_event_is_read_though_the_cursor_stays() {
    let bus = bus_of(4);
    let mut cursor = bus.subscribe_cursor("cursor");
    bus.publish_all(['a', 'b']).unwrap();
    let stopping = shut_down_in_the_background(&bus);
    until(|| bus.stats().closed).await;
    assert_eq!(cursor.try_next(), Some(event(0, 'a')));
    tokio::task::yield_now().await;
    assert!(!stopping.is_finished());
    assert_eq!(cursor.try_next(), Some(event(1, 'b')));
    assert!(soon(stopping).await.unwrap().is_clean());
    assert_eq!(cursor.try_next(), Some(Next::Closed));
}

#[tokio::test]
async fn a_cursor_that_leaves_is_not_waited_for() {
    let bus = bus_of(4);
    let cursor = bus.subscribe_cursor("cursor");
    bus.publish('a').unwrap();
    let stopping = shut_down_in_the_background(&bus);
    until(|| bus.stats().closed).await;
    drop(cursor);
    assert!(soon(stopping).await.unwrap().is_clean());
}

#[tokio::test]
async fn a_cursor_that_was_not_read_within_the_grace_is_reported_and_cut() {
    let bus = bus_of(2);
    let (mut cursor, mut drained) = (bus.subscribe_cursor("idle"), bus.subscribe_cursor("drained"));
    bus.publish_all('a'..='e').unwrap();
    drain(&mut drained);
    let report = bus.shutdown(SHORT).await;
    assert_eq!(report.left_behind, [left_behind("idle", 5, false)]);
    assert_eq!(cursor.try_next(), Some(Next::Closed));
}

#[tokio::test]
async fn a_handler_that_outlasts_the_grace_is_reported_with_the_events_of_its_kinds_and_dropped() {
    struct TellsItsDrop(Arc<AtomicBool>);
    impl Drop for TellsItsDrop {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }
    let (bus, dropped) = (bus_of(8), Arc::new(AtomicBool::new(false)));
    let call = Arc::clone(&dropped);
    let subscription = bus.subscribe("stuck", [Kind::Alert], move |_| {
        let call = TellsItsDrop(Arc::clone(&call));
        async move {
            let _call = call;
            pending::<()>().await;
        }
    });
    bus.publish_all([Signal::Alert(0), Signal::Sample(1), Signal::Alert(2)]).unwrap();
    until(|| stats_of(&bus, "stuck").running).await;
    let report = bus.shutdown(SHORT).await;
    assert_eq!(report.left_behind, [left_behind("stuck", 2, true)]);
    soon(subscription.ended()).await;
    assert!(dropped.load(SeqCst));
    assert_eq!(bus.stats().subscribers, []);
}

#[tokio::test]
async fn one_stuck_handler_does_not_keep_the_others_from_draining() {
    let (bus, handled) = (bus_of(8), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&handled);
    bus.subscribe("stuck", Kinds::Every, hang);
    bus.subscribe("quick", Kinds::Every, move |_| {
        counted.fetch_add(1, SeqCst);
        std::future::ready(())
    });
    bus.publish_all((0..8).map(Signal::Alert)).unwrap();
    let report = bus.shutdown(Duration::from_millis(200)).await;
    assert_eq!(report.left_behind, [left_behind("stuck", 8, true)]);
    assert_eq!(handled.load(SeqCst), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_its_thread_is_reported_and_not_waited_for() {
    let bus: EventBus<Signal> = bus_of(8);
    let (release, released) = mpsc::channel::<()>();
    let subscription = bus.subscribe("blocked", Kinds::Every, move |_| {
        let _ = released.recv();
        std::future::ready(())
    });
    bus.publish_all([Signal::Alert(0), Signal::Alert(1)]).unwrap();
    until(|| stats_of(&bus, "blocked").running).await;
    let report = bus.shutdown(SHORT).await;
    assert_eq!(report.left_behind, [left_behind("blocked", 2, true)]);
    drop(release);
    soon(subscription.ended()).await;
}

#[tokio::test]
async fn a_handler_that_joins_a_closed_bus_ends_at_once() {
    let bus = bus_of(4);
    bus.shutdown(DEADLINE).await;
    soon(bus.subscribe("late", Kinds::Every, hang).ended()).await;
}

#[tokio::test]
async fn a_shutdown_that_was_dropped_can_be_called_again() {
    let bus = bus_of(4);
    bus.subscribe("stuck", Kinds::Every, hang);
    bus.publish(Signal::Alert(0)).unwrap();
    tokio::select! {
        biased;
        _ = bus.shutdown(DEADLINE) => panic!("the handler never ends"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(bus.publish(Signal::Alert(1)), Err(Closed));
    until(|| stats_of(&bus, "stuck").running).await;
    let report = bus.shutdown(SHORT).await;
    assert_eq!(report.left_behind, [left_behind("stuck", 1, true)]);
    assert!(soon(bus.shutdown(DEADLINE)).await.is_clean());
}
