//! How things that go wrong are told over HTTP: the statuses are chosen here and nowhere else.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use tracing::error;

use crate::error_chain::error_chain;
use crate::protocol::problem::{self, AcknowledgementView, FieldError, Problem, shortened};
use crate::protocol::rest::{ItemError, RulesError};
use crate::services::{
    AcknowledgeError, CommitError, CreateError, LimitsRefusal, ReasonCodesError, RulesUpdateError,
    SampleError,
};
use crate::store::StoreError;

/// The kinds of problems: a closed set, each with its name, title and status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    InvalidJson,
    InvalidField,
    InvalidQuery,
    Timeout,
    TooLarge,
    UnsupportedMediaType,
    NotFound,
    /// With the methods that are.
    MethodNotAllowed(&'static str),
    NotAuthenticated,
    Forbidden,
    OriginNotAllowed,
    NotWebSocket,
    UnknownCharacteristic,
    UnknownSample,
    UnknownViolation,
    InvalidMeasurements,
    InvalidTimestamp,
    InvalidLimits,
    NoVariation,
    TooFewSamples,
    KeyTaken,
    AlreadyAcknowledged,
    Busy,
    Unavailable,
    Internal,
}

impl Kind {
    const fn describe(self) -> (&'static str, &'static str, StatusCode) {
        use StatusCode as S;
        match self {
            Self::InvalidJson => ("invalid_json", "The body is not JSON", S::BAD_REQUEST),
            Self::InvalidField => ("invalid_field", "The body does not validate", S::UNPROCESSABLE_ENTITY),
            Self::InvalidQuery => ("invalid_query", "The query does not validate", S::UNPROCESSABLE_ENTITY),
            Self::Timeout => ("timeout", "The request took too long", S::REQUEST_TIMEOUT),
            Self::TooLarge => ("too_large", "The body is too large", S::PAYLOAD_TOO_LARGE),
            Self::UnsupportedMediaType => {
                ("unsupported_media_type", "The media type is not supported", S::UNSUPPORTED_MEDIA_TYPE)
            }
            Self::NotFound => ("not_found", "There is nothing here", S::NOT_FOUND),
            Self::MethodNotAllowed(_) => {
                ("method_not_allowed", "The method is not allowed", S::METHOD_NOT_ALLOWED)
            }
            Self::NotAuthenticated => ("not_authenticated", "A token is required", S::UNAUTHORIZED),
            Self::Forbidden => ("forbidden", "The token may not do this", S::FORBIDDEN),
            Self::OriginNotAllowed => ("origin_not_allowed", "The origin is not allowed", S::FORBIDDEN),
            Self::NotWebSocket => ("not_websocket", "A WebSocket handshake is expected", S::BAD_REQUEST),
            Self::UnknownCharacteristic => ("unknown_characteristic", "Unknown characteristic", S::NOT_FOUND),
            Self::UnknownSample => ("unknown_sample", "Unknown sample", S::NOT_FOUND),
            Self::UnknownViolation => ("unknown_violation", "Unknown violation", S::NOT_FOUND),
            Self::InvalidMeasurements => {
                ("invalid_measurements", "The measurements make no sample", S::UNPROCESSABLE_ENTITY)
            }
            Self::InvalidTimestamp => {
                ("invalid_timestamp", "The time is not usable", S::UNPROCESSABLE_ENTITY)
            }
            Self::InvalidLimits => {
                ("invalid_limits", "These cannot be control limits", S::UNPROCESSABLE_ENTITY)
            }
            Self::NoVariation => ("no_variation", "The samples do not vary", S::UNPROCESSABLE_ENTITY),
            Self::TooFewSamples => ("too_few_samples", "Too few samples", S::CONFLICT),
            Self::KeyTaken => ("key_taken", "The key is taken", S::CONFLICT),
            Self::AlreadyAcknowledged => ("already_acknowledged", "Already acknowledged", S::CONFLICT),
            Self::Busy => ("busy", "Too much is waiting", S::SERVICE_UNAVAILABLE),
            Self::Unavailable => ("unavailable", "The database is not available", S::SERVICE_UNAVAILABLE),
            Self::Internal => ("internal", "An internal error", S::INTERNAL_SERVER_ERROR),
        }
    }
}

/// A problem on its way to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
    acknowledgement: Option<Box<AcknowledgementView>>,
}

impl ApiError {
    /// A problem; `detail` says what was wrong and what would be right.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let detail = shortened(detail.into());
        Self { kind, detail, errors: Vec::new(), acknowledgement: None }
    }

    /// A field of the body that does not validate.
    pub fn field(kind: Kind, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = shortened(detail.into());
        let errors = vec![FieldError { pointer: pointer.into(), detail: detail.clone() }];
        Self { errors, ..Self::new(kind, detail) }
    }

    /// The problem's body.
    pub fn problem(&self) -> Problem {
        let (name, title, status) = self.kind.describe();
        Problem {
            kind: format!("urn:problem:andon:{name}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail.clone(),
            errors: self.errors.clone(),
            acknowledgement: self.acknowledgement.as_deref().cloned(),
        }
    }

    /// The short form, for one item of several.
    pub fn item(&self) -> ItemError {
        let Problem { kind, status, detail, .. } = self.problem();
        ItemError { kind, status, detail }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.kind.describe().2
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((CONTENT_TYPE, problem::CONTENT_TYPE));
        match self.kind {
            Kind::NotAuthenticated => drop(response.insert_header((WWW_AUTHENTICATE, "Bearer"))),
            Kind::Busy | Kind::Unavailable => drop(response.insert_header((RETRY_AFTER, "1"))),
            Kind::MethodNotAllowed(methods) => drop(response.insert_header((ALLOW, methods))),
            _ => {}
        }
        response.body(serde_json::to_string(&self.problem()).expect("texts always encode"))
    }
}

/// Something only the log may know about: logged once, with its causes, and told as an internal error.
fn internal(error: &dyn std::error::Error) -> ApiError {
    let chain = error_chain(error);
    error!(error = %chain, "a request failed: {chain}");
    ApiError::new(Kind::Internal, "the server could not do this; its log says why")
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::new(Kind::Unavailable, "nothing was stored; try again later"),
            other => internal(&other),
        }
    }
}

impl From<CommitError> for ApiError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Busy => Self::new(Kind::Busy, "nothing was stored; try again later"),
            CommitError::Stopping => {
                Self::new(Kind::Unavailable, "the server is stopping; nothing was stored")
            }
            CommitError::Unavailable => Self::new(Kind::Unavailable, "nothing was stored; try again later"),
            CommitError::Uncertain => Self::new(
                Kind::Unavailable,
                "it is not known whether it was stored; look before sending it again",
            ),
            CommitError::Failed(cause) => internal(&*cause),
        }
    }
}

impl From<SampleError> for ApiError {
    fn from(error: SampleError) -> Self {
        match &error {
            SampleError::UnknownCharacteristic(_) => {
                Self::new(Kind::UnknownCharacteristic, error.to_string())
            }
            SampleError::Subgroup(_) => {
                Self::field(Kind::InvalidMeasurements, "/measurements", error.to_string())
            }
        }
    }
}

impl From<AcknowledgeError> for ApiError {
    fn from(error: AcknowledgeError) -> Self {
        let detail = error.to_string();
        match error {
            AcknowledgeError::Unknown(_) => Self::new(Kind::UnknownViolation, detail),
            AcknowledgeError::Already { first, .. } => Self {
                acknowledgement: Some(Box::new((*first).into())),
                ..Self::new(Kind::AlreadyAcknowledged, detail)
            },
        }
    }
}

impl From<LimitsRefusal> for ApiError {
    fn from(error: LimitsRefusal) -> Self {
        use crate::domain::limits::LimitsError;
        let detail = error.to_string();
        match &error {
            LimitsRefusal::Unknown(_) => Self::new(Kind::UnknownCharacteristic, detail),
            LimitsRefusal::Limits(LimitsError::NoVariation) => Self::new(Kind::NoVariation, detail),
            LimitsRefusal::Limits(_) => Self::field(Kind::InvalidLimits, "", detail),
            LimitsRefusal::NoSpread | LimitsRefusal::TooFew { .. } => Self::new(Kind::TooFewSamples, detail),
        }
    }
}

impl From<CreateError> for ApiError {
    fn from(error: CreateError) -> Self {
        match &error {
            CreateError::Definition(definition) => {
                Self::field(Kind::InvalidField, format!("/{}", definition.field), error.to_string())
            }
            CreateError::KeyTaken { .. } => Self::new(Kind::KeyTaken, error.to_string()),
        }
    }
}

impl From<RulesUpdateError> for ApiError {
    fn from(error: RulesUpdateError) -> Self {
        Self::new(Kind::UnknownCharacteristic, error.to_string())
    }
}

impl From<ReasonCodesError> for ApiError {
    fn from(error: ReasonCodesError) -> Self {
        let pointer = match &error {
            ReasonCodesError::Count => "/reason_codes".to_owned(),
            ReasonCodesError::NotALine(index) | ReasonCodesError::Twice(index) => {
                format!("/reason_codes/{index}")
            }
        };
        Self::field(Kind::InvalidField, pointer, error.to_string())
    }
}

/// A list of rules that is no rule set; `prefix` is where the list stands in the body.
pub fn rules_error(prefix: &str, (index, error): (usize, RulesError)) -> ApiError {
    ApiError::field(Kind::InvalidField, format!("{prefix}/{index}"), error.to_string())
}
