//! A stream of server-sent events has its connection for itself: what is sent behind its request costs nothing, and the
//! connection ends with it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::support::{DEADLINE, Process, TestApp, eventually};

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
}

const STREAM: &str = "/api/v1/events/stream?all=true";

/// Far more than the server reads ahead.
fn flood() -> String {
    get("/api/v1/groups").repeat(50_000)
}

/// Sends as much of it as the server takes, and stays.
async fn send_what_goes(stream: &mut TcpStream, text: &str) {
    let _ = timeout(Duration::from_millis(500), stream.write_all(text.as_bytes())).await;
}

/// How long the process has had a processor until now.
fn cpu_time(process: &Process) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("Linux tells it there");
    let (_, columns) = stat.rsplit_once(") ").expect("the name stands in brackets");
    let ticks: u64 =
        columns.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10) // of 100 in a second
}

/// Nobody wants anything of this process: so it does nothing.
async fn assert_at_rest(process: &Process, what: &str) {
    sleep(Duration::from_millis(500)).await; // what is under way comes to its end
    let before = cpu_time(process);
    sleep(Duration::from_millis(1_500)).await; // the time over which is measured
    let worked = cpu_time(process) - before;
    assert!(worked < Duration::from_millis(500), "{what}: {worked:?} in 1.5 s");
}

async fn open(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

/// It would take one processor for as long as the stream lasts.
#[tokio::test]
async fn what_is_sent_behind_a_stream_keeps_no_processor_busy() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(Process::serve(&directory.path().join("andon.db"))).await;

    let mut at_once = open(process.address).await;
    send_what_goes(&mut at_once, &(get(STREAM) + &flood())).await;
    assert_at_rest(&process, "all at once").await;
    drop(at_once);

    let mut later = open(process.address).await;
    later.write_all(get(STREAM).as_bytes()).await.expect("sent");
    let mut head = [0; 15];
    timeout(DEADLINE, later.read_exact(&mut head)).await.expect("in time").expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    send_what_goes(&mut later, &flood()).await;
    assert_at_rest(&process, "when it has begun").await;
    drop(later);

    let mut behind = open(process.address).await;
    let some = get("/health/live").repeat(100);
    send_what_goes(&mut behind, &(some + &get(STREAM) + &flood())).await;
    assert_at_rest(&process, "behind others").await;
}

#[tokio::test]
async fn the_connection_ends_with_its_stream_and_its_place_is_free() {
    let app = TestApp::builder().with(|s| s.http.connections = 1).spawn().await;
    let mut source = app.event_source("all=true").await;
    assert_eq!(source.header("connection"), Some("close"));
    let welcome = source.next().await;
    let id = &welcome.data["payload"]["connection_id"];
    assert_eq!(app.call("DELETE", &format!("/connections/{id}"), None).await.0, 204);
    while source.next_or_end().await.is_some() {}
    eventually("its place is free", async || {
        let next = app.request("GET", "/events/stream?all=true").send().await.expect("an answer");
        (next.status() == 200).then_some(())
    })
    .await;
    source.connection_ends().await;
}

/// It may have been sent hours ago.
#[tokio::test]
async fn what_waits_behind_a_stream_is_refused_in_the_end() {
    let app = TestApp::spawn().await;
    let mut stream = open(app.address).await;
    let body = r#"{"name": "Bore"}"#;
    let create = format!(
        "POST /api/v1/characteristics HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all((get(STREAM) + &create).as_bytes()).await.expect("sent");
    eventually("it is connected", async || {
        (app.metric("andon_connections{kind=\"event_stream\"}").await == 1.0).then_some(())
    })
    .await;
    assert_eq!(app.call("DELETE", "/connections/1", None).await.0, 204);
    let mut received = vec![];
    timeout(DEADLINE, stream.read_to_end(&mut received)).await.expect("it ends").expect("as it should");
    let received = String::from_utf8(received).expect("text");
    let (streamed, refused) = received.split_once("\r\n0\r\n\r\n").expect("the stream ends");
    assert!(streamed.starts_with("HTTP/1.1 200 OK"), "{streamed}");
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("nothing was stored"), "{refused}");
    assert_eq!(app.get("/characteristics").await["total"], 0);
}
