//! Clients that only listen, written against the contract alone: they share nothing with `andon::client`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use andon::protocol::event::EventKind;
use futures_util::{SinkExt as _, StreamExt as _};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

use super::DEADLINE;
use super::raw::is_held;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What one listener heard before its connection ended.
#[derive(Debug, Default)]
pub struct Heard {
    pub events: BTreeMap<i64, Value>,
    pub close_code: Option<u16>,
}

/// A subscription to all that happens, also what only they are told who ask for it.
fn everything() -> Value {
    json!({"type": "subscribe", "all": true, "filter": {"types": EventKind::ALL}})
}

/// Listens to everything until the connection ends.
pub async fn listen(address: SocketAddr) -> JoinHandle<Heard> {
    let url = format!("ws://{address}/api/v1/ws");
    let (mut stream, _) = connect_async(url).await.expect("a handshake");
    let subscribe = everything().to_string();
    stream.send(Message::text(subscribe)).await.expect("sent");
    tokio::spawn(async move {
        let mut heard = Heard::default();
        while let Some(Ok(message)) = stream.next().await {
            match message {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).expect("JSON");
                    if let Some(seq) = message["revision"].as_i64().and(message["seq"].as_i64()) {
                        let newest = heard.events.keys().next_back().copied();
                        assert!(
                            newest.is_none_or(|newest| newest + 1 == seq),
                            "no gap and no repeat at {seq}"
                        );
                        heard.events.insert(seq, message);
                    }
                }
                Message::Close(frame) => heard.close_code = frame.map(|frame| frame.code.into()),
                _ => {}
            }
        }
        heard
    })
}

/// How a listener behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It stays until the connection breaks.
    Patient,
    /// It also ends its connections by itself, in the middle of whatever comes.
    Restless { seed: u64 },
    /// It stays, and now and then reads nothing for up to this time; little goes unread into its kernel.
    Stalling { seed: u64, longest: Duration },
}

/// What a stalling listener's kernel takes unread, and of how many messages one makes it pause.
const STALLED_WINDOW: u32 = 16 << 10;
const STALLS_ONCE_IN: u32 = 2_000;

/// After such a silence, a listener looks whether its server is still there.
const SILENCE: Duration = Duration::from_secs(5);

/// Listens to everything and resumes after each break, whoever serves; finds any repeat, gap or disorder by itself.
pub struct ResumingListener {
    running: JoinHandle<Account>,
    until: watch::Sender<Option<u64>>,
    position: watch::Receiver<Option<u64>>,
    whereabouts: Arc<Mutex<Whereabouts>>,
}

/// What a listener was doing, for who wonders why it gets no further.
#[derive(Debug)]
struct Whereabouts {
    manner: Manner,
    connection: Option<(SocketAddr, SocketAddr)>,
    doing: String,
    since: Instant,
}

impl Whereabouts {
    fn now(&mut self, doing: impl Into<String>) {
        (self.doing, self.since) = (doing.into(), Instant::now());
    }

    /// The kernel gives up a connection whose client takes nothing without a word to that client; the contract has
    /// clients notice the silence.
    fn is_given_up_by_the_server(&self) -> bool {
        self.connection.is_some_and(|(local, server)| !is_held(server, local))
    }
}

impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { manner, connection, doing, since } = self;
        write!(f, "{manner:?}, connected {connection:?}, for {:?}: {doing}", since.elapsed())?;
        let Some((local, _)) = connection else { return Ok(()) };
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        let port = format!(":{:04X} ", local.port());
        table.lines().filter(|line| line.contains(&port)).try_for_each(|line| write!(f, "\n{line}"))
    }
}

/// Stands for a message of the log, of which a long test hears millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of a message as the log has it.
    pub fn of(message: &Value) -> Self {
        let mut hasher = DefaultHasher::new();
        message.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// What a listener heard over all its connections, as the log has it (without `skipped`).
#[derive(Debug, Default)]
pub struct Account {
    /// It was told what came after this position.
    pub beginning: u64,
    pub alerts: BTreeMap<u64, Fingerprint>,
    pub samples: BTreeMap<u64, Fingerprint>,
    pub connections: usize,
    /// Events that `resumed` told to have been missed.
    pub replayed: u64,
    epoch: Option<String>,
    /// The highest position received: where it resumes.
    position: u64,
    revisions: HashMap<i64, u64>,
}

impl ResumingListener {
    /// Begins, and waits until it listens.
    pub async fn start(address: SocketAddr, manner: Manner) -> Self {
        let (until, last) = watch::channel(None);
        let (reached, mut position) = watch::channel(None);
        let whereabouts =
            Whereabouts { manner, connection: None, doing: String::new(), since: Instant::now() };
        let whereabouts = Arc::new(Mutex::new(whereabouts));
        let running = tokio::spawn(run(address, manner, last, reached, Arc::clone(&whereabouts)));
        timeout(DEADLINE, position.wait_for(Option::is_some)).await.expect("in time").expect("it listens");
        Self { running, until, position, whereabouts }
    }

    /// Ends when it has heard this position, which must exist; gives its account. However much it has to catch up with,
    /// it gets on.
    pub async fn up_to(mut self, seq: u64) -> Account {
        self.until.send_replace(Some(seq));
        loop {
            let position = *self.position.borrow();
            let is_further = self.position.wait_for(|reached| *reached > position);
            match timeout(DEADLINE, is_further).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return self.running.await.expect("finds no mistake"), // it has ended
                Err(_) => {
                    let whereabouts = self.whereabouts.lock().expect("no panic");
                    panic!("it gets no further than {position:?}, and {seq} is there: {whereabouts}")
                }
            }
        }
    }
}

async fn run(
    address: SocketAddr,
    manner: Manner,
    mut until: watch::Receiver<Option<u64>>,
    reached: watch::Sender<Option<u64>>,
    whereabouts: Arc<Mutex<Whereabouts>>,
) -> Account {
    let now = |doing: &str| whereabouts.lock().expect("no panic").now(doing);
    let mut account = Account::default();
    let mut random = StdRng::seed_from_u64(match manner {
        Manner::Patient => address.port().into(),
        Manner::Restless { seed } | Manner::Stalling { seed, .. } => seed,
    });
    let window = matches!(manner, Manner::Stalling { .. }).then_some(STALLED_WINDOW);
    loop {
        now("connecting");
        let mut socket = connect(address, window, &mut random).await;
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            whereabouts.lock().expect("no panic").connection =
                stream.local_addr().ok().zip(stream.peer_addr().ok());
        }
        now("subscribing");
        account.connections += 1;
        let subscribe = account.subscription().to_string();
        let _ = socket.send(Message::text(subscribe)).await; // if it is gone already, reading tells
        let leaves_at = match manner {
            Manner::Patient | Manner::Stalling { .. } => None,
            Manner::Restless { .. } => {
                Some(Instant::now() + Duration::from_millis(random.random_range(5..150)))
            }
        };
        let mut is_answered = false;
        loop {
            if until.borrow_and_update().is_some_and(|last| account.position >= last) {
                return account;
            }
            let leave = async {
                match leaves_at {
                    Some(moment) => sleep_until(moment).await,
                    None => std::future::pending().await,
                }
            };
            let next = tokio::select! {
                next = socket.next() => next,
                _ = until.changed() => continue,
                () = leave => break,
                () = sleep(SILENCE) => {
                    if whereabouts.lock().expect("no panic").is_given_up_by_the_server() {
                        break;
                    }
                    continue;
                }
            };
            match next {
                Some(Ok(Message::Text(text))) => {
                    account.hear(&text, &mut is_answered);
                    now(&text[..text.floor_char_boundary(100)]);
                    reached.send_replace(account.epoch.as_ref().map(|_| account.position));
                    if let Manner::Stalling { longest, .. } = manner
                        && until.borrow().is_none() // in the end it hurries
                        && random.random_ratio(1, STALLS_ONCE_IN)
                    {
                        now("taking a rest");
                        sleep(longest.mul_f64(random.random())).await; // that is the point
                        now("after a rest");
                    }
                }
                Some(Ok(other)) => now(&format!("{other:?}")),
                Some(Err(_)) | None => break,
            }
        }
    }
}

/// Tries until somebody is there; `window` bounds the receive buffer.
async fn connect(address: SocketAddr, window: Option<u32>, random: &mut StdRng) -> Socket {
    let url = format!("ws://{address}/api/v1/ws");
    let connect_once = async || {
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Some(bytes) = window {
            socket.set_recv_buffer_size(bytes).expect("a receive buffer");
        }
        let stream = socket.connect(address).await.ok()?;
        client_async(&url, MaybeTlsStream::Plain(stream)).await.ok()
    };
    let tries = async {
        loop {
            if let Some((socket, _)) = connect_once().await {
                return socket;
            }
            // Nobody announces that a server is there again.
            sleep(Duration::from_millis(random.random_range(1..30))).await;
        }
    };
    timeout(DEADLINE, tries).await.expect("a server in time")
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, alerts, samples, replayed, .. } = self;
        let (alerts, samples) = (alerts.len(), samples.len());
        write!(f, "{connections} connections: {alerts} alerts, {samples} samples, {replayed} events replayed")
    }
}

impl Account {
    /// What the log holds after the beginning is what was heard: all alerts, and samples as they were.
    pub fn assert_complete(&self, log: &[(bool, Fingerprint)]) {
        let after = log.iter().zip(1..).skip(self.beginning as usize);
        let alerts = after.filter(|((is_sample, _), _)| !is_sample).map(|((_, event), seq)| (seq, *event));
        let heard = self.alerts.iter().map(|(seq, event)| (*seq, *event));
        let first_wrong = alerts.clone().zip(heard.clone()).find(|(due, heard)| due != heard);
        assert!(alerts.eq(heard), "every alert, once and in order; at {first_wrong:?}");
        for (seq, sample) in &self.samples {
            assert_eq!(log.get(*seq as usize - 1), Some(&(true, *sample)), "sample {seq}");
        }
    }

    fn subscription(&self) -> Value {
        match &self.epoch {
            Some(epoch) => {
                let mut subscription = everything();
                subscription["since"] = json!({"epoch": epoch, "seq": self.position});
                subscription
            }
            None => everything(),
        }
    }

    fn hear(&mut self, text: &str, is_answered: &mut bool) {
        let message: Value = serde_json::from_str(text).expect("JSON");
        match message["type"].as_str().expect("a type") {
            "subscribed" => {
                self.on_subscribed(&message);
                *is_answered = true;
            }
            "resumed" => self.replayed += message["replayed"].as_u64().expect("a number"),
            "error" => panic!("{message}"),
            _ if message["revision"].is_u64() => {
                assert!(*is_answered, "an event before the answer to the subscription: {message}");
                self.on_event(message);
            }
            _ => {}
        }
    }

    fn on_subscribed(&mut self, answer: &Value) {
        let (epoch, seq) = (answer["epoch"].as_str().expect("an epoch"), answer["seq"].as_u64());
        let revisions = answer["revisions"].as_object().expect("revisions").iter();
        let revisions: HashMap<i64, u64> =
            revisions.map(|(id, n)| (id.parse().expect("an id"), n.as_u64().expect("a number"))).collect();
        match &self.epoch {
            Some(known) => {
                assert_eq!((known.as_str(), &answer["recovered"]), (epoch, &json!(true)), "nothing is lost");
                for (id, had) in &self.revisions {
                    let base = revisions.get(id).unwrap_or_else(|| panic!("{id} is gone: {answer}"));
                    assert!(base >= had, "{id} begins again at {base}, and {had} was there");
                }
            }
            None => {
                self.epoch = Some(epoch.to_owned());
                self.beginning = seq.expect("a position");
                self.position = self.beginning;
            }
        }
        self.revisions.extend(revisions);
    }

    fn on_event(&mut self, mut message: Value) {
        let number = |name: &str| message[name].as_u64().unwrap_or(0);
        let (seq, revision, skipped) = (number("seq"), number("revision"), number("skipped"));
        let newest = self.revisions.entry(message["characteristic_id"].as_i64().expect("an id")).or_insert(0);
        assert_eq!(revision, *newest + 1 + skipped, "after {newest}: {message}");
        *newest = revision;
        message.as_object_mut().expect("an object").remove("skipped");
        let kept = if message["type"] == "sample" {
            &mut self.samples
        } else {
            assert!(seq > self.position, "an alert after {}: {message}", self.position);
            &mut self.alerts
        };
        assert!(kept.insert(seq, Fingerprint::of(&message)).is_none(), "{seq} came twice");
        self.position = self.position.max(seq);
    }
}
