//! Samples of the past, samples that are only kept, and samples before there are limits.

use serde_json::{Value, json};

use crate::support::{TestApp, TestSocket};

async fn batch(app: &TestApp, mode: &str, characteristic: i64, values: &[f64]) -> Value {
    let sample = |value: &f64| json!({"characteristic_id": characteristic, "measurements": [value]});
    let samples: Vec<Value> = values.iter().map(sample).collect();
    let (status, answer) = app.post("/samples/batch", &json!({"samples": samples, "mode": mode})).await;
    assert_eq!((status, &answer["failed"]), (200, &json!(0)), "{answer}");
    answer
}

async fn listening_to_history(app: &TestApp, characteristic: i64) -> TestSocket {
    let mut socket = app.socket().await;
    let subscribe = json!({"type": "subscribe", "characteristic_ids": [characteristic], "history": true});
    socket.send(&subscribe).await;
    socket.next_of_type("subscribed").await;
    socket
}

#[tokio::test]
async fn the_past_is_judged_but_alarms_nobody() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut live = app.socket().await.subscribed_to([bore]).await;
    let mut all = app.socket().await;
    all.send(&json!({"type": "subscribe", "all": true})).await;
    all.next_of_type("subscribed").await;
    let mut historian = listening_to_history(&app, bore).await;

    batch(&app, "history", bore, &[10.0, 99.0, 10.5]).await;
    for socket in [&mut live, &mut all] {
        assert!(socket.all_up_to(5).await.is_empty(), "nobody who did not ask is told of the past");
    }
    let told = historian.all_up_to(5).await;
    let kinds: Vec<_> = told.iter().map(|event| event["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds, ["sample", "sample", "violation", "sample"]);
    assert_eq!(
        [&told[0]["payload"]["mode"], &told[1]["payload"]["in_control"]],
        [&json!("history"), &json!(false)]
    );
    let violation = &told[2]["payload"];
    assert_eq!([&violation["acknowledged"], &violation["ack_reason"]], [&json!(true), &json!("history")]);

    let characteristic = app.get(&format!("/characteristics/{bore}")).await;
    assert_eq!(
        [&characteristic["alarm_state"], &characteristic["open_violations"]],
        [&json!("normal"), &json!(0)]
    );
    assert_eq!(app.get("/violations?acknowledged=false").await["total"], 0);

    app.measure(bore, 10.0).await;
    for socket in [&mut live, &mut all] {
        let event = socket.next_of_type("sample").await;
        assert_eq!([&event["revision"], &event["skipped"]], [6, 4], "four revisions were withheld: {event}");
        assert_eq!(event["payload"]["mode"], "live");
    }
    let event = historian.next_of_type("sample").await;
    assert_eq!((&event["revision"], event.get("skipped")), (&json!(6), None));
}

#[tokio::test]
async fn an_acknowledgement_tells_what_was_withheld_before_it() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    let mut socket = app.socket().await.subscribed_to([bore]).await;
    batch(&app, "history", bore, &[10.0, 10.0]).await;
    app.acknowledge(violation, "ann").await;
    let told = socket.next_of_type("ack_update").await;
    assert_eq!([&told["revision"], &told["skipped"]], [7, 2], "{told}");
    app.measure(bore, 10.0).await;
    assert_eq!(
        socket.next_of_type("sample").await["skipped"],
        1,
        "it is told once; this is the episode's answer"
    );
}

#[tokio::test]
async fn a_new_subscription_counts_anew() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut socket = app.socket().await.subscribed_to([bore]).await;
    batch(&app, "history", bore, &[10.0, 10.0]).await;
    socket.all_up_to(3).await;
    socket.send(&json!({"type": "subscribe", "characteristic_ids": [bore]})).await;
    let answer = socket.next_of_type("subscribed").await;
    assert_eq!(answer["revisions"], json!({bore.to_string(): 3}));
    app.measure(bore, 10.0).await;
    let event = socket.next_of_type("sample").await;
    assert_eq!((&event["revision"], event.get("skipped")), (&json!(4), None));
}

#[tokio::test]
async fn what_is_only_stored_is_part_of_no_pattern() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.set(&format!("/characteristics/{bore}/rules"), &json!([{"rule_id": 2, "parameters": {"m": 3}}]))
        .await;
    app.measure_all(bore, &[11.0, 11.0]).await;
    let (status, stored) = app
        .post("/samples", &json!({"characteristic_id": bore, "measurements": [9.0], "mode": "store"}))
        .await;
    assert_eq!(
        (status, &stored["zone"], &stored["in_control"]),
        (201, &Value::Null, &Value::Null),
        "{stored}"
    );
    assert_eq!(stored["limits_state"], "none");
    let third = app.measure(bore, 11.0).await;
    assert_eq!(third["violations"][0]["rule_id"], 2, "the stored one does not break the run: {third}");
    let characteristic = app.get(&format!("/characteristics/{bore}")).await;
    assert_eq!(characteristic["samples_collected"], 3);
    let sample = app.get(&format!("/samples/{}", stored["sample_id"])).await;
    assert_eq!([&sample["mode"], &sample["value"]], [&json!("store"), &json!(9.0)]);
}

#[tokio::test]
async fn limits_come_by_themselves_where_they_are_asked_for() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_characteristic(&json!({"name": "Bore", "auto_limits_after": 4})).await;
    let path = format!("/characteristics/{bore}");
    let before = app.get(&path).await;
    assert_eq!([&before["limits_state"], &before["alarm_state"]], ["none", "no_limits"]);
    assert_eq!([&before["samples_collected"], &before["samples_needed"]], [0, 4]);
    let mut socket = app.socket().await.subscribed_to([bore]).await;
    for value in [9.0, 11.0, 9.5] {
        let recorded = app.measure(bore, value).await;
        assert_eq!([&recorded["in_control"], &recorded["limits_state"]], [&Value::Null, &json!("none")]);
    }
    app.measure(bore, 10.5).await;
    let told = socket.all_up_to(5).await;
    assert_eq!([&told[3]["type"], &told[4]["type"]], ["sample", "control_limits"], "{told:?}");
    let limits = &told[4]["payload"];
    assert_eq!([&limits["center_line"], &limits["sample_count"]], [&json!(10.0), &json!(4)]);
    assert_eq!(limits["provisional"], true);

    let judged = app.measure(bore, 99.0).await;
    assert_eq!([&judged["in_control"], &judged["limits_state"]], [&json!(false), &json!("provisional")]);
    let after = app.get(&path).await;
    assert_eq!([&after["limits_state"], &after["alarm_state"]], ["provisional", "active_unacked"]);

    // Somebody who sets the same limits has looked at them: they are provisional no more.
    let same = json!({"center_line": limits["center_line"], "ucl": limits["ucl"], "lcl": limits["lcl"]});
    app.set(&format!("{path}/control-limits"), &same).await;
    assert_eq!(app.get(&path).await["limits_state"], "in_force");
    app.set(&format!("{path}/control-limits"), &same).await;
    assert_eq!(
        app.get(&format!("{path}/control-limits")).await["total"],
        2,
        "the second time nothing changes"
    );
}

#[tokio::test]
async fn samples_that_do_not_vary_make_no_limits_until_they_do() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_characteristic(&json!({"name": "Bore", "auto_limits_after": 3})).await;
    app.measure_all(bore, &[7.0, 7.0, 7.0, 7.0, 8.0]).await;
    let state = app.get(&format!("/characteristics/{bore}")).await;
    assert_eq!([&state["limits_state"], &state["samples_collected"]], [&json!("none"), &json!(5)]);
    app.measure(bore, 9.0).await;
    assert_eq!(app.get(&format!("/characteristics/{bore}")).await["limits_state"], "provisional");
}
