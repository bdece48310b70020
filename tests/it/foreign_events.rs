//! What other SPC backends have judged, under their own ids: taken once, kept apart, answered with ours.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::{Answer, TestApp, TestAppBuilder};

/// A sample as the backend `qms` judged it.
fn sample(id: &str, key: &str, value: f64, in_control: Option<bool>) -> Value {
    json!({"source": "qms", "id": format!("s-{id}"), "type": "sample", "characteristic_key": key, "payload": {
        "sample_id": id, "value": value, "timestamp": "2026-01-31T12:00:00Z", "in_control": in_control,
    }})
}

/// A violation that it found on one of its samples.
fn violation(id: &str, key: &str, sample: &str) -> Value {
    json!({"source": "qms", "id": format!("v-{id}"), "type": "violation", "characteristic_key": key, "payload": {
        "violation_id": id, "sample_id": sample, "rule_id": 2, "rule_name": "Shift", "severity": "CRITICAL",
        "timestamp": "2026-01-31T12:00:00Z",
    }})
}

fn acknowledgement(event: &str, violation: &str) -> Value {
    let payload = json!({"violation_id": violation, "user": "eve", "reason": "Tool Change"});
    json!({"source": "qms", "id": event, "type": "ack_update", "payload": payload})
}

async fn given_bore(app: &TestApp) -> i64 {
    let body = json!({"name": "Bore", "key": "bore", "rules": {"preset": "nelson"}});
    app.given_a_characteristic(&body).await
}

/// Sends events, of which none may fail as a request; gives the answer.
async fn send(app: &TestApp, events: &Value) -> Value {
    let (status, answer) = app.post("/events", events).await;
    assert_eq!(status, 202, "{answer}");
    answer
}

/// Sends one event, which must have this status; gives its item.
async fn send_one(app: &TestApp, event: &Value, status: &str) -> Value {
    let answer = send(app, event).await;
    assert_eq!(answer["results"][0]["status"], status, "{answer}");
    answer["results"][0].clone()
}

fn builder_that_creates() -> TestAppBuilder {
    TestApp::builder().with(|settings| settings.events.create_characteristics = true)
}

#[tokio::test]
async fn a_foreign_violation_becomes_an_ordinary_one_under_both_ids() {
    let app = TestApp::spawn().await;
    let bore = given_bore(&app).await;
    let mut socket = app.socket().await.subscribed_to([bore]).await;
    let events = json!([sample("a", "bore", 9.5, Some(false)), violation("x", "bore", "a")]);
    let answer = send(&app, &events).await;
    assert_eq!(
        (&answer["accepted"], &answer["duplicates"], &answer["failed"]),
        (&json!(2), &json!(0), &json!(0))
    );
    let (first, second) = (&answer["results"][0], &answer["results"][1]);
    assert_eq!((&first["id"], &second["id"]), (&json!("s-a"), &json!("v-x")));
    assert_eq!(second["sample_id"], first["sample_id"]);

    let heard = socket.next().await;
    assert_eq!((&heard["type"], &heard["seq"]), (&json!("sample"), &first["seq"]));
    assert_eq!((&heard["payload"]["source"], &heard["payload"]["external_id"]), (&json!("qms"), &json!("a")));
    assert_eq!(
        (&heard["payload"]["in_control"], &heard["payload"]["limits_id"]),
        (&json!(false), &Value::Null)
    );
    let heard = socket.next().await;
    assert_eq!((&heard["type"], &heard["seq"]), (&json!("violation"), &second["seq"]));
    let told = &heard["payload"];
    assert_eq!((&told["source"], &told["external_id"]), (&json!("qms"), &json!("x")));
    assert_eq!((&told["external_sample_id"], &told["sample_id"]), (&json!("a"), &first["sample_id"]));
    assert_eq!((&told["severity"], &told["value"]), (&json!("CRITICAL"), &Value::Null));
    assert_eq!(told["message"], "Shift fired, as judged by qms");

    let id = second["violation_id"].as_i64().expect("an id");
    assert_eq!(&app.get(&format!("/violations/{id}")).await, told);
    let now = app.get("/characteristics/by-key/bore").await;
    assert_eq!((&now["alarm_state"], &now["open_violations"]), (&json!("active_unacked"), &json!(1)));
    assert_eq!(app.acknowledge(id, "ann").await.0, 200);
    let heard = socket.next_of_type("ack_update").await;
    assert_eq!(
        (&heard["payload"]["external_id"], &heard["payload"]["ack_source"]),
        (&json!("x"), &Value::Null)
    );
    assert_eq!(app.get("/characteristics/by-key/bore").await["alarm_state"], "active_acked");
}

#[tokio::test]
async fn an_acknowledgement_given_elsewhere_counts_here_and_does_not_echo() {
    let app = TestApp::spawn().await;
    given_bore(&app).await;
    let mut idle = app.socket().await;
    let taken = send_one(&app, &violation("x", "bore", "a"), "accepted").await;
    assert_eq!(taken["sample_id"], Value::Null, "its sample is not known here");
    let answered = send_one(&app, &acknowledgement("1", "x"), "accepted").await;
    assert_eq!(answered["violation_id"], taken["violation_id"]);
    let heard = idle.next_of_type("ack_update").await;
    assert_eq!(heard["seq"], answered["seq"]);
    assert_eq!((&heard["payload"]["user"], &heard["payload"]["ack_source"]), (&json!("eve"), &json!("qms")));
    // The same event again, and the same answer under another name: nobody hears of either.
    send_one(&app, &acknowledgement("1", "x"), "duplicate").await;
    let again = send_one(&app, &acknowledgement("2", "x"), "duplicate").await;
    assert_eq!((&again["violation_id"], &again["seq"]), (&taken["violation_id"], &Value::Null));
    idle.assert_nothing_came().await;
    let refused = send_one(&app, &acknowledgement("3", "nobody"), "error").await;
    assert_eq!(refused["error"]["type"], "urn:problem:andon:unknown_violation");
}

#[tokio::test]
async fn an_event_is_taken_once_in_one_request_in_two_at_a_time_and_after_a_restart() {
    let app = TestApp::spawn().await;
    given_bore(&app).await;
    let events = json!({"events": [
        sample("a", "bore", 9.5, None), sample("a", "bore", 9.5, None), violation("x", "bore", "a"),
        violation("x", "bore", "a"), acknowledgement("1", "x"), acknowledgement("1", "x"),
    ]});
    let first = send(&app, &events).await;
    assert_eq!((&first["accepted"], &first["duplicates"]), (&json!(3), &json!(3)), "{first}");
    let renamed = json!([
        {"source": "qms", "id": "other", "type": "sample", "characteristic_key": "bore",
         "payload": {"sample_id": "a", "value": 9.5, "timestamp": "2026-01-31T12:00:00Z"}},
        {"source": "erp", "id": "s-a", "type": "sample", "characteristic_key": "bore",
         "payload": {"sample_id": "a", "value": 9.5, "timestamp": "2026-01-31T12:00:00Z"}},
    ]);
    let renamed = send(&app, &renamed).await;
    assert_eq!(renamed["results"][0]["status"], "duplicate", "its own sample id is unique, too");
    assert_eq!(renamed["results"][0]["sample_id"], first["results"][0]["sample_id"]);
    assert_eq!(renamed["results"][1]["status"], "accepted", "another source has ids of its own");

    let twins: Vec<Value> = (0..50).map(|n| sample(&format!("t{n}"), "bore", 9.0, None)).collect();
    let twins = json!(twins);
    let (left, right) = tokio::join!(send(&app, &twins), send(&app, &twins));
    let both = |name: &str| left[name].as_u64().expect("a number") + right[name].as_u64().expect("a number");
    assert_eq!((both("accepted"), both("duplicates"), both("failed")), (50, 50, 0));
    for (left, right) in
        std::iter::zip(left["results"].as_array().expect("all"), right["results"].as_array().expect("all"))
    {
        assert_eq!((&left["sample_id"], &left["seq"]), (&right["sample_id"], &right["seq"]));
    }

    let (total, directory) = (app.sample_total().await, Arc::clone(app.directory()));
    assert_eq!(total, 52);
    app.stop().await.expect("stopped");
    let app = TestApp::builder().on_database_of(&directory).spawn().await;
    let again = send(&app, &events).await;
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(6)));
    for (before, after) in
        std::iter::zip(first["results"].as_array().expect("all"), again["results"].as_array().expect("all"))
    {
        for name in ["sample_id", "violation_id", "seq"] {
            assert_eq!(before[name], after[name]);
        }
    }
    assert_eq!(app.sample_total().await, total);
}

#[tokio::test]
async fn foreign_samples_are_in_no_window_and_in_no_baseline() {
    let app = TestApp::spawn().await;
    let bore = given_bore(&app).await;
    app.set(&format!("/characteristics/{bore}/control-limits"), &json!({"center_line": 10, "sigma": 1}))
        .await;
    // Nine above the center line make a shift: of ours there are only eight, whatever stands between them.
    for n in 0..8 {
        app.measure(bore, 10.5).await;
        let told = send_one(&app, &sample(&n.to_string(), "bore", 99.0, Some(false)), "accepted").await;
        assert!(told["seq"].is_u64());
    }
    assert_eq!(app.get("/violations").await["total"], 0, "no rule of ours runs on what others judged");
    let standing = app.get("/characteristics/by-key/bore").await;
    assert_eq!(
        (&standing["samples_collected"], &standing["alarm_state"]),
        (&json!(8), &json!("active_acked"))
    );
    let ninth = app.measure(bore, 10.5).await;
    assert_eq!(ninth["violations"][0]["rule_name"], "Shift");
    let id = ninth["violations"][0]["violation_id"].as_i64().expect("an id");
    let involved = app.get(&format!("/violations/{id}")).await["involved_sample_ids"].clone();
    let ours: Vec<i64> = (0..9).map(|n| 1 + 2 * n).collect();
    assert_eq!(involved, json!(ours));
    app.measure(bore, 11.0).await;
    let path = format!("/characteristics/{bore}/control-limits/recalculate");
    let (status, found) = app.post(&path, &json!({"min_samples": 2, "preview": true})).await;
    assert_eq!((status, &found["baseline"]["n"]), (200, &json!(10)), "{found}");
}

#[tokio::test]
async fn one_bad_event_stops_no_other_and_is_told_by_name() {
    let app = TestApp::spawn().await;
    let bore = given_bore(&app).await;
    app.given_a_characteristic(&json!({"name": "Flow", "key": "flow"})).await;
    send_one(&app, &sample("a", "bore", 9.5, None), "accepted").await;
    send_one(&app, &violation("x", "bore", "a"), "accepted").await;
    let changed = |name: &str, value: Value| {
        let mut event = sample("b", "bore", 9.5, None);
        event["payload"][name] = value;
        event
    };
    let with = |name: &str, value: Value| {
        let mut event = sample("b", "bore", 9.5, None);
        event[name] = value;
        event
    };
    let mut same_rule = violation("y", "bore", "a");
    let bad = [
        (with("type", json!("episode")), "invalid_field", "episode"),
        (with("id", json!(7)), "invalid_field", "string"),
        (with("source", json!("two words")), "invalid_field", "source"),
        (with("characteristic_key", json!("nobody")), "unknown_characteristic", "nobody"),
        (with("characteristic_id", json!(bore)), "invalid_field", "only one"),
        (changed("colour", json!("red")), "invalid_field", "colour"),
        (changed("value", json!(1e200)), "invalid_field", "value"),
        (changed("value", Value::Null), "invalid_field", "measurements"),
        (changed("n", json!(0)), "invalid_field", "n must be"),
        (changed("ucl", json!(12)), "invalid_field", "in_control"),
        (changed("timestamp", json!("yesterday")), "invalid_timestamp", "yesterday"),
        (changed("timestamp", json!("2999-01-01T00:00:00Z")), "invalid_timestamp", "ahead"),
        (
            sample("a", "flow", 9.5, None)
                .as_object()
                .map(|e| {
                    let mut event = e.clone();
                    event.insert("id".to_owned(), json!("another"));
                    Value::Object(event)
                })
                .expect("an object"),
            "key_taken",
            "unique within its source",
        ),
        (
            {
                same_rule["id"] = json!("v-y");
                same_rule
            },
            "invalid_field",
            "already has violation",
        ),
        (json!(7), "invalid_field", "object"),
    ];
    let mut events: Vec<Value> = bad.iter().map(|(event, ..)| event.clone()).collect();
    events.push(sample("good", "bore", 9.5, None));
    let answer = send(&app, &json!(events)).await;
    assert_eq!((&answer["accepted"], &answer["failed"]), (&json!(1), &json!(bad.len())), "{answer}");
    for (index, (event, kind, word)) in bad.iter().enumerate() {
        let item = &answer["results"][index];
        assert_eq!(item["error"]["type"], format!("urn:problem:andon:{kind}"), "{event}: {item}");
        assert!(item["error"]["detail"].as_str().is_some_and(|text| text.contains(word)), "{event}: {item}");
    }
    // What was refused may come again under the same name, once it is right.
    send_one(&app, &sample("b", "bore", 9.5, None), "accepted").await;
    let many: Vec<Value> = (0..1_001).map(|n| sample(&format!("m{n}"), "bore", 9.5, None)).collect();
    assert_eq!(app.post("/events", &json!(many)).await.0, 422);
    assert_eq!(app.post("/events", &json!(7)).await.0, 422);
}

#[tokio::test]
async fn a_severity_is_mapped_by_the_setting_and_an_unknown_one_is_counted() {
    use andon::domain::rules::Severity;
    let app = TestApp::builder()
        .with(|settings| settings.events.severities.extend([("High".to_owned(), Severity::Critical)]))
        .spawn()
        .await;
    given_bore(&app).await;
    for (id, word, severity) in [("1", "HIGH", "CRITICAL"), ("2", "info", "INFO"), ("3", "Purple", "WARNING")]
    {
        let mut event = violation(id, "bore", id);
        event["payload"]["severity"] = json!(word);
        let taken = send_one(&app, &event, "accepted").await;
        let stored = app.get(&format!("/violations/{}", taken["violation_id"])).await;
        assert_eq!(stored["severity"], severity);
        send_one(&app, &event, "duplicate").await;
    }
    assert!((app.metric("andon_unknown_severities_total").await - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn limits_of_another_system_are_put_in_force_once() {
    let app = TestApp::spawn().await;
    let bore = given_bore(&app).await;
    let limits = |id: &str, ucl: f64| {
        let payload =
            json!({"center_line": 10, "ucl": ucl, "lcl": 7, "sigma": 1.5, "reason": "Trial", "user": "eve"});
        json!({"source": "qms", "id": id, "type": "control_limits", "characteristic_id": bore, "payload": payload})
    };
    let first = send_one(&app, &limits("1", 13.0), "accepted").await;
    let in_force = app.get(&format!("/characteristics/{bore}")).await["control_limits"].clone();
    assert_eq!((&in_force["limits_id"], &in_force["sigma"]), (&first["limits_id"], &json!(1.5)));
    assert_eq!((&in_force["user"], &in_force["reason"]), (&json!("eve"), &json!("Trial")));
    let same = send_one(&app, &limits("2", 13.0), "accepted").await;
    assert_eq!((&same["limits_id"], &same["seq"]), (&first["limits_id"], &Value::Null));
    let refused = send_one(&app, &limits("3", 9.0), "error").await;
    assert_eq!(refused["error"]["type"], "urn:problem:andon:invalid_limits");
}

#[tokio::test]
async fn an_unknown_key_makes_a_characteristic_only_where_the_setting_says_so() {
    let app = builder_that_creates().spawn().await;
    let answer = send(&app, &json!([sample("a", "new", 9.5, Some(true)), violation("x", "new", "a")])).await;
    assert_eq!(answer["accepted"], 2, "{answer}");
    let created = app.get("/characteristics/by-key/new").await;
    assert_eq!((&created["name"], &created["chart"]), (&json!("new"), &json!("i_mr")));
    let unknown = json!({"source": "qms", "id": "9", "type": "sample", "characteristic_id": 99,
        "payload": {"value": 1, "timestamp": "2026-01-31T12:00:00Z"}});
    let refused = send_one(&app, &unknown, "error").await;
    assert_eq!(refused["error"]["type"], "urn:problem:andon:unknown_characteristic");
    let invisible = send_one(&app, &sample("b", "two words", 1.0, None), "error").await;
    assert_eq!(invisible["error"]["type"], "urn:problem:andon:invalid_field");
    // What is refused creates nothing.
    let payload = json!({"center_line": 10, "ucl": 9, "lcl": 7});
    let limits = json!({"source": "qms", "id": "8", "type": "control_limits", "characteristic_key": "other", "payload": payload});
    send_one(&app, &limits, "error").await;
    assert_eq!(app.get("/characteristics").await["total"], 1);
}

#[tokio::test]
async fn history_told_by_another_system_waits_for_nobody() {
    let app = TestApp::spawn().await;
    given_bore(&app).await;
    let mut past = sample("a", "bore", 9.5, Some(true));
    past["payload"]["mode"] = json!("history");
    let answer = send(&app, &json!([past, violation("x", "bore", "a")])).await;
    let id = answer["results"][1]["violation_id"].as_i64().expect("an id");
    let stored = app.get(&format!("/violations/{id}")).await;
    assert_eq!((&stored["acknowledged"], &stored["ack_reason"]), (&json!(true), &json!("history")));
    let standing = app.get("/characteristics/by-key/bore").await;
    assert_eq!((&standing["open_violations"], &standing["alarm_state"]), (&json!(0), &json!("normal")));
}

#[tokio::test]
async fn what_only_operators_may_do_needs_their_role_here_too() {
    use andon::http::auth::{Role, TokenSettings};
    let token = |name: &str, roles: Vec<Role>| TokenSettings {
        name: name.to_owned(),
        token: Some(format!("{name}-token-of-some-length")),
        token_file: None,
        roles,
        acts_for_users: true,
    };
    let app = TestApp::builder()
        .with(|settings| {
            settings.auth.tokens = vec![
                token("gateway", vec![Role::Ingest]),
                token("backend", vec![Role::Ingest, Role::Operate]),
                token("admin", vec![Role::Admin]),
            ];
        })
        .spawn()
        .await
        .with_token("admin-token-of-some-length");
    given_bore(&app).await;
    let app = app.with_token("gateway-token-of-some-length");
    send_one(&app, &violation("x", "bore", "a"), "accepted").await;
    let refused = send_one(&app, &acknowledgement("1", "x"), "error").await;
    assert_eq!(refused["error"]["type"], "urn:problem:andon:forbidden");
    let app = app.with_token("backend-token-of-some-length");
    send_one(&app, &acknowledgement("1", "x"), "accepted").await;
}

#[tokio::test]
async fn a_request_with_an_idempotency_key_gets_its_first_answer_again() {
    let app = TestApp::spawn().await;
    given_bore(&app).await;
    let send = async |body: &Value| {
        let request = app.request("POST", "/events").header("Idempotency-Key", "k1").json(body);
        let answer = Answer::to(request).await;
        (answer.status, answer.body)
    };
    let events =
        json!([sample("a", "bore", 9.5, None), violation("x", "bore", "a"), sample("b", "no", 9.5, None)]);
    let first = send(&events).await;
    assert_eq!((first.0, &first.1["accepted"], &first.1["failed"]), (202, &json!(2), &json!(1)));
    assert_eq!(send(&events).await, first, "accepted, and no duplicate: as it was answered");
    let (status, refused) = send(&json!([])).await;
    assert_eq!((status, &refused["type"]), (422, &json!("urn:problem:andon:other_body")));
}

#[tokio::test]
async fn what_is_retired_takes_nothing_more_but_answers() {
    let app = TestApp::spawn().await;
    let bore = given_bore(&app).await;
    send_one(&app, &violation("x", "bore", "a"), "accepted").await;
    let retire = json!({"retired": true});
    assert_eq!(app.call("PATCH", &format!("/characteristics/{bore}"), Some(&retire)).await.0, 200);
    for event in [sample("b", "bore", 9.5, None), violation("y", "bore", "b")] {
        let refused = send_one(&app, &event, "error").await;
        assert_eq!(refused["error"]["type"], "urn:problem:andon:retired");
    }
    send_one(&app, &violation("x", "bore", "a"), "duplicate").await;
    send_one(&app, &acknowledgement("1", "x"), "accepted").await;
}

#[tokio::test]
async fn what_was_deleted_here_may_be_told_anew() {
    let app = TestApp::spawn().await;
    let bore = given_bore(&app).await;
    let told = json!([sample("a", "bore", 9.5, Some(false)), violation("x", "bore", "a")]);
    let before = send(&app, &told).await;
    assert_eq!(before["accepted"], 2, "{before}");
    // Its rows are still there, to be removed in small steps.
    let path = format!("/characteristics/{bore}?with_history=true");
    assert_eq!(app.call("DELETE", &path, None).await.0, 204);
    given_bore(&app).await;
    let mut again = told;
    again[0]["id"] = json!("s-again");
    again[1]["id"] = json!("v-again");
    again[1]["payload"]["involved_sample_ids"] = json!(["a", "unknown"]);
    let after = send(&app, &again).await;
    assert_eq!(after["accepted"], 2, "{after}");
    let ids = |answer: &Value| {
        (answer["results"][1]["sample_id"].clone(), answer["results"][1]["violation_id"].clone())
    };
    let (sample_id, violation_id) = ids(&after);
    assert_ne!(ids(&before), (sample_id.clone(), violation_id.clone()));
    let violation = app.get(&format!("/violations/{violation_id}")).await;
    assert_eq!(
        (&violation["sample_id"], &violation["involved_sample_ids"]),
        (&sample_id, &json!([sample_id]))
    );
}
