//! Control limits calculated from stored samples.

use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

fn path(id: i64) -> String {
    format!("/characteristics/{id}/control-limits/recalculate")
}

/// 30 values around 10 with a mean moving range of 1.
fn values() -> Vec<f64> {
    (0..30).map(|i| if i % 2 == 0 { 9.5 } else { 10.5 }).collect()
}

async fn given_samples(app: &TestApp, values: &[f64]) -> (i64, Vec<i64>) {
    let rules = json!({"preset": "outlier"});
    let id = app.given_a_characteristic(&json!({"name": "Bore", "rules": rules})).await;
    (id, app.measure_all(id, values).await)
}

async fn recalculated(app: &TestApp, id: i64, body: &Value) -> Value {
    let (status, answer) = app.post(&path(id), body).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn limits_come_from_the_samples_of_the_present_phase() {
    let app = TestApp::spawn().await;
    let (id, samples) = given_samples(&app, &values()).await;
    let mut socket = app.socket().await.subscribed_to([id]).await;
    let found = recalculated(&app, id, &json!({"reason": "study", "user": "ann"})).await;
    let after = &found["after"];
    assert_eq!((&found["before"], &after["center_line"]), (&Value::Null, &json!(10.0)));
    let sigma = after["sigma"].as_f64().expect("a number");
    assert!((sigma - 0.886_226_925_5).abs() < 1e-9, "{sigma}");
    assert_eq!((&after["method"], &after["sample_count"]), (&json!("moving_range"), &json!(30)));
    assert_eq!(after["first_sample_id"], samples[0]);
    assert_eq!((&after["user"], &after["reason"]), (&json!("ann"), &json!("study")));
    assert_eq!(after["dispersion"]["statistic"], "mr");
    assert_eq!(found["calculation"], json!({"method": "moving_range", "preview": false, "changed": true}));
    let (first, last) = (samples[0], samples[29]);
    let baseline =
        json!({"first_sample_id": first, "last_sample_id": last, "n": 30, "signals": [], "left_out": []});
    assert_eq!(found["baseline"], baseline);
    assert_eq!(&socket.next_of_type("control_limits").await["payload"], after);
    // The next phase has no sample yet.
    let again = Answer::to(app.request("POST", &path(id))).await;
    again.expect_problem(409, "too_few_samples");
}

#[tokio::test]
async fn fewer_samples_than_asked_for_are_too_few() {
    let app = TestApp::spawn().await;
    let (id, _) = given_samples(&app, &values()[..24]).await;
    let answer = Answer::to(app.request("POST", &path(id))).await;
    answer.expect_problem(409, "too_few_samples");
    assert!(answer.body["detail"].as_str().expect("text").contains("25"), "{}", answer.text);
    recalculated(&app, id, &json!({"min_samples": 24})).await;
}

#[tokio::test]
async fn a_recalculation_takes_the_newest_or_a_range() {
    let app = TestApp::spawn().await;
    let id = app.given_a_characteristic(&json!({"name": "Bore"})).await;
    let mut ids = vec![];
    for (minute, value) in values().into_iter().enumerate() {
        let at = format!("2026-01-01T00:{minute:02}:00Z");
        let body = json!({"characteristic_id": id, "measurements": [value], "timestamp": at});
        ids.push(app.post("/samples", &body).await.1["sample_id"].as_i64().expect("an id"));
    }
    let baseline = async |mut body: Value| {
        body["min_samples"] = json!(2);
        body["preview"] = json!(true);
        let found = recalculated(&app, id, &body).await["baseline"].clone();
        [&found["first_sample_id"], &found["last_sample_id"], &found["n"]]
            .map(|v| v.as_i64().expect("a number"))
    };
    assert_eq!(baseline(json!({"last_n": 5})).await, [ids[25], ids[29], 5]);
    let (from, to) = ("2026-01-01T00:10:00Z", "2026-01-01T01:20:00+01:00");
    assert_eq!(baseline(json!({ "from": from })).await, [ids[10], ids[29], 20]);
    assert_eq!(baseline(json!({ "to": to })).await, [ids[0], ids[19], 20]);
    assert_eq!(baseline(json!({"from": from, "to": to})).await, [ids[10], ids[19], 10]);
    assert_eq!(baseline(json!({"from": from, "to": to, "last_n": 3})).await, [ids[17], ids[19], 3]);
}

#[tokio::test]
async fn a_preview_tells_the_same_and_publishes_nothing() {
    let app = TestApp::spawn().await;
    let (id, _) = given_samples(&app, &values()).await;
    let mut socket = app.socket().await.subscribed_to([id]).await;
    let preview = recalculated(&app, id, &json!({"preview": true})).await;
    assert_eq!(preview["calculation"]["preview"], true);
    assert_eq!(app.get(&format!("/characteristics/{id}/control-limits")).await["total"], 0);
    let next = app.measure(id, 10.0).await;
    assert_eq!(socket.next().await["seq"], next["seq"]);
    let real = recalculated(&app, id, &json!({"to": preview["after"]["timestamp"]})).await;
    for name in ["center_line", "ucl", "lcl", "sigma", "dispersion"] {
        assert_eq!(real["after"][name], preview["after"][name], "{name}");
    }
    assert_eq!(real["baseline"], preview["baseline"]);
}

#[tokio::test]
async fn the_baseline_tells_which_of_its_points_are_out() {
    let app = TestApp::spawn().await;
    let mut data = values();
    data[12] = 19.0;
    let (id, samples) = given_samples(&app, &data).await;
    let found = recalculated(&app, id, &json!({})).await;
    assert_eq!(found["baseline"]["signals"], json!([{"sample_id": samples[12], "rule_ids": [1]}]));
    // Told, never stored: the past is not judged again.
    assert_eq!(app.get("/violations").await["total"], 0);
}

#[tokio::test]
async fn samples_that_do_not_vary_make_no_limits() {
    let app = TestApp::spawn().await;
    let (id, _) = given_samples(&app, &[7.25; 30]).await;
    Answer::to(app.request("POST", &path(id))).await.expect_problem(422, "no_variation");
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_name() {
    let app = TestApp::spawn().await;
    let (id, _) = given_samples(&app, &values()).await;
    for (body, field) in [
        (json!({"method": "range"}), "/method"),
        (json!({"method": "given"}), "/method"),
        (json!({"method": "guess"}), "/method"),
        (json!({"exclude_out_of_control": 1}), "/exclude_out_of_control"),
        (json!({"last_n": 1}), "/last_n"),
        (json!({"min_samples": 0}), "/min_samples"),
        (json!({"last_n": -3}), "/last_n"),
        (json!({"preview": "yes"}), "/preview"),
    ] {
        let answer = Answer::to(app.request("POST", &path(id)).json(&body)).await;
        answer.expect_problem(422, "invalid_field").expect_pointer(field);
    }
    let naive =
        Answer::to(app.request("POST", &path(id)).json(&json!({"from": "2026-01-01T00:00:00"}))).await;
    assert_eq!(naive.status, 422, "{}", naive.text);
    assert_eq!(app.get(&format!("/characteristics/{id}/control-limits")).await["total"], 0);
}

#[tokio::test]
async fn points_out_of_control_can_be_left_out_until_none_is() {
    let app = TestApp::spawn().await;
    let mut samples = values();
    (samples[4], samples[20]) = (90.0, 40.0); // the second shows only once the first is left out
    let (id, sample_ids) = given_samples(&app, &samples).await;
    let body = json!({"exclude_out_of_control": true, "preview": true});
    let (status, found) = app.post(&path(id), &body).await;
    assert_eq!(status, 200, "{found}");
    assert_eq!(found["baseline"]["left_out"], json!([sample_ids[4], sample_ids[20]]));
    assert_eq!(found["baseline"]["n"], samples.len() - 2);

    // The same limits as if they had never been taken: moving ranges that touch them are dropped.
    let kept = |range: std::ops::Range<usize>| samples[range].to_vec();
    let ranges: Vec<f64> = [kept(0..4), kept(5..20), kept(21..samples.len())]
        .iter()
        .flat_map(|run| run.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect::<Vec<_>>())
        .collect();
    let sigma = ranges.iter().sum::<f64>() / ranges.len() as f64 * std::f64::consts::PI.sqrt() / 2.0; // d2(2) = 2 / sqrt(pi)
    let calculated = found["after"]["sigma"].as_f64().expect("a number");
    assert!((calculated - sigma).abs() < 1e-9, "{calculated} for {sigma}");

    let (_, plain) = app.post(&path(id), &json!({"preview": true})).await;
    assert_eq!(plain["baseline"]["left_out"], json!([]));
    assert!(plain["after"]["sigma"].as_f64() > Some(sigma));
}

#[tokio::test]
async fn subgroups_show_sigma_either_way() {
    let app = TestApp::spawn().await;
    let definition = json!({"name": "Ring", "subgroup_size": 3, "chart": "xbar_r"});
    let id = app.given_a_characteristic(&definition).await;
    let subgroup = |n: u32| {
        let base = f64::from(n % 5);
        json!({"characteristic_id": id, "measurements": [base, base + 1.0, base + 3.0]})
    };
    let samples: Vec<Value> = (0..25).map(subgroup).collect();
    app.post("/samples/batch", &json!({ "samples": samples })).await;
    let mut sigmas = vec![];
    // Every subgroup has the same range, 3, and the same standard deviation, sqrt(7/3).
    for (method, due) in [
        ("range", 3.0 / 1.692_568_750_643_269),
        ("std_dev", (7.0f64 / 3.0).sqrt() / (std::f64::consts::PI.sqrt() / 2.0)),
    ] {
        let (status, found) = app.post(&path(id), &json!({"method": method, "preview": true})).await;
        assert_eq!((status, &found["calculation"]["method"]), (200, &json!(method)), "{found}");
        let sigma = found["after"]["sigma"].as_f64().expect("a number");
        assert!((sigma - due).abs() < 1e-9, "{method}: {sigma} for {due}");
        assert_eq!(found["after"]["dispersion"]["statistic"], "r", "the chart stays what it is");
        sigmas.push(sigma);
    }
    assert_ne!(sigmas[0], sigmas[1]);
    let refused = Answer::to(app.request("POST", &path(id)).json(&json!({"method": "moving_range"}))).await;
    refused.expect_problem(422, "invalid_field").expect_pointer("/method");
}

#[tokio::test]
async fn the_body_may_be_left_out_or_empty() {
    let app = TestApp::spawn().await;
    let (id, _) = given_samples(&app, &values()).await;
    let json = app.request("POST", &path(id)).header("content-type", "application/json");
    assert_eq!(Answer::to(json).await.status, 200);
    let text = app.request("POST", &path(id)).header("content-type", "text/plain").body("{}");
    Answer::to(text).await.expect_problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_foreign_page_cannot_recalculate_without_being_asked_about() {
    let app = TestApp::spawn().await;
    let (id, _) = given_samples(&app, &values()).await;
    // A request without a body or content type is one that browsers send without asking the server first.
    let forged = app.request("POST", &path(id)).header("origin", "https://evil.example");
    assert!(Answer::to(forged).await.status >= 400);
    assert_eq!(app.get(&format!("/characteristics/{id}/control-limits")).await["total"], 0);
}
