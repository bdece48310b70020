//! `/samples`: one by one and in batches.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};

use crate::clock::Clock;
use crate::domain::characteristic::is_line;
use crate::domain::ids::SampleId;
use crate::http::auth::{Authorized, Ingest, Read};
use crate::http::body::{self, Json};
use crate::http::error::{ApiError, Kind};
use crate::http::input::{self, NoQuery, Query, page, page_of};
use crate::protocol::payload::ViolationSummary;
use crate::protocol::rest::{
    BatchItem, BatchRequest, BatchView, LimitsState, RecordedView, SampleQuery, SampleRequest, SampleView,
};
use crate::services::{CharacteristicRef, NewSample, QueuedSample, RecordedSample, SpcEngine};
use crate::store::{SampleFilter, Store};

/// The most samples of one batch.
const MAX_BATCH: usize = 10_000;
const MAX_TEXT_CHARS: usize = 200;

/// `POST /samples`.
pub async fn record(
    _: Authorized<Ingest>,
    engine: Data<SpcEngine>,
    times: Data<input::Settings>,
    clock: Data<Clock>,
    body: Json<SampleRequest>,
    _: NoQuery,
) -> Result<HttpResponse, ApiError> {
    let recorded = engine.submit(new_sample(body.0, &times, &clock)?).await??;
    Ok(HttpResponse::Created().json(view(&recorded)))
}

/// `POST /samples/batch`: what is wrong with one sample stops no other.
pub async fn record_batch(
    _: Authorized<Ingest>,
    engine: Data<SpcEngine>,
    times: Data<input::Settings>,
    clock: Data<Clock>,
    body: Json<BatchRequest>,
    _: NoQuery,
) -> Result<HttpResponse, ApiError> {
    let samples = body.0.samples;
    if samples.len() > MAX_BATCH {
        let detail = format!("a batch may have at most {MAX_BATCH} samples, not {}", samples.len());
        return Err(ApiError::field(Kind::InvalidField, "/samples", detail));
    }
    let mut waiting: Vec<Result<QueuedSample, ApiError>> = Vec::with_capacity(samples.len());
    for raw in &samples {
        let parsed = body::parse::<SampleRequest, false>(raw.get().as_bytes());
        let queued = match parsed.and_then(|request| new_sample(request, &times, &clock)) {
            Ok(sample) => engine.queue(sample).await.map_err(ApiError::from),
            Err(error) => Err(error),
        };
        waiting.push(queued);
    }
    let mut results = Vec::with_capacity(waiting.len());
    for (index, queued) in waiting.into_iter().enumerate() {
        let recorded = match queued {
            Ok(queued) => recorded(queued).await,
            Err(error) => Err(error),
        };
        let (sample_id, error) = match recorded {
            Ok(recorded) => (Some(recorded.sample.id), None),
            Err(error) => (None, Some(error.item())),
        };
        results.push(BatchItem { index, sample_id, error, duplicate: false });
    }
    let failed = results.iter().filter(|item| item.error.is_some()).count();
    let total = results.len();
    Ok(HttpResponse::Ok().json(BatchView { total, successful: total - failed, failed, results }))
}

async fn recorded(queued: QueuedSample) -> Result<RecordedSample, ApiError> {
    Ok(queued.recorded().await??)
}

fn new_sample(request: SampleRequest, times: &input::Settings, clock: &Clock) -> Result<NewSample, ApiError> {
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
    Ok(NewSample {
        characteristic,
        measurements: request.measurements,
        timestamp,
        batch: request.batch,
        operator: request.operator,
        metadata: request.metadata.map(|object| object.as_str().to_owned()),
    })
}

fn view(recorded: &RecordedSample) -> RecordedView {
    let RecordedSample { sample, seq, violations } = recorded;
    RecordedView {
        sample_id: sample.id,
        seq: *seq,
        timestamp: sample.timestamp,
        value: sample.subgroup.mean,
        range_value: sample.subgroup.range,
        zone: sample.judgement.map(|j| j.zone),
        in_control: sample.judgement.map(|j| j.in_control),
        limits_state: if sample.judgement.is_some() { LimitsState::InForce } else { LimitsState::None },
        violations: violations.iter().map(|v| ViolationSummary::new(v)).collect(),
        duplicate: false,
    }
}

/// `GET /samples`, newest first.
pub async fn list(
    _: Authorized<Read>,
    store: Data<Store>,
    times: Data<input::Settings>,
    query: Query<SampleQuery>,
) -> Result<HttpResponse, ApiError> {
    let SampleQuery { characteristic_id, from, to, offset, limit } = query.0;
    let page = page(offset, limit)?;
    let (from, to) = (times.bound("from", from.as_deref())?, times.bound("to", to.as_deref())?);
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
    Ok(page_of(items, found.total, page))
}

/// `GET /samples/{id}`.
pub async fn one(
    _: Authorized<Read>,
    store: Data<Store>,
    id: Path<SampleId>,
    _: NoQuery,
) -> Result<HttpResponse, ApiError> {
    let unknown = || ApiError::new(Kind::UnknownSample, format!("sample {id} does not exist"));
    let sample = store.sample(*id).await?.ok_or_else(unknown)?;
    let mut fired = store.violations_of_samples([*id]).await?;
    let violations = fired.remove(&id).unwrap_or_default();
    let view = SampleView::new(sample, violations.iter().map(ViolationSummary::new).collect());
    Ok(HttpResponse::Ok().json(view))
}
