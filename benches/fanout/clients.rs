//! Many WebSocket clients on one thread: each counts what it gets, and checks that nothing is missing or out of order.
//!
//! Raw sockets and a scratch buffer for all: a client costs little beside the server that is measured. A fault is kept
//! and told at the end; nothing here judges times.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream as Blocking};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::histogram::Histogram;
use crate::load::{Load, now};
use crate::wire::{self, EventHead};

/// How long one step of connecting may take.
const STEP: Duration = Duration::from_secs(10);

/// What one read takes at most.
const READ: usize = 256 << 10;

/// Faults that are told one by one.
const TOLD: usize = 5;

/// No event of this characteristic has been seen, and nobody has said where it stands.
const UNKNOWN: u64 = u64::MAX;

/// How a client listens.
#[derive(Debug, Clone, Default)]
pub struct Listening {
    /// What it subscribes to when it connects; nothing: it says more itself.
    pub topics: Vec<u64>,
    /// The receive buffer of its socket; 0: as the kernel likes.
    pub receive_bytes: usize,
    /// Its latencies are not counted.
    pub is_untimed: bool,
}

/// One client.
pub struct Client {
    stream: TcpStream,
    listening: Listening,
    /// The beginning of a frame whose end has not come yet.
    partial: Vec<u8>,
    /// By characteristic.
    revisions: Vec<u64>,
    /// Events that it has got.
    pub delivered: u64,
    /// Events that it was told of as skipped.
    pub skipped: u64,
    /// Events that it should have got or been told of.
    due: u64,
    /// It does not read.
    pub is_stalled: bool,
    /// With which code it was closed; 0: without one.
    pub closed: Option<u16>,
    /// The last message that is neither an event nor a heartbeat, and when it came.
    pub answer: Option<(Value, u64)>,
}

impl Client {
    /// What it still waits for.
    pub fn missing(&self) -> u64 {
        self.due.saturating_sub(self.delivered + self.skipped)
    }
}

/// All clients of one server.
pub struct Clients {
    poll: Poll,
    ready: Events,
    scratch: Vec<u8>,
    all: Vec<Client>,
    /// From publishing to reading.
    pub latency: Histogram,
    /// Sum over all clients that read.
    missing: u64,
    faults: Vec<String>,
    faults_in_all: usize,
}

impl Clients {
    pub fn new() -> Self {
        Self {
            poll: Poll::new().unwrap(),
            ready: Events::with_capacity(1_024),
            scratch: vec![0; READ],
            all: Vec::new(),
            latency: Histogram::default(),
            missing: 0,
            faults: Vec::new(),
            faults_in_all: 0,
        }
    }

    /// Connects one more client, and waits until it is subscribed; gives its number.
    pub fn connect(&mut self, address: SocketAddr, listening: Listening) -> usize {
        let (stream, received) =
            handshake(address, &listening).unwrap_or_else(|e| panic!("no handshake: {e}"));
        stream.set_read_timeout(None).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut stream = TcpStream::from_std(stream);
        let index = self.all.len();
        self.poll.registry().register(&mut stream, Token(index), Interest::READABLE).unwrap();
        let is_subscribing = !listening.topics.is_empty();
        self.all.push(Client {
            stream,
            listening,
            partial: received,
            revisions: Vec::new(),
            delivered: 0,
            skipped: 0,
            due: 0,
            is_stalled: false,
            closed: None,
            answer: None,
        });
        let deadline = Instant::now() + STEP;
        let word = if is_subscribing { "subscribed" } else { "welcome" };
        self.read(index);
        let has_come = |all: &[Client]| all[index].answer.as_ref().is_some_and(|(it, _)| it["type"] == word);
        while !has_come(&self.all) {
            assert!(Instant::now() < deadline, "a client is not {word}: {:?}", self.all[index].answer);
            self.turn();
        }
        index
    }

    pub fn all(&self) -> &[Client] {
        &self.all
    }

    /// Says something for a client.
    pub fn say(&mut self, index: usize, text: &str) {
        self.all[index].answer = None;
        self.all[index].stream.write_all(&wire::masked(wire::TEXT, text.as_bytes())).unwrap();
    }

    /// Expects the events of a load that is about to be published; gives how many deliveries are due to clients that
    /// read.
    pub fn expect(&mut self, load: &Load) -> u64 {
        let mut due = 0;
        for client in &mut self.all {
            let topics: BTreeSet<_> = client.listening.topics.iter().collect();
            if client.closed.is_some() {
                continue;
            }
            let events: u64 = topics.into_iter().map(|topic| load.events_of(*topic)).sum();
            client.due += events;
            if !client.is_stalled {
                due += events;
            }
        }
        self.missing += due;
        due
    }

    /// These do not read any more, whatever comes.
    pub fn stall(&mut self, indices: &[usize]) {
        for &index in indices {
            self.all[index].is_stalled = true;
            self.missing -= self.all[index].missing();
        }
    }

    /// Those who stalled read again.
    pub fn unstall(&mut self) {
        for index in 0..self.all.len() {
            if self.all[index].is_stalled {
                self.all[index].is_stalled = false;
                self.missing += self.all[index].missing();
                self.read(index);
            }
        }
    }

    /// One client goes, and is no more.
    pub fn leave(&mut self, index: usize) {
        let client = self.all.swap_remove(index);
        assert_eq!(index, self.all.len(), "the last one goes first");
        self.missing -= client.missing();
    }

    /// Nobody who reads waits for anything.
    pub fn are_complete(&self) -> bool {
        self.missing == 0
    }

    /// Reads until `is_done`, or the time is over.
    pub fn read_until(&mut self, most: Duration, is_done: impl Fn(&Self) -> bool) -> bool {
        let deadline = Instant::now() + most;
        while !is_done(self) {
            if Instant::now() > deadline {
                return false;
            }
            self.turn();
        }
        true
    }

    /// What was lost or wrong: of clients that read, and were not closed if that `may_close`.
    pub fn faults(&self, may_close: bool) -> Vec<String> {
        let mut faults = self.faults.clone();
        if self.faults_in_all > faults.len() {
            faults.push(format!("{} faults in all", self.faults_in_all));
        }
        let waiting =
            |client: &&Client| !client.is_stalled && client.closed.is_none() && client.missing() > 0;
        let (clients, missing) =
            self.all.iter().filter(waiting).fold((0, 0), |(n, sum), client| (n + 1, sum + client.missing()));
        if missing > 0 {
            faults.push(format!("{clients} clients miss {missing} events in all"));
        }
        let closed: Vec<u16> = self.all.iter().filter_map(|client| client.closed).collect();
        if !may_close && let Some(code) = closed.first() {
            faults.push(format!("{} clients were let go, the first with code {code}", closed.len()));
        }
        faults
    }

    fn turn(&mut self) {
        const LOOK: Duration = Duration::from_millis(100);
        let mut ready = std::mem::replace(&mut self.ready, Events::with_capacity(0));
        match self.poll.poll(&mut ready, Some(LOOK)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            polled => polled.unwrap(),
        }
        for event in &ready {
            self.read(event.token().0);
        }
        self.ready = ready;
    }

    /// Reads all that is there.
    fn read(&mut self, index: usize) {
        let mut scratch = std::mem::take(&mut self.scratch);
        loop {
            let client = &mut self.all[index];
            if client.is_stalled || client.closed.is_some() {
                break;
            }
            let kept = client.partial.len();
            if scratch.len() < kept + READ {
                scratch.resize(kept + READ, 0);
            }
            scratch[..kept].copy_from_slice(&client.partial);
            client.partial.clear();
            let read = match client.stream.read(&mut scratch[kept..]) {
                Ok(0) => {
                    self.close(index, 0);
                    break;
                }
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => {
                    self.close(index, 0);
                    break;
                }
            };
            let is_last = kept + read < scratch.len();
            self.take(index, &scratch[..kept + read]);
            if is_last {
                break; // what comes later makes it ready again
            }
        }
        self.scratch = scratch;
    }

    /// Takes whole frames, and keeps what is left.
    fn take(&mut self, index: usize, bytes: &[u8]) {
        let (now, mut at) = (now(), 0);
        while let Some((opcode, payload, whole)) = wire::frame(&bytes[at..]) {
            at += whole;
            match opcode {
                wire::TEXT => match wire::event(payload) {
                    Some(head) => self.count(index, &head, now),
                    None => self.hear(index, payload, now),
                },
                wire::PING => {
                    let _ = self.all[index].stream.write_all(&wire::masked(wire::PONG, payload));
                }
                wire::CLOSE => {
                    let code = payload.first_chunk().map_or(0, |code| u16::from_be_bytes(*code));
                    self.close(index, code);
                    return;
                }
                opcode => self.fault(format!("client {index} got a frame of kind {opcode:#x}")),
            }
        }
        self.all[index].partial.extend_from_slice(&bytes[at..]);
    }

    fn count(&mut self, index: usize, head: &EventHead, now: u64) {
        let client = &mut self.all[index];
        let before = client.missing();
        client.delivered += 1;
        client.skipped += head.skipped;
        self.missing -= before - client.missing();
        if head.stamp > 0 && !client.listening.is_untimed {
            self.latency.record(now.saturating_sub(head.stamp));
        }
        let topic = usize::try_from(head.topic).expect("few characteristics");
        if topic >= client.revisions.len() {
            client.revisions.resize(topic + 1, UNKNOWN);
        }
        let before = std::mem::replace(&mut client.revisions[topic], head.revision);
        if before != UNKNOWN && head.revision != before + 1 + head.skipped {
            self.fault(format!("client {index} got {head:?} after revision {before}"));
        }
    }

    fn hear(&mut self, index: usize, text: &[u8], now: u64) {
        let Ok(message) = serde_json::from_slice::<Value>(text) else {
            let text = String::from_utf8_lossy(text);
            return self.fault(format!("client {index} cannot read {text}"));
        };
        if message.get("revision").is_some() && message["type"] != "snapshot" {
            return self.fault(format!("client {index} cannot read the event {message}"));
        }
        if message["type"] == "heartbeat" {
            return;
        }
        let client = &mut self.all[index];
        let is_new = message["type"] == "subscribed" && message.get("recovered").is_none();
        for (topic, revision) in message["revisions"].as_object().filter(|_| is_new).into_iter().flatten() {
            let topic: usize = topic.parse().expect("an id");
            if topic >= client.revisions.len() {
                client.revisions.resize(topic + 1, UNKNOWN);
            }
            client.revisions[topic] = revision.as_u64().expect("a revision");
        }
        client.answer = Some((message, now));
    }

    fn close(&mut self, index: usize, code: u16) {
        let client = &mut self.all[index];
        if client.closed.is_none() {
            client.closed = Some(code);
            self.missing -= client.missing(); // it waits for nothing any more; `faults` tells of it
            let _ = self.poll.registry().deregister(&mut client.stream);
        }
    }

    /// Keeps what is wrong.
    pub fn fault(&mut self, fault: String) {
        self.faults_in_all += 1;
        if self.faults.len() < TOLD {
            self.faults.push(fault);
        }
    }
}

/// A blocking handshake; what came after its end is given back, too.
fn handshake(address: SocketAddr, listening: &Listening) -> std::io::Result<(Blocking, Vec<u8>)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if listening.receive_bytes > 0 {
        socket.set_recv_buffer_size(listening.receive_bytes)?;
    }
    socket.connect_timeout(&address.into(), STEP)?;
    socket.set_tcp_nodelay(true)?;
    let mut stream = Blocking::from(socket);
    stream.set_read_timeout(Some(STEP))?;
    let request = format!(
        "GET /api/v1/ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut received = Vec::new();
    let end = loop {
        if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        let mut piece = [0; 1_024];
        match stream.read(&mut piece)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            length => received.extend_from_slice(&piece[..length]),
        }
    };
    if !received.starts_with(b"HTTP/1.1 101 ") {
        return Err(std::io::Error::other(String::from_utf8_lossy(&received).into_owned()));
    }
    if !listening.topics.is_empty() {
        let ids = &listening.topics;
        let subscribe = format!(r#"{{"type":"subscribe","characteristic_ids":{ids:?}}}"#);
        stream.write_all(&wire::masked(wire::TEXT, subscribe.as_bytes()))?;
    }
    Ok((stream, received.split_off(end)))
}
