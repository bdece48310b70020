//! Handler subscriptions: kinds, order, isolation, lag, leaving.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::Semaphore;

use super::{Kind, Signal, bus_of, soon, stats_of, until};
use crate::bus::{BusEvent, BusStats, Delivery, EventBus, Kinds, Lagged};

/// What a handler was called with, in order.
struct Heard<T>(Arc<Mutex<Vec<T>>>);

impl<T: Clone> Heard<T> {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn add(&self, heard: T) {
        self.0.lock().unwrap().push(heard);
    }

    fn so_far(&self) -> Vec<T> {
        self.0.lock().unwrap().clone()
    }

    async fn has(&self, calls: usize) -> Vec<T> {
        until(|| self.0.lock().unwrap().len() >= calls).await;
        self.so_far()
    }
}

impl<T> Clone for Heard<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

fn write_to<T: Clone>(heard: &Heard<T>) -> impl FnMut(T) -> std::future::Ready<()> + use<T> {
    let heard = heard.clone();
    move |event| {
        heard.add(event);
        std::future::ready(())
    }
}

/// A door in front of a handler: each call goes through once, when the test lets it.
fn behind(door: &Arc<Semaphore>, heard: &Heard<Signal>) -> impl FnMut(Signal) -> BoxedCall + use<> {
    let (door, heard) = (Arc::clone(door), heard.clone());
    move |event| {
        let (door, heard) = (Arc::clone(&door), heard.clone());
        Box::pin(async move {
            door.acquire().await.unwrap().forget();
            heard.add(event);
        })
    }
}

type BoxedCall = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn samples(numbers: std::ops::Range<u64>) -> impl Iterator<Item = Signal> {
    numbers.map(Signal::Sample)
}

#[tokio::test]
async fn a_handler_hears_its_kinds_in_order_and_no_others() {
    let (bus, alerts, everything) = (bus_of(8), Heard::new(), Heard::new());
    bus.subscribe("alerts", [Kind::Alert], write_to(&alerts));
    bus.subscribe("everything", Kinds::Every, write_to(&everything));
    let published = [Signal::Alert(0), Signal::Sample(1), Signal::Alert(2)];
    bus.publish_all(published).unwrap();
    assert_eq!(everything.has(3).await, published);
    assert_eq!(alerts.has(2).await, [Signal::Alert(0), Signal::Alert(2)]);
}

#[tokio::test]
async fn a_handler_that_panics_is_counted_and_goes_on_with_the_next_event() {
    let (bus, heard) = (bus_of(8), Heard::new());
    let mut write = write_to(&heard);
    bus.subscribe("fragile", Kinds::Every, move |event| {
        assert_ne!(event, Signal::Alert(0), "before its future exists");
        let written = write(event);
        async move {
            written.await;
            assert_ne!(event, Signal::Alert(1), "inside its future");
        }
    });
    bus.publish_all([Signal::Alert(0), Signal::Alert(1), Signal::Alert(2)]).unwrap();
    assert_eq!(heard.has(2).await, [Signal::Alert(1), Signal::Alert(2)]);
    until(|| stats_of(&bus, "fragile").depth == 0).await;
    let stats = stats_of(&bus, "fragile");
    assert_eq!((stats.handled, stats.panicked, stats.running), (1, 2, false));
}

#[tokio::test]
async fn a_handler_that_panics_hurts_no_other() {
    let (bus, heard) = (bus_of(8), Heard::new());
    bus.subscribe("fragile", Kinds::Every, |_| async { panic!("at every event") });
    bus.subscribe("sturdy", Kinds::Every, write_to(&heard));
    bus.publish_all(samples(0..3)).unwrap();
    assert_eq!(heard.has(3).await, samples(0..3).collect::<Vec<_>>());
    until(|| stats_of(&bus, "fragile").panicked == 3).await;
}

#[tokio::test]
async fn an_event_that_panics_when_cloned_costs_the_handler_that_event_only() {
    #[derive(Debug, PartialEq)]
    struct Brittle(u64);
    impl Clone for Brittle {
        fn clone(&self) -> Self {
            assert_ne!(self.0, 1, "not clonable");
            Self(self.0)
        }
    }
    impl BusEvent for Brittle {
        type Kind = ();
        fn kind(&self) {}
    }
    let (bus, calls) = (bus_of(8), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&calls);
    bus.subscribe("handler", [()], move |Brittle(number)| {
        counted.fetch_add(number, SeqCst);
        std::future::ready(())
    });
    bus.publish_all((0..4).map(Brittle)).unwrap();
    until(|| stats_of(&bus, "handler").depth == 0).await;
    assert_eq!((stats_of(&bus, "handler").handled, stats_of(&bus, "handler").panicked), (3, 1));
    assert_eq!(calls.load(SeqCst), 2 + 3);
}

#[tokio::test]
async fn a_slow_handler_delays_no_other_and_shows_its_depth() {
    let (bus, door) = (bus_of(8), Arc::new(Semaphore::new(0)));
    let (slow, quick) = (Heard::new(), Heard::new());
    bus.subscribe("slow", Kinds::Every, behind(&door, &slow));
    bus.subscribe("quick", Kinds::Every, write_to(&quick));
    bus.publish_all(samples(0..5)).unwrap();
    quick.has(5).await;
    until(|| stats_of(&bus, "slow").running).await;
    let stats = stats_of(&bus, "slow");
    assert_eq!((stats.position, stats.depth, stats.handled), (0, 5, 0));
    assert_eq!(slow.so_far(), []);
    door.add_permits(5);
    assert_eq!(slow.has(5).await, quick.so_far());
}

#[tokio::test]
async fn a_handler_that_lags_goes_on_with_the_oldest_event_and_its_loss_is_counted() {
    let (bus, door, heard) = (bus_of(2), Arc::new(Semaphore::new(0)), Heard::new());
    bus.subscribe("slow", Kinds::Every, behind(&door, &heard));
    bus.publish(Signal::Sample(0)).unwrap();
    until(|| stats_of(&bus, "slow").running).await;
    bus.publish_all(samples(1..6)).unwrap();
    door.add_permits(3);
    let expected = [Signal::Sample(0), Signal::Sample(4), Signal::Sample(5)];
    assert_eq!(heard.has(3).await, expected);
    until(|| stats_of(&bus, "slow").depth == 0).await;
    assert_eq!((stats_of(&bus, "slow").handled, stats_of(&bus, "slow").lost), (3, 3));
}

#[tokio::test]
async fn a_durable_handler_is_told_that_it_lagged_between_the_events_around_the_gap() {
    let (bus, heard) = (bus_of(2), Heard::new());
    let subscription = bus.subscribe_durable("durable", [Kind::Alert], write_to(&heard));
    assert_eq!(subscription.start(), 0);
    bus.publish_all((0..5).map(Signal::Alert)).unwrap(); // on this single thread: before the handler runs
    let expected = [
        Delivery::Lagged(Lagged { missed: 3, resume_at: 3 }),
        Delivery::Event { position: 3, event: Signal::Alert(3) },
        Delivery::Event { position: 4, event: Signal::Alert(4) },
    ];
    assert_eq!(heard.has(3).await, expected);
    until(|| stats_of(&bus, "durable").depth == 0).await;
    assert_eq!((stats_of(&bus, "durable").handled, stats_of(&bus, "durable").lost), (2, 3));
}

#[tokio::test]
async fn unsubscribing_lets_the_running_call_finish_and_starts_no_other() {
    let (bus, door, heard) = (bus_of(8), Arc::new(Semaphore::new(0)), Heard::new());
    let subscription = bus.subscribe("leaving", Kinds::Every, behind(&door, &heard));
    bus.publish_all(samples(0..3)).unwrap();
    until(|| stats_of(&bus, "leaving").running).await;
    subscription.unsubscribe();
    tokio::task::yield_now().await; // on this single thread: the handler's task has noticed
    assert!(stats_of(&bus, "leaving").running);
    door.add_permits(3);
    soon(subscription.ended()).await;
    assert_eq!(heard.so_far(), [Signal::Sample(0)]);
    assert_eq!(bus.stats().subscribers, []);
}

#[tokio::test]
async fn a_handler_may_unsubscribe_itself() {
    let (bus, calls) = (bus_of(8), Arc::new(AtomicU64::new(0)));
    let own = Arc::new(OnceLock::new());
    let (own_of_handler, counted) = (Arc::clone(&own), Arc::clone(&calls));
    let subscription = bus.subscribe("once", Kinds::Every, move |_: Signal| {
        counted.fetch_add(1, SeqCst);
        let own = Arc::clone(&own_of_handler);
        async move { own.get().map(crate::bus::HandlerSubscription::unsubscribe).unwrap() }
    });
    assert!(own.set(subscription).is_ok());
    bus.publish_all(samples(0..3)).unwrap();
    soon(own.get().unwrap().ended()).await;
    assert_eq!(calls.load(SeqCst), 1);
}

#[tokio::test]
async fn dropping_the_subscription_leaves_the_handler_at_work() {
    let (bus, heard) = (bus_of(8), Heard::new());
    drop(bus.subscribe("detached", Kinds::Every, write_to(&heard)));
    bus.publish(Signal::Alert(0)).unwrap();
    assert_eq!(heard.has(1).await, [Signal::Alert(0)]);
}

#[tokio::test]
async fn a_handler_may_publish_on_its_own_bus() {
    let (bus, alerts) = (bus_of(8), Heard::new());
    let publisher = bus.clone();
    bus.subscribe("judge", [Kind::Sample], move |event| {
        let Signal::Sample(number) = event else { panic!("only samples were asked for") };
        publisher.publish(Signal::Alert(number)).unwrap();
        std::future::ready(())
    });
    bus.subscribe("alerts", [Kind::Alert], write_to(&alerts));
    bus.publish_all(samples(0..2)).unwrap();
    assert_eq!(alerts.has(2).await, [Signal::Alert(0), Signal::Alert(1)]);
}

#[tokio::test]
async fn handlers_end_by_themselves_when_the_last_handle_is_dropped() {
    let (bus, heard) = (bus_of(8), Heard::new());
    let subscription = bus.subscribe("handler", Kinds::Every, write_to(&heard));
    bus.publish(Signal::Alert(0)).unwrap();
    drop(bus);
    soon(subscription.ended()).await;
    assert_eq!(heard.so_far(), [Signal::Alert(0)]);
}

#[tokio::test]
async fn statistics_count_the_handlers_of_each_kind() {
    let bus: EventBus<Signal> = bus_of(8);
    bus.subscribe("a", [Kind::Alert], |_| async {});
    bus.subscribe("b", [Kind::Alert, Kind::Sample], |_| async {});
    bus.subscribe("c", Kinds::Every, |_| async {});
    let _cursor = bus.subscribe_cursor("d");
    let stats = bus.stats();
    let expected = [(BusStats::EVERY_KIND, 1), ("Alert", 2), ("Sample", 1)];
    assert_eq!(stats.handlers_per_kind, expected.map(|(kind, n)| (kind.to_owned(), n)).into());
    assert_eq!(stats.subscribers.iter().map(|s| &*s.name).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
}

#[tokio::test]
#[should_panic(expected = "there is no reactor running")]
async fn subscribing_a_handler_outside_a_runtime_panics_and_leaves_no_trace() {
    let bus: EventBus<Signal> = bus_of(8);
    let subscriber = bus.clone();
    let outside = std::thread::spawn(move || drop(subscriber.subscribe("a", Kinds::Every, |_| async {})));
    let panic = outside.join().unwrap_err();
    assert_eq!(bus.stats().subscribers, []);
    std::panic::resume_unwind(panic);
}
