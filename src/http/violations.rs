//! `/violations`: what fired, and what people answer.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};

use crate::domain::characteristic::{is_line, is_text};
use crate::domain::ids::ViolationId;
use crate::http::auth::{Admin, Authorized, Operate, Principal, Read};
use crate::http::body::Json;
use crate::http::error::{ApiError, Kind};
use crate::http::input::{self, NoQuery, Query, acting_user, page, page_of};
use crate::protocol::payload::ViolationView;
use crate::protocol::rest::{
    Acknowledge, AcknowledgedItem, BatchAcknowledge, BatchAcknowledgeView, ReasonCodes, StatsQuery,
    ViolationQuery,
};
use crate::services::{AlertManager, Answer, Catalog, Chosen};
use crate::store::{Store, ViolationFilter, ViolationRecord};

/// The most violations answered at once.
const MAX_BATCH: u32 = 1_000;
const MAX_REASON_CHARS: usize = 200;
const MAX_COMMENT_CHARS: usize = 4_000;

/// `GET /violations`, newest first.
pub async fn list(
    _: Authorized<Read>,
    store: Data<Store>,
    times: Data<input::Settings>,
    query: Query<ViolationQuery>,
) -> Result<HttpResponse, ApiError> {
    let query = query.0;
    let page = page(query.offset, query.limit)?;
    let filter = ViolationFilter {
        characteristic_id: query.characteristic_id,
        sample_id: query.sample_id,
        acknowledged: query.acknowledged,
        status: query.status,
        severity: query.severity,
        rule_id: query.rule_id,
        group: query.group,
        from: times.bound("from", query.from.as_deref())?,
        to: times.bound("to", query.to.as_deref())?,
    };
    let found = store.violations(&filter, page).await?;
    let items = views(&store, &found.items).await?;
    Ok(page_of(items, found.total, page))
}

/// `GET /violations/{id}`.
pub async fn one(
    _: Authorized<Read>,
    store: Data<Store>,
    id: Path<ViolationId>,
    _: NoQuery,
) -> Result<HttpResponse, ApiError> {
    let unknown = || ApiError::new(Kind::UnknownViolation, format!("violation {id} does not exist"));
    let record = store.violation(*id).await?.ok_or_else(unknown)?;
    Ok(HttpResponse::Ok().json(views(&store, &[record]).await?.remove(0)))
}

async fn views(store: &Store, records: &[ViolationRecord]) -> Result<Vec<ViolationView>, ApiError> {
    let ids = records.iter().map(|record| record.violation.characteristic_id);
    let known = store.characteristics_by_id(ids).await?;
    let view = |record: &ViolationRecord| {
        let violation = &record.violation;
        known.get(&violation.characteristic_id).map(|whose| ViolationView::new(violation, whose))
    };
    Ok(records.iter().filter_map(view).collect())
}

/// `GET /violations/stats`.
pub async fn stats(
    _: Authorized<Read>,
    store: Data<Store>,
    times: Data<input::Settings>,
    query: Query<StatsQuery>,
) -> Result<HttpResponse, ApiError> {
    let StatsQuery { characteristic_id, group, from, to } = query.0;
    let (from, to) = (times.bound("from", from.as_deref())?, times.bound("to", to.as_deref())?);
    let filter = ViolationFilter { characteristic_id, group, from, to, ..ViolationFilter::default() };
    Ok(HttpResponse::Ok().json(store.violation_stats(&filter).await?))
}

/// `POST /violations/{id}/acknowledge`.
pub async fn acknowledge(
    caller: Authorized<Operate>,
    alerts: Data<AlertManager>,
    id: Path<ViolationId>,
    body: Json<Acknowledge>,
    _: NoQuery,
) -> Result<HttpResponse, ApiError> {
    let Acknowledge { reason, comment, user } = body.0;
    let answer = answer(&caller.0, user, reason, comment)?;
    let acknowledged = alerts.acknowledge(*id, answer).await??;
    let view = ViolationView::new(&acknowledged.violation, &acknowledged.characteristic);
    Ok(HttpResponse::Ok().json(view))
}

/// `POST /violations/batch-acknowledge`.
pub async fn acknowledge_many(
    caller: Authorized<Operate>,
    alerts: Data<AlertManager>,
    body: Json<BatchAcknowledge>,
    _: NoQuery,
) -> Result<HttpResponse, ApiError> {
    let BatchAcknowledge { violation_ids, characteristic_id, up_to_seq, reason, comment, user } = body.0;
    let chosen = match (violation_ids, characteristic_id, up_to_seq) {
        (Some(ids), None, None) if ids.is_empty() || ids.len() > MAX_BATCH as usize => {
            let detail = format!("violation_ids must name 1 to {MAX_BATCH} violations");
            return Err(ApiError::field(Kind::InvalidField, "/violation_ids", detail));
        }
        (Some(ids), None, None) => Chosen::These(ids),
        (None, Some(characteristic_id), Some(up_to_seq)) => {
            Chosen::OpenOf { characteristic_id, up_to_seq, limit: MAX_BATCH }
        }
        _ => {
            let detail = "give violation_ids, or characteristic_id with up_to_seq";
            return Err(ApiError::field(Kind::InvalidField, "", detail));
        }
    };
    let answer = answer(&caller.0, user, reason, comment)?;
    let outcomes = alerts.acknowledge_many(chosen, answer).await?;
    let results: Vec<_> = outcomes
        .into_iter()
        .map(|(violation_id, outcome)| {
            let error = outcome.err().map(|error| ApiError::from(error).item());
            AcknowledgedItem { violation_id, success: error.is_none(), error }
        })
        .collect();
    let (total, failed) = (results.len(), results.iter().filter(|item| !item.success).count());
    let view = BatchAcknowledgeView { total, successful: total - failed, failed, results };
    Ok(HttpResponse::Ok().json(view))
}

fn answer(
    caller: &Principal,
    user: Option<String>,
    reason: String,
    comment: Option<String>,
) -> Result<Answer, ApiError> {
    if !is_line(&reason, MAX_REASON_CHARS) {
        let detail = "reason must be 1 to 200 characters on one line";
        return Err(ApiError::field(Kind::InvalidField, "/reason", detail));
    }
    if comment.as_ref().is_some_and(|comment| !is_text(comment, MAX_COMMENT_CHARS)) {
        let detail =
            "comment must be at most 4000 characters, of control characters only line breaks and tabs";
        return Err(ApiError::field(Kind::InvalidField, "/comment", detail));
    }
    Ok(Answer { user: acting_user(caller, user)?, reason, comment })
}

/// `GET /violations/reason-codes`.
pub async fn reason_codes(
    _: Authorized<Read>,
    store: Data<Store>,
    _: NoQuery,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(ReasonCodes { reason_codes: store.reason_codes().await? }))
}

/// `PUT /violations/reason-codes`.
pub async fn replace_reason_codes(
    _: Authorized<Admin>,
    catalog: Data<Catalog>,
    body: Json<ReasonCodes>,
    _: NoQuery,
) -> Result<HttpResponse, ApiError> {
    catalog.replace_reason_codes(body.0.reason_codes.clone()).await??;
    Ok(HttpResponse::Ok().json(body.0))
}
