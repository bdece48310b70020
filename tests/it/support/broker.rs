//! MQTT brokers: a double that fails as a test says, and Mosquitto.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use andon::notify::contract::{FarEnd, Mood};
use andon::notify::mqtt::{Encryption, Settings};
use async_trait::async_trait;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::far_end::{Port, serving};
use super::{DEADLINE, eventually};

/// Reasons of MQTT 5.
const SUCCESS: u8 = 0;
const TOPIC_NAME_INVALID: u8 = 0x90;
const QUOTA_EXCEEDED: u8 = 0x97;

#[derive(Debug, Default)]
struct Shared {
    mood: Mutex<Option<Mood>>,
    taken: Mutex<Vec<String>>,
}

/// A double of a broker, without subscribers. It listens until it is dropped.
pub struct TestBroker {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    port: Port,
}

impl TestBroker {
    /// One that takes everything.
    pub async fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let port = Port::start(serving(&shared, talk)).await;
        Self { address: port.address, shared, port }
    }

    /// The way there, with little patience.
    pub fn settings(&self) -> Settings {
        impatient(self.address.port())
    }
}

/// A broker of this machine, without encryption.
pub fn impatient(port: u16) -> Settings {
    Settings {
        server: "localhost".to_owned(),
        port: Some(port),
        encryption: Encryption::None,
        connect_timeout_ms: 1_000,
        reconnect_ms: 10,
        max_reconnect_ms: 50,
        ..Settings::default()
    }
}

#[async_trait]
impl FarEnd for TestBroker {
    async fn set(&self, mood: Mood) -> bool {
        *self.shared.mood.lock().expect("not poisoned") = Some(mood);
        self.port.set(mood, serving(&self.shared, talk)).await;
        true
    }

    async fn taken(&self) -> Vec<String> {
        self.shared.taken.lock().expect("not poisoned").clone()
    }
}

async fn talk(stream: TcpStream, shared: Arc<Shared>) {
    let _ = serve(stream, &shared).await; // nothing: the connection is over
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> Option<()> {
    let mood = shared.mood.lock().expect("not poisoned").unwrap_or(Mood::Takes);
    loop {
        let (head, body) = packet(&mut stream).await?;
        match head >> 4 {
            1 => stream.write_all(&[0x20, 3, 0, SUCCESS, 0]).await.ok()?, // CONNECT, CONNACK
            3 => {
                let topic_bytes = usize::from(u16::from_be_bytes([body[0], body[1]]));
                let topic = String::from_utf8(body[2..2 + topic_bytes].to_vec()).expect("UTF-8");
                let id = &body[2 + topic_bytes..4 + topic_bytes];
                let reason = match mood {
                    _ if topic.ends_with("/status") => SUCCESS,
                    Mood::Busy => QUOTA_EXCEEDED,
                    Mood::Refuses => TOPIC_NAME_INVALID,
                    Mood::Hangs => continue,
                    Mood::Breaks | Mood::Absent => return None,
                    Mood::Takes => SUCCESS,
                };
                if reason == SUCCESS && !topic.ends_with("/status") {
                    let start = body.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                    shared.taken.lock().expect("not poisoned").push(name(&body[start..]));
                }
                stream.write_all(&[0x40, 3, id[0], id[1], reason]).await.ok()?; // PUBACK
            }
            12 => stream.write_all(&[0xD0, 0]).await.ok()?, // PINGREQ, PINGRESP
            _ => return None,
        }
    }
}

/// The name that stands in a payload, behind whatever else is in its packet.
fn name(packet: &[u8]) -> String {
    let text = String::from_utf8_lossy(packet);
    let (_, json) = text.split_at(text.find("{\"").expect("JSON"));
    let payload: Value = serde_json::from_str(json).expect("JSON");
    payload["delivery_id"].as_str().expect("a name").to_owned()
}

async fn packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let head = stream.read_u8().await.ok()?;
    let (mut length, mut shift) = (0usize, 0);
    loop {
        let byte = stream.read_u8().await.ok()?;
        length |= usize::from(byte & 0x7F) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

/// Mosquitto in a process of its own; it ends when this is dropped.
pub struct Mosquitto {
    pub port: u16,
    program: String,
    folder: TempDir,
    process: Option<Child>,
}

impl Mosquitto {
    /// Of these lines of configuration, beside its port; the folder is for files that they name.
    pub async fn start(program: &str, configuration: impl FnOnce(&Path) -> String) -> Self {
        let folder = TempDir::new().expect("a folder");
        // Mosquitto cannot be asked for a free port.
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let rest = configuration(folder.path());
        std::fs::write(folder.path().join("mosquitto.conf"), format!("listener {port} 127.0.0.1\n{rest}\n"))
            .expect("written");
        let mut mosquitto = Self { port, program: program.to_owned(), folder, process: None };
        mosquitto.begin().await;
        mosquitto
    }

    /// The same again, after an end.
    pub async fn begin(&mut self) {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.folder.path().join("mosquitto.conf"));
        command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        self.process = Some(command.spawn().expect("Mosquitto starts"));
        let port = self.port;
        eventually("Mosquitto listens", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
    }

    /// It is gone.
    pub async fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await.expect("killed");
        }
    }
}

/// A message as somebody else's library hears it.
#[derive(Debug, Clone)]
pub struct Message(pub Value);

impl Message {
    pub fn topic(&self) -> &str {
        self.0["topic"].as_str().expect("a topic")
    }

    /// The payload, as JSON.
    pub fn payload(&self) -> Value {
        serde_json::from_str(self.0["payload"].as_str().expect("text")).expect("JSON")
    }
}

/// Listens to a broker by Python's library.
pub struct MqttListener {
    lines: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl MqttListener {
    /// Begins, and waits until it listens.
    pub async fn start(python: &str, port: u16, filter: &str, authority: Option<&PathBuf>) -> Self {
        let mut command = Command::new(python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/mqtt_listener.py"));
        command.args([&port.to_string(), filter]).args(authority);
        let mut process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("Python starts");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut listener = Self { lines, _process: process };
        assert_eq!(listener.next().await.0["subscribed"], true);
        listener
    }

    /// The next message.
    pub async fn next(&mut self) -> Message {
        let line = timeout(DEADLINE, self.lines.next_line()).await.expect("a message in time").expect("text");
        Message(serde_json::from_str(&line.expect("it runs")).expect("JSON"))
    }

    /// The next message on a topic that ends like that; others are passed over.
    pub async fn next_on(&mut self, end: &str) -> Message {
        loop {
            let message = self.next().await;
            if message.topic().ends_with(end) {
                return message;
            }
        }
    }

    /// Whether nothing comes for a while.
    pub async fn stays_silent(&mut self) -> bool {
        timeout(Duration::from_millis(300), self.lines.next_line()).await.is_err()
    }
}
