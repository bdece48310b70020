//! Published data with known answers, over REST.
//!
//! Piston rings: inside diameters in mm, 40 subgroups of 5 (Montgomery, *Introduction to Statistical
//! Quality Control*). Flow rate: 10 individuals (NIST/SEMATECH e-Handbook, 6.3.2.2).

use serde_json::{Value, json};

use crate::support::TestApp;

const PISTON_RINGS: &str = include_str!("../data/piston_rings.csv");
const FLOW_RATE: &str = include_str!("../data/flow_rate.csv");

/// Samples of a characteristic, one per line; the first column is their number.
fn samples(characteristic: i64, csv: &str) -> Vec<Value> {
    let sample = |line: &str| {
        let values: Vec<f64> =
            line.split(',').skip(1).map(|field| field.parse().expect("a number")).collect();
        json!({"characteristic_id": characteristic, "measurements": values})
    };
    csv.lines().skip(1).map(sample).collect()
}

async fn send(app: &TestApp, samples: &[Value]) -> Vec<i64> {
    let (status, answer) = app.post("/samples/batch", &json!({ "samples": samples })).await;
    assert_eq!((status, &answer["failed"]), (200, &json!(0)), "{answer}");
    let results = answer["results"].as_array().expect("results");
    results.iter().map(|item| item["sample_id"].as_i64().expect("an id")).collect()
}

async fn recalculate(app: &TestApp, id: i64, min_samples: u32) -> Value {
    let path = format!("/characteristics/{id}/control-limits/recalculate");
    let (status, answer) = app.post(&path, &json!({ "min_samples": min_samples })).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[track_caller]
fn assert_close(found: &Value, published: f64) {
    let found = found.as_f64().expect("a number");
    assert!((found - published).abs() < 5e-6, "{found}, published is {published}");
}

#[tokio::test]
async fn piston_rings_signal_where_the_book_says() {
    let app = TestApp::spawn().await;
    let definition =
        json!({"name": "Piston ring", "chart": "xbar_r", "subgroup_size": 5, "rules": {"preset": "nelson"}});
    let id = app.given_a_characteristic(&definition).await;
    let subgroups = samples(id, PISTON_RINGS);
    let mut ids = send(&app, &subgroups[..25]).await;
    let found = recalculate(&app, id, 25).await;
    let limits = &found["after"];
    for (name, published) in
        [("center_line", 74.00118), ("sigma", 0.009785), ("lcl", 73.98805), ("ucl", 74.0143)]
    {
        assert_close(&limits[name], published);
    }
    // Published as 0.04812, with D4 rounded to 2.114; the exact constants give 0.048126.
    assert_close(&limits["dispersion"]["ucl"], 0.048126);
    ids.extend(send(&app, &subgroups[25..]).await);

    let list = app.get(&format!("/violations?characteristic_id={id}&rule_id=1&limit=1000")).await;
    let location = list["items"].as_array().expect("items").iter().filter(|v| v["chart"] == "location");
    let mut outliers: Vec<usize> = location.map(|v| number_of(v, &ids)).collect();
    outliers.sort_unstable();
    assert_eq!(outliers, [37, 38, 39]);
    let zone_a = app.get(&format!("/violations?characteristic_id={id}&rule_id=5&limit=1000")).await;
    let first = zone_a["items"].as_array().expect("items").iter().map(|v| number_of(v, &ids)).min();
    assert_eq!(first, Some(35));
}

/// The number, from 1, of the subgroup that a violation is about.
fn number_of(violation: &Value, ids: &[i64]) -> usize {
    let sample = violation["sample_id"].as_i64().expect("an id");
    ids.iter().position(|id| *id == sample).expect("one of ours") + 1
}

#[tokio::test]
async fn flow_rate_stays_within_the_limits_of_the_handbook() {
    let app = TestApp::spawn().await;
    let id = app.given_a_characteristic(&json!({"name": "Flow rate", "rules": {"preset": "outlier"}})).await;
    let ids = send(&app, &samples(id, FLOW_RATE)).await;
    let found = recalculate(&app, id, 10).await;
    let limits = &found["after"];
    assert_close(&limits["center_line"], 50.81);
    let mean_range = limits["dispersion"]["center_line"].as_f64().expect("a number");
    assert!((mean_range - 1.8778).abs() < 5e-5, "{mean_range}");
    for (name, published) in [("lcl", 45.818), ("ucl", 55.802)] {
        let line = limits[name].as_f64().expect("a number");
        assert!((line - published).abs() < 5e-4, "{name} {line}"); // published with three decimals
    }
    assert_eq!(found["baseline"]["signals"], json!([]));
    assert_eq!(found["baseline"]["n"], ids.len());
    let again = samples(id, FLOW_RATE);
    send(&app, &again).await;
    assert_eq!(app.get("/violations").await["total"], 0);
}
