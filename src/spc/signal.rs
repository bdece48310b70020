//! What a point signals: the rules whose pattern ends at it.

use crate::domain::chart::{Chart, ChartKind, DispersionStatistic, Side};
use crate::domain::rules::{Pattern, Rule};

/// One rule that fired, with the newest point as the end of its pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// The chart it stands on.
    pub chart: Chart,
    /// The rule; on the dispersion chart always rule 1.
    pub rule: Rule,
    /// The pattern that was looked for.
    pub pattern: Pattern,
    /// The side it is about; `None` for rules 4, 7 and 8.
    pub side: Option<Side>,
}

impl Signal {
    /// A sentence for people, without a full stop. `watched` names what a dispersion chart plots.
    pub fn message(&self, watched: ChartKind) -> String {
        let Pattern { k, m } = self.pattern;
        let (above, upper, increasing) = match self.side {
            Some(Side::Lower) => ("below", "lower", "decreasing"),
            Some(Side::Upper) | None => ("above", "upper", "increasing"),
        };
        match self.rule {
            _ if self.chart == Chart::Dispersion => {
                format!("{} {above} its {upper} control limit", plotted(watched.dispersion()))
            }
            Rule::Outlier => format!("point {above} the {upper} control limit"),
            Rule::Shift => format!("{m} points in a row {above} the center line"),
            Rule::Trend => format!("{m} points in a row {increasing}"),
            Rule::Alternation => format!("{m} points in a row alternating up and down"),
            Rule::ZoneA => format!("{k} of {m} points beyond 2 sigma {above} the center line"),
            Rule::ZoneB => format!("{k} of {m} points beyond 1 sigma {above} the center line"),
            Rule::Stratification => format!("{m} points in a row within 1 sigma of the center line"),
            Rule::Mixture => {
                format!("{m} points in a row beyond 1 sigma on both sides of the center line")
            }
        }
    }
}

const fn plotted(statistic: DispersionStatistic) -> &'static str {
    match statistic {
        DispersionStatistic::Mr => "moving range",
        DispersionStatistic::R => "range",
        DispersionStatistic::S => "standard deviation",
    }
}

/// The signals of one point: at most one per rule and chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signals {
    /// The location chart's by rule number.
    location: [Option<Signal>; Rule::ALL.len()],
    dispersion: Option<Signal>,
}

impl Signals {
    pub(super) fn add(&mut self, signal: Signal) {
        match signal.chart {
            Chart::Location => self.location[signal.rule as usize] = Some(signal),
            Chart::Dispersion => self.dispersion = Some(signal),
        }
    }

    /// No rule fired: the point is in control.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The location chart's signals in rule order, then the dispersion chart's.
    pub fn iter(&self) -> impl Iterator<Item = &Signal> {
        self.location.iter().chain([&self.dispersion]).flatten()
    }
}
