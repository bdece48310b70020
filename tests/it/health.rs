//! `andon health`: what it says of a server that is ready, of one that is not, and where nothing listens.

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::{DEADLINE, Database, Process, eventually};

fn health(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
    command.arg("health").args(arguments).kill_on_drop(true);
    command
}

/// The exit code, and all that was written.
async fn outcome(mut command: Command) -> (Option<i32>, String) {
    let output = timeout(DEADLINE, command.output()).await.expect("ends in time").expect("starts");
    let written = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(written).expect("text"))
}

async fn health_of(url: &str) -> (Option<i32>, String) {
    outcome(health(&["--url", url])).await
}

/// A server that gives this answer to whoever asks.
async fn stub(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await; // the question
            let _ = stream.write_all(answer.as_bytes()).await;
            std::mem::forget(stream); // until this test's process ends
        }
    });
    url
}

#[tokio::test]
async fn a_server_that_is_ready_is_told_in_one_line() {
    let directory = TempDir::new().expect("a temporary directory");
    let process = Process::start(Process::serve(&directory.path().join("andon.db"))).await;
    let url = format!("http://{}", process.address);
    let (code, written) = health_of(&url).await;
    assert_eq!((code, written), (Some(0), format!("{url} is ready: database writable, process running\n")));
    let mut command = health(&[]);
    command.env("ANDON_HTTP__LISTEN", format!("0.0.0.0:{}", process.address.port()));
    assert_eq!(outcome(command).await.0, Some(0), "without --url it asks where the settings say");
    process.terminate().await;
    assert!(process.end().await.0.success());
}

#[tokio::test]
async fn a_server_whose_database_takes_no_writes_is_not_ready() {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("andon.db");
    let mut command = Process::serve(&file);
    command.env("ANDON_STORE__BUSY_TIMEOUT_MS", "50");
    let process = Process::start(command).await;
    let mut database = Database::open(&file).await;
    database.lock().await;
    let url = format!("http://{}", process.address);
    let body = serde_json::json!({"name": "Bore"});
    let refused =
        reqwest::Client::new().post(format!("{url}/api/v1/characteristics")).json(&body).send().await;
    assert_eq!(refused.expect("an answer").status(), 503);
    let (code, written) = health_of(&url).await;
    let told = format!("andon: {url} is not ready: database unavailable, process running\n");
    assert_eq!((code, written), (Some(1), told));
    database.unlock().await;
    eventually("ready again", async || (health_of(&url).await.0 == Some(0)).then_some(())).await;
}

/// A request under way holds the stop up, long enough to ask.
#[tokio::test]
async fn a_server_that_is_stopping_is_not_ready() {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("andon.db");
    let process = Process::start(Process::serve(&file)).await;
    let mut database = Database::open(&file).await;
    database.lock().await;
    let url = format!("http://{}", process.address);
    let body = serde_json::json!({"name": "Bore"});
    let request = reqwest::Client::new().post(format!("{url}/api/v1/characteristics")).json(&body).send();
    let request = tokio::spawn(request);
    eventually("the request is under way", async || {
        let counted = reqwest::get(format!("{url}/metrics")).await.ok()?.text().await.ok()?;
        counted.contains("andon_http_requests_under_way 2").then_some(()) // this one is the other
    })
    .await;
    process.terminate().await;
    eventually("it is stopping", async || process.log().contains(" stopping").then_some(())).await;
    let (code, written) = health_of(&url).await;
    assert_eq!(code, Some(1), "{written}");
    database.unlock().await;
    assert_eq!(request.await.expect("does not panic").expect("an answer").status(), 201);
    assert!(process.end().await.0.success());
}

#[tokio::test]
async fn where_nothing_listens_that_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    drop(listener);
    let (code, written) = health_of(&url).await;
    assert_eq!(code, Some(1));
    assert!(
        written.starts_with(&format!("andon: nothing answers at {url}: Connection refused")),
        "{written}"
    );
}

#[tokio::test]
async fn what_does_not_answer_in_time_or_is_not_andon_is_said() {
    let silent = stub("").await;
    let (code, written) = outcome(health(&["--url", &silent, "--timeout", "0.2"])).await;
    assert_eq!((code, written), (Some(1), format!("andon: {silent} did not answer within 200ms\n")));
    let other = stub("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let (code, written) = health_of(&other).await;
    assert_eq!(code, Some(1));
    assert!(written.contains(&format!("what answers at {other} is not Andon")), "{written}");
}
