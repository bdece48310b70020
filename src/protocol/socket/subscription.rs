//! What a client wants to hear: whose events, from where on, and which of them.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::characteristic::is_group_path;
use crate::domain::ids::{CharacteristicId, MAX_ID};
use crate::domain::rules::Severity;
use crate::protocol::event::EventKind;

/// How many samples can be asked for in a second: above, no pace is what is meant; below, no samples.
const SAMPLE_HZ: RangeInclusive<f64> = 0.001..=1_000.0;

/// A place in a log: everything up to `seq` was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The log.
    pub epoch: String,
    /// The highest position received.
    pub seq: u64,
}

/// Not `epoch.seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a position is EPOCH.SEQ, such as 3f2a9c1d00e4b876.1024")]
pub struct InvalidPosition;

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.seq)
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (epoch, seq) = text.rsplit_once('.').ok_or(InvalidPosition)?;
        let is_word =
            !epoch.is_empty() && epoch.len() <= 64 && epoch.chars().all(|c| c.is_ascii_alphanumeric());
        let is_number = !seq.is_empty() && seq.chars().all(|c| c.is_ascii_digit());
        let seq = seq.parse().ok().filter(|seq| is_word && is_number && *seq <= MAX_ID as u64);
        Ok(Self { epoch: epoch.to_owned(), seq: seq.ok_or(InvalidPosition)? })
    }
}

/// What a `subscribe` asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// Whose events.
    pub chosen: Chosen,
    /// Besides, those of every characteristic in these groups or below them, later ones included.
    pub groups: Vec<String>,
    /// The missed events after this position first.
    pub since: Option<Position>,
    /// The present state first.
    pub snapshot: bool,
    /// Events of the past, too.
    pub history: bool,
    /// Only some of the events; none: all.
    pub filter: Option<Filter>,
}

/// What a `subscribe` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// These ones; ids that do not exist (yet) are fine.
    These(Vec<CharacteristicId>),
    /// Every characteristic, later ones included.
    All,
}

/// What an `unsubscribe` names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsubscription {
    /// Characteristics.
    pub ids: Vec<CharacteristicId>,
    /// Groups, as they were subscribed to.
    pub groups: Vec<String>,
}

/// Which events of a subscription are wanted. Acknowledgements come in any case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Only these types; without it, all but `episode`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<Vec<EventKind>>,
    /// Of violations, only these and more severe ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_severity: Option<Severity>,
    /// Of violations, only those of these rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 1000)]
    pub rule_ids: Option<Vec<u32>>,
    /// Samples of each characteristic in a second, at most; the newest of those that came too soon follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.001, maximum = 1000)]
    pub sample_max_hz: Option<f64>,
}

impl Subscription {
    /// What happens to these characteristics.
    pub const fn these(ids: Vec<CharacteristicId>) -> Self {
        Self::to(Chosen::These(ids))
    }

    /// What happens to every characteristic.
    pub const fn all() -> Self {
        Self::to(Chosen::All)
    }

    /// What happens in these groups.
    pub fn groups(groups: Vec<String>) -> Self {
        Self { groups, ..Self::these(Vec::new()) }
    }

    const fn to(chosen: Chosen) -> Self {
        Self { chosen, groups: Vec::new(), since: None, snapshot: false, history: false, filter: None }
    }

    /// The same with the events of the past.
    #[must_use]
    pub fn with_history(self) -> Self {
        Self { history: true, ..self }
    }

    /// The same with what was missed after a position.
    #[must_use]
    pub fn since(self, position: Position) -> Self {
        Self { since: Some(position), ..self }
    }

    /// The same with the present state first.
    #[must_use]
    pub fn with_snapshot(self) -> Self {
        Self { snapshot: true, ..self }
    }

    /// The same for some of the events.
    #[must_use]
    pub fn filtered(self, filter: Filter) -> Self {
        Self { filter: Some(filter), ..self }
    }

    /// What cannot be, by its name.
    ///
    /// # Errors
    /// The sentence to be answered.
    pub fn check(&self) -> Result<(), String> {
        check_groups(&self.groups)?;
        if self.since.as_ref().is_some_and(|since| since.seq > MAX_ID as u64) {
            return Err("`since.seq` is at most 9007199254740991".to_owned());
        }
        self.filter.as_ref().map_or(Ok(()), Filter::check)
    }
}

/// The most groups that one message may name.
const MAX_GROUPS: usize = 1_000;

/// Whether these are paths.
///
/// # Errors
/// The sentence to be answered.
pub fn check_groups(groups: &[String]) -> Result<(), String> {
    if groups.len() > MAX_GROUPS {
        return Err(format!("`groups` may name at most {MAX_GROUPS}"));
    }
    match groups.iter().find(|group| !is_group_path(group)) {
        Some(group) => Err(format!("`groups`: {group:?} is no path of non-empty names, such as plant/line4")),
        None => Ok(()),
    }
}

impl Filter {
    fn check(&self) -> Result<(), String> {
        if self.sample_max_hz.is_some_and(|hz| !SAMPLE_HZ.contains(&hz)) {
            return Err("`filter.sample_max_hz` is from 0.001 to 1000".to_owned());
        }
        if self.rule_ids.as_ref().is_some_and(|ids| ids.len() > 1_000) {
            return Err("`filter.rule_ids` may name at most 1000".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_an_epoch_and_a_number() {
        let position = Position { epoch: "3f2a".to_owned(), seq: 12 };
        assert_eq!(position.to_string().parse(), Ok(position));
        for bad in ["", "12", ".12", "3f2a.", "3f2a.-1", "3f2a.+1", "3f 2a.1", "3f2a.9007199254740992"] {
            assert_eq!(bad.parse::<Position>(), Err(InvalidPosition), "{bad}");
        }
    }
}
