//! Coming back by itself: the same subscriptions, and how much may have been missed.

use std::time::Duration;

use serde_json::json;
use tokio::join;

use super::*;
use crate::client::{Backoff, ClientError, Incoming, Missed, Reconnecting, Update};
use crate::protocol::socket::{ServerMessage, Subscription};

fn hasty() -> Backoff {
    Backoff::new(Duration::from_millis(1), Duration::from_millis(2), 1)
}

async fn next(client: &mut Reconnecting) -> Update {
    within_deadline(client.next()).await.expect("goes on")
}

/// Connected, subscribed to 7, and the event of position 11 received.
async fn at_eleven(server: &TestServer) -> (Reconnecting, Peer) {
    let client = Reconnecting::connect(server.options(), Subscription::these(vec![id(7)]), hasty());
    let (client, mut peer) = join!(client, server.welcome_subscriber(Greeting::default()));
    let mut client = client.expect("connected");
    let first = next(&mut client).await;
    assert!(matches!(first, Update::Incoming(Incoming::Server(ServerMessage::Subscribed { .. }))));
    peer.say(&ack(11, 7, 5)).await;
    assert!(matches!(next(&mut client).await, Update::Incoming(Incoming::Event(event)) if event.seq == 11));
    (client, peer)
}

async fn comes_back_to(server: &TestServer, client: &mut Reconnecting, greeting: Greeting) -> (Missed, Peer) {
    let lost = next(client).await;
    assert!(matches!(lost, Update::Disconnected { .. }), "{lost:?}");
    let (update, peer) = join!(next(client), server.welcome_subscriber(greeting));
    match update {
        Update::Reconnected(missed) => (missed, peer),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn after_a_break_it_subscribes_again_and_says_what_may_be_missing() {
    let server = TestServer::start().await;
    let (mut client, mut peer) = at_eleven(&server).await;
    peer.close(4008, "too slow").await;
    let lost = next(&mut client).await;
    assert!(
        matches!(lost, Update::Disconnected { error: ClientError::Closed { code: 4008, .. }, .. }),
        "{lost:?}"
    );
    let server_side = async {
        let mut peer = server.welcome(Greeting { seq: 15, ..Greeting::default() }).await;
        assert_eq!(peer.hear().await, json!({"type": "subscribe", "characteristic_ids": [7]}));
        peer.say(&subscribed(7, "one", 16)).await; // one more while the client subscribed
        peer.say(&ack(17, 7, 5)).await;
        peer
    };
    let (update, _peer) = join!(next(&mut client), server_side);
    let missed = Missed::Positions { from_seq: 12, to_seq: 16 };
    assert!(matches!(&update, Update::Reconnected(found) if *found == missed), "{update:?}");
    assert!(matches!(next(&mut client).await, Update::Incoming(Incoming::Event(event)) if event.seq == 17));
}

#[tokio::test]
async fn a_log_that_did_not_move_or_is_another_one_is_told_so() {
    let server = TestServer::start().await;
    let (mut client, peer) = at_eleven(&server).await;
    drop(peer);
    let same = Greeting { seq: 11, ..Greeting::default() };
    let (missed, peer) = comes_back_to(&server, &mut client, same).await;
    assert_eq!(missed, Missed::Nothing);
    drop(peer);
    let other = Greeting { epoch: "two", seq: 40, ..Greeting::default() };
    let (missed, _peer) = comes_back_to(&server, &mut client, other).await;
    assert_eq!(missed, Missed::AnotherLog { epoch: "two".to_owned() });
}

#[tokio::test]
async fn it_tries_until_it_gets_through_and_counts_from_the_first_break() {
    let server = TestServer::start().await;
    let (mut client, peer) = at_eleven(&server).await;
    drop(peer);
    assert!(matches!(next(&mut client).await, Update::Disconnected { .. }));
    let (update, ()) =
        join!(next(&mut client), server.answer_http("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"));
    assert!(
        matches!(update, Update::Disconnected { error: ClientError::Refused { status: 502, .. }, .. }),
        "{update:?}"
    );
    let (update, ()) = join!(next(&mut client), async {
        drop(server.welcome(Greeting { seq: 20, ..Greeting::default() }).await); // gone before `subscribed`
    });
    assert!(matches!(update, Update::Disconnected { .. }), "{update:?}");
    let back = Greeting { seq: 30, ..Greeting::default() };
    let (update, _peer) = join!(next(&mut client), server.welcome_subscriber(back));
    let missed = Missed::Positions { from_seq: 12, to_seq: 30 };
    assert!(matches!(&update, Update::Reconnected(found) if *found == missed), "{update:?}");
}

#[tokio::test]
async fn who_is_not_wanted_any_more_gives_up() {
    let server = TestServer::start().await;
    let (mut client, mut peer) = at_eleven(&server).await;
    peer.close(4003, "this token may not listen").await;
    let error = within_deadline(client.next()).await.expect_err("final");
    assert!(matches!(error, ClientError::Closed { code: 4003, .. }), "{error:?}");

    let (mut client, peer) = at_eleven(&server).await;
    drop(peer);
    assert!(matches!(next(&mut client).await, Update::Disconnected { .. }));
    let answer = server.answer_http("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
    let (update, ()) = join!(within_deadline(client.next()), answer);
    assert!(matches!(update, Err(ClientError::Refused { status: 401, .. })));
}

#[tokio::test]
async fn the_first_connection_is_tried_once() {
    let server = TestServer::start().await;
    let client = Reconnecting::connect(server.options(), Subscription::all(), hasty());
    let busy = server.answer_http("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n");
    let (client, ()) = join!(within_deadline(client), busy);
    assert!(matches!(client.err(), Some(ClientError::Refused { status: 503, .. })));
}
