//! Query strings of lists. A name that is not one of them is refused.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::alarm::AlarmState;
use crate::domain::delivery::DeliveryState;
use crate::domain::episode::EpisodeStatus;
use crate::domain::ids::{CharacteristicId, EpisodeId, SampleId};
use crate::domain::rules::Severity;
use crate::domain::sample::Mode;
use crate::domain::violation::ViolationStatus;
use crate::protocol::event::EventKind;
use crate::protocol::schema::{ListedKey, LogPosition, Moment};

/// A list without filters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// How many to pass over.
    #[param(minimum = 0, maximum = 9007199254740991i64, default = 0)]
    pub offset: Option<u64>,
    /// How many to tell.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u64>,
}

/// `GET /characteristics`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct CharacteristicQuery {
    /// Those in this group or below it.
    pub group: Option<String>,
    /// Those whose name or key holds this text.
    pub q: Option<String>,
    /// Those that have this tag.
    pub tag: Option<String>,
    /// The one with this key.
    pub key: Option<String>,
    /// Only retired ones; without it, only the others.
    pub retired: Option<bool>,
    pub alarm_state: Option<AlarmState>,
    /// How many to pass over.
    #[param(minimum = 0, maximum = 9007199254740991i64, default = 0)]
    pub offset: Option<u64>,
    /// How many to tell.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u64>,
}

/// `POST /samples/batch`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct BatchQuery {
    /// For the samples that do not say it themselves; a JSON body may say it, too, and then counts.
    pub mode: Option<Mode>,
}

/// `DELETE /characteristics/{id}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct DeleteQuery {
    /// Its samples may go with it.
    pub with_history: Option<bool>,
}

/// `GET /samples`. Times are RFC 3339; `from` inclusive, `to` exclusive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct SampleQuery {
    pub characteristic_id: Option<CharacteristicId>,
    /// In place of `characteristic_id`: the integrator's own id.
    pub characteristic_key: Option<String>,
    /// From this time on.
    #[param(value_type = Option<Moment>)]
    pub from: Option<String>,
    /// Before this time.
    #[param(value_type = Option<Moment>)]
    pub to: Option<String>,
    /// How many to pass over.
    #[param(minimum = 0, maximum = 9007199254740991i64, default = 0)]
    pub offset: Option<u64>,
    /// How many to tell.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u64>,
}

/// `GET .../chart-data`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ChartQuery {
    /// From this time on.
    #[param(value_type = Option<Moment>)]
    pub from: Option<String>,
    /// Before this time.
    #[param(value_type = Option<Moment>)]
    pub to: Option<String>,
    /// Points, the newest ones.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u64>,
}

/// The most samples that a picture has room for.
pub const MAX_PICTURED: u64 = 200;

/// `GET .../chart.svg` and `.../chart.png`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PictureQuery {
    /// From this time on.
    #[param(value_type = Option<Moment>)]
    pub from: Option<String>,
    /// Before this time.
    #[param(value_type = Option<Moment>)]
    pub to: Option<String>,
    /// Points, the newest ones.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u64>,
}

/// `GET /events`. Lists are separated by commas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// What comes after this position, which is that of an event, or `next` of an answer. Without it: from where the
    /// log begins.
    #[param(value_type = Option<LogPosition>)]
    pub after: Option<String>,
    /// Those of these characteristics, and every `ack_update`. Without it: of all.
    #[param(style = Form, explode = false, value_type = Option<Vec<CharacteristicId>>, min_items = 1, max_items = 1000)]
    pub characteristic_ids: Option<String>,
    /// The same by the integrator's own ids, as far as these hold no comma.
    #[param(style = Form, explode = false, value_type = Option<Vec<ListedKey>>, min_items = 1, max_items = 25)]
    pub characteristic_keys: Option<String>,
    /// Those of these types. Without it: of all but `episode`.
    #[param(style = Form, explode = false, value_type = Option<Vec<EventKind>>, min_items = 1, max_items = 8)]
    pub types: Option<String>,
    /// Those of the past, too.
    #[param(default = false)]
    pub history: Option<bool>,
    /// How many to tell.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u64>,
}

/// `GET /violations`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ViolationQuery {
    pub characteristic_id: Option<CharacteristicId>,
    /// In place of `characteristic_id`: the integrator's own id.
    pub characteristic_key: Option<String>,
    pub sample_id: Option<SampleId>,
    pub episode_id: Option<EpisodeId>,
    pub acknowledged: Option<bool>,
    /// Those of rules that want an answer, or the others.
    pub requires_acknowledgement: Option<bool>,
    /// Those that this person has answered, in either case; on SQLite that holds for A to Z alone.
    pub ack_user: Option<String>,
    pub status: Option<ViolationStatus>,
    pub severity: Option<Severity>,
    #[param(minimum = 0, maximum = 4294967295i64)]
    pub rule_id: Option<u32>,
    /// Those of characteristics in this group or below it.
    pub group: Option<String>,
    /// From this time on.
    #[param(value_type = Option<Moment>)]
    pub from: Option<String>,
    /// Before this time.
    #[param(value_type = Option<Moment>)]
    pub to: Option<String>,
    /// How many to pass over.
    #[param(minimum = 0, maximum = 9007199254740991i64, default = 0)]
    pub offset: Option<u64>,
    /// How many to tell.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u64>,
}

/// `GET /episodes`. `from` and `to` are about when they were opened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct EpisodeQuery {
    pub characteristic_id: Option<CharacteristicId>,
    /// In place of `characteristic_id`: the integrator's own id.
    pub characteristic_key: Option<String>,
    pub status: Option<EpisodeStatus>,
    /// Those whose answer holds, or the others.
    pub acknowledged: Option<bool>,
    pub severity: Option<Severity>,
    /// Those of characteristics in this group or below it.
    pub group: Option<String>,
    /// From this time on.
    #[param(value_type = Option<Moment>)]
    pub from: Option<String>,
    /// Before this time.
    #[param(value_type = Option<Moment>)]
    pub to: Option<String>,
    /// How many to pass over.
    #[param(minimum = 0, maximum = 9007199254740991i64, default = 0)]
    pub offset: Option<u64>,
    /// How many to tell.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u64>,
}

/// `GET /deliveries`. `from` and `to` are about when they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct DeliveryQuery {
    /// To this receiver.
    pub receiver: Option<String>,
    pub state: Option<DeliveryState>,
    pub episode_id: Option<EpisodeId>,
    pub characteristic_id: Option<CharacteristicId>,
    /// From this time on.
    #[param(value_type = Option<Moment>)]
    pub from: Option<String>,
    /// Before this time.
    #[param(value_type = Option<Moment>)]
    pub to: Option<String>,
    /// How many to pass over.
    #[param(minimum = 0, maximum = 9007199254740991i64, default = 0)]
    pub offset: Option<u64>,
    /// How many to tell.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u64>,
}

/// `GET /violations/stats`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct StatsQuery {
    pub characteristic_id: Option<CharacteristicId>,
    /// In place of `characteristic_id`: the integrator's own id.
    pub characteristic_key: Option<String>,
    pub group: Option<String>,
    /// From this time on.
    #[param(value_type = Option<Moment>)]
    pub from: Option<String>,
    /// Before this time.
    #[param(value_type = Option<Moment>)]
    pub to: Option<String>,
}
