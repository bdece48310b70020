//! A process that dies at a named point, as by SIGKILL: on either side of a commit, a lease, a request and a record, nobody
//! misses anything, and hardly anybody hears anything twice.
//!
//! The points are the events of the target `andon::points`, which anybody can trace. The process that dies is this binary
//! with a subscriber that kills it within such an event: on that thread nothing comes after.

use std::fmt;
use std::io::{Write as _, stderr};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use andon::app::App;
use andon::settings::Settings;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::{Signal, getpid, kill_process};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, fmt as lines};

use crate::check::check;
use crate::notify_crash::{LOG_FILTER, Run, assert_told, due_to};
use crate::support::{Database, Process, name_tls_provider, on_postgres};

/// Where it dies, in the order in which an alert passes.
const POINTS: [&str; 10] = [
    "batch commit begins",
    "batch committed",
    "notices commit begins",
    "notices committed",
    "lease commit begins",
    "leased",
    "sending",
    "sent",
    "record commit begins",
    "recorded",
];

/// Kills the process when it comes to a point for the n-th time.
struct Killer {
    point: String,
    visits_left: AtomicUsize,
}

/// What an event says: its message, and the numbers with it.
#[derive(Default)]
struct Words {
    message: String,
    numbers: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            _ => self.numbers += &format!(" {value:?}"),
        }
    }
}

impl<S: Subscriber> Layer<S> for Killer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        if words.message == self.point && self.visits_left.fetch_sub(1, Ordering::Relaxed) == 1 {
            let _ = writeln!(stderr(), "dies at {}:{}", words.message, words.numbers);
            kill_process(getpid(), Signal::KILL).expect("it may");
            unreachable!("nobody outlives that");
        }
    }
}

/// What dies: the application as it is, in a process of its own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the process that dies: started by the tests here"]
async fn dies() {
    let Ok(place) = std::env::var("TEST_DIES_AT") else { return };
    let (visit, point) = place.split_once(' ').expect("a number and a point");
    let visits_left = AtomicUsize::new(visit.parse().expect("a number"));
    let killer = Killer { point: point.to_owned(), visits_left };
    let points = Targets::new().with_target("andon::points", Level::TRACE);
    let log: Targets = LOG_FILTER.parse().expect("levels");
    let lines = lines::layer().with_ansi(false).with_writer(stderr);
    tracing_subscriber::registry().with(lines.with_filter(log)).with(killer.with_filter(points)).init();
    name_tls_provider();
    let config = std::env::var("TEST_CONFIG").expect("a file");
    let settings = Settings::load(Some(Path::new(&config)), vec![]).expect("settings");
    let app = App::builder(settings).build().await.expect("it is built");
    app.run(CancellationToken::new()).await.expect("it runs until it dies");
}

/// A life that ends when it comes to a point for the n-th time; gives the numbers of what was there.
async fn killed_at(run: &mut Run, point: &str, visit: usize) -> Vec<i64> {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["notify_crash_points::dies", "--exact", "--ignored", "--nocapture"]).stdout(Stdio::null());
    command.env("TEST_DIES_AT", format!("{visit} {point}")).env("TEST_CONFIG", &run.config);
    let (status, log) = match Process::try_start(command).await {
        Ok(process) => {
            run.feed(process.address).await;
            process.end().await // in time, or it never came there so often
        }
        Err(ended) => ended, // what was left from before brought it there
    };
    assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{point:?}: {log}");
    let mut said = log.lines().filter_map(|line| line.strip_prefix("dies at ")?.split_once(':'));
    let (died_at, numbers) = said.next().expect("it said where");
    assert_eq!(died_at, point);
    run.kills += 1;
    if on_postgres() {
        // There leases end by themselves: as if they had.
        run.plain().await.run("UPDATE deliveries SET due_at = 0 WHERE state = 'leased'").await;
    }
    numbers.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

async fn head(plain: &mut Database) -> i64 {
    plain.number("SELECT seq FROM log_head").await
}

async fn cursor(plain: &mut Database) -> i64 {
    plain.number("SELECT seq FROM notify_cursor").await
}

/// `None`: it has not begun.
async fn attempt_is_recorded(plain: &mut Database, delivery: i64, attempt: i64) -> Option<bool> {
    let outcome = format!(
        "SELECT outcome FROM delivery_attempts WHERE delivery_id = {delivery} AND number = {attempt}"
    );
    plain.rows(&outcome).await.first().map(|row| row[0].get().is_some())
}

/// Everything before the point has happened, and nothing after it.
async fn assert_died_between(run: &Run, plain: &mut Database, point: &str, numbers: &[i64]) {
    let is_so = match (point, numbers) {
        ("batch commit begins", [seq, events]) => head(plain).await == seq - events,
        ("batch committed", [seq, _]) => head(plain).await >= *seq,
        ("notices commit begins", [seq]) => cursor(plain).await < *seq,
        ("notices committed", [seq]) => cursor(plain).await >= *seq,
        (_, [delivery, attempt]) => {
            let recorded = attempt_is_recorded(plain, *delivery, *attempt).await;
            let end = format!("-{delivery}");
            let told = run.far_ends.iter().flat_map(|far_end| far_end.names());
            let times_told = told.filter(|name| name.ends_with(&end)).count() as i64;
            match point {
                "lease commit begins" => recorded.is_none(),
                "leased" | "sending" => recorded == Some(false) && times_told < *attempt,
                "sent" | "record commit begins" => recorded == Some(false) && times_told > 0,
                "recorded" => recorded == Some(true),
                _ => false,
            }
        }
        _ => false,
    };
    assert!(is_so, "it died at {point:?} of {numbers:?}, and the database says otherwise");
}

/// A life that ends at a point; then what was told is committed, and nothing has happened beyond.
async fn killed_soundly_at(run: &mut Run, point: &str, visit: usize) {
    let numbers = killed_at(run, point, visit).await;
    let mut plain = run.plain().await;
    assert_died_between(run, &mut plain, point, &numbers).await;
    run.all_told_is_committed(&mut plain).await.unwrap_or_else(|early| panic!("{point:?}: {early}"));
}

#[tokio::test]
async fn everybody_is_told_of_everything_wherever_the_process_dies() {
    let (mut run, mut chance) = (Run::begin(2).await, StdRng::seed_from_u64(23));
    for visits in [1..=1, 2..=3, 3..=4] {
        for point in POINTS {
            killed_soundly_at(&mut run, point, chance.random_range(visits.clone())).await;
            let (code, text) = check(&run.database).await;
            assert_eq!(code, Some(0), "{point:?}: {text}");
        }
    }
    assert_told(&run.end(400).await).await;
}

#[tokio::test]
#[ignore = "long: run by .ci/long"]
async fn everybody_is_told_of_everything_through_a_hundred_kills() {
    let (mut run, mut chance) = (Run::begin(8).await, StdRng::seed_from_u64(11));
    for kill in 0..100 {
        if kill % 2 == 0 {
            run.killed_at_random(&mut chance).await;
        } else {
            let point = POINTS[kill / 2 % POINTS.len()];
            // A life has few commits of batches and notices, and hundreds of deliveries.
            let visits = if point.starts_with("batch") || point.starts_with("notices") { 4 } else { 200 };
            killed_soundly_at(&mut run, point, chance.random_range(1..=visits)).await;
        }
    }
    assert_told(&run.end(20_000).await).await;
}

/// That the tests above can fail: what somebody takes away between two lives, and what is told too early, is found.
#[tokio::test]
async fn a_loss_between_two_lives_is_found_and_so_is_an_alert_before_its_commit() {
    let mut run = Run::begin(2).await;
    let mut plain = run.plain().await;
    let seq = killed_at(&mut run, "notices committed", 2).await[0];
    let gone = format!(
        "FROM deliveries WHERE receiver = 'alone' AND episode_id = (SELECT episode_id FROM notices WHERE seq = {seq})"
    );
    plain.run(&format!("DELETE FROM delivery_attempts WHERE delivery_id IN (SELECT id {gone})")).await;
    plain.run(&format!("DELETE {gone}")).await;
    let told = run.end(0).await;
    let found = due_to(&mut plain, "alone", &told.changes).await.expect_err("a delivery is gone");
    assert!(found.starts_with("alone has None deliveries of position"), "{found}");
    due_to(&mut plain, "few", &told.changes).await.expect("only one was robbed");

    let mut run = Run::begin(2).await;
    let mut plain = run.plain().await;
    let seq = killed_at(&mut run, "notices commit begins", 2).await[0];
    plain.run(&format!("UPDATE notify_cursor SET seq = {seq}")).await;
    run.all_told_is_committed(&mut plain).await.expect("nothing was told too early");
    let early = reqwest::Client::new().post(run.far_ends[1].url()).header("webhook-id", "early-1").body("{}");
    assert!(early.send().await.expect("an answer").status().is_success());
    let found = run.all_told_is_committed(&mut plain).await.expect_err("told too early");
    assert_eq!(found, "few was told of early-1, which was not committed");
    let told = run.end(0).await;
    let found = due_to(&mut plain, "many", &told.changes).await.expect_err("notices were passed over");
    assert!(found.starts_with("many has None deliveries of position"), "{found}");
}
