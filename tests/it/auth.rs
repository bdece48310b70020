//! Who may call: tokens and roles, who is named in answers, and the address that is listened on.

use andon::app::AppError;
use andon::http::auth::{Role, TokenSettings};
use serde_json::{Value, json};

use crate::support::{Answer, TestApp, TestAppBuilder};

pub const READ: &str = "read-0123456789abcdef";
pub const INGEST: &str = "ingest-0123456789abcdef";
pub const OPERATE: &str = "operate-0123456789abcdef";
pub const ADMIN: &str = "admin-0123456789abcdef";
const BACKEND: &str = "backend-0123456789abcdef";

/// An application with a token for each role, and one that acts for users.
pub fn with_tokens() -> TestAppBuilder {
    let token = |name: &str, token: &str, role| TokenSettings {
        name: name.to_owned(),
        token: Some(token.to_owned()),
        token_file: None,
        roles: vec![role],
        acts_for_users: token == BACKEND,
    };
    TestApp::builder().with(|settings| {
        settings.auth.tokens = vec![
            token("screen", READ, Role::Read),
            token("gateway", INGEST, Role::Ingest),
            token("ann", OPERATE, Role::Operate),
            token("root", ADMIN, Role::Admin),
            token("backend", BACKEND, Role::Operate),
        ];
    })
}

/// The same with a violation to answer: characteristic 1, sample 1, violation 1.
async fn with_tokens_and_a_violation() -> TestApp {
    let app = with_tokens().spawn().await.with_token(ADMIN);
    let bore = app.given_a_chart("Bore").await;
    assert_eq!((bore, app.given_a_violation_on(bore).await), (1, 1));
    app
}

/// One route of each kind with the roles that may use it.
fn routes() -> Vec<(&'static str, &'static str, Option<Value>, &'static [&'static str])> {
    let all_that_read = &[READ, OPERATE, ADMIN, BACKEND][..];
    vec![
        ("GET", "/characteristics", None, all_that_read),
        ("GET", "/characteristics/1", None, all_that_read),
        ("GET", "/characteristics/1/rules", None, all_that_read),
        ("POST", "/events", Some(json!([])), &[INGEST, ADMIN]),
        ("GET", "/characteristics/1/control-limits", None, all_that_read),
        ("GET", "/characteristics/1/chart-data", None, all_that_read),
        ("GET", "/characteristics/1/chart.svg", None, all_that_read),
        ("GET", "/characteristics/1/chart.png", None, all_that_read),
        ("GET", "/samples", None, all_that_read),
        ("GET", "/samples/1", None, all_that_read),
        ("GET", "/violations", None, all_that_read),
        ("GET", "/violations/1", None, all_that_read),
        ("GET", "/violations/stats", None, all_that_read),
        ("GET", "/violations/reason-codes", None, all_that_read),
        ("POST", "/samples", Some(json!({"characteristic_id": 1, "measurements": [10]})), &[INGEST, ADMIN]),
        ("POST", "/samples/batch", Some(json!({"samples": []})), &[INGEST, ADMIN]),
        (
            "PUT",
            "/characteristics/1/control-limits",
            Some(json!({"center_line": 10, "sigma": 1})),
            &[OPERATE, ADMIN, BACKEND],
        ),
        (
            "POST",
            "/characteristics/1/control-limits/recalculate",
            Some(json!({"preview": true, "from": "2999-01-01T00:00:00Z"})),
            &[OPERATE, ADMIN, BACKEND],
        ),
        ("POST", "/violations/1/acknowledge", Some(json!({"reason": "Other"})), &[OPERATE, ADMIN, BACKEND]),
        (
            "POST",
            "/violations/batch-acknowledge",
            Some(json!({"violation_ids": [9], "reason": "Other"})),
            &[OPERATE, ADMIN, BACKEND],
        ),
        ("POST", "/characteristics", Some(json!({"name": "Flow"})), &[ADMIN]),
        ("GET", "/groups", None, &[READ, OPERATE, ADMIN, BACKEND]),
        ("PATCH", "/characteristics/1", Some(json!({"unit": "mm"})), &[ADMIN]),
        ("PUT", "/characteristics/by-key/P7:flow", Some(json!({"name": "Flow"})), &[ADMIN]),
        ("DELETE", "/characteristics/1", None, &[ADMIN]), // it has samples
        ("PUT", "/characteristics/1/rules", Some(json!({"preset": "outlier"})), &[ADMIN]),
        ("PUT", "/violations/reason-codes", Some(json!({"reason_codes": ["Other"]})), &[ADMIN]),
        ("POST", "/reload", None, &[ADMIN]), // there is nowhere to reload from
    ]
}

#[tokio::test]
async fn each_role_may_do_what_it_says_and_no_more() {
    let mut app = with_tokens_and_a_violation().await;
    for token in [READ, INGEST, OPERATE, ADMIN, BACKEND] {
        app = app.with_token(token);
        for (method, path, body, allowed) in routes() {
            let request = app.request(method, path);
            let answer = Answer::to(body.iter().fold(request, |request, body| request.json(body))).await;
            if allowed.contains(&token) {
                // 409: too few samples, or answered by the token before.
                assert!(
                    [200, 201, 202, 409].contains(&answer.status),
                    "{token} {method} {path}: {}",
                    answer.text
                );
            } else {
                answer.expect_problem(403, "forbidden");
            }
        }
        let metrics = Answer::to(app.request_at("GET", "/metrics")).await;
        assert_eq!(metrics.status, if token == INGEST { 403 } else { 200 });
    }
}

#[tokio::test]
async fn without_a_valid_token_nothing_is_told_but_health() {
    let app = with_tokens_and_a_violation().await;
    let anonymous = reqwest::Client::new();
    for authorization in
        ["", "Bearer", "Bearer ", "Bearer wrong-0123456789", "Basic YTpi", "bearer x y", ADMIN]
    {
        for (method, path, body, _) in routes() {
            let url = app.url(&format!("/api/v1{path}"));
            let mut request = anonymous.request(method.parse().expect("a method"), url);
            if !authorization.is_empty() {
                request = request.header("authorization", authorization);
            }
            if let Some(body) = body {
                request = request.json(&body);
            }
            let answer = Answer::to(request).await;
            answer.expect_problem(401, "not_authenticated");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        let metrics = Answer::to(anonymous.get(app.url("/metrics"))).await;
        metrics.expect_problem(401, "not_authenticated");
    }
    for path in ["/health/live", "/health/ready", "/api/v1/health/live", "/api/v1/health/ready"] {
        assert_eq!(Answer::to(anonymous.get(app.url(path))).await.status, 200, "{path}");
    }
    assert_eq!(app.sample_total().await, 1);
}

#[tokio::test]
async fn a_bad_body_is_not_looked_at_before_the_token() {
    let app = with_tokens_and_a_violation().await.with_token(READ);
    let request = app.request("POST", "/samples").header("content-type", "application/json").body("{");
    Answer::to(request).await.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn who_did_it_is_who_is_logged_in() {
    let app = with_tokens_and_a_violation().await.with_token(OPERATE);
    let somebody_else = json!({"reason": "Other", "user": "bob"});
    let answer = Answer::to(app.request("POST", "/violations/1/acknowledge").json(&somebody_else)).await;
    answer.expect_problem(403, "forbidden");
    let limits = json!({"center_line": 11, "sigma": 1, "user": "bob"});
    let answer = Answer::to(app.request("PUT", "/characteristics/1/control-limits").json(&limits)).await;
    answer.expect_problem(403, "forbidden");
    let limits = app.set("/characteristics/1/control-limits", &json!({"center_line": 11, "sigma": 1})).await;
    assert_eq!(limits["user"], "ann");
    let (status, answered) = app.post("/violations/1/acknowledge", &json!({"reason": "Other"})).await;
    assert_eq!((status, &answered["ack_user"]), (200, &json!("ann")));
}

#[tokio::test]
async fn a_backend_acts_for_its_users() {
    let app = with_tokens_and_a_violation().await.with_token(BACKEND);
    let (status, answered) =
        app.post("/violations/1/acknowledge", &json!({"reason": "Other", "user": "bob"})).await;
    assert_eq!((status, &answered["ack_user"]), (200, &json!("bob")));
    let limits = app.set("/characteristics/1/control-limits", &json!({"center_line": 11, "sigma": 1})).await;
    assert_eq!(limits["user"], "backend");
}

#[tokio::test]
async fn an_open_address_needs_tokens_or_a_clear_word() {
    let open = || TestApp::builder().with(|s| s.http.listen = "0.0.0.0:0".to_owned());
    let refused = open().try_spawn().await.err().expect("not without tokens");
    assert!(matches!(refused, AppError::Bind(_)), "{refused}");
    assert!(refused.to_string().contains("--allow-anonymous"), "{refused}");
    let app = open().with(|s| s.auth.allow_anonymous = true).spawn().await;
    assert_eq!(app.get("/characteristics").await["total"], 0);
    let tokens = with_tokens().with(|s| s.http.listen = "0.0.0.0:0".to_owned()).spawn().await;
    assert_eq!(tokens.call("GET", "/characteristics", None).await.0, 401);
}

#[tokio::test]
async fn tokens_that_cannot_be_used_stop_the_start() {
    for (name, token, roles) in [("a", "short", vec![Role::Read]), ("b", READ, vec![])] {
        let token = TokenSettings {
            name: name.to_owned(),
            token: Some(token.to_owned()),
            token_file: None,
            roles,
            acts_for_users: false,
        };
        let refused = TestApp::builder().with(|s| s.auth.tokens = vec![token]).try_spawn().await;
        assert!(matches!(refused.err(), Some(AppError::Tokens(_))));
    }
}
