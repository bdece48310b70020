//! Where a connection's events come from: its shard, as they come, or the ring and the log, which it reads for itself.

use tokio::time::Instant;

use crate::domain::ids::CharacteristicId;

/// Where a connection's events come from.
#[derive(Debug)]
pub(super) enum Feed {
    Live,
    Replay(Replay),
}

/// A connection that reads for itself.
#[derive(Debug)]
pub(super) struct Replay {
    /// Events up to here are behind it.
    pub(super) cursor: u64,
    /// Up to here every sample is told; after it, as to anybody who is behind, only the newest.
    whole_to: u64,
    /// How far it was behind when `whole_to` was set; 0: it is slow, and that never moves on.
    gap: u64,
    /// Events told.
    pub(super) replayed: u64,
    /// The client asked for it, and is told when it is over.
    pub(super) is_announced: bool,
    /// What has to be read from the database before it can go on.
    pub(super) need: Option<Need>,
}

impl Replay {
    /// Tells everything after `cursor` up to `position`, and what comes meanwhile as long as that becomes less.
    pub(super) fn whole(cursor: u64, position: u64) -> Self {
        let gap = position.saturating_sub(cursor).max(1);
        Self { cursor, whole_to: position, gap, replayed: 0, is_announced: false, need: None }
    }

    /// Tells every alert after `cursor`, and the newest samples: for a client that is too slow for all of them.
    pub(super) fn of_the_slow(cursor: u64) -> Self {
        Self { cursor, whole_to: cursor, gap: 0, replayed: 0, is_announced: false, need: None }
    }

    /// The same, once something has been read.
    pub(super) fn waiting_for(self, need: Need) -> Self {
        Self { need: Some(need), ..self }
    }

    /// The same, with a word when it is over.
    pub(super) fn announced(self) -> Self {
        Self { is_announced: true, ..self }
    }

    /// Whether the sample of a position is told, whatever comes after it.
    pub(super) fn tells_whole(&self, seq: u64) -> bool {
        seq <= self.whole_to
    }

    /// Looks whether it catches up: what came while it was reading is at most a page, or half of what it had to read.
    pub(super) fn keep_up(&mut self, position: u64, page_events: u64) {
        let gap = position.saturating_sub(self.whole_to);
        if self.cursor >= self.whole_to && gap > 0 && self.gap > 0 && gap <= page_events.max(self.gap / 2) {
            (self.whole_to, self.gap) = (position, gap);
        }
    }
}

/// What has to be read from the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Need {
    /// The log after the cursor.
    Page { after: u64 },
    /// The state of these, each no older than the revision.
    Snapshots(Vec<(CharacteristicId, u64)>),
    /// The group of a characteristic that is new.
    Group(CharacteristicId),
    /// Nothing: it has just been welcomed, and is told nothing before its first request is answered, or while it says
    /// nothing for a while. Otherwise an acknowledgement could come before the alerts that it is about to resume.
    /// `None`: the request has come, and its answer takes as long as it takes.
    FirstWords { until: Option<Instant> },
}
