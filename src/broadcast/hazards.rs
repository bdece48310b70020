//! The mistakes that could be made where events change hands, each of which the model test has to find.
//!
//! A test plants one of them on its thread; outside tests none exists, and the compiler leaves the question out.

/// One mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hazard {
    /// A replay goes live one event too early.
    LiveTooEarly,
    /// A replay reads beyond what its shard has processed, and hears it again.
    PageBeyondShard,
    /// Who replays is offered live events, too.
    LiveWhileReplaying,
    /// What was taken out of a full queue is not read again.
    ClearedAndForgotten,
    /// What was taken out of a full queue is read again from a place that is too old.
    ClearedTooFar,
    /// An alert overtakes the sample before it.
    AlertBeforeItsSample,
    /// A sample leaves while an alert waits.
    SampleBeforeAlert,
    /// A sample that takes the place of another does not count what was left out.
    SkippedForgotten,
    /// A withheld event is not counted.
    WithheldUncounted,
    /// Acknowledgements told live are told again by a resume.
    AcknowledgedTwice,
    /// The revisions of a resume are those of now.
    BaseOfNow,
    /// When a group resumes, what a client was told by name until now is counted from the group's position.
    OutrankedFromThen,
    /// A log that does not reach back counts as complete.
    FloorIgnored,
    /// A snapshot that was read too early is taken as the present state.
    StaleSnapshot,
    /// What a snapshot tells is told again.
    CoveredToldAgain,
    /// While a snapshot is on its way, live events come before it and are lost behind it.
    SnapshotWithoutHold,
    /// A paced sample is not let go when its moment comes.
    HeldForEver,
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Hazard>> = const { std::cell::Cell::new(None) };
}

/// Whether a test has planted this mistake.
#[cfg(test)]
pub(super) fn is_planted(hazard: Hazard) -> bool {
    PLANTED.get() == Some(hazard)
}

/// There is none.
#[cfg(not(test))]
pub(super) const fn is_planted(_: Hazard) -> bool {
    false
}

/// Plants a mistake on this thread, or takes it away.
#[cfg(test)]
pub(super) fn plant(hazard: Option<Hazard>) {
    PLANTED.set(hazard);
}
