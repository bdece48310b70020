//! Characteristics that are deleted: by consent where there is history, and then known to nobody.

use serde_json::json;

use crate::support::{Answer, TestApp};

async fn delete(app: &TestApp, path: &str) -> Answer {
    Answer::to(app.request("DELETE", &format!("/characteristics/{path}"))).await
}

#[tokio::test]
async fn samples_go_only_where_somebody_says_so() {
    let app = TestApp::spawn().await;
    let (bore, flow) = (app.given_a_chart("Bore").await, app.given_a_chart("Flow").await);
    app.measure(bore, 10.0).await;
    delete(&app, "7").await.expect_problem(404, "unknown_characteristic");
    delete(&app, "1?with_history=maybe").await.expect_problem(422, "invalid_query");
    delete(&app, "1?history=true").await.expect_problem(422, "invalid_query");
    for refused in [format!("{bore}"), format!("{bore}?with_history=false")] {
        delete(&app, &refused).await.expect_problem(409, "has_samples");
    }
    assert_eq!(app.get("/characteristics").await["total"], 2);
    app.measure(bore, 10.0).await;
    for gone in [format!("{bore}?with_history=true"), format!("{flow}")] {
        let answer = delete(&app, &gone).await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""));
        delete(&app, &gone).await.expect_problem(404, "unknown_characteristic");
    }
    assert_eq!(app.get("/characteristics").await["total"], 0);
}

#[tokio::test]
async fn what_is_deleted_is_unknown_everywhere_at_once() {
    let app = TestApp::spawn().await;
    let definition =
        json!({"name": "Bore", "key": "P7:bore", "group": "plant", "rules": {"preset": "outlier"}});
    let gone = app.given_a_characteristic(&definition).await;
    let stays = app.given_a_chart("Flow").await;
    let limits = json!({"center_line": 10, "sigma": 1});
    app.set(&format!("/characteristics/{gone}/control-limits"), &limits).await;
    let violation = app.given_a_violation_on(gone).await;
    let other = app.given_a_violation_on(stays).await;
    assert_eq!(delete(&app, &format!("{gone}?with_history=true")).await.status, 204);

    for path in ["", "/rules", "/control-limits", "/chart-data"] {
        let answer = Answer::to(app.request("GET", &format!("/characteristics/{gone}{path}"))).await;
        answer.expect_problem(404, "unknown_characteristic");
    }
    for (method, path, body) in [
        ("PATCH", format!("/characteristics/{gone}"), json!({"name": "x"})),
        ("PUT", format!("/characteristics/{gone}/rules"), json!({"preset": "nelson"})),
        ("PUT", format!("/characteristics/{gone}/control-limits"), limits),
        ("POST", format!("/characteristics/{gone}/control-limits/recalculate"), json!({})),
        ("POST", "/samples".to_owned(), json!({"characteristic_id": gone, "measurements": [1]})),
        ("POST", "/samples".to_owned(), json!({"characteristic_key": "P7:bore", "measurements": [1]})),
    ] {
        let answer = Answer::to(app.request(method, &path).json(&body)).await;
        answer.expect_problem(404, "unknown_characteristic");
    }
    Answer::to(app.request("GET", "/samples/1")).await.expect_problem(404, "unknown_sample");
    let path = format!("/violations/{violation}");
    Answer::to(app.request("GET", &path)).await.expect_problem(404, "unknown_violation");
    assert_eq!(app.acknowledge(violation, "ann").await.0, 404);
    for (query, total) in [("", 1), (&format!("characteristic_id={gone}"), 0), ("group=plant", 0)] {
        assert_eq!(app.get(&format!("/violations?{query}")).await["total"], total, "{query}");
        assert_eq!(app.get(&format!("/violations/stats?{query}")).await["total"], total, "{query}");
    }
    assert_eq!(app.get("/violations").await["items"][0]["id"], other);
    assert_eq!(app.sample_total().await, 1);
    assert_eq!(app.get(&format!("/samples?characteristic_id={gone}")).await["total"], 0);
    let all = json!({"characteristic_id": gone, "up_to_seq": 99, "reason": "Other", "user": "ann"});
    assert_eq!(app.post("/violations/batch-acknowledge", &all).await.1["total"], 0);
    assert_eq!(app.get("/groups").await["groups"], json!([]));
}

#[tokio::test]
async fn who_listens_is_told_and_the_key_is_free_at_once() {
    let app = TestApp::spawn().await;
    let definition = json!({"name": "Bore", "key": "P7:bore"});
    let gone = app.given_a_characteristic(&definition).await;
    let mut socket = app.socket().await.subscribed_to([gone]).await;
    app.measure(gone, 10.0).await;
    assert_eq!(socket.next_of_type("sample").await["revision"], 1);
    assert_eq!(delete(&app, &format!("{gone}?with_history=true")).await.status, 204);
    let update = socket.next_of_type("characteristic_update").await;
    assert_eq!([&update["revision"], &update["payload"]["changes"]], [&json!(2), &json!({"deleted": true})]);

    let next = app.given_a_characteristic(&definition).await;
    assert_ne!(next, gone, "ids are not given twice");
    let body = json!({"characteristic_key": "P7:bore", "measurements": [10]});
    assert_eq!(app.post("/samples", &body).await.0, 201);
    assert_eq!(app.get(&format!("/samples?characteristic_id={next}")).await["total"], 1);
    // The connection stands, and so does what it subscribed to.
    socket.send(&json!({"type": "ping"})).await;
    socket.next_of_type("pong").await;
}
