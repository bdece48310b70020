//! How a connection ends: the code says why, and the connection is really gone.

use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::support::{TestApp, TestSocket, close_code, eventually};

const TEXT: u8 = 0x81;

/// Nobody is connected any more, and the end was counted under this reason.
async fn assert_ended(app: &TestApp, reason: &str) {
    eventually("the connection is counted out", async || {
        let open = app.metric("andon_connections{kind=\"websocket\"}").await;
        let ended = app.metric(&format!("andon_connections_closed_total{{reason=\"{reason}\"}}")).await;
        (open == 0.0 && ended == 1.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_says_goodbye_is_answered() {
    let app = TestApp::spawn().await;
    let mut socket = app.socket().await;
    let goodbye = CloseFrame { code: 1000.into(), reason: "done".into() };
    socket.send_raw(Message::Close(Some(goodbye))).await;
    assert_eq!(socket.close_code().await, Some(1000));
    assert_ended(&app, "normal").await;
}

#[tokio::test]
async fn a_client_that_just_goes_is_forgotten() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    drop(app.socket().await.subscribed_to([bore]).await);
    assert_ended(&app, "gone").await;
    app.measure(bore, 10.0).await;
}

#[tokio::test]
async fn only_text_is_spoken() {
    let app = TestApp::spawn().await;
    let mut socket = app.socket().await;
    socket.send_raw(Message::binary(br#"{"type":"ping"}"#.as_slice())).await;
    assert_eq!(socket.close_code().await, Some(1003));
    assert_ended(&app, "binary_frame").await;
}

#[tokio::test]
async fn text_is_utf_8() {
    let app = TestApp::spawn().await;
    for frames in
        [&[(TEXT, &b"{\"type\":\"\xff\"}"[..])][..], &[(0x01, b"{\"type\":\"\xc3"), (0x80, b"\x28\"}")]]
    {
        let mut socket = app.raw_socket(None).await;
        for (first, payload) in frames {
            socket.send(*first, payload).await;
        }
        assert_eq!(close_code(&socket.read_to_the_end().await), Some(1007));
    }
}

#[tokio::test]
async fn a_message_in_parts_is_one_message() {
    let app = TestApp::spawn().await;
    let mut socket = app.raw_socket(None).await;
    // A character lies across the border, and a ping stands between the parts.
    socket.send(0x01, b"{\"type\":\"ping\",\"t\":\"\xc3").await;
    socket.send(0x89, b"between").await;
    socket.send(0x80, b"\xa9\"}").await;
    socket.wait_for("\"t\":\"é\"").await;
    socket.wait_for("between").await;
}

#[tokio::test]
async fn a_message_that_is_too_big_ends_the_connection() {
    let app = TestApp::builder().with(|s| s.broadcast.message_bytes = 1_000).spawn().await;
    let big = "x".repeat(1_001);
    let mut socket = app.socket().await;
    socket.send_raw(Message::text(big.clone())).await;
    assert_eq!(socket.close_code().await, Some(1009));
    assert_ended(&app, "too_big").await;
    let mut parts = app.raw_socket(None).await;
    parts.send(0x01, &big.as_bytes()[..600]).await;
    parts.send(0x80, &big.as_bytes()[..600]).await;
    assert_eq!(close_code(&parts.read_to_the_end().await), Some(1009));
}

#[tokio::test]
async fn a_frame_that_announces_too_much_is_refused_before_it_comes() {
    let app = TestApp::spawn().await;
    let mut socket = app.raw_socket(None).await;
    let header = [&[0x82, 0x80 | 127][..], &(1u64 << 40).to_be_bytes()].concat();
    socket.send_bytes(&header).await;
    assert_eq!(close_code(&socket.read_to_the_end().await), Some(1009));
    assert_ended(&app, "too_big").await;
}

#[tokio::test]
async fn a_client_that_sends_far_too_much_hears_that_it_was_too_much() {
    let app = TestApp::spawn().await;
    let mut socket = app.socket().await;
    // More than any buffer on the way holds: it can only be sent while the server takes it.
    let sent = socket.try_send(Message::text("x".repeat(20 << 20))).await;
    assert!(sent.is_ok(), "{sent:?}");
    assert_eq!(socket.close_code().await, Some(1009));
}

#[tokio::test]
async fn a_frame_that_is_none_ends_the_connection() {
    let app = TestApp::spawn().await;
    for (first, payload) in [(0x83u8, &b"reserved opcode"[..]), (0x80, b"nothing to continue")] {
        let mut socket = app.raw_socket(None).await;
        socket.send(first, payload).await;
        let code = close_code(&socket.read_to_the_end().await);
        assert_eq!(code, Some(1002), "{first:x}");
    }
}

#[tokio::test]
async fn a_stopping_server_sends_its_clients_away_and_ends() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut sockets: Vec<TestSocket> = vec![];
    for _ in 0..10 {
        sockets.push(app.socket().await.subscribed_to([bore]).await);
    }
    let recorded = app.measure(bore, 99.0).await;
    for socket in &mut sockets {
        assert_eq!(socket.next().await["seq"], recorded["seq"]);
        assert_eq!(socket.next().await["type"], "violation");
    }
    let stopped = tokio::spawn(app.stop());
    for socket in &mut sockets {
        assert_eq!(socket.close_code().await, Some(1001));
    }
    assert!(stopped.await.expect("no panic").is_ok());
}

#[tokio::test]
async fn a_server_with_a_deaf_client_stops_all_the_same() {
    let app = TestApp::builder().with(|s| s.stop.grace_ms = 500).spawn().await;
    let _deaf = app.raw_socket(None).await;
    eventually("it is connected", async || {
        (app.metric("andon_connections{kind=\"websocket\"}").await == 1.0).then_some(())
    })
    .await;
    assert!(app.stop().await.is_ok());
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_cut_off() {
    let app = TestApp::builder()
        .with(|s| (s.broadcast.ping_interval_ms, s.broadcast.pong_timeout_ms) = (20, 150))
        .spawn()
        .await;
    let deaf = app.raw_socket(None).await;
    let received = deaf.read_to_the_end().await;
    assert!(received.contains(&0x89), "there was no ping");
    assert_eq!(close_code(&received), Some(4009));
    assert_ended(&app, "no_pong").await;
}

#[tokio::test]
async fn a_client_that_answers_pings_stays() {
    let app = TestApp::builder()
        .with(|s| {
            (s.broadcast.ping_interval_ms, s.broadcast.pong_timeout_ms) = (20, 400);
            s.broadcast.heartbeat_seconds = 0.1;
        })
        .spawn()
        .await;
    let mut socket = app.socket().await;
    for _ in 0..10 {
        socket.next_of_type("heartbeat").await; // a second, of which it is silent but for pongs
    }
    assert_eq!(app.metric("andon_connections{kind=\"websocket\"}").await, 1.0);
}

/// Sends samples until only so many clients are left; gives their number.
async fn until_only(left: f64, app: &TestApp, bore: i64) -> u64 {
    let mut sent = 0;
    while app.metric("andon_connections{kind=\"websocket\"}").await > left {
        sent += app.measure_all(bore, &[10.0; 200]).await.len() as u64;
        assert!(sent < 200_000, "it is still there");
    }
    sent
}

#[tokio::test]
async fn a_client_that_never_reads_is_let_go_and_the_others_get_everything() {
    let app = TestApp::builder()
        .with(|s| {
            (s.broadcast.stall_timeout_ms, s.http.peer_timeout_ms) = (1_000, 3_000);
            s.broadcast.sample_queue_bytes = 1 << 30; // the reader gets every sample, even if it is late
        })
        .spawn()
        .await;
    let bore = app.given_a_chart("Bore").await;
    let mut deaf = app.raw_socket(Some(4_096)).await;
    deaf.send(TEXT, json!({"type": "subscribe", "characteristic_ids": [bore]}).to_string().as_bytes()).await;
    deaf.wait_for("subscribed").await;
    let mut reader = app.socket().await.subscribed_to([bore]).await;
    let (done, mut waiting) = tokio::sync::watch::channel(None);
    let read = async {
        let mut due = 2;
        while waiting.borrow_and_update().is_none_or(|sent| due < 2 + sent) {
            tokio::select! {
                event = reader.next() => {
                    assert_eq!(event["seq"], due);
                    due += 1;
                }
                _ = waiting.changed() => {}
            }
        }
        due - 2
    };
    let send = async {
        let sent = until_only(1.0, &app, bore).await;
        done.send(Some(sent)).expect("somebody waits");
        sent
    };
    let (sent, read) = tokio::join!(send, read);
    assert_eq!(sent, read);
    eventually("the connection is really gone", async || (!deaf.is_held_by_the_server()).then_some(())).await;
    let next = app.measure(bore, 10.0).await;
    assert_eq!(reader.next().await["seq"], next["seq"]);
}

#[tokio::test]
async fn a_goodbye_is_answered_with_the_end_of_the_connection() {
    let app = TestApp::builder().with(|s| s.http.disconnect_timeout_ms = 600_000).spawn().await;
    let mut client = app.raw_socket(None).await;
    client.send(0x88, &1_000u16.to_be_bytes()).await;
    assert_eq!(close_code(&client.read_to_the_end().await), Some(1000));
    // Where the server was the first to say it, the client's own is waited for, whatever comes before it.
    let mut client = app.raw_socket(None).await;
    client.send(TEXT, &[0xFF]).await;
    while client.next_frame().await.0 != 0x88 {}
    client.send(TEXT, b"too late").await;
    client.send(0x88, &1_007u16.to_be_bytes()).await;
    assert_eq!(client.read_to_the_end().await, b"");
}

#[tokio::test]
async fn a_slow_client_that_reads_on_learns_why_it_was_let_go() {
    let app = TestApp::builder().with(|s| s.broadcast.stall_timeout_ms = 500).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut slow = app.raw_socket(Some(4_096)).await;
    slow.send(TEXT, json!({"type": "subscribe", "characteristic_ids": [bore]}).to_string().as_bytes()).await;
    slow.wait_for("subscribed").await;
    until_only(0.0, &app, bore).await;
    assert_eq!(close_code(&slow.read_to_the_end().await), Some(4008));
    assert_ended(&app, "too_slow").await;
}

#[tokio::test]
async fn a_deaf_client_whose_window_is_closed_is_cut_off_too() {
    let app = TestApp::builder()
        .with(|s| {
            (s.broadcast.ping_interval_ms, s.broadcast.pong_timeout_ms) = (50, 1_500);
            s.http.peer_timeout_ms = 400;
        })
        .spawn()
        .await;
    let bore = app.given_a_chart("Bore").await;
    let mut deaf = app.raw_socket(Some(4_096)).await;
    deaf.send(TEXT, json!({"type": "subscribe", "characteristic_ids": [bore]}).to_string().as_bytes()).await;
    deaf.wait_for("subscribed").await;
    assert!(deaf.is_held_by_the_server());
    app.measure_all(bore, &[10.0; 10_000]).await;
    eventually("the connection is really gone", async || (!deaf.is_held_by_the_server()).then_some(())).await;
    eventually("it is counted out", async || {
        (app.metric("andon_connections{kind=\"websocket\"}").await == 0.0).then_some(())
    })
    .await;
    tokio::time::timeout(Duration::from_secs(5), app.stop())
        .await
        .expect("nothing holds the server")
        .expect("stopped");
}
