//! What clients say over a WebSocket and what they are answered.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{TestApp, TestSocket};

#[tokio::test]
async fn a_client_is_welcomed_with_what_it_needs_to_count_from() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let seq = app.measure(bore, 10.0).await["seq"].as_u64().expect("a position");
    let mut socket = app.socket().await;
    socket.all_up_to(seq).await;
    let (first, second) = (app.socket().await.welcome, app.socket().await.welcome);
    assert_eq!(first.as_object().expect("an object").len(), 2);
    let payload = &first["payload"];
    assert_eq!((&payload["protocol"], &payload["user"]), (&json!(1), &Value::Null));
    assert_eq!(payload["heartbeat_seconds"], 15.0);
    assert!(payload["epoch"].as_str().is_some_and(|epoch| !epoch.is_empty()));
    assert!(payload["server_time"].as_str().is_some_and(|time| time.ends_with('Z')));
    assert!(payload["seq"].as_u64().is_some());
    assert_eq!(payload["epoch"], second["payload"]["epoch"]);
    assert_ne!(payload["connection_id"], second["payload"]["connection_id"]);
}

#[tokio::test]
async fn all_three_paths_speak_alike() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    for path in ["/api/v1/ws", "/ws", "/ws/samples", "/ws/", "/api/v1/ws/", "/ws/samples/"] {
        let mut socket = app.socket_at(path).await.subscribed_to([bore]).await;
        let recorded = app.measure(bore, 10.0).await;
        assert_eq!(socket.next().await["seq"], recorded["seq"], "{path}");
    }
}

#[tokio::test]
async fn subscribing_twice_is_subscribing_once() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut socket = app.socket().await.subscribed_to([bore]).await.subscribed_to([bore, bore]).await;
    let first = app.measure(bore, 10.0).await;
    let second = app.measure(bore, 10.1).await;
    assert_eq!(socket.next().await["seq"], first["seq"]);
    assert_eq!(socket.next().await["seq"], second["seq"]);
}

#[tokio::test]
async fn who_unsubscribes_hears_nothing_more() {
    let app = TestApp::spawn().await;
    let (bore, flow) = (app.given_a_chart("Bore").await, app.given_a_chart("Flow").await);
    let mut socket = app.socket().await.subscribed_to([bore, flow]).await;
    socket.send(&json!({"type": "unsubscribe", "characteristic_ids": [bore, 999]})).await;
    let answer = socket.next().await;
    assert_eq!(answer, json!({"type": "unsubscribed", "characteristic_ids": [bore, 999]}));
    app.measure(bore, 99.0).await;
    let flow_sample = app.measure(flow, 10.0).await;
    assert_eq!(socket.next().await["seq"], flow_sample["seq"]);
}

#[tokio::test]
async fn who_listens_to_all_cannot_leave_a_single_one() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut socket = app.socket().await;
    socket.send(&json!({"type": "subscribe", "all": true})).await;
    assert_eq!(socket.next().await["type"], "subscribed");
    let refused = refusal(&mut socket, r#"{"type":"unsubscribe","characteristic_ids":[1]}"#).await;
    assert_eq!((&refused["code"], &refused["request"]), (&json!("invalid_field"), &json!("unsubscribe")));
    let recorded = app.measure(bore, 10.0).await;
    assert_eq!(socket.next().await["seq"], recorded["seq"]);
}

#[tokio::test]
async fn thousands_of_ids_fit_into_one_message() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut socket = app.socket().await.subscribed_to(1..=10_000).await;
    let recorded = app.measure(bore, 10.0).await;
    assert_eq!(socket.next().await["seq"], recorded["seq"]);
}

#[tokio::test]
async fn a_client_may_name_only_so_many_characteristics() {
    let app = TestApp::builder().with(|s| s.broadcast.subscriptions_per_client = 3).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut socket = app.socket().await;
    socket.all_up_to(1).await; // the chart's limits
    let mut socket = socket.subscribed_to([bore, 2]).await;
    let refused = socket.refusal_of(&json!({"type": "subscribe", "characteristic_ids": [2, 3, 4]})).await;
    assert_eq!(
        (&refused["code"], &refused["request"]),
        (&json!("too_many_subscriptions"), &json!("subscribe"))
    );
    assert!(refused["message"].as_str().expect("text").contains('3'));
    // What was refused changed nothing, and there is room for one more.
    let mut socket = socket.subscribed_to([2, 3]).await;
    let recorded = app.measure(bore, 10.0).await;
    assert_eq!(socket.next().await["seq"], recorded["seq"]);
}

#[tokio::test]
async fn a_characteristic_may_be_subscribed_to_before_it_exists() {
    let app = TestApp::spawn().await;
    let mut socket = app.socket().await;
    socket.send(&json!({"type": "subscribe", "characteristic_ids": [1]})).await;
    let answer = socket.next().await;
    assert_eq!((&answer["seq"], &answer["revisions"]), (&json!(0), &json!({"1": 0})));
    assert_eq!(app.given_a_chart("Bore").await, 1);
    let limits = socket.next().await;
    assert_eq!((&limits["type"], &limits["revision"]), (&json!("control_limits"), &json!(1)));
    app.measure(1, 10.0).await;
    assert_eq!(socket.next().await["revision"], 2);
}

#[tokio::test]
async fn who_asks_for_all_gets_all_that_will_ever_be() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let seq = app.measure(bore, 10.0).await["seq"].as_u64().expect("a position");
    let mut socket = app.socket().await;
    socket.all_up_to(seq).await;
    socket.send(&json!({"type": "subscribe", "all": true})).await;
    let answer = socket.next().await;
    assert_eq!((&answer["type"], &answer["all"]), (&json!("subscribed"), &json!(true)));
    assert_eq!((&answer["characteristic_ids"], &answer["revisions"]), (&json!([bore]), &json!({"1": 2})));
    let flow = app.given_a_chart("Flow").await;
    for (id, kind) in [(flow, "control_limits"), (bore, "sample"), (flow, "sample")] {
        if kind == "sample" {
            app.measure(id, 10.0).await;
        }
        let event = socket.next().await;
        assert_eq!((&event["type"], &event["characteristic_id"]), (&json!(kind), &json!(id)));
    }
}

#[tokio::test]
async fn older_clients_are_understood() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut socket = app.socket().await;
    socket.send(&json!({"action": "subscribe", "characteristic_id": bore})).await;
    let answer = socket.next().await;
    assert_eq!((&answer["type"], &answer["characteristic_ids"]), (&json!("subscribed"), &json!([bore])));
    let recorded = app.measure(bore, 10.0).await;
    assert_eq!(socket.next().await["seq"], recorded["seq"]);
    socket.send(&json!({"action": "unsubscribe", "characteristic_id": bore})).await;
    assert_eq!(socket.next().await["type"], "unsubscribed");
    socket.send(&json!({"action": "ping"})).await;
    assert_eq!(socket.next().await["type"], "pong");
}

#[tokio::test]
async fn a_ping_is_answered_with_its_own_words() {
    let app = TestApp::spawn().await;
    let mut socket = app.socket().await;
    for t in [json!(1.5), json!("x"), json!({"a": [1, null]}), json!(0)] {
        socket.send(&json!({"type": "ping", "t": t})).await;
        let pong = socket.next().await;
        assert_eq!((&pong["type"], &pong["t"], &pong["seq"]), (&json!("pong"), &t, &json!(0)));
        assert!(pong["server_time"].is_string());
    }
    socket.send(&json!({"type": "ping"})).await;
    assert_eq!(socket.next().await.get("t"), None);
}

#[tokio::test]
async fn heartbeats_tell_the_positions() {
    let app = TestApp::builder().with(|s| s.broadcast.heartbeat_seconds = 0.05).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut socket = app.socket().await.subscribed_to([bore]).await;
    let epoch = socket.welcome["payload"]["epoch"].clone();
    let before = socket.next_of_type("heartbeat").await;
    assert_eq!((&before["epoch"], &before["last_sent_seq"]), (&epoch, &json!(0)));
    let seq = app.measure(bore, 10.0).await["seq"].clone();
    assert_eq!(socket.next_of_type("sample").await["seq"], seq);
    let after = loop {
        let heartbeat = socket.next_of_type("heartbeat").await;
        if heartbeat["last_sent_seq"] == seq {
            break heartbeat; // one may have been on its way before
        }
    };
    assert_eq!((&after["seq"], &after["head_seq"]), (&seq, &seq));
    assert!(after["server_time"].is_string());
    // What others get counts for the shard, not for this client.
    let flow = app.given_a_chart("Flow").await;
    let newest = app.measure(flow, 10.0).await["seq"].clone();
    let heartbeat = loop {
        let heartbeat = socket.next_of_type("heartbeat").await;
        if heartbeat["seq"] == newest {
            break heartbeat;
        }
    };
    assert_eq!((&heartbeat["last_sent_seq"], &heartbeat["head_seq"]), (&seq, &newest));
}

/// The refusal of a text, and proof that the connection stands.
async fn refusal(socket: &mut TestSocket, text: &str) -> Value {
    socket.send_raw(Message::text(text)).await;
    let refusal = socket.next_of_type("error").await;
    assert!(["i64", "f64", "struct"].iter().all(|word| !refusal.to_string().contains(word)), "{refusal}");
    assert!(refusal["message"].as_str().is_some_and(|m| !m.is_empty() && m.len() < 2_000), "{refusal}");
    socket.assert_nothing_came().await;
    refusal
}

#[tokio::test]
async fn what_is_not_understood_is_answered_and_the_connection_stands() {
    let app = TestApp::spawn().await;
    let mut socket = app.socket().await;
    let long = format!(r#"{{"type":"{}"}}"#, "x".repeat(100_000));
    let unknown = format!(r#"{{"type":"ping","{}":1}}"#, "x".repeat(100_000));
    let deep = format!(r#"{{"type":"subscribe","characteristic_ids":{}"#, "[".repeat(100_000));
    for (text, code, request) in [
        ("", "invalid_json", None),
        ("hello", "invalid_json", None),
        ("{", "invalid_json", None),
        ("[1]", "invalid_json", None),
        ("7", "invalid_json", None),
        (r#"{"type":"ping"} {"type":"ping"}"#, "invalid_json", None),
        (r#"{"type":"ping","t":NaN}"#, "invalid_json", None),
        ("{}", "unknown_type", None),
        (r#"{"type":"dance"}"#, "unknown_type", Some("dance")),
        (r#"{"type":"received"}"#, "invalid_field", Some("received")),
        (r#"{"type":"received","seq":-1}"#, "invalid_field", Some("received")),
        (r#"{"type":"status","of":1}"#, "invalid_field", Some("status")),
        (&*long, "unknown_type", Some(&*"x".repeat(64))),
        (r#"{"type":7}"#, "invalid_field", None),
        (r#"{"type":"ping","type":"ping"}"#, "invalid_field", None),
        (r#"{"type":"ping","action":"ping"}"#, "invalid_field", None),
        (&*unknown, "invalid_field", Some("ping")),
        (r#"{"type":"subscribe"}"#, "invalid_field", Some("subscribe")),
        (
            r#"{"type":"subscribe","characteristic_ids":[1],"characteristic_id":1}"#,
            "invalid_field",
            Some("subscribe"),
        ),
        (r#"{"type":"subscribe","characteristic_ids":[1],"all":true}"#, "invalid_field", Some("subscribe")),
        (r#"{"type":"subscribe","characteristic_ids":7}"#, "invalid_field", Some("subscribe")),
        (r#"{"type":"unsubscribe"}"#, "invalid_field", Some("unsubscribe")),
        (r#"{"type":"unsubscribe","all":true}"#, "invalid_field", Some("unsubscribe")),
        (r#"{"type":"auth","token":"0123456789abcdef"}"#, "invalid_field", Some("auth")),
        (r#"{"type":"auth"}"#, "invalid_field", Some("auth")),
    ] {
        let refused = refusal(&mut socket, text).await;
        assert_eq!(
            (&refused["code"], refused["request"].as_str()),
            (&json!(code), request),
            "{text:.80}: {refused}"
        );
    }
    // Nesting that deep may be refused as JSON or as a field, but never crash anything.
    refusal(&mut socket, &deep).await;
    for id in ["0", "-1", "1.5", "9007199254740992", "\"1\"", "null", "true", "1e999", "{}"] {
        let text = format!(r#"{{"type":"subscribe","characteristic_ids":[{id}]}}"#);
        let refused = refusal(&mut socket, &text).await;
        assert_eq!(
            (&refused["code"], &refused["request"]),
            (&json!("invalid_field"), &json!("subscribe")),
            "{id}"
        );
    }
}

#[tokio::test]
async fn a_subscription_that_makes_no_sense_is_refused_by_name() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut socket = app.socket().await;
    for (field, value) in [
        ("since", json!({"epoch": "e"})),
        ("filter", json!({"sample_max_hz": 0})),
        ("filter", json!({"types": ["weather"]})),
        ("groups", json!(["plant//line"])),
        ("mood", json!(1)),
    ] {
        let mut message = json!({"type": "subscribe", "characteristic_ids": [bore]});
        message[field] = value;
        let refused = socket.refusal_of(&message).await;
        assert_eq!((&refused["code"], &refused["request"]), (&json!("invalid_field"), &json!("subscribe")));
    }
    // None of them has subscribed to anything.
    let seq = app.measure(bore, 99.0).await["seq"].as_u64().expect("a position");
    assert_eq!(socket.all_up_to(seq + 1).await, [Value::Null; 0]);
    let refused = app.metric("andon_messages_refused_total{reason=\"invalid_field\"}").await;
    assert_eq!(refused, 5.0);
}
