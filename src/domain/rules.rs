//! The run rules of a characteristic: which are on, how long their patterns are, how severe.
//!
//! Only the words and their bounds; `spc` judges with them.

use serde::{Deserialize, Serialize};

/// The longest pattern a rule may ask for: what a warm characteristic remembers.
pub const MAX_WINDOW: u32 = 64;

/// How urgent a violation is, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Look at it soon.
    Warning,
    /// Act now.
    Critical,
}

/// One of the eight run rules (Nelson's numbering).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// 1: the point lies beyond the control limits.
    Outlier,
    /// 2: m points in a row on one side of the center line.
    Shift,
    /// 3: m points in a row increasing, or decreasing.
    Trend,
    /// 4: m points alternating up and down.
    Alternation,
    /// 5: k of m points beyond two sigma on one side.
    ZoneA,
    /// 6: k of m points beyond one sigma on one side.
    ZoneB,
    /// 7: m points in a row within one sigma.
    Stratification,
    /// 8: m points in a row beyond one sigma, on both sides.
    Mixture,
}

impl Rule {
    /// All rules, by number.
    pub const ALL: [Self; 8] = [
        Self::Outlier,
        Self::Shift,
        Self::Trend,
        Self::Alternation,
        Self::ZoneA,
        Self::ZoneB,
        Self::Stratification,
        Self::Mixture,
    ];

    /// The rule's number, 1 to 8.
    pub const fn id(self) -> u32 {
        self as u32 + 1
    }

    /// The rule with this number.
    pub fn from_id(id: u32) -> Option<Self> {
        let index = usize::try_from(id).ok()?.checked_sub(1)?;
        Self::ALL.get(index).copied()
    }

    /// The rule's name, as the contract gives it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outlier => "Outlier",
            Self::Shift => "Shift",
            Self::Trend => "Trend",
            Self::Alternation => "Alternation",
            Self::ZoneA => "Zone A",
            Self::ZoneB => "Zone B",
            Self::Stratification => "Stratification",
            Self::Mixture => "Mixture",
        }
    }

    /// What the rule's pattern tells of the process.
    pub const fn family(self) -> RuleFamily {
        match self {
            Self::Outlier => RuleFamily::Outlier,
            Self::Shift | Self::ZoneA | Self::ZoneB => RuleFamily::Shift,
            Self::Trend => RuleFamily::Trend,
            Self::Alternation => RuleFamily::Alternation,
            Self::Stratification => RuleFamily::Stratification,
            Self::Mixture => RuleFamily::Mixture,
        }
    }

    /// The pattern this rule looks for unless a characteristic says otherwise.
    pub const fn default_pattern(self) -> Pattern {
        match self {
            Self::Outlier => Pattern { k: 1, m: 1 },
            Self::Shift => Pattern { k: 9, m: 9 },
            Self::Trend => Pattern { k: 6, m: 6 },
            Self::Alternation => Pattern { k: 14, m: 14 },
            Self::ZoneA => Pattern { k: 2, m: 3 },
            Self::ZoneB => Pattern { k: 4, m: 5 },
            Self::Stratification => Pattern { k: 15, m: 15 },
            Self::Mixture => Pattern { k: 8, m: 8 },
        }
    }

    /// Whether the rule counts k of m points; the others want all of their m.
    pub const fn counts_some(self) -> bool {
        matches!(self, Self::ZoneA | Self::ZoneB)
    }

    /// The fewest points that can form the pattern at all.
    const fn shortest(self) -> u32 {
        match self {
            Self::Outlier => 1,
            Self::Alternation => 3,
            _ => 2,
        }
    }

    const fn default_severity(self) -> Severity {
        if matches!(self, Self::Outlier) { Severity::Critical } else { Severity::Warning }
    }
}

/// What a pattern tells of the process: rules of one family find the same thing, one of them earlier than the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleFamily {
    /// Something happened to one point.
    Outlier,
    /// The process runs at another level.
    Shift,
    /// The process drifts.
    Trend,
    /// Two levels take turns.
    Alternation,
    /// The limits are too wide for what is sampled.
    Stratification,
    /// Two processes are mixed.
    Mixture,
}

/// At least `k` of the last `m` points. `k == m` for every rule but 5 and 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// How many points must show it.
    pub k: u32,
    /// Among how many points, the newest included.
    pub m: u32,
}

/// Rule parameters that make no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Rule 1 is about a single point.
    #[error("rule 1 takes no parameters")]
    TakesNone,
    /// Only rules 5 and 6 count k of m.
    #[error("rule {0} takes the parameter m only")]
    TakesOnlyM(u32),
    /// Rules 5 and 6 need both.
    #[error("rule {0} takes both parameters k and m")]
    NeedsBoth(u32),
    /// Too short to be a pattern, or longer than is remembered.
    #[error("rule {rule_id} takes m from {shortest} to {MAX_WINDOW}, not {m}")]
    Length {
        /// The rule's number.
        rule_id: u32,
        /// Its shortest pattern.
        shortest: u32,
        /// What was asked for.
        m: u32,
    },
    /// k is not between 1 and m.
    #[error("rule {rule_id} takes k from 1 to m, not {k} of {m}")]
    Count {
        /// The rule's number.
        rule_id: u32,
        /// Points that must show it.
        k: u32,
        /// Points looked at.
        m: u32,
    },
}

/// How one rule is applied to one characteristic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleSetting {
    rule: Rule,
    pattern: Pattern,
    /// Whether the rule is judged at all.
    pub enabled: bool,
    /// The severity of its violations.
    pub severity: Severity,
    /// Whether its violations wait for an operator.
    pub requires_acknowledgement: bool,
}

impl RuleSetting {
    /// The rule as the field knows it.
    pub const fn standard(rule: Rule) -> Self {
        Self {
            rule,
            pattern: rule.default_pattern(),
            enabled: true,
            severity: rule.default_severity(),
            requires_acknowledgement: true,
        }
    }

    /// The same setting with other pattern lengths; `None` leaves a length as it is by default.
    ///
    /// # Errors
    /// [`PatternError`], for lengths that this rule cannot have.
    pub fn with_parameters(mut self, k: Option<u32>, m: Option<u32>) -> Result<Self, PatternError> {
        let rule_id = self.rule.id();
        self.pattern = match (k, m) {
            (None, None) => self.rule.default_pattern(),
            _ if self.rule == Rule::Outlier => return Err(PatternError::TakesNone),
            (Some(k), Some(m)) if self.rule.counts_some() => Pattern { k, m },
            _ if self.rule.counts_some() => return Err(PatternError::NeedsBoth(rule_id)),
            (None, Some(m)) => Pattern { k: m, m },
            (Some(_), _) => return Err(PatternError::TakesOnlyM(rule_id)),
        };
        let Pattern { k, m } = self.pattern;
        let shortest = self.rule.shortest();
        if !(shortest..=MAX_WINDOW).contains(&m) {
            return Err(PatternError::Length { rule_id, shortest, m });
        }
        if !(1..=m).contains(&k) {
            return Err(PatternError::Count { rule_id, k, m });
        }
        Ok(self)
    }

    /// Which rule.
    pub const fn rule(&self) -> Rule {
        self.rule
    }

    /// The pattern it looks for.
    pub const fn pattern(&self) -> Pattern {
        self.pattern
    }
}

/// Named rule sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// All eight rules.
    Nelson,
    /// Rules 1, 5, 6 and 2 with eight points.
    WesternElectric,
    /// Rules 1, 2, 5 and 6: the default.
    Balanced,
    /// Rule 1 alone.
    Outlier,
}

/// The eight rules of one characteristic, each on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleSet([RuleSetting; 8]);

impl RuleSet {
    /// All eight switched off.
    pub fn none() -> Self {
        Self(Rule::ALL.map(|rule| RuleSetting { enabled: false, ..RuleSetting::standard(rule) }))
    }

    /// The rules of a preset; the others are there, switched off.
    pub fn preset(preset: Preset) -> Self {
        let on: &[u32] = match preset {
            Preset::Nelson => &[1, 2, 3, 4, 5, 6, 7, 8],
            Preset::WesternElectric | Preset::Balanced => &[1, 2, 5, 6],
            Preset::Outlier => &[1],
        };
        let Self(mut rules) = Self::none();
        for setting in &mut rules {
            setting.enabled = on.contains(&setting.rule.id());
        }
        if preset == Preset::WesternElectric {
            rules[Rule::Shift as usize].pattern = Pattern { k: 8, m: 8 };
        }
        Self(rules)
    }

    /// The same set with one rule set otherwise.
    #[must_use]
    pub const fn with(mut self, setting: RuleSetting) -> Self {
        self.0[setting.rule as usize] = setting;
        self
    }

    /// How `rule` is set.
    pub const fn get(&self, rule: Rule) -> &RuleSetting {
        &self.0[rule as usize]
    }

    /// All eight, by number.
    pub fn iter(&self) -> impl Iterator<Item = &RuleSetting> {
        self.0.iter()
    }
}

impl Default for RuleSet {
    fn default() -> Self {
        Self::preset(Preset::Balanced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enabled(preset: Preset) -> Vec<u32> {
        RuleSet::preset(preset).iter().filter(|s| s.enabled).map(|s| s.rule().id()).collect()
    }

    #[test]
    fn presets_hold_the_rules_the_field_gives_them() {
        assert_eq!(enabled(Preset::Nelson), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(enabled(Preset::WesternElectric), [1, 2, 5, 6]);
        assert_eq!(
            RuleSet::preset(Preset::WesternElectric).get(Rule::Shift).pattern(),
            Pattern { k: 8, m: 8 }
        );
        assert_eq!(enabled(Preset::Balanced), [1, 2, 5, 6]);
        assert_eq!(RuleSet::default().get(Rule::Shift).pattern(), Pattern { k: 9, m: 9 });
        assert_eq!(enabled(Preset::Outlier), [1]);
    }

    #[test]
    fn a_rule_number_is_its_rule() {
        for (number, rule) in (1..).zip(Rule::ALL) {
            assert_eq!((rule.id(), Rule::from_id(number)), (number, Some(rule)));
        }
        assert_eq!((Rule::from_id(0), Rule::from_id(9)), (None, None));
    }

    #[test]
    fn parameters_that_make_no_pattern_are_refused() {
        let with = |rule, k, m| RuleSetting::standard(rule).with_parameters(k, m).map(|s| s.pattern());
        assert_eq!(with(Rule::Shift, None, Some(7)), Ok(Pattern { k: 7, m: 7 }));
        assert_eq!(with(Rule::ZoneA, Some(3), Some(4)), Ok(Pattern { k: 3, m: 4 }));
        assert_eq!(with(Rule::Outlier, None, Some(2)), Err(PatternError::TakesNone));
        assert_eq!(with(Rule::Shift, Some(2), Some(3)), Err(PatternError::TakesOnlyM(2)));
        assert_eq!(with(Rule::ZoneB, None, Some(3)), Err(PatternError::NeedsBoth(6)));
        assert!(matches!(with(Rule::Alternation, None, Some(2)), Err(PatternError::Length { .. })));
        assert!(matches!(with(Rule::Shift, None, Some(65)), Err(PatternError::Length { .. })));
        assert!(matches!(with(Rule::ZoneA, Some(4), Some(3)), Err(PatternError::Count { .. })));
    }
}
