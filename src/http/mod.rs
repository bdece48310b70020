//! The way in and out over HTTP: translates requests to calls and answers to JSON, and nothing else.
//!
//! Knows the services, the broadcaster and, for reading, the store. Holds no SQL and no rule; a handler asks
//! for the parts it uses. Who may call is a port, [`auth::Authorizer`].
//!
//! * **Full**: bodies, messages and queues are bounded; what does not fit is refused with a status.
//! * **Late**: a request whose head or body takes too long is cut; a slow WebSocket client is let go.
//! * **Stops**: first no new connections and requests, then those under way end, then WebSocket clients are sent
//!   away.

pub mod auth;
mod body;
mod characteristics;
mod chart_data;
mod control_limits;
mod error;
mod gate;
mod input;
mod live;
mod origin;
mod samples;
mod server;
mod violations;
mod ws;

use std::sync::Arc;

use actix_web::{Resource, web};
use serde::Deserialize;

pub use input::Settings as InputSettings;
pub use server::{BindError, Server, ServerParts};

use crate::http::auth::Authorizer;
use crate::http::error::{ApiError, Kind};

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

/// All routes.
fn routes(config: &mut web::ServiceConfig) {
    config
        .configure(health)
        .service(path("/metrics", "GET").route(web::get().to(live::metrics)))
        .service(path("/ws", "GET").route(web::get().to(ws::upgrade)))
        .service(path("/ws/samples", "GET").route(web::get().to(ws::upgrade)))
        .service(web::scope("/api/v1").configure(api))
        .app_data(web::PathConfig::default().error_handler(|_, _| {
            let detail = "the path names nothing: an id is an integer from 1 to 9007199254740991";
            ApiError::new(Kind::NotFound, detail).into()
        }))
        .default_service(web::to(nothing_here));
}

/// Load balancers may ask with HEAD.
fn health(config: &mut web::ServiceConfig) {
    config
        .service(
            path("/health/live", "GET, HEAD")
                .route(web::get().to(live::alive))
                .route(web::head().to(live::alive)),
        )
        .service(
            path("/health/ready", "GET, HEAD")
                .route(web::get().to(live::ready))
                .route(web::head().to(live::ready)),
        );
}

fn api(config: &mut web::ServiceConfig) {
    config
        .configure(health)
        .service(path("/ws", "GET").route(web::get().to(ws::upgrade)))
        .service(
            path("/characteristics", "GET, POST")
                .route(web::get().to(characteristics::list))
                .route(web::post().to(characteristics::create)),
        )
        .service(path("/characteristics/{id}", "GET").route(web::get().to(characteristics::one)))
        .service(
            path("/characteristics/{id}/rules", "GET, PUT")
                .route(web::get().to(characteristics::rules))
                .route(web::put().to(characteristics::set_rules)),
        )
        .service(
            path("/characteristics/{id}/control-limits", "GET, PUT")
                .route(web::get().to(control_limits::list))
                .route(web::put().to(control_limits::set)),
        )
        .service(
            path("/characteristics/{id}/control-limits/recalculate", "POST")
                .route(web::post().to(control_limits::recalculate)),
        )
        .service(path("/characteristics/{id}/chart-data", "GET").route(web::get().to(chart_data::get)))
        .service(
            path("/samples", "GET, POST")
                .route(web::get().to(samples::list))
                .route(web::post().to(samples::record)),
        )
        .service(path("/samples/batch", "POST").route(web::post().to(samples::record_batch)))
        .service(path("/samples/{id}", "GET").route(web::get().to(samples::one)))
        .service(path("/violations", "GET").route(web::get().to(violations::list)))
        .service(path("/violations/stats", "GET").route(web::get().to(violations::stats)))
        .service(
            path("/violations/reason-codes", "GET, PUT")
                .route(web::get().to(violations::reason_codes))
                .route(web::put().to(violations::replace_reason_codes)),
        )
        .service(
            path("/violations/batch-acknowledge", "POST").route(web::post().to(violations::acknowledge_many)),
        )
        .service(path("/violations/{id}", "GET").route(web::get().to(violations::one)))
        .service(path("/violations/{id}/acknowledge", "POST").route(web::post().to(violations::acknowledge)));
}

/// A path with the methods that it takes, as the others are told.
fn path(path: &str, methods: &'static str) -> Resource {
    web::resource(path.to_owned()).default_service(web::to(move || wrong_method(methods)))
}

async fn nothing_here() -> Result<String, ApiError> {
    Err(ApiError::new(Kind::NotFound, "no such path; the API is under /api/v1"))
}

async fn wrong_method(methods: &'static str) -> Result<String, ApiError> {
    Err(ApiError::new(Kind::MethodNotAllowed(methods), format!("this path takes {methods}")))
}
