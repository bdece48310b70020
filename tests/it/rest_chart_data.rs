//! Everything that a control chart draws.

use serde_json::{Value, json};

use crate::support::TestApp;

fn close(found: &Value, due: f64) -> bool {
    found.as_f64().is_some_and(|found| (found - due).abs() < 1e-9)
}

#[tokio::test]
async fn points_come_oldest_first_each_with_the_limits_that_judged_it() {
    let app = TestApp::spawn().await;
    let definition = json!({
        "name": "Bore", "unit": "mm", "decimals": 2, "target": 10, "usl": 14, "lsl": 6, "rules": {"preset": "outlier"},
    });
    let id = app.given_a_characteristic(&definition).await;
    app.measure(id, 1.0).await;
    let limits = |center: i32| json!({"center_line": center, "ucl": center + 3, "lcl": center - 3});
    let first = app.set(&format!("/characteristics/{id}/control-limits"), &limits(10)).await;
    let out = app.measure(id, 13.5).await;
    let second = app.set(&format!("/characteristics/{id}/control-limits"), &limits(12)).await;
    app.measure(id, 13.5).await;
    let violation = &out["violations"][0]["violation_id"];
    app.acknowledge(violation.as_i64().expect("an id"), "ann").await;

    let chart = app.get(&format!("/characteristics/{id}/chart-data")).await;
    assert_eq!([&chart["characteristic_name"], &chart["chart"], &chart["unit"]], ["Bore", "i_mr", "mm"]);
    assert_eq!(chart["specification"], json!({"target": 10.0, "usl": 14.0, "lsl": 6.0}));
    assert_eq!(chart["control_limits"], second);
    let points = chart["points"].as_array().expect("points");
    let values: Vec<_> = points.iter().map(|p| p["value"].clone()).collect();
    assert_eq!(json!(values), json!([1.0, 13.5, 13.5]));
    let told =
        |p: &Value| json!([p["limits_id"], p["ucl"], p["center_line"], p["lcl"], p["zone"], p["in_control"]]);
    assert_eq!(told(&points[0]), json!([null, null, null, null, null, null]));
    assert_eq!(told(&points[1]), json!([first["limits_id"], 13.0, 10.0, 7.0, "beyond_ucl", false]));
    assert_eq!(told(&points[2]), json!([second["limits_id"], 15.0, 12.0, 9.0, "zone_b_upper", true]));
    let fired = json!([{
        "violation_id": violation, "chart": "location", "rule_id": 1, "severity": "CRITICAL", "acknowledged": true,
    }]);
    assert_eq!((&points[0]["rules"], &points[1]["rules"]), (&json!([]), &fired));
    assert!(points.iter().all(|p| p["is_excluded"] == false && p["baseline"] == false && p["n"] == 1));
}

#[tokio::test]
async fn zone_lines_lie_at_one_and_two_sigma() {
    let app = TestApp::spawn().await;
    let id = app.given_a_characteristic(&json!({"name": "Means", "subgroup_size": 4})).await;
    let path = format!("/characteristics/{id}/chart-data");
    assert_eq!(app.get(&path).await["zone_lines"], Value::Null);
    app.set(&format!("/characteristics/{id}/control-limits"), &json!({"center_line": 10, "sigma": 3})).await;
    let lines = app.get(&path).await["zone_lines"].clone();
    for (name, due) in [
        ("upper_2_sigma", 13.0),
        ("upper_1_sigma", 11.5),
        ("center_line", 10.0),
        ("lower_1_sigma", 8.5),
        ("lower_2_sigma", 7.0),
    ] {
        assert!(close(&lines[name], due), "{name}: {lines}");
    }
}

#[tokio::test]
async fn the_dispersion_chart_has_its_own_points_and_limits() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let ids = app.measure_all(bore, &[10.0, 10.5, 9.5]).await;
    let chart = app.get(&format!("/characteristics/{bore}/chart-data")).await;
    let ranges = chart["dispersion"].as_array().expect("points");
    // The first individual has nothing to move from.
    assert_eq!(
        ranges.iter().map(|p| p["sample_id"].as_i64()).collect::<Vec<_>>(),
        [Some(ids[1]), Some(ids[2])]
    );
    assert!(close(&ranges[0]["value"], 0.5) && close(&ranges[1]["value"], 1.0), "{ranges:?}");
    assert_eq!(ranges[0]["limits"]["statistic"], "mr");
    assert!(close(&ranges[0]["limits"]["lcl"], 0.0));
    let id = app.given_a_characteristic(&json!({"name": "Means", "subgroup_size": 3})).await;
    app.post("/samples", &json!({"characteristic_id": id, "measurements": [1, 2, 4]})).await;
    let chart = app.get(&format!("/characteristics/{id}/chart-data")).await;
    assert_eq!(
        (&chart["dispersion"][0]["value"], &chart["dispersion"][0]["limits"]),
        (&json!(3.0), &Value::Null)
    );
}

#[tokio::test]
async fn points_of_the_baseline_are_marked() {
    let app = TestApp::spawn().await;
    let id = app.given_a_characteristic(&json!({"name": "Bore"})).await;
    app.measure_all(id, &[10.0, 11.0, 9.0, 10.0, 11.0, 9.0]).await;
    let path = format!("/characteristics/{id}/control-limits/recalculate");
    let (status, found) = app.post(&path, &json!({"last_n": 4, "min_samples": 4})).await;
    assert_eq!(status, 200, "{found}");
    app.measure(id, 10.0).await;
    let chart = app.get(&format!("/characteristics/{id}/chart-data")).await;
    let marks: Vec<_> =
        chart["points"].as_array().expect("points").iter().map(|p| p["baseline"].clone()).collect();
    assert_eq!(json!(marks), json!([false, false, true, true, true, true, false]));
}

#[tokio::test]
async fn a_chart_shows_the_newest_points_of_a_range() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    for hour in 1..=5 {
        let at = format!("2026-01-01T{hour:02}:00:00Z");
        let body = json!({"characteristic_id": bore, "measurements": [9.0 + 0.1 * f64::from(hour)], "timestamp": at});
        app.post("/samples", &body).await;
    }
    let hours = async |query: &str| {
        let chart = app.get(&format!("/characteristics/{bore}/chart-data?{query}")).await;
        let points = chart["points"].as_array().expect("points").clone();
        points.iter().map(|p| p["timestamp"].as_str().expect("a time")[11..13].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(hours("limit=2").await, ["04", "05"]);
    assert_eq!(hours("from=2026-01-01T02:00:00Z&to=2026-01-01T04:00:00Z").await, ["02", "03"]);
    assert_eq!(hours("to=2026-01-01T04:00:00Z&limit=1").await, ["03"]);
    assert_eq!(hours("from=2027-01-01T00:00:00Z").await, [""; 0]);
}
