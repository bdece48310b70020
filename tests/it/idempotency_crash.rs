//! A process that is killed between a commit and its answer, or in the middle of a batch: who sends the same again
//! under the same key gets what was missing, and nothing is stored twice.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::crash::given_charts;
use crate::support::{Database, Ledger, Process};

const CLIENTS: usize = 32;
const BATCH: usize = 200;
/// Deaths, and moments looked at before each: enough on any machine; most runs need two and a few.
const MOST_ROUNDS: usize = 5;
const MOST_MOMENTS: usize = 200;

/// A request with its key, and its answer once there is one.
#[derive(Clone)]
struct Request {
    client: usize,
    key: String,
    path: &'static str,
    body: Value,
    answer: Option<String>,
}

impl Request {
    /// Every sixteenth client sends batches.
    fn new(client: usize, number: usize, charts: &[i64]) -> Self {
        let key = format!("c{client}-{number}");
        let chart = charts[number % charts.len()];
        let sample = |index: usize| {
            let value = 10.0 + ((number * 7 + index * 3) % 13) as f64 / 2.0 - 3.0;
            json!({"characteristic_id": chart, "measurements": [value], "operator": format!("{key}-{index}")})
        };
        let (path, body) = if client.is_multiple_of(16) {
            ("/samples/batch", json!({"samples": (0..BATCH).map(sample).collect::<Vec<_>>()}))
        } else {
            ("/samples", sample(0))
        };
        Self { client, key, path, body, answer: None }
    }

    /// `None` when nobody is there any more.
    async fn send(&self, http: &reqwest::Client, process: SocketAddr) -> Option<String> {
        let url = format!("http://{process}/api/v1{}", self.path);
        let request = http.post(url).header("Idempotency-Key", &self.key).json(&self.body);
        let response = request.send().await.ok()?;
        let status = response.status();
        let text = response.text().await.ok()?;
        assert!(status.is_success(), "{}: {status} {text}", self.key);
        Some(text)
    }

    fn operators(&self) -> impl Iterator<Item = &str> {
        let samples = self.body["samples"].as_array().map_or(std::slice::from_ref(&self.body), Vec::as_slice);
        samples.iter().map(|sample| sample["operator"].as_str().expect("a name"))
    }
}

/// The requests that wait for an answer, by client.
type Waiting = Arc<Mutex<BTreeMap<usize, Request>>>;

/// Asks until nobody answers; what is answered is given back, what is not still waits.
async fn client(
    http: reqwest::Client,
    address: SocketAddr,
    charts: Vec<i64>,
    waiting: Waiting,
    (client, from): (usize, usize),
) -> Vec<Request> {
    let mut answered = vec![];
    for number in from.. {
        let request = Request::new(client, number, &charts);
        waiting.lock().expect("nobody panics").insert(client, request.clone());
        let Some(answer) = request.send(&http, address).await else { break };
        waiting.lock().expect("nobody panics").remove(&client);
        answered.push(Request { answer: Some(answer), ..request });
    }
    answered
}

/// What became of requests that nobody answered.
#[derive(Debug, Default, Clone, Copy)]
struct Deaths {
    after_commit: usize,
    half_way: usize,
}

impl Deaths {
    fn of(waiting: &Waiting, there: &HashSet<String>) -> Self {
        let mut deaths = Self::default();
        for request in waiting.lock().expect("nobody panics").values() {
            let found = request.operators().filter(|operator| there.contains(*operator)).count();
            deaths.after_commit += usize::from(found == request.operators().count());
            deaths.half_way += usize::from(0 < found && found < request.operators().count());
        }
        deaths
    }
}

/// A process that commits batches in several pieces, so that it may die between two of them.
async fn start(database: &Path) -> Process {
    let mut command = Process::serve(database);
    command.env("ANDON_SERVICES__COMMANDS_PER_COMMIT", "16");
    Process::start(command).await
}

async fn stored(database: &Path) -> HashSet<String> {
    let mut database = Database::open(database).await;
    let rows = database.rows("SELECT operator FROM samples").await;
    database.close().await;
    rows.iter().map(|row| row[0].text().to_owned()).collect()
}

#[tokio::test]
async fn after_a_crash_the_same_request_gets_what_was_missing_and_nothing_twice() {
    let directory = TempDir::new().expect("a temporary directory");
    let database = directory.path().join("andon.db");
    let mut random = StdRng::seed_from_u64(3);
    let mut process = start(&database).await;
    let http = reqwest::Client::new();
    let charts = given_charts(&process).await;
    let (mut answered, mut next) = (vec![], [0; CLIENTS]);
    let (mut met, mut rounds) = (Deaths::default(), 0);
    while met.after_commit == 0 || met.half_way == 0 {
        rounds += 1;
        assert!(rounds <= MOST_ROUNDS, "{met:?}");
        let waiting = Waiting::default();
        let mut clients = JoinSet::new();
        for places in next.into_iter().enumerate() {
            let waiting = Arc::clone(&waiting);
            clients.spawn(client(
                http.clone(),
                process.address,
                charts.clone(),
                waiting,
                (places.0, places.1),
            ));
        }
        // Any moment will do in which one of the deaths that were not met yet would be met.
        for _ in 0..MOST_MOMENTS {
            sleep(Duration::from_millis(random.random_range(1..50))).await;
            process.signal("STOP").await;
            sleep(Duration::from_millis(20)).await; // answers that are out already arrive
            let now = Deaths::of(&waiting, &stored(&database).await);
            if met.after_commit == 0 && now.after_commit > 0 || met.half_way == 0 && now.half_way > 0 {
                met.after_commit += now.after_commit;
                met.half_way += now.half_way;
                break;
            }
            process.signal("CONT").await;
        }
        process.kill().await;
        for requests in clients.join_all().await {
            answered.extend(requests);
        }
        process = start(&database).await;
        let unanswered = std::mem::take(&mut *waiting.lock().expect("nobody panics"));
        for mut request in unanswered.into_values() {
            request.answer = request.send(&http, process.address).await;
            answered.push(request);
        }
        next = std::array::from_fn(|client| {
            let of_client = answered.iter().filter(|request| request.client == client);
            of_client.count()
        });
    }
    // Whatever was answered before whichever death is answered with the same words.
    for request in answered.iter().rev().step_by(7).take(100) {
        assert_eq!(request.send(&http, process.address).await, request.answer, "{}", request.key);
    }
    process.terminate().await;
    assert!(process.end().await.0.success());

    let ledger = Ledger::read(&database).await;
    ledger.assert_sound();
    let mut names = HashSet::new();
    for (id, sample) in &ledger.samples {
        let name = sample.operator.as_deref().expect("a name");
        assert!(names.insert(name), "sample {id} is stored once: {sample:?}");
    }
    let due: HashSet<&str> = answered.iter().flat_map(Request::operators).collect();
    assert_eq!(names, due);
    for request in &answered {
        let answer: Value = serde_json::from_str(request.answer.as_ref().expect("answered")).expect("JSON");
        let told = answer["results"].as_array().map_or(std::slice::from_ref(&answer), Vec::as_slice);
        for (item, operator) in told.iter().zip(request.operators()) {
            let id = item["sample_id"].as_i64().unwrap_or_else(|| panic!("{}: {item}", request.key));
            assert_eq!(
                ledger.samples[&id].operator.as_deref(),
                Some(operator),
                "each answer names its sample"
            );
        }
    }
}
