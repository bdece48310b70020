//! `examples/spc_backend.py`: an SPC backend with ids and a database of its own, against the real server.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::interop::prepared;
use crate::support::{DEADLINE, TestApp};

/// The running program: commands go in, what it says comes out.
struct Backend {
    commands: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    running: Child,
}

impl Backend {
    /// Starts the program beside a server and waits until it listens.
    async fn start(python: String, app: &TestApp, key: &str) -> Self {
        let mut program = Command::new(python);
        program.arg(format!("{}/examples/spc_backend.py", env!("CARGO_MANIFEST_DIR")));
        program.args([app.url("").as_str(), key]).kill_on_drop(true);
        let mut running =
            program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(running.stdout.take().expect("piped")).lines();
        let mut backend = Self { commands: running.stdin.take().expect("piped"), lines, running };
        backend.next("listening").await;
        backend
    }

    /// The next thing it says, which must be this.
    async fn next(&mut self, what: &str) -> Value {
        let line = timeout(DEADLINE, self.lines.next_line()).await.expect("a line in time");
        let line = line.expect("readable").expect("the program goes on");
        let said: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(said["what"], what, "{said}");
        said
    }

    /// Gives a command; what it says to that must be `what`.
    async fn does(&mut self, command: &str, what: &str) -> Value {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.expect("it reads");
        self.next(what).await
    }

    async fn end(mut self) {
        drop(self.commands);
        let ended = timeout(DEADLINE, self.running.wait()).await.expect("ends in time").expect("ends");
        assert!(ended.success());
    }
}

#[tokio::test]
async fn a_backend_with_ids_of_its_own_and_andon_acknowledge_for_each_other_without_an_echo() {
    let Some(python) = prepared("TEST_PYTHON") else { return };
    let app = TestApp::spawn().await;
    let press = app.given_a_characteristic(&json!({"name": "Force", "key": "press-4"})).await;
    let mut socket = app.socket().await.subscribed_to([press]).await;
    let mut idle = app.socket().await;
    let mut backend = Backend::start(python, &app, "press-4").await;

    // Its violation is seen by another client, acknowledged in Andon, and mirrored back.
    let told = backend.does("measure 14.5", "told").await;
    assert_eq!((&told["accepted"], &told["failed"]), (&json!(2), &json!(0)), "{told}");
    assert_eq!(socket.next().await["payload"]["external_id"], "S-1");
    let seen = socket.next().await;
    assert_eq!((&seen["type"], &seen["payload"]["external_id"]), (&json!("violation"), &json!("V-S-1")));
    assert_eq!(
        (&seen["payload"]["external_sample_id"], &seen["payload"]["sample_id"]),
        (&json!("S-1"), &json!(1))
    );
    let violation = seen["payload"]["id"].as_i64().expect("an id of ours");
    assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
    let mirrored = backend.next("mirrored").await;
    assert_eq!((&mirrored["violation_id"], &mirrored["user"]), (&json!("V-S-1"), &json!("ann")));
    let heard = socket.next_of_type("ack_update").await;
    assert_eq!(heard["payload"], idle.next_of_type("ack_update").await["payload"]);

    // One that is acknowledged on its side is heard of by everybody here.
    backend.does("measure 5.5", "told").await;
    for kind in ["sample", "violation"] {
        assert_eq!(socket.next().await["type"], kind);
    }
    let told = backend.does("acknowledge V-S-2 eve Tool Change", "told").await;
    assert_eq!(told["accepted"], 1, "{told}");
    for client in [&mut socket, &mut idle] {
        let heard = client.next_of_type("ack_update").await["payload"].clone();
        assert_eq!((&heard["external_id"], &heard["user"]), (&json!("V-S-2"), &json!("eve")));
        assert_eq!((&heard["source"], &heard["ack_source"]), (&json!("spc-backend"), &json!("spc-backend")));
    }

    // Everything again, as after a crash: nothing is new, nobody hears of anything.
    let before = (app.get("/samples").await, app.get("/violations").await);
    let told = backend.does("resend", "told").await;
    assert_eq!((&told["accepted"], &told["duplicates"], &told["failed"]), (&json!(0), &json!(5), &json!(0)));
    assert_eq!((app.get("/samples").await, app.get("/violations").await), before);
    socket.assert_nothing_came().await;
    idle.assert_nothing_came().await;
    let shown = backend.does("show", "violations").await;
    let expected = json!([
        {"id": "V-S-1", "ack_user": "ann", "ack_reason": "Tool Change"},
        {"id": "V-S-2", "ack_user": "eve", "ack_reason": "Tool Change"},
    ]);
    assert_eq!(shown["violations"], expected);
    backend.end().await;
}
