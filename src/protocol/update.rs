//! The payloads of events that change what was there before: exclusions, withdrawals, definitions.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::characteristic::Definition;
use crate::domain::event::{Changed, CharacteristicChange, SampleExclusion};
use crate::domain::ids::{CharacteristicId, EpisodeId, SampleId, ViolationId};
use crate::domain::violation::{Violation, ViolationStatus};
use crate::protocol::rest::{DefinitionView, RulesView};
use crate::protocol::time;

/// `sample_update`: a sample was excluded or included again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleUpdate {
    pub sample_id: SampleId,
    pub characteristic_id: CharacteristicId,
    pub is_excluded: bool,
    pub reason: String,
    pub user: Option<String>,
    #[serde(with = "time")]
    pub timestamp: DateTime<Utc>,
}

impl SampleUpdate {
    /// The payload of a decision.
    pub fn new(exclusion: &SampleExclusion) -> Self {
        let SampleExclusion { sample_id, characteristic_id, is_excluded, reason, user, at } =
            exclusion.clone();
        Self { sample_id, characteristic_id, is_excluded, reason, user, timestamp: at }
    }
}

/// `violation_update`: a violation no longer holds, or holds again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViolationUpdate {
    pub violation_id: ViolationId,
    pub characteristic_id: CharacteristicId,
    pub sample_id: Option<SampleId>,
    /// Where it belongs now: what holds again after its episode is over belongs to another one.
    pub episode_id: Option<EpisodeId>,
    pub status: ViolationStatus,
    pub reason: String,
    #[serde(with = "time")]
    pub timestamp: DateTime<Utc>,
}

impl ViolationUpdate {
    /// What became of a violation.
    pub fn new(violation: &Violation, reason: &str, timestamp: DateTime<Utc>) -> Self {
        Self {
            violation_id: violation.id,
            characteristic_id: violation.characteristic_id,
            sample_id: violation.sample_id,
            episode_id: violation.episode_id,
            status: violation.status,
            reason: reason.to_owned(),
            timestamp,
        }
    }
}

/// `characteristic_update`: `changes` holds the new value of each field that is different now, and besides them
/// `retired`, `new_phase`, `rules` and `deleted` where they apply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CharacteristicUpdate {
    pub characteristic_id: CharacteristicId,
    pub changes: Map<String, Value>,
    pub user: Option<String>,
    #[serde(with = "time")]
    pub timestamp: DateTime<Utc>,
}

impl CharacteristicUpdate {
    /// The payload of a change.
    pub fn new(change: &CharacteristicChange) -> Self {
        let changes = match &change.what {
            Changed::Definition { before, after, is_retired, new_phase } => {
                let mut changes = differences(before, after);
                changes.extend(is_retired.map(|retired| ("retired".to_owned(), json!(retired))));
                if *new_phase {
                    changes.insert("new_phase".to_owned(), json!(true));
                }
                changes
            }
            Changed::Rules(rules) => one("rules", json!(RulesView::from(&**rules).rules)),
            Changed::Deleted => one("deleted", json!(true)),
        };
        let CharacteristicChange { characteristic_id, user, at, .. } = change;
        Self { characteristic_id: *characteristic_id, changes, user: user.clone(), timestamp: *at }
    }

    /// Whether there is no such characteristic any more.
    pub fn is_deletion(&self) -> bool {
        self.changes.get("deleted") == Some(&Value::Bool(true))
    }
}

fn one(name: &str, value: Value) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value)])
}

fn differences(before: &Definition, after: &Definition) -> Map<String, Value> {
    let fields = |definition: &Definition| match json!(DefinitionView::new(definition)) {
        Value::Object(fields) => fields,
        _ => unreachable!("a struct encodes as an object"),
    };
    let old = fields(before);
    fields(after).into_iter().filter(|(name, value)| old.get(name) != Some(value)).collect()
}
