//! Characteristics by the integrator's own keys, wherever an id is taken.

use serde_json::json;

use crate::support::{Answer, TestApp};

async fn given(app: &TestApp, key: &str) -> i64 {
    let body = json!({"name": "Bore", "key": key, "rules": {"preset": "outlier"}});
    let id = app.given_a_characteristic(&body).await;
    app.set(&format!("/characteristics/{id}/control-limits"), &json!({"center_line": 10, "sigma": 1})).await;
    id
}

#[tokio::test]
async fn lists_and_paths_take_a_key_for_an_id() {
    let app = TestApp::spawn().await;
    let (bore, flow) = (given(&app, "PLANT-7/bore:ø").await, given(&app, "flow").await);
    let violation = app.given_a_violation_on(bore).await;
    app.given_a_violation_on(flow).await;
    let key = "PLANT-7%2Fbore%3A%C3%B8";
    for path in ["samples", "violations", "violations/stats"] {
        let by_key = app.get(&format!("/{path}?characteristic_key={key}")).await;
        assert_eq!(by_key, app.get(&format!("/{path}?characteristic_id={bore}")).await, "{path}");
        assert_eq!(by_key["total"], 1);
        let unknown = Answer::to(app.request("GET", &format!("/{path}?characteristic_key=nobody"))).await;
        unknown.expect_problem(404, "unknown_characteristic");
        let both = format!("/{path}?characteristic_key={key}&characteristic_id={bore}");
        Answer::to(app.request("GET", &both)).await.expect_problem(422, "invalid_query");
    }
    for path in ["", "/chart-data"] {
        let by_key = app.get(&format!("/characteristics/by-key/{key}{path}")).await;
        assert_eq!(by_key, app.get(&format!("/characteristics/{bore}{path}")).await);
        let unknown = Answer::to(app.request("GET", &format!("/characteristics/by-key/nobody{path}"))).await;
        unknown.expect_problem(404, "unknown_characteristic");
    }
    let body =
        json!({"characteristic_key": "PLANT-7/bore:ø", "up_to_seq": 99, "reason": "Other", "user": "ann"});
    let (status, answered) = app.post("/violations/batch-acknowledge", &body).await;
    assert_eq!((status, &answered["results"][0]["violation_id"]), (200, &json!(violation)), "{answered}");
    assert_eq!(answered["total"], 1);
}

#[tokio::test]
async fn a_client_subscribes_and_leaves_by_key_and_is_answered_with_ids() {
    let app = TestApp::spawn().await;
    let (bore, flow) = (given(&app, "bore").await, given(&app, "flow").await);
    let mut socket = app.socket().await;
    let subscribe =
        json!({"type": "subscribe", "characteristic_ids": [flow], "characteristic_keys": ["bore"]});
    socket.send(&subscribe).await;
    let subscribed = socket.next_of_type("subscribed").await;
    assert_eq!(subscribed["characteristic_ids"], json!([flow, bore]));
    let recorded = app.measure(bore, 10.0).await;
    assert_eq!(socket.next().await["seq"], recorded["seq"]);
    let mixed = json!({"type": "subscribe", "characteristic_keys": ["bore", "nobody"]});
    let refused = socket.refusal_of(&mixed).await;
    assert_eq!((&refused["code"], &refused["request"]), (&json!("invalid_field"), &json!("subscribe")));
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("nobody")), "{refused}");
    socket.send(&json!({"type": "unsubscribe", "characteristic_keys": ["bore"]})).await;
    let answer = socket.next().await;
    assert_eq!(answer, json!({"type": "unsubscribed", "characteristic_ids": [bore]}));
    app.measure(bore, 10.0).await;
    let recorded = app.measure(flow, 10.0).await;
    assert_eq!(socket.next().await["seq"], recorded["seq"]);
}
