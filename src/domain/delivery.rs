//! A delivery: one notice to one receiver, tried until it is over.
//!
//! ```text
//! scheduled ─► pending ─► leased ─► delivered
//!    │           │          │  ▲
//!    ▼           │          ▼  │ when it is due again
//! superseded ◄───┴─── retrying, uncertain        otherwise: dead, expired, suppressed
//! ```

use serde::{Deserialize, Serialize};

/// How far a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Its time has not come: it is a step of an escalation, or a reminder, or a silence holds it back.
    Scheduled,
    /// Nobody has tried yet.
    Pending,
    /// Somebody tries, and has a while for it.
    Leased,
    /// The newest attempt failed; there will be another.
    Retrying,
    /// Of the newest attempt it is not known whether it arrived; there will be another, under the same name.
    Uncertain,
    /// The receiver has taken it.
    Delivered,
    /// The receiver will never take it.
    Dead,
    /// It came to nothing as long as it was of use.
    Expired,
    /// Somebody answered before, or the episode was over, or a newer notice took its place: nobody had to be told any more.
    Superseded,
    /// A rule of the settings, or a silence, says that the recipient is not told.
    Suppressed,
}

impl DeliveryState {
    /// Whether nothing will be tried any more by itself.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Delivered | Self::Dead | Self::Expired | Self::Superseded | Self::Suppressed)
    }
}

/// How a delivery ended that may be told anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replayable {
    /// The receiver has taken it.
    Delivered,
    /// The receiver would never take it.
    Dead,
    /// It came to nothing as long as it was of use.
    Expired,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// The receiver has taken it.
    Delivered,
    /// Not this time: the same may go through later.
    Transient,
    /// Never: the receiver refuses this, or cannot be told it.
    Permanent,
    /// Not known: the connection, or the process, ended before there was an answer.
    Uncertain,
}

impl AttemptOutcome {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Delivered, Self::Transient, Self::Permanent, Self::Uncertain];

    /// Its name, as the wire says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Uncertain => "uncertain",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::episode::EpisodeChange;

    #[test]
    fn words_are_those_of_the_wire() {
        for outcome in AttemptOutcome::ALL {
            assert_eq!(serde_json::json!(outcome), outcome.as_str());
        }
        for change in EpisodeChange::ALL {
            assert_eq!(serde_json::json!(change), change.as_str());
        }
    }
}
