//! From a stored sample to every client that asked for it.

use serde_json::json;

use crate::support::TestApp;

#[tokio::test]
async fn a_subscriber_gets_the_sample_and_then_its_violation() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut socket = app.socket().await.subscribed_to([bore]).await;
    let recorded = app.measure(bore, 99.0).await;
    let sample = socket.next().await;
    let violation = socket.next().await;
    assert_eq!((&sample["type"], &sample["seq"]), (&json!("sample"), &recorded["seq"]));
    assert_eq!(sample["payload"]["violations"], recorded["violations"]);
    assert_eq!(violation["type"], "violation");
    assert_eq!(violation["seq"].as_i64(), sample["seq"].as_i64().map(|seq| seq + 1));
    assert_eq!(violation["payload"]["sample_id"], recorded["sample_id"]);
}

#[tokio::test]
async fn nobody_hears_of_a_characteristic_it_did_not_ask_for() {
    let app = TestApp::spawn().await;
    let (bore, flow) = (app.given_a_chart("Bore").await, app.given_a_chart("Flow").await);
    let mut socket = app.socket().await.subscribed_to([flow]).await;
    let recorded = app.measure(bore, 99.0).await;
    let violation_seq = recorded["seq"].as_u64().expect("a position") + 1;
    assert!(socket.all_up_to(violation_seq).await.is_empty());
}

#[tokio::test]
async fn an_acknowledgement_reaches_every_client_whatever_it_subscribed_to() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    let (mut bore, mut idle) = (app.socket().await.subscribed_to([bore]).await, app.socket().await);
    assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
    let heard = bore.next_of_type("ack_update").await;
    assert_eq!(heard["payload"]["violation_id"], violation);
    assert_eq!(heard, idle.next_of_type("ack_update").await);
}
