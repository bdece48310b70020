//! Definitions that change: some fields, all of them by key, another chart, retired and back.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, TestApp};

fn bore() -> Value {
    json!({
        "name": "Bore diameter", "key": "P7:bore", "unit": "mm", "decimals": 3, "usl": 14.0, "lsl": 6.0,
        "group": "plant/line4", "tags": ["safety"], "rules": {"preset": "outlier"},
    })
}

/// `PATCH`, with the whole answer.
async fn patch(app: &TestApp, id: i64, change: &Value) -> Answer {
    Answer::to(app.request("PATCH", &format!("/characteristics/{id}")).json(change)).await
}

/// `PATCH`, which must succeed.
pub async fn change(app: &TestApp, id: i64, change: Value) -> Value {
    let answer = patch(app, id, &change).await;
    assert_eq!(answer.status, 200, "{change}: {}", answer.text);
    assert_eq!(app.get(&format!("/characteristics/{id}")).await, answer.body);
    answer.body
}

async fn put(app: &TestApp, key: &str, definition: &Value) -> Answer {
    Answer::to(app.request("PUT", &format!("/characteristics/by-key/{key}")).json(definition)).await
}

#[tokio::test]
async fn what_is_different_is_stored_and_told_and_nothing_else() {
    let app = TestApp::spawn().await;
    let id = app.given_a_characteristic(&bore()).await;
    let mut socket = app.socket().await.subscribed_to([id]).await;
    let before = app.get(&format!("/characteristics/{id}")).await;
    assert_eq!(change(&app, id, json!({})).await, before);
    assert_eq!(change(&app, id, json!({"name": "Bore diameter", "usl": 14, "retired": false})).await, before);
    let after = change(&app, id, json!({"name": "Bore", "usl": 15.5, "unit": null, "tags": null})).await;
    let update = socket.next_of_type("characteristic_update").await;
    let due = json!({"name": "Bore", "usl": 15.5, "unit": null, "tags": []});
    assert_eq!([&update["revision"], &update["payload"]["changes"]], [&json!(1), &due]);
    assert_eq!([&update["characteristic_id"], &update["payload"]["user"]], [&json!(id), &Value::Null]);
    for (name, was) in before.as_object().expect("an object") {
        assert_eq!(&after[name], due.get(name).unwrap_or(was), "{name}");
    }
    change(&app, id, json!({"rules": {"preset": "nelson"}, "lsl": 5})).await;
    let update = socket.next_of_type("characteristic_update").await;
    assert_eq!([&update["revision"], &update["payload"]["changes"]], [&json!(2), &json!({"lsl": 5.0})]);
    let update = socket.next_of_type("characteristic_update").await;
    let rules = app.get(&format!("/characteristics/{id}/rules")).await["rules"].clone();
    assert_eq!([&update["revision"], &update["payload"]["changes"]], [&json!(3), &json!({"rules": rules})]);
}

#[tokio::test]
async fn specification_limits_act_from_the_next_sample() {
    let app = TestApp::spawn().await;
    let id = app.given_a_characteristic(&bore()).await;
    let out_of_spec = async || {
        let sample = app.measure(id, 15.0).await["sample_id"].clone();
        app.get(&format!("/samples/{sample}")).await["out_of_spec"].clone()
    };
    assert_eq!(out_of_spec().await, 1);
    change(&app, id, json!({"usl": 16})).await;
    assert_eq!(out_of_spec().await, 0);
    change(&app, id, json!({"usl": null, "lsl": null})).await;
    assert_eq!(out_of_spec().await, Value::Null);
    assert_eq!(app.get("/samples/1").await["out_of_spec"], 1);
}

#[tokio::test]
async fn a_change_of_rules_is_told_to_who_listens() {
    let app = TestApp::spawn().await;
    let id = app.given_a_chart("Bore").await;
    let mut socket = app.socket().await.subscribed_to([id]).await;
    let path = format!("/characteristics/{id}/rules");
    let rules = app.get(&path).await;
    assert_eq!(app.set(&path, &json!({"preset": "outlier"})).await, rules);
    let rules = app.set(&path, &json!([{"rule_id": 2}])).await;
    let update = socket.next_of_type("characteristic_update").await;
    assert_eq!(
        update["payload"]["changes"],
        json!({"rules": rules["rules"]}),
        "the first change, and all of it"
    );
}

#[tokio::test]
async fn a_change_that_cannot_be_is_refused_with_its_place_and_changes_nothing() {
    let app = TestApp::spawn().await;
    let id = app.given_a_characteristic(&bore()).await;
    let before = app.get(&format!("/characteristics/{id}")).await;
    for (field, value) in [
        ("name", json!(" ")),
        ("name", Value::Null),
        ("key", json!("with blank")),
        ("chart", json!("pareto")),
        ("subgroup_size", json!(5)), // of a chart for individuals
        ("subgroup_size", Value::Null),
        ("min_measurements", json!(2)),
        ("lsl", json!(14)),
        ("group", json!("plant//press")),
        ("tags", json!([""])),
        ("auto_limits_after", json!(1)),
        ("retired", Value::Null),
        ("retired", json!("yes")),
        ("new_phase", Value::Null),
        ("rules", Value::Null),
        ("created_at", json!("2026-01-31T12:00:00Z")),
        ("mode", json!("live")),
    ] {
        let answer = patch(&app, id, &json!({"unit": "inch", field: value})).await;
        answer.expect_problem(422, "invalid_field").expect_pointer(&format!("/{field}"));
    }
    let rules = json!({"unit": "inch", "rules": [{"rule_id": 1}, {"rule_id": 9}]});
    patch(&app, id, &rules).await.expect_problem(422, "invalid_field").expect_pointer("/rules/1");
    assert_eq!(app.get(&format!("/characteristics/{id}")).await, before);
    patch(&app, 7, &json!({})).await.expect_problem(404, "unknown_characteristic");
    patch(&app, 7, &json!({"retired": true})).await.expect_problem(404, "unknown_characteristic");
}

#[tokio::test]
async fn another_chart_needs_consent_once_there_are_samples() {
    let app = TestApp::spawn().await;
    let id = app.given_a_chart("Bore").await;
    let path = format!("/characteristics/{id}");
    let larger = json!({"chart": "xbar_r", "subgroup_size": 3});
    // Without samples nobody has to be asked, but limits of the other chart judge nothing here.
    let empty = app.given_a_chart("Flow").await;
    let view = change(&app, empty, larger.clone()).await;
    assert_eq!([&view["limits_state"], &view["control_limits"]], [&json!("none"), &Value::Null]);

    let violation = app.given_a_violation_on(id).await;
    let before = app.get(&path).await;
    for wanted in [
        &larger,
        &json!({"chart": null, "subgroup_size": 3}),
        &json!({"chart": "xbar_s", "subgroup_size": 2}),
    ] {
        patch(&app, id, wanted).await.expect_problem(409, "has_samples");
    }
    assert_eq!(app.get(&path).await, before);

    let mut socket = app.socket().await.subscribed_to([id]).await;
    let consent = json!({"chart": "xbar_r", "subgroup_size": 3, "new_phase": true});
    let view = change(&app, id, consent.clone()).await;
    let told = ["limits_state", "control_limits", "samples_collected", "alarm_state", "min_measurements"];
    let due = json!(["none", null, 0, "returned_unacked", 3]);
    assert_eq!(json!(told.map(|name| &view[name])), due, "nothing is judged, and the open violation waits");
    let update = socket.next_of_type("characteristic_update").await;
    let due = json!({"chart": "xbar_r", "subgroup_size": 3, "min_measurements": 3, "new_phase": true});
    assert_eq!(update["payload"]["changes"], due);
    assert_eq!(change(&app, id, consent).await, view, "said again, it is no change");

    let old = app.get("/samples/1").await;
    assert_eq!(
        [&old["in_control"], &old["violations"][0]["violation_id"]],
        [&json!(false), &json!(violation)]
    );
    let sample = json!({"characteristic_id": id, "measurements": [99.0, 99.0, 99.0]});
    let (status, recorded) = app.post("/samples", &sample).await;
    assert_eq!((status, &recorded["in_control"]), (201, &Value::Null), "{recorded}");
    let single = json!({"characteristic_id": id, "measurements": [10.0]});
    assert_eq!(app.post("/samples", &single).await.0, 422);
    assert_eq!(app.get(&path).await["samples_collected"], 1);
    let phases = app.get(&format!("{path}/control-limits")).await;
    assert_eq!(phases["total"], 1, "the old limits are history");
    // The phase counts its own samples only.
    let few = app.post(&format!("{path}/control-limits/recalculate"), &json!({"min_samples": 2})).await;
    assert_eq!((few.0, few.1["type"].as_str()), (409, Some("urn:problem:andon:too_few_samples")));
    app.set(&format!("{path}/control-limits"), &json!({"center_line": 10, "sigma": 1})).await;
    assert_eq!(app.post("/samples", &sample).await.1["in_control"], false);
}

#[tokio::test]
async fn provisional_limits_come_again_in_a_new_phase() {
    let app = TestApp::spawn().await;
    let definition = json!({"name": "Bore", "auto_limits_after": 4, "rules": {"preset": "outlier"}});
    let id = app.given_a_characteristic(&definition).await;
    app.measure_all(id, &[9.5, 10.5, 9.5, 10.5]).await;
    let path = format!("/characteristics/{id}");
    assert_eq!(app.get(&path).await["limits_state"], "provisional");
    change(&app, id, json!({"chart": null, "subgroup_size": 2, "new_phase": true})).await;
    for n in 1..=4_u32 {
        let spread = f64::from(n) / 10.0;
        let body = json!({"characteristic_id": id, "measurements": [20.0 - spread, 20.0 + spread]});
        let (_, recorded) = app.post("/samples", &body).await;
        assert_eq!(
            (&recorded["in_control"], &app.get(&path).await["samples_collected"]),
            (&Value::Null, &json!(n % 4))
        );
    }
    let view = app.get(&path).await;
    assert_eq!(
        [&view["limits_state"], &view["control_limits"]["center_line"]],
        [&json!("provisional"), &json!(20.0)]
    );
}

#[tokio::test]
async fn a_retired_one_is_hidden_and_takes_no_samples_but_can_be_read_and_comes_back() {
    let app = TestApp::spawn().await;
    let id = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(id).await;
    let mut socket = app.socket().await.subscribed_to([id]).await;
    let view = change(&app, id, json!({"retired": true})).await;
    assert_eq!([&view["retired"], &view["alarm_state"]], [&json!(true), &json!("retired")]);
    let update = socket.next_of_type("characteristic_update").await;
    assert_eq!(update["payload"]["changes"], json!({"retired": true}));
    assert_eq!(app.get("/characteristics").await["total"], 0);
    assert_eq!(app.get("/characteristics?retired=true").await["items"], json!([view]));
    let sample = json!({"characteristic_id": id, "measurements": [10.0]});
    let refused = Answer::to(app.request("POST", "/samples").json(&sample)).await;
    refused.expect_problem(409, "retired");
    for path in ["", "/rules", "/control-limits", "/chart-data"] {
        app.get(&format!("/characteristics/{id}{path}")).await;
    }
    assert_eq!(app.get(&format!("/samples?characteristic_id={id}")).await["total"], 1);
    assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
    assert_eq!(socket.next_of_type("ack_update").await["payload"]["violation_id"], violation);
    let view = change(&app, id, json!({"retired": false})).await;
    assert_eq!([&view["retired"], &view["alarm_state"]], [&json!(false), &json!("active_acked")]);
    app.measure(id, 10.0).await;
    assert_eq!(app.get("/characteristics").await["total"], 1);
}

#[tokio::test]
async fn a_key_that_moves_names_another_at_once() {
    let app = TestApp::spawn().await;
    let first = app.given_a_characteristic(&bore()).await;
    let second = app.given_a_characteristic(&json!({"name": "Flow", "key": "P7:flow"})).await;
    let taken = patch(&app, second, &json!({"key": "P7:bore"})).await;
    taken.expect_problem(409, "key_taken");
    let measured = async || {
        let body = json!({"characteristic_key": "P7:bore", "measurements": [10.0]});
        let (status, recorded) = app.post("/samples", &body).await;
        let sample = app.call("GET", &format!("/samples/{}", recorded["sample_id"]), None).await.1;
        (status, sample["characteristic_id"].clone())
    };
    assert_eq!(measured().await, (201, json!(first)));
    change(&app, first, json!({"key": null})).await;
    assert_eq!(measured().await.0, 404);
    change(&app, second, json!({"key": "P7:bore"})).await;
    assert_eq!(measured().await, (201, json!(second)));
}

#[tokio::test]
async fn a_definition_by_key_creates_and_then_changes() {
    let app = TestApp::spawn().await;
    let created = put(&app, "P7:bore", &bore()).await;
    assert_eq!((created.status, created.header("location")), (201, "/api/v1/characteristics/1"));
    assert_eq!(created.body["key"], "P7:bore");
    let mut socket = app.socket().await.subscribed_to([1]).await;
    let again = put(&app, "P7:bore", &bore()).await;
    assert_eq!((again.status, &again.body), (200, &created.body));
    let less = put(&app, "P7:bore", &json!({"name": "Bore"})).await;
    assert_eq!(less.status, 200, "{}", less.text);
    let update = socket.next_of_type("characteristic_update").await;
    let cleared = json!({
        "name": "Bore", "unit": null, "decimals": null, "usl": null, "lsl": null, "group": null, "tags": [],
    });
    assert_eq!([&update["revision"], &update["payload"]["changes"]], [&json!(1), &cleared]);
    assert_eq!(less.body["rules"], created.body["rules"], "rules that are not named stay");
    let named = put(&app, "P7:bore", &json!({"name": "Bore", "rules": {"preset": "nelson"}})).await;
    assert_eq!(named.body["rules"][7]["enabled"], true);

    app.measure(1, 10.0).await;
    let larger = json!({"name": "Bore", "subgroup_size": 5});
    put(&app, "P7:bore", &larger).await.expect_problem(409, "has_samples");
    let consent = json!({"name": "Bore", "subgroup_size": 5, "new_phase": true, "retired": true});
    let changed = put(&app, "P7:bore", &consent).await;
    let told = ["chart", "min_measurements", "retired", "alarm_state"].map(|name| &changed.body[name]);
    assert_eq!(json!(told), json!(["xbar_r", 5, true, "retired"]));
    let same = put(&app, "P7:bore", &larger).await;
    assert_eq!((same.status, &same.body["retired"]), (200, &json!(true)), "retired stays until it is said");
    let born_retired = put(&app, "P7:old", &json!({"name": "Old", "retired": true})).await;
    assert_eq!((born_retired.status, &born_retired.body["alarm_state"]), (201, &json!("retired")));
    assert_eq!(app.get("/characteristics?alarm_state=retired").await["total"], 2);
}

#[tokio::test]
async fn a_definition_by_key_that_cannot_be_is_refused() {
    let app = TestApp::spawn().await;
    for (key, body, pointer) in [
        ("P7:bore", json!({"name": "Bore", "key": "P7:flow"}), "/key"),
        ("P7:bore", json!({"name": " "}), "/name"),
        ("P7:bore", json!({"name": "Bore", "usl": 1, "lsl": 2}), "/lsl"),
        ("P7:bore", json!({"name": "Bore", "subgroup_size": 26}), "/subgroup_size"),
        ("P7:bore", json!({"name": "Bore", "rules": [{"rule_id": 9}]}), "/rules/0"),
        ("P7:bore", json!({"name": "Bore", "id": 7}), "/id"),
        ("P7%20bore", json!({"name": "Bore"}), "/key"),
        ("P7%0Abore", json!({"name": "Bore"}), "/key"),
    ] {
        put(&app, key, &body).await.expect_problem(422, "invalid_field").expect_pointer(pointer);
    }
    put(&app, "P7:bore", &json!({"unit": "mm"})).await.expect_problem(422, "invalid_field");
    put(&app, &"x".repeat(129), &json!({"name": "x"})).await.expect_problem(422, "invalid_field");
    put(&app, "plant/bore", &json!({"name": "x"})).await.expect_problem(404, "not_found");
    assert_eq!(app.get("/characteristics").await["total"], 0);
}

#[tokio::test]
async fn a_key_in_a_path_may_hold_whatever_can_be_seen() {
    let app = TestApp::spawn().await;
    for (encoded, key) in [
        ("plant%2Fline4%2F%C3%B8", "plant/line4/ø"),
        ("a%252Fb", "a%2Fb"),
        ("%2F", "/"),
        ("a+b", "a+b"),
        ("50%25%3F%23", "50%?#"),
        ("%7Bid%7D", "{id}"),
    ] {
        let created = put(&app, encoded, &json!({"name": "x", "key": key})).await;
        assert_eq!((created.status, &created.body["key"]), (201, &json!(key)), "{encoded}: {}", created.text);
        let sample = json!({"characteristic_key": key, "measurements": [1]});
        assert_eq!(app.post("/samples", &sample).await.0, 201, "{key}");
    }
}

#[tokio::test]
async fn of_many_at_once_one_creates() {
    let app = Arc::new(TestApp::spawn().await);
    let mut callers = JoinSet::new();
    for caller in 0..16 {
        let app = Arc::clone(&app);
        callers.spawn(async move {
            let definition = json!({"name": "Bore", "description": format!("said by {caller}")});
            let answer = put(&app, "P7:bore", &definition).await;
            (answer.status, answer.body["id"].as_i64())
        });
    }
    let answers = callers.join_all().await;
    assert!(answers.iter().all(|(_, id)| *id == Some(1)), "{answers:?}");
    assert_eq!(answers.iter().filter(|(status, _)| *status == 201).count(), 1, "{answers:?}");
    assert_eq!(app.get("/characteristics").await["total"], 1);
}
