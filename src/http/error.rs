//! How things that go wrong are told over HTTP: the statuses are chosen here and nowhere else.

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use tracing::error;

use crate::broadcast::OrderError;
use crate::domain::violation::Acknowledgement;
use crate::error_chain::error_chain;
use crate::notify::ReloadError;
use crate::protocol::problem::{self, AcknowledgementView, FieldError, LogView, Problem, shortened};
use crate::protocol::rest::{ItemError, RulesError};
use crate::services::foreign_events::ForeignEventError;
use crate::services::{
    AcknowledgeEpisodeError, AcknowledgeError, ChangeError, CommitError, CreateError, DeleteError,
    ExclusionError, LimitsRefusal, ReasonCodesError, RulesUpdateError, SampleError,
};
use crate::store::StoreError;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $(($with:ty))?, $name:literal, $status:ident, $title:literal;)*) => {
        /// The kinds of problems: a closed set, each with its name, title and status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $($(#[$doc])* $kind $(($with))?,)*
        }

        impl Kind {
            /// The names of all kinds.
            pub const NAMES: &[&str] = &[$($name),*];

            const fn describe(self) -> (&'static str, &'static str, StatusCode) {
                match self {
                    $(kinds!(@pattern $kind $($with)?) => ($name, $title, StatusCode::$status),)*
                }
            }
        }
    };
    (@pattern $kind:ident) => { Self::$kind };
    (@pattern $kind:ident $with:ty) => { Self::$kind(_) };
}

kinds! {
    InvalidJson, "invalid_json", BAD_REQUEST, "The body is not JSON";
    InvalidField, "invalid_field", UNPROCESSABLE_ENTITY, "The body does not validate";
    InvalidQuery, "invalid_query", UNPROCESSABLE_ENTITY, "The query does not validate";
    InvalidHeader, "invalid_header", UNPROCESSABLE_ENTITY, "A header does not validate";
    OtherBody, "other_body", UNPROCESSABLE_ENTITY, "The key was used before";
    Timeout, "timeout", REQUEST_TIMEOUT, "The request took too long";
    TooLarge, "too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    UnsupportedMediaType, "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The media type is not supported";
    NotFound, "not_found", NOT_FOUND, "There is nothing here";
    /// With the methods that are.
    MethodNotAllowed(&'static str), "method_not_allowed", METHOD_NOT_ALLOWED, "The method is not allowed";
    NotAuthenticated, "not_authenticated", UNAUTHORIZED, "A token is required";
    Forbidden, "forbidden", FORBIDDEN, "The token may not do this";
    OriginNotAllowed, "origin_not_allowed", FORBIDDEN, "The origin is not allowed";
    NotWebSocket, "not_websocket", BAD_REQUEST, "A WebSocket handshake is expected";
    UnknownCharacteristic, "unknown_characteristic", NOT_FOUND, "Unknown characteristic";
    UnknownSample, "unknown_sample", NOT_FOUND, "Unknown sample";
    UnknownViolation, "unknown_violation", NOT_FOUND, "Unknown violation";
    UnknownEpisode, "unknown_episode", NOT_FOUND, "Unknown episode";
    UnknownDelivery, "unknown_delivery", NOT_FOUND, "Unknown delivery";
    UnknownReceiver, "unknown_receiver", NOT_FOUND, "Unknown receiver";
    UnknownSilence, "unknown_silence", NOT_FOUND, "Unknown silence";
    UnknownConnection, "unknown_connection", NOT_FOUND, "Unknown connection";
    InvalidMeasurements, "invalid_measurements", UNPROCESSABLE_ENTITY, "The measurements make no sample";
    InvalidTimestamp, "invalid_timestamp", UNPROCESSABLE_ENTITY, "The time is not usable";
    InvalidLimits, "invalid_limits", UNPROCESSABLE_ENTITY, "These cannot be control limits";
    NoVariation, "no_variation", UNPROCESSABLE_ENTITY, "The samples do not vary";
    TooFewSamples, "too_few_samples", CONFLICT, "Too few samples";
    KeyTaken, "key_taken", CONFLICT, "The key is taken";
    HasSamples, "has_samples", CONFLICT, "The characteristic has samples";
    Retired, "retired", CONFLICT, "The characteristic is retired";
    AlreadyAcknowledged, "already_acknowledged", CONFLICT, "Already acknowledged";
    DeliveryUnderWay, "delivery_under_way", CONFLICT, "The delivery is being tried just now";
    TooManySilences, "too_many_silences", CONFLICT, "Too many silences";
    UnusableSettings, "unusable_settings", UNPROCESSABLE_ENTITY, "The settings cannot be used";
    NoSettingsSource, "no_settings_source", CONFLICT, "This program brings its settings itself";
    LogPassed, "log_passed", GONE, "The log no longer holds what comes next";
    TooManyConnections, "too_many_connections", TOO_MANY_REQUESTS, "Too many connections";
    Busy, "busy", SERVICE_UNAVAILABLE, "Too much is waiting";
    Unavailable, "unavailable", SERVICE_UNAVAILABLE, "The database is not available";
    Internal, "internal", INTERNAL_SERVER_ERROR, "An internal error";
}

impl Kind {
    /// The name that `type` ends with.
    pub const fn name(self) -> &'static str {
        self.describe().0
    }

    /// The same sentence for every problem of this kind.
    pub const fn title(self) -> &'static str {
        self.describe().1
    }

    /// The status that it is answered with.
    pub const fn status(self) -> StatusCode {
        self.describe().2
    }

    /// The header that comes along with it, if one does: its name and value.
    pub const fn header(self) -> Option<(HeaderName, &'static str)> {
        match self {
            Self::NotAuthenticated => Some((WWW_AUTHENTICATE, "Bearer")),
            Self::Busy | Self::Unavailable | Self::TooManyConnections => Some((RETRY_AFTER, "1")),
            Self::MethodNotAllowed(methods) => Some((ALLOW, methods)),
            _ => None,
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
    log: Option<Box<LogView>>,
    /// In place of the kind's.
    retry_after_seconds: Option<u64>,
}

impl ApiError {
    /// A problem; `detail` says what was wrong and what would be right.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let detail = shortened(detail.into());
        Self { kind, detail, errors: Vec::new(), acknowledgement: None, log: None, retry_after_seconds: None }
    }

    /// The same, for who may try again after this time: whole seconds, and at least one.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self { retry_after_seconds: Some(seconds.max(1)), ..self }
    }

    /// A field of the body that does not validate.
    pub fn field(kind: Kind, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = shortened(detail.into());
        let errors = vec![FieldError { pointer: pointer.into(), detail: detail.clone() }];
        Self { errors, ..Self::new(kind, detail) }
    }

    /// A position that is not in the log, which stands elsewhere.
    pub fn log_passed(detail: impl Into<String>, log: LogView) -> Self {
        Self { log: Some(Box::new(log)), ..Self::new(Kind::LogPassed, detail) }
    }

    /// Whether the same request would be refused in the same way at any time.
    pub fn is_deterministic(&self) -> bool {
        matches!(self.kind, Kind::InvalidMeasurements | Kind::KeyTaken | Kind::AlreadyAcknowledged)
    }

    /// The problem's body.
    pub fn problem(&self) -> Problem {
        let (name, title, status) = self.kind.describe();
        Problem {
            kind: format!("{}{name}", problem::TYPE_PREFIX),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail.clone(),
            errors: self.errors.clone(),
            acknowledgement: self.acknowledgement.as_deref().cloned(),
            log: self.log.as_deref().cloned(),
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
        self.kind.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((CONTENT_TYPE, problem::CONTENT_TYPE));
        if let Some(header) = self.kind.header() {
            response.insert_header(header);
        }
        if let Some(seconds) = self.retry_after_seconds {
            response.insert_header((RETRY_AFTER, seconds));
        }
        response.body(serde_json::to_string(&self.problem()).expect("texts always encode"))
    }
}

/// Something only the log may know about: logged once, with its causes, and told as an internal error.
pub fn internal(error: &dyn std::error::Error) -> ApiError {
    let chain = error_chain(error);
    error!(error = %chain, "a request failed: {chain}");
    ApiError::new(Kind::Internal, "the server could not do this; its log says why")
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::new(Kind::Unavailable, "nothing was stored; try again later"),
            StoreError::Renewed => {
                Self::new(Kind::Unavailable, "the log is another one: the server starts again")
            }
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
            SampleError::Retired(_) => Self::new(Kind::Retired, error.to_string()),
            SampleError::KeyTaken(_) => Self::field(Kind::KeyTaken, "/key", error.to_string()),
            SampleError::Subgroup(_) => {
                Self::field(Kind::InvalidMeasurements, "/measurements", error.to_string())
            }
        }
    }
}

impl From<AcknowledgeEpisodeError> for ApiError {
    fn from(error: AcknowledgeEpisodeError) -> Self {
        let detail = error.to_string();
        match error {
            AcknowledgeEpisodeError::Unknown(_) => Self::new(Kind::UnknownEpisode, detail),
            AcknowledgeEpisodeError::Already { first, .. } => already(*first, detail),
        }
    }
}

fn already(first: Acknowledgement, detail: String) -> ApiError {
    let acknowledgement = Some(Box::new(first.into()));
    ApiError { acknowledgement, ..ApiError::new(Kind::AlreadyAcknowledged, detail) }
}

impl From<AcknowledgeError> for ApiError {
    fn from(error: AcknowledgeError) -> Self {
        let detail = error.to_string();
        match error {
            AcknowledgeError::Unknown(_) => Self::new(Kind::UnknownViolation, detail),
            AcknowledgeError::NoSample(_) => Self::field(Kind::InvalidField, "/exclude_sample", detail),
            AcknowledgeError::Already { first, .. } => already(*first, detail),
        }
    }
}

impl From<OrderError> for ApiError {
    fn from(error: OrderError) -> Self {
        let detail = error.to_string();
        match error {
            OrderError::NoSuchConnection(_) => Self::new(Kind::UnknownConnection, detail),
            OrderError::TooManySubscriptions { .. } | OrderError::ListensToAll => {
                Self::field(Kind::InvalidField, "", detail)
            }
            OrderError::Replaying | OrderError::Late => Self::new(Kind::Busy, detail),
        }
    }
}

impl From<ReloadError> for ApiError {
    fn from(error: ReloadError) -> Self {
        let kind = match error {
            ReloadError::NoSource => Kind::NoSettingsSource,
            ReloadError::Unusable(_) => Kind::UnusableSettings,
            ReloadError::Busy => Kind::Busy,
            ReloadError::Stopping => Kind::Unavailable,
        };
        Self::new(kind, error_chain(&error))
    }
}

impl From<ExclusionError> for ApiError {
    fn from(error: ExclusionError) -> Self {
        Self::new(Kind::UnknownSample, error.to_string())
    }
}

impl From<LimitsRefusal> for ApiError {
    fn from(error: LimitsRefusal) -> Self {
        use crate::domain::limits::LimitsError;
        let detail = error.to_string();
        match &error {
            LimitsRefusal::Unknown(_) => Self::new(Kind::UnknownCharacteristic, detail),
            LimitsRefusal::Limits(LimitsError::NoVariation) => Self::new(Kind::NoVariation, detail),
            LimitsRefusal::Method => Self::field(Kind::InvalidField, "/method", detail),
            LimitsRefusal::Unstable => Self::new(Kind::NoVariation, detail),
            LimitsRefusal::Limits(_) => Self::field(Kind::InvalidLimits, "", detail),
            LimitsRefusal::NoSpread | LimitsRefusal::TooFew { .. } => Self::new(Kind::TooFewSamples, detail),
        }
    }
}

impl From<ForeignEventError> for ApiError {
    fn from(error: ForeignEventError) -> Self {
        let detail = error.to_string();
        match error {
            ForeignEventError::UnknownCharacteristic(_) => Self::new(Kind::UnknownCharacteristic, detail),
            ForeignEventError::Retired(_) => Self::new(Kind::Retired, detail),
            ForeignEventError::Key(_) => Self::field(Kind::InvalidField, "/characteristic_key", detail),
            ForeignEventError::UnknownViolation { .. } => Self::new(Kind::UnknownViolation, detail),
            ForeignEventError::OtherCharacteristic(..) => Self::new(Kind::KeyTaken, detail),
            ForeignEventError::SameRule { .. } => Self::field(Kind::InvalidField, "/payload/rule_id", detail),
            ForeignEventError::Limits(error) => LimitsRefusal::Limits(error).into(),
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

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        let detail = error.to_string();
        match error {
            ChangeError::Unknown(_) => Self::new(Kind::UnknownCharacteristic, detail),
            ChangeError::Definition(error) => error.into(),
            ChangeError::HasSamples(_) => Self::new(Kind::HasSamples, detail),
        }
    }
}

impl From<DeleteError> for ApiError {
    fn from(error: DeleteError) -> Self {
        let kind = match error {
            DeleteError::Unknown(_) => Kind::UnknownCharacteristic,
            DeleteError::HasSamples(_) => Kind::HasSamples,
        };
        Self::new(kind, error.to_string())
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
