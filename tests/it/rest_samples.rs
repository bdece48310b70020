//! Samples, one by one: what is answered, what is stored, what is refused.

use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

#[tokio::test]
async fn a_sample_is_judged_and_answered() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let first = app.measure(bore, 10.5).await;
    assert_eq!((&first["zone"], &first["in_control"]), (&json!("zone_c_upper"), &json!(true)));
    assert_eq!((&first["value"], &first["range_value"]), (&json!(10.5), &Value::Null));
    assert_eq!((&first["limits_state"], &first["duplicate"]), (&json!("in_force"), &json!(false)));
    let out = app.measure(bore, 3.0).await;
    assert_eq!((&out["zone"], &out["in_control"]), (&json!("beyond_lcl"), &json!(false)));
    let violation = &out["violations"][0];
    assert_eq!((&violation["rule_id"], &violation["severity"]), (&json!(1), &json!("CRITICAL")));
}

#[tokio::test]
async fn a_sample_is_given_back_with_what_came_with_it() {
    let app = TestApp::spawn().await;
    let definition = json!({"name": "Bore", "key": "k", "subgroup_size": 3, "usl": 12, "lsl": 8});
    let id = app.given_a_characteristic(&definition).await;
    let metadata = json!({"machine": {"no": 7, "tools": ["a", null]}, "é": "\u{1F600}"});
    let body = json!({
        "characteristic_key": "k", "measurements": [10, 13, 7.5], "batch": "B7", "operator": "ann", "metadata": metadata,
    });
    let (status, recorded) = app.post("/samples", &body).await;
    assert_eq!((status, &recorded["range_value"]), (201, &json!(5.5)), "{recorded}");
    let stored = app.get(&format!("/samples/{}", recorded["sample_id"])).await;
    assert_eq!(stored["characteristic_id"], id);
    assert_eq!(stored["measurements"], json!([10.0, 13.0, 7.5]));
    assert_eq!((&stored["batch"], &stored["operator"]), (&json!("B7"), &json!("ann")));
    assert_eq!((&stored["metadata"], &stored["n"]), (&metadata, &json!(3)));
    assert_eq!((&stored["out_of_spec"], &stored["is_excluded"]), (&json!(2), &json!(false)));
    assert_eq!((&stored["mode"], &stored["timestamp"]), (&json!("live"), &recorded["timestamp"]));
    assert_eq!(app.get("/samples").await["items"], json!([stored]));
}

#[tokio::test]
async fn the_count_of_measurements_must_fit() {
    let app = TestApp::spawn().await;
    let definition = json!({"name": "Means", "subgroup_size": 5, "min_measurements": 3});
    let id = app.given_a_characteristic(&definition).await;
    for (count, status) in [(0, 422), (2, 422), (3, 201), (5, 201), (6, 422)] {
        let body = json!({"characteristic_id": id, "measurements": vec![1.5; count]});
        let answer = Answer::to(app.request("POST", "/samples").json(&body)).await;
        assert_eq!(answer.status, status, "{count}: {}", answer.text);
        if status == 422 {
            answer.expect_problem(422, "invalid_measurements").expect_pointer("/measurements");
            assert!(answer.body["detail"].as_str().expect("text").contains("3 to 5"), "{}", answer.text);
        }
    }
    assert_eq!(app.sample_total().await, 2);
}

#[tokio::test]
async fn smaller_subgroups_are_judged_by_wider_limits() {
    let app = TestApp::spawn().await;
    let definition =
        json!({"name": "Means", "subgroup_size": 4, "min_measurements": 1, "rules": {"preset": "outlier"}});
    let id = app.given_a_characteristic(&definition).await;
    app.set(&format!("/characteristics/{id}/control-limits"), &json!({"center_line": 10, "sigma": 2})).await;
    // sigma 2: 10 +- 3 for four values, 10 +- 6 for a single one.
    for (measurements, ucl, in_control) in [(vec![14.0; 4], 13.0, false), (vec![14.0], 16.0, true)] {
        let body = json!({"characteristic_id": id, "measurements": measurements});
        let (_, recorded) = app.post("/samples", &body).await;
        assert_eq!(recorded["in_control"], in_control, "{recorded}");
        let stored = app.get(&format!("/samples/{}", recorded["sample_id"])).await;
        assert_eq!((&stored["ucl"], &stored["center_line"]), (&json!(ucl), &json!(10.0)));
    }
}

#[tokio::test]
async fn samples_are_listed_newest_first_by_characteristic_and_time() {
    let app = TestApp::spawn().await;
    let (bore, flow) = (app.given_a_chart("Bore").await, app.given_a_chart("Flow").await);
    for (id, value, hour) in [(bore, 9.0, 1), (flow, 10.0, 2), (bore, 11.0, 3), (bore, 12.0, 2)] {
        let at = format!("2026-01-01T{hour:02}:00:00Z");
        let body = json!({"characteristic_id": id, "measurements": [value], "timestamp": at});
        assert_eq!(app.post("/samples", &body).await.0, 201);
    }
    let values = async |query: String| {
        let list = app.get(&format!("/samples?{query}")).await;
        let values: Vec<_> =
            list["items"].as_array().expect("items").iter().map(|s| s["value"].clone()).collect();
        (json!(values), list["total"].as_u64().expect("a total"))
    };
    assert_eq!(values(String::new()).await, (json!([12.0, 11.0, 10.0, 9.0]), 4));
    assert_eq!(values(format!("characteristic_id={bore}&limit=2")).await, (json!([12.0, 11.0]), 3));
    assert_eq!(values(format!("characteristic_id={bore}&offset=2")).await, (json!([9.0]), 3));
    let (two, three) = ("2026-01-01T02:00:00Z", "2026-01-01T04:00:00%2B01:00");
    assert_eq!(values(format!("from={two}")).await, (json!([12.0, 11.0, 10.0]), 3));
    assert_eq!(values(format!("from={two}&to={three}")).await, (json!([12.0, 10.0]), 2));
    assert_eq!(values("characteristic_id=999".to_owned()).await, (json!([]), 0));
    for query in ["from=yesterday", "to=2026-01-01T00:00:00", "characteristic_id=-1", "characteristic_id=x"] {
        let answer = Answer::to(app.request("GET", &format!("/samples?{query}"))).await;
        answer.expect_problem(422, "invalid_query");
    }
}

#[tokio::test]
async fn a_field_that_is_not_known_is_refused_by_name() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    for (field, value) in
        [("n", json!(1)), ("value", json!(1)), ("mode", json!("alive")), ("key", json!("two words"))]
    {
        let mut body = json!({"characteristic_id": bore, "measurements": [1]});
        body[field] = value;
        let answer = Answer::to(app.request("POST", "/samples").json(&body)).await;
        answer.expect_problem(422, "invalid_field").expect_pointer(&format!("/{field}"));
        let answer =
            Answer::to(app.request("POST", "/samples/batch").json(&json!({"samples": [body]}))).await;
        assert_eq!((answer.status, &answer.body["results"][0]["error"]["status"]), (200, &json!(422)));
    }
    let batch = json!({"samples": [], "mode": "past"});
    let answer = Answer::to(app.request("POST", "/samples/batch").json(&batch)).await;
    answer.expect_problem(422, "invalid_field").expect_pointer("/mode");
    let limits = json!({"center_line": 1, "sigma": 1});
    let path = format!("/characteristics/{bore}/control-limits");
    let answer = Answer::to(app.request("PUT", &path).header("Idempotency-Key", "k").json(&limits)).await;
    answer.expect_problem(422, "invalid_header");
    assert!(answer.text.contains("Idempotency-Key"), "{}", answer.text);
    assert_eq!(app.sample_total().await, 0);
}

#[tokio::test]
async fn a_sample_names_its_characteristic_once() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    for body in [
        json!({"measurements": [1]}),
        json!({"characteristic_id": bore, "characteristic_key": "k", "measurements": [1]}),
    ] {
        let answer = Answer::to(app.request("POST", "/samples").json(&body)).await;
        answer.expect_problem(422, "invalid_field").expect_pointer("/characteristic_id");
    }
}
