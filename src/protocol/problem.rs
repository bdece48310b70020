//! How an error looks over HTTP: RFC 9457 `application/problem+json`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::violation::Acknowledgement;
use crate::protocol::schema::ProblemType;
use crate::protocol::time;

/// The media type.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// What every `type` begins with; then comes the name of its kind.
pub const TYPE_PREFIX: &str = "urn:problem:andon:";

/// The longest text about an error, in characters: it may quote what came in, which may be megabytes.
const MAX_DETAIL_CHARS: usize = 500;

/// The same text, cut where it is too long to be of use.
pub fn shortened(mut detail: String) -> String {
    if let Some((end, _)) = detail.char_indices().nth(MAX_DETAIL_CHARS) {
        detail.truncate(end);
        detail.push('…');
    }
    detail
}

/// What a JSON parser says about its input, in words of JSON instead of this program's own types.
pub fn in_words_of_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let Some((found, wanted)) = text.rsplit_once(", expected ") else { return shortened(text) };
    let (wanted, place) = wanted.split_once(" at line ").unwrap_or((wanted, ""));
    let wanted = match wanted {
        "f64" => "a number",
        "i64" | "u32" | "u64" => "an integer",
        "a sequence" => "an array",
        name if name == "a map" || name.starts_with("struct ") => "an object",
        other => other,
    };
    let at = if place.is_empty() { "" } else { " at line " };
    shortened(format!("{found}, expected {wanted}{at}{place}"))
}

/// What went wrong, for a program (`type`) and for a person (`title`, `detail`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:problem:andon:` and a short name.
    #[serde(rename = "type")]
    #[schema(value_type = ProblemType)]
    pub kind: String,
    /// The same for every problem of this type.
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What was wrong here, and what would be right.
    pub detail: String,
    /// Where a body does not validate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Who was first, where somebody was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub acknowledgement: Option<AcknowledgementView>,
    /// Where the log stands, where a position is not in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub log: Option<LogView>,
}

/// Where the event log stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogView {
    /// Names the log: positions of another one mean nothing in it.
    pub epoch: String,
    /// Events up to here were removed.
    pub floor_seq: u64,
    /// The newest event stands here.
    pub head_seq: u64,
}

/// An answer that a violation has already got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AcknowledgementView {
    pub user: String,
    pub reason: String,
    pub comment: Option<String>,
    #[serde(with = "time")]
    pub timestamp: DateTime<Utc>,
}

impl From<Acknowledgement> for AcknowledgementView {
    fn from(answer: Acknowledgement) -> Self {
        let Acknowledgement { user, reason, comment, timestamp, source: _ } = answer;
        Self { user, reason, comment, timestamp }
    }
}

/// One place of a body that does not validate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// RFC 6901 JSON pointer.
    pub pointer: String,
    /// What was wrong there.
    pub detail: String,
}
