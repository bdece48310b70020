//! What other SPC backends tell over REST: `POST /events`. The items are read one by one, so that a bad one stops
//! nothing. Values are in the characteristic's own unit.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::domain::chart::{Chart, Side, Zone};
use crate::domain::ids::{CharacteristicId, LimitsId, SampleId, ViolationId};
use crate::domain::sample::Mode;
use crate::protocol::json::JsonObject;
use crate::protocol::rest::ItemError;
use crate::protocol::schema::{Line, Moment, Note, Quantity, Text};

/// Several events: `{"events": [...]}`. An array alone and a single event are taken, too.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForeignEventsRequest {
    #[schema(value_type = Vec<ForeignEventRequest>, max_items = 1000)]
    pub events: Vec<Box<RawValue>>,
}

impl ForeignEventsRequest {
    /// Whether a JSON object is one of these, or else a single event.
    pub fn is_meant_by(object: &str) -> bool {
        #[derive(Deserialize)]
        struct Peek {
            events: Option<IgnoredAny>,
        }
        serde_json::from_str(object).map_or(true, |peek: Peek| peek.events.is_some())
    }
}

/// Body of `POST /events`, kept as it came: one event, an array of them, or [`ForeignEventsRequest`].
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct ForeignEventsBody(pub Box<RawValue>);

/// One event of another system; `source` and `id` together are unique for ever.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignEventRequest {
    pub source: String,
    pub id: String,
    /// `sample`, `violation`, `ack_update` or `control_limits`: it says what `payload` holds.
    #[serde(rename = "type")]
    pub kind: String,
    pub characteristic_id: Option<CharacteristicId>,
    pub characteristic_key: Option<String>,
    pub payload: Box<RawValue>,
}

impl ForeignEventRequest {
    /// The `id` of an event that cannot be read otherwise.
    pub fn id_within(event: &str) -> Option<String> {
        #[derive(Deserialize)]
        struct Peek {
            id: Option<String>,
        }
        serde_json::from_str(event).ok().and_then(|peek: Peek| peek.id)
    }
}

/// The sender's own id of one of its things: a text, or a number that is kept as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalId(pub String);

impl<'de> Deserialize<'de> for ExternalId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExternalIdVisitor)
    }
}

struct ExternalIdVisitor;

impl Visitor<'_> for ExternalIdVisitor {
    type Value = ExternalId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or an integer")
    }

    fn visit_str<E>(self, id: &str) -> Result<ExternalId, E> {
        Ok(ExternalId(id.to_owned()))
    }

    fn visit_i64<E>(self, id: i64) -> Result<ExternalId, E> {
        Ok(ExternalId(id.to_string()))
    }

    fn visit_u64<E>(self, id: u64) -> Result<ExternalId, E> {
        Ok(ExternalId(id.to_string()))
    }
}

/// Payload of a foreign `sample`: `value`, `measurements`, or both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForeignSample {
    pub sample_id: Option<ExternalId>,
    /// What was plotted; without it, the mean of the measurements.
    #[schema(value_type = Option<Quantity>)]
    pub value: Option<f64>,
    #[schema(value_type = Option<Vec<Quantity>>, max_items = 1000)]
    pub measurements: Option<Vec<f64>>,
    #[schema(value_type = Moment)]
    pub timestamp: String,
    pub n: Option<u32>,
    #[schema(value_type = Option<Quantity>)]
    pub range_value: Option<f64>,
    #[schema(value_type = Option<Quantity>)]
    pub std_dev: Option<f64>,
    #[schema(value_type = Option<Quantity>)]
    pub dispersion_value: Option<f64>,
    /// Null: it was not judged.
    pub in_control: Option<bool>,
    pub zone: Option<Zone>,
    #[schema(value_type = Option<Quantity>)]
    pub ucl: Option<f64>,
    #[schema(value_type = Option<Quantity>)]
    pub center_line: Option<f64>,
    #[schema(value_type = Option<Quantity>)]
    pub lcl: Option<f64>,
    pub out_of_spec: Option<u32>,
    #[schema(value_type = Option<Line>)]
    pub batch: Option<String>,
    #[schema(value_type = Option<Line>)]
    pub operator: Option<String>,
    pub metadata: Option<JsonObject>,
    pub mode: Option<Mode>,
}

/// Payload of a foreign `violation`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForeignViolation {
    /// Without it, the event's `id`.
    pub violation_id: Option<ExternalId>,
    pub sample_id: Option<ExternalId>,
    pub rule_id: u32,
    #[schema(value_type = Line)]
    pub rule_name: String,
    /// The sender's word for it.
    #[schema(value_type = Line)]
    pub severity: String,
    #[schema(value_type = Moment)]
    pub timestamp: String,
    pub chart: Option<Chart>,
    pub side: Option<Side>,
    #[schema(value_type = Option<Quantity>)]
    pub value: Option<f64>,
    #[schema(value_type = Option<Quantity>)]
    pub center_line: Option<f64>,
    #[schema(value_type = Option<Quantity>)]
    pub ucl: Option<f64>,
    #[schema(value_type = Option<Quantity>)]
    pub lcl: Option<f64>,
    #[schema(value_type = Option<Quantity>)]
    pub sigma: Option<f64>,
    pub n: Option<u32>,
    pub message: Option<String>,
    #[schema(max_items = 200)]
    pub involved_sample_ids: Option<Vec<ExternalId>>,
    pub requires_acknowledgement: Option<bool>,
}

/// Payload of a foreign `ack_update`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForeignAcknowledgement {
    /// The sender's own id of the violation.
    pub violation_id: ExternalId,
    /// Required where no login says who.
    #[schema(value_type = Option<Line>)]
    pub user: Option<String>,
    #[schema(value_type = Line)]
    pub reason: String,
    #[schema(value_type = Option<Text>)]
    pub comment: Option<String>,
    /// Without it, the time of arrival.
    #[schema(value_type = Option<Moment>)]
    pub timestamp: Option<String>,
}

/// Payload of a foreign `control_limits`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForeignLimits {
    #[schema(value_type = Quantity)]
    pub center_line: f64,
    #[schema(value_type = Quantity)]
    pub ucl: f64,
    #[schema(value_type = Quantity)]
    pub lcl: f64,
    /// Of single observations; without it, it follows from the distance of the limits.
    #[schema(value_type = Option<Quantity>)]
    pub sigma: Option<f64>,
    #[schema(value_type = Option<Note>)]
    pub reason: Option<String>,
    #[schema(value_type = Option<Line>)]
    pub user: Option<String>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForeignEventStatus {
    /// It is here now.
    Accepted,
    /// It was here already.
    Duplicate,
    /// It was not taken; `error` says why.
    Error,
}

/// Answer of `POST /events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForeignEventsView {
    pub accepted: usize,
    pub duplicates: usize,
    pub failed: usize,
    pub results: Vec<ForeignEventItem>,
}

/// What became of one event, with Andon's own ids of what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForeignEventItem {
    pub index: usize,
    /// The sender's; null where it could not be read.
    pub id: Option<String>,
    pub status: ForeignEventStatus,
    /// The position of Andon's own event; left out where there was nothing to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sample_id: Option<SampleId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub violation_id: Option<ViolationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub limits_id: Option<LimitsId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<ItemError>,
}
