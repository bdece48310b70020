//! Paths, methods, and what everybody may ask of the process itself.

use serde_json::json;

use crate::support::{Answer, TestApp};

#[tokio::test]
async fn a_path_works_with_and_without_a_trailing_slash() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    for path in [
        "/api/v1/characteristics".to_owned(),
        format!("/api/v1/characteristics/{bore}"),
        format!("/api/v1/characteristics/{bore}/rules"),
        format!("/api/v1/characteristics/{bore}/control-limits"),
        format!("/api/v1/characteristics/{bore}/chart-data"),
        "/api/v1/groups".to_owned(),
        "/api/v1/samples".to_owned(),
        "/api/v1/samples/1".to_owned(),
        "/api/v1/violations".to_owned(),
        "/api/v1/violations/stats".to_owned(),
        "/api/v1/violations/reason-codes".to_owned(),
        format!("/api/v1/violations/{violation}"),
        "/api/v1/health/live".to_owned(),
        "/api/v1/health/ready".to_owned(),
        "/health/live".to_owned(),
        "/health/ready".to_owned(),
        "/metrics".to_owned(),
    ] {
        let (without, with) = (app.request_at("GET", &path), app.request_at("GET", &format!("{path}/")));
        let (without, with) = (Answer::to(without).await, Answer::to(with).await);
        assert_eq!((without.status, with.status), (200, 200), "{path}: {}", with.text);
        assert_eq!(without.header("content-type"), with.header("content-type"));
    }
    let sample = json!({"characteristic_id": bore, "measurements": [10]});
    assert_eq!(app.post("/samples/", &sample).await.0, 201);
    assert_eq!(app.get("/samples/?limit=1").await["total"], 2);
}

#[tokio::test]
async fn a_path_that_names_nothing_is_a_problem_like_any_other() {
    let app = TestApp::spawn().await;
    for path in [
        "/nothing",
        "/assets",
        "/api/v1",
        "/api/v2/samples",
        "/api/v1/nothing",
        "/api/v1/samples/1/2",
        "/ws/x",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            Answer::to(app.request_at(method, path)).await.expect_problem(404, "not_found");
        }
    }
    for id in ["0", "-1", "1.5", "x", "9007199254740992", "99999999999999999999", "%00", "1%2F2", "1e3"] {
        for path in ["characteristics", "samples", "violations"] {
            let answer = Answer::to(app.request("GET", &format!("/{path}/{id}"))).await;
            answer.expect_problem(404, "not_found");
        }
    }
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_refused_with_those_it_takes() {
    let app = TestApp::spawn().await;
    for (method, path, allowed) in [
        ("DELETE", "/api/v1/samples", "GET, POST"),
        ("PUT", "/api/v1/samples", "GET, POST"),
        ("GET", "/api/v1/samples/batch", "POST"),
        ("PUT", "/api/v1/characteristics/1", "GET, PATCH, DELETE"),
        ("POST", "/api/v1/characteristics/by-key/P7:bore", "GET, PUT"),
        ("POST", "/api/v1/groups", "GET"),
        ("POST", "/api/v1/characteristics/1/rules", "GET, PUT"),
        ("POST", "/api/v1/characteristics/1/control-limits", "GET, PUT"),
        ("GET", "/api/v1/characteristics/1/control-limits/recalculate", "POST"),
        ("POST", "/api/v1/violations", "GET"),
        ("POST", "/api/v1/violations/reason-codes", "GET, PUT"),
        ("GET", "/api/v1/violations/1/acknowledge", "POST"),
        ("GET", "/api/v1/violations/batch-acknowledge", "POST"),
        ("POST", "/api/v1/health/live", "GET, HEAD"),
        ("POST", "/api/v1/ws", "GET"),
        ("POST", "/health/live", "GET, HEAD"),
        ("POST", "/health/ready", "GET, HEAD"),
        ("POST", "/metrics", "GET"),
        ("POST", "/ws", "GET"),
        ("DELETE", "/ws/samples", "GET"),
    ] {
        let answer = Answer::to(app.request_at(method, path)).await;
        answer.expect_problem(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allowed, "{method} {path}");
    }
}

#[tokio::test]
async fn a_path_that_takes_no_query_refuses_one() {
    let app = TestApp::spawn().await;
    let id = app.given_a_chart("Bore").await;
    for path in
        [format!("/characteristics/{id}"), "/violations/reason-codes".to_owned(), "/samples/1".to_owned()]
    {
        let (status, problem) = app.call("GET", &format!("{path}?x=1"), None).await;
        assert_eq!((status, &problem["type"]), (422, &json!("urn:problem:andon:invalid_query")), "{path}");
    }
}

#[tokio::test]
async fn a_process_says_that_it_is_alive_and_ready() {
    let app = TestApp::spawn().await;
    for prefix in ["", "/api/v1"] {
        let live = Answer::to(app.request_at("GET", &format!("{prefix}/health/live"))).await;
        assert_eq!((live.status, live.body), (200, json!({"status": "alive"})));
        let ready = Answer::to(app.request_at("GET", &format!("{prefix}/health/ready"))).await;
        let due = json!({"status": "ready", "parts": {"process": "running", "database": "writable"}});
        assert_eq!((ready.status, ready.body), (200, due));
    }
}

#[tokio::test]
async fn what_happened_is_counted() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    let metrics = Answer::to(app.request_at("GET", "/metrics")).await;
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    assert!(metrics.text.ends_with("# EOF\n"), "{}", metrics.text);
    assert!(app.metric("andon_commits_total").await >= 3.0);
    assert_eq!(app.metric("andon_connections{kind=\"websocket\"}").await, 0.0);
    let socket = app.socket().await;
    assert_eq!(app.metric("andon_connections{kind=\"websocket\"}").await, 1.0);
    drop(socket);
    crate::support::eventually("the connection is gone", async || {
        (app.metric("andon_connections{kind=\"websocket\"}").await == 0.0).then_some(())
    })
    .await;
}
