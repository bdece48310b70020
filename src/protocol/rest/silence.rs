//! Silences over REST: for a while nobody is told of some processes.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::ids::{CharacteristicId, SilenceId};
use crate::domain::rules::Severity;
use crate::domain::silence::Silence;
use crate::protocol::schema::{GroupPath, Line, Moment};
use crate::protocol::time;

/// Body of `POST /silences`. What it names all has to hold; at least one of the lists must name something. It ends at
/// `ends_at`, or after `minutes`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"groups": ["plant/line4"], "reason": "Tool Change", "minutes": 60, "user": "ann"})))]
pub struct SilenceRequest {
    /// These characteristics; at most 1,000.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub characteristic_ids: Vec<CharacteristicId>,
    /// Characteristics in one of these groups or below it; at most 100.
    #[serde(default)]
    #[schema(value_type = Vec<GroupPath>, max_items = 100)]
    pub groups: Vec<String>,
    /// Characteristics with one of these tags; at most 100.
    #[serde(default)]
    #[schema(value_type = Vec<Line>, max_items = 100)]
    pub tags: Vec<String>,
    /// What goes to these receivers of the settings.
    #[serde(default)]
    #[schema(value_type = Vec<Line>, max_items = 100)]
    pub receivers: Vec<String>,
    /// Only episodes at most so severe.
    pub max_severity: Option<Severity>,
    #[schema(value_type = Line)]
    pub reason: String,
    #[schema(value_type = Option<Moment>)]
    pub ends_at: Option<String>,
    #[schema(minimum = 1)]
    pub minutes: Option<u32>,
    /// Required where no login says who.
    #[schema(value_type = Option<Line>)]
    pub user: Option<String>,
}

/// `GET /silences`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct SilenceQuery {
    /// Those in force, or those that are over.
    pub in_force: Option<bool>,
    /// How many to pass over.
    #[param(minimum = 0, maximum = 9007199254740991i64, default = 0)]
    pub offset: Option<u64>,
    /// How many to tell.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u64>,
}

/// `DELETE /silences/{id}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct EndSilenceQuery {
    /// Required where no login says who.
    #[param(value_type = Option<Line>)]
    pub user: Option<String>,
}

/// A silence as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SilenceView {
    pub id: SilenceId,
    pub silence_id: SilenceId,
    pub in_force: bool,
    pub characteristic_ids: Vec<CharacteristicId>,
    pub groups: Vec<String>,
    pub tags: Vec<String>,
    pub receivers: Vec<String>,
    pub max_severity: Option<Severity>,
    pub reason: String,
    pub author: String,
    #[serde(with = "time")]
    pub created_at: DateTime<Utc>,
    #[serde(with = "time")]
    pub ends_at: DateTime<Utc>,
    /// Who has ended it before its time.
    pub ended_by: Option<String>,
}

impl SilenceView {
    /// A silence as it is now.
    pub fn new(silence: Silence, now: DateTime<Utc>) -> Self {
        let Silence { id, silenced, reason, author, created_at, ends_at, ended_by } = silence;
        Self {
            id,
            silence_id: id,
            in_force: ends_at > now,
            characteristic_ids: silenced.characteristic_ids,
            groups: silenced.groups,
            tags: silenced.tags,
            receivers: silenced.receivers,
            max_severity: silenced.max_severity,
            reason,
            author,
            created_at,
            ends_at,
            ended_by,
        }
    }
}
