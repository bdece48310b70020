//! The socket ends of the broadcaster: the handshake, and a task for each client.
//!
//! Frames to the client do not pass through the task: the response body pulls them straight from the client's
//! queue, and the HTTP dispatcher joins what is there into one write. So nobody ever waits for a client.

mod answering;
#[cfg(test)]
mod echo;
mod flood;
mod inbound;
mod negotiation;
mod reading;
mod socket;
#[cfg(test)]
mod tests;

use std::time::Duration;

use actix_http::ws::handshake;
use actix_web::HttpRequest;
use actix_web::http::header::SEC_WEBSOCKET_EXTENSIONS;
use actix_web::web::{Data, Payload};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::broadcast::{About, Broadcaster, Encoding, ShardHandle};
use crate::clock::Clock;
use crate::http::SharedAuthorizer;
use crate::http::admission::Admitted;
use crate::http::answer::Upgraded;
use crate::http::auth::{NotAuthenticated, Role, bearer};
use crate::http::error::{ApiError, Kind};
use crate::http::frames::Frames;
use crate::http::ws::inbound::{Inbound, Limits};
use crate::http::ws::socket::Socket;

/// What every socket of a worker shares.
#[derive(Clone)]
pub struct SocketParts {
    pub broadcaster: Broadcaster,
    pub shard: ShardHandle,
    pub clock: Clock,
    pub authorizer: SharedAuthorizer,
    pub tracker: TaskTracker,
    /// How long a client may take to answer a goodbye.
    pub goodbye_timeout: Duration,
    /// Cancelled when nobody is let in any more; who listens already is ended by the shard.
    pub stop: CancellationToken,
}

/// `GET /api/v1/ws`.
pub async fn upgrade(
    request: HttpRequest,
    admitted: Admitted,
    payload: Payload,
    parts: Data<SocketParts>,
) -> Result<Upgraded, ApiError> {
    let principal = match parts.authorizer.principal(bearer(&request)).await {
        Ok(principal) if principal.may(Role::Read) => Some(principal),
        Ok(_) => return Err(ApiError::new(Kind::Forbidden, "this needs the role read")),
        // Browsers cannot send the header: they say who they are in the first message.
        Err(NotAuthenticated) if bearer(&request).is_none() => None,
        Err(error) => return Err(ApiError::new(Kind::NotAuthenticated, error.to_string())),
    };
    let mut response =
        handshake(request.head()).map_err(|error| ApiError::new(Kind::NotWebSocket, error.to_string()))?;
    let settings = parts.broadcaster.settings();
    let offers = request.headers().get_all(SEC_WEBSOCKET_EXTENSIONS).filter_map(|value| value.to_str().ok());
    let accepted = settings.deflate.then(|| negotiation::accept(offers)).flatten();
    if let Some(extension) = accepted {
        response.insert_header((SEC_WEBSOCKET_EXTENSIONS, extension));
    }
    let limits = Limits { message_bytes: settings.message_bytes, deflate: accepted.is_some() };
    let (address, line) = admitted.stay();
    let about = About { user: None, address, since: parts.clock.now() };
    let deflate_from = accepted.map(|_| settings.deflate_from_bytes);
    let (seat, outflow) = parts.shard.seat(about, Encoding::WebSocket { deflate_from });
    let socket = Socket::new(SocketParts::clone(&parts), seat, principal);
    parts.tracker.spawn_local(socket.run(Inbound::new(payload, limits), line));
    let response = response.message_body(Frames(outflow)).expect("a handshake's headers are valid");
    Ok(Upgraded(response.map_into_boxed_body().into()))
}
