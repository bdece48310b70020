//! Control charts of what is stored, as pictures.
//!
//! Painting takes a processor for some ten milliseconds. That happens on threads of their own, on at most half of the
//! processors at once, and on one where there is but one; whoever comes then waits for a place.

use std::sync::Arc;

use chrono_tz::Tz;
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tokio_util::task::TaskTracker;

use crate::chart::{self, ControlChart, Lines, PaintError, Plotted, Point, Specification};
use crate::domain::chart::Chart;
use crate::domain::sample::Sample;
use crate::services::charted::Charted;

/// Samples that a picture shows, if it is not said how many: so many can be told apart on a phone.
pub const PICTURED: u32 = 50;

/// How many times larger than its drawing a PNG is: sharp on screens with small dots.
const SCALE: u32 = 2;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// Its thread panicked, or the process stops.
    #[error("the drawing ended early")]
    Ended(#[from] JoinError),
    /// It cannot be painted.
    #[error(transparent)]
    Paint(#[from] PaintError),
}

/// Makes pictures. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Painter {
    time_zone: Tz,
    places: Arc<Semaphore>,
    tracker: TaskTracker,
}

impl Painter {
    /// One that writes times in this zone.
    pub fn new(time_zone: Tz, tracker: TaskTracker) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { time_zone, places: Arc::new(Semaphore::new((processors / 2).max(1))), tracker }
    }

    /// As SVG.
    ///
    /// # Errors
    /// [`PictureError`].
    pub async fn svg(&self, charted: &Charted) -> Result<String, PictureError> {
        let chart = self.chart_of(charted);
        Ok(self.tracker.spawn_blocking(move || chart.svg()).await?)
    }

    /// As PNG.
    ///
    /// # Errors
    /// [`PictureError`].
    pub async fn png(&self, charted: &Charted) -> Result<Vec<u8>, PictureError> {
        let chart = self.chart_of(charted);
        let place = Arc::clone(&self.places).acquire_owned().await; // never closed
        let painted = self.tracker.spawn_blocking(move || {
            let _place = place; // also of a picture that nobody waits for any more
            chart::png(&chart.svg(), SCALE)
        });
        Ok(painted.await??)
    }

    fn chart_of(&self, charted: &Charted) -> ControlChart {
        let definition = &charted.record.characteristic.definition;
        // Those of another size are of a chart that this one has replaced.
        let sizes = definition.min_measurements..=definition.subgroup_size;
        let samples = charted.samples.iter().filter(|sample| sizes.contains(&sample.subgroup.n));
        ControlChart {
            name: definition.name.clone(),
            group: definition.group.clone(),
            kind: definition.chart,
            unit: definition.unit.clone(),
            decimals: definition.decimals,
            specification: Specification { usl: definition.usl, lsl: definition.lsl },
            points: samples.map(|sample| point(charted, sample)).collect(),
            time_zone: self.time_zone,
        }
    }
}

fn point(charted: &Charted, sample: &Sample) -> Point {
    let fired = charted.fired_on(sample);
    let judgement = sample.judgement;
    let plotted = |value, lines, on| {
        let here = || fired.iter().filter(|violation| violation.chart == on);
        Plotted {
            value,
            lines,
            is_judged: judgement.is_some(),
            rule_ids: here().map(|violation| violation.rule_id).collect(),
            is_acknowledged: here().all(|violation| violation.acknowledgement.is_some()),
        }
    };
    let lines =
        judgement.and_then(|it| Some(Lines { ucl: it.ucl?, center_line: it.center_line?, lcl: it.lcl? }));
    let limits = charted.dispersion_limits_of(sample);
    let kind = charted.record.characteristic.definition.chart;
    // Of a chart that this one has replaced, it would be another statistic.
    let is_of_this_chart = limits.is_none_or(|limits| limits.statistic == kind.dispersion());
    let dispersion_lines = limits.map(|it| Lines { ucl: it.ucl, center_line: it.center_line, lcl: it.lcl });
    let dispersion = sample.dispersion_value.filter(|_| is_of_this_chart);
    Point {
        timestamp: sample.timestamp,
        location: plotted(sample.subgroup.mean, lines, Chart::Location),
        dispersion: dispersion.map(|value| plotted(value, dispersion_lines, Chart::Dispersion)),
        is_excluded: sample.is_excluded,
    }
}
