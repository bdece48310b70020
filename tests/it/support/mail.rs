//! Mail servers: a double that fails wherever a test says, and a real one in Python.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use andon::notify::contract::{FarEnd, Mood};
use andon::notify::email::{Encryption, Settings};
use async_trait::async_trait;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::DEADLINE;
use super::far_end::{Port, serving};

#[derive(Debug, Default)]
struct Shared {
    mood: Mutex<Option<Mood>>,
    /// What is answered to a command, instead of what the mood says; empty: the connection ends.
    answers: Mutex<HashMap<&'static str, String>>,
    taken: Mutex<Vec<(String, String)>>,
    connections: Mutex<usize>,
}

/// A double. It listens until it is dropped.
pub struct TestMailServer {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    port: Port,
}

impl TestMailServer {
    /// One that takes everything.
    pub async fn start() -> Self {
        let shared = Arc::<Shared>::default();
        let port = Port::start(serving(&shared, talk)).await;
        Self { address: port.address, shared, port }
    }

    /// Mails of this server to one recipient.
    pub fn settings(&self) -> Settings {
        Settings {
            server: "127.0.0.1".to_owned(),
            port: Some(self.address.port()),
            encryption: Encryption::None,
            from: "Andon <andon@example.com>".to_owned(),
            to: vec!["Ann <ann@example.com>".to_owned()],
            ..Settings::default()
        }
    }

    /// From now on a command is answered like that, `mail` being the mail itself; nothing: the connection ends.
    pub fn answer(&self, command: &'static str, answer: &str) {
        self.shared.answers.lock().expect("not poisoned").insert(command, answer.to_owned());
    }

    /// From now on everything is taken again.
    pub fn takes_everything(&self) {
        self.shared.answers.lock().expect("not poisoned").clear();
    }

    /// Recipients and mails that it has taken.
    pub fn mails(&self) -> Vec<(String, String)> {
        self.shared.taken.lock().expect("not poisoned").clone()
    }

    /// How often somebody has connected.
    pub fn connections(&self) -> usize {
        *self.shared.connections.lock().expect("not poisoned")
    }
}

#[async_trait]
impl FarEnd for TestMailServer {
    async fn set(&self, mood: Mood) -> bool {
        *self.shared.mood.lock().expect("not poisoned") = Some(mood);
        self.port.set(mood, serving(&self.shared, talk)).await;
        true
    }

    async fn taken(&self) -> Vec<String> {
        let name = |mail: &str| {
            let line =
                mail.lines().find_map(|line| line.strip_prefix("Message-ID: <")).expect("it has a name");
            line.split('@').next().expect("before the host").to_owned()
        };
        self.mails().iter().map(|(_, mail)| name(mail)).collect()
    }
}

async fn talk(stream: TcpStream, shared: Arc<Shared>) {
    let _ = serve(stream, &shared).await; // nothing: the connection is over
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> Option<()> {
    *shared.connections.lock().expect("not poisoned") += 1;
    let mood = shared.mood.lock().expect("not poisoned").unwrap_or(Mood::Takes);
    let answer = |command: &str, usual: &str| {
        let said = shared.answers.lock().expect("not poisoned").get(command).cloned();
        let said = said.unwrap_or_else(|| usual.to_owned());
        (!said.is_empty()).then(|| format!("{said}\r\n"))
    };
    let (reading, mut writing) = stream.split();
    let mut lines = BufReader::new(reading).lines();
    writing.write_all(answer("hello", "220 double ESMTP")?.as_bytes()).await.ok()?;
    let mut recipient = String::new();
    loop {
        let line = lines.next_line().await.ok()??;
        let command = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let said = match command.as_str() {
            "EHLO" => answer("EHLO", "250-double\r\n250-SMTPUTF8\r\n250 8BITMIME"),
            "RCPT" => {
                recipient = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                let usual = match mood {
                    Mood::Busy => "451 later",
                    Mood::Refuses => "550 no such user",
                    _ => "250 fine",
                };
                answer("RCPT", usual)
            }
            "DATA" => {
                let go_on = answer("DATA", "354 go on")?;
                writing.write_all(go_on.as_bytes()).await.ok()?;
                if !go_on.starts_with('3') {
                    continue;
                }
                let mail = mail(&mut lines).await?;
                let said = match mood {
                    Mood::Hangs => return std::future::pending().await,
                    Mood::Breaks => None,
                    _ => answer("mail", "250 taken as 4711"),
                };
                if said.as_ref().is_some_and(|said| said.starts_with('2')) {
                    shared.taken.lock().expect("not poisoned").push((recipient.clone(), mail));
                }
                said
            }
            "QUIT" => return None,
            other => answer(if other == "MAIL" { "MAIL" } else { "other" }, "250 fine"),
        };
        writing.write_all(said?.as_bytes()).await.ok()?;
    }
}

async fn mail(lines: &mut Lines<BufReader<tokio::net::tcp::ReadHalf<'_>>>) -> Option<String> {
    let mut mail = String::new();
    loop {
        match lines.next_line().await.ok()?? {
            line if line == "." => return Some(mail),
            line => mail.extend([line.strip_prefix('.').unwrap_or(&line), "\n"]),
        }
    }
}

/// What a real mail server has received, as Python's mail parser reads it.
#[derive(Debug, Clone)]
pub struct Received(pub Value);

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.0["headers"][name].as_str().unwrap_or_default()
    }

    /// The content of the first part of this type.
    pub fn part(&self, media_type: &str) -> &Value {
        let parts = self.0["parts"].as_array().expect("parts").iter();
        parts.clone().find(|part| part["type"] == media_type).expect("a part of this type")
    }
}

/// A real mail server in a process of its own; it ends when this is dropped.
pub struct MailServer {
    pub port: u16,
    /// Who has signed its certificate.
    pub authority: PathBuf,
    lines: Lines<BufReader<ChildStdout>>,
    _process: Child,
    _folder: TempDir,
}

impl MailServer {
    /// With a login, only who logs in may send.
    pub async fn start(python: &str, encryption: &str, login: Option<(&str, &str)>) -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut command = Command::new(python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/smtp.py")).arg(encryption);
        command.arg(folder.path());
        if let Some((name, password)) = login {
            command.args([name, password]);
        }
        let mut process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("Python starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let line = timeout(DEADLINE, lines.next_line()).await.expect("in time").expect("text");
        let told: Value = serde_json::from_str(&line.expect("a line")).expect("JSON");
        let port = told["port"].as_u64().expect("a number") as u16;
        let authority = told["ca"].as_str().expect("a path").into();
        Self { port, authority, lines, _process: process, _folder: folder }
    }

    /// The next mail that it receives.
    pub async fn next(&mut self) -> Received {
        let line = timeout(DEADLINE, self.lines.next_line()).await.expect("a mail in time").expect("text");
        Received(serde_json::from_str(&line.expect("it runs")).expect("JSON"))
    }

    /// Whether it receives nothing for a while.
    pub async fn stays_empty(&mut self) -> bool {
        timeout(Duration::from_millis(300), self.lines.next_line()).await.is_err()
    }
}
