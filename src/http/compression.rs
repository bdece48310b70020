//! Large answers travel compressed, to whoever takes that: a list shrinks to a tenth.
//!
//! Small ones do not: most answers to samples and acknowledgements fit into one packet as they are.
//!
//! * **Late**: what is very large is compressed away from the threads that serve sockets.

use std::io::Write as _;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::ErrorInternalServerError;
use actix_web::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, VARY,
};
use actix_web::middleware::Next;
use actix_web::web;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// From this size on it is worth the trouble, in bytes.
const SMALLEST: u64 = 4 * 1024;
/// What is larger would hold up what else its thread serves, in bytes.
const LARGEST_IN_PLACE: usize = 64 * 1024;

/// Compresses large answers that are text.
pub async fn large_answers<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse, actix_web::Error> {
    let is_wanted = takes_gzip(request.headers());
    let mut answer = next.call(request).await?;
    if !is_large_text(&answer) {
        return Ok(answer.map_into_boxed_body());
    }
    answer.headers_mut().append(VARY, HeaderValue::from_static("Accept-Encoding"));
    if !is_wanted {
        return Ok(answer.map_into_boxed_body());
    }
    let (request, answer) = answer.into_parts();
    let (mut head, body) = answer.into_parts();
    let plain = match body.try_into_bytes() {
        Ok(plain) => plain,
        Err(body) => return Ok(ServiceResponse::new(request, head.set_body(body)).map_into_boxed_body()),
    };
    let squeezed = if plain.len() > LARGEST_IN_PLACE {
        let squeeze = move || gzip(&plain, Compression::fast());
        web::block(squeeze).await.map_err(ErrorInternalServerError)?
    } else {
        gzip(&plain, Compression::fast())
    };
    head.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Ok(ServiceResponse::new(request, head.set_body(squeezed)).map_into_boxed_body())
}

/// Whole, not on its way bit by bit, and not compressed already.
fn is_large_text<B: MessageBody>(answer: &ServiceResponse<B>) -> bool {
    let headers = answer.headers();
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let is_text = [
        "text/",
        "application/json",
        "application/problem+json",
        "application/openmetrics-text",
        "image/svg+xml",
    ]
    .into_iter()
    .any(|kind| media_type.starts_with(kind));
    let is_large = matches!(answer.response().body().size(), BodySize::Sized(bytes) if bytes >= SMALLEST);
    is_text && is_large && !headers.contains_key(CONTENT_ENCODING)
}

/// Whether a client takes answers that are compressed with gzip.
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("");
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let is_refused = matches!(weight.replace(' ', "").as_str(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        name.trim().eq_ignore_ascii_case("gzip") && !is_refused
    })
}

/// The same, compressed.
pub fn gzip(plain: &[u8], level: Compression) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(plain).expect("a vector takes whatever is written");
    encoder.finish().expect("a vector takes whatever is written").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_takes_it_gets_it_compressed() {
        let takes = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            takes_gzip(&headers)
        };
        assert!(["gzip", "deflate, GZIP;q=0.5", "br, gzip"].into_iter().all(takes));
        assert!(!["", "identity", "gzip;q=0", "gzip; q=0.0", "xgzip"].into_iter().any(takes));
    }
}
