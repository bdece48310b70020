//! How clients are served.

use serde::Deserialize;

/// How clients are served.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Bytes of alerts that may wait for one client; beyond, it reads the log from its position.
    pub alert_queue_bytes: usize,
    /// Bytes of samples that wait in line for one client; beyond, only the newest of each characteristic waits.
    pub sample_queue_bytes: usize,
    /// Bytes of replies that may wait for one client before it is let go.
    pub reply_queue_bytes: usize,
    /// How long a client may take nothing of what waits for it before it is let go.
    pub stall_timeout_ms: u64,
    /// What is queued while clients are busy leaves after this time at the latest, in one write.
    pub flush_interval_ms: f64,
    /// Bytes that are gathered for one write, about; up to twice as many leave together.
    pub write_bytes: usize,
    /// Characteristics and groups that one client may name.
    pub subscriptions_per_client: usize,
    /// Orders from elsewhere (REST) that may wait for a shard.
    pub shard_orders: usize,
    /// How often a client hears from the server at least.
    pub heartbeat_seconds: f64,
    /// How often a client is pinged.
    pub ping_interval_ms: u64,
    /// How long a client may stay silent before it is let go.
    pub pong_timeout_ms: u64,
    /// How long a client may take to say who it is, where tokens are required.
    pub auth_timeout_ms: u64,
    /// How long a client that asks for nothing is told nothing after the welcome, so that it can first say what it wants.
    pub first_words_ms: u64,
    /// Messages that a client may send in a second, on average.
    pub messages_per_second: f64,
    /// Messages that it may send at once; so many over the limit end it.
    pub message_burst: u32,
    /// The largest message of a client; while messages of so many bytes wait for answers, it is not read from.
    pub message_bytes: usize,
    /// Whether messages may be deflated, on both ways, with clients that offer it.
    pub deflate: bool,
    /// From which size on a message to such a client is deflated.
    pub deflate_from_bytes: usize,
    /// Events read at once by who reads the log or the ring from a position.
    pub page_events: u32,
    /// Clients that read the log or the database at the same time; the others wait for their turn.
    pub readers: usize,
    /// How long one such read may take before its client gets on without it, and tries again.
    pub read_timeout_ms: u64,
    /// Snapshots that a client gets at once, before what happened meanwhile.
    pub snapshots_per_page: usize,
    /// Snapshots kept ready, for all clients.
    pub cached_snapshots: usize,
    /// A violation that no client has confirmed for so long counts as not received.
    pub receipt_seconds: u64,
    /// When the server stops, clients are told to come back at moments spread over this time.
    pub return_window_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            alert_queue_bytes: 1 << 20,
            sample_queue_bytes: 128 << 10,
            reply_queue_bytes: 4 << 20,
            stall_timeout_ms: 20_000,
            flush_interval_ms: 5.0,
            write_bytes: 32 << 10,
            subscriptions_per_client: 20_000,
            shard_orders: 256,
            heartbeat_seconds: 15.0,
            ping_interval_ms: 20_000,
            pong_timeout_ms: 30_000,
            auth_timeout_ms: 10_000,
            first_words_ms: 1_000,
            messages_per_second: 50.0,
            message_burst: 500,
            message_bytes: 1 << 20,
            deflate: true,
            // Below, it takes one packet either way, and deflating costs as much as three or four writes: a sample of
            // 430 bytes shrinks by 190 in 17 us. A snapshot shrinks to a third and less.
            deflate_from_bytes: 1_024,
            page_events: 1_000,
            readers: 4,
            read_timeout_ms: 5_000,
            snapshots_per_page: 32,
            cached_snapshots: 4_096,
            receipt_seconds: 30,
            return_window_ms: 5_000,
        }
    }
}

/// Settings that cannot work together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No time span.
    #[error("broadcast.heartbeat_seconds must be from 0.01 to 86400")]
    Heartbeat,
    /// Clients would be let go before they are asked.
    #[error("broadcast.ping_interval_ms must be at least 1 and smaller than broadcast.pong_timeout_ms")]
    PingInterval,
    /// No time span.
    #[error("broadcast.flush_interval_ms must be from 0 to 1000")]
    FlushInterval,
    /// Nothing could be written or read, or nobody could stay.
    #[error("broadcast.{0} must be more than 0")]
    Zero(&'static str),
}

impl Settings {
    /// # Errors
    /// [`SettingsError`], naming the setting.
    pub fn check(&self) -> Result<(), SettingsError> {
        if !(0.01..=86_400.0).contains(&self.heartbeat_seconds) {
            return Err(SettingsError::Heartbeat);
        }
        if !(1..self.pong_timeout_ms).contains(&self.ping_interval_ms) {
            return Err(SettingsError::PingInterval);
        }
        if !(0.0..=1_000.0).contains(&self.flush_interval_ms) {
            return Err(SettingsError::FlushInterval);
        }
        if !(self.messages_per_second > 0.0 && self.messages_per_second.is_finite()) {
            return Err(SettingsError::Zero("messages_per_second"));
        }
        let zeros = [
            ("alert_queue_bytes", self.alert_queue_bytes == 0),
            ("stall_timeout_ms", self.stall_timeout_ms == 0),
            ("write_bytes", self.write_bytes == 0),
            ("subscriptions_per_client", self.subscriptions_per_client == 0),
            ("shard_orders", self.shard_orders == 0),
            ("auth_timeout_ms", self.auth_timeout_ms == 0),
            ("message_burst", self.message_burst == 0),
            ("message_bytes", self.message_bytes == 0),
            ("page_events", self.page_events == 0),
            ("readers", self.readers == 0),
            ("read_timeout_ms", self.read_timeout_ms == 0),
            ("snapshots_per_page", self.snapshots_per_page == 0),
            ("cached_snapshots", self.cached_snapshots == 0),
        ];
        match zeros.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((name, _)) => Err(SettingsError::Zero(name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(name: &str) -> Result<(), SettingsError> {
        serde_json::from_value::<Settings>(json!({ name: 0 })).expect("a setting").check()
    }

    #[test]
    fn what_would_serve_nobody_is_refused_by_name() {
        for name in [
            "alert_queue_bytes",
            "stall_timeout_ms",
            "write_bytes",
            "subscriptions_per_client",
            "shard_orders",
            "auth_timeout_ms",
            "messages_per_second",
            "message_burst",
            "message_bytes",
            "page_events",
            "readers",
            "read_timeout_ms",
            "snapshots_per_page",
            "cached_snapshots",
        ] {
            let refused = checked(name).expect_err(name).to_string();
            assert_eq!(refused, format!("broadcast.{name} must be more than 0"));
        }
        for name in ["heartbeat_seconds", "ping_interval_ms", "pong_timeout_ms"] {
            let refused = checked(name).expect_err(name).to_string();
            assert!(refused.contains(&format!("broadcast.{name}")), "{refused}");
        }
        for name in [
            "sample_queue_bytes",
            "reply_queue_bytes",
            "flush_interval_ms",
            "first_words_ms",
            "deflate_from_bytes",
            "receipt_seconds",
            "return_window_ms",
        ] {
            assert_eq!(checked(name), Ok(()), "{name}");
        }
    }
}
