//! A process that is killed while it tells receivers: everybody hears of everything, and hardly anything twice.

#![allow(clippy::print_stdout, reason = "the figures of a run are worth a line")]

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use andon::domain::episode::EpisodeChange;
use andon::settings::Settings;
use andon::store::Store;
use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::check::check;
use crate::support::{Database, Process, Request, TestWebhook, address_of};

/// The receivers by name, with their attempts at a time.
pub const RECEIVERS: [(&str, usize); 3] = [("alone", 1), ("few", 4), ("many", 16)];
/// Points beyond the limits, in one request.
const PAIRS: usize = 5;
/// Requests about each chart in one life, so that the receivers keep up.
const REQUESTS: usize = 5;
/// What is left after the last kill takes so long at most: 120,000 deliveries in the long form.
const LONGEST_REST: Duration = Duration::from_secs(600);

/// What these tests' processes log: that something could not be sent is no news here.
pub const LOG_FILTER: &str = "warn,andon::notify=off,andon::app=info";

/// What an episode's change says: which episode, and what is new.
type Change = (i64, EpisodeChange);

async fn call(process: &Process, method: Method, path: &str, body: &Value) -> Value {
    let url = format!("http://{}/api/v1{path}", process.address);
    let answer = reqwest::Client::new().request(method, url).json(body).send().await.expect("an answer");
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.json().await.expect("JSON")
}

/// The settings file: one webhook for each receiver, and episodes that end with the first point in control.
fn settings_file(directory: &Path, database: &Path, far_ends: &[TestWebhook]) -> PathBuf {
    let mut text = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"{}\"\n[services]\nepisode_close_points = 1\n\
         [notify]\npoll_interval_ms = 100\npage_notices = 20\n",
        address_of(database)
    );
    for ((name, concurrency), far_end) in RECEIVERS.iter().zip(far_ends) {
        let webhook = format!("{{ url = \"{}\", allow_private = true }}", far_end.url());
        text += &format!(
            "[[notify.receivers]]\nname = \"{name}\"\nconcurrency = {concurrency}\nbackoff_ms = 20\n\
             timeout_ms = 10000\nbreaker_failures = 1000\nwebhook = {webhook}\n"
        );
    }
    let file = directory.join("andon.toml");
    std::fs::write(&file, text).expect("written");
    file
}

/// What a receiver was told in one request: the delivery's name, the episode, what was new about it.
fn told_in(request: &Request) -> (String, Change) {
    let body: Value = serde_json::from_str(&request.body).expect("JSON");
    let change = serde_json::from_value(body["data"]["change"].clone()).expect("a change");
    (request.header("webhook-id").to_owned(), (body["data"]["id"].as_i64().expect("an id"), change))
}

/// Compares what a receiver was told with what is in the ledger of it; gives how many repetitions there were.
fn compare(name: &str, due: &HashMap<String, Change>, requests: &[Request]) -> Result<usize, String> {
    let mut heard: HashMap<String, &str> = HashMap::new();
    let mut newest: HashMap<i64, EpisodeChange> = HashMap::new();
    let mut repeated = 0;
    for request in requests {
        let (delivery, (episode, change)) = told_in(request);
        if due.get(&delivery) != Some(&(episode, change)) {
            return Err(format!("{name} was told of {delivery}, which was not committed"));
        }
        if let Some(first) = heard.get(&delivery) {
            if **first != request.body {
                return Err(format!("{name} was told of {delivery} in other words"));
            }
            repeated += 1;
            continue;
        }
        heard.insert(delivery, &request.body);
        let before = newest.insert(episode, change);
        let is_next = match change {
            EpisodeChange::Opened => before.is_none(),
            _ => before == Some(EpisodeChange::Opened),
        };
        if !is_next {
            return Err(format!("{name} was told {change:?} of episode {episode} after {before:?}"));
        }
    }
    match due.keys().find(|delivery| !heard.contains_key(*delivery)) {
        Some(delivery) => Err(format!("{name} was never told of {delivery}")),
        None => Ok(repeated),
    }
}

/// Every change of an episode in the log, by position.
async fn changes(store: &Store) -> HashMap<u64, Change> {
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

/// What is in the ledger of a receiver: of each delivery its name, the position of its notice and its state.
async fn ledger_of(plain: &mut Database, name: &str) -> Vec<(String, u64, String)> {
    let query = format!(
        "SELECT n.epoch, d.id, d.seq, d.state FROM deliveries d JOIN notices n ON n.seq = d.seq \
         WHERE d.receiver = '{name}'"
    );
    let mut deliveries = vec![];
    for row in plain.rows(&query).await {
        let [epoch, id, seq, state] = &row[..] else { panic!("four columns") };
        let delivery = format!("{}-{}", epoch.text(), id.integer());
        deliveries.push((delivery, seq.integer() as u64, state.text().to_owned()));
    }
    deliveries
}

/// What a receiver has to be told, by the names of the deliveries: one for each change in the log, and all are over.
pub async fn due_to(
    plain: &mut Database,
    name: &str,
    changes: &HashMap<u64, Change>,
) -> Result<HashMap<String, Change>, String> {
    let (mut due, mut rows_by_seq) = (HashMap::new(), HashMap::new());
    for (delivery, seq, state) in ledger_of(plain, name).await {
        if state != "delivered" {
            return Err(format!("a delivery to {name} is {state}"));
        }
        let change = changes.get(&seq).ok_or_else(|| format!("a notice of what is not in the log: {seq}"))?;
        due.insert(delivery, *change);
        *rows_by_seq.entry(seq).or_insert(0) += 1;
    }
    match changes.keys().find(|seq| rows_by_seq.get(seq) != Some(&1)) {
        Some(seq) => Err(format!("{name} has {:?} deliveries of position {seq}", rows_by_seq.get(seq))),
        None => Ok(due),
    }
}

/// Sends batches to one chart, each point beyond the limits followed by one within. What got no answer is sent again, under
/// the same key.
struct Feeder {
    chart: i64,
    answered: usize,
}

impl Feeder {
    /// Sends until so many requests are answered, or nobody answers.
    async fn feed(&mut self, address: SocketAddr, requests: usize) {
        let (http, url) = (reqwest::Client::new(), format!("http://{address}/api/v1/samples/batch"));
        let sample = |value: f64| json!({"characteristic_id": self.chart, "measurements": [value]});
        let samples: Vec<_> = (0..PAIRS).flat_map(|_| [sample(99.0), sample(10.0)]).collect();
        let body = json!({"samples": samples});
        for _ in 0..requests {
            let key = format!("{}-{}", self.chart, self.answered);
            let request = http.post(&url).header("Idempotency-Key", key).json(&body);
            let Ok(answer) = request.send().await else { return };
            assert!(answer.status().is_success(), "{}", answer.status());
            self.answered += 1;
        }
    }
}

/// Lives of a process on one database, with its receivers.
pub struct Run {
    pub config: PathBuf,
    pub far_ends: Vec<TestWebhook>,
    pub kills: usize,
    pub database: PathBuf,
    feeders: Vec<Feeder>,
    directory: TempDir,
}

/// A run that is over: what was told, and what is stored.
pub struct Told {
    pub changes: HashMap<u64, Change>,
    far_ends: Vec<TestWebhook>,
    database: PathBuf,
    kills: usize,
    _directory: TempDir,
}

impl Run {
    /// A first life, that only makes so many charts.
    pub async fn begin(charts: usize) -> Self {
        let directory = TempDir::new().expect("a directory");
        let database = directory.path().join("andon.db");
        let mut far_ends = vec![];
        for _ in RECEIVERS {
            far_ends.push(TestWebhook::start().await);
        }
        let config = settings_file(directory.path(), &database, &far_ends);
        let mut run = Self { config, far_ends, kills: 0, database, feeders: vec![], directory };
        let process = run.start().await;
        for number in 0..charts {
            run.feeders.push(Feeder { chart: given_a_chart(&process, number).await, answered: 0 });
        }
        process.terminate().await;
        assert!(process.end().await.0.success());
        run
    }

    async fn start(&self) -> Process {
        let mut command = Process::serve(&self.database);
        command.arg("--config").arg(&self.config).env("ANDON_LOG__FILTER", LOG_FILTER);
        Process::start(command).await
    }

    /// The database, seen by somebody else.
    pub async fn plain(&self) -> Database {
        Database::open(&self.database).await
    }

    /// Makes episodes on all charts, as many as are meant for one life, unless nobody answers any more.
    pub async fn feed(&mut self, address: SocketAddr) {
        self.feed_all(address, REQUESTS).await;
    }

    async fn feed_all(&mut self, address: SocketAddr, requests: usize) {
        join_all(self.feeders.iter_mut().map(|feeder| feeder.feed(address, requests))).await;
    }

    /// A life that ends by a kill at a moment of chance.
    pub async fn killed_at_random(&mut self, chance: &mut StdRng) {
        let process = self.start().await;
        let (address, lifetime) = (process.address, Duration::from_millis(chance.random_range(20..400)));
        let death = async {
            sleep(lifetime).await; // the moment of death is chance
            process.kill().await;
        };
        tokio::join!(self.feed(address), death);
        self.kills += 1;
    }

    /// Whether what anybody has been told until now is committed.
    pub async fn all_told_is_committed(&self, plain: &mut Database) -> Result<(), String> {
        for ((name, _), far_end) in RECEIVERS.iter().zip(&self.far_ends) {
            let known: HashSet<_> = ledger_of(plain, name).await.into_iter().map(|(name, ..)| name).collect();
            if let Some(early) = far_end.names().into_iter().find(|told| !known.contains(told)) {
                return Err(format!("{name} was told of {early}, which was not committed"));
            }
        }
        Ok(())
    }

    fn answered(&self) -> usize {
        self.feeders.iter().map(|feeder| feeder.answered * PAIRS).sum()
    }

    /// The last life, which is not disturbed: sends again what got no answer, goes on until there are at least so many
    /// violations, and tells everybody.
    pub async fn end(mut self, violations: usize) -> Told {
        let process = self.start().await;
        let requests = violations.saturating_sub(self.answered()).div_ceil(self.feeders.len() * PAIRS);
        self.feed_all(process.address, requests.max(1)).await;
        let mut plain = self.plain().await;
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
        let mut settings = Settings::default();
        settings.store.url = address_of(&self.database);
        let (store, _handover) = Store::open(&settings.store).await.expect("the store opens");
        let changes = changes(&store).await;
        store.close().await;
        let answered = self.answered();
        assert!(answered >= violations, "{answered}");
        assert_eq!(changes.len(), 2 * answered, "each violation once: an episode that is opened and closed");
        let Self { far_ends, database, kills, directory, .. } = self;
        Told { far_ends, changes, database, kills, _directory: directory }
    }
}

async fn given_a_chart(process: &Process, number: usize) -> i64 {
    let body = json!({"name": format!("Bore {number}"), "rules": {"preset": "outlier"}});
    let created = call(process, Method::POST, "/characteristics", &body).await;
    let path = format!("/characteristics/{}/control-limits", created["id"]);
    call(process, Method::PUT, &path, &json!({"center_line": 10.0, "sigma": 1.0})).await;
    created["id"].as_i64().expect("an id")
}

/// Everybody was told of everything, and of nothing else; twice only what was under way when the process died.
pub async fn assert_told(told: &Told) {
    let (kills, mut plain) = (told.kills, Database::open(&told.database).await);
    let mut repetitions = vec![];
    for ((name, concurrency), far_end) in RECEIVERS.iter().zip(&told.far_ends) {
        let due = due_to(&mut plain, name, &told.changes).await.expect("the ledger is whole");
        let repeated = compare(name, &due, &far_end.requests()).expect("everybody was told");
        let cut_off = format!(
            "SELECT COUNT(*) FROM delivery_attempts a JOIN deliveries d ON d.id = a.delivery_id \
             WHERE d.receiver = '{name}' AND a.outcome = 'uncertain'"
        );
        let cut_off = plain.number(&cut_off).await as usize;
        assert!(repeated <= cut_off, "{name}: {repeated} repetitions, {cut_off} attempts were cut off");
        assert!(cut_off <= kills * concurrency, "{name}: {cut_off} attempts cut off by {kills} kills");
        repetitions.push(repeated);
    }
    let (code, text) = check(&told.database).await;
    assert_eq!(code, Some(0), "{text}");
    println!(
        "{} changes of episodes to each of {} receivers through {kills} kills: none lost, repeated {repetitions:?}",
        told.changes.len(),
        RECEIVERS.len()
    );
}

#[tokio::test]
async fn everybody_is_told_of_everything_through_kills() {
    let (mut run, mut chance) = (Run::begin(8).await, StdRng::seed_from_u64(7));
    for _ in 0..5 {
        run.killed_at_random(&mut chance).await;
    }
    let told = run.end(400).await;
    assert_told(&told).await;

    // That the comparison can fail: an alert that was told although nothing was committed, one that was told in other words
    // the second time, one that was not told.
    let mut plain = Database::open(&told.database).await;
    let due = due_to(&mut plain, "alone", &told.changes).await.expect("whole");
    let mut requests = told.far_ends[0].requests();
    let committed = requests.len();
    let mut early = requests[0].clone();
    early.headers.insert("webhook-id".to_owned(), "never-1".to_owned());
    requests.push(early);
    assert!(compare("alone", &due, &requests).expect_err("told early").ends_with("which was not committed"));
    requests.truncate(committed);
    let mut again = requests[0].clone();
    again.body += " ";
    requests.push(again);
    assert!(compare("alone", &due, &requests).expect_err("other words").ends_with("in other words"));
    requests.truncate(committed);
    let (last, _) = told_in(&requests[committed - 1]);
    requests.retain(|request| told_in(request).0 != last);
    assert!(compare("alone", &due, &requests).expect_err("lost").contains("was never told of"));

    // And a row that is lost.
    let lost = "SELECT MAX(id) FROM deliveries WHERE receiver = 'alone'";
    let lost = plain.number(lost).await;
    plain.run(&format!("DELETE FROM delivery_attempts WHERE delivery_id = {lost}")).await;
    plain.run(&format!("DELETE FROM deliveries WHERE id = {lost}")).await;
    let found = due_to(&mut plain, "alone", &told.changes).await.expect_err("a row is missing");
    assert!(found.starts_with("alone has None deliveries of position"), "{found}");
    let (_, text) = check(&told.database).await;
    assert!(text.contains("FAILED  ledger     deliveries of the notice at position"), "{text}");
}
