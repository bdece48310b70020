//! A node with one shard: a log and a catalog that answer when the test lets them, and clients that read frame by frame.

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::database::Database;
use crate::broadcast::connection::About;
use crate::broadcast::encoding::Encoding;
use crate::broadcast::ports::{Base, Catalog, CatalogError, History, HistoryError};
use crate::broadcast::{Broadcaster, Outflow, Parts, Seat, Settings, ShardHandle, Start};
use crate::bus::{self, EventBus};
use crate::clock::Clock;
use crate::domain::ids::CharacteristicId;
use crate::metrics::Metrics;
use crate::protocol::event::{EventHeader, EventKind, LoggedEvent};
use crate::protocol::snapshot::Snapshot;
use crate::protocol::socket::{Position, Subscription};

const EPOCH: &str = "e";
/// What the ring holds.
pub const RING: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not zero");

const PATIENCE: Duration = Duration::from_secs(600); // of a clock that stands still while anybody works

type Groups = HashMap<CharacteristicId, Option<String>>;

/// Groups, told to as many as there are permits.
struct SlowCatalog {
    groups: Mutex<Groups>,
    permits: Semaphore,
}

impl SlowCatalog {
    async fn all(&self) -> Groups {
        self.permits.acquire().await.expect("open").forget();
        self.groups.lock().expect("nobody panics with it").clone()
    }
}

#[async_trait]
impl Catalog for SlowCatalog {
    async fn ids(&self, _: &[String]) -> Result<HashMap<String, CharacteristicId>, CatalogError> {
        Ok(HashMap::new())
    }

    async fn groups_of(&self, ids: &[CharacteristicId]) -> Result<Groups, CatalogError> {
        let all = self.all().await;
        Ok(all.into_iter().filter(|(id, _)| ids.contains(id)).collect())
    }

    async fn groups(&self) -> Result<Groups, CatalogError> {
        Ok(self.all().await)
    }
}

/// The log; snapshots take their time, and pages are told to as many as there are permits.
struct SlowHistory {
    log: Database,
    pub pages: Arc<Semaphore>,
}

#[async_trait]
impl History for SlowHistory {
    async fn page(&self, after: u64, limit: u32) -> Result<Vec<Arc<LoggedEvent>>, HistoryError> {
        self.pages.acquire().await.expect("open").forget();
        self.log.page(after, limit).await
    }

    async fn base(&self, after: u64) -> Result<Base, HistoryError> {
        self.log.base(after).await
    }

    async fn revisions(&self) -> Result<(u64, Vec<(CharacteristicId, u64)>), HistoryError> {
        self.log.revisions().await
    }

    async fn snapshot(&self, id: CharacteristicId) -> Result<Option<Snapshot>, HistoryError> {
        sleep(Duration::from_millis(20)).await;
        self.log.snapshot(id).await
    }
}

/// A node with one shard, on this thread.
pub struct Node {
    bus: EventBus<Arc<LoggedEvent>>,
    head: watch::Sender<u64>,
    log: Database,
    catalog: Arc<SlowCatalog>,
    pub pages: Arc<Semaphore>,
    pub broadcaster: Broadcaster,
    pub shard: ShardHandle,
}

pub fn id(raw: i64) -> CharacteristicId {
    raw.try_into().expect("positive")
}

pub fn ids(raw: &[i64]) -> Subscription {
    Subscription::these(raw.iter().map(|raw| id(*raw)).collect())
}

pub fn groups(paths: &[&str]) -> Subscription {
    Subscription::groups(paths.iter().map(|path| (*path).to_owned()).collect())
}

pub fn since(seq: u64, subscription: Subscription) -> Subscription {
    Subscription { since: Some(Position { epoch: EPOCH.to_owned(), seq }), ..subscription }
}

impl Node {
    /// Of these characteristics the shard knows from its start; the catalog answers at once.
    pub fn start(known: &[(i64, &str)]) -> Self {
        let groups: Groups = known.iter().map(|(raw, group)| (id(*raw), Some((*group).to_owned()))).collect();
        let (head, seen_head) = watch::channel(0);
        let (log, pages) = (Database::default(), Arc::new(Semaphore::new(1_000)));
        let bus = EventBus::new(bus::Settings { capacity: RING }, 1);
        let catalog =
            Arc::new(SlowCatalog { groups: Mutex::new(groups.clone()), permits: Semaphore::new(1_000) });
        let start = Start {
            epoch: EPOCH.to_owned(),
            seq: 0,
            revisions: vec![],
            groups: groups.into_iter().collect(),
        };
        let parts = Parts {
            bus: bus.clone(),
            history: Arc::new(SlowHistory { log: log.clone(), pages: Arc::clone(&pages) }),
            catalog: Arc::clone(&catalog) as Arc<dyn Catalog>,
            head: seen_head,
            clock: Clock::new(|| DateTime::UNIX_EPOCH),
            metrics: Metrics::default(),
            start,
        };
        let settings = Settings { first_words_ms: 0, ..Settings::default() };
        let broadcaster = Broadcaster::new(settings, parts);
        let (task, shard) = broadcaster.shard("only".to_owned());
        tokio::task::spawn_local(task.run(CancellationToken::new()));
        Self { bus, head, log, catalog, pages, broadcaster, shard }
    }

    /// The catalog answers so many more and no others.
    pub async fn let_catalog_answer(&self, times: usize) {
        self.catalog.permits.forget_permits(usize::MAX >> 4);
        self.catalog.permits.add_permits(times);
    }

    /// A characteristic that was made after the start.
    pub fn put(&self, raw: i64, group: &str) {
        self.catalog.groups.lock().expect("nobody panics with it").insert(id(raw), Some(group.to_owned()));
    }

    /// Commits an event and publishes it; gives its position.
    pub fn publish(&self, raw: i64, kind: EventKind, payload: &Value) -> u64 {
        let event = self.log.log(|log| {
            let revision = log.revisions.entry(raw).or_default();
            *revision += 1;
            let (seq, revision) = (log.events.len() as u64 + 1, *revision);
            let header = EventHeader { seq, characteristic_id: id(raw), revision, kind, is_history: false };
            let event = Arc::new(LoggedEvent::new(header, &payload.to_string()));
            log.events.push(Arc::clone(&event));
            event
        });
        let seq = event.seq;
        self.head.send_replace(seq);
        self.bus.publish(event).expect("the bus is open");
        seq
    }

    pub fn violation(&self, raw: i64) -> u64 {
        let payload = json!({"id": 1, "rule_id": 1, "severity": "CRITICAL"});
        self.publish(raw, EventKind::Violation, &payload)
    }

    pub fn sample(&self, raw: i64) -> u64 {
        self.publish(raw, EventKind::Sample, &json!({}))
    }

    pub fn changes(&self, raw: i64, changes: &Value) -> u64 {
        self.publish(raw, EventKind::CharacteristicUpdate, &json!({"changes": changes}))
    }

    pub async fn connect(&self) -> Client {
        let mut client = self.connect_as(Encoding::WebSocket { deflate_from: None }).await;
        assert_eq!(client.next().await["type"], "welcome");
        client
    }

    pub async fn connect_as(&self, encoding: Encoding) -> Client {
        let about = About { user: None, address: None, since: DateTime::UNIX_EPOCH };
        let (seat, outflow) = self.shard.seat(about, encoding);
        seat.welcome(None);
        seat.end_silence();
        Client { seat, outflow, unread: Bytes::new() }
    }
}

/// A connection.
pub struct Client {
    pub seat: Seat,
    pub outflow: Outflow,
    unread: Bytes,
}

impl Client {
    pub async fn chunk(&mut self) -> Bytes {
        let Self { seat, outflow, .. } = self;
        let chunk = async {
            tokio::select! {
                chunk = poll_fn(|context| outflow.poll_chunk(context)) => chunk.expect("it is not over"),
                code = seat.attend() => panic!("ended: {code:?}"),
            }
        };
        timeout(PATIENCE, chunk).await.expect("something comes")
    }

    /// The first byte of the next frame, and its payload.
    pub async fn frame(&mut self) -> (u8, Bytes) {
        if self.unread.is_empty() {
            self.unread = self.chunk().await;
        }
        let (header, length) = match self.unread[1] {
            126 => (4, usize::from(u16::from_be_bytes([self.unread[2], self.unread[3]]))),
            short => (2, usize::from(short)),
        };
        let mut frame = self.unread.split_to(header + length);
        (frame[0], frame.split_off(header))
    }

    /// The next message but signs of life.
    pub async fn next(&mut self) -> Value {
        loop {
            let (first, payload) = self.frame().await;
            if first != 0x81 {
                continue; // a ping
            }
            let message: Value = serde_json::from_slice(&payload).expect("JSON");
            if message["type"] != "heartbeat" {
                return message;
            }
        }
    }

    /// Subscribes, and gives the answer, or what else comes first.
    pub async fn subscribe(&mut self, subscription: Subscription) -> Value {
        self.seat.subscribe(&subscription).await;
        self.next().await
    }

    /// The next message of a type; others are passed over.
    pub async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// The positions of the next events, up to this one.
    pub async fn positions_up_to(&mut self, last: u64) -> Vec<u64> {
        let mut positions = vec![];
        while positions.last() != Some(&last) {
            let message = self.next().await;
            positions.extend(message["revision"].as_u64().and(message["seq"].as_u64()));
        }
        positions
    }

    /// Whether nothing has come for a while.
    pub async fn hears_nothing(&mut self) -> bool {
        timeout(Duration::from_secs(5), self.next()).await.is_err()
    }
}

pub fn revisions(answer: &Value) -> BTreeMap<String, u64> {
    serde_json::from_value(answer["revisions"].clone()).expect("revisions")
}

/// Runs a story on a thread that shards can live on.
pub async fn story<T>(story: impl Future<Output = T>) -> T {
    LocalSet::new().run_until(story).await
}
