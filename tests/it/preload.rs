//! After a restart the ring holds the newest events again, for clients that resume; and nobody takes them for news.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use andon::app::App;
use andon::bus::{EventBus, Kinds, Next};
use andon::protocol::event::LoggedEvent;
use andon::settings::Settings;
use andon::store::Store;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::{DEADLINE, Database, Ledger, TestApp, TestAppBuilder, address_of, eventually, sample};

/// An application that was stopped with this many events in its log: one of the limits, one for each sample.
async fn stopped_with(events: usize) -> (Arc<TempDir>, i64) {
    let app = TestApp::spawn().await;
    let chart = app.given_a_chart("Bore").await;
    app.measure_all(chart, &vec![10.0; events - 1]).await;
    let directory = Arc::clone(app.directory());
    app.stop().await.expect("stops");
    (directory, chart)
}

fn preloading(directory: &Arc<TempDir>, events: usize) -> TestAppBuilder {
    TestApp::builder().on_database_of(directory).with(|settings| settings.bus.preload_events = events)
}

/// What the ring holds, as messages.
fn ring(bus: &EventBus<Arc<LoggedEvent>>) -> Vec<Value> {
    let mut events = vec![];
    let all = NonZeroUsize::new(100_000).expect("not zero");
    bus.page(bus.retained().start, all, &mut events).expect("in the ring");
    events.iter().map(|event| serde_json::from_slice(&event.message()).expect("JSON")).collect()
}

async fn logged(directory: &Arc<TempDir>) -> Vec<Value> {
    let ledger = Ledger::read(&directory.path().join("andon.db")).await;
    ledger.events.iter().map(|event| event.message()).collect()
}

#[tokio::test]
async fn the_ring_begins_with_the_newest_events_of_the_log() {
    let (directory, _) = stopped_with(30).await;
    let log = logged(&directory).await;
    for (preload, capacity, expected) in [(8_192, 65_536, 30), (7, 65_536, 7), (8_192, 4, 4), (0, 4, 0)] {
        let capacity = NonZeroUsize::new(capacity).expect("not zero");
        let app = preloading(&directory, preload).with(|settings| settings.bus.capacity_events = capacity);
        let app = app.spawn().await;
        assert_eq!(app.bus.retained(), 31 - expected..31);
        assert_eq!(ring(&app.bus), log[30 - expected as usize..]);
        app.stop().await.expect("stops");
    }
}

#[tokio::test]
async fn the_ring_begins_where_the_log_does() {
    let (directory, chart) = stopped_with(30).await;
    for (removed, expected) in [(12, 13..31), (18, 31..31)] {
        let settings = andon::store::Settings {
            url: address_of(&directory.path().join("andon.db")),
            ..Default::default()
        };
        let (store, _handover) = Store::open(&settings).await.expect("opens");
        let mut transaction = store.begin().await.expect("free");
        let done = transaction.remove_log(DateTime::<Utc>::MAX_UTC, removed).await.expect("removed");
        assert_eq!(done, u64::from(removed));
        transaction.commit().await.expect("committed");
        store.close().await;
        let app = preloading(&directory, 8_192).spawn().await;
        assert_eq!(app.bus.retained(), expected);
        app.stop().await.expect("stops");
    }
    let app = preloading(&directory, 8_192).spawn().await;
    assert_eq!(app.measure(chart, 10.0).await["seq"], 31);
    app.stop().await.expect("stops");
}

#[tokio::test]
async fn a_log_with_a_hole_makes_no_ring_with_a_hole() {
    let (directory, _) = stopped_with(30).await;
    let mut other = Database::open(&directory.path().join("andon.db")).await;
    other.run("DELETE FROM events WHERE seq = 17").await;
    other.close().await;
    let app = preloading(&directory, 20).spawn().await;
    assert_eq!(app.bus.retained(), 18..31);
    app.stop().await.expect("stops");
}

#[tokio::test]
async fn nobody_takes_what_is_preloaded_for_news() {
    let (directory, chart) = stopped_with(30).await;
    let mut settings = Settings::default();
    settings.http.listen = "127.0.0.1:0".to_owned();
    settings.http.workers = 1;
    settings.store.url = address_of(&directory.path().join("andon.db"));
    let app = App::builder(settings).build().await.expect("built");
    // An embedding program subscribes before anything runs.
    let (bus, heard) = (app.bus(), Arc::new(Mutex::new(vec![])));
    let noted = Arc::clone(&heard);
    let handler = bus.subscribe("handler", Kinds::Every, move |event: Arc<LoggedEvent>| {
        noted.lock().expect("nobody panics with it").push(event.seq);
        std::future::ready(())
    });
    let mut cursor = bus.subscribe_cursor("cursor");
    assert_eq!((handler.start(), cursor.position(), bus.retained()), (31, 31, 1..31));
    let (engine, stop) = (app.engine(), CancellationToken::new());
    let running = tokio::spawn(app.run(stop.clone()));
    let of = andon::domain::ids::CharacteristicId::try_from(chart).expect("positive");
    let queued = engine.queue(sample(of, vec![10.0], None)).await.expect("queued");
    queued.recorded().await.expect("committed").expect("taken");
    let next = tokio::time::timeout(DEADLINE, cursor.next()).await.expect("in time");
    assert!(matches!(&next, Next::Event { position: 31, event } if event.seq == 31), "{next:?}");
    eventually("the handler hears it", async || (*heard.lock().expect("free") == [31]).then_some(())).await;
    assert_eq!(bus.retained(), 1..32);
    stop.cancel();
    running.await.expect("does not panic").expect("stops");
    assert_eq!(*heard.lock().expect("free"), [31]);
}

#[tokio::test]
async fn clients_hear_and_metrics_count_only_what_comes_after_it() {
    let (directory, chart) = stopped_with(30).await;
    let app = preloading(&directory, 8_192).spawn().await;
    assert_eq!(app.metric("andon_bus_ring_events").await, 30.0);
    assert_eq!(app.metric("andon_log_head_position").await, 30.0);
    assert_eq!(app.metric("andon_relay_lag_events").await, 0.0);
    assert_eq!(app.metric("andon_events_published_total{kind=\"sample\"}").await, 0.0);
    assert_eq!(app.metric("andon_relay_catch_ups_total").await, 0.0);
    let mut socket = app.socket().await;
    assert_eq!(socket.welcome["payload"]["seq"], 30);
    socket.send(&json!({"type": "subscribe", "all": true})).await;
    let subscribed = socket.next_of_type("subscribed").await;
    assert_eq!((&subscribed["seq"], &subscribed["revisions"]), (&json!(30), &json!({"1": 30})));
    socket.assert_nothing_came().await;
    assert_eq!(app.measure(chart, 10.0).await["seq"], 31);
    let heard = socket.next_of_type("sample").await;
    assert_eq!((&heard["seq"], &heard["revision"]), (&json!(31), &json!(31)));
    assert_eq!(app.metric("andon_events_published_total{kind=\"sample\"}").await, 1.0);
    app.stop().await.expect("stops");
}
