//! What handlers answer with: the status and the shape of the body are in the type, so that the OpenAPI document
//! tells them without being told.
//!
//! A handler that answers in a new way gets a type of its own here, with its [`Answers`].

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, ContentType, LOCATION};
use actix_web::{HttpRequest, HttpResponse, Responder};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::error::ApiError;
use crate::http::openapi::{Answers, Success};

/// 200 with a JSON body.
pub struct Done<T>(pub T);

/// 201 with a JSON body and the place where the new thing is found.
pub struct Created<T> {
    /// The path.
    pub location: String,
    /// The thing.
    pub view: T,
}

/// 201 with a JSON body that tells what became of it.
pub struct Recorded<T>(pub T);

/// 200 with a JSON body, or 201 with the same and the place where the new thing is found.
pub struct Defined<T> {
    /// The path, if it is new.
    pub new_location: Option<String>,
    /// The thing.
    pub view: T,
}

/// 202 with a JSON body that tells what became of each part.
pub struct Accepted<T>(pub T);

/// 204: it is gone.
pub struct Deleted;

/// An answer, or what the same request was answered the first time, refusals included.
pub enum Kept<A> {
    /// It is the first.
    First(A),
    /// As it was kept.
    Again(HttpResponse),
}

/// 200, or 503 with the same shape: what is missing is in the body.
pub struct Readiness<T> {
    /// Whether it is 200.
    pub is_ready: bool,
    /// The body.
    pub view: T,
}

/// 200 with a JSON object that is text already.
pub struct JsonText(pub String);

/// 200 with the metrics' text.
pub struct MetricsText(pub String);

/// 200 with a picture as SVG.
pub struct SvgPicture(pub String);

/// 200 with a picture as PNG.
pub struct PngPicture(pub Vec<u8>);

/// 101: from here on, it is a WebSocket.
pub struct Upgraded(pub HttpResponse);

/// 200, and events as long as somebody reads them.
pub struct Streamed(pub HttpResponse);

/// The media type of server-sent events.
pub const EVENT_STREAM_TYPE: &str = "text/event-stream; charset=utf-8";

const SVG_TYPE: &str = "image/svg+xml";
const PNG_TYPE: &str = "image/png";

/// A picture does nothing in a browser but show, whatever it says.
const ONLY_SHOWN: (&str, &str) = ("Content-Security-Policy", "default-src 'none'; sandbox");

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl<T: Serialize> Responder for Done<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().json(self.0)
    }
}

impl<T: Serialize> Responder for Created<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Created().insert_header((LOCATION, self.location)).json(self.view)
    }
}

impl<T: Serialize> Responder for Recorded<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Created().json(self.0)
    }
}

impl<T: Serialize> Responder for Defined<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        match self.new_location {
            Some(location) => Created { location, view: self.view }.respond_to(request),
            None => Done(self.view).respond_to(request),
        }
    }
}

impl<T: Serialize> Responder for Accepted<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Accepted().json(self.0)
    }
}

impl Responder for Deleted {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::NoContent().finish()
    }
}

impl<A: Responder<Body = BoxBody>> Responder for Kept<A> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        match self {
            Self::First(answer) => answer.respond_to(request),
            Self::Again(answer) => answer,
        }
    }
}

impl<T: Serialize> Responder for Readiness<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let status = if self.is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        HttpResponse::build(status).json(self.view)
    }
}

impl Responder for JsonText {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().insert_header(ContentType::json()).body(self.0)
    }
}

impl Responder for MetricsText {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().insert_header((CONTENT_TYPE, METRICS_TYPE)).body(self.0)
    }
}

impl Responder for SvgPicture {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().insert_header((CONTENT_TYPE, SVG_TYPE)).insert_header(ONLY_SHOWN).body(self.0)
    }
}

impl Responder for PngPicture {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().insert_header((CONTENT_TYPE, PNG_TYPE)).body(self.0)
    }
}

impl Responder for Upgraded {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.0
    }
}

impl Responder for Streamed {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.0
    }
}

impl<T: ToSchema> Answers for Done<T> {
    fn successes() -> Vec<Success> {
        vec![Success::json::<T>(StatusCode::OK)]
    }
}

impl<T: ToSchema> Answers for Created<T> {
    fn successes() -> Vec<Success> {
        vec![Success::json::<T>(StatusCode::CREATED).with_header("Location", "The path of the new thing.")]
    }
}

impl<T: ToSchema> Answers for Recorded<T> {
    fn successes() -> Vec<Success> {
        vec![Success::json::<T>(StatusCode::CREATED)]
    }
}

impl<T: ToSchema> Answers for Defined<T> {
    fn successes() -> Vec<Success> {
        [Done::<T>::successes(), Created::<T>::successes()].into_iter().flatten().collect()
    }
}

impl<T: ToSchema> Answers for Accepted<T> {
    fn successes() -> Vec<Success> {
        vec![Success::json::<T>(StatusCode::ACCEPTED)]
    }
}

impl Answers for Deleted {
    fn successes() -> Vec<Success> {
        vec![Success::empty(StatusCode::NO_CONTENT)]
    }
}

impl<A: Answers> Answers for Kept<A> {
    fn successes() -> Vec<Success> {
        A::successes()
    }
}

impl<T: ToSchema> Answers for Readiness<T> {
    fn successes() -> Vec<Success> {
        vec![Success::json::<T>(StatusCode::OK), Success::json::<T>(StatusCode::SERVICE_UNAVAILABLE)]
    }
}

impl Answers for JsonText {
    fn successes() -> Vec<Success> {
        vec![Success::object("The document.")]
    }
}

impl Answers for MetricsText {
    fn successes() -> Vec<Success> {
        vec![Success::text(METRICS_TYPE, "OpenMetrics text.")]
    }
}

impl Answers for SvgPicture {
    fn successes() -> Vec<Success> {
        vec![Success::text(SVG_TYPE, "The picture.")]
    }
}

impl Answers for PngPicture {
    fn successes() -> Vec<Success> {
        vec![Success::bytes(PNG_TYPE, "The picture.")]
    }
}

impl Answers for Upgraded {
    fn successes() -> Vec<Success> {
        vec![Success::empty(StatusCode::SWITCHING_PROTOCOLS)]
    }
}

impl Answers for Streamed {
    fn successes() -> Vec<Success> {
        let what = "Server-sent events. `id` is a position, EPOCH.SEQ; `event` and `data` are a message's type and text.";
        vec![Success::text(EVENT_STREAM_TYPE, what)]
    }
}

impl<A: Answers> Answers for Result<A, ApiError> {
    fn successes() -> Vec<Success> {
        A::successes()
    }
}
