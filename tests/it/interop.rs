//! Clients of other languages: the programs in `examples/clients`, against the real server.
//!
//! `.ci/test` prepares what they need and says where it is. Without that, CI fails and others skip.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::{DEADLINE, TestApp};

/// Runs a client program and checks what it hears: its own subscription, sample, violation, acknowledgement.
async fn hears_everything(mut program: Command) {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut idle = app.socket().await;
    program.args([app.url(""), bore.to_string()]).kill_on_drop(true).stdout(Stdio::piped());
    let mut running = program.spawn().expect("the client starts");
    let mut lines = BufReader::new(running.stdout.take().expect("piped")).lines();
    let mut next = async || {
        let line = timeout(DEADLINE, lines.next_line()).await.expect("a line in time");
        let line = line.expect("readable").expect("the client goes on");
        serde_json::from_str::<Value>(&line).expect("JSON")
    };
    assert_eq!(next().await["type"], "welcome");
    assert_eq!(next().await["type"], "subscribed");
    let violation = app.given_a_violation_on(bore).await;
    assert_eq!(next().await["type"], "sample");
    let heard = next().await;
    assert_eq!(
        (heard["type"].as_str(), heard["payload"]["id"].as_i64()),
        (Some("violation"), Some(violation))
    );
    let update = next().await;
    assert_eq!(update["type"], "ack_update");
    assert_eq!(update, idle.next_of_type("ack_update").await);
    let ended = timeout(DEADLINE, running.wait()).await.expect("ends in time").expect("ends");
    assert!(ended.success());
}

/// What `.ci/test` prepared, or `None` where it may be missing.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub fn prepared(name: &str) -> Option<String> {
    let found = std::env::var(name).ok();
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{name} is not set: run .ci/test");
        eprintln!("SKIPPED: {name} is not set; .ci/test prepares it");
    }
    found
}

fn client(file: &str) -> String {
    format!("{}/examples/clients/{file}", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test]
async fn a_python_client_sees_an_alert_and_answers_it() {
    let Some(python) = prepared("TEST_PYTHON") else { return };
    let mut program = Command::new(python);
    program.arg(client("alerts.py"));
    hears_everything(program).await;
}

#[tokio::test]
async fn a_node_client_sees_an_alert_and_answers_it() {
    let Some(modules) = prepared("TEST_NODE_MODULES") else { return };
    let mut program = Command::new("node");
    program.env("NODE_PATH", modules).arg(client("alerts.mjs"));
    hears_everything(program).await;
}
