//! Clients that take their time over a handshake, or never begin one, are cut off.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval, timeout};

use crate::support::{DEADLINE, TestApp, TestAppBuilder};

/// For the head of a request.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// The server's timers go by a clock that ticks twice a second.
const LEAST: Duration = Duration::from_millis(900);

fn impatient() -> TestAppBuilder {
    TestApp::builder().with(|s| {
        s.http.request_timeout_ms = PATIENCE.as_millis() as u64;
        s.http.disconnect_timeout_ms = 1_000;
    })
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

/// Sends a byte now and then, and reads until the server has ended the connection; gives what it said.
async fn drip(stream: TcpStream, bytes: &[u8]) -> String {
    let (mut read, mut write) = stream.into_split();
    let mut said = Vec::new();
    let mut pace = interval(Duration::from_millis(20));
    let drips = async {
        for byte in bytes.iter().cycle() {
            pace.tick().await;
            if write.write_all(&[*byte]).await.is_err() {
                return; // nobody listens any more
            }
        }
    };
    let ended = async {
        let _ = read.read_to_end(&mut said).await; // a reset is an end, too
    };
    let both = async { tokio::join!(drips, ended) };
    timeout(DEADLINE, both).await.expect("the server ends it");
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn a_handshake_that_comes_byte_by_byte_is_cut() {
    let app = impatient().spawn().await;
    let begun = Instant::now();
    // A head without an end, of headers as small as they can be.
    let head = format!("GET /api/v1/ws HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\n", app.address);
    let mut stream = connect(app.address).await;
    stream.write_all(head.as_bytes()).await.expect("sent");
    let said = drip(stream, b"a: b\r\n").await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
    assert!(begun.elapsed() >= LEAST, "it was given its time: {:?}", begun.elapsed());
    assert_eq!(app.metric("andon_connections{kind=\"websocket\"}").await, 0.0);
}

#[tokio::test]
async fn whoever_connects_and_says_nothing_is_cut() {
    let app = impatient().spawn().await;
    let begun = Instant::now();
    let mut said = Vec::new();
    let ended = timeout(DEADLINE, connect(app.address).await.read_to_end(&mut said)).await;
    let _ = ended.expect("the server ends it");
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&said));
    assert!(begun.elapsed() >= LEAST, "it was given its time: {:?}", begun.elapsed());
}

/// A connection that has had its answer.
async fn answered(app: &TestApp) -> TcpStream {
    let mut stream = connect(app.address).await;
    let request = format!("GET /health/live HTTP/1.1\r\nHost: {}\r\n\r\n", app.address);
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = [0; 4_096];
    let length = stream.read(&mut answer).await.expect("an answer");
    assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
    stream
}

#[tokio::test]
async fn a_second_request_that_does_not_come_to_its_end_is_cut() {
    let app = impatient().with(|s| s.http.keep_alive_ms = 1_000).spawn().await;
    let begun = Instant::now();
    let (mut stuck, mut slow) = (answered(&app).await, answered(&app).await);
    stuck.write_all(b"GET /api/v1/ws HTTP/1.1\r\nHost: ").await.expect("sent");
    slow.write_all(b"GET /api/v1/ws HTTP/1.1\r\n").await.expect("sent");
    let (mut said, slow_said) = (vec![], drip(slow, b"a: b\r\n"));
    let read = timeout(DEADLINE, stuck.read_to_end(&mut said));
    let (read, slow_said) = tokio::join!(read, slow_said);
    let _ = read.expect("the server ends it");
    assert!(said.is_empty() && slow_said.is_empty(), "{said:?} {slow_said}");
    assert!(begun.elapsed() >= Duration::from_secs(2), "it was given its time: {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_connection_that_asks_now_and_then_stays() {
    let app = impatient().with(|s| s.http.keep_alive_ms = 1_500).spawn().await;
    let mut stream = answered(&app).await;
    let request = format!("GET /health/live HTTP/1.1\r\nHost: {}\r\n\r\n", app.address);
    let mut pace = interval(Duration::from_millis(500));
    for _ in 0..12 {
        pace.tick().await;
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = [0; 4_096];
        assert_ne!(stream.read(&mut answer).await.expect("an answer"), 0);
    }
}
