//! Is it alive, is it ready, what has it counted.

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Data;
use serde_json::json;

use crate::health::{Health, Stage};
use crate::http::auth::{Authorized, Read};
use crate::metrics::Metrics;
use crate::store::Store;

/// The process answers.
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "alive"}))
}

/// The process takes work: 200, or 503 with what it lacks.
pub async fn ready(health: Data<Health>, store: Data<Store>) -> HttpResponse {
    let stage = match health.stage() {
        Stage::Starting => "starting",
        Stage::Running => "running",
        Stage::Stopping => "stopping",
    };
    let database = if store.is_writable() { "writable" } else { "unavailable" };
    let is_ready = health.stage() == Stage::Running && store.is_writable();
    let status = if is_ready { "ready" } else { "not_ready" };
    let mut response = if is_ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(json!({"status": status, "parts": {"process": stage, "database": database}}))
}

/// What was counted, for Prometheus.
pub async fn metrics(_: Authorized<Read>, metrics: Data<Metrics>) -> HttpResponse {
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    HttpResponse::Ok().insert_header((CONTENT_TYPE, media_type)).body(metrics.render())
}
