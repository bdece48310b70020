//! Connections that break or go silent.

use std::time::Duration;

use tokio::select;
use tokio::time::sleep;

use super::*;
use crate::client::ClientError;

async fn next_error(client: &mut Client) -> ClientError {
    within_deadline(client.next()).await.expect_err("no message")
}

/// Silence is soon found out.
fn quick_heartbeats() -> Greeting {
    Greeting { heartbeat_seconds: 0.02, ..Greeting::default() }
}

/// The limit that follows from `slower_heartbeats`: a loaded machine does not stand still for so long.
const LIMIT: Duration = Duration::from_millis(750);

fn slower_heartbeats() -> Greeting {
    Greeting { heartbeat_seconds: 0.25, ..Greeting::default() }
}

#[tokio::test]
async fn close_frames_are_told_and_answered() {
    for (code, reason) in [(4008, "too slow: reconnect and resume"), (1001, "server is stopping, reconnect")]
    {
        let server = TestServer::start().await;
        let (mut client, mut peer) = welcomed(&server, Greeting::default()).await;
        peer.close(code, reason).await;
        for _ in 0..2 {
            let error = next_error(&mut client).await;
            assert!(!error.is_final());
            let ClientError::Closed { code: told, reason: said } = error else { panic!("{error:?}") };
            assert_eq!((told, said.as_str()), (code, reason));
        }
        let answer = peer.next().await;
        assert!(
            matches!(answer, Message::Close(Some(ref frame)) if u16::from(frame.code) == code),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_breaks_without_a_word_is_told() {
    let server = TestServer::start().await;
    let (mut client, peer) = welcomed(&server, Greeting::default()).await;
    drop(peer);
    assert!(matches!(next_error(&mut client).await, ClientError::Broken(_)));
    assert!(matches!(next_error(&mut client).await, ClientError::Broken(_)));
}

#[tokio::test]
async fn what_is_no_message_ends_the_connection() {
    for nonsense in [Message::text("hello"), Message::text("[]"), Message::binary("{}")] {
        let server = TestServer::start().await;
        let (mut client, mut peer) = welcomed(&server, Greeting::default()).await;
        peer.send(nonsense).await;
        assert!(matches!(next_error(&mut client).await, ClientError::Unreadable(_)));
    }
}

#[tokio::test]
async fn a_server_without_any_sign_of_life_counts_as_gone() {
    let server = TestServer::start().await;
    let (mut client, _peer) = welcomed(&server, quick_heartbeats()).await;
    let error = next_error(&mut client).await;
    assert!(matches!(error, ClientError::Silent(limit) if limit == Duration::from_millis(60)), "{error:?}");
}

#[tokio::test]
async fn silence_is_counted_across_cancelled_waits() {
    let server = TestServer::start().await;
    let (mut client, _peer) = welcomed(&server, quick_heartbeats()).await;
    let error = within_deadline(async {
        loop {
            select! {
                message = client.next() => break message.expect_err("no message"),
                () = sleep(Duration::from_millis(5)) => {}
            }
        }
    });
    assert!(matches!(error.await, ClientError::Silent(_)));
}

#[tokio::test]
async fn who_has_received_less_than_was_sent_is_deaf() {
    let server = TestServer::start().await;
    let (mut client, mut peer) = welcomed(&server, Greeting::default()).await;
    for text in [heartbeat(0), ack(11, 7, 5), heartbeat(11), heartbeat(12)] {
        peer.say(&text).await;
    }
    for _ in 0..3 {
        within_deadline(client.next()).await.expect("all that was sent has arrived");
    }
    let error = next_error(&mut client).await;
    assert!(matches!(error, ClientError::Deaf { sent: 12, received: 11 }) && !error.is_final(), "{error:?}");
}

#[tokio::test]
async fn a_ping_is_a_sign_of_life() {
    let server = TestServer::start().await;
    let (mut client, mut peer) = welcomed(&server, slower_heartbeats()).await;
    let pings = async {
        loop {
            peer.send(Message::Ping("".into())).await;
            sleep(Duration::from_millis(5)).await;
        }
    };
    select! {
        message = client.next() => panic!("{message:?}"),
        () = pings => {}
        () = sleep(LIMIT * 2) => {}
    }
}

#[tokio::test]
async fn what_the_caller_does_meanwhile_is_not_the_servers_silence() {
    let server = TestServer::start().await;
    let (mut client, mut peer) = welcomed(&server, slower_heartbeats()).await;
    peer.say(&ack(11, 7, 5)).await;
    within_deadline(client.next()).await.expect("an event");
    sleep(LIMIT + LIMIT / 4).await;
    let (message, ()) = tokio::join!(within_deadline(client.next()), async {
        peer.say(&ack(12, 7, 6)).await;
    });
    message.expect("an event");
}
