//! Many samples in one request: one bad item stops nothing.

use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

#[tokio::test]
async fn one_bad_item_stops_nothing_and_order_is_kept() {
    let app = TestApp::spawn().await;
    let (bore, flow) = (app.given_a_chart("Bore").await, app.given_a_chart("Flow").await);
    let mut socket = app.socket().await.subscribed_to([bore, flow]).await;
    let samples = json!([
        {"characteristic_id": bore, "measurements": [10.1]},
        {"characteristic_id": 999, "measurements": [1]},
        {"characteristic_id": flow, "measurements": [10.2]},
        {"characteristic_id": bore, "measurements": [1, 2]},
        {"characteristic_id": bore, "measurements": ["x"]},
        [1, 2],
        {"characteristic_id": bore, "measurements": [10.3], "timestamp": "2026-01-01T00:00:00"},
        {"characteristic_id": bore, "measurements": [99]},
        {"characteristic_id": flow, "measurements": [10.4]},
    ]);
    let (status, answer) = app.post("/samples/batch", &json!({ "samples": samples })).await;
    assert_eq!(status, 200);
    assert_eq!([&answer["total"], &answer["successful"], &answer["failed"]], [9, 4, 5]);
    let results = answer["results"].as_array().expect("results");
    let expected = [None, Some(404), None, Some(422), Some(422), Some(422), Some(422), None, None];
    let mut ids = vec![];
    for (index, (item, error)) in results.iter().zip(expected).enumerate() {
        assert_eq!((&item["index"], &item["duplicate"]), (&json!(index), &json!(false)));
        assert_eq!(item["error"]["status"].as_u64(), error, "{item}");
        assert_eq!(item.get("sample_id").is_some(), error.is_none());
        ids.extend(item["sample_id"].as_i64());
    }
    assert!(ids.is_sorted(), "{ids:?}");
    let mut came = vec![];
    for _ in 0..5 {
        let event = socket.next().await;
        came.push((event["type"].clone(), event["payload"]["sample_id"].as_i64().expect("an id")));
    }
    let [a, b, c, d] = ids[..] else { panic!("{ids:?}") };
    let due = [("sample", a), ("sample", b), ("sample", c), ("violation", c), ("sample", d)];
    assert_eq!(came, due.map(|(kind, id)| (json!(kind), id)));
}

#[tokio::test]
async fn a_batch_may_be_large_but_not_too_large() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    assert_eq!(app.measure_all(bore, &vec![10.0; 3_000]).await.len(), 3_000);
    assert_eq!(app.sample_total().await, 3_000);
    let sample = json!({"characteristic_id": bore, "measurements": [10]});
    let many = json!({"samples": vec![sample; 10_001]});
    let answer = Answer::to(app.request("POST", "/samples/batch").json(&many)).await;
    answer.expect_problem(422, "invalid_field").expect_pointer("/samples");
    assert_eq!(app.sample_total().await, 3_000);
    let empty = app.post("/samples/batch", &json!({"samples": []})).await;
    assert_eq!(empty, (200, json!({"total": 0, "successful": 0, "failed": 0, "results": []})));
}

#[tokio::test]
async fn a_batch_judges_as_single_samples_do() {
    let app = TestApp::spawn().await;
    let rules = json!([{"rule_id": 1}, {"rule_id": 2, "parameters": {"m": 4}}]);
    let values = [10.5, 10.6, 10.7, 10.8, 10.9, 9.0, 14.0, 10.1, 10.2, 10.3];
    let mut fired: Vec<Vec<Value>> = vec![];
    for name in ["One by one", "Batch"] {
        let id = app.given_a_characteristic(&json!({"name": name, "rules": rules})).await;
        app.set(&format!("/characteristics/{id}/control-limits"), &json!({"center_line": 10, "sigma": 1}))
            .await;
        if name == "Batch" {
            app.measure_all(id, &values).await;
        } else {
            for value in values {
                app.measure(id, value).await;
            }
        }
        let list = app.get(&format!("/violations?characteristic_id={id}")).await;
        let of = |v: &Value| json!([v["rule_id"], v["value"]]);
        fired.push(list["items"].as_array().expect("items").iter().map(of).collect());
    }
    assert_eq!(fired[0], fired[1]);
    assert_eq!(fired[0].len(), 4, "{fired:?}");
}

#[tokio::test]
async fn a_batch_that_is_none_is_refused_whole() {
    let app = TestApp::spawn().await;
    let sample = json!({"characteristic_id": 1, "measurements": [10]});
    for body in
        [json!([sample]), json!({}), json!({"samples": {}}), json!({"samples": null}), json!({"items": []})]
    {
        let answer = Answer::to(app.request("POST", "/samples/batch").json(&body)).await;
        answer.expect_problem(422, "invalid_field");
    }
}
