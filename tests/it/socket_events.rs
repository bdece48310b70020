//! The order and completeness of what subscribers get.

use std::collections::HashMap;

use andon::protocol::event::EventKind;
use serde_json::{Value, json};

use crate::support::TestApp;

#[tokio::test]
async fn revisions_follow_one_another_from_the_base_in_the_answer() {
    let app = TestApp::spawn().await;
    let (bore, flow) = (app.given_a_chart("Bore").await, app.given_a_chart("Flow").await);
    let violation = app.given_a_violation_on(bore).await;
    let mut socket = app.socket().await;
    socket.all_up_to(5).await;
    socket.send(&json!({"type": "subscribe", "characteristic_ids": [bore, flow, 77]})).await;
    let answer = socket.next().await;
    assert_eq!(answer["seq"], 5);
    assert_eq!(answer["revisions"], json!({bore.to_string(): 4, flow.to_string(): 1, "77": 0}));
    assert_eq!(answer["epoch"], socket.welcome["payload"]["epoch"]);

    app.given_a_violation_on(flow).await;
    app.acknowledge(violation, "ann").await;
    app.measure(bore, 10.0).await;
    app.set(&format!("/characteristics/{flow}/control-limits"), &json!({"center_line": 9, "sigma": 1})).await;
    app.measure(flow, 9.0).await;
    let mut revisions: HashMap<i64, u64> = HashMap::from([(bore, 4), (flow, 1)]);
    let mut kinds = vec![];
    // Between them stand episodes, which this client did not ask for.
    for (due, skipped) in [(6, None), (7, None), (9, None), (11, Some(1)), (13, Some(2)), (14, None)] {
        let event = socket.next().await;
        assert_eq!(event["seq"], due);
        let id = event["characteristic_id"].as_i64().expect("an id");
        let revision = revisions.get_mut(&id).expect("one of ours");
        *revision += 1 + skipped.unwrap_or(0);
        let said = event.get("skipped").and_then(Value::as_u64);
        assert_eq!((event["revision"].as_u64(), said), (Some(*revision), skipped));
        kinds.push(event["type"].as_str().expect("a type").to_owned());
    }
    assert_eq!(kinds, ["sample", "violation", "ack_update", "sample", "control_limits", "sample"]);
}

#[tokio::test]
async fn everybody_gets_the_same_bytes() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut sockets = vec![];
    for _ in 0..4 {
        let mut socket = app.raw_socket(None).await;
        let subscribe = json!({"type": "subscribe", "characteristic_ids": [bore]});
        socket.send(0x81, subscribe.to_string().as_bytes()).await;
        socket.wait_for("\"subscribed\"").await;
        socket.wait_for("\"revisions\":{\"1\":1}}").await;
        sockets.push(socket);
    }
    let violation = app.given_a_violation_on(bore).await;
    app.acknowledge(violation, "ann").await;
    let mut frames = vec![];
    for mut socket in sockets {
        socket.wait_for("ack_update").await;
        socket.wait_for("\"ack_source\":null}}").await;
        let received = socket.received();
        let marker = b"\"revisions\":{\"1\":1}}";
        let start =
            received.windows(marker.len()).position(|w| w == marker).expect("the answer") + marker.len();
        frames.push(received[start..].to_vec());
    }
    assert!(frames[0].len() > 500, "{}", frames[0].len());
    assert!(frames.iter().all(|bytes| *bytes == frames[0]));
}

#[tokio::test]
async fn every_worker_thread_serves_its_own_clients() {
    let app = TestApp::spawn().await; // two workers
    let bore = app.given_a_chart("Bore").await;
    let mut sockets = vec![];
    for _ in 0..30 {
        sockets.push(app.socket().await.subscribed_to([bore]).await);
    }
    let violation = app.given_a_violation_on(bore).await;
    app.acknowledge(violation, "ann").await;
    let mut heard: Vec<[Value; 3]> = vec![];
    for socket in &mut sockets {
        heard.push([socket.next().await, socket.next().await, socket.next().await]);
    }
    assert_eq!(
        [&heard[0][0]["type"], &heard[0][1]["type"], &heard[0][2]["type"]],
        ["sample", "violation", "ack_update"]
    );
    assert!(heard.iter().all(|events| *events == heard[0]));
}

/// Reads events and checks that their positions have no gap.
async fn assert_complete(socket: &mut crate::support::TestSocket, from: u64, count: u64) {
    for due in from..from + count {
        let event = loop {
            match socket.next().await {
                heartbeat if heartbeat["type"] == "heartbeat" => {}
                event => break event,
            }
        };
        assert_eq!(event["seq"], due);
    }
}

#[tokio::test]
async fn a_shard_that_falls_off_the_ring_reads_the_log_and_nothing_is_lost() {
    let capacity = 4.try_into().expect("not zero");
    let app = TestApp::builder()
        .with(|settings| {
            settings.bus.capacity_events = capacity;
            settings.broadcast.sample_queue_bytes = 1 << 30; // a client that is slow on a busy machine gets all the same
        })
        .spawn()
        .await;
    let bore = app.given_a_chart("Bore").await;
    let mut first = app.socket().await.subscribed_to([bore]).await;
    let mut second = app.socket().await.subscribed_to([bore]).await;
    let values = vec![10.0; 2_000];
    let (_, (), ()) = tokio::join!(
        app.measure_all(bore, &values),
        assert_complete(&mut first, 2, 2_000),
        assert_complete(&mut second, 2, 2_000),
    );
    assert!(app.metric("andon_shard_lags_total").await >= 1.0, "the ring was not small enough");
    let next = app.measure(bore, 10.0).await;
    assert_eq!(first.next().await["seq"], next["seq"]);
}

#[tokio::test]
async fn a_burst_reaches_a_client_that_reads() {
    // A client that is slow on a busy machine gets all the same.
    let app = TestApp::builder().with(|s| s.broadcast.sample_queue_bytes = 1 << 30).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut socket = app.socket().await.subscribed_to([bore]).await;
    let values = vec![10.0; 8_000];
    tokio::join!(app.measure_all(bore, &values), assert_complete(&mut socket, 2, 8_000));
}

#[tokio::test]
async fn alerts_of_many_characteristics_come_in_the_order_of_the_log() {
    let app = TestApp::spawn().await;
    let mut ids = vec![];
    for number in 0..6 {
        ids.push(app.given_a_chart(&format!("No {number}")).await);
    }
    let mut socket = app.socket().await;
    socket.all_up_to(6).await;
    let filter = json!({"types": EventKind::ALL});
    socket.send(&json!({"type": "subscribe", "characteristic_ids": ids, "filter": filter})).await;
    socket.next_of_type("subscribed").await;
    let samples: Vec<_> = (0..120)
        .map(|i| json!({"characteristic_id": ids[i % 6], "measurements": [if i % 5 == 0 { 99.0 } else { 10.0 }]}))
        .collect();
    let (left, right) = samples.split_at(60);
    let (left, right) = (json!({ "samples": left }), json!({ "samples": right }));
    let (left, right) = tokio::join!(app.post("/samples/batch", &left), app.post("/samples/batch", &right));
    assert_eq!((left.0, right.0), (200, 200));
    let violations = app.get("/violations?limit=1000").await["total"].as_u64().expect("a total");
    assert_eq!(violations, 24);
    let mut revisions: HashMap<i64, u64> = HashMap::new();
    let head = app.get("/events?limit=1").await["head_seq"].as_u64().expect("a position");
    assert!(head > 6 + 120 + violations, "and episodes");
    for due in 7..=head {
        let event = socket.next().await;
        assert_eq!(event["seq"], due);
        let revision = revisions.entry(event["characteristic_id"].as_i64().expect("an id")).or_insert(1);
        *revision += 1;
        assert_eq!(event["revision"], *revision);
    }
}
