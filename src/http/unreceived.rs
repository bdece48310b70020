//! `/violations/unreceived`: what no connected client has confirmed.

use std::time::Duration;

use actix_web::web::Data;

use crate::broadcast::Broadcaster;
use crate::http::answer::Done;
use crate::http::auth::{Authorized, Read};
use crate::http::error::ApiError;
use crate::http::input::{Query, page, page_of};
use crate::protocol::rest::{PageView, UnreceivedQuery, UnreceivedView};

/// `GET /violations/unreceived`, oldest first.
pub async fn list(
    _: Authorized<Read>,
    broadcaster: Data<Broadcaster>,
    query: Query<UnreceivedQuery>,
) -> Result<Done<PageView<UnreceivedView>>, ApiError> {
    let UnreceivedQuery { for_seconds, offset, limit } = query.0;
    let page = page(offset, limit)?;
    let seconds = for_seconds.map_or(broadcaster.settings().receipt_seconds, u64::from);
    let overdue = broadcaster.unreceived(Duration::from_secs(seconds));
    let total = overdue.len() as u64;
    let offset = usize::try_from(page.offset).unwrap_or(usize::MAX);
    let items = overdue.into_iter().skip(offset).take(page.limit as usize);
    let items = items.map(|(waiting, age)| UnreceivedView {
        violation_id: waiting.fired.violation_id,
        characteristic_id: waiting.characteristic_id,
        seq: waiting.seq,
        rule_id: waiting.fired.rule_id,
        severity: waiting.fired.severity,
        age_seconds: age.as_secs_f64(),
    });
    Ok(Done(page_of(items.collect(), total, page)))
}
