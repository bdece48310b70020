//! What a sample costs as the database grows to a million samples of 1,000 characteristics, all eight rules on, how
//! soon a process is ready again on it, and what its newest 100,000 events cost those who have missed them.
//!
//! On SQLite, or on PostgreSQL where `BENCH_POSTGRES` is the address of an empty database.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a benchmark prints and times"
)]

use std::time::Instant;

use andon::app::App;
use andon::domain::characteristic::Definition;
use andon::domain::chart::ChartKind;
use andon::domain::ids::CharacteristicId;
use andon::domain::rules::{Preset, RuleSet};
use andon::domain::sample::Mode;
use andon::services::{Catalog, CharacteristicRef, ControlLimitService, GivenLimits, NewSample, SpcEngine};
use andon::settings::Settings;
use andon::store::Store;
use tokio_util::sync::CancellationToken;

const CHARACTERISTICS: i64 = 1_000;
const SAMPLES: u64 = 1_000_000;
const STEP: u64 = 100_000;
/// What somebody who comes back has not heard.
const MISSED: u64 = 100_000;

/// Deterministic values around 10, mostly in control.
fn value(n: u64) -> f64 {
    let noise = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 40;
    10.0 + (noise % 4_000) as f64 / 1_000.0 - 2.0
}

fn sample(n: u64) -> NewSample {
    let id = CharacteristicId::try_from(n as i64 % CHARACTERISTICS + 1).unwrap();
    NewSample {
        characteristic: CharacteristicRef::Id(id),
        measurements: vec![value(n)],
        timestamp: None,
        mode: Mode::Live,
        key: None,
        batch: None,
        operator: None,
        metadata: None,
    }
}

/// Records samples in batches of 1,000; returns samples per second.
async fn record(engine: &SpcEngine, numbers: std::ops::Range<u64>) -> f64 {
    let (started, count) = (Instant::now(), numbers.end - numbers.start);
    let mut numbers = numbers;
    while !numbers.is_empty() {
        let mut waiting = Vec::new();
        for n in numbers.by_ref().take(1_000) {
            waiting.push(engine.queue(sample(n)).await.unwrap());
        }
        for queued in waiting {
            queued.recorded().await.unwrap().unwrap();
        }
    }
    count as f64 / started.elapsed().as_secs_f64()
}

async fn given_charts(catalog: &Catalog, limits: &ControlLimitService) {
    for n in 0..CHARACTERISTICS {
        let definition = Definition {
            name: format!("c{n}"),
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
            tags: Vec::new(),
            reaction_plan: None,
            auto_limits_after: None,
        };
        let id = catalog.create(definition, RuleSet::preset(Preset::Nelson)).await.unwrap().unwrap().id;
        let given = GivenLimits::Sigma { center_line: 10.0, sigma: 1.0 };
        limits.set(id, given, Default::default()).await.unwrap().unwrap();
    }
}

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    let directory =
        tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or_else(|_| ".".to_owned())).unwrap();
    let mut settings = Settings::default();
    settings.http.listen = "127.0.0.1:0".to_owned();
    let file = format!("sqlite://{}", directory.path().join("bench.db").display());
    settings.store.url = std::env::var("BENCH_POSTGRES").unwrap_or(file);
    let app = App::builder(settings.clone()).build().await.unwrap();
    let (engine, stop) = (app.engine(), CancellationToken::new());
    let (catalog, limits) = (app.catalog(), app.limits());
    let running = tokio::spawn(app.run(stop.clone()));
    given_charts(&catalog, &limits).await;
    let mut rates = Vec::new();
    for from in (0..SAMPLES).step_by(STEP as usize) {
        let rate = record(&engine, from..from + STEP).await;
        println!("{:>9} stored samples {rate:>9.0} /s", from + STEP);
        rates.push(rate);
    }
    println!("the last step runs at {:.2} of the first", rates.last().unwrap() / rates[0]);
    stop.cancel();
    running.await.unwrap().unwrap();
    drop((engine, catalog, limits)); // a file has one process, and these hold it

    let started = Instant::now();
    let app = App::builder(settings.clone()).build().await.unwrap();
    let (engine, stop) = (app.engine(), CancellationToken::new());
    let running = tokio::spawn(app.run(stop.clone()));
    engine.queue(sample(SAMPLES)).await.unwrap().recorded().await.unwrap().unwrap();
    println!("restarted and one sample recorded in {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
    let each = record(&engine, 0..CHARACTERISTICS as u64).await;
    println!("each characteristic once, all of them cold: {:.0} ms", CHARACTERISTICS as f64 / each * 1e3);
    stop.cancel();
    running.await.unwrap().unwrap();
    drop(engine);
    catch_up(&settings).await;
}

/// What resuming clients ask of the store.
async fn catch_up(settings: &Settings) {
    let (store, _handover) = Store::open(&settings.store).await.unwrap();
    let head = store.head().await.unwrap().seq;
    let from = head - MISSED;
    for _ in 0..3 {
        let started = Instant::now();
        let first = store.first_revisions_after(from).await.unwrap();
        let took = started.elapsed().as_secs_f64() * 1e3;
        println!("the first revisions of {} characteristics: {took:.0} ms", first.first_after.len());
    }
    for page in [500, 2_000] {
        let (started, mut position) = (Instant::now(), from);
        while position < head {
            position += store.log_page(position, page).await.unwrap().len() as u64;
        }
        let rate = MISSED as f64 / started.elapsed().as_secs_f64();
        println!("the log in pages of {page}: {rate:.0} events/s");
    }
    let started = Instant::now();
    for id in 1..=CHARACTERISTICS {
        store.state_of(CharacteristicId::try_from(id).unwrap(), 100).await.unwrap().unwrap();
    }
    let each = started.elapsed().as_secs_f64() * 1e3 / CHARACTERISTICS as f64;
    println!("the state of a characteristic: {each:.2} ms");
    let started = Instant::now();
    let groups = store.groups().await.unwrap().len();
    println!("the groups of {groups} characteristics: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    store.close().await;
}
