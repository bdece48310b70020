//! What is counted of notices and their deliveries. A receiver is named as the settings name it.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{Kind, Seconds};

/// Seconds. A webhook nearby answers within 10 ms, a mail server within seconds; 10 s is the usual end of an attempt.
const ATTEMPT_SECONDS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 5.0, 10.0];

/// Whom it is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Receiver {
    receiver: Arc<str>,
}

/// Whom an attempt was for, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempt {
    receiver: Arc<str>,
    outcome: &'static str,
}

/// The counters and gauges of the delivery ledger.
#[derive(Debug, Clone)]
pub struct Notifying {
    /// Notices taken into the ledger, by what is new about the episode.
    notices: Family<Kind, Counter>,
    attempts: Family<Attempt, Counter>,
    attempt_duration: Family<Receiver, Histogram, fn() -> Histogram>,
    breaker_open: Family<Receiver, Gauge>,
    waiting: Family<Receiver, Gauge>,
    oldest: Family<Receiver, Seconds>,
    /// Deliveries that came to nothing as long as they were of use.
    expired: Counter,
    /// Deliveries that go to nobody, by why.
    suppressed: Family<Kind, Counter>,
    /// Heartbeats, by what became of them.
    heartbeats: Family<Kind, Counter>,
    /// Reloads of receivers and routes, by what became of them.
    reloads: Family<Kind, Counter>,
    lag: Gauge,
}

impl Default for Notifying {
    fn default() -> Self {
        Self {
            notices: Family::default(),
            attempts: Family::default(),
            attempt_duration: Family::new_with_constructor(|| Histogram::new(ATTEMPT_SECONDS)),
            breaker_open: Family::default(),
            waiting: Family::default(),
            oldest: Family::default(),
            expired: Counter::default(),
            suppressed: Family::default(),
            heartbeats: Family::default(),
            reloads: Family::default(),
            lag: Gauge::default(),
        }
    }
}

impl Notifying {
    /// How far the dispatcher is behind the log.
    pub fn set_lag(&self, events: u64) {
        self.lag.set(i64::try_from(events).unwrap_or(i64::MAX));
    }

    /// A heartbeat was sent, has failed, or was held back.
    pub fn heartbeat(&self, outcome: &'static str) {
        self.heartbeats.get_or_create(&Kind { kind: outcome }).inc();
    }

    /// Receivers and routes were reloaded, or could not be.
    pub fn reloaded(&self, outcome: &'static str) {
        self.reloads.get_or_create(&Kind { kind: outcome }).inc();
    }

    /// A notice was taken.
    pub fn noticed(&self, change: &'static str) {
        self.notices.get_or_create(&Kind { kind: change }).inc();
    }

    /// An attempt ended.
    pub fn attempted(&self, receiver: &Arc<str>, outcome: &'static str, took: Duration) {
        self.attempts.get_or_create(&Attempt { receiver: Arc::clone(receiver), outcome }).inc();
        let of = Receiver { receiver: Arc::clone(receiver) };
        self.attempt_duration.get_or_create(&of).observe(took.as_secs_f64());
    }

    /// Whether a receiver is left alone.
    pub fn set_breaker(&self, receiver: &Arc<str>, is_open: bool) {
        self.breaker_open.get_or_create(&Receiver { receiver: Arc::clone(receiver) }).set(is_open.into());
    }

    /// What waits for a receiver, and for how long the oldest of it does.
    pub fn set_backlog(&self, receiver: &Arc<str>, waiting: u64, oldest: Duration) {
        let of = Receiver { receiver: Arc::clone(receiver) };
        self.waiting.get_or_create(&of).set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.oldest.get_or_create(&of).set(oldest.as_secs_f64());
    }

    /// There is no such receiver any more; these are all the outcomes that attempts have.
    pub fn forget(&self, receiver: &Arc<str>, outcomes: impl IntoIterator<Item = &'static str>) {
        for outcome in outcomes {
            self.attempts.remove(&Attempt { receiver: Arc::clone(receiver), outcome });
        }
        let of = Receiver { receiver: Arc::clone(receiver) };
        self.attempt_duration.remove(&of);
        self.breaker_open.remove(&of);
        self.waiting.remove(&of);
        self.oldest.remove(&of);
    }

    /// Deliveries came to nothing.
    pub fn expired(&self, deliveries: u64) {
        self.expired.inc_by(deliveries);
    }

    /// Deliveries go to nobody.
    pub fn suppressed(&self, kind: &'static str, deliveries: u64) {
        self.suppressed.get_or_create(&Kind { kind }).inc_by(deliveries);
    }

    pub(super) fn register(self, registry: &mut Registry) {
        let help = "Notices taken into the delivery ledger, by what is new about the episode";
        registry.register("notices", help, self.notices);
        registry.register("notify_attempts", "Attempts to tell a receiver", self.attempts);
        let help = "How long attempts took";
        registry.register_with_unit("notify_attempt", help, Unit::Seconds, self.attempt_duration);
        let help =
            "1 while a receiver is left alone, because too many attempts have failed or it wants nothing";
        registry.register("notify_breaker_open", help, self.breaker_open);
        let help = "Deliveries that are not over, when the ledger was last looked through";
        registry.register("notify_waiting", help, self.waiting);
        let help = "For how long the oldest of them has been known";
        registry.register_with_unit("notify_oldest_waiting", help, Unit::Seconds, self.oldest);
        let help = "Deliveries that came to nothing as long as they were of use";
        registry.register("notify_expired", help, self.expired);
        let help = "Deliveries that went to nobody, because of a silence or of something more severe";
        registry.register("notify_suppressed", help, self.suppressed);
        for kind in ["sent", "failed", "held_back"] {
            drop(self.heartbeats.get_or_create(&Kind { kind })); // a silence must be seen
        }
        let help = "Heartbeats sent, failed, or held_back because people could not be told";
        registry.register("notify_heartbeats", help, self.heartbeats);
        for kind in ["applied", "refused"] {
            drop(self.reloads.get_or_create(&Kind { kind }));
        }
        let help = "Reloads of receivers and routes that were applied, or refused because the settings cannot be used";
        registry.register("reloads", help, self.reloads);
        let help = "Committed events that the dispatcher had not looked at when it last tried";
        registry.register("notify_lag_events", help, self.lag);
    }
}
