//! Times of samples: any offset is taken, answers are UTC, order is that of arrival.

use chrono_tz::Tz;
use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

fn sample(id: i64, timestamp: &str) -> Value {
    json!({"characteristic_id": id, "measurements": [10], "timestamp": timestamp})
}

#[tokio::test]
async fn any_offset_is_taken_and_answered_in_utc() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    for (given, told) in [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000Z"),
        ("2026-01-31T12:00:00.5+05:30", "2026-01-31T06:30:00.500000Z"),
        ("2026-01-31T12:00:00.123456789-08:00", "2026-01-31T20:00:00.123456Z"),
        ("2026-01-31t12:00:00z", "2026-01-31T12:00:00.000000Z"),
        ("2026-01-31 12:00:00+01:00", "2026-01-31T11:00:00.000000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
    ] {
        let (status, recorded) = app.post("/samples", &sample(bore, given)).await;
        assert_eq!((status, &recorded["timestamp"]), (201, &json!(told)), "{given}: {recorded}");
        let stored = app.get(&format!("/samples/{}", recorded["sample_id"])).await;
        assert_eq!(stored["timestamp"], told);
        assert!(stored["received_at"].as_str() > Some("2026"));
    }
}

#[tokio::test]
async fn a_time_that_is_unclear_or_lies_ahead_is_refused() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let in_a_while =
        (chrono::DateTime::<chrono::Utc>::from(now()) + chrono::TimeDelta::seconds(310)).to_rfc3339();
    for bad in [
        "2026-01-31T12:00:00",
        "2026-01-31",
        "2026-02-30T12:00:00Z",
        "2026-01-31T25:00:00Z",
        "12:00:00Z",
        "1769860800",
        "yesterday",
        "",
        "9999-12-31T23:59:59Z",
        in_a_while.as_str(),
    ] {
        let answer = Answer::to(app.request("POST", "/samples").json(&sample(bore, bad))).await;
        answer.expect_problem(422, "invalid_timestamp").expect_pointer("/timestamp");
        assert!(answer.body["detail"].as_str().expect("text").contains(bad), "{}", answer.text);
    }
    let number = json!({"characteristic_id": bore, "measurements": [10], "timestamp": 1_769_860_800});
    let answer = Answer::to(app.request("POST", "/samples").json(&number)).await;
    answer.expect_problem(422, "invalid_field").expect_pointer("/timestamp");
    assert_eq!(app.sample_total().await, 0);
    let soon = (chrono::DateTime::<chrono::Utc>::from(now()) + chrono::TimeDelta::seconds(200)).to_rfc3339();
    assert_eq!(app.post("/samples", &sample(bore, &soon)).await.0, 201);
}

#[allow(clippy::disallowed_methods, reason = "what the server compares with is the machine's clock")]
fn now() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

#[tokio::test]
async fn a_setting_names_the_zone_of_times_without_one() {
    let app = TestApp::builder()
        .with(|settings| settings.input.naive_timestamps = Some(Tz::Europe__Berlin))
        .spawn()
        .await;
    let bore = app.given_a_chart("Bore").await;
    for (given, told) in [
        ("2026-01-31T12:00:00", "2026-01-31T11:00:00.000000Z"),
        ("2026-07-01T12:00:00.25", "2026-07-01T10:00:00.250000Z"),
        ("2026-07-01T12:00:00Z", "2026-07-01T12:00:00.000000Z"),
        ("2025-10-26T02:30:00", "2025-10-26T00:30:00.000000Z"),
    ] {
        let (status, recorded) = app.post("/samples", &sample(bore, given)).await;
        assert_eq!((status, &recorded["timestamp"]), (201, &json!(told)), "{given}: {recorded}");
    }
    // The hour that clocks jump over.
    let answer = Answer::to(app.request("POST", "/samples").json(&sample(bore, "2026-03-29T02:30:00"))).await;
    answer.expect_problem(422, "invalid_timestamp");
    assert_eq!(app.get("/samples?to=2026-01-01T00:00:00").await["total"], 1);
}

#[tokio::test]
async fn judging_follows_the_order_of_arrival() {
    let app = TestApp::spawn().await;
    let rules = json!([{"rule_id": 3, "parameters": {"m": 3}}]);
    let id = app.given_a_characteristic(&json!({"name": "Bore", "rules": rules})).await;
    app.set(&format!("/characteristics/{id}/control-limits"), &json!({"center_line": 10, "sigma": 1})).await;
    let mut last = Value::Null;
    for (value, at) in
        [(10.0, "2026-01-03T00:00:00Z"), (10.1, "2026-01-01T00:00:00Z"), (10.2, "2026-01-02T00:00:00Z")]
    {
        let body = json!({"characteristic_id": id, "measurements": [value], "timestamp": at});
        last = app.post("/samples", &body).await.1;
    }
    assert_eq!(last["violations"][0]["rule_id"], 3);
    let points = app.get(&format!("/characteristics/{id}/chart-data")).await["points"].clone();
    let values: Vec<_> = points.as_array().expect("points").iter().map(|p| p["value"].clone()).collect();
    assert_eq!(json!(values), json!([10.0, 10.1, 10.2]));
}
