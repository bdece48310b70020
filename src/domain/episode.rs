//! An episode: violations of one characteristic that belong together, told to people as one thing.
//!
//! A characteristic has one open episode at most. The first violation opens it and later ones join it, whatever their
//! rule: a shift makes dozens of rows, and is one thing that somebody has to see to. It is closed when enough points in
//! a row were in control, or when somebody has decided: new limits, everything withdrawn, and so on.
//!
//! People are told when it opens, when it gets worse (a more severe rule, or a pattern that tells something else), when
//! somebody has answered it, when the answer has not helped (it lapses: so many points violate after it), and when it
//! is closed. What makes it worse, or lapse, wants an answer of its own.
//!
//! Pure: each function says what has changed, if people have to know; who calls keeps it.

use std::num::NonZeroU32;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::chart::Chart;
use crate::domain::ids::{CharacteristicId, EpisodeId, ViolationId};
use crate::domain::rules::{Rule, RuleFamily, Severity};
use crate::domain::violation::{Acknowledgement, Violation, ViolationStatus};

/// The most patterns that an episode tells apart.
pub const MAX_PATTERNS: usize = 64;
/// Those of them that may be other systems', which have rules without number: ours always have room.
const MAX_FOREIGN: usize = MAX_PATTERNS - 2 * Rule::ALL.len();

/// When an episode ends, and when an answer has not helped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpisodePolicy {
    /// Points in control in a row that close it.
    pub close_points: NonZeroU32,
    /// Violating points after an answer with which it lapses.
    pub lapse_points: NonZeroU32,
    /// Without any point or violation for longer than this, what comes next is another episode.
    pub stale_after: TimeDelta,
}

/// What is new about an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EpisodeChange {
    /// Its first violation was found.
    Opened,
    /// A more severe rule has fired, or one that tells something else.
    Worsened,
    /// Somebody has answered it.
    Acknowledged,
    /// It still violates after the answer.
    Lapsed,
    /// It is over.
    Closed,
}

impl EpisodeChange {
    /// All of them, in the order in which an episode may go through them.
    pub const ALL: [Self; 5] = [Self::Opened, Self::Worsened, Self::Acknowledged, Self::Lapsed, Self::Closed];

    /// Its name, as the wire says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Worsened => "worsened",
            Self::Acknowledged => "acknowledged",
            Self::Lapsed => "lapsed",
            Self::Closed => "closed",
        }
    }

    /// Whether nobody has to be told any more that the episode waits for an answer.
    pub const fn is_answer(self) -> bool {
        matches!(self, Self::Acknowledged | Self::Closed)
    }
}

/// Whether an episode is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EpisodeStatus {
    /// Violations may still join it.
    Open,
    /// It is over.
    Closed,
}

/// Why an episode is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosingReason {
    /// Enough points in a row were in control.
    InControl,
    /// New control limits are in force.
    NewLimits,
    /// The chart has begun anew, without limits.
    NewPhase,
    /// None of its violations holds any more.
    Withdrawn,
    /// The characteristic takes no samples any more.
    Retired,
    /// The characteristic is gone.
    Deleted,
    /// Nothing was heard of the process for too long.
    Stale,
}

/// When and why an episode was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    /// When.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: ClosingReason,
}

/// One rule that fired in an episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpisodePattern {
    /// On which of the two charts.
    pub chart: Chart,
    /// The rule's number.
    pub rule_id: u32,
    /// The rule's name, as it was told first.
    pub rule_name: String,
    /// The other system whose rule it is: there, the number means something else.
    pub source: Option<String>,
    /// The severest of its violations.
    pub severity: Severity,
    /// Its violations that are not withdrawn.
    pub holding: u64,
}

/// What a pattern tells: our rules by family, another system's each its own.
#[derive(Debug, PartialEq, Eq)]
enum Tells<'a> {
    Family(RuleFamily),
    Foreign(Option<&'a str>, u32),
}

impl EpisodePattern {
    fn of(violation: &Violation) -> Self {
        Self {
            chart: violation.chart,
            rule_id: violation.rule_id,
            rule_name: violation.rule_name.clone(),
            source: violation.origin.as_ref().map(|origin| origin.source.clone()),
            severity: violation.severity,
            holding: 1,
        }
    }

    fn is_of(&self, violation: &Violation) -> bool {
        let source = violation.origin.as_ref().map(|origin| &origin.source);
        (self.chart, self.rule_id, self.source.as_ref()) == (violation.chart, violation.rule_id, source)
    }

    fn tells(&self) -> (Chart, Tells<'_>) {
        let ours = Rule::from_id(self.rule_id).filter(|_| self.source.is_none());
        let foreign = Tells::Foreign(self.source.as_deref(), self.rule_id);
        (self.chart, ours.map_or(foreign, |rule| Tells::Family(rule.family())))
    }
}

/// Violations of one characteristic that belong together. Times are those of the transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// Its id.
    pub id: EpisodeId,
    /// Whose.
    pub characteristic_id: CharacteristicId,
    /// The severest of its violations that hold.
    pub severity: Severity,
    /// Which rules fired and hold, in the order in which they first did; at most [`MAX_PATTERNS`].
    pub patterns: Vec<EpisodePattern>,
    /// Violations that have joined it.
    pub violations: u64,
    /// Those of them that are not withdrawn.
    pub holding: u64,
    /// Those that still wait for an operator.
    pub unacknowledged: u64,
    /// Its first violation.
    pub first_violation_id: ViolationId,
    /// Its newest violation.
    pub newest_violation_id: ViolationId,
    /// When its first violation was found.
    pub opened_at: DateTime<Utc>,
    /// When a point or a violation came last.
    pub heard_at: DateTime<Utc>,
    /// Points in control in a row, up to now.
    pub points_in_control: u32,
    /// Violating points since the answer.
    pub points_since_answer: u32,
    /// The answer that holds: what makes it worse, or lapse, wants another one.
    pub acknowledgement: Option<Acknowledgement>,
    /// When an answer to it has last proven not to help.
    pub lapsed_at: Option<DateTime<Utc>>,
    /// Its end.
    pub closing: Option<Closing>,
}

impl Episode {
    /// The episode that a violation opens. One that was answered before brings its answer along.
    pub fn open(id: EpisodeId, first: &Violation, now: DateTime<Utc>) -> Self {
        let mut episode = Self {
            id,
            characteristic_id: first.characteristic_id,
            severity: first.severity,
            patterns: Vec::new(),
            violations: 0,
            holding: 0,
            unacknowledged: 0,
            first_violation_id: first.id,
            newest_violation_id: first.id,
            opened_at: now,
            heard_at: now,
            points_in_control: 0,
            points_since_answer: 0,
            acknowledgement: first.acknowledgement.clone(),
            lapsed_at: None,
            closing: None,
        };
        episode.count_in(first);
        episode
    }

    /// Whether it is over.
    pub fn status(&self) -> EpisodeStatus {
        if self.closing.is_some() { EpisodeStatus::Closed } else { EpisodeStatus::Open }
    }

    /// Whether nothing was heard for so long that what comes next belongs to another episode.
    pub fn is_stale(&self, policy: &EpisodePolicy, now: DateTime<Utc>) -> bool {
        now - self.heard_at > policy.stale_after
    }

    /// Takes a violation in.
    pub fn join(&mut self, violation: &Violation) -> Option<EpisodeChange> {
        let severity = self.severity;
        let is_news = self.count_in(violation);
        (is_news || self.severity > severity).then(|| self.wants_another_answer(EpisodeChange::Worsened))
    }

    /// One of its violations holds again.
    pub fn restore(&mut self, violation: &Violation) -> Option<EpisodeChange> {
        self.violations -= 1; // it is counted already
        self.join(violation)
    }

    /// Counts a violation; says whether it tells something that no other does.
    fn count_in(&mut self, violation: &Violation) -> bool {
        self.violations += 1;
        self.holding += 1;
        self.unacknowledged += u64::from(waits(violation));
        self.newest_violation_id = self.newest_violation_id.max(violation.id);
        self.severity = self.severity.max(violation.severity);
        if let Some(known) = self.patterns.iter_mut().find(|pattern| pattern.is_of(violation)) {
            known.holding += 1;
            known.severity = known.severity.max(violation.severity);
            return false;
        }
        let pattern = EpisodePattern::of(violation);
        let foreign = self.patterns.iter().filter(|pattern| pattern.source.is_some()).count();
        if pattern.source.is_some() && foreign >= MAX_FOREIGN {
            return false;
        }
        let is_news = self.patterns.iter().all(|known| known.tells() != pattern.tells());
        self.patterns.push(pattern);
        is_news
    }

    /// A point was judged, and what was found on it has joined.
    pub fn judged(
        &mut self,
        in_control: bool,
        policy: &EpisodePolicy,
        now: DateTime<Utc>,
    ) -> Option<EpisodeChange> {
        self.heard_at = now;
        if in_control {
            self.points_in_control = self.points_in_control.saturating_add(1);
            return (self.points_in_control >= policy.close_points.get())
                .then(|| self.close(ClosingReason::InControl, now));
        }
        self.points_in_control = 0;
        self.acknowledgement.as_ref()?;
        self.points_since_answer = self.points_since_answer.saturating_add(1);
        (self.points_since_answer >= policy.lapse_points.get()).then(|| {
            self.lapsed_at = Some(now);
            self.wants_another_answer(EpisodeChange::Lapsed)
        })
    }

    /// One of its violations was answered, `violation` being as it was before. With the last one that waited, the
    /// episode is; while its answer holds, another one shows that somebody is still there.
    pub fn answered(&mut self, violation: &Violation, answer: &Acknowledgement) -> Option<EpisodeChange> {
        self.unacknowledged = self.unacknowledged.saturating_sub(u64::from(waits(violation)));
        if self.unacknowledged == 0 || self.acknowledgement.is_some() {
            self.acknowledge(answer)
        } else {
            None
        }
    }

    /// Somebody answers all of it. The first answer stands.
    pub fn acknowledge(&mut self, answer: &Acknowledgement) -> Option<EpisodeChange> {
        self.points_since_answer = 0;
        let is_first = self.acknowledgement.is_none();
        self.acknowledgement.get_or_insert_with(|| answer.clone());
        is_first.then_some(EpisodeChange::Acknowledged)
    }

    /// One of its violations does not hold any more, `violation` being as it was before: it makes nothing worse now.
    pub fn withdraw(&mut self, violation: &Violation) {
        self.holding = self.holding.saturating_sub(1);
        self.unacknowledged = self.unacknowledged.saturating_sub(u64::from(waits(violation)));
        if let Some(pattern) = self.patterns.iter_mut().find(|pattern| pattern.is_of(violation)) {
            pattern.holding = pattern.holding.saturating_sub(1);
        }
        // Of one that is over, it stays told what it was.
        if self.patterns.iter().any(|pattern| pattern.holding > 0) {
            self.patterns.retain(|pattern| pattern.holding > 0);
            self.severity =
                self.patterns.iter().map(|pattern| pattern.severity).max().unwrap_or(self.severity);
        }
    }

    /// Whether all that holds was answered one by one, and nobody has noticed: the others were withdrawn.
    pub fn is_answered_unnoticed(&self) -> bool {
        self.unacknowledged == 0 && self.holding > 0 && self.acknowledgement.is_none()
    }

    /// Whether none of its violations holds any more.
    pub fn is_void(&self) -> bool {
        self.holding == 0 && self.closing.is_none()
    }

    /// Ends it.
    pub fn close(&mut self, reason: ClosingReason, now: DateTime<Utc>) -> EpisodeChange {
        self.closing = Some(Closing { at: now, reason });
        EpisodeChange::Closed
    }

    fn wants_another_answer(&mut self, change: EpisodeChange) -> EpisodeChange {
        self.acknowledgement = None;
        self.points_since_answer = 0;
        change
    }
}

/// Whether an operator has to answer it.
fn waits(violation: &Violation) -> bool {
    violation.requires_acknowledgement
        && violation.acknowledgement.is_none()
        && violation.status == ViolationStatus::Open
}

#[cfg(test)]
mod tests;
