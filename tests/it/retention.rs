//! What has had its time goes, in small steps; what is still needed stays; nobody who listens loses anything.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use andon::backplane::{Relay, Settings as RelaySettings};
use andon::broadcast::ports::{Base, Catalog, CatalogError, History, HistoryError};
use andon::broadcast::{About, Broadcaster, Encoding, Outflow, Parts, Start};
use andon::bus::{EventBus, Settings as BusSettings};
use andon::clock::Clock;
use andon::domain::ids::CharacteristicId;
use andon::health::Health;
use andon::metrics::{Kind, Metrics};
use andon::protocol::close::CloseCode;
use andon::protocol::event::LoggedEvent;
use andon::protocol::snapshot::Snapshot;
use andon::services::retention::{self, Settings as RetentionSettings};
use andon::services::{CommitQueue, Retention};
use andon::settings::Settings;
use andon::store::{Store, StoreError};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::{
    Database, Load, Process, Step, TestApp, TestServices, address_of, eventually, listen, on_postgres, plan,
    tell_nobody,
};

/// Far more than anything is kept.
const LATER: TimeDelta = TimeDelta::days(4_000);

fn in_small_steps() -> RetentionSettings {
    RetentionSettings { interval_ms: 1, rows_per_step: 7, pause_ms: 0, give_way_ms: 20, ..Default::default() }
}

/// A retention for whom it is long after the samples and events of [`TestServices`].
fn retention_of(
    store: &Store,
    queue: &CommitQueue,
    settings: RetentionSettings,
    metrics: &Metrics,
) -> Retention {
    let parts = retention::Parts {
        store: store.clone(),
        queue: queue.clone(),
        clock: Clock::new(|| DateTime::UNIX_EPOCH + LATER),
        metrics: metrics.clone(),
        health: Health::default(),
        min_free_bytes: 0,
    };
    Retention::new(parts, settings)
}

async fn run_round(running: &TestServices, settings: RetentionSettings) -> Metrics {
    tell_nobody(&running.store).await;
    let metrics = Metrics::default();
    let retention = retention_of(&running.store, &running.queue, settings, &metrics);
    retention.run_round(&CancellationToken::new()).await;
    metrics
}

fn removed(metrics: &Metrics, kind: &'static str) -> u64 {
    metrics.rows_removed.get_or_create(&Kind { kind }).get()
}

/// Many steps, the same ones each time.
fn steps(count: usize) -> Vec<Step> {
    plan(count..count + 1).new_tree(&mut TestRunner::deterministic()).expect("a plan").current()
}

/// Positions without a gap from the floor to the head, and revisions without a gap within them.
async fn assert_log_is_whole(database: &Path) -> (i64, i64) {
    let mut database = Database::open(database).await;
    let head = database.rows("SELECT floor, seq FROM log_head").await;
    let (floor, seq) = (head[0][0].integer(), head[0][1].integer());
    let (mut position, mut revisions) = (floor, BTreeMap::new());
    for row in database.rows("SELECT seq, characteristic_id, revision FROM events ORDER BY seq").await {
        position += 1;
        assert_eq!(row[0].integer(), position, "positions have no gap");
        let (of, revision) = (row[1].integer(), row[2].integer());
        let before = revisions.insert(of, revision);
        assert!(before.is_none_or(|before| before + 1 == revision), "revisions of {of} have no gap");
    }
    assert_eq!(position, seq, "the head is the newest event");
    database.close().await;
    (floor, seq)
}

#[tokio::test]
async fn the_log_is_shortened_under_load_and_who_listens_loses_nothing() {
    let days = Arc::new(AtomicI64::new(0));
    let clock = {
        let (days, system) = (Arc::clone(&days), Clock::system());
        Clock::new(move || system.now() + TimeDelta::days(days.load(Ordering::Relaxed)))
    };
    let app = TestApp::builder()
        .with(|settings| {
            settings.retention = in_small_steps();
            settings.input.max_future_seconds = 100_000_000;
            // The listener counts every sample, even where the machine is too busy for it to keep up.
            (settings.broadcast.sample_queue_bytes, settings.broadcast.alert_queue_bytes) =
                (1 << 30, 1 << 30);
        })
        .clock(clock)
        .spawn()
        .await;
    let chart = app.given_a_chart("Bore").await;
    let (_directory, database) = (Arc::clone(app.directory()), app.database());
    let heard = listen(app.address).await;
    let load = Load::start(app.address, &[chart], 4, "load");
    for round in 1..=3 {
        eventually("samples come", async || (app.metric("andon_log_rows").await > 30.0).then_some(())).await;
        let before = app.metric("andon_log_floor_position").await;
        days.store(round * 30, Ordering::Relaxed);
        eventually("the floor rises while samples come", async || {
            (app.metric("andon_log_floor_position").await > before + 20.0).then_some(())
        })
        .await;
    }
    assert!(app.metric("andon_retention_steps_total").await > 3.0, "it went step by step");
    app.stop().await.expect("stops");
    let (answered, heard) = (load.answered().await, heard.await.expect("heard"));
    let (floor, seq) = assert_log_is_whole(&database).await;
    assert!(floor > 60 && floor < seq, "{floor} of {seq}");
    assert!(answered.len() > 60, "a real load");
    assert_eq!(heard.events.keys().next_back(), Some(&seq), "heard to the end, without a gap");
    let mut database = Database::open(&database).await;
    let kept = database.number("SELECT count(*) FROM samples").await;
    assert!(kept >= answered.len() as i64, "samples stay unless it is said otherwise");
}

#[tokio::test]
async fn a_kill_in_the_middle_of_removing_is_harmless() {
    let directory = TempDir::new().expect("a temporary directory");
    let database = directory.path().join("andon.db");
    let process = Process::start(Process::serve(&database)).await;
    let url = format!("http://{}/api/v1", process.address);
    let http = reqwest::Client::new();
    let created = http.post(format!("{url}/characteristics")).json(&json!({"name": "Bore"})).send().await;
    assert!(created.expect("an answer").status().is_success());
    let samples = vec![json!({"characteristic_id": 1, "measurements": [1.0]}); 3_000];
    let batch = http.post(format!("{url}/samples/batch")).json(&json!({"samples": samples})).send().await;
    assert!(batch.expect("an answer").status().is_success());
    process.kill().await;
    let mut other = Database::open(&database).await;
    other.run("UPDATE events SET at = 0").await;
    let serve = |rows: &str| {
        let mut command = Process::serve(&database);
        command.env("ANDON_RETENTION__INTERVAL_MS", "1").env("ANDON_RETENTION__ROWS_PER_STEP", rows);
        command.env("ANDON_RETENTION__PAUSE_MS", "1");
        command
    };
    let process = Process::start(serve("3")).await;
    eventually("it has begun", async || {
        (other.number("SELECT floor FROM log_head").await > 10).then_some(())
    })
    .await;
    process.kill().await;
    let (floor, seq) = assert_log_is_whole(&database).await;
    assert!(floor < seq, "it was in the middle: {floor} of {seq}");

    let process = Process::start(serve("500")).await;
    eventually("it has ended", async || {
        (other.number("SELECT floor FROM log_head").await == 3_000).then_some(())
    })
    .await;
    let recorded =
        http.post(format!("http://{}/api/v1/samples", process.address)).json(&samples[0]).send().await;
    let recorded: serde_json::Value = recorded.expect("an answer").json().await.expect("JSON");
    assert_eq!(
        (&recorded["seq"], &recorded["sample_id"]),
        (&json!(3_001), &json!(3_001)),
        "nothing restarts"
    );
    process.terminate().await;
    assert!(process.end().await.0.success());
    assert_eq!(assert_log_is_whole(&database).await, (3_000, 3_001));
}

/// Windows and baselines are kept: what comes later is judged as if nothing had been removed.
#[tokio::test]
async fn verdicts_are_those_of_an_engine_that_keeps_everything() {
    let (kept, shortened) = (TempDir::new().expect("a directory"), TempDir::new().expect("a directory"));
    let settings = Settings::default();
    let undisturbed = TestServices::open(kept.path(), &settings).await;
    let ids = undisturbed.services.given_plan().await;
    let mut samples = 0;
    for part in 0..4 {
        let running = TestServices::open(shortened.path(), &settings).await;
        if part == 0 {
            assert_eq!(running.services.given_plan().await, ids);
        }
        let steps: Vec<_> = steps(80).into_iter().skip(if part == 0 { 0 } else { 2 + part * 20 }).collect();
        let (one, other) =
            (undisturbed.services.play(&ids, &steps).await, running.services.play(&ids, &steps).await);
        assert_eq!(one, other, "part {part}");
        let everything = RetentionSettings { samples_days: 1, ..in_small_steps() };
        let metrics = run_round(&running, everything).await;
        samples += removed(&metrics, "samples");
        assert!(removed(&metrics, "events") > 50, "the log was shortened");
        let head = running.store.head().await.expect("a head");
        assert_eq!((head.floor, metrics.log_rows.get()), (head.seq, 0));
        running.stop().await;
    }
    assert!(samples > 500, "{samples} samples were removed");
    let mut database = Database::open(&shortened.path().join("andon.db")).await;
    let missing = database
        .number(
            "SELECT count(*) FROM characteristics c JOIN control_limits l ON l.id = c.limits_id \
             WHERE l.sample_count IS NOT NULL AND l.sample_count > (SELECT count(*) FROM samples s \
             WHERE s.characteristic_id = c.id AND s.id >= l.first_sample_id AND s.id <= l.last_sample_id)",
        )
        .await;
    assert_eq!(missing, 0, "baselines are whole");
    undisturbed.stop().await;
}

#[tokio::test]
async fn what_is_deleted_goes_entirely_and_nothing_else_with_it() {
    let app = TestApp::builder().with(|settings| settings.retention = in_small_steps()).spawn().await;
    let (bore, flow) = (app.given_a_chart("Bore").await, app.given_a_chart("Flow").await);
    for chart in [bore, flow] {
        app.measure_all(chart, &[99.0; 40]).await;
    }
    let mut other = Database::open(&app.database()).await;
    other.run(&format!("UPDATE characteristics SET deleted = TRUE WHERE id = {bore}")).await;
    eventually("it is gone", async || {
        (other.number("SELECT count(*) FROM characteristics").await == 1).then_some(())
    })
    .await;
    for table in ["samples", "violations", "episodes", "control_limits"] {
        let rows = format!("SELECT count(*) FROM {table} WHERE characteristic_id = ");
        assert_eq!(other.number(&format!("{rows}{bore}")).await, 0, "{table}");
        assert!(other.number(&format!("{rows}{flow}")).await > 0, "{table}");
    }
    assert_eq!(app.metric("andon_retention_rows_removed_total{kind=\"samples\"}").await, 40.0);
    assert_log_is_whole(&app.database()).await;
    assert_eq!(app.measure(flow, 10.0).await["violations"], json!([]));
}

#[tokio::test]
async fn answers_kept_for_requests_go_after_their_time() {
    let directory = TempDir::new().expect("a temporary directory");
    let running = TestServices::open(directory.path(), &Settings::default()).await;
    let mut other = Database::open(&directory.path().join("andon.db")).await;
    let day = 86_400_000_000_i64;
    let newest = (DateTime::<Utc>::UNIX_EPOCH + LATER).timestamp_micros();
    for number in 0..30 {
        let at = newest - if number < 20 { 2 * day } else { day / 2 };
        other
            .run(&format!(
                "INSERT INTO idempotency (scope, key, part, body_hash, status, answer, at) \
                 VALUES ('s', 'k{number}', 0, 'x', 200, '', {at})"
            ))
            .await;
    }
    let metrics = run_round(&running, in_small_steps()).await;
    assert_eq!((removed(&metrics, "answers"), metrics.retention_steps.get()), (20, 3), "7, 7 and 6 at once");
    assert_eq!(other.number("SELECT count(*) FROM idempotency").await, 10);
    let nothing_due = run_round(&running, in_small_steps()).await;
    assert_eq!(nothing_due.retention_steps.get(), 0, "where nothing is due, nothing is written");
    running.stop().await;
}

struct NoCatalog;

type Groups = HashMap<CharacteristicId, Option<String>>;

#[async_trait]
impl Catalog for NoCatalog {
    async fn ids(&self, _: &[String]) -> Result<HashMap<String, CharacteristicId>, CatalogError> {
        Ok(HashMap::new())
    }

    async fn groups_of(&self, _: &[CharacteristicId]) -> Result<Groups, CatalogError> {
        Ok(Groups::new())
    }

    async fn groups(&self) -> Result<Groups, CatalogError> {
        Ok(Groups::new())
    }
}

struct LogHistory(Store);

fn history_error(error: StoreError) -> HistoryError {
    match error {
        StoreError::Removed { floor } => HistoryError::Removed { floor },
        other => HistoryError::Unreadable(other.into()),
    }
}

#[async_trait]
impl History for LogHistory {
    async fn page(&self, after: u64, limit: u32) -> Result<Vec<Arc<LoggedEvent>>, HistoryError> {
        self.0.log_page(after, limit).await.map_err(history_error)
    }

    async fn base(&self, _: u64) -> Result<Base, HistoryError> {
        unreachable!("nobody resumes here")
    }

    async fn revisions(&self) -> Result<(u64, Vec<(CharacteristicId, u64)>), HistoryError> {
        self.0.revisions().await.map_err(history_error)
    }

    async fn snapshot(&self, _: CharacteristicId) -> Result<Option<Snapshot>, HistoryError> {
        unreachable!("nobody asks for the present state here")
    }
}

/// Everything that is written until the connection has ended or waits.
async fn written(outflow: &mut Outflow) -> (String, bool) {
    let mut text = String::new();
    loop {
        let chunk = std::future::poll_fn(|context| {
            std::task::Poll::Ready(match outflow.poll_chunk(context) {
                std::task::Poll::Ready(chunk) => Some(chunk),
                std::task::Poll::Pending => None,
            })
        });
        match chunk.await {
            Some(Some(chunk)) => text += &String::from_utf8_lossy(&chunk),
            Some(None) => return (text, true),
            None => return (text, false),
        }
    }
}

/// It fell off the ring, and the log no longer holds what it missed: nobody gets a hole.
#[tokio::test]
async fn a_shard_behind_the_floor_lets_its_clients_go_and_serves_new_ones() {
    let directory = TempDir::new().expect("a temporary directory");
    let running = TestServices::open(directory.path(), &Settings::default()).await;
    let ids = running.services.given_plan().await;
    running.services.play(&ids, &steps(20)).await;
    let events = running.store.log_page(0, 10_000).await.expect("the log");
    run_round(&running, in_small_steps()).await;
    let seq = events.len() as u64;
    assert!(matches!(running.store.log_page(0, 5).await, Err(StoreError::Removed { floor }) if floor == seq));
    assert!(running.store.log_page(seq, 5).await.expect("the end of the log").is_empty());

    let metrics = Metrics::default();
    let bus = EventBus::new(BusSettings { capacity: 4.try_into().expect("not zero") }, 1);
    let broadcaster = Broadcaster::new(
        andon::broadcast::Settings::default(),
        Parts {
            bus: bus.clone(),
            history: Arc::new(LogHistory(running.store.clone())),
            catalog: Arc::new(NoCatalog),
            head: running.store.committed(),
            clock: Clock::system(),
            metrics: metrics.clone(),
            start: Start { epoch: running.store.epoch().to_owned(), ..Start::default() },
        },
    );
    let about = || About { user: None, address: None, since: DateTime::UNIX_EPOCH };
    let encoding = Encoding::WebSocket { deflate_from: None };
    let shard = async {
        let (shard, handle) = broadcaster.shard("test".to_owned());
        let stop = CancellationToken::new();
        let serving = tokio::task::spawn_local(shard.run(stop.clone()));
        let (old, mut of_old) = handle.seat(about(), encoding);
        old.welcome(None);
        assert!(written(&mut of_old).await.0.contains("welcome"));
        bus.publish_all(events).expect("open"); // in one go: the shard has no chance to read them
        eventually("the client is let go", async || old.close_code()).await;
        assert_eq!(old.close_code(), Some(CloseCode::TooSlow));
        let (text, _) = written(&mut of_old).await;
        assert!(!text.contains("seq"), "nothing was told that has a hole before it: {text}");
        eventually("it stands at the end of the log", async || (old.position() == seq).then_some(())).await;
        drop(old);
        assert_eq!(written(&mut of_old).await, (String::new(), true), "with that it is over");
        let (new, mut of_new) = handle.seat(about(), encoding);
        new.welcome(None);
        assert!(written(&mut of_new).await.0.contains("welcome"));
        assert_eq!(new.close_code(), None);
        stop.cancel();
        serving.await.expect("the shard does not panic");
    };
    tokio::task::LocalSet::new().run_until(shard).await;

    // The bus has no holes either: a relay that has missed events ends, and with it the process.
    drop(broadcaster); // it reads the log, too
    running.stop().await;
    let settings =
        andon::store::Settings { url: address_of(&directory.path().join("andon.db")), ..Default::default() };
    let opened = Store::open(&settings).await.expect("the store opens");
    let bus = EventBus::new(BusSettings::default(), 1);
    let relay = Relay::new(opened, bus, metrics, RelaySettings::default(), 0);
    let ended = relay.run(CancellationToken::new()).await;
    assert!(matches!(ended, Err(StoreError::Removed { floor }) if floor == seq), "{ended:?}");
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_is_told_before_it_is_full() {
    let app = TestApp::builder().with(|settings| settings.store.min_free_bytes = u64::MAX).spawn().await;
    let parts = eventually("the room is measured", async || {
        let measured = app.metric("andon_database_bytes").await > 0.0;
        let ready = reqwest::get(app.url("/health/ready")).await.expect("an answer");
        assert_eq!(ready.status(), 200, "it still takes work");
        measured.then_some(ready.json::<serde_json::Value>().await.expect("JSON"))
    })
    .await;
    if on_postgres() {
        assert_eq!(parts["status"], "ready", "its disk is elsewhere");
        return;
    }
    let parts = eventually("it is told", async || {
        let ready = reqwest::get(app.url("/health/ready")).await.expect("an answer");
        let parts = ready.json::<serde_json::Value>().await.expect("JSON");
        (parts["status"] == "degraded").then_some(parts)
    })
    .await;
    assert_eq!(parts["parts"]["disk"], "low");
    assert!(app.metric("andon_disk_free_bytes{kind=\"database\"}").await > 0.0);
}
