//! The socket ends of the broadcaster: the handshake, and a task for each client.
//!
//! Frames to the client do not pass through the task: the response body pulls them straight from the client's
//! queue, and the HTTP dispatcher joins what is there into one write. So nobody ever waits for a client.

mod frames;
mod guard;
mod socket;

use actix_web::HttpRequest;
use actix_web::body::MessageBody as _;
use actix_web::web::{Data, Payload};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::broadcast::{Broadcaster, Room, ShardHandle, outbox};
use crate::clock::Clock;
use crate::http::SharedAuthorizer;
use crate::http::answer::Upgraded;
use crate::http::auth::{NotAuthenticated, Role, bearer};
use crate::http::error::{ApiError, Kind};
use crate::http::ws::frames::Frames;
use crate::http::ws::socket::Socket;

/// What every socket of a worker shares.
#[derive(Clone)]
pub struct SocketParts {
    pub broadcaster: Broadcaster,
    pub shard: ShardHandle,
    pub clock: Clock,
    pub authorizer: SharedAuthorizer,
    pub tracker: TaskTracker,
    /// Cancelled when nobody is let in any more; who listens already is ended by the shard.
    pub stop: CancellationToken,
}

/// `GET /api/v1/ws`.
pub async fn upgrade(
    request: HttpRequest,
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
    let limits = parts.broadcaster.settings();
    let no_handshake = |error: actix_web::Error| ApiError::new(Kind::NotWebSocket, error.to_string());
    let payload = guard::guarded(&request, payload, limits.message_bytes).await.map_err(no_handshake)?;
    let (response, session, stream) = actix_ws::handle(&request, payload).map_err(no_handshake)?;
    let stream = stream.max_frame_size(limits.message_bytes);
    let messages = stream.aggregate_continuations().max_continuation_size(limits.message_bytes);
    let room = Room { frames: limits.queue_frames, reply_bytes: limits.queue_reply_bytes };
    let (outbox, inbox) = outbox(room, parts.shard.waiting().clone());
    let socket = Socket::new(SocketParts::clone(&parts), outbox, principal);
    parts.tracker.spawn_local(socket.run(messages));
    // The stock body must live: with it ends the stream of incoming frames.
    Ok(Upgraded(response.map_body(|_, inner| Frames::new(inbox, inner, session).boxed())))
}
