//! Is it alive, is it ready, what has it counted.

use actix_web::web::Data;

use crate::health::{Health, Stage};
use crate::http::answer::{Done, MetricsText, Readiness};
use crate::http::auth::{Authorized, Read};
use crate::http::error::ApiError;
use crate::metrics::Exposition;
use crate::protocol::rest::{AliveView, DatabaseState, DiskState, PartsView, ProcessStage, ReadyView};
use crate::store::Store;

/// The process answers.
pub async fn alive() -> Done<AliveView> {
    Done(AliveView::default())
}

/// The process takes work: 200, `degraded` where that may end soon, or 503 with what it lacks.
pub async fn ready(health: Data<Health>, store: Data<Store>) -> Readiness<ReadyView> {
    let process = match health.stage() {
        Stage::Starting => ProcessStage::Starting,
        Stage::Running => ProcessStage::Running,
        Stage::Stopping => ProcessStage::Stopping,
    };
    let database = if store.is_writable() { DatabaseState::Writable } else { DatabaseState::Unavailable };
    let disk = health.disk_is_low().then_some(DiskState::Low);
    let view = ReadyView::new(PartsView { process, database, disk });
    Readiness { is_ready: view.takes_work(), view }
}

/// What was counted, for Prometheus.
pub async fn metrics(_: Authorized<Read>, metrics: Data<Exposition>) -> Result<MetricsText, ApiError> {
    Ok(MetricsText(metrics.render()))
}
