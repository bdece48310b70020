//! `/samples`: one by one and in batches.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};

use crate::clock::Clock;
use crate::domain::characteristic::{DefinitionError, is_line};
use crate::domain::ids::SampleId;
use crate::domain::sample::{Mode, SampleKey};
use crate::http::answer::{Done, Kept, Recorded};
use crate::http::auth::{Authorized, Ingest, Read};
use crate::http::error::{ApiError, Kind};
use crate::http::idempotency::{Repeatable, again, keep, other_body, refusal, success};
use crate::http::input::{self, NoQuery, Query, page, page_of};
use crate::http::named::chosen;
use crate::protocol::payload::ViolationSummary;
use crate::protocol::rest::{PageView, RecordedView, SampleQuery, SampleRequest, SampleView};
use crate::services::{CharacteristicRef, NewSample, Once, RecordedSample, SampleAnswer, SpcEngine};
use crate::store::{SampleFilter, Store};

const MAX_TEXT_CHARS: usize = 200;

/// `POST /samples`.
pub async fn record(
    caller: Authorized<Ingest>,
    engine: Data<SpcEngine>,
    times: Data<input::Settings>,
    clock: Data<Clock>,
    sent: Repeatable<SampleRequest>,
    _: NoQuery,
) -> Result<Kept<Recorded<RecordedView>>, ApiError> {
    let sample = new_sample(sent.body, Mode::Live, &times, &clock)?;
    let Some(key) = sent.key else {
        let recorded = engine.submit(sample).await??;
        return Ok(Kept::First(Recorded(view(&recorded))));
    };
    let keep = keep(key.request("POST /samples", &caller.0), 0, |answer: &SampleAnswer| match answer {
        Ok(recorded) => Some(success(StatusCode::CREATED, &view(recorded))),
        Err(error) => refusal(&error.clone().into()),
    });
    match engine.submit_once(sample, keep).await? {
        Once::First(answer) => Ok(Kept::First(Recorded(view(&answer?)))),
        Once::Again(answered) => Ok(Kept::Again(again(answered))),
        Once::OtherBody => Err(other_body()),
    }
}

/// The sample that is asked for; `mode` is for one that does not say it itself.
///
/// # Errors
/// 422, naming the field.
pub fn new_sample(
    request: SampleRequest,
    mode: Mode,
    times: &input::Settings,
    clock: &Clock,
) -> Result<NewSample, ApiError> {
    let characteristic = match (request.characteristic_id, request.characteristic_key) {
        (Some(id), None) => CharacteristicRef::Id(id),
        (None, Some(key)) => CharacteristicRef::Key(key),
        _ => {
            let detail = "give characteristic_id or characteristic_key, and only one of them";
            return Err(ApiError::field(Kind::InvalidField, "/characteristic_id", detail));
        }
    };
    let timestamp = match &request.timestamp {
        Some(text) => Some(times.measured_at(text, clock.now())?),
        None => None,
    };
    for (pointer, text) in [("/batch", &request.batch), ("/operator", &request.operator)] {
        if text.as_ref().is_some_and(|text| !is_line(text, MAX_TEXT_CHARS)) {
            let detail = "must be 1 to 200 characters on one line";
            return Err(ApiError::field(Kind::InvalidField, pointer, detail));
        }
    }
    let invalid_key = |error: DefinitionError| ApiError::field(Kind::InvalidField, "/key", error.to_string());
    let key = request.key.map(SampleKey::new).transpose().map_err(invalid_key)?;
    Ok(NewSample {
        mode: request.mode.unwrap_or(mode),
        key,
        characteristic,
        measurements: request.measurements,
        timestamp,
        batch: request.batch,
        operator: request.operator,
        metadata: request.metadata.map(|object| object.as_str().to_owned()),
    })
}

fn view(recorded: &RecordedSample) -> RecordedView {
    let RecordedSample { sample, seq, violations, limits_state, is_duplicate } = recorded;
    RecordedView {
        sample_id: sample.id,
        seq: *seq,
        timestamp: sample.timestamp,
        value: sample.subgroup.mean,
        range_value: sample.subgroup.range,
        zone: sample.judgement.and_then(|j| j.zone),
        in_control: sample.judgement.map(|j| j.in_control),
        limits_state: *limits_state,
        violations: violations.iter().map(|v| ViolationSummary::new(v)).collect(),
        duplicate: *is_duplicate,
    }
}

/// `GET /samples`, newest first.
pub async fn list(
    _: Authorized<Read>,
    store: Data<Store>,
    times: Data<input::Settings>,
    query: Query<SampleQuery>,
) -> Result<Done<PageView<SampleView>>, ApiError> {
    let SampleQuery { characteristic_id, characteristic_key, from, to, offset, limit } = query.0;
    let page = page(offset, limit)?;
    let (from, to) = (times.bound("from", from.as_deref())?, times.bound("to", to.as_deref())?);
    let characteristic_id =
        chosen(&store, (characteristic_id, characteristic_key), Kind::InvalidQuery).await?;
    let found = store.samples(&SampleFilter { characteristic_id, from, to }, page).await?;
    let mut fired = store.violations_of_samples(found.items.iter().map(|sample| sample.id)).await?;
    let items: Vec<_> = found
        .items
        .into_iter()
        .map(|sample| {
            let violations = fired.remove(&sample.id).unwrap_or_default();
            SampleView::new(sample, violations.iter().map(ViolationSummary::new).collect())
        })
        .collect();
    Ok(Done(page_of(items, found.total, page)))
}

/// `GET /samples/{id}`.
pub async fn one(
    _: Authorized<Read>,
    store: Data<Store>,
    id: Path<SampleId>,
    _: NoQuery,
) -> Result<Done<SampleView>, ApiError> {
    let unknown = || ApiError::new(Kind::UnknownSample, format!("sample {id} does not exist"));
    let sample = store.sample(*id).await?.ok_or_else(unknown)?.sample;
    let mut fired = store.violations_of_samples([*id]).await?;
    let violations = fired.remove(&id).unwrap_or_default();
    let view = SampleView::new(sample, violations.iter().map(ViolationSummary::new).collect());
    Ok(Done(view))
}
