//! Violations that nobody has confirmed: what takes one off the list, and what does not.

use serde_json::{Value, json};

use crate::support::{Answer, Stream, TestApp, TestSocket, eventually};

/// The violations that nobody has confirmed, whatever their age.
async fn unreceived(app: &TestApp) -> Vec<i64> {
    let list = app.get("/violations/unreceived?for_seconds=0").await;
    let items = list["items"].as_array().expect("items");
    assert_eq!(list["total"], items.len());
    items.iter().map(|item| item["violation_id"].as_i64().expect("an id")).collect()
}

/// Confirms, and waits until that has been read.
async fn confirm(socket: &mut TestSocket, seq: u64) {
    socket.send(&json!({"type": "received", "seq": seq})).await;
    socket.assert_nothing_came().await;
}

async fn hear(socket: &mut TestSocket, kind: &str) -> u64 {
    socket.next_of_type(kind).await["seq"].as_u64().expect("a position")
}

#[tokio::test]
async fn a_violation_waits_until_a_client_that_was_told_confirms_it() {
    let app = TestApp::builder().with(|s| s.broadcast.receipt_seconds = 3_600).spawn().await;
    let (bore, flow) = (app.given_a_chart("Bore").await, app.given_a_chart("Flow").await);
    let mut of_bore = app.socket().await.subscribed_to([bore]).await;
    let mut of_flow = app.socket().await.subscribed_to([flow]).await;
    let violation = app.given_a_violation_on(bore).await;
    let sample = hear(&mut of_bore, "sample").await;
    let seq = hear(&mut of_bore, "violation").await;
    assert_eq!(unreceived(&app).await, [violation]);
    let list = app.get("/violations/unreceived?for_seconds=0").await;
    let item = &list["items"][0];
    assert_eq!((&item["seq"], &item["characteristic_id"]), (&json!(seq), &json!(bore)));
    assert_eq!((&item["rule_id"], &item["severity"]), (&json!(1), &json!("CRITICAL")));
    assert!(item["age_seconds"].as_f64() > Some(0.0), "{item}");
    assert_eq!(app.get("/violations/unreceived").await["total"], 0, "not for so long as the setting says");

    // Who was told something else cannot have heard it, whatever it says.
    app.measure(flow, 10.0).await;
    let own = hear(&mut of_flow, "sample").await;
    assert!(own > seq);
    confirm(&mut of_flow, own).await;
    assert_eq!(unreceived(&app).await, [violation]);
    confirm(&mut of_bore, sample).await;
    assert_eq!(unreceived(&app).await, [violation], "the sample before it was confirmed");
    confirm(&mut of_bore, 9_007_199_254_740_991).await;
    assert_eq!(unreceived(&app).await, [0; 0], "all that it was told");
    assert_eq!(app.metric("andon_receipts_total").await, 3.0);
    confirm(&mut of_bore, seq).await;
    assert_eq!(app.metric("andon_receipts_total").await, 3.0, "it has said so before");
    eventually("the time is measured", async || {
        (app.metric("andon_publish_to_received_seconds_count").await >= 2.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_filters_a_violation_out_does_not_confirm_it() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut socket = app.socket().await;
    let filter = json!({"types": ["sample"]});
    socket.send(&json!({"type": "subscribe", "characteristic_ids": [bore], "filter": filter})).await;
    socket.next_of_type("subscribed").await;
    let violation = app.given_a_violation_on(bore).await;
    app.measure(bore, 10.0).await;
    hear(&mut socket, "sample").await;
    let last = hear(&mut socket, "sample").await;
    confirm(&mut socket, last).await;
    assert_eq!(unreceived(&app).await, [violation]);
}

#[tokio::test]
async fn who_claims_more_than_it_was_sent_confirms_only_that() {
    let app = TestApp::spawn().await;
    let mut stream = Stream::of(&app);
    let mut liar = app.raw_socket(Some(4_096)).await;
    let welcome: Value = serde_json::from_str(&liar.next_text().await).expect("JSON");
    let path = format!("/connections/{}", welcome["payload"]["connection_id"]);
    liar.subscribe("\"characteristic_ids\":[1]").await;
    eventually("it does not keep up", async || {
        stream.samples(&[1], 1_000).await;
        (app.get(&path).await["behind"] == true).then_some(())
    })
    .await;
    // More than fits between the queue and the client.
    let violation = (0..2_000).map(|_| stream.violation(1)).fold(0, u64::max);
    stream.followed().await;
    let claim = json!({"type": "received", "seq": 9_007_199_254_740_991i64}).to_string();
    liar.send(0x81, claim.as_bytes()).await;
    let received = eventually("its claim is read", async || {
        app.get(&path).await["received_seq"].as_u64().filter(|seq| *seq > 0)
    })
    .await;
    assert!(received < violation, "it was not sent");
    let waiting =
        async || app.get("/violations/unreceived?for_seconds=0").await["total"].as_u64().expect("a total");
    assert!((1..=2_000).contains(&waiting().await)); // it may have been sent samples only
    let told = format!(r#"{{"type":"violation","seq":{violation},"#);
    while !liar.next_text().await.starts_with(&told) {}
    liar.send(0x81, claim.as_bytes()).await;
    eventually("now it is", async || (waiting().await == 0).then_some(())).await;
}

#[tokio::test]
async fn what_somebody_acknowledges_was_heard() {
    let app = TestApp::builder().with(|s| s.broadcast.receipt_seconds = 0).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let ids = [(); 3];
    let mut violations = vec![];
    for () in ids {
        violations.push(app.given_a_violation_on(bore).await);
    }
    eventually("all are noted", async || (unreceived(&app).await == violations).then_some(())).await;
    assert_eq!(app.metric("andon_violations_unreceived").await, 3.0);
    assert_eq!(app.acknowledge(violations[1], "ann").await.0, 200);
    eventually("one is left out", async || (unreceived(&app).await.len() == 2).then_some(())).await;
    assert_eq!(unreceived(&app).await, [violations[0], violations[2]]);
    assert_eq!(app.metric("andon_violations_unreceived").await, 2.0);
    let page = app.get("/violations/unreceived?offset=1&limit=1").await;
    assert_eq!((&page["total"], &page["items"][0]["violation_id"]), (&json!(2), &json!(violations[2])));
    for query in ["for_seconds=-1", "for_seconds=x", "limit=0", "mood=1"] {
        let answer = Answer::to(app.request("GET", &format!("/violations/unreceived?{query}"))).await;
        answer.expect_problem(422, "invalid_query");
    }
}

#[tokio::test]
async fn violations_of_the_past_wait_for_nobody() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let old = json!({"characteristic_id": bore, "measurements": [99.0], "mode": "history"});
    let (status, recorded) = app.post("/samples", &old).await;
    assert_eq!((status, recorded["violations"].as_array().map(Vec::len)), (201, Some(1)), "{recorded}");
    let seq = recorded["seq"].as_u64().expect("a position") + 1;
    app.socket().await.all_up_to(seq).await;
    assert_eq!(unreceived(&app).await, [0; 0]);
}
