//! `POST /events`: what other SPC backends have judged. What is wrong with one event stops no other.

use actix_web::http::StatusCode;
use actix_web::web::Data;
use serde_json::value::RawValue;

use crate::clock::Clock;
use crate::domain::characteristic::is_visible;
use crate::domain::foreign::ForeignEventId;
use crate::http::answer::Accepted;
use crate::http::auth::{Authorized, Ingest, Principal, Role};
use crate::http::body;
use crate::http::error::{ApiError, Kind};
use crate::http::foreign_payloads::Reader;
use crate::http::idempotency::{Repeatable, keep, other_body, success};
use crate::http::input::{self, NoQuery};
use crate::protocol::rest::{
    ForeignEventItem, ForeignEventRequest, ForeignEventStatus, ForeignEventsBody, ForeignEventsRequest,
    ForeignEventsView,
};
use crate::services::foreign_events::{EventAnswer, ForeignEvent, QueuedEvent, TakenEvent, Told};
use crate::services::{Answered, CharacteristicRef, CommitError, ForeignEvents, Once, Request};
use crate::store::Taken;

/// The most events of one request.
const MAX_EVENTS: usize = 1_000;

/// An event on its way.
enum Waiting {
    Refused(ApiError),
    Plain(QueuedEvent<EventAnswer>),
    Kept(QueuedEvent<Once<EventAnswer>>),
}

/// Takes one event, an array of them, or `{"events": [...]}`.
pub async fn take(
    caller: Authorized<Ingest>,
    events: Data<ForeignEvents>,
    times: Data<input::Settings>,
    clock: Data<Clock>,
    sent: Repeatable<ForeignEventsBody, true>,
    _: NoQuery,
) -> Result<Accepted<ForeignEventsView>, ApiError> {
    let items = items(sent.body.0)?;
    let request = sent.key.map(|key| key.request("POST /events", &caller.0));
    if let Some(request) = &request
        && events.claim(request.clone()).await? == Once::OtherBody
    {
        return Err(other_body());
    }
    let mut waiting: Vec<(Option<String>, Waiting)> = Vec::with_capacity(items.len());
    let mut is_busy = false;
    for (index, item) in items.iter().enumerate() {
        let parsed = body::parse::<ForeignEventRequest, false>(item.get().as_bytes());
        let id = match &parsed {
            Ok(asked) => Some(asked.id.clone()),
            Err(_) => ForeignEventRequest::id_within(item.get()),
        };
        let id = id.filter(|id| is_visible(id));
        let queued = match parsed.and_then(|asked| event(asked, &caller.0, &times, &clock)) {
            Err(error) => Waiting::Refused(error),
            // Who found no place in time would wait as long for each of the others.
            Ok(_) if is_busy => Waiting::Refused(CommitError::Busy.into()),
            Ok(event) => queue(&events, event, request.as_ref(), index).await.unwrap_or_else(|error| {
                is_busy = matches!(error, CommitError::Busy);
                Waiting::Refused(error.into())
            }),
        };
        waiting.push((id, queued));
    }
    let mut view = ForeignEventsView { accepted: 0, duplicates: 0, failed: 0, results: Vec::new() };
    for (index, (id, waiting)) in waiting.into_iter().enumerate() {
        let item = outcome(index, id, waiting).await?;
        match item.status {
            ForeignEventStatus::Accepted => view.accepted += 1,
            ForeignEventStatus::Duplicate => view.duplicates += 1,
            ForeignEventStatus::Error => view.failed += 1,
        }
        view.results.push(item);
    }
    Ok(Accepted(view))
}

async fn queue(
    events: &ForeignEvents,
    event: ForeignEvent,
    request: Option<&Request>,
    index: usize,
) -> Result<Waiting, CommitError> {
    let Some(request) = request else { return events.queue(event).await.map(Waiting::Plain) };
    let part = u32::try_from(index).expect("a request has no more than MAX_EVENTS");
    let id = event.id.id.clone();
    let say = move |answer: &EventAnswer| kept(index, &id, answer);
    events.queue_once(event, keep(request.clone(), part, say)).await.map(Waiting::Kept)
}

/// What is kept of an event: the very words of its result.
fn kept(index: usize, id: &str, answer: &EventAnswer) -> Option<Answered> {
    let answer = answer.clone().map_err(ApiError::from);
    let is_final = answer.as_ref().err().is_none_or(ApiError::is_deterministic);
    is_final.then(|| success(StatusCode::ACCEPTED, &item(index, Some(id.to_owned()), answer)))
}

async fn outcome(index: usize, id: Option<String>, waiting: Waiting) -> Result<ForeignEventItem, ApiError> {
    let answer = match waiting {
        Waiting::Refused(error) => Err(error),
        Waiting::Plain(queued) => taken(queued.taken().await),
        Waiting::Kept(queued) => match queued.taken_once().await {
            Ok(Once::First(answer)) => taken(Ok(answer)),
            Ok(Once::Again(answered)) => {
                return serde_json::from_str(&answered.body)
                    .map_err(|_| ApiError::new(Kind::Internal, "a kept answer cannot be read"));
            }
            Ok(Once::OtherBody) => Err(other_body()),
            Err(error) => Err(error.into()),
        },
    };
    Ok(item(index, id, answer))
}

fn taken(answer: Result<EventAnswer, CommitError>) -> Result<TakenEvent, ApiError> {
    Ok(answer??)
}

/// The events of a body, still to be read.
fn items(body: Box<RawValue>) -> Result<Vec<Box<RawValue>>, ApiError> {
    let text = body.get();
    let (items, pointer) = if text.starts_with('[') {
        (body::parse::<Vec<Box<RawValue>>, true>(text.as_bytes())?, "")
    } else if ForeignEventsRequest::is_meant_by(text) {
        (body::parse::<ForeignEventsRequest, false>(text.as_bytes())?.events, "/events")
    } else {
        (vec![body], "")
    };
    if items.len() > MAX_EVENTS {
        let detail = format!("a request may have at most {MAX_EVENTS} events, not {}", items.len());
        return Err(ApiError::field(Kind::InvalidField, pointer, detail));
    }
    Ok(items)
}

fn item(index: usize, id: Option<String>, outcome: Result<TakenEvent, ApiError>) -> ForeignEventItem {
    let (status, taken, error) = match outcome {
        Ok(TakenEvent { taken, is_duplicate: false }) => (ForeignEventStatus::Accepted, taken, None),
        Ok(TakenEvent { taken, is_duplicate: true }) => (ForeignEventStatus::Duplicate, taken, None),
        Err(error) => (ForeignEventStatus::Error, Taken::default(), Some(error.item())),
    };
    let Taken { sample_id, violation_id, limits_id, seq } = taken;
    ForeignEventItem { index, id, status, seq, sample_id, violation_id, limits_id, error }
}

fn event(
    request: ForeignEventRequest,
    caller: &Principal,
    times: &input::Settings,
    clock: &Clock,
) -> Result<ForeignEvent, ApiError> {
    let ForeignEventRequest { source, id, kind, characteristic_id, characteristic_key, payload } = request;
    let id = ForeignEventId::new(source, id).map_err(|error| {
        ApiError::field(Kind::InvalidField, format!("/{}", error.field), error.to_string())
    })?;
    let named = match (characteristic_id, characteristic_key) {
        (Some(id), None) => Some(CharacteristicRef::Id(id)),
        (None, Some(key)) => Some(CharacteristicRef::Key(key)),
        (None, None) => None,
        (Some(_), Some(_)) => return Err(needs_one_name()),
    };
    let reader = Reader { caller, times, now: clock.now() };
    let whose = || named.clone().ok_or_else(needs_one_name);
    let told = match kind.as_str() {
        "sample" => Told::Sample(whose()?, Box::new(reader.sample(&payload)?)),
        "violation" => Told::Violation(whose()?, Box::new(reader.violation(&payload, &id.id)?)),
        "ack_update" => {
            may_operate(caller, "ack_update")?;
            Told::Acknowledgement(named, reader.acknowledgement(&payload)?)
        }
        "control_limits" => {
            may_operate(caller, "control_limits")?;
            Told::Limits(whose()?, reader.limits(&payload)?)
        }
        other => {
            let detail =
                format!("type must be sample, violation, ack_update or control_limits, not {other:?}");
            return Err(ApiError::field(Kind::InvalidField, "/type", detail));
        }
    };
    Ok(ForeignEvent { id, told })
}

fn needs_one_name() -> ApiError {
    let detail = "give characteristic_id or characteristic_key, and only one of them";
    ApiError::field(Kind::InvalidField, "/characteristic_id", detail)
}

/// What only operators may do they do not get to do by telling that it was done elsewhere.
fn may_operate(caller: &Principal, kind: &str) -> Result<(), ApiError> {
    let refuse = || ApiError::new(Kind::Forbidden, format!("events of type {kind} need the role operate"));
    caller.may(Role::Operate).then_some(()).ok_or_else(refuse)
}
