//! A characteristic: one monitored quantity of one process, as its owner defined it.

use chrono::{DateTime, Utc};

use crate::domain::chart::ChartKind;
use crate::domain::ids::CharacteristicId;
use crate::domain::rules::RuleSet;
use crate::domain::sample::MAX_SUBGROUP_SIZE;

/// The longest key, in characters.
pub const MAX_KEY_CHARS: usize = 128;
const MAX_NAME_CHARS: usize = 200;
const MAX_TEXT_CHARS: usize = 4000;
const MAX_GROUP_CHARS: usize = 500;
const MAX_TAGS: usize = 50;
const MAX_DECIMALS: u32 = 15;
/// The most samples that provisional limits wait for; they are read within one transaction.
const MAX_AUTO_LIMITS_AFTER: u32 = 1_000;

/// A part of a definition that cannot be, and what would be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {rule}")]
pub struct DefinitionError {
    /// The field's name in the contract.
    pub field: &'static str,
    /// What would be right.
    pub rule: &'static str,
}

/// The integrator's own id: 1 to 128 visible characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CharacteristicKey(String);

impl CharacteristicKey {
    /// # Errors
    /// [`DefinitionError`], if it is empty, too long, or holds white space or control characters.
    pub fn new(key: String) -> Result<Self, DefinitionError> {
        if is_visible(&key) {
            Ok(Self(key))
        } else {
            Err(DefinitionError { field: "key", rule: "must be 1 to 128 visible characters" })
        }
    }

    /// The key itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `text` is 1 to [`MAX_KEY_CHARS`] visible characters: what names things over the wire.
pub fn is_visible(text: &str) -> bool {
    let visible = text.chars().all(|c| !c.is_whitespace() && !c.is_control());
    visible && (1..=MAX_KEY_CHARS).contains(&text.chars().count())
}

/// What the owner says about a characteristic. Checked by [`Definition::checked`].
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// What people call it.
    pub name: String,
    /// The integrator's own id, unique.
    pub key: Option<CharacteristicKey>,
    /// Free text.
    pub description: Option<String>,
    /// Which pair of charts.
    pub chart: ChartKind,
    /// Measurements of a full subgroup, 1 to 25.
    pub subgroup_size: u32,
    /// The fewest measurements accepted.
    pub min_measurements: u32,
    /// Unit of the measurements, for people.
    pub unit: Option<String>,
    /// Decimals to show.
    pub decimals: Option<u32>,
    /// The value aimed at.
    pub target: Option<f64>,
    /// Upper specification limit.
    pub usl: Option<f64>,
    /// Lower specification limit.
    pub lsl: Option<f64>,
    /// Where it belongs: a path such as `plant/line4/press`.
    pub group: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// What to do when it signals.
    pub reaction_plan: Option<String>,
    /// Calculates provisional limits once from the first so many samples of a phase without limits.
    pub auto_limits_after: Option<u32>,
}

impl Definition {
    /// The definition itself, if it holds together.
    ///
    /// # Errors
    /// [`DefinitionError`], naming the first field that does not.
    pub fn checked(self) -> Result<Self, DefinitionError> {
        let fail = |field, rule| Err(DefinitionError { field, rule });
        if !is_line(&self.name, MAX_NAME_CHARS) {
            return fail("name", "must be 1 to 200 characters on one line");
        }
        if !(1..=MAX_SUBGROUP_SIZE).contains(&self.subgroup_size) {
            return fail("subgroup_size", "must be from 1 to 25");
        }
        if (self.chart == ChartKind::IMr) != (self.subgroup_size == 1) {
            return fail("subgroup_size", "must be 1 for chart i_mr, and at least 2 for xbar_r and xbar_s");
        }
        if !(1..=self.subgroup_size).contains(&self.min_measurements) {
            return fail("min_measurements", "must be from 1 to subgroup_size");
        }
        if self.decimals.is_some_and(|d| d > MAX_DECIMALS) {
            return fail("decimals", "must be from 0 to 15");
        }
        if self.auto_limits_after.is_some_and(|n| !(2..=MAX_AUTO_LIMITS_AFTER).contains(&n)) {
            return fail("auto_limits_after", "must be from 2 to 1000");
        }
        for (field, value) in [("target", self.target), ("usl", self.usl), ("lsl", self.lsl)] {
            if value.is_some_and(|v| !v.is_finite()) {
                return fail(field, "must be a finite number");
            }
        }
        if self.lsl.zip(self.usl).is_some_and(|(lsl, usl)| lsl >= usl) {
            return fail("lsl", "must be smaller than usl");
        }
        if self.group.as_deref().is_some_and(|g| !is_group_path(g)) {
            return fail("group", "must be a path of non-empty names, such as plant/line4");
        }
        if self.tags.len() > MAX_TAGS || !self.tags.iter().all(|t| is_line(t, MAX_NAME_CHARS)) {
            return fail("tags", "must be at most 50 tags of 1 to 200 characters");
        }
        if self.unit.as_deref().is_some_and(|u| !is_line(u, MAX_NAME_CHARS)) {
            return fail("unit", "must be 1 to 200 characters on one line");
        }
        for (field, text) in [("description", &self.description), ("reaction_plan", &self.reaction_plan)] {
            if text.as_ref().is_some_and(|t| !is_text(t, MAX_TEXT_CHARS)) {
                return fail(
                    field,
                    "must be at most 4000 characters, of control characters only line breaks and tabs",
                );
            }
        }
        Ok(self)
    }

    /// How many of `measurements` lie beyond the specification limits; `None` without such limits.
    pub fn out_of_spec(&self, measurements: &[f64]) -> Option<u32> {
        if self.usl.is_none() && self.lsl.is_none() {
            return None;
        }
        let beyond =
            |m: &&f64| self.usl.is_some_and(|usl| **m > usl) || self.lsl.is_some_and(|lsl| **m < lsl);
        u32::try_from(measurements.iter().filter(beyond).count()).ok()
    }
}

/// Whether `text` is 1 to `max` characters without control characters, and not only blanks.
pub fn is_line(text: &str, max: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= max && !text.chars().any(char::is_control)
}

/// Whether `text` is at most `max` characters; of control characters, it may hold line breaks and tabs.
pub fn is_text(text: &str, max: usize) -> bool {
    let allowed = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    text.chars().count() <= max && text.chars().all(allowed)
}

/// Whether this is a path of names, such as `plant/line4`.
pub fn is_group_path(path: &str) -> bool {
    is_line(path, MAX_GROUP_CHARS) && path.split('/').all(|name| !name.trim().is_empty())
}

/// A characteristic as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Characteristic {
    /// Its id.
    pub id: CharacteristicId,
    /// What its owner says about it.
    pub definition: Definition,
    /// The run rules that judge it.
    pub rules: RuleSet,
    /// When it was defined.
    pub created_at: DateTime<Utc>,
    /// Hidden, and takes no samples any more.
    pub is_retired: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bore() -> Definition {
        Definition {
            name: "Bore diameter".to_owned(),
            key: None,
            description: None,
            chart: ChartKind::XbarR,
            subgroup_size: 5,
            min_measurements: 5,
            unit: Some("mm".to_owned()),
            decimals: Some(3),
            target: None,
            usl: Some(74.05),
            lsl: Some(73.95),
            group: Some("plant/line4".to_owned()),
            tags: vec![],
            reaction_plan: None,
            auto_limits_after: None,
        }
    }

    fn refused(change: impl FnOnce(&mut Definition)) -> Option<&'static str> {
        let mut definition = bore();
        change(&mut definition);
        definition.checked().err().map(|e| e.field)
    }

    #[test]
    fn a_definition_that_does_not_hold_together_names_the_field() {
        assert_eq!(refused(|_| {}), None);
        assert_eq!(refused(|d| d.name = " ".to_owned()), Some("name"));
        assert_eq!(refused(|d| d.name = "a\nb".to_owned()), Some("name"));
        assert_eq!(refused(|d| d.subgroup_size = 26), Some("subgroup_size"));
        assert_eq!(refused(|d| d.chart = ChartKind::IMr), Some("subgroup_size"));
        assert_eq!(refused(|d| d.min_measurements = 6), Some("min_measurements"));
        assert_eq!(refused(|d| d.usl = Some(f64::NAN)), Some("usl"));
        assert_eq!(refused(|d| d.lsl = Some(80.0)), Some("lsl"));
        assert_eq!(refused(|d| d.group = Some("plant//line".to_owned())), Some("group"));
    }

    #[test]
    fn a_key_is_visible() {
        assert!(CharacteristicKey::new("PLANT-7:ø".to_owned()).is_ok());
        for bad in [String::new(), "a b".to_owned(), "x".repeat(129), "a\u{7}".to_owned()] {
            assert!(CharacteristicKey::new(bad).is_err());
        }
    }

    #[test]
    fn measurements_on_a_specification_limit_are_within_it() {
        assert_eq!(bore().out_of_spec(&[74.05, 73.95, 74.051, 73.9]), Some(2));
        let mut open = bore();
        (open.usl, open.lsl) = (None, None);
        assert_eq!(open.out_of_spec(&[1e9]), None);
    }
}
