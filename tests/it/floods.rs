//! Clients that say too much: they are warned, then sent away, and disturb nobody else.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{TestApp, TestAppBuilder, TestSocket, eventually};

fn ping(number: u64) -> Value {
    json!({"type": "ping", "t": number})
}

/// Five messages at once, and next to none after that.
fn strict() -> TestAppBuilder {
    TestApp::builder().with(|s| (s.broadcast.messages_per_second, s.broadcast.message_burst) = (0.001, 5))
}

async fn refused(app: &TestApp) -> f64 {
    app.metric("andon_messages_refused_total{reason=\"rate_limited\"}").await
}

#[tokio::test]
async fn whoever_says_too_much_is_warned_and_then_sent_away() {
    let app = strict().spawn().await;
    let mut socket = app.socket().await;
    for number in 0..20 {
        let _ = socket.try_send(Message::text(ping(number).to_string())).await; // it may be gone by then
    }
    for number in 0..5 {
        assert_eq!(socket.next_of_type("pong").await["t"], number);
    }
    for _ in 0..5 {
        let warning = socket.next_of_type("error").await;
        assert_eq!(warning["code"], "rate_limited");
        let message = warning["message"].as_str().expect("a text");
        assert!(message.contains("this one was not read"), "{message}");
    }
    assert_eq!(socket.close_code().await, Some(1008));
    assert_eq!(refused(&app).await, 5.0);
    eventually("it is counted out", async || {
        let ended = app.metric("andon_connections_closed_total{reason=\"flood\"}").await;
        (ended == 1.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn pings_and_pongs_count_like_any_other_message() {
    let app = strict().spawn().await;
    let mut socket = app.socket().await;
    for _ in 0..20 {
        let _ = socket.try_send(Message::Pong("".into())).await;
    }
    assert_eq!(socket.close_code().await, Some(1008));
}

#[tokio::test]
async fn a_flood_of_one_delays_nobody_else() {
    let app = strict().spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut reader = app.socket().await.subscribed_to([bore]).await;
    for _ in 0..4 {
        let mut flood = TestSocket::connect(app.address, None).await;
        for number in 0..50 {
            if flood.try_send(Message::text(ping(number).to_string())).await.is_err() {
                break;
            }
        }
        let recorded = app.measure(bore, 10.0).await;
        assert_eq!(reader.next().await["seq"], recorded["seq"]);
        assert_eq!(flood.close_code().await, Some(1008));
    }
}

#[tokio::test]
async fn groups_and_characteristics_together_are_bounded_for_each_client() {
    let app = TestApp::builder().with(|s| s.broadcast.subscriptions_per_client = 3).spawn().await;
    let mut socket = app.socket().await;
    let subscribe = |ids: &[i64], groups: &[&str]| json!({"type": "subscribe", "characteristic_ids": ids, "groups": groups});
    socket.send(&subscribe(&[1, 2], &["plant/line4"])).await;
    socket.next_of_type("subscribed").await;
    for (ids, groups) in [(&[][..], &["plant/line5"][..]), (&[3], &[]), (&[3], &["plant/line4"])] {
        let refusal = socket.refusal_of(&subscribe(ids, groups)).await;
        assert_eq!(refusal["code"], "too_many_subscriptions", "{ids:?} {groups:?}");
    }
    // What it has already is no more than it has.
    socket.send(&subscribe(&[2], &["plant/line4"])).await;
    socket.next_of_type("subscribed").await;
    socket.send(&json!({"type": "unsubscribe", "groups": ["plant/line4"]})).await;
    socket.next_of_type("unsubscribed").await;
    socket.send(&subscribe(&[3], &[])).await;
    socket.next_of_type("subscribed").await;
}
