//! `POST /samples/batch`: many samples at once, each on its own. What is wrong with one stops no other.
//!
//! Two forms of body: a JSON object with a list, and newline-delimited JSON, one sample for each line.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use serde_json::value::RawValue;

use crate::clock::Clock;
use crate::domain::sample::Mode;
use crate::http::answer::Done;
use crate::http::auth::{Authorized, Ingest};
use crate::http::body::{is_json, parse, read};
use crate::http::error::{ApiError, Kind};
use crate::http::idempotency::{IdempotencyKey, keep, other_body, success};
use crate::http::input::{self, Query};
use crate::http::samples::new_sample;
use crate::protocol::rest::{BatchItem, BatchQuery, BatchRequest, BatchView, SampleRequest};
use crate::services::{
    Answered, CommitError, NewSample, Once, Queued, RecordedSample, Request, SampleAnswer, SpcEngine,
};

/// The most samples of one batch.
const MAX_BATCH: usize = 10_000;

/// Newline-delimited JSON has no registered name; these are in use.
const NDJSON: [&str; 4] = ["x-ndjson", "ndjson", "jsonl", "x-jsonlines"];

/// A batch as it came: its items are read one by one.
pub struct Batch {
    /// For the samples that do not say it themselves.
    mode: Option<Mode>,
    items: Items,
    key: Option<IdempotencyKey>,
}

enum Items {
    List(Vec<Box<RawValue>>),
    Lines(Vec<Bytes>),
}

impl FromRequest for Batch {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let body = read(&request, payload, |request| is_json(request) || is_ndjson(request)).await?;
            let key = IdempotencyKey::of(&request, &body)?;
            let (mode, items) = if is_ndjson(&request) {
                (None, Items::Lines(lines(&body)))
            } else {
                let BatchRequest { mode, samples } = parse::<_, false>(&body)?;
                (mode, Items::List(samples))
            };
            Ok(Self { mode, items, key })
        })
    }
}

fn is_ndjson(request: &HttpRequest) -> bool {
    let Ok(Some(mime)) = request.mime_type() else { return false };
    mime.type_() == "application" && NDJSON.contains(&mime.subtype().as_str())
}

/// Blank lines, such as the one after the last line break, are no items.
fn lines(body: &Bytes) -> Vec<Bytes> {
    let line = |line: &[u8]| body.slice_ref(line.trim_ascii());
    body.split(|byte| *byte == b'\n').map(line).filter(|line| !line.is_empty()).collect()
}

impl Items {
    fn len(&self) -> usize {
        match self {
            Self::List(items) => items.len(),
            Self::Lines(lines) => lines.len(),
        }
    }

    fn iter(&self) -> Box<dyn Iterator<Item = &[u8]> + '_> {
        match self {
            Self::List(items) => Box::new(items.iter().map(|item| item.get().as_bytes())),
            Self::Lines(lines) => Box::new(lines.iter().map(|line| &line[..])),
        }
    }
}

/// An item on its way.
enum Waiting {
    Refused(ApiError),
    Plain(Queued<SampleAnswer>),
    Kept(Queued<Once<SampleAnswer>>),
}

/// `POST /samples/batch`.
pub async fn record(
    caller: Authorized<Ingest>,
    engine: Data<SpcEngine>,
    times: Data<input::Settings>,
    clock: Data<Clock>,
    batch: Batch,
    query: Query<BatchQuery>,
) -> Result<Done<BatchView>, ApiError> {
    let Batch { mode, items, key } = batch;
    if items.len() > MAX_BATCH {
        let detail = format!("a batch may have at most {MAX_BATCH} samples, not {}", items.len());
        return Err(ApiError::field(Kind::InvalidField, "/samples", detail));
    }
    let mode = mode.or(query.0.mode).unwrap_or_default();
    let request = key.map(|key| key.request("POST /samples/batch", &caller.0));
    if let Some(request) = &request
        && engine.claim_batch(request.clone()).await? == Once::OtherBody
    {
        return Err(other_body());
    }
    let mut waiting = Vec::with_capacity(items.len());
    let mut is_busy = false;
    for (index, item) in items.iter().enumerate() {
        let parsed = parse::<SampleRequest, false>(item);
        waiting.push(match parsed.and_then(|asked| new_sample(asked, mode, &times, &clock)) {
            Err(error) => Waiting::Refused(error),
            // Who found no place in time would wait as long for each of the others.
            Ok(_) if is_busy => Waiting::Refused(CommitError::Busy.into()),
            Ok(sample) => queue(&engine, sample, request.as_ref(), index).await.unwrap_or_else(|error| {
                is_busy = matches!(error, CommitError::Busy);
                Waiting::Refused(error.into())
            }),
        });
    }
    let mut results = Vec::with_capacity(waiting.len());
    for (index, item) in waiting.into_iter().enumerate() {
        results.push(outcome(index, item).await?);
    }
    let failed = results.iter().filter(|item| item.error.is_some()).count();
    let total = results.len();
    Ok(Done(BatchView { total, successful: total - failed, failed, results }))
}

async fn queue(
    engine: &SpcEngine,
    sample: NewSample,
    request: Option<&Request>,
    index: usize,
) -> Result<Waiting, CommitError> {
    let Some(request) = request else { return engine.queue(sample).await.map(Waiting::Plain) };
    let part = u32::try_from(index).expect("a batch is no longer than MAX_BATCH");
    let keep = keep(request.clone(), part, move |answer: &SampleAnswer| kept(index, answer));
    engine.queue_once(sample, keep).await.map(Waiting::Kept)
}

/// What is kept of an item: the very words of its result.
fn kept(index: usize, answer: &SampleAnswer) -> Option<Answered> {
    let is_final = match answer {
        Ok(_) => true,
        Err(error) => ApiError::from(error.clone()).is_deterministic(),
    };
    is_final.then(|| success(StatusCode::OK, &result(index, answer.clone().map_err(ApiError::from))))
}

async fn outcome(index: usize, item: Waiting) -> Result<BatchItem, ApiError> {
    let answer = match item {
        Waiting::Refused(error) => Err(error),
        Waiting::Plain(queued) => recorded(queued.recorded().await),
        Waiting::Kept(queued) => match queued.recorded().await {
            Ok(Once::First(answer)) => recorded(Ok(answer)),
            Ok(Once::Again(answered)) => {
                return serde_json::from_str(&answered.body)
                    .map_err(|_| ApiError::new(Kind::Internal, "a kept answer cannot be read"));
            }
            Ok(Once::OtherBody) => Err(other_body()),
            Err(error) => Err(error.into()),
        },
    };
    Ok(result(index, answer))
}

fn recorded(answer: Result<SampleAnswer, CommitError>) -> Result<RecordedSample, ApiError> {
    Ok(answer??)
}

fn result(index: usize, answer: Result<RecordedSample, ApiError>) -> BatchItem {
    match answer {
        Ok(RecordedSample { sample, is_duplicate, .. }) => {
            BatchItem { index, sample_id: Some(sample.id), error: None, duplicate: is_duplicate }
        }
        Err(error) => BatchItem { index, sample_id: None, error: Some(error.item()), duplicate: false },
    }
}
