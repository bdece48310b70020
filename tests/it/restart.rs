//! What callers and clients see of a restart: nothing but a new connection.

use std::sync::Arc;

use serde_json::json;

use crate::support::{TestApp, on_postgres};

#[tokio::test]
async fn after_a_restart_everything_stands_and_counts_on() {
    let app = TestApp::spawn().await;
    let rules = json!([{"rule_id": 1}, {"rule_id": 2, "parameters": {"m": 4}, "severity": "CRITICAL"}]);
    let id = app.given_a_characteristic(&json!({"name": "Bore", "key": "k", "rules": rules})).await;
    let limits = json!({"center_line": 10, "sigma": 1});
    app.set(&format!("/characteristics/{id}/control-limits"), &limits).await;
    let violation = app.given_a_violation_on(id).await;
    app.acknowledge(violation, "ann").await;
    app.set("/violations/reason-codes", &json!({"reason_codes": ["Mine"]})).await;
    app.measure_all(id, &[10.5, 10.5]).await;
    let paths = [
        format!("/characteristics/{id}"),
        format!("/characteristics/{id}/control-limits"),
        format!("/characteristics/{id}/chart-data"),
        format!("/violations/{violation}"),
        "/violations/stats".to_owned(),
        "/violations/reason-codes".to_owned(),
        "/samples".to_owned(),
    ];
    let mut before = vec![];
    for path in &paths {
        before.push(app.get(path).await);
    }
    let epoch = app.socket().await.welcome["payload"]["epoch"].clone();
    let (directory, database) = (Arc::clone(app.directory()), app.database());
    app.stop().await.expect("stopped");
    assert!(on_postgres() || database.exists());

    let app = TestApp::builder().on_database_of(&directory).spawn().await;
    for (path, before) in paths.iter().zip(&before) {
        assert_eq!(&app.get(path).await, before, "{path}");
    }
    let mut bus = app.bus.subscribe_cursor("test");
    let mut socket = app.socket().await;
    assert_eq!((&socket.welcome["payload"]["epoch"], &socket.welcome["payload"]["seq"]), (&epoch, &json!(8)));
    socket.send(&json!({"type": "subscribe", "characteristic_ids": [id]})).await;
    assert_eq!(socket.next().await["revisions"], json!({id.to_string(): 8}));
    // The fourth on one side: three of them, and the outlier, are from before.
    let recorded = app.measure(id, 10.5).await;
    assert_eq!((&recorded["seq"], &recorded["sample_id"]), (&json!(9), &json!(4)));
    assert_eq!(recorded["violations"][0]["rule_id"], 2);
    let sample = socket.next_text().await;
    let mut published = vec![];
    let most = 8.try_into().expect("not zero");
    while published.is_empty() {
        bus.next_batch(most, &mut published).await;
    }
    assert_eq!(published[0].1.message(), sample.as_bytes());
    let violation = socket.next().await;
    assert_eq!((&violation["seq"], &violation["revision"]), (&json!(10), &json!(10)));
    assert_eq!(violation["payload"]["involved_sample_ids"], json!([1, 2, 3, 4]));
}
