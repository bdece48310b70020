//! Programs that listen: those of other languages in `examples/clients`, and `andon tail`, against the real server.
//!
//! `.ci/test` prepares what they need and says where it is. Without that, CI fails and others skip.

use std::process::Stdio;
use std::sync::Arc;

use andon::protocol::deflate;
use bytes::{BufMut as _, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::support::{DEADLINE, Door, TestApp};

/// A program that prints each message in a line.
struct Program {
    running: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    fn start(mut command: Command) -> Self {
        command.kill_on_drop(true).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().expect("the client starts");
        let lines = BufReader::new(running.stdout.take().expect("piped")).lines();
        Self { running, lines }
    }

    async fn next(&mut self) -> Value {
        let line = timeout(DEADLINE, self.lines.next_line()).await.expect("a line in time");
        serde_json::from_str(&line.expect("readable").expect("the client goes on")).expect("JSON")
    }

    /// Passes over whatever else is said.
    async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
            assert!(!message["revision"].is_u64(), "expected {kind}, got {message}");
        }
    }

    /// Ends it; gives what it said beside.
    async fn end(mut self) -> String {
        self.running.kill().await.expect("it runs");
        let (mut stderr, mut said) = (self.running.stderr.take().expect("piped"), String::new());
        stderr.read_to_string(&mut said).await.expect("text");
        said
    }
}

/// A program that is to hear every event, once and in order.
struct Listener {
    program: Program,
    /// Everything up to this position was heard, or told to be left out.
    due: u64,
    heard: u64,
}

impl Listener {
    /// The next answer to a subscription. What an answer of before has changed of an episode may come until then.
    async fn subscribed(&mut self) -> Value {
        loop {
            let message = self.program.next().await;
            if message["type"] == "subscribed" {
                return message;
            }
            if message["revision"].is_u64() {
                assert_eq!(message["type"], "episode", "{message}");
                self.hear(&message);
            }
        }
    }

    /// The next event, which is of this kind. Of episodes, only some programs are told; the others are told how many
    /// they miss.
    async fn next(&mut self, kind: &str) -> Value {
        loop {
            let message = self.program.next().await;
            if message["revision"].is_u64() {
                self.hear(&message);
                if message["type"] != "episode" {
                    assert_eq!(message["type"], kind, "{message}");
                    return message;
                }
            }
        }
    }

    fn hear(&mut self, event: &Value) {
        self.due += 1 + event["skipped"].as_u64().unwrap_or(0);
        self.heard += 1;
        assert_eq!(event["seq"], self.due, "{event}");
    }
}

/// Hears what happens, what happened while it was away, and what happens then: each event once, and all in order. Gives
/// what it said beside. `arguments` are those of a program that is to listen to a characteristic.
async fn goes_on_after_a_restart(
    mut command: Command,
    arguments: impl Fn(String, i64) -> Vec<String>,
) -> String {
    let quick_return = || TestApp::builder().with(|s| s.broadcast.return_window_ms = 50);
    let (app, door) = (quick_return().spawn().await, Door::open().await);
    let bore = app.given_a_chart("Bore").await;
    door.lead_to(Some(app.address));
    command.args(arguments(format!("http://{}", door.address), bore));
    let mut listener = Listener { program: Program::start(command), due: 0, heard: 0 };
    listener.due = listener.subscribed().await["seq"].as_u64().expect("a position");
    let violation = app.given_a_violation_on(bore).await;
    listener.next("sample").await;
    assert_eq!(listener.next("violation").await["payload"]["id"], violation);
    app.acknowledge(violation, "ann").await;
    listener.next("ack_update").await;

    let directory = Arc::clone(app.directory());
    door.lead_to(None);
    app.stop().await.expect("stopped");
    let app = quick_return().on_database_of(&directory).spawn().await;
    let violation = app.given_a_violation_on(bore).await;
    app.acknowledge(violation, "ann").await;
    app.given_a_violation_on(bore).await;
    app.all_is_told().await; // what comes is replayed, not heard as it happens
    door.lead_to(Some(app.address));
    assert_eq!(listener.subscribed().await["recovered"], true);
    let before = listener.heard;
    for kind in ["sample", "violation", "ack_update", "sample", "violation"] {
        listener.next(kind).await;
    }
    let replayed = listener.heard - before;
    assert_eq!(listener.program.next_of("resumed").await["replayed"], replayed);
    app.given_a_violation_on(bore).await;
    listener.next("sample").await;
    listener.next("violation").await;
    let said = listener.program.end().await;
    assert!(!said.contains("missing"), "{said}");
    said
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

/// What the reference library of Standard Webhooks says of a request.
pub async fn verified(python: &str, asked: &Value) -> String {
    const SCRIPT: &str = "
import json, sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
asked = json.load(sys.stdin)
try:
    Webhook(asked['key']).verify(asked['body'], asked['headers'])
    print('verified')
except WebhookVerificationError:
    print('refused')
";
    let mut program = Command::new(python)
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut input = program.stdin.take().expect("it is piped");
    input.write_all(asked.to_string().as_bytes()).await.expect("written");
    drop(input);
    let output = program.wait_with_output().await.expect("it ends");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn example(file: &str) -> String {
    format!("{}/examples/clients/{file}", env!("CARGO_MANIFEST_DIR"))
}

fn server_and_id(server: String, id: i64) -> Vec<String> {
    vec![server, id.to_string()]
}

#[tokio::test]
async fn a_python_client_goes_on_where_it_was() {
    let Some(python) = prepared("TEST_PYTHON") else { return };
    let mut command = Command::new(python);
    command.arg(example("alerts.py"));
    goes_on_after_a_restart(command, server_and_id).await;
}

#[tokio::test]
async fn a_node_client_goes_on_where_it_was() {
    let Some(modules) = prepared("TEST_NODE_MODULES") else { return };
    let mut command = Command::new("node");
    command.env("NODE_PATH", modules).arg(example("alerts.mjs"));
    goes_on_after_a_restart(command, server_and_id).await;
}

#[tokio::test]
async fn andon_tail_goes_on_where_it_was_and_says_so() {
    let arguments = |server: String, id: i64| {
        ["tail", "--json", "--server", &server, "--characteristic", &id.to_string()]
            .map(str::to_owned)
            .to_vec()
    };
    let said = goes_on_after_a_restart(Command::new(env!("CARGO_BIN_EXE_andon")), arguments).await;
    for told in ["trying again in", "connected again; what was missed follows", "5 events came late"] {
        assert!(said.contains(told), "{told}: {said}");
    }
}

#[tokio::test]
async fn what_is_deflated_here_python_inflates() {
    let Some(python) = prepared("TEST_PYTHON") else { return };
    let message = format!(r#"{{"type":"sample","payload":[{}0]}}"#, "7.5,0.25,".repeat(50));
    for head in ["{", r#"{"skipped":3,"#] {
        let mut payload = BytesMut::new();
        deflate::put_stored(&mut payload, head.as_bytes());
        payload.put_slice(&deflate::deflated_tail(message.as_bytes()));
        let hex: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
        let program = "import sys, zlib; d = zlib.decompressobj(-15); \
                       print(d.decompress(bytes.fromhex(sys.argv[1]) + b'\\0\\0\\xff\\xff').decode())";
        let output = Command::new(&python).args(["-c", program, &hex]).output().await.expect("Python runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), [head, &message[1..]].concat());
    }
}
