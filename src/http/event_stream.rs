//! `GET /events/stream`: the same events as over a WebSocket, for who only reads.
//!
//! What is wanted stands in the query; what cannot be is refused before the stream begins. Bytes to the client do not
//! pass through the task: the response body pulls them straight from the client's queue.
//!
//! * **Resumes** from `Last-Event-ID`, which a browser sends by itself when it comes back with the address of before.
//! * **Full, late**: as any client of the broadcaster: it reads the log at its own pace, and is let go when it takes
//!   nothing for too long.
//! * **Alone** on its connection: nothing behind the request is read, and the connection ends with the stream.
//! * **Dies**: a client that has gone is found out when a heartbeat cannot be written.
//! * **Stops**: the stream ends, after the time in which to come back.

use std::future::{Ready, ready};
use std::pin::pin;

use actix_web::body::MessageBody as _;
use actix_web::dev::Payload;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::broadcast::{About, Broadcaster, Encoding, Seat, ShardHandle};
use crate::clock::Clock;
use crate::http::admission::Admitted;
use crate::http::answer::{EVENT_STREAM_TYPE, Streamed};
use crate::http::auth::{Authorized, Read};
use crate::http::error::{ApiError, Kind};
use crate::http::frames::Frames;
use crate::http::input::Query;
use crate::http::named::with_keys;
use crate::protocol::rest::EventStreamQuery;
use crate::protocol::socket::{Chosen, Position, Subscription};
use crate::store::Store;

/// What the streams of a worker share.
#[derive(Clone)]
pub struct StreamParts {
    pub broadcaster: Broadcaster,
    pub shard: ShardHandle,
    pub clock: Clock,
    pub tracker: TaskTracker,
}

/// `GET /events/stream`.
pub async fn begin(
    caller: Authorized<Read>,
    admitted: Admitted,
    parts: Data<StreamParts>,
    store: Data<Store>,
    last: LastEventId,
    query: Query<EventStreamQuery>,
) -> Result<Streamed, ApiError> {
    let refuse = |detail| ApiError::new(Kind::InvalidQuery, detail);
    let (mut subscription, keys) = query.0.subscription().map_err(refuse)?;
    if let Chosen::These(ids) = &mut subscription.chosen {
        ids.extend(with_keys(&store, keys).await?);
        let most = parts.broadcaster.settings().subscriptions_per_client;
        if ids.len() + subscription.groups.len() > most {
            return Err(refuse(format!("a client may subscribe to {most} characteristics and groups")));
        }
    }
    subscription.since = last.0.or(subscription.since);

    let about = About { user: None, address: admitted.stay_alone().await?, since: parts.clock.now() };
    let (seat, outflow) = parts.shard.seat(about, Encoding::EventStream);
    seat.welcome(caller.0.name);
    parts.tracker.spawn_local(attend(seat, subscription));
    let response = HttpResponse::Ok()
        .force_close() // and so its place is free when it is over
        .insert_header((CONTENT_TYPE, EVENT_STREAM_TYPE))
        .insert_header((CACHE_CONTROL, "no-store, no-transform")) // nobody may hold it back to compress it
        .insert_header(("X-Accel-Buffering", "no"))
        .body(Frames(outflow).boxed());
    Ok(Streamed(response))
}

/// Subscribes, and reads whatever has to be read for the client, until its end.
async fn attend(seat: Seat, subscription: Subscription) {
    let started = Instant::now();
    let code = {
        let mut attending = pin!(seat.attend());
        // What the subscription waits for may be what the attendant reads.
        tokio::select! {
            code = &mut attending => code,
            () = seat.subscribe(&subscription) => attending.await,
        }
    };
    info!(
        connection.id = seat.id().0,
        close.reason = code.name(),
        duration_ms = started.elapsed().as_millis() as u64,
        last_sent_seq = seat.last_sent_seq(),
        "event stream {} ended: {}",
        seat.id().0,
        code.name(),
    );
}

/// The position that a client has come to, as it says by itself when it comes back.
pub struct LastEventId(Option<Position>);

impl LastEventId {
    /// The header's name.
    pub const NAME: &str = "Last-Event-ID";
}

impl FromRequest for LastEventId {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let text = request.headers().get(Self::NAME).map(|value| value.to_str().unwrap_or("?"));
        let position = text.filter(|text| !text.is_empty()).map(str::parse).transpose();
        let refuse = |error| ApiError::new(Kind::InvalidHeader, format!("{}: {error}", Self::NAME));
        ready(position.map(Self).map_err(refuse))
    }
}
