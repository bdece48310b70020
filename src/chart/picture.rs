//! What a picture of a control chart shows.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::domain::chart::ChartKind;

/// One control chart with its newest points.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlChart {
    /// The characteristic's name.
    pub name: String,
    /// Where it belongs.
    pub group: Option<String>,
    /// Which pair of charts.
    pub kind: ChartKind,
    /// The unit of all values.
    pub unit: Option<String>,
    /// Places behind the point of a value; `None`: as many as tell something.
    pub decimals: Option<u32>,
    /// What the customer wants.
    pub specification: Specification,
    /// Oldest first.
    pub points: Vec<Point>,
    /// In which the times stand; the picture says which it is.
    pub time_zone: Tz,
}

/// What the customer wants: of single measurements, so it is drawn beside individuals only.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Specification {
    /// Upper specification limit.
    pub usl: Option<f64>,
    /// Lower specification limit.
    pub lsl: Option<f64>,
}

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// When it was measured.
    pub timestamp: DateTime<Utc>,
    /// The individual, or the mean of the subgroup.
    pub location: Plotted,
    /// Moving range, range or standard deviation; `None` where there is none.
    pub dispersion: Option<Plotted>,
    /// It counts as never taken.
    pub is_excluded: bool,
}

/// A point on one of the two charts.
#[derive(Debug, Clone, PartialEq)]
pub struct Plotted {
    /// Where.
    pub value: f64,
    /// The limits of its time, if there were any.
    pub lines: Option<Lines>,
    /// Whether its sample was judged at all, by those or elsewhere.
    pub is_judged: bool,
    /// The rules that fired on it.
    pub rule_ids: Vec<u32>,
    /// Whether all of that is answered.
    pub is_acknowledged: bool,
}

/// Control limits as they are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lines {
    /// Upper control limit.
    pub ucl: f64,
    /// Center line.
    pub center_line: f64,
    /// Lower control limit.
    pub lcl: f64,
}

impl ControlChart {
    /// The newest point that counts.
    pub(super) fn newest(&self) -> Option<&Point> {
        self.points.iter().rev().find(|point| !point.is_excluded)
    }
}

impl Plotted {
    /// The numbers of the rules that fired.
    pub(super) fn rules(&self) -> String {
        self.rule_ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
    }
}

impl Lines {
    /// The line so many thirds of the way from the center line to the upper limit, or the lower one if negative: with
    /// limits at three sigma, the line at so many sigma.
    pub(super) fn at(self, thirds: f64) -> f64 {
        let limit = if thirds < 0.0 { self.lcl } else { self.ucl };
        self.center_line + (limit - self.center_line) * thirds.abs() / 3.0
    }
}
