//! Several processes on one database: one log without a gap, one verdict on each sample, whoever is killed.
//!
//! Only PostgreSQL serves more than one process; on SQLite these tests say that they are left out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::crash::{Life, assert_kept, assert_verdicts_are_those_of_an_undisturbed_engine, given_charts};
use crate::rest_definitions::change;
use crate::support::{Heard, Ledger, Load, Process, TestApp, eventually, listen, on_postgres};

#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
pub fn is_shared() -> bool {
    if !on_postgres() {
        eprintln!("\n!!!! SKIPPED: only PostgreSQL serves two processes");
    }
    on_postgres()
}

/// A process with posters and listeners.
struct Plant {
    process: Process,
    load: Load,
    listener: tokio::task::JoinHandle<Heard>,
}

impl Plant {
    async fn start(process: Process, charts: &[i64], name: &str) -> Self {
        let listener = listen(process.address).await;
        let load = Load::start(process.address, charts, 8, name);
        Self { process, load, listener }
    }

    async fn kill(self) -> Life {
        self.process.kill().await;
        Life { answered: self.load.answered().await, heard: vec![self.listener.await.expect("no panic")] }
    }

    async fn stop(self) -> Life {
        self.process.terminate().await;
        let (status, log) = self.process.end().await;
        assert!(status.success(), "{log}");
        Life { answered: self.load.answered().await, heard: vec![self.listener.await.expect("no panic")] }
    }
}

/// How often, on the same characteristic, a sample of one process follows a sample of another.
fn changes_of_hands(ledger: &Ledger) -> usize {
    let mut newest: BTreeMap<i64, &str> = BTreeMap::new();
    let samples = ledger.samples.values();
    samples
        .filter(|sample| {
            let name = sample.operator.as_deref().and_then(|name| name.split('-').next()).expect("a name");
            newest.insert(sample.characteristic_id, name).is_some_and(|before| before != name)
        })
        .count()
}

#[tokio::test]
async fn two_processes_under_load_give_one_log_and_one_verdict_and_a_crash_of_one_changes_nothing() {
    if !is_shared() {
        return;
    }
    let directory = TempDir::new().expect("a temporary directory");
    let database = directory.path().join("andon.db");
    let first = Process::start(Process::serve(&database)).await;
    let charts = given_charts(&first).await;
    let second = Process::start(Process::serve(&database)).await;
    let first = Plant::start(first, &charts, "first").await;
    let second = Plant::start(second, &charts, "second").await;
    sleep(Duration::from_millis(1_500)).await; // the moments are chance: no state is waited for
    let mut lives = vec![first.kill().await];
    sleep(Duration::from_millis(300)).await;
    let third = Process::start(Process::serve(&database)).await;
    let third = Plant::start(third, &charts, "third").await;
    sleep(Duration::from_millis(1_000)).await;
    // Both hear the same, also of what the other commits.
    lives.extend([second.stop().await, third.stop().await]);

    let ledger = Ledger::read(&database).await;
    ledger.assert_sound();
    for life in &lives {
        assert!(life.answered.len() > 20, "a real load: {}", life.answered.len());
        let own = life.answered.len();
        let heard = &life.heard[0].events;
        assert!(heard.len() > own, "what others commit is heard, too: {} of {own}", heard.len());
    }
    let hands = changes_of_hands(&ledger);
    assert!(hands > 20, "they work on the same characteristics: {hands} changes of hands");
    assert_kept(&ledger, &lives);
    assert_verdicts_are_those_of_an_undisturbed_engine(&database, &ledger).await;
}

#[tokio::test]
async fn what_one_process_changes_another_knows() {
    if !is_shared() {
        return;
    }
    let one = TestApp::spawn().await;
    let id = one.given_a_chart("Bore").await;
    let directory = Arc::clone(one.directory());
    let other = TestApp::builder().on_database_of(&directory).spawn().await;
    let mut socket = other.socket().await.subscribed_to([id]).await;
    other.measure(id, 10.0).await;
    assert_eq!(socket.next_of_type("sample").await["revision"], 2);

    change(&one, id, json!({"chart": null, "subgroup_size": 2, "new_phase": true, "key": "P7:bore"})).await;
    let update = socket.next_of_type("characteristic_update").await;
    assert_eq!([&update["revision"], &update["payload"]["changes"]["new_phase"]], [&json!(3), &json!(true)]);
    let pair = json!({"characteristic_key": "P7:bore", "measurements": [10.0, 10.0]});
    let (status, recorded) = other.post("/samples", &pair).await;
    assert_eq!((status, &recorded["in_control"]), (201, &Value::Null), "{recorded}");
    change(&one, id, json!({"retired": true})).await;
    assert_eq!(other.post("/samples", &pair).await.0, 409);
    change(&other, id, json!({"retired": false})).await;
    assert_eq!(one.post("/samples", &pair).await.0, 201);
    let path = format!("/characteristics/{id}?with_history=true");
    assert_eq!(one.call("DELETE", &path, None).await.0, 204);
    assert_eq!(other.post("/samples", &pair).await.0, 404);
    let gone = json!({"deleted": true});
    eventually("the other process tells that it is gone", async || {
        let next = socket.next().await;
        (next["payload"]["changes"] == gone).then_some(())
    })
    .await;
}
