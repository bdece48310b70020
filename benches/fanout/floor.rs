//! What the work costs at least: a bare loop over the same sockets that writes the same bytes at the same moments.
//!
//! One thread, no queue per client: the frames of a characteristic stand in one piece of memory, and a client is a
//! place in it. It writes at once when it has been quiet, and otherwise at most every [`PACE`]; each write takes all
//! that is due, up to [`WRITE`] bytes. Nothing is checked, counted or kept beyond that.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _, stdin};
use std::mem::replace;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use crate::exchange::{Command, Reply, Usage, say};
use crate::load::{self, Load, Schedule, now};
use crate::wire;

/// The least time between two rounds of writing.
const PACE: u64 = 5_000_000;

/// The most that one write takes.
const WRITE: usize = 64 << 10;

const LISTENER: Token = Token(usize::MAX);
const COMMAND: Token = Token(usize::MAX - 1);

const HANDSHAKE: &str =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

/// Writes and obeys until standard input ends.
pub fn main() {
    let poll = Poll::new().unwrap();
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).unwrap();
    let waker = Arc::new(Waker::new(poll.registry(), COMMAND).unwrap());
    let (give, commands) = sync_channel(16);
    thread::spawn(move || {
        for line in stdin().lines().map_while(Result::ok) {
            give.send(serde_json::from_str(&line).unwrap()).unwrap();
            waker.wake().unwrap();
        }
        drop(give);
        waker.wake().unwrap();
    });
    let (events, ready) = (load::Events::new(1), Events::with_capacity(1_024));
    let mut floor = Floor { poll, listener, clients: Vec::new(), topics: HashMap::new(), events, ready };
    say(&Reply::Listening { address });
    floor.obey(&commands);
}

struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    is_upgraded: bool,
    topic: u64,
    /// Bytes of its topic that it has got.
    sent: usize,
    is_writable: bool,
}

#[derive(Default)]
struct Topic {
    frames: Vec<u8>,
    clients: Vec<usize>,
}

struct Floor {
    poll: Poll,
    listener: TcpListener,
    clients: Vec<Client>,
    topics: HashMap<u64, Topic>,
    events: load::Events,
    ready: Events,
}

impl Floor {
    fn obey(&mut self, commands: &Receiver<Command>) {
        loop {
            match commands.try_recv() {
                Ok(Command::Publish(load)) => {
                    self.publish(load);
                    say(&Reply::Done);
                }
                Ok(Command::Usage) => say(&Reply::Usage(Usage::of_this_process())),
                Ok(command) => panic!("{command:?} is not for the floor"),
                Err(TryRecvError::Empty) => self.turn(None),
                Err(TryRecvError::Disconnected) => return,
            }
        }
    }

    fn publish(&mut self, load: Load) {
        self.events.rewind();
        let mut schedule = Schedule::new(load);
        let (mut flushed, mut is_due) = (0, false);
        while schedule.next_at().is_some() || is_due || !self.has_written_all() {
            let now = now();
            if schedule.next_at().is_some_and(|at| at <= now) {
                for _ in 0..schedule.take_due(now) {
                    let event = self.events.next(&load);
                    let topic = self.topics.entry(event.characteristic_id.get().cast_unsigned()).or_default();
                    topic.frames.extend_from_slice(event.frame());
                }
                is_due = true;
            }
            if is_due && now >= flushed + PACE {
                self.flush();
                (flushed, is_due) = (now, false);
            }
            // Who has blocked says when it takes more.
            let next = schedule.next_at().into_iter().chain(is_due.then_some(flushed + PACE)).min();
            if next.is_some() || !self.has_written_all() {
                self.turn(next.map(|at| at.saturating_sub(load::now())));
            }
        }
        for client in &mut self.clients {
            client.sent = 0;
        }
        self.topics.values_mut().for_each(|topic| topic.frames.clear());
    }

    /// Writes to every client until it has everything or takes no more; one write each in turn.
    fn flush(&mut self) {
        for topic in self.topics.values().filter(|topic| !topic.frames.is_empty()) {
            let mut left: Vec<usize> = topic.clients.clone();
            while !left.is_empty() {
                left.retain(|client| self.clients[*client].write(&topic.frames));
            }
        }
    }

    fn has_written_all(&self) -> bool {
        let all = |topic: &Topic| topic.clients.iter().all(|c| self.clients[*c].sent == topic.frames.len());
        self.topics.values().all(all)
    }

    /// Waits for sockets, at most so many nanoseconds.
    fn turn(&mut self, most: Option<u64>) {
        let mut ready = replace(&mut self.ready, Events::with_capacity(0));
        match self.poll.poll(&mut ready, most.map(Duration::from_nanos)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            polled => polled.unwrap(),
        }
        for event in &ready {
            match event.token() {
                LISTENER => self.accept(),
                COMMAND => {}
                Token(index) => {
                    if event.is_readable() {
                        self.read(index);
                    }
                    let client = &mut self.clients[index];
                    if event.is_writable() && !client.is_writable {
                        client.is_writable = true;
                        if let Some(topic) = self.topics.get(&client.topic) {
                            while client.write(&topic.frames) {}
                        }
                    }
                }
            }
        }
        self.ready = ready;
    }

    fn accept(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            stream.set_nodelay(true).unwrap();
            let token = Token(self.clients.len());
            self.poll
                .registry()
                .register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)
                .unwrap();
            let received = Vec::new();
            self.clients.push(Client {
                stream,
                received,
                is_upgraded: false,
                topic: 0,
                sent: 0,
                is_writable: true,
            });
        }
    }

    /// The handshake, then one `subscribe`.
    fn read(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let mut piece = [0; 4_096];
        while let Ok(length @ 1..) = client.stream.read(&mut piece) {
            client.received.extend_from_slice(&piece[..length]);
        }
        if !client.is_upgraded && client.received.ends_with(b"\r\n\r\n") {
            client.is_upgraded = true;
            client.received.clear();
            client.stream.write_all(HANDSHAKE.as_bytes()).unwrap();
        }
        if client.is_upgraded && client.topic == 0 && client.received.len() > 6 {
            // The mask is zero, and the message short.
            let said: serde_json::Value = serde_json::from_slice(&client.received[6..]).unwrap();
            let id = said["characteristic_ids"][0].as_u64().expect("one characteristic");
            client.topic = id;
            self.topics.entry(id).or_default().clients.push(index);
            let answer =
                format!(r#"{{"type":"subscribed","characteristic_ids":[{id}],"revisions":{{"{id}":0}}}}"#);
            let mut frame = vec![0x80 | wire::TEXT, u8::try_from(answer.len()).expect("a short answer")];
            frame.extend(answer.as_bytes());
            client.stream.write_all(&frame).unwrap();
        }
    }
}

impl Client {
    /// One write of what is due; whether there is more that would be taken now.
    fn write(&mut self, frames: &[u8]) -> bool {
        if !self.is_writable || self.sent >= frames.len() {
            return false;
        }
        let end = frames.len().min(self.sent + WRITE);
        match self.stream.write(&frames[self.sent..end]) {
            Ok(written) => {
                self.is_writable = written == end - self.sent;
                self.sent += written;
                self.is_writable && self.sent < frames.len()
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.is_writable = false;
                false
            }
            Err(error) => panic!("a client has gone: {error}"),
        }
    }
}
