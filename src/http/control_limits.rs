//! `/characteristics/{id}/control-limits`.

use actix_web::web::{Data, Path};

use crate::clock::Clock;
use crate::domain::characteristic::is_text;
use crate::domain::ids::CharacteristicId;
use crate::http::answer::Done;
use crate::http::auth::{Authorized, Operate, Read};
use crate::http::body::{Json, OptionalJson};
use crate::http::characteristics::existing;
use crate::http::error::{ApiError, Kind};
use crate::http::input::{self, NoQuery, Query, acting_user_if_known, page, page_of};
use crate::protocol::payload::ControlLimitsView;
use crate::protocol::rest::{
    BaselineSignal, BaselineView, CalculationView, PageQuery, PageView, Recalculate, RecalculationView,
    SetLimits,
};
use crate::services::{ControlLimitService, GivenLimits, Selection, Signed};
use crate::store::Store;

/// Below this, limits say little about a process.
pub const MIN_SAMPLES: u32 = 25;
const MAX_REASON_CHARS: usize = 1_000;

/// `GET .../control-limits`: all phases, newest first.
pub async fn list(
    _: Authorized<Read>,
    store: Data<Store>,
    id: Path<CharacteristicId>,
    query: Query<PageQuery>,
) -> Result<Done<PageView<ControlLimitsView>>, ApiError> {
    let page = page(query.0.offset, query.0.limit)?;
    existing(&store, *id).await?;
    let phases = store.phases(*id, page).await?;
    let items: Vec<_> = phases.items.iter().map(ControlLimitsView::new).collect();
    Ok(Done(page_of(items, phases.total, page)))
}

/// `PUT .../control-limits`.
pub async fn set(
    caller: Authorized<Operate>,
    limits: Data<ControlLimitService>,
    id: Path<CharacteristicId>,
    body: Json<SetLimits>,
    _: NoQuery,
) -> Result<Done<ControlLimitsView>, ApiError> {
    let SetLimits { center_line, ucl, lcl, sigma, reason, user } = body.0;
    let given = match (ucl, lcl, sigma) {
        (Some(ucl), Some(lcl), None) => GivenLimits::Limits { center_line, ucl, lcl },
        (None, None, Some(sigma)) => GivenLimits::Sigma { center_line, sigma },
        _ => {
            let detail = "give center_line with ucl and lcl, or center_line with sigma";
            return Err(ApiError::field(Kind::InvalidField, "", detail));
        }
    };
    let signed = Signed { user: acting_user_if_known(&caller.0, user)?, reason: checked_reason(reason)? };
    let change = limits.set(*id, given, signed).await??;
    Ok(Done(ControlLimitsView::new(&change.after)))
}

/// `POST .../control-limits/recalculate`.
pub async fn recalculate(
    caller: Authorized<Operate>,
    limits: Data<ControlLimitService>,
    times: Data<input::Settings>,
    clock: Data<Clock>,
    id: Path<CharacteristicId>,
    body: OptionalJson<Recalculate>,
    _: NoQuery,
) -> Result<Done<RecalculationView>, ApiError> {
    let Recalculate { from, to, last_n, min_samples, method, exclude_out_of_control, preview, reason, user } =
        body.0;
    let selection = Selection {
        from: times.field("from", from.as_deref())?,
        to: times.field("to", to.as_deref())?,
        last_n: last_n.map(|n| at_least_two("last_n", n)).transpose()?,
        min_samples: at_least_two("min_samples", min_samples.unwrap_or(MIN_SAMPLES))?,
        method,
        exclude_out_of_control,
        preview,
    };
    let signed = Signed { user: acting_user_if_known(&caller.0, user)?, reason: checked_reason(reason)? };
    let found = limits.recalculate(*id, selection, signed).await??;
    let signal = |s: &crate::services::BaselineSignals| BaselineSignal {
        sample_id: s.sample_id,
        rule_ids: s.rule_ids.clone(),
    };
    let after = match &found.in_force {
        Some(phase) => ControlLimitsView::new(phase),
        None => ControlLimitsView::preview(*id, &found.proposed, clock.now()),
    };
    let view = RecalculationView {
        before: found.before.as_deref().map(ControlLimitsView::new),
        after,
        calculation: CalculationView { method: found.proposed.method, preview, changed: found.changed },
        baseline: BaselineView {
            first_sample_id: found.baseline.first_sample_id,
            last_sample_id: found.baseline.last_sample_id,
            n: found.baseline.sample_count,
            signals: found.signals.iter().map(signal).collect(),
            left_out: found.left_out.clone(),
        },
    };
    Ok(Done(view))
}

fn at_least_two(name: &str, n: u32) -> Result<u32, ApiError> {
    let fail =
        || ApiError::field(Kind::InvalidField, format!("/{name}"), format!("{name} must be at least 2"));
    (n >= 2).then_some(n).ok_or_else(fail)
}

fn checked_reason(reason: Option<String>) -> Result<Option<String>, ApiError> {
    match reason {
        Some(text) if !is_text(&text, MAX_REASON_CHARS) => {
            let detail =
                "reason must be at most 1000 characters, of control characters only line breaks and tabs";
            Err(ApiError::field(Kind::InvalidField, "/reason", detail))
        }
        other => Ok(other),
    }
}
