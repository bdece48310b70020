//! A process that is killed under load: what was answered is stored, what was heard was committed.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use andon::settings::Settings;
use andon::store::{CharacteristicFilter, Page, Store};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::support::{Answered, Heard, Ledger, Load, Process, TestServices, address_of, listen, sample};

const POSTERS: u64 = 16;
const LISTENERS: usize = 3;

/// One life of a process: from a start to a kill.
pub struct Life {
    pub answered: Vec<Answered>,
    pub heard: Vec<Heard>,
}

async fn post(process: &Process, path: &str, method: reqwest::Method, body: &Value) -> Value {
    let url = format!("http://{}/api/v1{path}", process.address);
    let response = reqwest::Client::new().request(method, url).json(body).send().await.expect("an answer");
    assert!(response.status().is_success(), "{path}: {}", response.status());
    response.json().await.expect("JSON")
}

/// Three charts with all rules and limits, made by the first process.
pub async fn given_charts(process: &Process) -> Vec<i64> {
    let mut ids = vec![];
    for name in ["Bore", "Flow", "Torque"] {
        let body = json!({"name": name, "rules": {"preset": "nelson"}});
        let created = post(process, "/characteristics", reqwest::Method::POST, &body).await;
        let id = created["id"].as_i64().expect("an id");
        let limits = json!({"center_line": 10.0, "sigma": 1.0});
        post(process, &format!("/characteristics/{id}/control-limits"), reqwest::Method::PUT, &limits).await;
        ids.push(id);
    }
    ids
}

/// Runs a process under load and kills it after `lifetime`; the first one makes the charts.
async fn live(database: &Path, charts: &mut Vec<i64>, number: usize, lifetime: Duration) -> Life {
    let process = Process::start(Process::serve(database)).await;
    if charts.is_empty() {
        *charts = given_charts(&process).await;
    }
    let mut listeners = vec![];
    for _ in 0..LISTENERS {
        listeners.push(listen(process.address).await);
    }
    let load = Load::start(process.address, charts, POSTERS, &format!("life{number}"));
    sleep(lifetime).await; // the moment of death is chance: no state is waited for
    process.kill().await;
    let answered = load.answered().await;
    let mut heard = vec![];
    for listener in listeners {
        heard.push(listener.await.expect("the listener does not panic"));
    }
    Life { answered, heard }
}

pub fn assert_kept(ledger: &Ledger, lives: &[Life]) {
    let mut names = HashSet::new();
    for (id, sample) in &ledger.samples {
        assert!(names.insert(&sample.operator), "sample {id} is stored once: {sample:?}");
    }
    let messages: Vec<Value> = ledger.events.iter().map(|event| event.message()).collect();
    for Life { answered, heard } in lives {
        for told in answered {
            let stored = ledger.samples.get(&told.sample_id).unwrap_or_else(|| panic!("lost: {told:?}"));
            assert_eq!((stored.value, stored.operator.as_deref()), (told.value, Some(&*told.operator)));
        }
        for (seq, event) in heard.iter().flat_map(|heard| &heard.events) {
            assert_eq!(messages.get(*seq as usize - 1), Some(event), "what was heard stands in the log");
        }
    }
}

/// The event without what the clock says.
fn timeless(mut payload: Value) -> Value {
    for (name, value) in payload.as_object_mut().expect("an object") {
        if ["timestamp", "received_at", "created_at", "opened_at", "closed_at"].contains(&name.as_str()) {
            *value = Value::Null;
        }
    }
    payload
}

/// A process that was never killed, given the stored samples in their order, comes to the same events.
pub async fn assert_verdicts_are_those_of_an_undisturbed_engine(database: &Path, ledger: &Ledger) {
    let settings = andon::store::Settings { url: address_of(database), ..andon::store::Settings::default() };
    let (store, _handover) = Store::open(&settings).await.expect("the store opens");
    let page = Page { offset: 0, limit: 100 };
    let known = store.characteristics(&CharacteristicFilter::default(), page).await.expect("a page").items;
    store.close().await;

    let directory = TempDir::new().expect("a temporary directory");
    let undisturbed = TestServices::open(directory.path(), &Settings::default()).await;
    for record in known {
        let (definition, rules) = (record.characteristic.definition, record.characteristic.rules);
        let limits = record.phase.expect("limits").limits;
        let services = &undisturbed.services;
        let id = services.catalog.create(definition, rules).await.expect("committed").expect("valid").id;
        assert_eq!(id, record.characteristic.id);
        let (center_line, sigma) = (limits.center_line(), limits.sigma());
        let given = andon::services::GivenLimits::Sigma { center_line, sigma };
        services.limits.set(id, given, Default::default()).await.expect("committed").expect("limits");
    }
    let mut queued = vec![];
    for stored in ledger.samples.values() {
        let id = stored.characteristic_id.try_into().expect("an id");
        let sample = sample(id, stored.measurements.clone(), stored.operator.as_deref());
        queued.push(undisturbed.services.engine.queue(sample).await.expect("queued"));
    }
    for sample in queued {
        sample.recorded().await.expect("committed").expect("taken");
    }
    undisturbed.stop().await;
    let again = Ledger::read(&directory.path().join("andon.db")).await;
    assert!(ledger.violations.len() > 50, "there is something to compare");
    // Ids that a lost commit had reserved are reserved again, so that even they are the same.
    for (one, other) in ledger.events.iter().zip(&again.events) {
        assert_eq!(timeless(one.payload.clone()), timeless(other.payload.clone()), "{one:?}");
    }
    assert_eq!(ledger.events.len(), again.events.len());
}

async fn survive(kills: usize, seed: u64) {
    let directory = TempDir::new().expect("a temporary directory");
    let database = directory.path().join("andon.db");
    let (mut random, mut charts, mut lives) = (StdRng::seed_from_u64(seed), vec![], vec![]);
    for number in 0..kills {
        let lifetime = Duration::from_millis(random.random_range(20..1_000));
        lives.push(live(&database, &mut charts, number, lifetime).await);
    }
    // The last process only recovers, and goes on.
    let process = Process::start(Process::serve(&database)).await;
    let body = json!({"characteristic_id": charts[0], "measurements": [10.0], "operator": "survivor"});
    post(&process, "/samples", reqwest::Method::POST, &body).await;
    process.terminate().await;
    assert!(process.end().await.0.success());

    let ledger = Ledger::read(&database).await;
    ledger.assert_sound();
    let answered: usize = lives.iter().map(|life| life.answered.len()).sum();
    let heard: usize = lives.iter().flat_map(|life| &life.heard).map(|heard| heard.events.len()).sum();
    assert!(answered > 20 * kills && heard > answered, "a real load: {answered} answered, {heard} heard");
    assert_kept(&ledger, &lives);
    assert_verdicts_are_those_of_an_undisturbed_engine(&database, &ledger).await;
}

#[tokio::test]
async fn a_crash_loses_nothing_that_was_answered_and_nothing_was_heard_that_is_lost() {
    survive(5, 20).await;
}

#[tokio::test]
#[ignore = "long: run by .ci/long"]
async fn fifty_crashes_lose_nothing_that_was_answered() {
    survive(50, 1).await;
}

/// SIGTERM is no crash: the same promises, and everybody is told.
#[tokio::test]
async fn a_stop_in_the_middle_of_the_load_is_no_crash() {
    let directory = TempDir::new().expect("a temporary directory");
    let database = directory.path().join("andon.db");
    let process = Process::start(Process::serve(&database)).await;
    let charts = given_charts(&process).await;
    let mut listeners = vec![];
    for _ in 0..LISTENERS {
        listeners.push(listen(process.address).await);
    }
    let load = Load::start(process.address, &charts, POSTERS, "only");
    sleep(Duration::from_millis(700)).await; // the middle of the load is any moment
    let asked = Instant::now();
    process.terminate().await;
    let (status, log) = process.end().await;
    let took = asked.elapsed();
    assert!(status.success(), "{log}");
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert!(log.lines().last().is_some_and(|line| line.ends_with(" stopped")), "{log}");
    let mut heard = vec![];
    for listener in listeners {
        heard.push(listener.await.expect("the listener does not panic"));
    }
    assert!(heard.iter().all(|heard| heard.close_code == Some(1001)), "clients are told to go");
    let life = Life { answered: load.answered().await, heard };
    assert!(life.answered.len() > 20, "a real load");
    let ledger = Ledger::read(&database).await;
    ledger.assert_sound();
    let head = ledger.events.len() as i64;
    for heard in &life.heard {
        assert_eq!(
            heard.events.keys().next_back(),
            Some(&head),
            "what was committed is heard before the goodbye"
        );
    }
    assert_kept(&ledger, &[life]);
    assert_verdicts_are_those_of_an_undisturbed_engine(&database, &ledger).await;
}
