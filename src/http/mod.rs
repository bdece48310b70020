//! The way in and out over HTTP: translates requests to calls and answers to JSON, and nothing else.
//!
//! Knows the services, the broadcaster and, for reading, the store. Holds no SQL and no rule; a handler asks
//! for the parts it uses. Who may call is a port, [`auth::Authorizer`].
//!
//! * **Full**: bodies, messages, queues and connections are bounded; what does not fit is refused with a status.
//! * **Late**: a request whose head or body takes too long is cut; a slow WebSocket client is let go.
//! * **Stops**: first no new connections and requests, then those under way end, then WebSocket clients are sent
//!   away.

mod admission;
mod answer;
pub mod auth;
mod batch;
mod body;
mod characteristics;
mod chart_data;
mod chart_pictures;
mod compression;
mod connections;
mod control_limits;
mod dashboard;
mod definitions;
mod deliveries;
mod descriptors;
mod episodes;
mod error;
mod event_stream;
mod events;
mod exclusion;
mod foreign_events;
mod foreign_payloads;
mod frames;
mod gate;
mod groups;
mod idempotency;
mod input;
mod live;
mod measured;
mod named;
mod openapi;
mod origin;
mod reload;
mod routes;
mod samples;
mod server;
mod settings;
mod silences;
mod tcp;
mod unreceived;
mod violations;
mod ws;

use std::sync::Arc;

pub use admission::TrustedProxy;
pub use input::Settings as InputSettings;
pub use openapi::document as openapi;
pub use server::{BindError, Server, ServerParts};
pub use settings::{Settings, SettingsError};

use crate::http::auth::Authorizer;

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
