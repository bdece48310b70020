//! From the log through the ledger to webhooks: how soon, how fast, and what it costs those who send samples.
//!
//! * `posts alone`: the same bodies to the same far end by the same HTTP client, without a ledger: the floor.
//! * **How soon**: from the answer to a sample (its commit) to the first byte at the far end, on an idle system.
//! * **What others pay**: samples recorded in alternating runs, while nothing is due and while 20,000 deliveries wait for a
//!   receiver that never answers.
//!
//! The far end is a thread in this process, on the same processors. On SQLite, or on PostgreSQL where `BENCH_POSTGRES` is the
//! address of an empty database.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a benchmark prints and times"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use andon::app::App;
use andon::domain::characteristic::Definition;
use andon::domain::chart::ChartKind;
use andon::domain::episode::EpisodeChange;
use andon::domain::ids::CharacteristicId;
use andon::domain::rules::Severity;
use andon::domain::rules::{Preset, RuleSet};
use andon::domain::sample::Mode;
use andon::notify::{ReceiverSettings, sample_alert, webhook};
use andon::services::{CharacteristicRef, GivenLimits, NewSample, Signed, SpcEngine};
use andon::settings::Settings;
use andon::store::{NewDelivery, NewNotice, Store};
use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const DUE: usize = 20_000;
const CONCURRENCY: u32 = 32;
const ALERTS: usize = 500;
const PAIRS: usize = 10;
const RUN: Duration = Duration::from_secs(2);

/// Takes every request with 204, and tells when each one's first byte came.
struct FarEnd {
    url: String,
    taken: Arc<AtomicUsize>,
    firsts: mpsc::Receiver<Instant>,
}

impl FarEnd {
    /// On a thread of its own.
    fn start() -> Self {
        let (taken, (told, firsts)) = (Arc::<AtomicUsize>::default(), mpsc::channel(100_000));
        let (ready, address) = std::sync::mpsc::channel();
        let counted = Arc::clone(&taken);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    tokio::spawn(serve(stream, Arc::clone(&counted), told.clone()));
                }
            });
        });
        let url = format!("http://{}/", address.recv().unwrap());
        Self { url, taken, firsts }
    }

    /// Waits until it has taken so many; gives how long that took.
    async fn takes(&self, count: usize) -> Duration {
        let started = Instant::now();
        while self.taken.load(Ordering::Relaxed) < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        started.elapsed()
    }
}

async fn serve(mut stream: TcpStream, taken: Arc<AtomicUsize>, told: mpsc::Sender<Instant>) {
    stream.set_nodelay(true).unwrap();
    let (mut received, mut chunk) = (Vec::new(), vec![0; 65_536]);
    loop {
        let Ok(read @ 1..) = stream.read(&mut chunk).await else { return };
        if received.is_empty() {
            let _ = told.try_send(Instant::now());
        }
        received.extend_from_slice(&chunk[..read]);
        let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&received[..end]).unwrap().to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        if received.len() < end + 4 + length.parse::<usize>().unwrap() {
            continue;
        }
        received.clear();
        taken.fetch_add(1, Ordering::Relaxed);
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    }
}

/// Where databases are: on a real disk.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or_else(|_| ".".to_owned())).unwrap()
}

fn settings(directory: &tempfile::TempDir, receivers: Vec<ReceiverSettings>) -> Settings {
    let mut settings = Settings::default();
    settings.http.listen = "127.0.0.1:0".to_owned();
    settings.store.url = std::env::var("BENCH_POSTGRES")
        .unwrap_or_else(|_| format!("sqlite://{}", directory.path().join("andon.db").display()));
    settings.notify.receivers = receivers;
    settings
}

fn receiver(name: &str, url: &str, concurrency: u32) -> ReceiverSettings {
    let webhook = webhook::Settings { url: Some(url.to_owned()), allow_private: true, ..Default::default() };
    ReceiverSettings {
        name: name.to_owned(),
        webhook: Some(webhook),
        concurrency,
        timeout_ms: 600_000,
        ..ReceiverSettings::default()
    }
}

fn body() -> String {
    serde_json::to_string(&*sample_alert("", "", EpisodeChange::Opened, "Bore").notice).unwrap()
}

/// Notices of so many episodes to a receiver, as the dispatcher would take them.
async fn fill(settings: &Settings, receiver: &str, count: usize) {
    let (store, _handover) = Store::open(&settings.store).await.unwrap();
    let mut cursor = store.notify_cursor().await.unwrap();
    let body = body();
    for page in (0..count).collect::<Vec<_>>().chunks(500) {
        let notice = |place: &usize| NewNotice {
            seq: cursor + 1 + (place - page[0]) as u64,
            episode_id: (1_000_000 + *place as i64).try_into().unwrap(),
            characteristic_id: 1.try_into().unwrap(),
            change: EpisodeChange::Opened,
            severity: Severity::Critical,
            body: body.clone(),
            routes: Vec::new(),
            deliveries: vec![NewDelivery::at_once(receiver, Duration::from_secs(86_400))],
        };
        let notices: Vec<_> = page.iter().map(notice).collect();
        assert!(store.take_notices((cursor, cursor + page.len() as u64), &notices).await.unwrap().is_some());
        cursor += page.len() as u64;
    }
    store.close().await;
}

struct Running {
    engine: SpcEngine,
    charts: Vec<CharacteristicId>,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn start(settings: Settings) -> Self {
        let app = App::builder(settings).build().await.unwrap();
        let (engine, catalog, limits) = (app.engine(), app.catalog(), app.limits());
        let stop = CancellationToken::new();
        let token = stop.clone();
        let running = tokio::spawn(async move { app.run(token).await.unwrap() });
        let mut charts = vec![];
        for number in 0..64 {
            let definition = Definition {
                name: format!("Bore {number}"),
                key: None,
                description: None,
                chart: ChartKind::IMr,
                subgroup_size: 1,
                min_measurements: 1,
                unit: None,
                decimals: None,
                target: None,
                usl: None,
                lsl: None,
                group: None,
                tags: vec![],
                reaction_plan: None,
                auto_limits_after: None,
            };
            let id = catalog.create(definition, RuleSet::preset(Preset::Outlier)).await.unwrap().unwrap().id;
            let given = GivenLimits::Sigma { center_line: 10.0, sigma: 1.0 };
            limits.set(id, given, Signed::default()).await.unwrap().unwrap();
            charts.push(id);
        }
        Self { engine, charts, stop, running }
    }

    async fn measure(&self, chart: usize, value: f64) {
        let sample = NewSample {
            characteristic: CharacteristicRef::Id(self.charts[chart % self.charts.len()]),
            measurements: vec![value],
            timestamp: None,
            mode: Mode::Live,
            key: None,
            batch: None,
            operator: None,
            metadata: None,
        };
        self.engine.submit(sample).await.unwrap().unwrap();
    }

    /// Samples recorded in a second, by 64 callers at a time.
    async fn ingest_rate(&self) -> f64 {
        let (started, done) = (Instant::now(), AtomicUsize::new(0));
        futures_util::stream::iter(0_usize..)
            .take_while(|_| std::future::ready(started.elapsed() < RUN))
            .for_each_concurrent(64, |number| {
                let done = &done;
                async move {
                    self.measure(number, 10.0 + (number % 7) as f64 / 10.0).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
            .await;
        done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

/// How many posts a second the far end and the HTTP client manage by themselves.
async fn posts_alone(far_end: &FarEnd) -> f64 {
    let (http, body) = (reqwest::Client::new(), body());
    let started = Instant::now();
    futures_util::stream::iter(0..DUE)
        .for_each_concurrent(CONCURRENCY as usize, |_| async {
            http.post(&far_end.url).body(body.clone()).send().await.unwrap();
        })
        .await;
    DUE as f64 / started.elapsed().as_secs_f64()
}

async fn throughput() {
    let far_end = FarEnd::start();
    let floor = posts_alone(&far_end).await;
    println!("{:<44} {floor:>9.0} /s", "posts alone");
    let directory = directory();
    let settings = settings(&directory, vec![receiver("hook", &far_end.url, CONCURRENCY)]);
    fill(&settings, "hook", DUE).await;
    let running = Running::start(settings).await;
    let began = far_end.taken.load(Ordering::Relaxed);
    let left = 2 * DUE - began;
    let took = far_end.takes(2 * DUE).await;
    let rate = left as f64 / took.as_secs_f64();
    println!(
        "{:<44} {rate:>9.0} /s   {:.0} % of the floor",
        "webhooks through the ledger",
        100.0 * rate / floor
    );
    running.stop().await;
}

async fn latency() {
    let mut far_end = FarEnd::start();
    let directory = directory();
    let mut settings = settings(&directory, vec![receiver("hook", &far_end.url, 4)]);
    settings.services.episode_close_points = 1.try_into().unwrap();
    let running = Running::start(settings).await;
    let mut times = vec![];
    for number in 0..ALERTS + 20 {
        running.measure(number, 99.0).await;
        let committed = Instant::now();
        let opened = far_end.firsts.recv().await.unwrap();
        running.measure(number, 10.0).await;
        far_end.firsts.recv().await.unwrap();
        if number >= 20 {
            times.push(opened.saturating_duration_since(committed));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    times.sort_unstable();
    let quantile = |q: f64| times[((times.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e3;
    println!(
        "{:<44} p50 {:>6.2} ms   p99 {:>6.2} ms",
        "commit to first byte, idle",
        quantile(0.5),
        quantile(0.99)
    );
    running.stop().await;
}

async fn what_others_pay() {
    // It accepts, and never says anything.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let directories = [directory(), directory()];
    let mut ratios = vec![];
    let idle = settings(&directories[0], vec![receiver("dead", &url, 4)]);
    let loaded = settings(&directories[1], vec![receiver("dead", &url, 4)]);
    fill(&loaded, "dead", DUE).await;
    let (idle, loaded) = (Running::start(idle).await, Running::start(loaded).await);
    for pair in 0..PAIRS {
        let (without, with) = if pair % 2 == 0 {
            (idle.ingest_rate().await, loaded.ingest_rate().await)
        } else {
            let with = loaded.ingest_rate().await;
            (idle.ingest_rate().await, with)
        };
        ratios.push(with / without);
    }
    let mean = ratios.iter().sum::<f64>() / PAIRS as f64;
    let spread = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>() / (PAIRS - 1) as f64;
    let error = (spread / PAIRS as f64).sqrt();
    println!(
        "{:<44} {:>8.1} % +- {:.1} of the rate without, {PAIRS} pairs",
        "samples while 20,000 wait for a dead receiver",
        100.0 * mean,
        100.0 * 2.0 * error
    );
    idle.stop().await;
    loaded.stop().await;
}

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        throughput().await;
        latency().await;
        if std::env::var_os("BENCH_POSTGRES").is_none() {
            what_others_pay().await; // two databases
        }
    });
}
