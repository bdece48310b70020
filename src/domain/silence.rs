//! A silence: somebody has said that for a while nobody is to be told of some processes, and why.
//!
//! It holds back and forgets nothing: what still waits for an answer when it ends is told then.

use chrono::{DateTime, Utc};

use crate::domain::ids::{CharacteristicId, SilenceId};
use crate::domain::rules::Severity;

/// What a silence is about. All of it has to hold; what is empty holds for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Silenced {
    /// These characteristics.
    pub characteristic_ids: Vec<CharacteristicId>,
    /// Characteristics in one of these groups or below it.
    pub groups: Vec<String>,
    /// Characteristics with one of these tags.
    pub tags: Vec<String>,
    /// What goes to these receivers.
    pub receivers: Vec<String>,
    /// Episodes at most so severe.
    pub max_severity: Option<Severity>,
}

/// What somebody might be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alarm<'a> {
    /// Of which characteristic.
    pub characteristic_id: CharacteristicId,
    /// The path of its group.
    pub group: Option<&'a str>,
    /// Its tags.
    pub tags: &'a [String],
    /// How severe the episode is; `None`: nobody knows.
    pub severity: Option<Severity>,
}

impl Silenced {
    /// Whether it is about an alarm and a receiver.
    pub fn covers(&self, alarm: &Alarm<'_>, receiver: &str) -> bool {
        let is_within = |group: &String| alarm.group.is_some_and(|path| is_within(path, group));
        let is_mild = |most: Severity| alarm.severity.is_some_and(|severity| severity <= most);
        let of = &self.characteristic_ids;
        (of.is_empty() || of.contains(&alarm.characteristic_id))
            && (self.groups.is_empty() || self.groups.iter().any(is_within))
            && (self.tags.is_empty() || self.tags.iter().any(|tag| alarm.tags.contains(tag)))
            && (self.receivers.is_empty() || self.receivers.iter().any(|it| it == receiver))
            && self.max_severity.is_none_or(is_mild)
    }

    /// Whether it is about everything.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// A silence as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Its id.
    pub id: SilenceId,
    /// What it is about.
    pub silenced: Silenced,
    /// Why.
    pub reason: String,
    /// Who says so.
    pub author: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// Until when.
    pub ends_at: DateTime<Utc>,
    /// Who has ended it before its time.
    pub ended_by: Option<String>,
}

/// Whether a group is another one or lies below it.
pub fn is_within(path: &str, group: &str) -> bool {
    path.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_silence_names_has_to_hold() {
        let id = |id: i64| CharacteristicId::try_from(id).expect("an id");
        let tags = ["pilot".to_owned()];
        let (group, severity) = (Some("plant/line4"), Some(Severity::Warning));
        let bore = Alarm { characteristic_id: id(7), group, tags: &tags, severity };
        let covers = |silenced: &Silenced| silenced.covers(&bore, "phone");
        let texts = |text: &str| vec![text.to_owned()];
        let everything = Silenced::default();
        assert!(everything.is_everything() && covers(&everything));
        let whole = Silenced {
            characteristic_ids: vec![id(3), id(7)],
            groups: texts("plant"),
            tags: texts("pilot"),
            receivers: texts("phone"),
            max_severity: Some(Severity::Warning),
        };
        assert!(covers(&whole) && !whole.is_everything());
        for other in [
            Silenced { characteristic_ids: vec![id(3)], ..whole.clone() },
            Silenced { groups: texts("plant/line"), ..whole.clone() },
            Silenced { tags: texts("series"), ..whole.clone() },
            Silenced { receivers: texts("mail"), ..whole.clone() },
            Silenced { max_severity: Some(Severity::Info), ..whole.clone() },
        ] {
            assert!(!covers(&other), "{other:?}");
        }
        assert!(!whole.covers(&Alarm { group: None, ..bore }, "phone"), "nobody knows its group");
        assert!(!whole.covers(&Alarm { severity: None, ..bore }, "phone"), "nobody knows how severe");
    }
}
