//! `/samples/{id}/exclude`: samples that count as never taken, and those that count again.

use actix_web::web::{Data, Path};

use crate::domain::characteristic::is_line;
use crate::domain::ids::SampleId;
use crate::http::answer::Done;
use crate::http::auth::{Authorized, Operate};
use crate::http::body::Json;
use crate::http::error::{ApiError, Kind};
use crate::http::input::{NoQuery, acting_user_if_known};
use crate::protocol::payload::ViolationSummary;
use crate::protocol::rest::{Exclude, SampleView};
use crate::services::{Decided, Decision, SpcEngine};

const MAX_REASON_CHARS: usize = 200;

/// `PATCH /samples/{id}/exclude`.
pub async fn exclude(
    caller: Authorized<Operate>,
    engine: Data<SpcEngine>,
    id: Path<SampleId>,
    body: Json<Exclude>,
    _: NoQuery,
) -> Result<Done<SampleView>, ApiError> {
    let Exclude { is_excluded, reason, user } = body.0;
    if !is_line(&reason, MAX_REASON_CHARS) {
        let detail = "reason must be 1 to 200 characters on one line";
        return Err(ApiError::field(Kind::InvalidField, "/reason", detail));
    }
    let user = acting_user_if_known(&caller.0, user)?;
    let decision = Decision { sample_id: *id, is_excluded, reason, user };
    let Decided { sample, violations } = engine.decide(decision).await??;
    let view = SampleView::new(sample, violations.iter().map(ViolationSummary::new).collect());
    Ok(Done(view))
}
