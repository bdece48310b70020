//! What is read at the moment somebody asks, instead of being counted when it happens.
//!
//! Knows no part: who composes them says how to read.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::labels::Subscriber;

/// The state of a process at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Readings {
    /// When it was started, in seconds since 1970.
    pub started_at_unix_seconds: f64,
    /// Whether the newest attempt to write went through.
    pub database_is_writable: bool,
    /// HTTP requests that were let in and have no answer yet.
    pub requests_under_way: u64,
    /// Commands that wait for the commit loop.
    pub command_queue: u64,
    /// How many may.
    pub command_queue_capacity: u64,
    /// The position of the newest committed event.
    pub log_head: u64,
    /// The position of the newest event on the bus.
    pub relayed: u64,
    /// Events in the bus's ring.
    pub ring: u64,
    /// How many fit.
    pub ring_capacity: u64,
    /// Violations that no connected client has confirmed in time.
    pub violations_unreceived: u64,
    /// Violations that were never confirmed and gave way to newer ones.
    pub receipts_forgotten: u64,
    /// The bus's subscribers by name, each with the position of the newest event it is done with.
    pub subscribers: Vec<(Arc<str>, u64)>,
}

/// Says how to read.
pub(super) struct Read(pub(super) Box<dyn Fn() -> Readings + Send + Sync>);

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Read")
    }
}

impl Collector for Read {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let now = (self.0)();
        let mut gauge = |name, help, unit: Option<&Unit>, value: f64| {
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?)
        };
        let seconds = Some(&Unit::Seconds);
        gauge(
            "start_time",
            "When this process was started, since 1970.",
            seconds,
            now.started_at_unix_seconds,
        )?;
        let writable = f64::from(u8::from(now.database_is_writable));
        gauge(
            "database_writable",
            "1 while the database takes writes, 0 while it does not.",
            None,
            writable,
        )?;
        let under_way = now.requests_under_way as f64;
        gauge(
            "http_requests_under_way",
            "HTTP requests without an answer yet, the asking one included.",
            None,
            under_way,
        )?;
        gauge(
            "command_queue_depth",
            "Commands that wait for the commit loop.",
            None,
            now.command_queue as f64,
        )?;
        let capacity = now.command_queue_capacity as f64;
        gauge("command_queue_capacity", "Commands that may wait before callers do.", None, capacity)?;
        gauge("log_head_position", "Position of the newest committed event.", None, now.log_head as f64)?;
        let lag = now.log_head.saturating_sub(now.relayed) as f64;
        gauge("relay_lag_events", "Committed events that are not on the bus yet.", None, lag)?;
        gauge("bus_ring_events", "Events in the bus's ring.", None, now.ring as f64)?;
        gauge("bus_ring_capacity_events", "Events that the ring can keep.", None, now.ring_capacity as f64)?;

        let unreceived = now.violations_unreceived as f64;
        let help = "Violations that no connected client has confirmed within broadcast.receipt_seconds.";
        gauge("violations_unreceived", help, None, unreceived)?;

        let help = "Violations that nobody had confirmed yet when newer ones took their place on the list.";
        let forgotten = ConstCounter::new(now.receipts_forgotten);
        forgotten.encode(encoder.encode_descriptor(
            "receipts_forgotten",
            help,
            None,
            MetricType::Counter,
        )?)?;

        let help = "Committed events that a subscriber of the bus, such as a shard, is not done with.";
        if now.subscribers.is_empty() {
            return Ok(());
        }
        let mut lags = encoder.encode_descriptor("subscriber_lag_events", help, None, MetricType::Gauge)?;
        for (subscriber, done) in now.subscribers {
            let lag = ConstGauge::new(now.log_head.saturating_sub(done) as f64);
            lag.encode(lags.encode_family(&Subscriber { subscriber })?)?;
        }
        Ok(())
    }
}
