//! Requests and samples that come twice have their effect once.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, TestApp};

async fn send(app: &TestApp, path: &str, key: &str, body: &Value) -> Answer {
    Answer::to(app.request("POST", path).header("Idempotency-Key", key).json(body)).await
}

#[tokio::test]
async fn a_request_that_comes_again_gets_the_first_answer_again() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let body = json!({"characteristic_id": bore, "measurements": [99.0]});
    let first = send(&app, "/samples", "k1", &body).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let again = send(&app, "/samples", "k1", &body).await;
    assert_eq!((again.status, &again.text), (201, &first.text), "word for word");
    assert_eq!(app.sample_total().await, 1);
    send(&app, "/samples", "k1", &json!({"characteristic_id": bore, "measurements": [98.0]}))
        .await
        .expect_problem(422, "other_body");
    assert_eq!(send(&app, "/samples", "k2", &body).await.status, 201, "another key, another request");
    assert_eq!(app.sample_total().await, 2);
}

#[tokio::test]
async fn what_would_be_refused_at_any_time_is_kept_and_the_rest_is_not() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let unknown = json!({"characteristic_key": "later", "measurements": [1.0]});
    send(&app, "/samples", "k", &unknown).await.expect_problem(404, "unknown_characteristic");
    app.given_a_characteristic(&json!({"name": "Later", "key": "later"})).await;
    assert_eq!(send(&app, "/samples", "k", &unknown).await.status, 201, "it is known now");
    let two = json!({"characteristic_id": bore, "measurements": [1.0, 2.0]});
    let first = send(&app, "/samples", "m", &two).await;
    first.expect_problem(422, "invalid_measurements");
    assert_eq!(send(&app, "/samples", "m", &two).await.text, first.text);
    for key in ["", "two words", &"x".repeat(129)] {
        send(&app, "/samples", key, &two).await.expect_problem(422, "invalid_header");
    }
}

#[tokio::test]
async fn twenty_twins_at_once_have_one_effect() {
    let app = std::sync::Arc::new(TestApp::spawn().await);
    let bore = app.given_a_chart("Bore").await;
    let mut twins = JoinSet::new();
    for _ in 0..20 {
        let app = std::sync::Arc::clone(&app);
        let body = json!({"characteristic_id": bore, "measurements": [99.0]});
        twins.spawn(async move { send(&app, "/samples", "twin", &body).await.text });
    }
    let answers = twins.join_all().await;
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(app.sample_total().await, 1);
    assert_eq!(app.get("/violations").await["total"], 1);
}

#[tokio::test]
async fn an_acknowledgement_that_comes_again_is_no_lost_race() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let (one, two) = (app.given_a_violation_on(bore).await, app.given_a_violation_on(bore).await);
    let mut socket = app.socket().await;
    let body = json!({"reason": "Tool Change", "user": "ann"});
    let path = format!("/violations/{one}/acknowledge");
    let first = send(&app, &path, "k", &body).await;
    assert_eq!(first.status, 200, "{}", first.text);
    assert_eq!(send(&app, &path, "k", &body).await.text, first.text);
    let lost = send(&app, &path, "other", &body).await;
    lost.expect_problem(409, "already_acknowledged");
    assert_eq!(send(&app, &path, "other", &body).await.text, lost.text);

    let many = json!({"violation_ids": [one, two], "reason": "Other", "user": "bob"});
    let first = send(&app, "/violations/batch-acknowledge", "k", &many).await;
    assert_eq!((first.status, &first.body["successful"]), (200, &json!(1)), "{}", first.text);
    assert_eq!(send(&app, "/violations/batch-acknowledge", "k", &many).await.text, first.text);
    let head = app.measure(bore, 10.0).await["seq"].as_u64().expect("a position");
    let told = socket.all_up_to(head).await;
    assert_eq!(told.len(), 2, "each violation was acknowledged once: {told:?}");
}

#[tokio::test]
async fn a_batch_goes_on_where_it_died() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let sample = |value: f64| json!({"characteristic_id": bore, "measurements": [value]});
    let mut samples: Vec<Value> = (0..50).map(|n| sample(f64::from(n) / 10.0 + 5.0)).collect();
    samples[7] = json!({"characteristic_id": bore, "measurements": [1, 2]});
    samples[8] = json!({"characteristic_id": 99, "measurements": [1]});
    let whole = json!({ "samples": samples });
    let first = send(&app, "/samples/batch", "b", &whole).await;
    assert_eq!(first.body["successful"], 48, "{}", first.text);
    // As if the process had died after some of its commits: the answers of the others are not there.
    let mut other = crate::support::Database::open(&app.database()).await;
    let before = app.sample_total().await;
    other.run("DELETE FROM idempotency WHERE part = 8").await;
    let again = send(&app, "/samples/batch", "b", &whole).await;
    assert_eq!(again.text, first.text);
    assert_eq!(app.sample_total().await, before);
    send(&app, "/samples/batch", "b", &json!({"samples": [sample(1.0)]}))
        .await
        .expect_problem(422, "other_body");
    let longer = json!({"samples": [sample(5.0), sample(6.0)]});
    send(&app, "/samples/batch", "b", &longer).await.expect_problem(422, "other_body");
    assert_eq!(app.sample_total().await, before, "another body under the key changes nothing");
}

#[tokio::test]
async fn a_sample_with_a_key_is_stored_once_whoever_sends_it_again() {
    let app = TestApp::spawn().await;
    let (bore, flow) = (app.given_a_chart("Bore").await, app.given_a_chart("Flow").await);
    let keyed = |id: i64, key: &str, value: f64| json!({"characteristic_id": id, "key": key, "measurements": [value]});
    let (status, first) = app.post("/samples", &keyed(bore, "s1", 99.0)).await;
    assert_eq!((status, &first["duplicate"]), (201, &json!(false)));
    let (status, again) = app.post("/samples", &keyed(bore, "s1", 99.0)).await;
    let mut due = first.clone();
    due["duplicate"] = json!(true);
    assert_eq!((status, &again), (201, &due), "the first result, said to be a duplicate");
    let answer = Answer::to(app.request("POST", "/samples").json(&keyed(bore, "s1", 98.0))).await;
    answer.expect_problem(409, "key_taken").expect_pointer("/key");

    // A gateway that sends half a batch again, with a twin within it.
    let half: Vec<Value> = (0..10).map(|n| keyed(flow, &format!("f{n}"), 10.0)).collect();
    app.post("/samples/batch", &json!({ "samples": half })).await;
    let mut whole: Vec<Value> = (0..20).map(|n| keyed(flow, &format!("f{n}"), 10.0)).collect();
    whole.push(keyed(flow, "f19", 10.0));
    whole.push(keyed(flow, "f3", 11.0));
    whole.push(keyed(bore, "f3", 10.0));
    let (_, answer) = app.post("/samples/batch", &json!({ "samples": whole })).await;
    let results = answer["results"].as_array().expect("results");
    let duplicates: Vec<usize> = (0..results.len()).filter(|i| results[*i]["duplicate"] == true).collect();
    assert_eq!(duplicates, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20]);
    assert_eq!(results[20]["sample_id"], results[19]["sample_id"]);
    assert_eq!([&results[21]["error"]["status"], &answer["failed"]], [&json!(409), &json!(1)]);
    assert_eq!(app.sample_total().await, 1 + 20 + 1, "a key is unique within its characteristic");
}

#[tokio::test]
async fn lines_of_json_are_a_batch() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let good = json!({"characteristic_id": bore, "measurements": [99.0]}).to_string();
    let text = format!("{good}\r\n{{\n\n[1]\n{good}\n");
    for (media_type, query) in [("application/x-ndjson", ""), ("application/jsonl", "?mode=history")] {
        let request = app.request("POST", &format!("/samples/batch{query}"));
        let answer = Answer::to(request.header("Content-Type", media_type).body(text.clone())).await;
        assert_eq!((answer.status, &answer.body["total"]), (200, &json!(4)), "{}", answer.text);
        let statuses: Vec<_> =
            (0..4).map(|i| answer.body["results"][i]["error"]["status"].as_u64()).collect();
        assert_eq!(statuses, [None, Some(400), Some(422), None]);
    }
    assert_eq!(
        app.get("/violations?acknowledged=false").await["total"],
        2,
        "those of the past wait for nobody"
    );
    let request = app.request("POST", "/samples/batch").header("Content-Type", "text/plain").body(text);
    Answer::to(request).await.expect_problem(415, "unsupported_media_type");
}
