//! Samples in over HTTP, durable, all eight rules on: rates, latencies, and the floors beside them in one run.
//!
//! * `store alone`: the same samples through the services, without HTTP: what judging and committing cost.
//! * `no database`: the same requests against a path that answers at once: what the HTTP round trip costs.
//!
//! On SQLite, or on PostgreSQL where `BENCH_POSTGRES` is the address of an empty database.
//! Clients are plain threads with blocking sockets, in this process and on the same processors as the server.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a benchmark prints and times"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use andon::app::App;
use andon::domain::ids::CharacteristicId;
use andon::domain::sample::Mode;
use andon::services::{CharacteristicRef, NewSample, SpcEngine};
use andon::settings::Settings;
use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

const CLIENTS: usize = 64;
const CHARACTERISTICS: usize = 64;
const RUN: Duration = Duration::from_secs(5);

/// One keep-alive connection.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    fn send(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut status, mut length, mut line) = (0, 0, String::new());
        loop {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            if line == "\r\n" {
                break;
            }
            if line.starts_with("HTTP/1.1 ") {
                status = line[9..12].parse().unwrap();
            } else if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        (status, String::from_utf8(body).unwrap())
    }
}

/// Deterministic values around 10, mostly in control.
fn value(n: u64) -> f64 {
    let noise = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 40;
    10.0 + (noise % 4_000) as f64 / 1_000.0 - 2.0
}

fn quantile(sorted: &[Duration], q: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * q) as usize].as_secs_f64() * 1e3
}

/// `CLIENTS` threads send `request(client, n)` for a while; prints and returns requests per second.
fn load(
    name: &str,
    address: SocketAddr,
    request: impl Fn(usize, u64) -> (&'static str, String) + Sync,
) -> f64 {
    let done = AtomicBool::new(false);
    let started = Instant::now();
    let mut latencies: Vec<Duration> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (request, done) = (&request, &done);
                scope.spawn(move || {
                    let (mut connection, mut times) = (Client::connect(address), Vec::new());
                    for n in 0.. {
                        if done.load(Ordering::Relaxed) {
                            break;
                        }
                        let (path, body) = request(client, n);
                        let sent = Instant::now();
                        let (status, body) =
                            connection.send(if body.is_empty() { "GET" } else { "POST" }, path, &body);
                        assert!((200..300).contains(&status), "{status} {body}");
                        times.push(sent.elapsed());
                    }
                    times
                })
            })
            .collect();
        thread::sleep(RUN);
        done.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let rate = latencies.len() as f64 / started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let (p50, p99) = (quantile(&latencies, 0.5), quantile(&latencies, 0.99));
    println!("{name:<44} {rate:>9.0} /s   p50 {p50:>7.2} ms   p99 {p99:>7.2} ms");
    rate
}

fn sample(client: usize, n: u64) -> String {
    let id = client % CHARACTERISTICS + 1;
    format!(r#"{{"characteristic_id":{id},"measurements":[{}]}}"#, value(n * 64 + client as u64))
}

async fn store_alone(engine: &SpcEngine) -> f64 {
    let started = Instant::now();
    let mut recorded = 0u64;
    while started.elapsed() < RUN {
        let mut waiting = Vec::new();
        for n in 0..1_000u64 {
            let id = CharacteristicId::try_from(n as i64 % CHARACTERISTICS as i64 + 1).unwrap();
            let sample = NewSample {
                characteristic: CharacteristicRef::Id(id),
                measurements: vec![value(recorded + n)],
                timestamp: None,
                mode: Mode::Live,
                key: None,
                batch: None,
                operator: None,
                metadata: None,
            };
            waiting.push(engine.queue(sample).await.unwrap());
        }
        for sample in waiting {
            sample.recorded().await.unwrap().unwrap();
            recorded += 1;
        }
    }
    recorded as f64 / started.elapsed().as_secs_f64()
}

/// One sample at a time on an idle system: from the start of the POST to the frame at a WebSocket client.
async fn post_to_receipt(address: SocketAddr) {
    let (mut socket, _) =
        tokio_tungstenite::connect_async(format!("ws://{address}/api/v1/ws")).await.unwrap();
    socket.next().await.unwrap().unwrap(); // welcome
    let subscribe = r#"{"type":"subscribe","characteristic_ids":[1]}"#;
    futures_util::SinkExt::send(&mut socket, subscribe.into()).await.unwrap();
    socket.next().await.unwrap().unwrap(); // subscribed
    let (ask, asked) = std::sync::mpsc::channel::<u64>();
    let poster = thread::spawn(move || {
        let mut client = Client::connect(address);
        for n in asked {
            let body = format!(r#"{{"characteristic_id":1,"measurements":[{}]}}"#, value(n));
            assert_eq!(client.send("POST", "/api/v1/samples", &body).0, 201);
        }
    });
    let mut times = Vec::new();
    for n in 0..1_000 {
        let sent = Instant::now();
        ask.send(n).unwrap();
        loop {
            let frame = socket.next().await.unwrap().unwrap();
            if frame.to_text().is_ok_and(|text| text.starts_with(r#"{"type":"sample""#)) {
                break;
            }
        }
        times.push(sent.elapsed());
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    drop(ask);
    poster.join().unwrap();
    times.sort_unstable();
    let (p50, p99) = (quantile(&times, 0.5), quantile(&times, 0.99));
    println!(
        "{:<44} {:>12}   p50 {p50:>7.2} ms   p99 {p99:>7.2} ms",
        "POST to WebSocket receipt, idle, durable", ""
    );
}

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    let directory =
        tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or_else(|_| ".".to_owned())).unwrap();
    let mut settings = Settings::default();
    settings.http.listen = "127.0.0.1:0".to_owned();
    // An empty database on PostgreSQL, or a file of its own.
    let file = format!("sqlite://{}", directory.path().join("bench.db").display());
    settings.store.url = std::env::var("BENCH_POSTGRES").unwrap_or(file);
    let app = App::builder(settings).build().await.unwrap();
    let (address, engine, stop) = (app.address(), app.engine(), CancellationToken::new());
    let running = tokio::spawn(app.run(stop.clone()));
    tokio::task::spawn_blocking(move || {
        let mut client = Client::connect(address);
        for n in 1..=CHARACTERISTICS {
            let body = format!(r#"{{"name":"c{n}","rules":{{"preset":"nelson"}}}}"#);
            assert_eq!(client.send("POST", "/api/v1/characteristics", &body).0, 201);
            let path = format!("/api/v1/characteristics/{n}/control-limits");
            assert_eq!(client.send("PUT", &path, r#"{"center_line":10,"sigma":1}"#).0, 200);
        }
    })
    .await
    .unwrap();

    post_to_receipt(address).await;
    let (floor, single, batch) = tokio::task::spawn_blocking(move || {
        let floor = load("no database: GET /health/live, 64 clients", address, |_, _| {
            ("/health/live", String::new())
        });
        let single =
            load("single posts, 64 clients", address, |client, n| ("/api/v1/samples", sample(client, n)));
        let batches = load("batches of 1,000, 64 clients (batches)", address, |client, n| {
            let samples: Vec<String> = (0..1_000).map(|i| sample(client + i, n)).collect();
            ("/api/v1/samples/batch", format!(r#"{{"samples":[{}]}}"#, samples.join(",")))
        });
        (floor, single, batches * 1_000.0)
    })
    .await
    .unwrap();
    let alone = store_alone(&engine).await;
    println!("{:<44} {batch:>9.0} /s", "batches of 1,000: samples");
    println!("{:<44} {alone:>9.0} /s", "store alone: samples");
    println!(
        "batches reach {:.0} % of the store alone; single posts {:.0} % of no database",
        batch / alone * 100.0,
        single / floor * 100.0
    );
    stop.cancel();
    running.await.unwrap().unwrap();
}
