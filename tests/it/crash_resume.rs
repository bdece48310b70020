//! Listeners of a process that is killed again and again under load, and comes back: they resume, and each ends with
//! every alert of the log, once and in order.

use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::sleep;

use crate::crash::given_charts;
use crate::support::{Door, Ledger, Load, Manner, Process, ResumingListener, acknowledge};

const POSTERS: u64 = 16;

/// However long this machine stands still, nobody is told anything before it has said what it wants.
fn serve(database: &Path) -> Command {
    let mut command = Process::serve(database);
    command.env("ANDON_BROADCAST__FIRST_WORDS_MS", "60000");
    command
}

#[expect(clippy::print_stderr, reason = "reports of long runs tell how much was at stake")]
async fn resume(kills: usize, seed: u64) {
    let directory = TempDir::new().expect("a temporary directory");
    let database = directory.path().join("andon.db");
    let (door, mut random) = (Door::open().await, StdRng::seed_from_u64(seed));
    let manners =
        [Manner::Patient, Manner::Patient, Manner::Restless { seed }, Manner::Restless { seed: !seed }];
    let (mut charts, mut listeners, mut acknowledged) = (vec![], vec![], 0);
    for life in 0..kills {
        let process = Process::start(serve(&database)).await;
        if charts.is_empty() {
            charts = given_charts(&process).await;
        }
        door.lead_to(Some(process.address));
        if listeners.is_empty() {
            for manner in manners {
                listeners.push(ResumingListener::start(door.address, manner).await);
            }
        }
        let load = Load::start(process.address, &charts, POSTERS, &format!("life{life}"));
        let answers = acknowledge(process.address);
        sleep(Duration::from_millis(random.random_range(100..1_500))).await; // the moment of death is chance
        door.lead_to(None);
        process.kill().await;
        load.answered().await;
        acknowledged += answers.await.expect("no panic");
    }
    // The last process only recovers, and goes on.
    let process = Process::start(serve(&database)).await;
    let url = format!("http://{}/api/v1/samples", process.address);
    let body = json!({"characteristic_id": charts[0], "measurements": [99.0]});
    let response = reqwest::Client::new().post(url).json(&body).send().await.expect("an answer");
    assert_eq!(response.status(), 201);
    let head = process.head().await;
    door.lead_to(Some(process.address));
    let mut accounts = vec![];
    for listener in listeners {
        accounts.push(listener.up_to(head).await);
    }
    process.terminate().await;
    assert!(process.end().await.0.success());

    let ledger = Ledger::read(&database).await;
    ledger.assert_sound();
    assert_eq!(ledger.head as u64, head);
    let log = ledger.log();
    for account in &accounts {
        account.assert_complete(&log);
        assert!(account.connections > kills / 2, "{} connections", account.connections);
        eprintln!("{account}, of {}", log.len());
    }
    let missed: u64 = accounts.iter().map(|account| account.replayed).sum();
    let alerts = accounts[0].alerts.len();
    assert!(alerts > 10 * kills && acknowledged > 0, "a real load: {alerts} alerts, {acknowledged} answered");
    assert!(missed > 10 * kills as u64, "something to resume: {missed} events were missed");
}

#[tokio::test]
async fn whoever_listens_through_crashes_misses_no_alert_and_hears_none_twice() {
    resume(4, 7).await;
}

#[tokio::test]
#[ignore = "long: run by .ci/long"]
async fn whoever_listens_through_twenty_crashes_misses_no_alert() {
    resume(20, 2).await;
}
