//! A socket whose answers wait for a catalog that takes its time: what it does meanwhile.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev;
use actix_web::test::TestRequest;
use actix_web::web::{Bytes, Payload};
use actix_web::{FromRequest as _, rt};
use async_trait::async_trait;
use chrono::DateTime;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::SocketParts;
use super::inbound::{Inbound, Limits};
use super::socket::Socket;
use crate::broadcast::ports::{Base, Catalog, CatalogError, History, HistoryError};
use crate::broadcast::{About, Broadcaster, ConnectionId, Encoding, Outflow, Parts, Settings, Start};
use crate::bus::{self, EventBus};
use crate::clock::Clock;
use crate::domain::ids::CharacteristicId;
use crate::http::auth::{self, Principal, TokenAuthorizer};
use crate::http::tcp::Line;
use crate::metrics::Metrics;
use crate::protocol::event::{EventHeader, EventKind, LoggedEvent};
use crate::protocol::snapshot::Snapshot;
use crate::protocol::socket::Subscription;

const DEADLINE: Duration = Duration::from_secs(20);

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8A;

/// Answers one question for each permit: every key is that of 7, but `nobody`.
struct SlowCatalog {
    asked: watch::Sender<usize>,
    permits: Semaphore,
}

type Groups = HashMap<CharacteristicId, Option<String>>;

fn seven() -> CharacteristicId {
    7.try_into().expect("positive")
}

impl SlowCatalog {
    async fn ask(&self) {
        self.asked.send_modify(|asked| *asked += 1);
        self.permits.acquire().await.expect("it stays open").forget();
    }
}

#[async_trait]
impl Catalog for SlowCatalog {
    async fn ids(&self, keys: &[String]) -> Result<HashMap<String, CharacteristicId>, CatalogError> {
        self.ask().await;
        Ok(keys.iter().filter(|key| *key != "nobody").map(|key| (key.clone(), seven())).collect())
    }

    async fn groups_of(&self, _: &[CharacteristicId]) -> Result<Groups, CatalogError> {
        Ok(Groups::new())
    }

    async fn groups(&self) -> Result<Groups, CatalogError> {
        self.ask().await;
        Ok(Groups::new())
    }
}

/// Everything lies in the ring.
struct NoHistory;

#[async_trait]
impl History for NoHistory {
    async fn page(&self, _: u64, _: u32) -> Result<Vec<Arc<LoggedEvent>>, HistoryError> {
        unreachable!("the ring holds it")
    }

    async fn base(&self, _: u64) -> Result<Base, HistoryError> {
        unreachable!("the ring holds it")
    }

    async fn revisions(&self) -> Result<(u64, Vec<(CharacteristicId, u64)>), HistoryError> {
        unreachable!("the ring holds it")
    }

    async fn snapshot(&self, _: CharacteristicId) -> Result<Option<Snapshot>, HistoryError> {
        Ok(None)
    }
}

/// One client of one shard.
struct Client {
    broadcaster: Broadcaster,
    catalog: Arc<SlowCatalog>,
    bus: EventBus<Arc<LoggedEvent>>,
    head: watch::Sender<u64>,
    sent: mpsc::Sender<Bytes>,
    outflow: Outflow,
    unread: Vec<u8>,
    running: JoinHandle<()>,
    stop: CancellationToken,
}

impl Client {
    /// Connected and welcomed.
    async fn connect(settings: Settings) -> Self {
        let catalog = Arc::new(SlowCatalog { asked: watch::Sender::new(0), permits: Semaphore::new(0) });
        let bus = EventBus::new(bus::Settings { capacity: 64.try_into().expect("not zero") }, 1);
        let (head, seen_head) = watch::channel(0);
        let clock = Clock::new(|| DateTime::UNIX_EPOCH);
        let message_bytes = settings.message_bytes;
        let parts = Parts {
            bus: bus.clone(),
            history: Arc::new(NoHistory),
            catalog: Arc::clone(&catalog) as Arc<dyn Catalog>,
            head: seen_head,
            clock: clock.clone(),
            metrics: Metrics::default(),
            start: Start { epoch: "e".to_owned(), ..Start::default() },
        };
        let broadcaster = Broadcaster::new(settings, parts);
        let (task, shard) = broadcaster.shard("shard-0".to_owned());
        let stop = CancellationToken::new();
        rt::spawn(task.run(stop.clone()));
        let about = About { user: None, address: None, since: DateTime::UNIX_EPOCH };
        let (seat, outflow) = shard.seat(about, Encoding::WebSocket { deflate_from: None });
        let authorizer = TokenAuthorizer::new(&auth::Settings::default()).expect("no tokens");
        let parts = SocketParts {
            broadcaster: broadcaster.clone(),
            shard,
            clock,
            authorizer: Arc::new(authorizer),
            tracker: TaskTracker::new(),
            goodbye_timeout: Duration::ZERO,
            stop: stop.clone(),
        };
        let (sent, received) = mpsc::channel(64);
        let limits = Limits { message_bytes, deflate: false };
        let socket = Socket::new(parts, seat, Some(Principal::anonymous()));
        let running = rt::spawn(socket.run(Inbound::new(payload(received).await, limits), Line::default()));
        let unread = Vec::new();
        let mut client = Self { broadcaster, catalog, bus, head, sent, outflow, unread, running, stop };
        assert_eq!(client.next_text().await["type"], "welcome");
        client
    }

    fn subscribe(&self, chosen: &Value) {
        let mut message = json!({"type": "subscribe"});
        message.as_object_mut().expect("an object").extend(chosen.as_object().expect("an object").clone());
        self.send(TEXT, message.to_string().as_bytes());
    }

    /// Sends one frame, masked with zeros.
    fn send(&self, first: u8, payload: &[u8]) {
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..=125 => frame.push(0x80 | short as u8),
            long => {
                frame.push(0x80 | 126);
                frame.extend((long as u16).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.sent.try_send(frame.into()).expect("room for it");
    }

    /// Frames that the server has not read.
    fn unheard(&self) -> usize {
        self.sent.max_capacity() - self.sent.capacity()
    }

    /// Waits until the catalog has been asked so many questions.
    async fn catalog_is_asked(&self, count: usize) {
        let mut asked = self.catalog.asked.subscribe();
        timeout(DEADLINE, asked.wait_for(|asked| *asked == count))
            .await
            .expect("in time")
            .expect("it is there");
    }

    fn catalog_answers(&self) {
        self.catalog.permits.add_permits(1);
    }

    /// Somebody acknowledges something: an event for everybody.
    fn publish(&self, seq: u64) {
        let (characteristic_id, kind) = (seven(), EventKind::AckUpdate);
        let header = EventHeader { seq, characteristic_id, revision: seq, kind, is_history: false };
        self.head.send_replace(seq);
        self.bus.publish(Arc::new(LoggedEvent::new(header, r#"{"violation_id":1}"#))).expect("open");
    }

    /// The next frame: its first byte and its payload.
    async fn next_frame(&mut self) -> (u8, Vec<u8>) {
        loop {
            if let Some((header, length)) = header(&self.unread)
                && self.unread.len() >= header + length
            {
                let mut frame: Vec<u8> = self.unread.drain(..header + length).collect();
                return (frame[0], frame.split_off(header));
            }
            let chunk = timeout(DEADLINE, poll_fn(|context| self.outflow.poll_chunk(context))).await;
            self.unread.extend(chunk.expect("something in time").expect("the connection stands"));
        }
    }

    /// The next text; pings are answered.
    async fn next_text(&mut self) -> Value {
        loop {
            match self.next_frame().await {
                (PING, payload) => self.send(PONG, &payload),
                (TEXT, text) => return serde_json::from_slice(&text).expect("JSON"),
                (first, payload) => panic!("{first:x}: {}", String::from_utf8_lossy(&payload)),
            }
        }
    }

    /// What comes with the next so many heartbeats, and is none.
    async fn texts_beside_heartbeats(&mut self, count: usize) -> Vec<Value> {
        let (mut texts, mut heartbeats) = (vec![], 0);
        while heartbeats < count {
            match self.next_text().await {
                heartbeat if heartbeat["type"] == "heartbeat" => heartbeats += 1,
                text => texts.push(text),
            }
        }
        texts
    }

    async fn next_but_heartbeats(&mut self) -> Value {
        let next = async {
            loop {
                match self.next_text().await {
                    heartbeat if heartbeat["type"] == "heartbeat" => {}
                    text => return text,
                }
            }
        };
        timeout(DEADLINE, next).await.expect("a text in time")
    }

    /// Reads until the server says why it ends.
    async fn close_code(&mut self) -> u16 {
        let end = async {
            loop {
                if let (CLOSE, payload) = self.next_frame().await {
                    return u16::from_be_bytes([payload[0], payload[1]]);
                }
            }
        };
        timeout(DEADLINE, end).await.expect("an end in time")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.cancel();
        self.running.abort();
    }
}

async fn payload(mut received: mpsc::Receiver<Bytes>) -> Payload {
    let bytes = stream::poll_fn(move |context| received.poll_recv(context).map(|bytes| bytes.map(Ok)));
    let mut payload: dev::Payload = dev::Payload::Stream { payload: Box::pin(bytes) };
    Payload::from_request(&TestRequest::default().to_http_request(), &mut payload).await.expect("a payload")
}

/// How long the header of a frame is, and the payload after it.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes.get(1)? {
        126 => Some((4, u16::from_be_bytes(bytes.get(2..4)?.try_into().expect("two")).into())),
        short => Some((2, usize::from(*short))),
    }
}

fn settings() -> Settings {
    Settings { first_words_ms: 20, heartbeat_seconds: 0.05, ..Settings::default() }
}

/// Otherwise it would know a position from which it can no longer resume what it has not got yet.
#[actix_web::test]
async fn what_is_asked_first_is_answered_before_anything_is_told() {
    for chosen in [json!({"characteristic_keys": ["bore"]}), json!({"groups": ["plant"]})] {
        let mut client = Client::connect(settings()).await;
        let mut wanted = chosen;
        wanted["since"] = json!({"epoch": "e", "seq": 0});
        client.subscribe(&wanted);
        client.catalog_is_asked(1).await;
        client.publish(1);
        // Far longer than it would be waited for if it said nothing.
        assert_eq!(client.texts_beside_heartbeats(4).await, Vec::<Value>::new());
        client.catalog_answers();
        let told = client.texts_beside_heartbeats(2).await;
        let types: Vec<_> = told.iter().map(|text| text["type"].as_str().expect("a type")).collect();
        assert_eq!(types, ["subscribed", "ack_update", "resumed"]);
    }
}

#[actix_web::test]
async fn who_is_refused_what_it_asked_first_hears_what_happens() {
    let asked = [
        json!({"characteristic_keys": ["nobody"]}),
        json!({"characteristic_keys": ["bore"], "characteristic_ids": [1, 2]}),
    ];
    for (chosen, code) in asked.iter().zip(["invalid_field", "too_many_subscriptions"]) {
        let mut client = Client::connect(Settings { subscriptions_per_client: 2, ..settings() }).await;
        client.subscribe(chosen);
        client.catalog_is_asked(1).await;
        client.publish(1);
        assert_eq!(client.texts_beside_heartbeats(4).await, Vec::<Value>::new());
        client.catalog_answers();
        let told = [client.next_but_heartbeats().await, client.next_but_heartbeats().await];
        assert!(told.iter().any(|text| text["code"] == code), "{told:?}");
        assert!(told.iter().any(|text| text["type"] == "ack_update"), "{told:?}");
    }
}

/// An operator's subscription says nothing of where the client wants to resume.
#[actix_web::test]
async fn what_is_asked_first_is_answered_before_what_an_operator_asks_for_the_client() {
    let mut client = Client::connect(settings()).await;
    client.subscribe(&json!({"characteristic_keys": ["bore"], "since": {"epoch": "e", "seq": 0}}));
    client.catalog_is_asked(1).await;
    let broadcaster = client.broadcaster.clone();
    let order = Subscription::these(vec![8.try_into().expect("positive")]);
    let ordered = rt::spawn(async move { broadcaster.subscribe(ConnectionId(1), order).await });
    client.publish(1);
    assert_eq!(client.texts_beside_heartbeats(4).await, Vec::<Value>::new());
    client.catalog_answers();
    let mut types = vec![];
    for _ in 0..4 {
        types.push(client.next_but_heartbeats().await["type"].clone());
    }
    assert_eq!(types, ["subscribed", "ack_update", "resumed", "subscribed"]);
    ordered.await.expect("no panic").expect("it is subscribed");
}

#[actix_web::test]
async fn whatever_is_answered_first_ends_the_wait() {
    for (asked, answer) in [
        (json!({"type": "status"}), "status"),
        (json!({"type": "unsubscribe", "characteristic_ids": [7]}), "unsubscribed"),
        (json!({"type": "ping"}), "pong"),
        (json!({"type": "dance"}), "error"),
    ] {
        let patient = Settings { first_words_ms: 3_600_000, ..settings() };
        let mut client = Client::connect(patient).await;
        client.send(TEXT, asked.to_string().as_bytes());
        assert_eq!(client.next_but_heartbeats().await["type"], answer);
        client.publish(1);
        assert_eq!(client.next_but_heartbeats().await["type"], "ack_update");
    }
}

#[actix_web::test]
async fn who_says_nothing_is_told_after_a_while() {
    let mut client = Client::connect(settings()).await;
    client.publish(1);
    assert_eq!(client.next_but_heartbeats().await["type"], "ack_update");
}

#[actix_web::test]
async fn a_client_that_waits_for_an_answer_is_ponged_and_its_texts_keep_their_order() {
    let quick = Settings { ping_interval_ms: 20, pong_timeout_ms: 500, ..settings() };
    let mut client = Client::connect(quick).await;
    client.subscribe(&json!({"characteristic_keys": ["bore"]}));
    client.catalog_is_asked(1).await;
    client.send(TEXT, br#"{"type":"ping","t":1}"#);
    client.subscribe(&json!({"characteristic_ids": [8]}));
    client.send(PING, b"there?");
    let pong = loop {
        match client.next_frame().await {
            (PONG, payload) => break payload,
            (PING, payload) => client.send(PONG, &payload),
            (TEXT, _) => {}
            (first, payload) => panic!("{first:x}: {}", String::from_utf8_lossy(&payload)),
        }
    };
    assert_eq!(pong, b"there?");
    // Three times as long as it may be silent; it answers the pings meanwhile.
    assert_eq!(client.texts_beside_heartbeats(30).await, Vec::<Value>::new());
    client.catalog_answers();
    assert_eq!(client.next_but_heartbeats().await["characteristic_ids"], json!([7]));
    assert_eq!(client.next_but_heartbeats().await["t"], 1);
    assert_eq!(client.next_but_heartbeats().await["characteristic_ids"], json!([8]));
}

#[actix_web::test]
async fn a_goodbye_waits_for_no_answer() {
    let mut client = Client::connect(settings()).await;
    client.subscribe(&json!({"characteristic_keys": ["bore"]}));
    client.catalog_is_asked(1).await;
    client.send(CLOSE, &1000u16.to_be_bytes());
    assert_eq!(client.close_code().await, 1000);
}

/// What can be answered at once is, although the goodbye came together with it.
#[actix_web::test]
async fn what_was_said_before_a_goodbye_is_answered_before_it() {
    let mut client = Client::connect(settings()).await;
    client.send(TEXT, br#"{"type":"ping","t":1}"#);
    client.send(TEXT, br#"{"type":"ping","t":2}"#);
    client.send(CLOSE, &1000u16.to_be_bytes());
    assert_eq!(client.next_but_heartbeats().await["t"], 1);
    assert_eq!(client.next_but_heartbeats().await["t"], 2);
    assert_eq!(client.close_code().await, 1000);
}

#[actix_web::test]
async fn who_says_more_than_may_wait_is_read_later_and_not_blamed_for_it() {
    let narrow = Settings { message_bytes: 200, ping_interval_ms: 50, pong_timeout_ms: 300, ..settings() };
    let mut client = Client::connect(narrow).await;
    client.subscribe(&json!({"characteristic_keys": ["bore"]}));
    client.catalog_is_asked(1).await;
    let long = "x".repeat(150);
    let ping = |number: u32| json!({"type": "ping", "t": [number, &long]}).to_string();
    for number in 1..=5 {
        client.send(TEXT, ping(number).as_bytes());
    }
    // Three times as long as it may be silent: the answers to its pings stand behind what is not read.
    assert_eq!(client.texts_beside_heartbeats(20).await, Vec::<Value>::new());
    assert!(client.unheard() >= 3, "of five pings one or two fit");
    client.catalog_answers();
    assert_eq!(client.next_but_heartbeats().await["type"], "subscribed");
    for number in 1..=5 {
        assert_eq!(client.next_but_heartbeats().await["t"][0], number);
    }
    // Now it is listened to again: if it answers no ping, it is let go.
    assert_eq!(client.close_code().await, 4009);
}
