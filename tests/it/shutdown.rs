//! A stop is quick, whoever is connected: idle connections, listeners, and one that does not read.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::support::{Database, Process, TestApp, TestSocket, eventually};

/// An HTTP connection that has had its answer and is kept for the next request.
fn idle_connection(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    write!(stream, "GET /health/live HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("sent");
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).expect("an answer");
    assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
    stream
}

/// A listener to everything that never reads after its handshake, with little room to receive.
fn deaf_listener(address: SocketAddr) -> Socket {
    let mut socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("small");
    socket.connect(&address.into()).expect("a connection");
    write!(
        socket,
        "GET /api/v1/ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .expect("sent");
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 101");
    let message = br#"{"type":"subscribe","all":true}"#;
    let header = [0x81, 0x80 | message.len() as u8, 0, 0, 0, 0]; // masked with zeros
    socket.write_all(&[&header[..], message].concat()).expect("sent");
    socket
}

/// Commits and publishes far more than fits between the process and a listener that does not read.
async fn given_many_events(address: SocketAddr) {
    let http = reqwest::Client::new();
    let url = format!("http://{address}/api/v1");
    let created = http.post(format!("{url}/characteristics")).json(&json!({"name": "Bore"})).send().await;
    let created: Value = created.expect("an answer").json().await.expect("JSON");
    let sample = json!({"characteristic_id": created["id"], "measurements": [10.0]});
    let batch = json!({"samples": vec![sample; 10_000]});
    let sent = http.post(format!("{url}/samples/batch")).json(&batch).send().await;
    let answer: Value = sent.expect("an answer").json().await.expect("JSON");
    assert_eq!(answer["successful"], 10_000, "{}", answer["results"][0]);
    eventually("all is published", async || {
        let counted = reqwest::get(format!("http://{address}/metrics")).await.ok()?.text().await.ok()?;
        counted.contains("andon_events_published_total{kind=\"sample\"} 10000").then_some(())
    })
    .await;
}

/// Stops a process that has 50 idle connections and 50 clients, one of them deaf, which is let go after so long.
async fn assert_stops_at_once(stall_timeout_ms: &str) {
    let directory = TempDir::new().expect("a temporary directory");
    let mut command = Process::serve(&directory.path().join("andon.db"));
    command.env("ANDON_BROADCAST__STALL_TIMEOUT_MS", stall_timeout_ms);
    let process = Process::start(command).await;
    let address = process.address;
    let _idle: Vec<_> = (0..50).map(|_| idle_connection(address)).collect();
    let _deaf = deaf_listener(address);
    let mut clients = vec![];
    for _ in 0..49 {
        let mut client = TestSocket::connect(address, None).await;
        clients.push(tokio::spawn(async move { client.close_code().await }));
    }
    given_many_events(address).await;

    let asked = Instant::now();
    process.terminate().await;
    let (status, log) = process.end().await;
    let took = asked.elapsed();
    assert!(status.success(), "{log}");
    assert!(log.lines().last().is_some_and(|line| line.ends_with(" stopped")), "{log}");
    assert!(took < Duration::from_secs(3), "it took {took:?}: {log}");
    for client in clients {
        let told = client.await.expect("the client does not panic");
        assert_eq!(told, Some(1001), "clients are told to go");
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_idle_connections_or_a_client_that_was_let_go() {
    assert_stops_at_once("100").await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_client_that_does_not_read() {
    assert_stops_at_once("100000").await;
}

/// Three seconds are longer than connections are given for their last bytes.
#[tokio::test]
async fn a_stop_waits_for_a_request_under_way() {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("andon.db");
    let process = Process::start(Process::serve(&file)).await;
    let mut database = Database::open(&file).await;
    database.lock().await;
    let url = format!("http://{}/api/v1/characteristics", process.address);
    let request = reqwest::Client::new().post(url).json(&json!({"name": "Bore"})).send();
    let answer = tokio::spawn(request);
    sleep(Duration::from_millis(300)).await; // until it is under way; nobody can see that it is
    process.terminate().await;
    sleep(Duration::from_secs(3)).await;
    assert!(!answer.is_finished());
    database.unlock().await;
    assert_eq!(answer.await.expect("does not panic").expect("an answer").status(), 201);
    assert!(process.end().await.0.success());
}

#[tokio::test]
async fn a_shard_that_ends_although_nobody_stopped_it_stops_the_process_with_an_error() {
    let app = TestApp::spawn().await;
    app.bus.shutdown(Duration::from_secs(5)).await;
    let error = app.ended().await.expect_err("no alert could reach anybody any more");
    assert_eq!(error.to_string(), "a shard ended early");
}
