//! Defining characteristics, finding them, and what is told about them.

use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

fn bore() -> Value {
    json!({
        "name": "Bore diameter", "key": "P7:bore", "description": "inner", "chart": "xbar_s", "subgroup_size": 5,
        "min_measurements": 3, "unit": "mm", "decimals": 3, "target": 74.0, "usl": 74.05, "lsl": 73.95,
        "group": "plant/line4/press", "tags": ["bore", "safety"], "reaction_plan": "stop and measure again",
    })
}

#[tokio::test]
async fn a_new_characteristic_is_told_as_it_was_defined_and_where_it_is() {
    let app = TestApp::spawn().await;
    let created = Answer::to(app.request("POST", "/characteristics").json(&bore())).await;
    assert_eq!((created.status, created.header("location")), (201, "/api/v1/characteristics/1"));
    for (name, given) in bore().as_object().expect("an object") {
        assert_eq!(&created.body[name], given, "{name}");
    }
    assert_eq!(created.body["limits_state"], "none");
    assert_eq!(created.body["open_violations"], 0);
    assert_eq!(
        (&created.body["newest_sample"], &created.body["control_limits"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(app.get("/characteristics/1").await, created.body);
}

#[tokio::test]
async fn the_chart_follows_from_the_subgroup_size_unless_it_is_given() {
    let app = TestApp::spawn().await;
    for (size, chart) in [(1, "i_mr"), (2, "xbar_r"), (10, "xbar_r"), (11, "xbar_s"), (25, "xbar_s")] {
        let id = app.given_a_characteristic(&json!({"name": "x", "subgroup_size": size})).await;
        let view = app.get(&format!("/characteristics/{id}")).await;
        assert_eq!((&view["chart"], &view["min_measurements"]), (&json!(chart), &json!(size)));
    }
}

#[tokio::test]
async fn what_stands_about_a_characteristic_is_told_with_it() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    let view = app.get(&format!("/characteristics/{bore}")).await;
    assert_eq!((&view["limits_state"], &view["open_violations"]), (&json!("in_force"), &json!(1)));
    assert_eq!(view["newest_sample"]["violations"][0]["violation_id"], violation);
    assert_eq!(view["control_limits"]["ucl"], 13.0);
    assert_eq!(app.get("/characteristics").await["items"], json!([view]));
    app.acknowledge(violation, "ann").await;
    assert_eq!(app.get(&format!("/characteristics/{bore}")).await["open_violations"], 0);
}

#[tokio::test]
async fn a_list_is_filtered_and_paged() {
    let app = TestApp::spawn().await;
    for (name, key, group, tag) in [
        ("Bore", "k1", "plant/line4", "safety"),
        ("Flow", "k2", "plant/line4/pump", "wet"),
        ("Weight", "k3", "plant/line40", "safety"),
    ] {
        app.given_a_characteristic(&json!({"name": name, "key": key, "group": group, "tags": [tag]})).await;
    }
    app.given_a_characteristic(&json!({"name": "Torque"})).await;
    let names = async |query: &str| {
        let list = app.get(&format!("/characteristics?{query}")).await;
        let names: Vec<_> =
            list["items"].as_array().expect("items").iter().map(|i| i["name"].clone()).collect();
        (json!(names), list["total"].as_u64().expect("a total"))
    };
    assert_eq!(names("").await, (json!(["Bore", "Flow", "Weight", "Torque"]), 4));
    assert_eq!(names("group=plant/line4").await, (json!(["Bore", "Flow"]), 2));
    assert_eq!(names("q=LO").await, (json!(["Flow"]), 1));
    assert_eq!(names("q=k3").await, (json!(["Weight"]), 1));
    assert_eq!(names("tag=safety").await, (json!(["Bore", "Weight"]), 2));
    assert_eq!(names("key=k2").await, (json!(["Flow"]), 1));
    assert_eq!(names("tag=safety&group=plant/line40").await, (json!(["Weight"]), 1));
    assert_eq!(names("offset=1&limit=2").await, (json!(["Flow", "Weight"]), 4));
    assert_eq!(names("offset=9").await, (json!([]), 4));
    let page = app.get("/characteristics?offset=1&limit=2").await;
    assert_eq!((&page["offset"], &page["limit"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn a_page_that_cannot_be_is_refused() {
    let app = TestApp::spawn().await;
    for query in
        ["limit=0", "limit=1001", "limit=-1", "limit=x", "offset=-1", "offset=1.5", "limit=1&limit=2"]
    {
        let answer = Answer::to(app.request("GET", &format!("/characteristics?{query}"))).await;
        answer.expect_problem(422, "invalid_query");
    }
}

#[tokio::test]
async fn a_key_is_given_once() {
    let app = TestApp::spawn().await;
    app.given_a_characteristic(&bore()).await;
    let again = Answer::to(app.request("POST", "/characteristics").json(&bore())).await;
    again.expect_problem(409, "key_taken");
    assert!(again.body["detail"].as_str().expect("text").contains("characteristic 1"), "{}", again.text);
    assert_eq!(app.get("/characteristics").await["total"], 1);
}

#[tokio::test]
async fn a_definition_that_does_not_hold_together_is_refused_with_its_place() {
    let app = TestApp::spawn().await;
    let cases = [
        ("name", json!(" ")),
        ("name", json!("a\nb")),
        ("name", json!("a\u{0}b")),
        ("name", json!("x".repeat(201))),
        ("name", json!(7)),
        ("key", json!("with blank")),
        ("key", json!("")),
        ("key", json!("x".repeat(129))),
        ("description", json!("nul\u{0}")),
        ("chart", json!("pareto")),
        ("chart", json!("i_mr")),
        ("subgroup_size", json!(26)),
        ("subgroup_size", json!(0)),
        ("subgroup_size", json!(-5)),
        ("subgroup_size", json!(2.5)),
        ("min_measurements", json!(6)),
        ("min_measurements", json!(0)),
        ("decimals", json!(16)),
        ("lsl", json!(80.0)),
        ("lsl", json!(74.05)),
        ("group", json!("plant//press")),
        ("tags", json!(["ok", ""])),
        ("unit", json!("")),
        ("auto_limits_after", json!(1)),
        ("retired", json!(true)),
        ("mode", json!("live")),
    ];
    for (field, value) in cases {
        let mut body = bore();
        body[field] = value.clone();
        let answer = Answer::to(app.request("POST", "/characteristics").json(&body)).await;
        answer.expect_problem(422, "invalid_field");
        let pointer = answer.body["errors"][0]["pointer"].as_str().expect("a pointer");
        // A chart and a subgroup size that do not go together: either may be meant.
        let place = format!("/{field}");
        assert!(
            pointer.starts_with(&place) || pointer == "/subgroup_size",
            "{field}={value}: {}",
            answer.text
        );
        assert!(answer.body["detail"].is_string());
    }
    assert_eq!(app.get("/characteristics").await["total"], 0);
}

#[tokio::test]
async fn a_characteristic_that_does_not_exist_is_not_found() {
    let app = TestApp::spawn().await;
    for path in ["", "/rules", "/control-limits", "/chart-data"] {
        let answer = Answer::to(app.request("GET", &format!("/characteristics/7{path}"))).await;
        answer.expect_problem(404, "unknown_characteristic");
    }
    for (method, path, body) in [
        ("PUT", "/characteristics/7/rules", json!({"preset": "nelson"})),
        ("PUT", "/characteristics/7/control-limits", json!({"center_line": 1, "sigma": 1})),
        ("POST", "/characteristics/7/control-limits/recalculate", json!({})),
        ("POST", "/samples", json!({"characteristic_id": 7, "measurements": [1]})),
        ("POST", "/samples", json!({"characteristic_key": "no", "measurements": [1]})),
    ] {
        let answer = Answer::to(app.request(method, path).json(&body)).await;
        answer.expect_problem(404, "unknown_characteristic");
    }
}
