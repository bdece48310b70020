//! The way in and out over HTTP: translates requests to calls and answers to JSON, and nothing else.
//!
//! Knows the services, the broadcaster and, for reading, the store. Holds no SQL and no rule; a handler asks
//! for the parts it uses. Who may call is a port, [`auth::Authorizer`].
//!
//! * **Full**: bodies, messages and queues are bounded; what does not fit is refused with a status.
//! * **Late**: a slow request is cut by the server's timeouts; a slow WebSocket client is let go.
//! * **Stops**: first no new connections, then WebSocket clients are sent away, then requests under way end.

pub mod auth;
mod body;
mod characteristics;
mod chart_data;
mod control_limits;
mod error;
mod input;
mod live;
mod origin;
mod samples;
mod server;
mod violations;
mod ws;

use std::sync::Arc;

use actix_web::web;
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
            keep_alive_ms: 75_000,
            peer_timeout_ms: 30_000,
            disconnect_timeout_ms: 1_000,
            backlog: 1_024,
        }
    }
}

/// Who decides who calls, as handlers ask for it.
pub type SharedAuthorizer = Arc<dyn Authorizer>;

/// All routes.
fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/health/live", web::get().to(live::alive))
        .route("/health/ready", web::get().to(live::ready))
        .route("/metrics", web::get().to(live::metrics))
        .route("/ws", web::get().to(ws::upgrade))
        .route("/ws/samples", web::get().to(ws::upgrade))
        .service(web::scope("/api/v1").configure(api))
        .app_data(web::PathConfig::default().error_handler(|error, _| {
            ApiError::new(Kind::NotFound, format!("the path names nothing: {error}")).into()
        }))
        .default_service(web::to(nothing_here));
}

fn api(config: &mut web::ServiceConfig) {
    let route = |path: &str| web::resource(path.to_owned()).default_service(web::to(wrong_method));
    config
        .service(route("/ws").route(web::get().to(ws::upgrade)))
        .service(route("/health/live").route(web::get().to(live::alive)))
        .service(route("/health/ready").route(web::get().to(live::ready)))
        .service(
            route("/characteristics")
                .route(web::get().to(characteristics::list))
                .route(web::post().to(characteristics::create)),
        )
        .service(route("/characteristics/{id}").route(web::get().to(characteristics::one)))
        .service(
            route("/characteristics/{id}/rules")
                .route(web::get().to(characteristics::rules))
                .route(web::put().to(characteristics::set_rules)),
        )
        .service(
            route("/characteristics/{id}/control-limits")
                .route(web::get().to(control_limits::list))
                .route(web::put().to(control_limits::set)),
        )
        .service(
            route("/characteristics/{id}/control-limits/recalculate")
                .route(web::post().to(control_limits::recalculate)),
        )
        .service(route("/characteristics/{id}/chart-data").route(web::get().to(chart_data::get)))
        .service(route("/samples").route(web::get().to(samples::list)).route(web::post().to(samples::record)))
        .service(route("/samples/batch").route(web::post().to(samples::record_batch)))
        .service(route("/samples/{id}").route(web::get().to(samples::one)))
        .service(route("/violations").route(web::get().to(violations::list)))
        .service(route("/violations/stats").route(web::get().to(violations::stats)))
        .service(
            route("/violations/reason-codes")
                .route(web::get().to(violations::reason_codes))
                .route(web::put().to(violations::replace_reason_codes)),
        )
        .service(route("/violations/batch-acknowledge").route(web::post().to(violations::acknowledge_many)))
        .service(route("/violations/{id}").route(web::get().to(violations::one)))
        .service(route("/violations/{id}/acknowledge").route(web::post().to(violations::acknowledge)));
}

async fn nothing_here() -> Result<String, ApiError> {
    Err(ApiError::new(Kind::NotFound, "no such path; the API is under /api/v1"))
}

async fn wrong_method() -> Result<String, ApiError> {
    Err(ApiError::new(Kind::MethodNotAllowed, "this path does not take this method"))
}
