//! The event log is what is published: every event once, in order, whatever the road to the bus.

use std::sync::Arc;

use andon::backplane::{Relay, Settings as RelaySettings};
use andon::bus::{EventBus, Next, Settings as BusSettings, Subscription};
use andon::domain::chart::ChartKind;
use andon::metrics::Metrics;
use andon::protocol::event::{EventKind, LoggedEvent};
use andon::settings::Settings;
use proptest::strategy::Strategy as _;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::{DEADLINE, Database, Ledger, Step, TestApp, TestServices, plan, sample};

type Bus = EventBus<Arc<LoggedEvent>>;

/// The next `count` events of the bus, as messages.
async fn published(subscription: &mut Subscription<Arc<LoggedEvent>>, count: usize) -> Vec<Value> {
    let mut messages = vec![];
    while messages.len() < count {
        match timeout(DEADLINE, subscription.next()).await.expect("an event in time") {
            Next::Event { position, event } => {
                assert_eq!(position, event.seq, "the bus counts as the log does");
                messages.push(serde_json::from_slice(&event.message()).expect("JSON"));
            }
            other => panic!("expected an event, got {other:?}"),
        }
    }
    assert_eq!(subscription.try_next(), None, "nothing is published that was not committed");
    messages
}

fn logged(ledger: &Ledger) -> Vec<Value> {
    ledger.events.iter().map(|event| event.message()).collect()
}

/// Many steps, the same ones each time.
fn steps(count: usize) -> Vec<Step> {
    plan(count..count + 1).new_tree(&mut TestRunner::deterministic()).expect("a plan").current()
}

#[tokio::test]
async fn the_log_the_bus_and_a_client_tell_the_same() {
    let app = TestApp::builder()
        .with(|settings| {
            settings.services.commands_per_commit = 7; // so that plans fall into many commits
            settings.broadcast.sample_queue_bytes = 1 << 30; // the client reads only at the end
            settings.broadcast.alert_queue_bytes = 1 << 30;
        })
        .spawn()
        .await;
    let mut bus = app.bus.subscribe_cursor("test");
    let mut socket = app.socket().await;
    let filter = json!({"types": EventKind::ALL});
    socket.send(&json!({"type": "subscribe", "all": true, "filter": filter})).await;
    socket.next_of_type("subscribed").await;
    let ids = app.services.given_plan().await;
    app.services.play(&ids, &steps(60)).await;

    let ledger = Ledger::read(&app.database()).await;
    ledger.assert_sound();
    let kinds = ["sample", "violation", "ack_update", "control_limits", "episode"];
    assert!(kinds.iter().all(|kind| ledger.events.iter().any(|event| event.kind == *kind)), "a full mix");
    let published = published(&mut bus, ledger.events.len()).await;
    assert_eq!(published, logged(&ledger));
    for expected in &published {
        assert_eq!(&socket.next_of_type(expected["type"].as_str().expect("a type")).await, expected);
    }
    socket.assert_nothing_came().await;
    app.stop().await.expect("stops");
}

#[tokio::test]
async fn what_was_rolled_back_is_not_published() {
    let app = TestApp::spawn().await;
    let mut bus = app.bus.subscribe_cursor("test");
    let id = app.services.given(ChartKind::IMr, 1..=1).await;
    let mut other = Database::open(&app.database()).await;
    other.refuse_poison("ABORT").await;
    other.lock().await; // until all of them wait
    let mut queued = vec![];
    for number in 0..60 {
        let operator = if number % 20 == 10 { "poison" } else { "ann" };
        let sample = sample(id, vec![f64::from(number)], Some(operator));
        queued.push(app.services.engine.queue(sample).await.expect("queued"));
    }
    other.unlock().await;
    let mut stored = 0;
    for sample in queued {
        stored += usize::from(sample.recorded().await.is_ok());
    }
    assert_eq!(stored, 57);
    let published = published(&mut bus, stored).await;
    let ledger = Ledger::read(&app.database()).await;
    ledger.assert_sound();
    assert_eq!(published, logged(&ledger));
}

/// A relay that starts late: the hand-over queue has room for one of many commits.
#[tokio::test]
async fn a_relay_whose_queue_was_full_reads_the_log_without_a_gap_or_a_repeat() {
    let directory = TempDir::new().expect("a temporary directory");
    let mut settings = Settings::default();
    settings.store.handover_commits = 1;
    settings.services.commands_per_commit = 3;
    let running = TestServices::open(directory.path(), &settings).await;
    let ids = running.services.given_plan().await;
    running.services.play(&ids, &steps(20)).await;

    let bus = Bus::new(BusSettings::default(), 1);
    let mut subscription = bus.subscribe_cursor("test");
    let (metrics, stop) = (Metrics::default(), CancellationToken::new());
    let relay_settings = RelaySettings { page_events: 7, poll_interval_ms: 60_000 };
    let TestServices { services, store, mut handover, .. } = running;
    // The first commit is taken out, so that the queue holds one that does not continue anything.
    handover.next().await.expect("the first commit");
    services.play(&ids, &steps(1)).await;
    let relay = Relay::new((store.clone(), handover), bus.clone(), metrics.clone(), relay_settings, 0);
    let relaying = tokio::spawn(relay.run(stop.clone()));
    let events_before = Ledger::read(&directory.path().join("andon.db")).await.events.len();
    let mut messages = published(&mut subscription, events_before).await;
    assert!(metrics.relay_catch_ups.get() > 1, "it read the log, page by page");

    // And from there on, beside commits that go on.
    services.play(&ids, &steps(10)).await;
    let ledger = Ledger::read(&directory.path().join("andon.db")).await;
    ledger.assert_sound();
    messages.extend(published(&mut subscription, ledger.events.len() - events_before).await);
    assert_eq!(messages, logged(&ledger));
    stop.cancel();
    relaying.await.expect("the relay does not panic").expect("the log is whole");
}

/// Events that were committed, but not published, before a process died.
#[tokio::test]
async fn a_new_process_counts_on_where_the_log_ends() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.measure(bore, 99.0).await;
    let directory = Arc::clone(app.directory());
    app.stop().await.expect("stops");
    let app = TestApp::builder().on_database_of(&directory).spawn().await;
    let mut bus = app.bus.subscribe_cursor("test");
    let mut socket = app.socket().await.subscribed_to([bore]).await;
    assert_eq!(socket.welcome["payload"]["seq"], 4);
    let recorded = app.measure(bore, 98.0).await;
    assert_eq!(recorded["seq"], 5);
    let published = published(&mut bus, 2).await;
    assert_eq!([&published[0]["revision"], &published[1]["revision"]], [&json!(5), &json!(6)]);
    assert_eq!(socket.next().await, published[0]);
}
