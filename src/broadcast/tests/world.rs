//! A shard with a small ring, a log that is shortened, and clients that read when they like.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chrono::DateTime;
use futures_util::FutureExt as _;
use serde_json::Value;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

use super::client::{Listening, Memory, Wish};
use super::database::{Database, Kind};
use crate::broadcast::connection::{About, Connection, Shared};
use crate::broadcast::encoding::Encoding;
use crate::broadcast::feed::{Feed, Need};
use crate::broadcast::local::Local;
use crate::broadcast::ports::History;
use crate::broadcast::pulse::Pulse;
use crate::broadcast::settings::Settings;
use crate::broadcast::shard::{Arrived, Base, Beginning, Outcome, Pulled, Shard, run_length};
use crate::broadcast::snapshots::Snapshots;
use crate::broadcast::subscriptions::ConnectionId;
use crate::broadcast::tally::Tally;
use crate::bus::{self, EventBus};
use crate::clock::Clock;
use crate::domain::ids::CharacteristicId;
use crate::metrics::{Metrics, Waiting};
use crate::protocol::event::{EventHeader, EventKind, LoggedEvent};
use crate::protocol::frame;
use crate::protocol::socket::{Filter, Position, Subscription, Unsubscription, Welcome};

pub const EPOCH: &str = "e";
pub const CHARACTERISTICS: i64 = 4;

/// One client with its connection, if it has one.
#[derive(Default)]
pub struct Client {
    pub memory: Memory,
    pub shared: Option<Rc<Shared>>,
    /// What its attendant has read and not handed over yet.
    read: Option<Arrived>,
    unread: BytesMut,
}

pub struct World {
    database: Database,
    bus: EventBus<Arc<LoggedEvent>>,
    head: watch::Sender<u64>,
    local: Rc<Local>,
    shard: Shard,
    snapshots: Arc<Snapshots>,
    pub clients: Vec<Client>,
    /// Every alert so far: position, characteristic, revision, kind.
    pub alerts: Vec<(u64, i64, u64, Kind)>,
    /// The newest event of the present of each characteristic.
    newest: BTreeMap<i64, (u64, Kind)>,
    now: Instant,
    next_connection: u64,
}

fn id(raw: i64) -> CharacteristicId {
    raw.try_into().expect("positive")
}

fn settings() -> Settings {
    Settings {
        alert_queue_bytes: 1_500,
        sample_queue_bytes: 600,
        write_bytes: 400,
        page_events: 5,
        snapshots_per_page: 2,
        // Nobody is let go here: the model is about those who stay.
        stall_timeout_ms: u64::MAX / 4_000,
        pong_timeout_ms: u64::MAX / 4_000,
        ..Settings::default()
    }
}

impl World {
    pub fn new(clients: usize) -> Self {
        let (settings, database) = (Arc::new(settings()), Database::default());
        let (head, seen_head) = watch::channel(0);
        let metrics = Metrics::default();
        let local = Rc::new(Local {
            settings,
            epoch: EPOCH.into(),
            clock: Clock::new(|| DateTime::UNIX_EPOCH),
            metrics: metrics.clone(),
            waiting: Waiting::default(),
            head: seen_head,
            processed: Cell::new(0),
            tally: RefCell::new(Tally::default()),
            dirty: RefCell::default(),
            is_pressed: Cell::new(false),
            scratch: RefCell::new(BytesMut::new()),
        });
        let bus = EventBus::new(bus::Settings { capacity: 16.try_into().expect("not zero") }, 1);
        let history: Arc<dyn History> = Arc::new(database.clone());
        let kept = 8.try_into().expect("not zero");
        let snapshots = Arc::new(Snapshots::new(history, Arc::new(Semaphore::new(4)), metrics, kept));
        let shared = (Arc::clone(&snapshots), Arc::default());
        let shard = Shard::new(Rc::clone(&local), bus.clone(), shared, Beginning::default());
        let clients = (0..clients).map(|_| Client::default()).collect();
        let (alerts, newest) = (vec![], BTreeMap::new());
        let now = Instant::now();
        Self {
            database,
            bus,
            head,
            local,
            shard,
            snapshots,
            clients,
            alerts,
            newest,
            now,
            next_connection: 1,
        }
    }

    /// Commits an event and puts it on the bus.
    pub fn publish(&mut self, characteristic: i64, kind: Kind) {
        let (name, payload) = kind.event();
        let event = self.database.log(|log| {
            let revision = log.revisions.entry(characteristic).or_default();
            *revision += 1;
            let header = EventHeader {
                seq: log.events.len() as u64 + 1,
                characteristic_id: id(characteristic),
                revision: *revision,
                kind: name,
                is_history: kind == Kind::History,
            };
            log.events.push(Arc::new(LoggedEvent::new(header, &payload)));
            Arc::clone(log.events.last().expect("just pushed"))
        });
        let seq = event.seq;
        if kind.is_alert() {
            self.alerts.push((seq, characteristic, event.revision, kind));
        }
        if kind != Kind::History {
            self.newest.insert(characteristic, (seq, kind));
        }
        self.head.send_replace(seq);
        self.bus.publish(event).expect("open");
    }

    /// The shard takes up to so many events; where the ring has lost them, from the log.
    pub fn deliver(&mut self, most: usize) {
        let after = self.local.processed.get();
        let page = self.database.page(after, most as u32).now_or_never().expect("at once");
        // Retention never passes what a shard has still to tell: the log is only shortened behind it here.
        let page = page.expect("not removed");
        let mut rest = &page[..];
        while let Some((run, after)) = rest.split_at_checked(run_length(rest).max(1)) {
            self.shard.on_run(run, self.now);
            self.local.processed.set(run.last().expect("some").seq);
            rest = after;
        }
        self.local.flush();
    }

    /// Retention removes the oldest events, as far as every shard has them behind it.
    pub fn shorten(&mut self, by: u64) {
        let most = self.local.processed.get();
        self.database.log(|log| log.floor = (log.floor + by).min(most));
    }

    pub fn pass_time(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.shard.tick(self.now);
        self.shard.release(self.now);
    }

    pub fn connect(&mut self, client: usize) {
        if self.clients[client].shared.is_some() {
            return;
        }
        let about = About { user: None, address: None, since: DateTime::UNIX_EPOCH };
        let encoding = Encoding::WebSocket { deflate_from: None };
        let pulse = Pulse::new(self.now, self.local.rhythm(), 0.5);
        let state = RefCell::new(Connection::new(about, encoding, pulse));
        let connection = ConnectionId(self.next_connection);
        self.next_connection += 1;
        let shared = Rc::new(Shared {
            id: connection,
            state,
            news: Notify::new(),
            is_dirty: Cell::new(false),
            is_left: Cell::new(false),
        });
        let welcome = Welcome {
            connection_id: connection.0,
            protocol: 1,
            epoch: EPOCH.to_owned(),
            seq: 0,
            heartbeat_seconds: 15.0,
            server_time: DateTime::UNIX_EPOCH,
            user: None,
        };
        self.shard.join(&shared, welcome, self.now);
        self.clients[client].memory.connect();
        self.clients[client].shared = Some(shared);
        if !self.clients[client].memory.listening.is_empty() {
            self.resume(client);
        }
    }

    /// It asks for everything again that it listens to.
    fn resume(&mut self, client: usize) {
        let memory = &self.clients[client].memory;
        let Some(seq) = memory.position else { return self.subscribe_again(client, None) };
        self.subscribe_again(client, Some(Position { epoch: EPOCH.to_owned(), seq }));
    }

    fn subscribe_again(&mut self, client: usize, since: Option<Position>) {
        let listening = &self.clients[client].memory.listening;
        let Some(Listening { wish, .. }) = listening.values().next() else { return };
        let (wish, ids) = (*wish, listening.keys().map(|raw| id(*raw)).collect());
        if let Some(since) = &since {
            self.clients[client].memory.resume(since.seq);
        }
        let subscription = Subscription { since, ..wished(Subscription::these(ids), wish) };
        self.ask(client, &subscription);
        // A snapshot that was asked for before the break has to be asked for again.
        let listening = &self.clients[client].memory.listening;
        let awaited: Vec<_> =
            listening.iter().filter(|(_, one)| one.awaits_snapshot).map(|(raw, _)| id(*raw)).collect();
        if !awaited.is_empty() {
            self.ask(client, &Subscription { snapshot: true, ..wished(Subscription::these(awaited), wish) });
        }
    }

    /// A first subscription of these, or another one of the same connection.
    pub fn subscribe(&mut self, client: usize, ids: &[i64], wish: Wish, snapshot: bool) {
        if self.clients[client].shared.is_none() {
            return;
        }
        let after = self.local.processed.get();
        let listening = &mut self.clients[client].memory.listening;
        // One wish for all, so that they can resume with one message.
        let wish = listening.values().next().map_or(wish, |known| known.wish);
        let ids: Vec<i64> = ids
            .iter()
            .copied()
            .filter(|raw| listening.get(raw).is_none_or(|known| !known.is_leaving))
            .collect();
        // Two answers to one question could not be told apart.
        let snapshot =
            snapshot && !ids.iter().any(|raw| listening.get(raw).is_some_and(|one| one.awaits_snapshot));
        for raw in &ids {
            let new = Listening {
                wish,
                after,
                is_confirmed: false,
                revision: None,
                covered: 0,
                covered_here: 0,
                awaits_snapshot: false,
                is_leaving: false,
            };
            let known = listening.entry(*raw).or_insert(new);
            known.awaits_snapshot |= snapshot;
        }
        let subscription = Subscription::these(ids.iter().map(|raw| id(*raw)).collect());
        self.ask(client, &Subscription { snapshot, ..wished(subscription, wish) });
    }

    pub fn unsubscribe(&mut self, client: usize, ids: &[i64]) {
        let Some(shared) = self.clients[client].shared.clone() else { return };
        let listening = &mut self.clients[client].memory.listening;
        let ids: Vec<i64> = ids.iter().copied().filter(|raw| listening.contains_key(raw)).collect();
        for raw in &ids {
            listening.get_mut(raw).expect("it is there").is_leaving = true;
        }
        let leaving = Unsubscription { ids: ids.iter().map(|raw| id(*raw)).collect(), groups: vec![] };
        self.shard.unsubscribe(&shared, &leaving, self.now);
    }

    fn ask(&mut self, client: usize, subscription: &Subscription) {
        let shared = self.clients[client].shared.clone().expect("connected");
        if subscription.since.is_none() {
            self.clients[client].memory.asked.push_back(subscription.snapshot);
        }
        let mut base = Base::Unread;
        loop {
            match self.shard.subscribe(&shared, subscription, base.clone(), self.now) {
                Outcome::Answered | Outcome::Late => break,
                Outcome::Later => {
                    shared.state.borrow_mut().is_awaited = true;
                    self.deliver(1);
                    self.take(client, 1);
                    self.read_from_database(client);
                    self.hand_over(client);
                }
                Outcome::NeedsBase { after } => {
                    base = match self.database.base(after).now_or_never().expect("at once") {
                        Ok(read) => Base::Read { head: read.head, first_after: read.first_after },
                        Err(_) => Base::Passed,
                    };
                }
            }
        }
        shared.state.borrow_mut().is_awaited = false;
    }

    /// Somebody else begins to read a snapshot.
    pub fn begin_snapshot(&self, of: i64) {
        self.database.log(|log| log.begin_snapshot(of));
    }

    /// The client's attendant reads what the connection needs.
    pub fn read_from_database(&mut self, client: usize) {
        let Some(shared) = self.clients[client].shared.clone() else { return };
        let need = match &shared.state.borrow().feed {
            Feed::Replay(replay) => replay.need.clone(),
            Feed::Live => None,
        };
        let arrived = match need {
            Some(Need::Page { after }) => {
                let page = self.database.page(after, self.local.settings.page_events);
                Arrived::Page { after, page: page.now_or_never().expect("at once") }
            }
            Some(Need::Snapshots(wanted)) => {
                let read = |(of, at_least): (CharacteristicId, u64)| {
                    let found = self.snapshots.read(of, at_least).now_or_never().expect("at once");
                    (of, found.expect("readable"))
                };
                Arrived::Snapshots(wanted.into_iter().map(read).collect())
            }
            _ => return,
        };
        self.clients[client].read = Some(arrived);
    }

    /// What was read reaches the shard, perhaps long after.
    pub fn hand_over(&mut self, client: usize) {
        let Some(shared) = self.clients[client].shared.clone() else { return };
        if let Some(arrived) = self.clients[client].read.take() {
            self.shard.arrived(&shared, arrived, self.now);
        }
    }

    /// The client's socket takes so many chunks, and the client reads them.
    pub fn take(&mut self, client: usize, chunks: usize) -> usize {
        let Some(shared) = self.clients[client].shared.clone() else { return 0 };
        let mut taken = 0;
        while taken < chunks {
            let chunk = shared.state.borrow_mut().write(self.now, &self.local);
            if let Some(chunk) = chunk {
                taken += 1;
                self.clients[client].unread.extend_from_slice(&chunk);
            } else if self.shard.pull(&shared, self.now) == Pulled::Nothing {
                break;
            }
        }
        self.read(client);
        if shared.state.borrow().farewell.is_some() {
            self.drop_connection(client);
        }
        taken
    }

    fn read(&mut self, client: usize) {
        let Client { unread, memory, .. } = &mut self.clients[client];
        while let Some(message) = next_text(unread) {
            memory.hear(&message, &self.alerts);
        }
        assert!(unread.is_empty(), "whole frames");
    }

    /// The connection breaks: what was not taken is lost.
    pub fn drop_connection(&mut self, client: usize) {
        if let Some(shared) = self.clients[client].shared.take() {
            self.shard.leave(&shared);
            self.shard.discard(&shared);
        }
        self.clients[client].read = None;
    }

    /// Nobody's queue is larger than the settings allow.
    pub fn assert_bounded(&self) {
        let settings = &self.local.settings;
        let largest = 200;
        let page = settings.page_events as usize * largest;
        let most = settings.alert_queue_bytes + settings.sample_queue_bytes + page + 40 * largest;
        for client in &self.clients {
            let Some(shared) = &client.shared else { continue };
            let (_, bytes) = shared.state.borrow().lanes.depth();
            assert!(bytes <= most, "{bytes} bytes wait");
        }
    }

    /// Everything is delivered, everybody reads everything: nobody misses an alert, or the newest sample.
    pub fn settle(&mut self) {
        self.deliver(usize::MAX >> 33);
        for client in 0..self.clients.len() {
            self.connect(client);
        }
        for _ in 0..2_000 {
            self.pass_time(1_000);
            let mut is_quiet = true;
            for client in 0..self.clients.len() {
                is_quiet &= self.take(client, 1_000) == 0;
                self.read_from_database(client);
                is_quiet &= self.clients[client].read.is_none() && self.clients[client].shared.is_some();
                self.connect(client);
                self.hand_over(client);
            }
            if is_quiet {
                return self.assert_complete();
            }
        }
        panic!("it never comes to rest");
    }

    fn assert_complete(&self) {
        for (number, client) in self.clients.iter().enumerate() {
            let missed: Vec<_> = self.alerts.iter().filter(|alert| client.memory.misses(**alert)).collect();
            assert!(missed.is_empty(), "client {number} misses {missed:?}");
            for (raw, listening) in &client.memory.listening {
                assert!(
                    listening.is_leaving || !listening.awaits_snapshot,
                    "client {number} waits for the snapshot of {raw}"
                );
                let Some((seq, Kind::Sample)) = self.newest.get(raw) else { continue };
                let is_due = listening.wish != Wish::Violations
                    && *seq > listening.after.max(client.memory.resumed_from);
                let revision = self.database.log(|log| log.events[*seq as usize - 1].revision);
                let is_known =
                    client.memory.newest_sample.get(raw) == Some(seq) || revision <= listening.covered;
                assert!(!is_due || is_known, "client {number} does not know sample {seq} of {raw}");
            }
        }
    }
}

fn wished(subscription: Subscription, wish: Wish) -> Subscription {
    match wish {
        Wish::Everything => subscription,
        Wish::Violations => {
            subscription.filtered(Filter { types: Some(vec![EventKind::Violation]), ..Filter::default() })
        }
        Wish::Paced => subscription.filtered(Filter { sample_max_hz: Some(2.0), ..Filter::default() }),
    }
}

/// The next text message, if there is one; pings are passed over.
fn next_text(bytes: &mut BytesMut) -> Option<Value> {
    loop {
        let (header, length) = match *bytes.get(1)? {
            126 => (4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
            short => (2, usize::from(short)),
        };
        let whole: Bytes = bytes.split_to(header + length).freeze();
        if whole[0] == 0x81 {
            return Some(serde_json::from_slice(&frame::message(&whole)).expect("JSON"));
        }
    }
}
