//! JSON bodies, read whole and checked: what is wrong is told with its place in the body.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ORIGIN};
use actix_web::web::{Bytes, BytesMut, Data};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use tokio::time::timeout;

use crate::http::Settings;
use crate::http::error::{ApiError, Kind};
use crate::http::idempotency;
use crate::protocol::problem::in_words_of_json;

/// A body that is valid JSON of type `T`: an object, unless `ARRAY` says that it may be an array, too.
pub struct Json<T, const ARRAY: bool = false>(pub T);

impl<T: DeserializeOwned + 'static, const ARRAY: bool> FromRequest for Json<T, ARRAY> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            idempotency::refuse(&request)?;
            parse::<_, ARRAY>(&read(&request, payload, is_json).await?).map(Json)
        })
    }
}

/// A body that may be left out altogether.
///
/// But not by a web page: a request without a media type is one that a browser sends for any page, without
/// asking this server first whether the page may.
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned + Default + 'static> FromRequest for OptionalJson<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            idempotency::refuse(&request)?;
            if request.headers().contains_key(CONTENT_TYPE) {
                let body = read(&request, payload, is_json).await?;
                return match body.is_empty() {
                    true => Ok(Self(T::default())),
                    false => parse::<_, false>(&body).map(OptionalJson),
                };
            }
            if request.headers().contains_key(ORIGIN) {
                return Err(unsupported());
            }
            match payload.next().await {
                None => Ok(Self(T::default())),
                Some(_) => Err(unsupported()),
            }
        })
    }
}

/// The whole body, of a media type that `takes` says yes to.
///
/// # Errors
/// 415, 413 and 408; 400 for a body that ended too early.
pub async fn read(
    request: &HttpRequest,
    payload: Payload,
    takes: fn(&HttpRequest) -> bool,
) -> Result<Bytes, ApiError> {
    if !takes(request) {
        return Err(unsupported());
    }
    let settings = request.app_data::<Data<Settings>>().expect("app_data has the settings");
    let limit = settings.body_bytes;
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let patience = Duration::from_millis(settings.body_timeout_ms);
    timeout(patience, collect(payload, limit))
        .await
        .unwrap_or_else(|_| Err(ApiError::new(Kind::Timeout, "the body did not arrive in time")))
}

async fn collect(mut payload: Payload, limit: usize) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::new(Kind::InvalidJson, "the body ended too early"))?;
        if body.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Whether the body is said to be JSON.
pub fn is_json(request: &HttpRequest) -> bool {
    let Ok(Some(mime)) = request.mime_type() else { return false };
    mime.type_() == "application" && (mime.subtype() == "json" || mime.suffix().is_some_and(|s| s == "json"))
}

fn unsupported() -> ApiError {
    ApiError::new(Kind::UnsupportedMediaType, "send the body as application/json")
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(Kind::TooLarge, format!("a body may have at most {limit} bytes"))
}

/// Reads JSON and tells what is wrong with it, and where.
///
/// # Errors
/// [`ApiError`]: 400 if it is not JSON, 422 if it does not validate.
pub fn parse<T: DeserializeOwned, const ARRAY: bool>(body: &[u8]) -> Result<T, ApiError> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        None => return Err(ApiError::new(Kind::InvalidJson, "the body is empty; send a JSON value")),
        // Serde would read a struct from an array of its fields.
        Some(b'[') if !ARRAY => {
            return Err(ApiError::field(Kind::InvalidField, "", "must be a JSON object, not an array"));
        }
        Some(_) => {}
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let parsed = serde_path_to_error::deserialize(&mut deserializer);
    let value = parsed.map_err(|error| explain(&pointer(error.path()), error.inner()))?;
    deserializer.end().map_err(|error| explain("", &error))?;
    Ok(value)
}

fn explain(pointer: &str, error: &serde_json::Error) -> ApiError {
    let text = in_words_of_json(error);
    // 1e999 is JSON, and no number that a double can hold.
    if error.classify() == Category::Data || text.starts_with("number out of range") {
        return ApiError::field(Kind::InvalidField, pointer, text);
    }
    ApiError::new(Kind::InvalidJson, format!("the body is not JSON: {text}"))
}

/// A longer name is not repeated: the place is then that of what holds it.
const MAX_NAME_BYTES: usize = 200;

/// RFC 6901.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        let name = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } if key.len() > MAX_NAME_BYTES => break,
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { .. } | Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&name);
    }
    pointer
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Thing {
        a: Vec<f64>,
    }

    fn problem(body: &str) -> (u16, Option<String>) {
        let problem = parse::<Thing, false>(body.as_bytes()).expect_err("refused").problem();
        (problem.status, problem.errors.first().map(|e| e.pointer.clone()))
    }

    #[test]
    fn what_is_wrong_with_a_body_is_told_with_its_place() {
        assert_eq!(parse::<Thing, false>(br#"{"a":[1.5]}"#).expect("valid").a, [1.5]);
        assert_eq!(problem(""), (400, None));
        assert_eq!(problem("{"), (400, None));
        assert_eq!(problem(r#"{"a":[NaN]}"#), (400, None));
        assert_eq!(problem(r#"{"a":[1]} x"#), (400, None));
        assert_eq!(problem(r#"{"a":[1,"x"]}"#), (422, Some("/a/1".to_owned())));
        assert_eq!(problem(r#"{"a":[1e999]}"#).0, 422);
        assert_eq!(problem(r#"{"a":[],"a":[]}"#).0, 422);
        assert_eq!(problem(r#"{"a":[],"b":1}"#).0, 422);
        assert_eq!(problem("[[1.5]]").0, 422);
    }
}
