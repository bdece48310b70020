//! A process that is killed while it tells receivers: everybody hears of everything, and hardly anything twice.

#![allow(clippy::print_stdout, reason = "the figures of a run are worth a line")]

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use andon::domain::episode::EpisodeChange;
use andon::settings::Settings;
use andon::store::Store;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::{Database, Process, Request, TestWebhook, address_of};

/// The receivers by name, with their attempts at a time.
const RECEIVERS: [(&str, usize); 3] = [("alone", 1), ("few", 4), ("many", 16)];
const CHARTS: usize = 8;
/// What is left after the last kill takes so long at most: 120,000 deliveries in the long form.
const LONGEST_REST: Duration = Duration::from_secs(600);

async fn call(process: &Process, method: Method, path: &str, body: &Value) -> Value {
    let url = format!("http://{}/api/v1{path}", process.address);
    let answer = reqwest::Client::new().request(method, url).json(body).send().await.expect("an answer");
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.json().await.expect("JSON")
}

/// The settings file: one webhook for each receiver, and episodes that end with the first point in control.
fn settings_file(directory: &Path, far_ends: &[TestWebhook]) -> PathBuf {
    let mut text = "[services]\nepisode_close_points = 1\n[notify]\npoll_interval_ms = 100\n".to_owned();
    for ((name, concurrency), far_end) in RECEIVERS.iter().zip(far_ends) {
        let webhook = format!("{{ url = \"{}\", allow_private = true }}", far_end.url());
        text += &format!(
            "[[notify.receivers]]\nname = \"{name}\"\nconcurrency = {concurrency}\nbackoff_ms = 20\n\
             breaker_failures = 1000\nwebhook = {webhook}\n"
        );
    }
    let file = directory.join("andon.toml");
    std::fs::write(&file, text).expect("written");
    file
}

/// What a receiver was told in one request: the delivery's name, the episode, what was new about it.
fn told_in(request: &Request) -> (String, i64, EpisodeChange) {
    let body: Value = serde_json::from_str(&request.body).expect("JSON");
    let change = serde_json::from_value(body["data"]["change"].clone()).expect("a change");
    (request.header("webhook-id").to_owned(), body["data"]["id"].as_i64().expect("an id"), change)
}

/// Compares what a receiver was told with what is in the ledger of it; gives how many repetitions there were.
fn compare(
    name: &str,
    due: &HashMap<String, (i64, EpisodeChange)>,
    requests: &[Request],
) -> Result<usize, String> {
    let mut heard = HashSet::new();
    let mut newest: HashMap<i64, EpisodeChange> = HashMap::new();
    let mut repeated = 0;
    for request in requests {
        let (delivery, episode, change) = told_in(request);
        if due.get(&delivery) != Some(&(episode, change)) {
            return Err(format!("{name} was told of {delivery}, which was not committed"));
        }
        if !heard.insert(delivery) {
            repeated += 1;
            continue;
        }
        let before = newest.insert(episode, change);
        let is_next = match change {
            EpisodeChange::Opened => before.is_none(),
            _ => before == Some(EpisodeChange::Opened),
        };
        if !is_next {
            return Err(format!("{name} was told {change:?} of episode {episode} after {before:?}"));
        }
    }
    match due.keys().find(|delivery| !heard.contains(*delivery)) {
        Some(delivery) => Err(format!("{name} was never told of {delivery}")),
        None => Ok(repeated),
    }
}

/// Every change of an episode in the log, by position.
async fn changes(store: &Store) -> HashMap<u64, (i64, EpisodeChange)> {
    let (mut found, mut after) = (HashMap::new(), 0);
    loop {
        let events = store.episode_events((after, i64::MAX as u64), 1_000).await.expect("the log");
        let Some(last) = events.last() else { return found };
        after = last.seq;
        for event in &events {
            let update = event.episode_update().expect("an episode");
            found.insert(event.seq, (update.episode.id.get(), update.change));
        }
    }
}

/// What is in the ledger of a receiver, by the names of the deliveries: one for each change in the log, and all are over.
async fn due_to(
    plain: &mut Database,
    name: &str,
    changes: &HashMap<u64, (i64, EpisodeChange)>,
) -> Result<HashMap<String, (i64, EpisodeChange)>, String> {
    let query = format!(
        "SELECT d.seq, n.epoch, d.id, d.state FROM deliveries d JOIN notices n ON n.seq = d.seq \
         WHERE d.receiver = '{name}'"
    );
    let (mut due, mut rows_by_seq) = (HashMap::new(), HashMap::new());
    for row in plain.rows(&query).await {
        let [seq, epoch, id, state] = &row[..] else { panic!("four columns") };
        if state.text() != "delivered" {
            return Err(format!("a delivery to {name} is {}", state.text()));
        }
        let seq = seq.integer() as u64;
        let change = changes.get(&seq).ok_or_else(|| format!("a notice of what is not in the log: {seq}"))?;
        due.insert(format!("{}-{}", epoch.text(), id.integer()), *change);
        *rows_by_seq.entry(seq).or_insert(0) += 1;
    }
    match changes.keys().find(|seq| rows_by_seq.get(seq) != Some(&1)) {
        Some(seq) => Err(format!("{name} has {:?} deliveries of position {seq}", rows_by_seq.get(seq))),
        None => Ok(due),
    }
}

/// Sends batches, each point beyond the limits followed by one within, until nobody answers or there are enough; gives how
/// many violations were answered.
async fn feed(address: SocketAddr, chart: i64, enough: usize) -> usize {
    const PAIRS: usize = 5;
    let (http, url) = (reqwest::Client::new(), format!("http://{address}/api/v1/samples/batch"));
    let sample = |value: f64| json!({"characteristic_id": chart, "measurements": [value]});
    let samples: Vec<_> = (0..PAIRS).flat_map(|_| [sample(99.0), sample(10.0)]).collect();
    let body = json!({"samples": samples});
    let mut answered = 0;
    while answered < enough
        && let Ok(answer) = http.post(&url).json(&body).send().await
    {
        assert!(answer.status().is_success(), "{}", answer.status());
        answered += PAIRS;
    }
    answered
}

/// A run that is over: what was told, and what is stored.
struct Told {
    far_ends: Vec<TestWebhook>,
    changes: HashMap<u64, (i64, EpisodeChange)>,
    database: PathBuf,
    _directory: TempDir,
}

/// Makes at least so many violations, each an episode that is opened and closed, and kills the process so many times
/// meanwhile; then waits until nothing is to be told any more.
async fn told_through_kills(violations: usize, kills: usize, seed: u64) -> Told {
    let directory = TempDir::new().expect("a directory");
    let database = directory.path().join("andon.db");
    let mut far_ends = vec![];
    for _ in RECEIVERS {
        far_ends.push(TestWebhook::start().await);
    }
    let config = settings_file(directory.path(), &far_ends);
    let serve = || {
        let mut command = Process::serve(&database);
        command
            .arg("--config")
            .arg(&config)
            .env("ANDON_LOG__FILTER", "warn,andon::notify=off,andon::app=info");
        command
    };
    let mut chance = StdRng::seed_from_u64(seed);
    let (mut charts, mut answered) = (vec![], 0);
    for life in 0..=kills {
        let process = Process::start(serve()).await;
        if life == 0 {
            for number in 0..CHARTS {
                charts.push(given_a_chart(&process, number).await);
            }
        }
        let is_last = life == kills;
        let enough = if is_last { violations.saturating_sub(answered).div_ceil(CHARTS) } else { violations };
        let feeders: JoinSet<_> = charts.iter().map(|chart| feed(process.address, *chart, enough)).collect();
        if is_last {
            answered += feeders.join_all().await.into_iter().sum::<usize>();
            let mut plain = Database::open(&database).await;
            for left in [
                "SELECT COUNT(*) FROM events WHERE type = 'episode' AND seq > (SELECT seq FROM notify_cursor)",
                "SELECT COUNT(*) FROM deliveries WHERE ended_at IS NULL",
            ] {
                let nothing = async {
                    while plain.number(left).await > 0 {
                        sleep(Duration::from_millis(50)).await;
                    }
                };
                timeout(LONGEST_REST, nothing).await.expect("everybody is told in time");
            }
            process.terminate().await;
            assert!(process.end().await.0.success());
        } else {
            sleep(Duration::from_millis(chance.random_range(20..400))).await; // the moment of death is chance
            process.kill().await;
            answered += feeders.join_all().await.into_iter().sum::<usize>();
        }
    }
    let mut settings = Settings::default();
    settings.store.url = address_of(&database);
    let (store, _handover) = Store::open(&settings.store).await.expect("the store opens");
    let changes = changes(&store).await;
    store.close().await;
    assert!(answered >= violations && changes.len() >= 2 * answered, "{answered}, {}", changes.len());
    Told { far_ends, changes, database, _directory: directory }
}

async fn given_a_chart(process: &Process, number: usize) -> i64 {
    let body = json!({"name": format!("Bore {number}"), "rules": {"preset": "outlier"}});
    let created = call(process, Method::POST, "/characteristics", &body).await;
    let path = format!("/characteristics/{}/control-limits", created["id"]);
    call(process, Method::PUT, &path, &json!({"center_line": 10.0, "sigma": 1.0})).await;
    created["id"].as_i64().expect("an id")
}

async fn assert_told(told: &Told, kills: usize) {
    let mut plain = Database::open(&told.database).await;
    let mut repetitions = vec![];
    for ((name, concurrency), far_end) in RECEIVERS.iter().zip(&told.far_ends) {
        let due = due_to(&mut plain, name, &told.changes).await.expect("the ledger is whole");
        let repeated = compare(name, &due, &far_end.requests()).expect("everybody was told");
        assert!(repeated <= kills * concurrency, "{name}: {repeated} repetitions after {kills} kills");
        repetitions.push(repeated);
    }
    println!(
        "{} changes of episodes to each of {} receivers through {kills} kills: none lost, repeated {repetitions:?}",
        told.changes.len(),
        RECEIVERS.len()
    );
}

#[tokio::test]
async fn everybody_is_told_of_everything_through_kills() {
    let told = told_through_kills(400, 5, 7).await;
    assert_told(&told, 5).await;

    // That the comparison can fail: a row that is lost, and an alert that was told although nothing was committed.
    let mut plain = Database::open(&told.database).await;
    let due = due_to(&mut plain, "alone", &told.changes).await.expect("whole");
    let mut requests = told.far_ends[0].requests();
    let committed = requests.len();
    let mut early = requests[0].clone();
    early.headers.insert("webhook-id".to_owned(), "never-1".to_owned());
    requests.push(early);
    assert!(compare("alone", &due, &requests).expect_err("told early").ends_with("which was not committed"));
    requests.truncate(committed);
    let (last, ..) = told_in(&requests[committed - 1]);
    requests.retain(|request| told_in(request).0 != last);
    assert!(compare("alone", &due, &requests).expect_err("lost").contains("was never told of"));

    let lost = "SELECT MAX(id) FROM deliveries WHERE receiver = 'alone'";
    let lost = plain.number(lost).await;
    plain.run(&format!("DELETE FROM delivery_attempts WHERE delivery_id = {lost}")).await;
    plain.run(&format!("DELETE FROM deliveries WHERE id = {lost}")).await;
    let found = due_to(&mut plain, "alone", &told.changes).await.expect_err("a row is missing");
    assert!(found.starts_with("alone has None deliveries of position"), "{found}");
    let check = format!("check --database {}", address_of(&told.database));
    let mut andon = tokio::process::Command::new(env!("CARGO_BIN_EXE_andon"));
    let output = andon.args(check.split(' ')).output().await.expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("FAILED  ledger     deliveries of the notice at position"), "{text}");
}

#[tokio::test]
#[ignore = "long: run by .ci/long"]
async fn everybody_is_told_of_everything_through_a_hundred_kills() {
    let told = told_through_kills(20_000, 100, 11).await;
    assert_told(&told, 100).await;
}
