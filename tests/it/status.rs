//! How a client hears of its own connection, and how good it is.

use serde_json::{Value, json};

use crate::support::{Stream, TestApp, TestSocket, eventually};

async fn status(socket: &mut TestSocket) -> Value {
    socket.send(&json!({"type": "status"})).await;
    socket.next_of_type("status").await["payload"].clone()
}

/// The word for a latency, as the contract has it.
fn word(latency_ms: f64) -> &'static str {
    match latency_ms {
        ms if ms < 20.0 => "excellent",
        ms if ms < 50.0 => "good",
        ms if ms < 100.0 => "fair",
        ms if ms < 200.0 => "poor",
        _ => "critical",
    }
}

#[tokio::test]
async fn a_client_that_answers_pings_learns_how_fast_it_is() {
    let app = TestApp::builder().with(|s| s.broadcast.ping_interval_ms = 20).spawn().await;
    let mut socket = app.socket().await;
    let told = eventually("a ping is answered", async || {
        let told = status(&mut socket).await; // reading answers the pings
        told["latency_ms"].is_number().then_some(told)
    })
    .await;
    assert_eq!(told["connection_id"], socket.welcome["payload"]["connection_id"]);
    assert_eq!((&told["subscriptions"], &told["skipped_samples"]), (&json!(0), &json!(0)));
    let latency = told["latency_ms"].as_f64().expect("milliseconds");
    assert!((0.0..20_000.0).contains(&latency), "{latency}");
    assert_eq!(told["quality"], word(latency));
    let path = format!("/connections/{}", told["connection_id"]);
    let view = app.get(&path).await;
    let latency = view["latency_ms"].as_f64().expect("milliseconds");
    assert_eq!((view["quality"].as_str(), view["jitter_ms"].is_number()), (Some(word(latency)), true));
    let list = app.get(&format!("/connections?quality={}", word(latency))).await;
    let others = app.get("/connections").await;
    assert!(list["total"].as_u64() <= others["total"].as_u64(), "{list}");
}

#[tokio::test]
async fn a_client_that_answers_late_is_told_so() {
    let app = TestApp::builder()
        .with(|s| {
            (s.broadcast.ping_interval_ms, s.broadcast.pong_timeout_ms) = (50, 20_000);
            s.broadcast.heartbeat_seconds = 0.21;
        })
        .spawn()
        .await;
    let mut slow = app.raw_socket(None).await;
    let welcome: Value = serde_json::from_str(&slow.next_text().await).expect("JSON");
    let payload = loop {
        let (first, payload) = slow.next_frame().await;
        if first == 0x89 {
            break payload;
        }
    };
    // Between two heartbeats at least 210 ms pass; other pings are not the one that is answered.
    let mut heartbeats = 0;
    let mut newest = payload;
    while heartbeats < 2 {
        match slow.next_frame().await {
            (0x81, _) => heartbeats += 1,
            (0x89, payload) if heartbeats == 0 => newest = payload,
            _ => {}
        }
    }
    slow.send(0x8A, &newest).await;
    let path = format!("/connections/{}", welcome["payload"]["connection_id"]);
    let view = eventually("the answer has come", async || {
        let view = app.get(&path).await;
        view["latency_ms"].is_number().then_some(view)
    })
    .await;
    assert_eq!(
        (view["quality"].as_str(), view["latency_ms"].as_f64() > Some(200.0)),
        (Some("critical"), true)
    );
    assert_eq!(app.get("/connections?quality=critical").await["total"], 1);
    assert_eq!(app.get("/connections?quality=good").await["total"], 0);
}

#[tokio::test]
async fn a_status_tells_what_is_listened_to_and_what_was_left_out() {
    let app = TestApp::spawn().await;
    let mut socket = app.socket().await.subscribed_to([1, 2]).await;
    socket.send(&json!({"type": "subscribe", "groups": ["plant"]})).await;
    socket.next_of_type("subscribed").await;
    let told = status(&mut socket).await;
    assert_eq!((&told["subscriptions"], &told["queued"]), (&json!(3), &json!(0)));
    socket.send(&json!({"type": "unsubscribe", "characteristic_ids": [1, 2], "groups": ["plant"]})).await;
    socket.next_of_type("unsubscribed").await;
    assert_eq!(status(&mut socket).await["subscriptions"], 0);
    socket.send(&json!({"type": "subscribe", "all": true})).await;
    socket.next_of_type("subscribed").await;
    assert_eq!(status(&mut socket).await["subscriptions"], 1);
    let subscriptions = async || {
        let mut sum = 0.0;
        for shard in 0..2 {
            sum += app.metric(&format!("andon_subscriptions{{shard=\"shard-{shard}\"}}")).await;
        }
        sum
    };
    eventually("it is counted", async || (subscriptions().await == 1.0).then_some(())).await;
    drop(socket);

    let mut stream = Stream::of(&app);
    let mut slow = app.raw_socket(Some(4_096)).await;
    let welcome: Value = serde_json::from_str(&slow.next_text().await).expect("JSON");
    slow.subscribe("\"characteristic_ids\":[1]").await;
    let path = format!("/connections/{}", welcome["payload"]["connection_id"]);
    eventually("it is behind", async || {
        stream.samples(&[1], 1_000).await;
        (app.get(&path).await["skipped_samples"].as_u64() > Some(0)).then_some(())
    })
    .await;
    slow.send(0x81, br#"{"type":"status"}"#).await;
    let told: Value = loop {
        let text = slow.next_text().await;
        if text.starts_with(r#"{"type":"status""#) {
            break serde_json::from_str(&text).expect("JSON");
        }
    };
    assert!(told["payload"]["skipped_samples"].as_u64() > Some(0), "{told}");
    eventually("nobody is counted any more but it", async || (subscriptions().await == 1.0).then_some(()))
        .await;
}
