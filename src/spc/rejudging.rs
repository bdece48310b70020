//! What the points around one point signal with it and without it: what excluding it, or including it again, changes.
//!
//! Pure: the points come in, both verdicts on each go out; which of them held before is for the caller to know. The
//! work is bounded by [`REACH`], however long the phase is.

use crate::domain::ids::SampleId;
use crate::domain::rules::MAX_WINDOW;
use crate::spc::lines::PhaseLimits;
use crate::spc::phase::{Judging, PhaseState, Point, Verdict};
use crate::spc::signal::Signal;

/// The points on either side that share a window with a point: one less than the longest window.
pub const REACH: u32 = MAX_WINDOW - 1;

/// A point with those of its phase around it, oldest first, without excluded ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// The [`REACH`] points before it, or all there are.
    pub before: Vec<Point>,
    /// The point in question.
    pub point: Point,
    /// The [`REACH`] points after it, or all there are.
    pub after: Vec<Point>,
    /// Excluded points between all these, by rising id: no moving range spans one.
    pub breaks: Vec<SampleId>,
}

/// What judging one point finds.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// The signals in it, in order, each with the members of its pattern, oldest first.
    pub signals: Vec<(Signal, Vec<SampleId>)>,
}

/// What a stretch says with its point and without it.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The point itself, while it counts.
    pub point: Finding,
    /// Those after it, in their order: with it, and without it.
    pub after: Vec<(Finding, Finding)>,
}

/// Judges a stretch twice. Without `limits` there are no signals, but moving ranges all the same.
pub fn compare(stretch: &Stretch, limits: Option<&PhaseLimits>, judging: &Judging) -> Comparison {
    let Stretch { before, point, after, breaks } = stretch;
    let mut with = Walk { state: PhaseState::new(), limits, judging, breaks };
    before.iter().for_each(|point| drop(with.judge(point)));
    let mut without = with.clone();
    let of_point = with.judge(point);
    // Left out, the point is one more that no moving range spans.
    without.state.break_moving_range();
    let after = after.iter().map(|point| (with.judge(point), without.judge(point))).collect();
    Comparison { point: of_point, after }
}

#[derive(Clone)]
struct Walk<'a> {
    state: PhaseState,
    limits: Option<&'a PhaseLimits>,
    judging: &'a Judging,
    /// Those that are still ahead.
    breaks: &'a [SampleId],
}

impl Walk<'_> {
    fn judge(&mut self, point: &Point) -> Finding {
        let passed = self.breaks.partition_point(|id| *id < point.sample_id);
        if passed > 0 {
            self.state.break_moving_range();
            self.breaks = &self.breaks[passed..];
        }
        let verdict = self.state.judge(point, self.limits, self.judging);
        let signals = verdict.judged.map(|judged| judged.signals).unwrap_or_default();
        let with_members = |signal: &Signal| (*signal, self.state.involved(signal));
        Finding { verdict, signals: signals.iter().map(with_members).collect() }
    }
}
