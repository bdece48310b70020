//! Control limits that somebody gives, and the phases they start.

use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

fn path(id: i64) -> String {
    format!("/characteristics/{id}/control-limits")
}

async fn individuals(app: &TestApp) -> i64 {
    app.given_a_characteristic(&json!({"name": "Bore"})).await
}

#[tokio::test]
async fn limits_are_given_by_their_lines_or_by_sigma() {
    let app = TestApp::spawn().await;
    let id = individuals(&app).await;
    let body = json!({"center_line": 10, "ucl": 13, "lcl": 7, "reason": "trial", "user": "ann"});
    let given = app.set(&path(id), &body).await;
    assert_eq!((&given["sigma"], &given["method"]), (&json!(1.0), &json!("given")));
    assert_eq!((&given["reason"], &given["user"]), (&json!("trial"), &json!("ann")));
    assert_eq!((&given["dispersion"], &given["sample_count"]), (&Value::Null, &Value::Null));
    let means = app.given_a_characteristic(&json!({"name": "Means", "subgroup_size": 4})).await;
    let by_sigma = app.set(&path(means), &json!({"center_line": 10, "sigma": 2})).await;
    assert_eq!((&by_sigma["ucl"], &by_sigma["lcl"]), (&json!(13.0), &json!(7.0)));
    assert_eq!(by_sigma["dispersion"]["statistic"], "r");
}

#[tokio::test]
async fn limits_that_cannot_be_are_refused_and_the_old_ones_stand() {
    let app = TestApp::spawn().await;
    let id = individuals(&app).await;
    let before = app.set(&path(id), &json!({"center_line": 10, "sigma": 1})).await;
    let cases = [
        (json!({"center_line": 10, "ucl": 7, "lcl": 13}), "invalid_limits"),
        (json!({"center_line": 14, "ucl": 13, "lcl": 7}), "invalid_limits"),
        (json!({"center_line": 7, "ucl": 13, "lcl": 7}), "invalid_limits"),
        (json!({"center_line": 10, "sigma": -1}), "no_variation"),
        (json!({"center_line": 10, "sigma": 0}), "no_variation"),
        (json!({"center_line": 1e300, "sigma": 1e308}), "invalid_limits"),
        (json!({"center_line": 10, "ucl": 13}), "invalid_field"),
        (json!({"center_line": 10, "ucl": 13, "lcl": 7, "sigma": 1}), "invalid_field"),
        (json!({"ucl": 13, "lcl": 7}), "invalid_field"),
        (json!({"center_line": 10, "sigma": 1, "method": "given"}), "invalid_field"),
        (json!({"center_line": 10, "sigma": 1, "user": ""}), "invalid_field"),
        (json!({"center_line": 10, "sigma": 1, "reason": "x".repeat(1001)}), "invalid_field"),
    ];
    for (body, kind) in cases {
        let answer = Answer::to(app.request("PUT", &path(id)).json(&body)).await;
        answer.expect_problem(422, kind);
    }
    assert_eq!(app.get(&path(id)).await["items"], json!([before]));
}

#[tokio::test]
async fn equal_limits_change_nothing_and_nothing_is_published() {
    let app = TestApp::spawn().await;
    let id = individuals(&app).await;
    let mut socket = app.socket().await.subscribed_to([id]).await;
    let limits = json!({"center_line": 10, "sigma": 1, "reason": "first"});
    let first = app.set(&path(id), &limits).await;
    let published = socket.next_of_type("control_limits").await;
    assert_eq!(published["payload"], first);
    let again = app.set(&path(id), &json!({"center_line": 10.0, "sigma": 1.0, "reason": "second"})).await;
    assert_eq!(again, first);
    // The log has no gaps: the next event follows the first one.
    let sample = app.measure(id, 10.0).await;
    assert_eq!(sample["seq"].as_i64(), published["seq"].as_i64().map(|seq| seq + 1));
    assert_eq!(app.get(&path(id)).await["total"], 1);
}

#[tokio::test]
async fn phases_are_listed_newest_first_and_paged() {
    let app = TestApp::spawn().await;
    let id = individuals(&app).await;
    for center in [1, 2, 3] {
        app.set(&path(id), &json!({"center_line": center, "sigma": 1})).await;
    }
    let list = app.get(&format!("{}?limit=2", path(id))).await;
    let centers: Vec<_> =
        list["items"].as_array().expect("items").iter().map(|p| p["center_line"].clone()).collect();
    assert_eq!((json!(centers), &list["total"]), (json!([3.0, 2.0]), &json!(3)));
    let last = app.get(&format!("{}?offset=2", path(id))).await;
    assert_eq!(last["items"][0]["center_line"], 1.0);
}

#[tokio::test]
async fn no_window_reaches_across_a_new_phase() {
    let app = TestApp::spawn().await;
    let rules = json!([{"rule_id": 2, "parameters": {"m": 4}}]);
    let id = app.given_a_characteristic(&json!({"name": "Bore", "rules": rules})).await;
    app.set(&path(id), &json!({"center_line": 10, "sigma": 1})).await;
    app.measure_all(id, &[11.0; 3]).await;
    app.set(&path(id), &json!({"center_line": 10, "sigma": 2})).await;
    for _ in 0..3 {
        let recorded = app.measure(id, 11.0).await;
        assert_eq!(recorded["violations"], json!([]));
    }
    let fourth = app.measure(id, 11.0).await;
    assert_eq!(fourth["violations"][0]["rule_id"], 2);
}

#[tokio::test]
async fn without_limits_a_sample_is_not_judged() {
    let app = TestApp::spawn().await;
    let id = individuals(&app).await;
    let recorded = app.measure(id, 99.0).await;
    assert_eq!(recorded["limits_state"], "none");
    for name in ["zone", "in_control"] {
        assert_eq!(recorded[name], Value::Null, "{name}");
    }
    let stored = app.get(&format!("/samples/{}", recorded["sample_id"])).await;
    for name in ["zone", "in_control", "limits_id", "ucl", "center_line", "lcl"] {
        assert_eq!(stored[name], Value::Null, "{name}");
    }
}

#[tokio::test]
async fn limits_are_published_with_their_payload_and_open_violations_stay_open() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    let mut socket = app.socket().await.subscribed_to([bore]).await;
    let new = app.set(&path(bore), &json!({"center_line": 100, "sigma": 9})).await;
    assert_eq!(socket.next().await["payload"], new);
    let still = app.get(&format!("/violations/{violation}")).await;
    assert_eq!((&still["acknowledged"], &still["ucl"]), (&json!(false), &json!(13.0)));
}

#[tokio::test]
async fn repeating_the_lines_in_force_changes_nothing_whatever_made_them() {
    let app = TestApp::spawn().await;
    let rings = json!({"name": "Rings", "subgroup_size": 5});
    let id = app.post("/characteristics", &rings).await.1["id"].as_i64().expect("an id");
    let path = format!("/characteristics/{id}/control-limits");
    let (_, in_force) = app.put(&path, &json!({"center_line": 74.0, "sigma": 0.0097})).await;
    assert!(in_force["dispersion"].is_object());
    let lines =
        json!({"center_line": in_force["center_line"], "ucl": in_force["ucl"], "lcl": in_force["lcl"]});
    assert_eq!(app.put(&path, &lines).await, (200, in_force));
    assert_eq!(app.get(&path).await["total"], 1);
}
