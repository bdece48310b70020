//! `/characteristics/{id}/chart-data`: everything that a control chart draws.

use actix_web::web::{Data, Path};
use chrono::{DateTime, Utc};

use crate::domain::ids::CharacteristicId;
use crate::domain::limits::DispersionLimits;
use crate::domain::phase::Phase;
use crate::domain::sample::Sample;
use crate::domain::violation::Violation;
use crate::http::answer::Done;
use crate::http::auth::{Authorized, Read};
use crate::http::characteristics::unknown;
use crate::http::error::ApiError;
use crate::http::input::{self, Query, page};
use crate::protocol::payload::ControlLimitsView;
use crate::protocol::rest::{
    ChartDataView, ChartPoint, ChartQuery, ChartRule, DispersionPoint, SpecificationView, ZoneLinesView,
};
use crate::services::{Charted, lines};
use crate::store::{Page, Store};

/// The newest points of a range, oldest first.
pub async fn get(
    _: Authorized<Read>,
    store: Data<Store>,
    times: Data<input::Settings>,
    id: Path<CharacteristicId>,
    query: Query<ChartQuery>,
) -> Result<Done<ChartDataView>, ApiError> {
    let ChartQuery { from, to, limit } = query.0;
    let page = page(None, limit)?;
    let range = (times.bound("from", from.as_deref())?, times.bound("to", to.as_deref())?);
    let charted = charted(&store, *id, range, page).await?;

    let in_force = charted.record.phase.as_ref();
    let dispersions = charted.samples.iter().map(|it| dispersion(it, charted.dispersion_limits_of(it)));
    let definition = charted.record.characteristic.definition.clone();
    let view = ChartDataView {
        characteristic_id: *id,
        characteristic_name: definition.name,
        chart: definition.chart,
        points: charted.samples.iter().map(|it| point(it, charted.fired_on(it), in_force)).collect(),
        dispersion: dispersions.flatten().collect(),
        control_limits: in_force.map(ControlLimitsView::new),
        zone_lines: in_force.map(zone_lines),
        specification: SpecificationView {
            target: definition.target,
            usl: definition.usl,
            lsl: definition.lsl,
        },
        unit: definition.unit,
        decimals: definition.decimals,
    };
    Ok(Done(view))
}

/// What a chart shows.
///
/// # Errors
/// 404, if there is no such characteristic.
pub async fn charted(
    store: &Store,
    id: CharacteristicId,
    range: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    page: Page,
) -> Result<Charted, ApiError> {
    Charted::read(store, id, range, page).await?.ok_or_else(|| unknown(id))
}

fn point(sample: &Sample, violations: &[Violation], in_force: Option<&Phase>) -> ChartPoint {
    let judgement = sample.judgement;
    let within = |range: &crate::domain::phase::BaselineRange| {
        (range.first_sample_id..=range.last_sample_id).contains(&sample.id)
    };
    let rule = |violation: &Violation| ChartRule {
        violation_id: violation.id,
        chart: violation.chart,
        rule_id: violation.rule_id,
        severity: violation.severity,
        acknowledged: violation.acknowledgement.is_some(),
    };
    ChartPoint {
        sample_id: sample.id,
        timestamp: sample.timestamp,
        value: sample.subgroup.mean,
        n: sample.subgroup.n,
        limits_id: judgement.and_then(|j| j.limits_id),
        ucl: judgement.and_then(|j| j.ucl),
        center_line: judgement.and_then(|j| j.center_line),
        lcl: judgement.and_then(|j| j.lcl),
        zone: judgement.and_then(|j| j.zone),
        in_control: judgement.map(|j| j.in_control),
        is_excluded: sample.is_excluded,
        baseline: !sample.is_excluded
            && in_force.and_then(|phase| phase.baseline.as_ref()).is_some_and(within),
        rules: violations.iter().map(rule).collect(),
    }
}

fn dispersion(sample: &Sample, limits: Option<DispersionLimits>) -> Option<DispersionPoint> {
    let value = sample.dispersion_value?;
    Some(DispersionPoint { sample_id: sample.id, value, limits: limits.map(Into::into) })
}

fn zone_lines(phase: &Phase) -> ZoneLinesView {
    let lines::ZoneLines { upper_two_sigma, upper_one_sigma, center_line, lower_one_sigma, lower_two_sigma } =
        lines::zone_lines(phase);
    ZoneLinesView {
        upper_2_sigma: upper_two_sigma,
        upper_1_sigma: upper_one_sigma,
        center_line,
        lower_1_sigma: lower_one_sigma,
        lower_2_sigma: lower_two_sigma,
    }
}
