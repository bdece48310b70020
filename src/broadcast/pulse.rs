//! Whether a client still answers, and how fast: pings, heartbeats, latency.
//!
//! The moments come from the shard's tick; the first ping of each client has its own phase, so that thousands that
//! came together are not pinged together.

use std::time::Duration;

use tokio::time::Instant;

use crate::protocol::socket::Quality;

/// The weight of a new deviation in the jitter, as RFC 3550 (6.4.1) has it.
const JITTER_WEIGHT: f64 = 1.0 / 16.0;

/// The signs of life of one connection.
#[derive(Debug, Clone)]
pub(super) struct Pulse {
    heard: Instant,
    /// Nobody listens: then it is not the client that is silent.
    is_unheard: bool,
    next_ping: Instant,
    next_heartbeat: Instant,
    ping_waits: bool,
    heartbeat_waits: bool,
    nonce: u64,
    /// When the ping that is under way was written.
    pinged: Option<Instant>,
    latency_ms: Option<f64>,
    jitter_ms: f64,
}

/// When signs of life are due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rhythm {
    pub(super) ping: Duration,
    pub(super) heartbeat: Duration,
}

impl Pulse {
    /// `phase`, from 0 to 1, is where in the rhythm the first ping falls.
    pub(super) fn new(now: Instant, rhythm: Rhythm, phase: f64) -> Self {
        Self {
            heard: now,
            is_unheard: false,
            next_ping: now + rhythm.ping.mul_f64(phase),
            next_heartbeat: now + rhythm.heartbeat,
            ping_waits: false,
            heartbeat_waits: false,
            nonce: 0,
            pinged: None,
            latency_ms: None,
            jitter_ms: 0.0,
        }
    }

    /// The client has said something, whatever it was, or is listened to again.
    pub(super) fn hear(&mut self, now: Instant) {
        (self.heard, self.is_unheard) = (now, false);
    }

    /// Whatever it says now is not read before something else is done.
    pub(super) fn stop_hearing(&mut self) {
        self.is_unheard = true;
    }

    /// How long it has been silent.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        if self.is_unheard { Duration::ZERO } else { now.saturating_duration_since(self.heard) }
    }

    /// Whether a ping has to be queued now.
    pub(super) fn ping_is_due(&mut self, now: Instant, rhythm: Rhythm) -> bool {
        let is_due = now >= self.next_ping;
        if is_due {
            self.next_ping = now + rhythm.ping;
        }
        let is_due = is_due && !self.ping_waits;
        self.ping_waits |= is_due;
        is_due
    }

    /// Whether a heartbeat has to be queued now; never two at a time.
    pub(super) fn heartbeat_is_due(&mut self, now: Instant, rhythm: Rhythm) -> bool {
        let is_due = now >= self.next_heartbeat;
        if is_due {
            self.next_heartbeat = now + rhythm.heartbeat;
        }
        let is_due = is_due && !self.heartbeat_waits;
        self.heartbeat_waits |= is_due;
        is_due
    }

    /// The heartbeat is written.
    pub(super) fn heartbeat_leaves(&mut self) {
        self.heartbeat_waits = false;
    }

    /// The ping is written: what it carries, to know its answer by. While one is unanswered, the next ones carry the
    /// same, so that an answer that takes longer than their rhythm is measured, too.
    pub(super) fn ping_leaves(&mut self, now: Instant) -> u64 {
        self.ping_waits = false;
        if self.pinged.is_none() {
            self.nonce += 1;
            self.pinged = Some(now);
        }
        self.nonce
    }

    /// A pong has come; one that answers an older ping, or none, tells nothing. Says whether it was waited for.
    pub(super) fn pong(&mut self, payload: &[u8], now: Instant) -> bool {
        if payload != self.nonce.to_be_bytes() {
            return false;
        }
        let Some(pinged) = self.pinged.take() else { return false };
        let latency_ms = now.saturating_duration_since(pinged).as_secs_f64() * 1e3;
        if let Some(before) = self.latency_ms {
            self.jitter_ms += ((latency_ms - before).abs() - self.jitter_ms) * JITTER_WEIGHT;
        }
        self.latency_ms = Some(latency_ms);
        true
    }

    /// The newest round trip; `None` before the first.
    pub(super) fn latency_ms(&self) -> Option<f64> {
        self.latency_ms
    }

    /// How much round trips differ from one to the next, smoothed.
    pub(super) fn jitter_ms(&self) -> Option<f64> {
        self.latency_ms.map(|_| self.jitter_ms)
    }

    /// The word for the latency.
    pub(super) fn quality(&self) -> Option<Quality> {
        self.latency_ms.map(Quality::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RHYTHM: Rhythm = Rhythm { ping: Duration::from_secs(20), heartbeat: Duration::from_secs(15) };

    fn later(now: Instant, ms: u64) -> Instant {
        now + Duration::from_millis(ms)
    }

    #[tokio::test]
    async fn latency_and_jitter_come_from_the_pong_that_answers_the_ping() {
        let now = Instant::now();
        let mut pulse = Pulse::new(now, RHYTHM, 0.5);
        assert_eq!((pulse.latency_ms(), pulse.jitter_ms(), pulse.quality()), (None, None, None));
        let nonce = pulse.ping_leaves(now);
        pulse.pong(b"else", later(now, 5));
        pulse.pong(&nonce.to_be_bytes(), later(now, 30));
        pulse.pong(&nonce.to_be_bytes(), later(now, 500));
        assert_eq!((pulse.latency_ms(), pulse.jitter_ms()), (Some(30.0), Some(0.0)));
        assert_eq!(pulse.quality(), Some(Quality::Good));
        let nonce = pulse.ping_leaves(later(now, 1_000));
        pulse.pong(&nonce.to_be_bytes(), later(now, 1_190));
        assert_eq!((pulse.latency_ms(), pulse.jitter_ms()), (Some(190.0), Some(10.0)));
        assert_eq!(pulse.quality(), Some(Quality::Poor));
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_has_one_ping_and_one_heartbeat_waiting() {
        let now = Instant::now();
        let mut pulse = Pulse::new(now, RHYTHM, 0.25);
        assert!(!pulse.ping_is_due(later(now, 4_999), RHYTHM));
        assert!(pulse.ping_is_due(later(now, 5_000), RHYTHM));
        assert!(!pulse.ping_is_due(later(now, 25_000), RHYTHM), "one waits already");
        pulse.ping_leaves(later(now, 26_000));
        assert!(pulse.ping_is_due(later(now, 45_000), RHYTHM));
        assert!(pulse.heartbeat_is_due(later(now, 15_000), RHYTHM));
        assert!(!pulse.heartbeat_is_due(later(now, 30_000), RHYTHM));
        pulse.heartbeat_leaves();
        assert!(pulse.heartbeat_is_due(later(now, 45_000), RHYTHM));
    }
}
