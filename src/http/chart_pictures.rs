//! `/characteristics/{id}/chart.svg` and `.png`: the control chart as a picture.
//!
//! Painting takes a processor for some ten milliseconds. That happens on threads of their own, on at most half of the
//! processors at once, and on one where there is but one; whoever comes then waits for a place.

use std::sync::Arc;

use actix_web::web::{Data, Path};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::chart::{self, ControlChart, Lines, Plotted, Point, Specification};
use crate::domain::chart::Chart;
use crate::domain::ids::CharacteristicId;
use crate::domain::sample::Sample;
use crate::http::answer::{PngPicture, SvgPicture};
use crate::http::auth::{Authorized, Read};
use crate::http::chart_data::Charted;
use crate::http::error::{ApiError, Kind, internal};
use crate::http::input::{self, Query};
use crate::protocol::rest::{MAX_PICTURED, PictureQuery};
use crate::store::{Page, Store};

/// Samples that a picture shows, if it is not said how many: so many can be told apart on a phone.
const PICTURED: u64 = 50;

/// How many times larger than its drawing a PNG is: sharp on screens with small dots.
const SCALE: u32 = 2;

/// Makes pictures. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Painter {
    site: chart::Settings,
    places: Arc<Semaphore>,
    tracker: TaskTracker,
}

impl Painter {
    /// One that writes times as they are on site.
    pub fn new(site: chart::Settings, tracker: TaskTracker) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { site, places: Arc::new(Semaphore::new((processors / 2).max(1))), tracker }
    }

    async fn paint(&self, chart: ControlChart) -> Result<Vec<u8>, ApiError> {
        let place = Arc::clone(&self.places).acquire_owned().await; // never closed
        let painted = self.tracker.spawn_blocking(move || {
            let _place = place; // also of a picture that nobody waits for any more
            chart::png(&chart.svg(), SCALE)
        });
        painted.await.map_err(|error| internal(&error))?.map_err(|error| internal(&error))
    }
}

/// As SVG.
pub async fn svg(
    _: Authorized<Read>,
    store: Data<Store>,
    times: Data<input::Settings>,
    painter: Data<Painter>,
    id: Path<CharacteristicId>,
    query: Query<PictureQuery>,
) -> Result<SvgPicture, ApiError> {
    let chart = chart_of(&store, &times, &painter.site, *id, query.0).await?;
    let drawn = painter.tracker.spawn_blocking(move || chart.svg()).await;
    drawn.map(SvgPicture).map_err(|error| internal(&error))
}

/// As PNG.
pub async fn png(
    _: Authorized<Read>,
    store: Data<Store>,
    times: Data<input::Settings>,
    painter: Data<Painter>,
    id: Path<CharacteristicId>,
    query: Query<PictureQuery>,
) -> Result<PngPicture, ApiError> {
    let chart = chart_of(&store, &times, &painter.site, *id, query.0).await?;
    painter.paint(chart).await.map(PngPicture)
}

async fn chart_of(
    store: &Store,
    times: &input::Settings,
    site: &chart::Settings,
    id: CharacteristicId,
    query: PictureQuery,
) -> Result<ControlChart, ApiError> {
    let PictureQuery { from, to, limit } = query;
    let limit = limit.unwrap_or(PICTURED);
    if !(1..=MAX_PICTURED).contains(&limit) {
        return Err(ApiError::new(Kind::InvalidQuery, format!("limit must be from 1 to {MAX_PICTURED}")));
    }
    let page = Page { offset: 0, limit: limit as u32 };
    let range = (times.bound("from", from.as_deref())?, times.bound("to", to.as_deref())?);
    let charted = Charted::read(store, id, range, page).await?;
    let definition = &charted.record.characteristic.definition;
    // Those of another size are of a chart that this one has replaced.
    let sizes = definition.min_measurements..=definition.subgroup_size;
    let samples = charted.samples.iter().filter(|sample| sizes.contains(&sample.subgroup.n));
    Ok(ControlChart {
        name: definition.name.clone(),
        group: definition.group.clone(),
        kind: definition.chart,
        unit: definition.unit.clone(),
        decimals: definition.decimals,
        specification: Specification { usl: definition.usl, lsl: definition.lsl },
        points: samples.map(|sample| point(&charted, sample)).collect(),
        time_zone: site.time_zone,
    })
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
