//! `/deliveries`: what people were told, to whom, and how it went.

use actix_web::web::{Data, Path};

use crate::domain::delivery::Replayable;
use crate::domain::ids::{DeliveryId, ViolationId};
use crate::http::answer::Done;
use crate::http::auth::{Authorized, Operate, Read};
use crate::http::body::Json;
use crate::http::error::{ApiError, Kind};
use crate::http::input::{self, NoQuery, Query, page, page_of};
use crate::notify::{MOST_REPLAYED, PlanInForce, delivery_name};
use crate::protocol::rest::{
    AttemptView, DeliveryDetailView, DeliveryQuery, DeliveryView, NoticeView, PageQuery, PageView,
    ReplayRequest, ReplayView, WhyView,
};
use crate::store::{AttemptRecord, DeliveryFilter, DeliveryRecord, NoticeRecord, Replay, Retried, Store};

/// Notices of an episode that are told at once.
pub(super) const NOTICES: u32 = 100;

/// `GET /deliveries`, newest first.
pub async fn list(
    _: Authorized<Read>,
    store: Data<Store>,
    times: Data<input::Settings>,
    query: Query<DeliveryQuery>,
) -> Result<Done<PageView<DeliveryView>>, ApiError> {
    let query = query.0;
    let page = page(query.offset, query.limit)?;
    let filter = DeliveryFilter {
        receiver: query.receiver,
        state: query.state,
        episode_id: query.episode_id,
        characteristic_id: query.characteristic_id,
        from: times.bound("from", query.from.as_deref())?,
        to: times.bound("to", query.to.as_deref())?,
        after_seq: None,
    };
    let found = store.deliveries(&filter, page).await?;
    Ok(Done(page_of(found.items.into_iter().map(view).collect(), found.total, page)))
}

/// `GET /deliveries/{id}`.
pub async fn one(
    _: Authorized<Read>,
    store: Data<Store>,
    id: Path<DeliveryId>,
    _: NoQuery,
) -> Result<Done<DeliveryDetailView>, ApiError> {
    let (delivery, attempts) = store.delivery(*id).await?.ok_or_else(|| unknown(*id))?;
    let attempts = attempts.into_iter().map(attempt).collect();
    Ok(Done(DeliveryDetailView { delivery: view(delivery), attempts }))
}

/// `POST /deliveries/{id}/retry`.
pub async fn retry(
    _: Authorized<Operate>,
    store: Data<Store>,
    plan: Data<PlanInForce>,
    id: Path<DeliveryId>,
    _: NoQuery,
) -> Result<Done<DeliveryView>, ApiError> {
    match plan.retry(&store, *id).await? {
        Retried::Due => {}
        Retried::Leased => {
            let text = format!("delivery {id} is being tried just now");
            return Err(ApiError::new(Kind::DeliveryUnderWay, text));
        }
        Retried::Unknown => return Err(unknown(*id)),
    }
    let (delivery, _) = store.delivery(*id).await?.ok_or_else(|| unknown(*id))?;
    Ok(Done(view(delivery)))
}

/// `POST /deliveries/replay`.
pub async fn replay(
    _: Authorized<Operate>,
    store: Data<Store>,
    plan: Data<PlanInForce>,
    times: Data<input::Settings>,
    body: Json<ReplayRequest>,
    _: NoQuery,
) -> Result<Done<ReplayView>, ApiError> {
    let ReplayRequest { receiver, from, to, states } = body.0;
    let refused = |field: &str, text: String| ApiError::field(Kind::InvalidField, format!("/{field}"), text);
    let missing = |field| refused(field, format!("{field} is required"));
    let from = times.field("from", Some(&from))?.ok_or_else(|| missing("from"))?;
    let to = times.field("to", Some(&to))?.ok_or_else(|| missing("to"))?;
    let states = states.unwrap_or_else(|| vec![Replayable::Dead, Replayable::Expired]);
    if !(1..=3).contains(&states.len()) {
        return Err(refused("states", "states must name one, two or three".to_owned()));
    }
    if plan.get().receivers().named(&receiver).is_none() {
        let text = format!("there is no receiver {receiver:?} in the settings");
        return Err(ApiError::new(Kind::UnknownReceiver, text));
    }
    match plan.replay(&store, Replay { receiver, from, to, states }).await? {
        Some(deliveries) => Ok(Done(ReplayView { deliveries })),
        None => {
            let text = format!("there are more than {MOST_REPLAYED} from then to then: name a shorter time");
            Err(refused("to", text))
        }
    }
}

/// `GET /violations/{id}/deliveries`: of the notices that came after it, of its episode; newest first.
pub async fn of_violation(
    _: Authorized<Read>,
    store: Data<Store>,
    id: Path<ViolationId>,
    query: Query<PageQuery>,
) -> Result<Done<PageView<DeliveryView>>, ApiError> {
    let page = page(query.0.offset, query.0.limit)?;
    let unknown = || ApiError::new(Kind::UnknownViolation, format!("violation {id} does not exist"));
    let record = store.violation(*id).await?.ok_or_else(unknown)?;
    let Some(episode) = record.violation.episode_id else {
        return Ok(Done(page_of(Vec::new(), 0, page))); // of the past: nobody is told
    };
    let filter = DeliveryFilter {
        episode_id: Some(episode),
        after_seq: Some(record.seq),
        ..DeliveryFilter::default()
    };
    let found = store.deliveries(&filter, page).await?;
    Ok(Done(page_of(found.items.into_iter().map(view).collect(), found.total, page)))
}

/// `GET /violations/{id}/why`.
pub async fn why(
    _: Authorized<Read>,
    store: Data<Store>,
    id: Path<ViolationId>,
    _: NoQuery,
) -> Result<Done<WhyView>, ApiError> {
    let unknown = || ApiError::new(Kind::UnknownViolation, format!("violation {id} does not exist"));
    let record = store.violation(*id).await?.ok_or_else(unknown)?;
    let episode_id = record.violation.episode_id;
    // The dispatcher's cursor stands at the newest episode event that it has taken. Read first: what is taken meanwhile is
    // among the notices.
    let after = store.notify_cursor().await?.max(record.seq);
    let head = *store.committed().borrow();
    let is_taken = store.episode_events((after, head), 1).await?.is_empty();
    let mut notices = match episode_id {
        Some(episode) => store.notices_of_episode(episode, NOTICES).await?,
        None => Vec::new(),
    };
    // Where nothing was new any more, the one before says who knew of the episode.
    let first = notices.partition_point(|notice| notice.seq < record.seq);
    let is_news = first < notices.len();
    notices.drain(..if is_news { first } else { first.saturating_sub(1) });
    let explanation = explained(episode_id.is_some(), &notices, is_news, is_taken).to_owned();
    let notices = notices.into_iter().map(notice).collect();
    Ok(Done(WhyView { violation_id: *id, episode_id, explanation, notices }))
}

fn explained(has_episode: bool, notices: &[NoticeRecord], is_news: bool, is_taken: bool) -> &'static str {
    let went_somewhere = notices.iter().any(|notice| !notice.deliveries.is_empty());
    match (has_episode, is_news, went_somewhere) {
        (false, ..) => "it is of the past, or older than episodes are: nobody is told",
        (true, true, true) => {
            "what was new about its episode went to the receivers of the routes that matched"
        }
        (true, true, false) => "no route matched what was new about its episode",
        (true, false, _) if !is_taken => "what is new about its episode has not been looked at yet",
        (true, false, true) => "people had been told of its episode before, and it brought nothing new",
        (true, false, false) if notices.is_empty() => {
            "what people were told of its episode is not kept any more"
        }
        (true, false, false) => "no route had matched its episode before, and it brought nothing new",
    }
}

/// A notice as it is told with its episode.
pub(super) fn notice(record: NoticeRecord) -> NoticeView {
    NoticeView {
        seq: record.seq,
        change: record.change,
        timestamp: record.at,
        routes: record.routes,
        deliveries: record.deliveries.into_iter().map(view).collect(),
    }
}

fn unknown(id: DeliveryId) -> ApiError {
    ApiError::new(Kind::UnknownDelivery, format!("delivery {id} does not exist"))
}

fn view(record: DeliveryRecord) -> DeliveryView {
    DeliveryView {
        id: record.id,
        delivery_id: record.id,
        name: delivery_name(&record.epoch, record.id),
        seq: record.seq,
        episode_id: record.episode_id,
        characteristic_id: record.characteristic_id,
        change: record.change,
        receiver: record.receiver,
        recipient: Some(record.recipient).filter(|recipient| !recipient.is_empty()),
        step: record.step,
        reminder: record.reminder,
        silence_id: record.silence_id,
        digest_id: record.digest_id,
        state: record.state,
        reason: record.reason,
        attempt_total: record.attempts,
        created_at: record.created_at,
        due_at: record.due_at,
        useful_until: record.useful_until,
        ended_at: record.ended_at,
    }
}

fn attempt(record: AttemptRecord) -> AttemptView {
    AttemptView {
        number: record.number,
        started_at: record.started_at,
        duration_ms: record.duration.map(|duration| duration.as_secs_f64() * 1e3),
        outcome: record.outcome,
        detail: record.detail,
    }
}
