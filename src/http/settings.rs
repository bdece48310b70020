//! How this server is reached, and by how many.

use serde::Deserialize;

use crate::http::admission::{Rate, Room, TrustedProxy};

/// How this server is reached.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The address to listen on.
    pub listen: String,
    /// Worker threads, each with its shard; 0: one for each processor.
    pub workers: usize,
    /// Whether the operators' page is served, beside the interface.
    pub dashboard: bool,
    /// Web pages that may call: origins such as `https://spc.example`.
    pub allowed_origins: Vec<String>,
    /// The largest body of a request.
    pub body_bytes: usize,
    /// How long a client may take to send a request's head.
    pub request_timeout_ms: u64,
    /// How long it may take to send the body.
    pub body_timeout_ms: u64,
    /// How long a connection without requests is kept.
    pub keep_alive_ms: u64,
    /// How long a peer may leave sent data unacknowledged, or its window closed, before it is cut off.
    pub peer_timeout_ms: u64,
    /// How long a closing connection is held for the peer's last words.
    pub disconnect_timeout_ms: u64,
    /// Connections that may wait to be accepted.
    pub backlog: u32,
    /// Bytes that the kernel keeps for a peer until it has taken them, about; 0: as many as the kernel likes.
    pub send_buffer_bytes: usize,
    /// Clients that may listen at the same time.
    pub connections: u32,
    /// Those of them that come from one address.
    pub connections_per_address: u32,
    /// Clients that may begin to listen in a second, on average.
    pub connects_per_second: f64,
    /// Clients that may begin to listen at once.
    pub connect_burst: u32,
    /// Clients from one address that may begin to listen in a second, on average.
    pub connects_per_second_per_address: f64,
    /// Clients from one address that may begin to listen at once.
    pub connect_burst_per_address: u32,
    /// Proxies that are believed when they say from which address a client comes: addresses and networks.
    pub trusted_proxies: Vec<TrustedProxy>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            workers: 0,
            dashboard: true,
            allowed_origins: Vec::new(),
            body_bytes: 8 << 20,
            request_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            keep_alive_ms: 75_000,
            peer_timeout_ms: 30_000,
            disconnect_timeout_ms: 1_000,
            backlog: 1_024,
            send_buffer_bytes: 64 << 10,
            connections: 10_000,
            connections_per_address: 2_000,
            connects_per_second: 1_000.0,
            connect_burst: 2_000,
            connects_per_second_per_address: 100.0,
            connect_burst_per_address: 500,
            trusted_proxies: Vec::new(),
        }
    }
}

/// Settings that cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Nobody could be served.
    #[error("http.{0} must be more than 0")]
    Zero(&'static str),
    /// The library's clock stands still for up to half a second: a shorter time might be over before it began, and
    /// would then never be.
    #[error("http.disconnect_timeout_ms must be 0, for no wait at all, or at least 1000")]
    DisconnectTimeout,
    /// No rate.
    #[error("http.{0} must be from 0.001 to 1000000")]
    Rate(&'static str),
}

impl Settings {
    /// # Errors
    /// [`SettingsError`], naming the setting.
    pub fn check(&self) -> Result<(), SettingsError> {
        let zeros = [
            ("body_bytes", self.body_bytes == 0),
            ("request_timeout_ms", self.request_timeout_ms == 0),
            ("body_timeout_ms", self.body_timeout_ms == 0),
            ("peer_timeout_ms", self.peer_timeout_ms == 0),
            ("backlog", self.backlog == 0),
            ("connections", self.connections == 0),
            ("connections_per_address", self.connections_per_address == 0),
            ("connect_burst", self.connect_burst == 0),
            ("connect_burst_per_address", self.connect_burst_per_address == 0),
        ];
        if let Some((name, _)) = zeros.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(SettingsError::Zero(name));
        }
        if (1..1_000).contains(&self.disconnect_timeout_ms) {
            return Err(SettingsError::DisconnectTimeout);
        }
        let rates = [
            ("connects_per_second", self.connects_per_second),
            ("connects_per_second_per_address", self.connects_per_second_per_address),
        ];
        match rates.into_iter().find(|(_, value)| !(0.001..=1e6).contains(value)) {
            Some((name, _)) => Err(SettingsError::Rate(name)),
            None => Ok(()),
        }
    }

    /// How many may listen, and how fast they may come.
    pub(super) fn room(&self) -> Room {
        Room {
            connections: self.connections,
            connections_per_address: self.connections_per_address,
            rate: Rate { per_second: self.connects_per_second, burst: self.connect_burst },
            rate_per_address: Rate {
                per_second: self.connects_per_second_per_address,
                burst: self.connect_burst_per_address,
            },
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
            "body_bytes",
            "request_timeout_ms",
            "body_timeout_ms",
            "peer_timeout_ms",
            "backlog",
            "connections",
            "connections_per_address",
            "connects_per_second",
            "connect_burst",
            "connects_per_second_per_address",
            "connect_burst_per_address",
        ] {
            let refused = checked(name).expect_err(name).to_string();
            assert!(refused.starts_with(&format!("http.{name} must be ")), "{refused}");
        }
        let short = Settings { disconnect_timeout_ms: 999, ..Settings::default() };
        assert_eq!(short.check(), Err(SettingsError::DisconnectTimeout));
        for name in ["workers", "keep_alive_ms", "disconnect_timeout_ms", "send_buffer_bytes"] {
            assert_eq!(checked(name), Ok(()), "{name}");
        }
    }
}
