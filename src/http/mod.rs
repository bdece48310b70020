//! The way in and out over HTTP: translates requests to calls and answers to JSON, and nothing else.
//!
//! Knows the services, the broadcaster and, for reading, the store. Holds no SQL and no rule; a handler asks
//! for the parts it uses. Who may call is a port, [`auth::Authorizer`].
//!
//! * **Full**: bodies, messages and queues are bounded; what does not fit is refused with a status.
//! * **Late**: a request whose head or body takes too long is cut; a slow WebSocket client is let go.
//! * **Stops**: first no new connections and requests, then those under way end, then WebSocket clients are sent
//!   away.

mod answer;
pub mod auth;
mod batch;
mod body;
mod characteristics;
mod chart_data;
mod control_limits;
mod definitions;
mod error;
mod exclusion;
mod foreign_events;
mod foreign_payloads;
mod gate;
mod groups;
mod idempotency;
mod input;
mod live;
mod measured;
mod named;
mod openapi;
mod origin;
mod routes;
mod samples;
mod server;
mod violations;
mod ws;

use std::sync::Arc;

use serde::Deserialize;

pub use input::Settings as InputSettings;
pub use openapi::document as openapi;
pub use server::{BindError, Server, ServerParts};

use crate::http::auth::Authorizer;

/// How this server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The address to listen on.
    pub listen: String,
    /// Worker threads, each with its shard; 0: one for each processor.
    pub workers: usize,
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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            workers: 0,
            allowed_origins: Vec::new(),
            body_bytes: 8 << 20,
            request_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            keep_alive_ms: 75_000,
            peer_timeout_ms: 30_000,
            disconnect_timeout_ms: 1_000,
            backlog: 1_024,
        }
    }
}

/// Who may call at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever has a token.
    Tokens,
    /// Everybody on this machine.
    Loopback,
    /// Everybody who can reach it: the operator has said so.
    Anybody,
}

/// Who decides who calls, as handlers ask for it.
pub type SharedAuthorizer = Arc<dyn Authorizer>;
