//! What is published: the same events, at the same pace, by the server and by the floor beside it.

use andon::protocol::event::{EventHeader, EventKind, LoggedEvent};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A whole frame has about so many bytes.
const FRAME_BYTES: usize = 300;

/// Nanoseconds of a clock that all processes of this machine share.
pub fn now() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// Nanoseconds of processor time that this process has used, in user and in kernel mode.
pub fn processor_time() -> u64 {
    nanoseconds(ClockId::ProcessCPUTime)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// How many events of what, and when.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Load {
    pub kind: EventKind,
    pub events: u64,
    /// Characteristics in turn: `first_topic`, `first_topic + 1`, ...
    pub first_topic: u64,
    pub topics: u64,
    /// Events published together, ...
    pub batch: u64,
    /// ... and the time from one batch to the next; 0: all at once.
    pub every_us: u64,
}

impl Load {
    /// Alerts of one characteristic, all at once.
    pub fn burst(events: u64) -> Self {
        Self { kind: EventKind::Violation, events, first_topic: 1, topics: 1, batch: events, every_us: 0 }
    }

    /// Alerts of one characteristic, `batch` of them every so many microseconds.
    pub fn paced(events: u64, batch: u64, every_us: u64) -> Self {
        Self { batch, every_us, ..Self::burst(events) }
    }

    /// How many of its events belong to a characteristic.
    pub fn events_of(&self, topic: u64) -> u64 {
        let Some(turn) = topic.checked_sub(self.first_topic).filter(|turn| *turn < self.topics) else {
            return 0;
        };
        self.events / self.topics + u64::from(turn < self.events % self.topics)
    }
}

/// When the events of a load are due.
pub struct Schedule {
    load: Load,
    started: u64,
    published: u64,
}

impl Schedule {
    pub fn new(load: Load) -> Self {
        Self { load, started: now(), published: 0 }
    }

    /// How many events are to be published now, if they are published at once.
    pub fn take_due(&mut self, now: u64) -> u64 {
        let Load { events, batch, every_us, .. } = self.load;
        let batches = match every_us {
            0 => u64::MAX / batch.max(1),
            every_us => (now - self.started) / (every_us * 1_000) + 1,
        };
        let due = (batches * batch).min(events) - self.published;
        self.published += due;
        due
    }

    /// When the next batch is due; `None` after the last.
    pub fn next_at(&self) -> Option<u64> {
        let Load { events, batch, every_us, .. } = self.load;
        let next = self.started + self.published / batch.max(1) * every_us * 1_000;
        (self.published < events).then_some(next)
    }
}

/// Makes events with contiguous positions and revisions.
pub struct Events {
    next_seq: u64,
    revisions: Vec<u64>,
    turn: u64,
}

impl Events {
    pub fn new(next_seq: u64) -> Self {
        Self { next_seq, revisions: Vec::new(), turn: 0 }
    }

    /// The next event of a load, stamped with this moment at its very end.
    pub fn next(&mut self, load: &Load) -> LoggedEvent {
        let topic = load.first_topic + self.turn % load.topics;
        self.turn += 1;
        let index = usize::try_from(topic).expect("few characteristics");
        if index >= self.revisions.len() {
            self.revisions.resize(index + 1, 0);
        }
        self.revisions[index] += 1;
        let header = EventHeader {
            seq: self.next_seq,
            characteristic_id: i64::try_from(topic).expect("few").try_into().expect("positive"),
            revision: self.revisions[index],
            kind: load.kind,
            is_history: false,
        };
        self.next_seq += 1;
        LoggedEvent::new(header, &payload(header.seq))
    }

    /// The next load begins with its first characteristic again.
    pub fn rewind(&mut self) {
        self.turn = 0;
    }
}

fn payload(seq: u64) -> String {
    // What clients look for has a fixed place: the end.
    let head = format!(
        r#"{{"violation_id":{seq},"rule_id":1,"rule_name":"Outlier","severity":"CRITICAL","value":13.25,"message":""#
    );
    let tail = format!(r#"","stamp":"{:020}"}}"#, now());
    // The header around the payload has some 75 bytes.
    let text = FRAME_BYTES.saturating_sub(75 + head.len() + tail.len());
    format!("{head}{:.<text$}{tail}", "1 point beyond the upper control limit")
}
