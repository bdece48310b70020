//! Who may listen: tokens in the handshake or in the first message.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;
use tracing_subscriber::fmt::MakeWriter;

use crate::auth::{READ, with_tokens};
use crate::support::{TestApp, TestSocket};

const INGEST: &str = "ingest-0123456789abcdef";

/// The status with which a handshake is refused.
async fn refused(app: &TestApp, headers: &[(&'static str, &str)]) -> Option<u16> {
    match TestSocket::handshake(app.address, headers).await {
        Err(Error::Http(response)) => Some(response.status().as_u16()),
        Err(other) => panic!("{other}"),
        Ok(_) => None,
    }
}

async fn without_token(app: &TestApp) -> TestSocket {
    TestSocket::handshake(app.address, &[]).await.expect("a handshake")
}

#[tokio::test]
async fn a_token_in_the_handshake_is_enough() {
    let app = with_tokens().spawn().await.with_token(READ);
    let mut socket = app.socket().await;
    assert_eq!(socket.welcome["payload"]["user"], "screen");
    let refusal = socket.refusal_of(&json!({"type": "auth", "token": READ})).await;
    assert_eq!((&refusal["code"], &refusal["request"]), (&json!("invalid_field"), &json!("auth")));
    socket.subscribed_to([1]).await;
}

#[tokio::test]
async fn a_handshake_with_a_token_that_may_not_listen_is_refused() {
    let app = with_tokens().spawn().await;
    assert_eq!(refused(&app, &[("Authorization", "Bearer wrong-0123456789")]).await, Some(401));
    assert_eq!(refused(&app, &[("Authorization", &format!("Bearer {INGEST}"))]).await, Some(403));
    assert_eq!(refused(&app, &[("Authorization", &format!("Bearer {READ}"))]).await, None);
}

#[tokio::test]
async fn a_browser_says_who_it_is_in_its_first_message() {
    let app = with_tokens().spawn().await;
    let mut socket = without_token(&app).await;
    for message in [json!({"type": "subscribe", "characteristic_ids": [1]}), json!({"type": "ping"})] {
        let refusal = socket.refusal_of(&message).await;
        assert_eq!((&refusal["code"], &refusal["request"]), (&json!("forbidden"), &message["type"]));
    }
    socket.send(&json!({"type": "auth", "token": READ})).await;
    assert_eq!(socket.next().await, json!({"type": "auth_ok"}));
    let welcome = socket.next().await;
    assert_eq!((&welcome["type"], &welcome["payload"]["user"]), (&json!("welcome"), &json!("screen")));
    let mut socket = socket.subscribed_to([1]).await;
    let app = app.with_token("admin-0123456789abcdef");
    assert_eq!(app.given_a_chart("Bore").await, 1);
    assert_eq!(socket.next().await["type"], "control_limits");
}

#[tokio::test]
async fn nothing_is_heard_before_the_token_is_known() {
    let app = with_tokens().spawn().await.with_token("admin-0123456789abcdef");
    let mut unknown = without_token(&app).await;
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    let mut known = app.socket().await;
    assert_eq!(app.acknowledge(violation, "root").await.0, 200);
    assert_eq!(known.next().await["type"], "ack_update"); // goes to all clients
    unknown.send(&json!({"type": "auth", "token": READ})).await;
    assert_eq!(unknown.next().await["type"], "auth_ok");
}

#[tokio::test]
async fn a_wrong_token_is_told_and_the_connection_ends() {
    let app = with_tokens().spawn().await;
    for (token, code) in [("wrong-0123456789abcdef", 4001), ("", 4001), (INGEST, 4003)] {
        let mut socket = without_token(&app).await;
        socket.send(&json!({"type": "auth", "token": token})).await;
        let refusal = socket.next().await;
        assert_eq!(refusal["type"], "auth_error");
        assert!(refusal["message"].is_string() && (token.is_empty() || !refusal.to_string().contains(token)));
        assert_eq!(socket.close_code().await, Some(code));
    }
}

#[tokio::test]
async fn who_says_nothing_in_time_is_sent_away() {
    let app = with_tokens().with(|s| s.broadcast.auth_timeout_ms = 50).spawn().await;
    assert_eq!(without_token(&app).await.close_code().await, Some(4001));
    // A token in time keeps the connection beyond that.
    let mut socket = TestSocket::connect(app.address, Some(READ)).await;
    assert_eq!(without_token(&app).await.close_code().await, Some(4001));
    socket.assert_nothing_came().await;
}

#[tokio::test]
async fn where_no_tokens_are_any_is_welcome() {
    let app = TestApp::spawn().await;
    let socket = TestSocket::connect(app.address, Some("whatever-0123456789")).await;
    assert_eq!(socket.welcome["payload"]["user"], Value::Null);
}

/// Log lines, kept.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_token_stands_in_no_log_line_and_no_answer() {
    let lines = Lines::default();
    let log = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(lines.clone())
        .finish();
    tracing::subscriber::set_global_default(log).expect("the only subscriber of this process");
    let app = with_tokens().spawn().await.with_token(READ);
    let mut answers = String::new();
    for path in ["/api/v1/characteristics", "/api/v1/samples", "/metrics", "/nothing", "/api/v1/samples/x"] {
        let answer = app.request_at("GET", path).send().await.expect("an answer");
        answers += &format!("{:?}", answer.headers());
        answers += &answer.text().await.expect("a body");
    }
    answers += &app.post("/samples", &json!({"characteristic_id": 1})).await.1.to_string();
    let mut socket = app.socket().await;
    answers += &socket.welcome.to_string();
    answers += &socket.refusal_of(&json!({"type": "auth", "token": READ})).await.to_string();
    let mut first = without_token(&app).await;
    first.send(&json!({"type": "auth", "token": READ})).await;
    answers += &first.next_text().await;
    answers += &first.next_text().await;
    let mut wrong = without_token(&app).await;
    wrong.send(&json!({"type": "auth", "token": [READ]})).await;
    answers += &wrong.next_text().await;
    drop((socket, first, wrong));
    app.stop().await.expect("stopped");
    let log = String::from_utf8(lines.0.lock().expect("no panic").clone()).expect("text");
    assert!(log.contains("stopped"), "nothing was logged");
    // What our own clients log of their requests is not the server's.
    let of_clients = |line: &&str| ["hyper", "reqwest", "tungstenite"].iter().any(|name| line.contains(name));
    let ours: Vec<&str> = log.lines().filter(|line| !of_clients(line)).collect();
    assert!(!answers.contains("0123456789abcdef"), "{answers}");
    assert!(!ours.iter().any(|line| line.contains("0123456789abcdef")), "{ours:?}");
}
