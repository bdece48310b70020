//! A client that waits for an answer is not deaf: it is read on, and its pings are answered.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, interval};
use tokio_tungstenite::tungstenite::Message;

use crate::support::TestApp;

const TEXT: u8 = 0x81;
const PING: u8 = 0x89;
const PONG: u8 = 0x8A;

const PONG_TIMEOUT: Duration = Duration::from_millis(1_000);

#[tokio::test]
async fn a_client_that_waits_for_the_end_of_a_replay_is_heard_meanwhile() {
    let app = TestApp::builder()
        .with(|s| {
            (s.broadcast.ping_interval_ms, s.broadcast.pong_timeout_ms) = (50, 1_000);
            (s.broadcast.write_bytes, s.http.send_buffer_bytes) = (4_096, 8_192); // pings do not wait for long
        })
        .spawn()
        .await;
    let (bore, flow) = (app.given_a_chart("Bore").await, app.given_a_chart("Flow").await);
    for _ in 0..2 {
        app.measure_all(bore, &[10.0; 10_000]).await;
    }
    let epoch = app.socket().await.welcome["payload"]["epoch"].clone();
    let mut socket = app.raw_socket(Some(4_096)).await;
    let subscribe =
        json!({"type": "subscribe", "characteristic_ids": [bore], "since": {"epoch": epoch, "seq": 2}});
    socket.send(TEXT, subscribe.to_string().as_bytes()).await;
    socket
        .send(TEXT, json!({"type": "subscribe", "characteristic_ids": [flow]}).to_string().as_bytes())
        .await;
    socket.send(PING, b"there?").await;

    let (started, mut pace) = (Instant::now(), interval(Duration::from_millis(1)));
    let (mut samples, mut pings, mut is_ponged, mut is_resumed) = (0, 0, false, false);
    loop {
        // As slowly as it takes to be in the middle of it for a while.
        if started.elapsed() < PONG_TIMEOUT * 3 && samples % 4 == 0 {
            pace.tick().await;
        }
        let (first, payload) = socket.next_frame().await;
        match first {
            PING => {
                socket.send(PONG, &payload).await;
                pings += 1;
            }
            PONG => {
                assert_eq!(payload, b"there?");
                assert!(!is_resumed, "it had to wait for the replay");
                is_ponged = true;
            }
            TEXT => {
                let text: Value = serde_json::from_slice(&payload).expect("JSON");
                match text["type"].as_str().expect("a type") {
                    "sample" => samples += 1,
                    "resumed" => is_resumed = true,
                    "subscribed" if text["characteristic_ids"] == json!([flow]) => break,
                    _ => {}
                }
            }
            other => panic!("{other:x}: {}", String::from_utf8_lossy(&payload)),
        }
    }
    assert!(started.elapsed() > PONG_TIMEOUT * 2, "it did not wait for long: {:?}", started.elapsed());
    assert!(is_ponged && is_resumed && pings > 2, "{is_ponged} {is_resumed} {pings}");
    assert_eq!(samples, 20_000);
}

#[tokio::test]
async fn a_goodbye_is_heard_from_who_has_said_too_much() {
    let app = TestApp::builder()
        .with(|s| (s.broadcast.messages_per_second, s.broadcast.message_burst) = (0.001, 2))
        .spawn()
        .await;
    let mut socket = app.socket().await;
    for number in 1..=3 {
        socket.send(&json!({"type": "ping", "t": number})).await;
    }
    socket.send_raw(Message::Close(None)).await;
    for number in 1..=2 {
        assert_eq!(socket.next_of_type("pong").await["t"], number);
    }
    assert_eq!(socket.next_of_type("error").await["code"], "rate_limited");
    assert_eq!(socket.close_code().await, Some(1000));
}
