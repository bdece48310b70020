//! Acknowledgements go to everybody, and are told once to each client, whatever it resumes from, and however often.

/// Which of them one client has been told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Acknowledgements {
    /// Those after this position are due.
    after: u64,
    /// But these were told before the client said from where it resumes: after the first, up to the second.
    told: (u64, u64),
    resumed: bool,
}

impl Acknowledgements {
    pub(super) fn from(position: u64) -> Self {
        Self { after: position, ..Self::default() }
    }

    pub(super) fn are_due(self, seq: u64) -> bool {
        seq > self.after && !(self.told.0 < seq && seq <= self.told.1)
    }

    /// The client resumes from `since`; what happened up to `reached` has been told as it happened.
    pub(super) fn resume(&mut self, since: u64, reached: u64) {
        if self.resumed {
            self.after = self.after.max(reached);
        } else if since > self.after {
            (self.after, self.resumed) = (since.max(reached), true);
        } else {
            self.told = (self.after, reached.max(self.after));
            self.after = self.after.min(since);
            self.resumed = true;
        }
    }
}
