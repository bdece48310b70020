//! Who may begin to listen: so many at a time and so many a second, in total and from each address.

use andon::health::Stage;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::{Answer, TestApp, TestAppBuilder, TestSocket, eventually};

/// An application that believes its clients about where they come from.
fn behind_a_proxy() -> TestAppBuilder {
    let proxy = "127.0.0.0/8".to_owned().try_into().expect("a network");
    TestApp::builder().with(|s| s.http.trusted_proxies = vec![proxy])
}

/// The answer to a handshake that has to be refused.
async fn refusal(app: &TestApp, from: Option<&str>) -> Answer {
    let request = app.request("GET", "/ws").header("Connection", "Upgrade").header("Upgrade", "websocket");
    let request =
        request.header("Sec-WebSocket-Version", "13").header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    Answer::to(match from {
        Some(address) => request.header("X-Forwarded-For", address),
        None => request,
    })
    .await
}

/// Checks that a handshake is refused as one too many; gives the seconds after which to come back.
async fn assert_too_many(app: &TestApp, from: Option<&str>, setting: &str) -> u64 {
    let answer = refusal(app, from).await;
    answer.expect_problem(429, "too_many_connections");
    let detail = answer.body["detail"].as_str().expect("a text");
    assert!(detail.contains(setting), "{detail}");
    answer.header("retry-after").parse().expect("whole seconds")
}

/// A handshake from behind the proxy.
async fn listener(app: &TestApp, from: &'static str) -> Result<TestSocket, Error> {
    TestSocket::handshake(app.address, &[("X-Forwarded-For", from)]).await
}

async fn refused(app: &TestApp, reason: &str) -> f64 {
    app.metric(&format!("andon_connections_refused_total{{reason=\"{reason}\"}}")).await
}

#[tokio::test]
async fn whoever_comes_when_all_places_are_taken_is_told_when_to_come_back() {
    let app = TestApp::builder().with(|s| s.http.connections = 2).spawn().await;
    let (_first, mut second) = (app.socket().await, app.socket().await);
    let mut waits = vec![];
    for _ in 0..40 {
        waits.push(assert_too_many(&app, None, "(http.connections)").await);
    }
    assert!(waits.iter().all(|seconds| (5..=9).contains(seconds)), "{waits:?}");
    assert!(waits.iter().any(|seconds| *seconds != waits[0]), "all at once again: {waits:?}");
    assert_eq!(refused(&app, "full").await, 40.0);
    second.send_raw(Message::Close(None)).await;
    second.close_code().await;
    drop(second);
    eventually("there is a place again", async || {
        TestSocket::handshake(app.address, &[]).await.ok() // and gone again
    })
    .await;
}

#[tokio::test]
async fn other_requests_take_no_place() {
    let app = TestApp::builder().with(|s| s.http.connections = 1).spawn().await;
    let _only = app.socket().await;
    for _ in 0..20 {
        app.get("/characteristics").await;
    }
    assert_too_many(&app, None, "(http.connections)").await;
}

#[tokio::test]
async fn a_handshake_that_fails_takes_no_place() {
    let app = TestApp::builder().with(|s| s.http.connections = 1).spawn().await;
    for _ in 0..5 {
        let answer = Answer::to(app.request("GET", "/ws")).await;
        answer.expect_problem(400, "not_websocket");
    }
    app.socket().await;
}

#[tokio::test]
async fn one_address_cannot_take_all_places() {
    let app = behind_a_proxy().with(|s| s.http.connections_per_address = 2).spawn().await;
    let mut inside = vec![];
    for from in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8:0:1::1", "2001:db8:0:1:f::2"] {
        inside.push(listener(&app, from).await.expect("there is a place"));
    }
    assert_too_many(&app, Some("192.0.2.1"), "http.connections_per_address").await;
    assert_too_many(&app, Some("203.0.113.7, 192.0.2.1"), "http.connections_per_address").await;
    assert_too_many(&app, Some("2001:db8:0:1:e::3"), "http.connections_per_address").await;
    assert_eq!(refused(&app, "full_from_address").await, 3.0);
    inside.push(listener(&app, "2001:db8:0:2::1").await.expect("another network"));
    inside.push(listener(&app, "192.0.2.2").await.expect("it had one only"));
}

#[tokio::test]
async fn without_a_proxy_that_is_trusted_nobody_comes_from_elsewhere() {
    let app = TestApp::builder().with(|s| s.http.connections_per_address = 1).spawn().await;
    let _inside = listener(&app, "192.0.2.1").await.expect("a place");
    assert_too_many(&app, Some("192.0.2.2"), "http.connections_per_address").await;
}

#[tokio::test]
async fn a_storm_from_one_address_leaves_room_for_the_others() {
    let app = behind_a_proxy()
        .with(|s| (s.http.connects_per_second_per_address, s.http.connect_burst_per_address) = (0.01, 3))
        .spawn()
        .await;
    for _ in 0..3 {
        drop(listener(&app, "192.0.2.1").await.expect("within the burst"));
    }
    let wait = assert_too_many(&app, Some("192.0.2.1"), "http.connects_per_second_per_address").await;
    assert!((95..=104).contains(&wait), "one in a hundred seconds, a little later for some: {wait}");
    assert_eq!(refused(&app, "too_fast_from_address").await, 1.0);
    listener(&app, "192.0.2.2").await.expect("another address");
}

#[tokio::test]
async fn a_storm_from_everywhere_is_let_in_bit_by_bit() {
    let app = behind_a_proxy()
        .with(|s| (s.http.connects_per_second, s.http.connect_burst) = (20.0, 4))
        .spawn()
        .await;
    let mut inside = vec![];
    let mut refused_ones = 0;
    for number in 0..10 {
        let from: &'static str = Box::leak(format!("192.0.2.{number}").into_boxed_str());
        match listener(&app, from).await {
            Ok(socket) => inside.push(socket),
            Err(Error::Http(answer)) => {
                assert_eq!(answer.status(), 429);
                refused_ones += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused_ones > 0, "ten came at once");
    assert!(inside.len() >= 4, "four may");
    assert_eq!(refused(&app, "too_fast").await, f64::from(refused_ones));
    eventually("they are let in, one every 50 ms", async || listener(&app, "192.0.2.77").await.ok()).await;
}

#[tokio::test]
async fn a_server_that_is_not_ready_lets_nobody_listen() {
    let app = TestApp::spawn().await;
    for stage in [Stage::Starting, Stage::Stopping] {
        app.health.enter(stage);
        let answer = refusal(&app, None).await;
        answer.expect_problem(503, "unavailable");
        let wait: u64 = answer.header("retry-after").parse().expect("whole seconds");
        assert!((1..=5).contains(&wait), "{wait}");
    }
    assert_eq!(refused(&app, "not_ready").await, 2.0);
    app.health.enter(Stage::Running);
    app.socket().await;
}

/// Its session ends long before, and the kernel still holds what it did not take.
#[tokio::test]
async fn a_place_is_free_again_only_when_the_socket_is_gone() {
    let app = TestApp::builder()
        .with(|s| {
            s.http.connections = 1;
            (s.broadcast.stall_timeout_ms, s.http.peer_timeout_ms) = (200, 4_000);
        })
        .spawn()
        .await;
    let bore = app.given_a_chart("Bore").await;
    let mut deaf = app.raw_socket(Some(4_096)).await;
    deaf.send(0x81, json!({"type": "subscribe", "characteristic_ids": [bore]}).to_string().as_bytes()).await;
    deaf.wait_for("subscribed").await;
    eventually("its session has ended", async || {
        app.measure_all(bore, &[10.0; 200]).await;
        let ended = app.metric("andon_connections_closed_total{reason=\"too_slow\"}").await;
        let open = app.metric("andon_connections{kind=\"websocket\"}").await;
        ((ended, open) == (1.0, 0.0)).then_some(())
    })
    .await;
    assert_too_many(&app, None, "(http.connections)").await;
    assert!(deaf.is_held_by_the_server(), "the test came too late");
    eventually("the socket is gone", async || (!deaf.is_held_by_the_server()).then_some(())).await;
    eventually("there is a place", async || TestSocket::handshake(app.address, &[]).await.ok()).await;
}

#[tokio::test]
async fn too_many_are_told_so_before_anybody_looks_at_their_token() {
    let app = crate::auth::with_tokens().with(|s| s.http.connections = 1).spawn().await;
    let app = app.with_token(crate::auth::READ);
    let _only = app.socket().await;
    let answer: Value = refusal(&app.with_token("wrong-0123456789abc"), None).await.body;
    assert_eq!(answer["status"], 429);
}
