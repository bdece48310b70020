//! `/violations`: what fired, and what people answer.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};

use crate::domain::characteristic::{is_line, is_text};
use crate::domain::ids::{MAX_ID, ViolationId};
use crate::http::answer::{Done, Kept};
use crate::http::auth::{Admin, Authorized, Operate, Principal, Read};
use crate::http::body::Json;
use crate::http::error::{ApiError, Kind};
use crate::http::idempotency::{Repeatable, again, keep, other_body, refusal, success};
use crate::http::input::{self, NoQuery, Query, acting_user, page, page_of};
use crate::http::named::chosen;
use crate::protocol::payload::ViolationView;
use crate::protocol::rest::{
    Acknowledge, AcknowledgedItem, BatchAcknowledge, BatchAcknowledgeView, PageView, ReasonCodes, StatsQuery,
    ViolationQuery, ViolationStatsView,
};
use crate::services::{Acknowledged, AlertManager, Answer, Catalog, Chosen, ManyAnswered, Once, OneAnswered};
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
) -> Result<Done<PageView<ViolationView>>, ApiError> {
    let query = query.0;
    let page = page(query.offset, query.limit)?;
    let named = (query.characteristic_id, query.characteristic_key);
    let filter = ViolationFilter {
        characteristic_id: chosen(&store, named, Kind::InvalidQuery).await?,
        sample_id: query.sample_id,
        episode_id: query.episode_id,
        acknowledged: query.acknowledged,
        requires_acknowledgement: query.requires_acknowledgement,
        ack_user: query.ack_user,
        status: query.status,
        severity: query.severity,
        rule_id: query.rule_id,
        group: query.group,
        from: times.bound("from", query.from.as_deref())?,
        to: times.bound("to", query.to.as_deref())?,
    };
    let found = store.violations(&filter, page).await?;
    let items = views(&store, &found.items).await?;
    Ok(Done(page_of(items, found.total, page)))
}

/// `GET /violations/{id}`.
pub async fn one(
    _: Authorized<Read>,
    store: Data<Store>,
    id: Path<ViolationId>,
    _: NoQuery,
) -> Result<Done<ViolationView>, ApiError> {
    let unknown = || ApiError::new(Kind::UnknownViolation, format!("violation {id} does not exist"));
    let record = store.violation(*id).await?.ok_or_else(unknown)?;
    Ok(Done(views(&store, &[record]).await?.remove(0)))
}

/// Violations as they are told.
pub(super) async fn views(
    store: &Store,
    records: &[ViolationRecord],
) -> Result<Vec<ViolationView>, ApiError> {
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
) -> Result<Done<ViolationStatsView>, ApiError> {
    let StatsQuery { characteristic_id, characteristic_key, group, from, to } = query.0;
    let (from, to) = (times.bound("from", from.as_deref())?, times.bound("to", to.as_deref())?);
    let characteristic_id =
        chosen(&store, (characteristic_id, characteristic_key), Kind::InvalidQuery).await?;
    let filter = ViolationFilter { characteristic_id, group, from, to, ..ViolationFilter::default() };
    Ok(Done(store.violation_stats(&filter).await?))
}

/// `POST /violations/{id}/acknowledge`.
pub async fn acknowledge(
    caller: Authorized<Operate>,
    alerts: Data<AlertManager>,
    id: Path<ViolationId>,
    sent: Repeatable<Acknowledge>,
    _: NoQuery,
) -> Result<Kept<Done<ViolationView>>, ApiError> {
    let Acknowledge { reason, comment, user, exclude_sample } = sent.body;
    let answer = Answer { exclude_sample, ..answer(&caller.0, user, reason, comment)? };
    let Some(key) = sent.key else {
        return Ok(Kept::First(Done(view(&alerts.acknowledge(*id, answer).await??))));
    };
    let request = key.request(&format!("POST /violations/{id}/acknowledge"), &caller.0);
    let keep = keep(request, 0, |answer: &OneAnswered| match answer {
        Ok(acknowledged) => Some(success(StatusCode::OK, &view(acknowledged))),
        Err(error) => refusal(&error.clone().into()),
    });
    match alerts.acknowledge_once(*id, answer, keep).await? {
        Once::First(answer) => Ok(Kept::First(Done(view(&answer?)))),
        Once::Again(answered) => Ok(Kept::Again(again(answered))),
        Once::OtherBody => Err(other_body()),
    }
}

fn view(acknowledged: &Acknowledged) -> ViolationView {
    ViolationView::new(&acknowledged.violation, &acknowledged.characteristic)
}

/// `POST /violations/batch-acknowledge`.
pub async fn acknowledge_many(
    caller: Authorized<Operate>,
    alerts: Data<AlertManager>,
    store: Data<Store>,
    sent: Repeatable<BatchAcknowledge>,
    _: NoQuery,
) -> Result<Kept<Done<BatchAcknowledgeView>>, ApiError> {
    let BatchAcknowledge {
        violation_ids,
        characteristic_id,
        characteristic_key,
        up_to_seq,
        reason,
        comment,
        user,
        exclude_sample,
    } = sent.body;
    let characteristic_id =
        chosen(&store, (characteristic_id, characteristic_key), Kind::InvalidField).await?;
    let chosen = match (violation_ids, characteristic_id, up_to_seq) {
        (Some(ids), None, None) if ids.is_empty() || ids.len() > MAX_BATCH as usize => {
            let detail = format!("violation_ids must name 1 to {MAX_BATCH} violations");
            return Err(ApiError::field(Kind::InvalidField, "/violation_ids", detail));
        }
        (Some(ids), None, None) => Chosen::These(ids),
        (None, Some(_), Some(up_to_seq)) if up_to_seq > MAX_ID as u64 => {
            let detail = format!("up_to_seq must be at most {MAX_ID}");
            return Err(ApiError::field(Kind::InvalidField, "/up_to_seq", detail));
        }
        (None, Some(characteristic_id), Some(up_to_seq)) => {
            Chosen::OpenOf { characteristic_id, up_to_seq, limit: MAX_BATCH }
        }
        _ => {
            let detail = "give violation_ids, or characteristic_id or characteristic_key with up_to_seq";
            return Err(ApiError::field(Kind::InvalidField, "", detail));
        }
    };
    let answer = Answer { exclude_sample, ..answer(&caller.0, user, reason, comment)? };
    let Some(key) = sent.key else {
        return Ok(Kept::First(Done(batch_view(alerts.acknowledge_many(chosen, answer).await?))));
    };
    let request = key.request("POST /violations/batch-acknowledge", &caller.0);
    let say = |answered: &ManyAnswered| Some(success(StatusCode::OK, &batch_view(answered.clone())));
    match alerts.acknowledge_many_once(chosen, answer, keep(request, 0, say)).await? {
        Once::First(answered) => Ok(Kept::First(Done(batch_view(answered)))),
        Once::Again(answered) => Ok(Kept::Again(again(answered))),
        Once::OtherBody => Err(other_body()),
    }
}

fn batch_view(outcomes: ManyAnswered) -> BatchAcknowledgeView {
    let results: Vec<_> = outcomes
        .into_iter()
        .map(|(violation_id, outcome)| {
            let error = outcome.err().map(|error| ApiError::from(error).item());
            AcknowledgedItem { violation_id, success: error.is_none(), error }
        })
        .collect();
    let (total, failed) = (results.len(), results.iter().filter(|item| !item.success).count());
    BatchAcknowledgeView { total, successful: total - failed, failed, results }
}

/// What somebody says to something that waits.
pub(super) fn answer(
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
    Ok(Answer { user: acting_user(caller, user)?, reason, comment, exclude_sample: false })
}

/// `GET /violations/reason-codes`.
pub async fn reason_codes(
    _: Authorized<Read>,
    store: Data<Store>,
    _: NoQuery,
) -> Result<Done<ReasonCodes>, ApiError> {
    Ok(Done(ReasonCodes { reason_codes: store.reason_codes().await? }))
}

/// `PUT /violations/reason-codes`.
pub async fn replace_reason_codes(
    _: Authorized<Admin>,
    catalog: Data<Catalog>,
    body: Json<ReasonCodes>,
    _: NoQuery,
) -> Result<Done<ReasonCodes>, ApiError> {
    catalog.replace_reason_codes(body.0.reason_codes.clone()).await??;
    Ok(Done(body.0))
}
