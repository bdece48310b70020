//! What one shard counts: plain numbers of its own thread, added to the metrics of all now and then.
//!
//! Every event that is due to a client ends as one thing: written, left out for a reason, or still waiting.

use tokio::time::Instant;

use super::interest::Unwanted;
use crate::metrics::{Metrics, PUBLISH_SECONDS, Skipped, Written};
use crate::protocol::event::EventKind;

/// Why an event that was due was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The client was slow, and a newer sample took its place.
    Slow,
    /// A newer sample came before the pace allowed this one.
    Pace,
    /// The client's filter leaves it out.
    Filter,
    /// It is of the past, which the client did not ask for.
    History,
    /// A snapshot told it already.
    Snapshot,
    /// Taken out of a full queue, to be read from the log again: due a second time.
    Again,
    /// The client left the characteristic.
    Left,
    /// The connection ended first.
    Ended,
}

impl Reason {
    const ALL: [Self; 8] = [
        Self::Slow,
        Self::Pace,
        Self::Filter,
        Self::History,
        Self::Snapshot,
        Self::Again,
        Self::Left,
        Self::Ended,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Pace => "pace",
            Self::Filter => "filter",
            Self::History => "history",
            Self::Snapshot => "snapshot",
            Self::Again => "again",
            Self::Left => "left",
            Self::Ended => "ended",
        }
    }
}

impl From<Unwanted> for Reason {
    fn from(unwanted: Unwanted) -> Self {
        match unwanted {
            Unwanted::History => Self::History,
            Unwanted::Filtered => Self::Filter,
        }
    }
}

/// The way by which an event was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Live, and not a sample.
    Alert,
    /// Live, a sample.
    Sample,
    /// Read from the ring or the log.
    Replay,
}

impl Lane {
    const ALL: [Self; 3] = [Self::Alert, Self::Sample, Self::Replay];

    const fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Sample => "sample",
            Self::Replay => "replay",
        }
    }
}

/// Durations by their class.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Durations {
    classes: [u64; PUBLISH_SECONDS.len() + 1],
    sum: f64,
}

impl Durations {
    fn add(&mut self, seconds: f64) {
        self.add_to_class(class_of(seconds), seconds);
    }

    fn add_to_class(&mut self, class: usize, seconds: f64) {
        self.classes[class] += 1;
        self.sum += seconds;
    }
}

fn class_of(seconds: f64) -> usize {
    PUBLISH_SECONDS.iter().position(|bound| seconds <= *bound).unwrap_or(PUBLISH_SECONDS.len())
}

/// What has been counted since it was added up the last time.
#[derive(Debug, Default)]
pub(super) struct Tally {
    due: [u64; EventKind::ALL.len()],
    written: [[u64; Lane::ALL.len()]; EventKind::ALL.len()],
    skipped: [u64; Reason::ALL.len()],
    to_write: Durations,
    /// The class that was counted last, and its moments: a burst is published together, and written together.
    last: Option<(Instant, Instant, usize, f64)>,
    to_received: Durations,
}

impl Tally {
    /// An event is due to a client.
    pub(super) fn due(&mut self, kind: EventKind) {
        self.due[kind as usize] += 1;
    }

    /// Events that were due were left out.
    pub(super) fn skipped(&mut self, reason: Reason, events: u64) {
        self.skipped[reason as usize] += events;
    }

    /// An event was handed to a socket.
    pub(super) fn written(&mut self, kind: EventKind, lane: Lane, published: Instant, now: Instant) {
        self.written[kind as usize][lane as usize] += 1;
        if lane == Lane::Replay {
            return;
        }
        let (class, seconds) = match self.last {
            Some((from, to, class, seconds)) if (from, to) == (published, now) => (class, seconds),
            _ => {
                let seconds = now.saturating_duration_since(published).as_secs_f64();
                let class = class_of(seconds);
                self.last = Some((published, now, class, seconds));
                (class, seconds)
            }
        };
        self.to_write.add_to_class(class, seconds);
    }

    /// A client confirmed an event.
    pub(super) fn received(&mut self, published: Instant, now: Instant) {
        self.to_received.add(now.saturating_duration_since(published).as_secs_f64());
    }

    /// Adds everything to the metrics, and begins anew.
    pub(super) fn add_to(&mut self, metrics: &Metrics) {
        let Self { due, written, skipped, to_write, to_received, .. } = std::mem::take(self);
        for kind in EventKind::ALL {
            let name = kind.as_str();
            metrics.add_due(name, due[kind as usize]);
            for lane in Lane::ALL {
                let labels = Written { kind: name, lane: lane.name() };
                metrics.add_written(labels, written[kind as usize][lane as usize]);
            }
        }
        for reason in Reason::ALL {
            metrics.add_skipped(Skipped { reason: reason.name() }, skipped[reason as usize]);
        }
        metrics.publish_to_write.add(&to_write.classes, to_write.sum);
        metrics.publish_to_received.add(&to_received.classes, to_received.sum);
    }
}
