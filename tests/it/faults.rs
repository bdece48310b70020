//! A locked database: nothing is stored, everybody is told, and it passes by itself.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Database, Ledger, TestApp, eventually};

/// The status and body of `GET` without the API's prefix.
pub async fn health(app: &TestApp, which: &str) -> (u16, Value) {
    let response = reqwest::get(app.url(&format!("/health/{which}"))).await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

pub async fn eventually_ready(app: &TestApp) {
    eventually("it is ready again, without any request that writes", async || {
        (health(app, "ready").await.0 == 200).then_some(())
    })
    .await;
}

pub fn assert_unavailable((status, body): &(u16, Value)) {
    assert_eq!((*status, &body["type"]), (503, &json!("urn:problem:andon:unavailable")), "{body}");
}

#[tokio::test]
async fn a_database_locked_by_somebody_else_is_told_and_passes_by_itself() {
    let app = TestApp::builder()
        .with(|settings| {
            settings.store.busy_timeout_ms = 200;
            settings.services.probe_interval_ms = 20;
        })
        .spawn()
        .await;
    let bore = app.given_a_chart("Bore").await;
    let recorded = app.measure(bore, 10.0).await;
    let mut other = Database::open(&app.database()).await;

    other.lock().await;
    let sample = json!({"characteristic_id": bore, "measurements": [99.0]});
    let asked = Instant::now();
    assert_unavailable(&app.post("/samples", &sample).await);
    assert!(asked.elapsed() < Duration::from_secs(2), "told within the busy timeout");
    let (status, batch) = app.post("/samples/batch", &json!({"samples": [sample, sample]})).await;
    assert_eq!((status, &batch["failed"]), (200, &json!(2)), "{batch}");
    assert_eq!(batch["results"][0]["error"]["status"], 503, "{batch}");
    let (status, ready) = health(&app, "ready").await;
    assert_eq!((status, &ready["parts"]["database"]), (503, &json!("unavailable")), "{ready}");
    assert_eq!(health(&app, "live").await.0, 200);
    let sample_path = format!("/samples/{}", recorded["sample_id"]);
    assert_eq!(app.get(&sample_path).await["value"], 10.0, "reading goes on");

    other.unlock().await;
    eventually_ready(&app).await;
    assert_eq!(app.measure(bore, 10.5).await["seq"], json!(3), "the failed ones took no place");
    Ledger::read(&app.database()).await.assert_sound();
}
