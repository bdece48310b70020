//! `/connections`: who is connected to this server, to what and how well; what an operator does about it.

use std::cmp::Reverse;

use actix_web::web::{Data, Path};

use crate::broadcast::{Broadcaster, ConnectionId, ConnectionState};
use crate::clock::Clock;
use crate::domain::characteristic::is_text;
use crate::http::answer::{Deleted, Done};
use crate::http::auth::{Admin, Authorized, Operate, Read};
use crate::http::body::Json;
use crate::http::error::{ApiError, Kind};
use crate::http::input::{NoQuery, Query, page, page_of};
use crate::http::named::{chosen, with_keys};
use crate::protocol::rest::{
    ConnectionFeed, ConnectionNumber, ConnectionOrder, ConnectionQuery, ConnectionView, ListeningView,
    PageView, SubscribeRequest, TestRequest, TestedView, Transport, UnsubscribeRequest,
};
use crate::protocol::socket::{Chosen, TestView};
use crate::store::Store;

const MAX_MESSAGE_CHARS: usize = 4_000;

/// `GET /connections`.
pub async fn list(
    _: Authorized<Read>,
    broadcaster: Data<Broadcaster>,
    store: Data<Store>,
    query: Query<ConnectionQuery>,
) -> Result<Done<PageView<ConnectionView>>, ApiError> {
    let query = query.0;
    let page = page(query.offset, query.limit)?;
    let named = (query.characteristic_id, query.characteristic_key);
    let of_characteristic = chosen(&store, named, Kind::InvalidQuery).await?;
    let mut all = broadcaster.connections(of_characteristic).await;
    all.retain(|state| {
        query.user.as_ref().is_none_or(|user| state.about.user.as_ref() == Some(user))
            && query.quality.is_none_or(|quality| state.quality == Some(quality))
    });
    match query.order {
        Some(ConnectionOrder::Queued) => all.sort_by_key(|state| Reverse(state.queued_bytes)),
        Some(ConnectionOrder::Stalled) => all.sort_by_key(|state| Reverse(state.stalled_for)),
        None => {} // they come by number
    }
    let total = all.len() as u64;
    let offset = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let told = all.iter().skip(offset).take(page.limit as usize).map(|state| state.id).collect();
    let items = broadcaster.named_connections(told).await.into_iter().map(view).collect();
    Ok(Done(page_of(items, total, page)))
}

/// `GET /connections/{id}`.
pub async fn one(
    _: Authorized<Read>,
    broadcaster: Data<Broadcaster>,
    id: Path<ConnectionNumber>,
    _: NoQuery,
) -> Result<Done<ConnectionView>, ApiError> {
    Ok(Done(view(broadcaster.connection(ConnectionId(id.get())).await?)))
}

/// `DELETE /connections/{id}`.
pub async fn disconnect(
    _: Authorized<Admin>,
    broadcaster: Data<Broadcaster>,
    id: Path<ConnectionNumber>,
    _: NoQuery,
) -> Result<Deleted, ApiError> {
    broadcaster.disconnect(ConnectionId(id.get())).await?;
    Ok(Deleted)
}

/// `POST /connections/{id}/subscribe`.
pub async fn subscribe(
    _: Authorized<Admin>,
    broadcaster: Data<Broadcaster>,
    store: Data<Store>,
    id: Path<ConnectionNumber>,
    body: Json<SubscribeRequest>,
    _: NoQuery,
) -> Result<Done<ConnectionView>, ApiError> {
    let (mut subscription, keys) = body.0.subscription().map_err(invalid)?;
    if let Chosen::These(ids) = &mut subscription.chosen {
        ids.extend(with_keys(&store, keys).await?);
    }
    let id = ConnectionId(id.get());
    broadcaster.subscribe(id, subscription).await?;
    Ok(Done(view(broadcaster.connection(id).await?)))
}

/// `POST /connections/{id}/unsubscribe`.
pub async fn unsubscribe(
    _: Authorized<Admin>,
    broadcaster: Data<Broadcaster>,
    store: Data<Store>,
    id: Path<ConnectionNumber>,
    body: Json<UnsubscribeRequest>,
    _: NoQuery,
) -> Result<Done<ConnectionView>, ApiError> {
    let (mut leaving, keys) = body.0.unsubscription().map_err(invalid)?;
    leaving.ids.extend(with_keys(&store, keys).await?);
    let id = ConnectionId(id.get());
    broadcaster.unsubscribe(id, leaving).await?;
    Ok(Done(view(broadcaster.connection(id).await?)))
}

/// `POST /broadcast/test`.
pub async fn test(
    caller: Authorized<Operate>,
    broadcaster: Data<Broadcaster>,
    store: Data<Store>,
    clock: Data<Clock>,
    body: Json<TestRequest>,
    _: NoQuery,
) -> Result<Done<TestedView>, ApiError> {
    let TestRequest { characteristic_id, characteristic_key, severity, message } = body.0;
    if message.is_empty() || !is_text(&message, MAX_MESSAGE_CHARS) {
        let detail = "message must be 1 to 4000 characters, of control characters only line breaks and tabs";
        return Err(ApiError::field(Kind::InvalidField, "/message", detail));
    }
    let named = (characteristic_id, characteristic_key);
    let characteristic_id = chosen(&store, named, Kind::InvalidField).await?;
    let (user, timestamp) = (caller.0.name, clock.now());
    let view = TestView { characteristic_id, severity, message, user, timestamp };
    Ok(Done(TestedView { connections: broadcaster.test(view).await }))
}

fn invalid(detail: String) -> ApiError {
    ApiError::field(Kind::InvalidField, "", detail)
}

fn view(state: ConnectionState) -> ConnectionView {
    ConnectionView {
        connection_id: state.id.0,
        user: state.about.user,
        address: state.about.address,
        transport: if state.is_event_stream { Transport::EventStream } else { Transport::Websocket },
        deflated: state.is_deflated,
        connected_at: state.about.since,
        subscriptions: ListeningView {
            characteristics: state.characteristics as u64,
            characteristic_ids: state.characteristic_ids,
            groups: state.groups.into_iter().collect(),
            all: state.all,
        },
        state: if state.is_replaying { ConnectionFeed::Replaying } else { ConnectionFeed::Live },
        behind: state.is_behind,
        queued_frames: state.queued_frames as u64,
        queued_bytes: state.queued_bytes as u64,
        stalled_ms: u64::try_from(state.stalled_for.as_millis()).unwrap_or(u64::MAX),
        last_sent_seq: state.last_sent_seq,
        received_seq: state.received_seq,
        delivered: state.delivered,
        skipped_samples: state.skipped_samples,
        latency_ms: state.latency_ms,
        jitter_ms: state.jitter_ms,
        quality: state.quality,
    }
}
