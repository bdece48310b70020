//! `Idempotency-Key`: a request that carries one has its effect once, and its repeats get the first answer again.
//!
//! Only 2xx and deterministic 4xx are kept: what is unknown today may be known tomorrow.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::domain::characteristic::is_visible;
use crate::http::auth::Principal;
use crate::http::body::{is_json, parse, read};
use crate::http::error::{ApiError, Kind};
use crate::protocol::problem;
use crate::services::{Answered, Keep, Request};

const HEADER: &str = "Idempotency-Key";

/// What a caller calls its request, and what was in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    key: String,
    body_hash: Vec<u8>,
}

impl IdempotencyKey {
    /// The key that a request carries, if it does.
    ///
    /// # Errors
    /// 422, if it is not 1 to 128 visible characters, or given twice.
    pub fn of(request: &HttpRequest, body: &[u8]) -> Result<Option<Self>, ApiError> {
        let mut given = request.headers().get_all(HEADER);
        let Some(value) = given.next() else { return Ok(None) };
        let key = value.to_str().ok().filter(|key| is_visible(key));
        match (key, given.next()) {
            (Some(key), None) => {
                Ok(Some(Self { key: key.to_owned(), body_hash: Sha256::digest(body).to_vec() }))
            }
            _ => {
                let detail =
                    "the header Idempotency-Key must be given once, with 1 to 128 visible characters";
                Err(ApiError::new(Kind::InvalidHeader, detail))
            }
        }
    }

    /// The request it names: this caller's, on this route.
    pub fn request(&self, route: &str, caller: &Principal) -> Request {
        let caller = caller.name.as_deref().unwrap_or_default();
        let Self { key, body_hash } = self.clone();
        Request { scope: format!("{route} {caller}"), key, body_hash }
    }
}

/// A JSON body whose request may be a repeat.
pub struct Repeatable<T, const ARRAY: bool = false> {
    /// The body.
    pub body: T,
    /// The key, if the request carries one.
    pub key: Option<IdempotencyKey>,
}

impl<T: DeserializeOwned + 'static, const ARRAY: bool> FromRequest for Repeatable<T, ARRAY> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let bytes = read(&request, payload, is_json).await?;
            let key = IdempotencyKey::of(&request, &bytes)?;
            Ok(Self { body: parse::<_, ARRAY>(&bytes)?, key })
        })
    }
}

/// For routes that keep no answers.
///
/// # Errors
/// 422, if the request carries a key: nobody shall rely on it in vain.
pub fn refuse(request: &HttpRequest) -> Result<(), ApiError> {
    if request.headers().contains_key(HEADER) {
        let detail = "the header Idempotency-Key is for POST of samples, events and acknowledgements";
        return Err(ApiError::new(Kind::InvalidHeader, detail));
    }
    Ok(())
}

/// How the answers of a route are kept.
pub fn keep<A>(
    request: Request,
    part: u32,
    say: impl Fn(&A) -> Option<Answered> + Send + Sync + 'static,
) -> Keep<A> {
    Keep { request, part, say: Box::new(say) }
}

/// A success that is kept.
pub fn success(status: StatusCode, view: &impl Serialize) -> Answered {
    let body = serde_json::to_string(view).expect("names, texts and finite numbers always encode");
    Answered { status: status.as_u16(), body }
}

/// A refusal that is kept, if it would be the same the next time.
pub fn refusal(error: &ApiError) -> Option<Answered> {
    let kept = error.is_deterministic();
    let problem = error.problem();
    let body = serde_json::to_string(&problem).expect("texts always encode");
    kept.then_some(Answered { status: problem.status, body })
}

/// What a request was answered the first time.
pub fn again(answered: Answered) -> HttpResponse {
    let Answered { status, body } = answered;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let media_type = if status.is_success() { "application/json" } else { problem::CONTENT_TYPE };
    HttpResponse::build(status).insert_header((CONTENT_TYPE, media_type)).body(body)
}

/// A key that was used for another body.
pub fn other_body() -> ApiError {
    let detail = "this Idempotency-Key was used for a request with another body; take a new one";
    ApiError::new(Kind::OtherBody, detail)
}
