//! What waits to be written to a client: events, which all receivers share, and messages for this client alone.

use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use crate::protocol::event::{EventKind, LoggedEvent};
use crate::protocol::snapshot::Snapshot;

/// An event as one shard hands it to its clients. Counted by the shard's thread alone: the processors do not
/// pass the count of an event back and forth for each of its receivers.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) event: Arc<LoggedEvent>,
    /// When it was published; of an old event, when it was read.
    pub(super) published: Instant,
}

impl Frame {
    pub(super) fn new(event: Arc<LoggedEvent>, now: Instant) -> Rc<Self> {
        let published = event.published().unwrap_or(now);
        Rc::new(Self { event, published })
    }

    /// What it takes in a queue, in bytes on the wire.
    pub(super) fn bytes(&self) -> usize {
        self.event.frame().len()
    }
}

/// Events of one characteristic that are offered together, one right after the other. A client that takes them all has
/// them in its queue as one thing, and they are written in one piece: a burst costs little for each event.
#[derive(Debug)]
pub(super) struct Run {
    /// At least one.
    pub(super) frames: Vec<Rc<Frame>>,
    /// What all get who are told them all. A copy for this shard: what is shared by all is counted by all processors.
    pub(super) wire: Bytes,
    bytes: usize,
    sample_bytes: usize,
    /// Of the largest frame.
    longest_bytes: usize,
}

impl Run {
    /// # Panics
    /// If there is no event.
    pub(super) fn new(events: &[Arc<LoggedEvent>], now: Instant) -> Rc<Self> {
        assert!(!events.is_empty(), "a run has at least one event");
        let frames: Vec<_> = events.iter().map(|event| Frame::new(Arc::clone(event), now)).collect();
        let is_sample = |frame: &&Rc<Frame>| frame.event.kind == EventKind::Sample;
        let bytes = frames.iter().map(|frame| frame.bytes()).sum();
        let longest_bytes = frames.iter().map(|frame| frame.bytes()).max().unwrap_or(0);
        let sample_bytes = frames.iter().filter(is_sample).map(|frame| frame.bytes()).sum();
        let mut wire = BytesMut::with_capacity(bytes);
        events.iter().for_each(|event| wire.extend_from_slice(event.frame()));
        Rc::new(Self { frames, wire: wire.freeze(), bytes, sample_bytes, longest_bytes })
    }

    /// The event that comes first.
    pub(super) fn first(&self) -> &LoggedEvent {
        &self.frames[0].event
    }

    /// Of its samples, on the wire.
    pub(super) fn sample_bytes(&self) -> usize {
        self.sample_bytes
    }

    /// Of its largest frame.
    pub(super) fn longest_bytes(&self) -> usize {
        self.longest_bytes
    }

    /// Each with the revision before it.
    pub(super) fn told(&self) -> impl Iterator<Item = Told> {
        self.frames
            .iter()
            .map(|frame| Told { frame: Rc::clone(frame), previous: frame.event.revision.saturating_sub(1) })
    }
}

/// One thing to write.
#[derive(Debug)]
pub(super) enum Item {
    /// An event.
    Event(Told),
    /// Several, all of which are told.
    Run(Rc<Run>),
    /// A message for this client.
    Message(Box<Message>),
    /// The present state of a characteristic, which all who ask for it share.
    Snapshot(Arc<Snapshot>),
    /// A sign of life; what it tells is looked up when it is written.
    Heartbeat,
    /// A ping; its time runs from when it is written.
    Ping,
    /// The answer to a client's ping, with its payload.
    Pong(Box<Bytes>),
    /// When to come back, should the connection end; told ahead where no close frame tells it.
    Retry {
        /// After this time.
        after_ms: u64,
    },
}

/// An event with the revision that this client knows its characteristic by.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) frame: Rc<Frame>,
    /// The revision of the last event of the characteristic before this one that the client got, or counts from.
    pub(super) previous: u64,
}

impl Told {
    /// Revisions that were withheld just before.
    pub(super) fn skipped(&self) -> u64 {
        self.frame.event.revision.saturating_sub(self.previous + 1)
    }
}

/// A message for one client.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// Its `type`.
    pub(super) name: &'static str,
    /// The JSON text.
    pub(super) text: Bytes,
    /// From here on a client resumes that has received it, if it says so.
    pub(super) position: Option<u64>,
}

impl Item {
    pub(super) fn bytes(&self) -> usize {
        const HEARTBEAT: usize = 160;
        const CONTROL: usize = 16;
        match self {
            Self::Event(told) => told.frame.bytes(),
            Self::Run(run) => run.bytes,
            Self::Message(message) => message.text.len(),
            Self::Snapshot(snapshot) => snapshot.message.len(),
            Self::Heartbeat => HEARTBEAT,
            Self::Ping | Self::Retry { .. } => CONTROL,
            Self::Pong(payload) => CONTROL + payload.len(),
        }
    }
}
