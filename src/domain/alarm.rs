//! How a characteristic stands with its operators: alarming or not, answered or not.
//!
//! Pure: the sum of what the commands of one characteristic have done, kept in the transaction of each.

use serde::{Deserialize, Serialize};

/// What an operator sees of a characteristic before anything else. Active means that the newest judged sample
/// signalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmState {
    /// Nothing judges its samples: not the same as normal.
    NoLimits,
    /// The newest judged sample is in control, and nothing waits for an answer.
    Normal,
    /// It signals, and somebody has to answer.
    ActiveUnacked,
    /// It signals, and everything is answered.
    ActiveAcked,
    /// It signals no more, but somebody still has to answer.
    ReturnedUnacked,
    /// It takes no samples any more.
    Retired,
}

impl AlarmState {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 6] = [
        Self::ActiveUnacked,
        Self::ActiveAcked,
        Self::ReturnedUnacked,
        Self::NoLimits,
        Self::Normal,
        Self::Retired,
    ];
}

/// What is counted of a characteristic, in the transaction of each cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// The revision of its newest event; 0 before the first.
    pub revision: u64,
    /// Samples of the present phase, without excluded ones and those that were only stored.
    pub samples_collected: u64,
    /// Violations that are neither acknowledged nor withdrawn.
    pub open_violations: u64,
    /// Those of them that wait for an operator.
    pub unacknowledged: u64,
    /// Whether the newest judged sample signalled; `None` before the first one.
    pub is_signalling: Option<bool>,
}

impl Standing {
    /// The state that follows, for a characteristic that is retired or not and has limits in force or not.
    pub fn alarm_state(&self, is_retired: bool, has_limits: bool) -> AlarmState {
        let waits = self.unacknowledged > 0;
        match self.is_signalling {
            _ if is_retired => AlarmState::Retired,
            Some(true) if waits => AlarmState::ActiveUnacked,
            Some(true) => AlarmState::ActiveAcked,
            _ if waits => AlarmState::ReturnedUnacked,
            // Judged without limits of ours: by the system that sent it.
            Some(false) => AlarmState::Normal,
            None if has_limits => AlarmState::Normal,
            None => AlarmState::NoLimits,
        }
    }

    /// Counts a violation that was opened, or holds again.
    pub fn open(&mut self, requires_acknowledgement: bool) {
        self.open_violations += 1;
        self.unacknowledged += u64::from(requires_acknowledgement);
    }

    /// Counts an open violation that was answered or withdrawn.
    pub fn close(&mut self, requires_acknowledgement: bool) {
        self.open_violations = self.open_violations.saturating_sub(1);
        self.unacknowledged = self.unacknowledged.saturating_sub(u64::from(requires_acknowledgement));
    }

    /// Begins a phase: nothing is collected in it yet.
    pub fn start_phase(&mut self) {
        self.samples_collected = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_follows_from_what_was_counted() {
        let mut standing = Standing::default();
        assert_eq!(standing.alarm_state(false, false), AlarmState::NoLimits);
        assert_eq!(standing.alarm_state(false, true), AlarmState::Normal);
        standing.is_signalling = Some(true);
        standing.open(true);
        assert_eq!(standing.alarm_state(false, true), AlarmState::ActiveUnacked);
        assert_eq!(standing.alarm_state(true, true), AlarmState::Retired);
        standing.is_signalling = Some(false);
        assert_eq!(standing.alarm_state(false, true), AlarmState::ReturnedUnacked);
        standing.close(true);
        assert_eq!(standing.alarm_state(false, true), AlarmState::Normal);
        standing.is_signalling = Some(true);
        assert_eq!(standing.alarm_state(false, true), AlarmState::ActiveAcked);
    }

    #[test]
    fn what_needs_no_answer_is_open_but_waits_for_nobody() {
        let mut standing = Standing { is_signalling: Some(false), ..Standing::default() };
        standing.open(false);
        assert_eq!((standing.open_violations, standing.unacknowledged), (1, 0));
        assert_eq!(standing.alarm_state(false, true), AlarmState::Normal);
    }
}
