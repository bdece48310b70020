//! A webhook's receiver: a small HTTP server that behaves as a test says, and remembers what it was told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use andon::notify::contract::{FarEnd, Mood};
use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::far_end::{Port, serving};

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

#[derive(Debug, Default)]
struct Shared {
    mood: Mutex<Option<Mood>>,
    /// The head of every answer, instead of what the mood says.
    answer: Mutex<Option<String>>,
    requests: Mutex<Vec<Request>>,
    taken: Mutex<Vec<String>>,
}

/// It listens until it is dropped.
pub struct TestWebhook {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    port: Port,
}

impl TestWebhook {
    /// One that takes everything.
    pub async fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let port = Port::start(serving(&shared, serve)).await;
        Self { address: port.address, shared, port }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hooks/andon", self.address)
    }

    /// From now on it answers with this head, such as `HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1`.
    pub fn answer(&self, head: &str) {
        *self.shared.answer.lock().expect("not poisoned") = Some(head.to_owned());
    }

    /// Everything that it was told, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("not poisoned").clone()
    }

    /// The names of what it has taken, in order, with repetitions.
    pub fn names(&self) -> Vec<String> {
        self.shared.taken.lock().expect("not poisoned").clone()
    }
}

#[async_trait]
impl FarEnd for TestWebhook {
    async fn set(&self, mood: Mood) -> bool {
        *self.shared.mood.lock().expect("not poisoned") = Some(mood);
        self.port.set(mood, serving(&self.shared, serve)).await;
        true
    }

    async fn taken(&self) -> Vec<String> {
        self.names()
    }

    fn secrets(&self) -> Vec<String> {
        vec!["/hooks/andon".to_owned(), self.address.port().to_string()]
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut received = Vec::new();
    while let Some(request) = next_request(&mut stream, &mut received).await {
        let mood = shared.mood.lock().expect("not poisoned").unwrap_or(Mood::Takes);
        let (name, path) = (request.header("webhook-id").to_owned(), request.path.clone());
        shared.requests.lock().expect("not poisoned").push(request);
        let answer = shared.answer.lock().expect("not poisoned").clone();
        let head = match (answer, mood) {
            (Some(head), _) => head,
            (None, Mood::Busy) => "HTTP/1.1 503 Service Unavailable".to_owned(),
            (None, Mood::Refuses) => "HTTP/1.1 422 Unprocessable Content".to_owned(),
            (None, Mood::Hangs) => return std::future::pending().await,
            (None, Mood::Breaks | Mood::Absent) => return,
            (None, Mood::Takes) => {
                shared.taken.lock().expect("not poisoned").push(name);
                "HTTP/1.1 204 No Content".to_owned()
            }
        };
        // Who refuses says what was called, as many servers do, and does not come to an end.
        let body = if head.starts_with("HTTP/1.1 2") {
            "Content-Length: 0\r\n\r\n".to_owned()
        } else {
            format!("Content-Length: 1000\r\n\r\nnothing at {path}")
        };
        let answer = format!("{head}\r\n{body}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The next request of a connection; `None`: there is none.
async fn next_request(stream: &mut TcpStream, received: &mut Vec<u8>) -> Option<Request> {
    let end = loop {
        if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        receive(stream, received).await?;
    };
    let head = String::from_utf8(received[..end].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: HashMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(Some(0), |length| length.parse().ok())?;
    while received.len() < end + 4 + length {
        receive(stream, received).await?;
    }
    let rest = received.split_off(end + 4 + length);
    let body = String::from_utf8(received.split_off(end + 4)).ok()?;
    *received = rest;
    Some(Request { path, headers, body })
}

async fn receive(stream: &mut TcpStream, received: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 16_384];
    let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
    received.extend_from_slice(&chunk[..read]);
    Some(())
}
