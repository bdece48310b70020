//! What the run rules need to know of the last 64 points, one bit per point and question.
//!
//! Bit 0 stands for the newest point, bit i for the one i points before it; feeding a point shifts every
//! mask by one, so old points fall out by themselves and nothing depends on which rules are on. A pattern
//! of m points is a question about the lowest m bits.

use crate::domain::chart::{Chart, Side};
use crate::domain::rules::{MAX_WINDOW, Pattern, Rule, RuleSet};
use crate::spc::lines::Lines;
use crate::spc::signal::{Signal, Signals};

/// Which points were up, and which were down, in some sense; none is both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sides {
    upper: u64,
    lower: u64,
}

impl Sides {
    fn push(&mut self, upper: bool, lower: bool) {
        self.upper = self.upper << 1 | u64::from(upper);
        self.lower = self.lower << 1 | u64::from(lower);
    }

    const fn either(self) -> u64 {
        self.upper | self.lower
    }

    const fn of(self, side: Side) -> u64 {
        match side {
            Side::Upper => self.upper,
            Side::Lower => self.lower,
        }
    }

    /// The side that the newest point is on.
    const fn newest(self) -> Option<Side> {
        match (self.upper & 1, self.lower & 1) {
            (1, _) => Some(Side::Upper),
            (_, 1) => Some(Side::Lower),
            _ => None,
        }
    }
}

/// One plotted point, as its neighbours are compared with it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Plotted {
    n: u32,
    mean: f64,
    /// Distance from the center line in sigmas of its own subgroup size, times the process sigma: the
    /// common factor does not change the order.
    z: f64,
}

/// The last [`MAX_WINDOW`] points of a phase.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Window {
    /// How many points there are, up to [`MAX_WINDOW`].
    len: u32,
    /// `beyond[k]`: beyond k sigma; `beyond[0]`: off the center line; `beyond[3]`: beyond a limit.
    beyond: [Sides; 4],
    /// Higher or lower than the point before, by the plain means.
    steps: Sides,
    /// The same by z.
    z_steps: Sides,
    /// Of the same subgroup size as the point before.
    same_size: u64,
    newest: Option<Plotted>,
}

impl Window {
    pub(super) fn push(&mut self, mean: f64, n: u32, lines: &Lines) {
        self.len = (self.len + 1).min(MAX_WINDOW);
        let upper = [lines.center_line, lines.upper_one_sigma, lines.upper_two_sigma, lines.ucl];
        let lower = [lines.center_line, lines.lower_one_sigma, lines.lower_two_sigma, lines.lcl];
        for (k, sides) in self.beyond.iter_mut().enumerate() {
            sides.push(mean > upper[k], mean < lower[k]);
        }
        let z = (mean - lines.center_line) * f64::from(n).sqrt();
        let point = Plotted { n, mean, z };
        // The first point of a phase has no step: compared with itself it is neither up nor down.
        let before = self.newest.replace(point).unwrap_or(point);
        self.steps.push(mean > before.mean, mean < before.mean);
        self.z_steps.push(z > before.z, z < before.z);
        self.same_size = self.same_size << 1 | u64::from(n == before.n);
    }

    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// The rules whose pattern ends at the newest point.
    pub(super) fn signals(&self, rules: &RuleSet) -> Signals {
        let mut signals = Signals::default();
        for setting in rules.iter().filter(|setting| setting.enabled) {
            if let Some(signal) = self.signal(setting.rule(), setting.pattern()) {
                signals.add(signal);
            }
        }
        signals
    }

    fn signal(&self, rule: Rule, pattern: Pattern) -> Option<Signal> {
        let newest = last(pattern.m);
        let all = |mask: u64| mask & newest == newest;
        let [center, one_sigma, two_sigma, limits] = self.beyond;
        let (holds, side) = match rule {
            Rule::Outlier => one_sided(limits.newest(), |_| true),
            Rule::Shift => one_sided(center.newest(), |side| all(center.of(side))),
            Rule::Trend => {
                let steps = self.steps_within(pattern.m);
                let wanted = last(pattern.m.saturating_sub(1));
                one_sided(steps.newest(), |side| steps.of(side) & wanted == wanted)
            }
            Rule::Alternation => (self.alternates(pattern.m), None),
            Rule::ZoneA => one_sided(two_sigma.newest(), |side| enough(two_sigma.of(side), pattern)),
            Rule::ZoneB => one_sided(one_sigma.newest(), |side| enough(one_sigma.of(side), pattern)),
            Rule::Stratification => (self.len >= pattern.m && one_sigma.either() & newest == 0, None),
            Rule::Mixture => {
                let on_both = one_sigma.upper & newest != 0 && one_sigma.lower & newest != 0;
                (all(one_sigma.either()) && on_both, None)
            }
        };
        holds.then_some(Signal { chart: Chart::Location, rule, pattern, side })
    }

    /// The points that make up a signal's pattern, as bits.
    pub(super) fn involved(&self, signal: &Signal) -> u64 {
        let newest = last(signal.pattern.m);
        let one_of = |sides: Sides| newest & signal.side.map_or(sides.either(), |side| sides.of(side));
        match signal.rule {
            Rule::Outlier => 1,
            Rule::ZoneA => one_of(self.beyond[2]),
            Rule::ZoneB => one_of(self.beyond[1]),
            _ => newest & last(self.len),
        }
    }

    /// Successive differences non-zero and alternating in sign: m points have m - 1 of them.
    fn alternates(&self, m: u32) -> bool {
        let steps = self.steps_within(m);
        let (differences, turns) = (last(m.saturating_sub(1)), last(m.saturating_sub(2)));
        let turned = steps.upper ^ steps.upper >> 1;
        steps.either() & differences == differences && turned & turns == turns
    }

    /// Plain means while the last `m` points agree in size, else z.
    fn steps_within(&self, m: u32) -> Sides {
        let inner = last(m.saturating_sub(1));
        if self.same_size & inner == inner { self.steps } else { self.z_steps }
    }
}

/// The lowest `m` bits.
const fn last(m: u32) -> u64 {
    match u64::MAX.checked_shr(MAX_WINDOW.saturating_sub(m)) {
        Some(bits) => bits,
        None => 0,
    }
}

const fn enough(mask: u64, pattern: Pattern) -> bool {
    (mask & last(pattern.m)).count_ones() >= pattern.k
}

fn one_sided(side: Option<Side>, holds: impl FnOnce(Side) -> bool) -> (bool, Option<Side>) {
    (side.is_some_and(holds), side)
}
