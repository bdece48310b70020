//! Every metric there is, with its unit; rendered for Prometheus. Labels never hold ids.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Why something ended or was dropped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    /// A word of a closed set.
    pub reason: &'static str,
}

/// What kind of event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Kind {
    /// The event's type on the wire.
    pub kind: &'static str,
}

/// The counters and gauges, each to be touched where the thing happens. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Transactions committed.
    pub commits: Counter,
    /// Commands whose transaction failed.
    pub commands_failed: Counter,
    /// Commands committed.
    pub commands: Counter,
    /// Events handed to the bus, by kind.
    pub events_published: Family<Kind, Counter>,
    /// Times the relay had to read the log, because commits were not handed over in order.
    pub relay_catch_ups: Counter,
    /// Times a shard fell off the ring and read the log.
    pub shard_lags: Counter,
    /// Clients connected.
    pub connections: Gauge,
    /// Event frames queued for clients, by kind.
    pub frames_queued: Family<Kind, Counter>,
    /// Connections ended by the server, by reason.
    pub connections_closed: Family<Reason, Counter>,
    /// Messages of clients that were refused, by reason.
    pub messages_refused: Family<Reason, Counter>,
}

impl Metrics {
    /// The text that Prometheus reads.
    pub fn render(&self) -> String {
        let mut registry = Registry::with_prefix("andon");
        let all = self.clone();
        registry.register("commits", "Transactions committed", all.commits);
        registry.register("commands", "Commands committed", all.commands);
        registry.register("commands_failed", "Commands whose transaction failed", all.commands_failed);
        registry.register("events_published", "Events handed to the bus", all.events_published);
        registry.register("relay_catch_ups", "Times the relay read the log", all.relay_catch_ups);
        registry.register("shard_lags", "Times a shard fell off the ring", all.shard_lags);
        registry.register("connections", "Clients connected", all.connections);
        registry.register("frames_queued", "Event frames queued for clients", all.frames_queued);
        registry.register("connections_closed", "Connections ended by the server", all.connections_closed);
        registry.register("messages_refused", "Messages of clients that were refused", all.messages_refused);
        let mut text = String::new();
        encode(&mut text, &registry).expect("writing to a string cannot fail");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered() {
        let metrics = Metrics::default();
        metrics.commits.inc();
        metrics.connections_closed.get_or_create(&Reason { reason: "too_slow" }).inc();
        let text = metrics.render();
        assert!(text.contains("andon_commits_total 1"), "{text}");
        assert!(text.contains("andon_connections_closed_total{reason=\"too_slow\"} 1"), "{text}");
    }
}
