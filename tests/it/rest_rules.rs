//! Which run rules judge a characteristic.

use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

fn enabled(rules: &Value) -> Vec<i64> {
    let all = rules["rules"].as_array().expect("rules");
    all.iter().filter(|rule| rule["enabled"] == true).filter_map(|rule| rule["rule_id"].as_i64()).collect()
}

#[tokio::test]
async fn presets_switch_the_rules_on_that_the_field_gives_them() {
    let app = TestApp::spawn().await;
    let id = app.given_a_characteristic(&json!({"name": "Bore"})).await;
    let path = format!("/characteristics/{id}/rules");
    assert_eq!(enabled(&app.get(&path).await), [1, 2, 5, 6]);
    for (preset, ids, shift) in [
        ("nelson", &[1, 2, 3, 4, 5, 6, 7, 8][..], 9),
        ("western_electric", &[1, 2, 5, 6], 8),
        ("balanced", &[1, 2, 5, 6], 9),
        ("outlier", &[1], 9),
    ] {
        let set = app.set(&path, &json!({ "preset": preset })).await;
        assert_eq!(
            (enabled(&set), &set["rules"][1]["parameters"]),
            (ids.to_vec(), &json!({"m": shift})),
            "{preset}"
        );
        assert_eq!(app.get(&path).await, set);
        assert_eq!(app.get(&format!("/characteristics/{id}")).await["rules"], set["rules"]);
    }
}

#[tokio::test]
async fn a_list_sets_what_it_names_and_switches_the_others_off() {
    let app = TestApp::spawn().await;
    let id = app.given_a_characteristic(&json!({"name": "Bore", "rules": {"preset": "nelson"}})).await;
    let rules = json!([
        {"rule_id": 2, "enabled": true, "severity": "CRITICAL", "parameters": {"m": 7}},
        {"rule_id": 5, "parameters": {"k": 3, "m": 4}, "requires_acknowledgement": false},
        {"rule_id": 1, "enabled": false},
    ]);
    let set = app.set(&format!("/characteristics/{id}/rules"), &rules).await;
    assert_eq!(enabled(&set), [2, 5]);
    let (shift, zone_a) = (&set["rules"][1], &set["rules"][4]);
    assert_eq!((&shift["severity"], &shift["parameters"]), (&json!("CRITICAL"), &json!({"m": 7})));
    assert_eq!((&zone_a["rule_name"], &zone_a["parameters"]), (&json!("Zone A"), &json!({"k": 3, "m": 4})));
    assert_eq!(zone_a["requires_acknowledgement"], false);
}

#[tokio::test]
async fn rules_act_from_the_next_sample_and_count_the_points_before() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.measure_all(bore, &[10.5; 8]).await;
    let rules = json!([{"rule_id": 2, "severity": "INFO", "requires_acknowledgement": false}]);
    app.set(&format!("/characteristics/{bore}/rules"), &rules).await;
    assert_eq!(app.get("/violations").await["total"], 0);
    let ninth = app.measure(bore, 10.5).await;
    assert_eq!(
        (&ninth["violations"][0]["rule_id"], &ninth["violations"][0]["severity"]),
        (&json!(2), &json!("INFO"))
    );
    let violation = &app.get("/violations").await["items"][0];
    assert_eq!(violation["involved_sample_ids"].as_array().map(Vec::len), Some(9));
    assert_eq!(violation["requires_acknowledgement"], false);
}

#[tokio::test]
async fn rules_that_cannot_be_are_refused_with_their_place_and_change_nothing() {
    let app = TestApp::spawn().await;
    let id = app.given_a_characteristic(&json!({"name": "Bore"})).await;
    let path = format!("/characteristics/{id}/rules");
    let before = app.get(&path).await;
    let cases = [
        (json!([{"rule_id": 1}, {"rule_id": 9}]), "/1", "1 to 8"),
        (json!([{"rule_id": 0}]), "/0", "1 to 8"),
        (json!([{"rule_id": 2}, {"rule_id": 2}]), "/1", "twice"),
        (json!([{"rule_id": 1, "parameters": {"m": 2}}]), "/0", "no parameters"),
        (json!([{"rule_id": 2, "parameters": {"k": 2, "m": 3}}]), "/0", "m only"),
        (json!([{"rule_id": 5, "parameters": {"m": 3}}]), "/0", "both"),
        (json!([{"rule_id": 5, "parameters": {"k": 4, "m": 3}}]), "/0", "1 to m"),
        (json!([{"rule_id": 2, "parameters": {"m": 65}}]), "/0", "64"),
        (json!([{"rule_id": 4, "parameters": {"m": 2}}]), "/0", "3"),
        (json!([{"rule_id": 2, "severity": "loud"}]), "/0/severity", "CRITICAL"),
        (json!([{"rule_id": 2, "enabld": true}]), "/0/enabld", "enabld"),
        (json!([{"rule_id": 2, "parameters": {"n": 7}}]), "/0/parameters/n", "`n`"),
        (json!([{"enabled": true}]), "/0", "rule_id"),
        (json!([7]), "/0", "7"),
        (json!([[2, true, null, null, {}]]), "/0", "an object"),
        (json!([{"rule_id": 2, "parameters": [null, 7]}]), "/0/parameters", "an object"),
        (json!({"preset": "strict"}), "/preset", "western_electric"),
        (json!({"preset": "nelson", "mode": 1}), "/mode", "mode"),
        (json!({}), "", "preset"),
        (json!(7), "", "preset"),
    ];
    for (body, pointer, says) in cases {
        let answer = Answer::to(app.request("PUT", &path).json(&body)).await;
        answer.expect_problem(422, "invalid_field").expect_pointer(pointer);
        assert!(answer.body["detail"].as_str().expect("text").contains(says), "{says}: {}", answer.text);
        let definition = json!({"name": "Flow", "rules": body});
        let answer = Answer::to(app.request("POST", "/characteristics").json(&definition)).await;
        answer.expect_problem(422, "invalid_field").expect_pointer(&format!("/rules{pointer}"));
    }
    assert_eq!(app.get(&path).await, before);
}
