//! Coming back by itself: when, how often, and when not.

use std::time::Duration;

use tokio::join;

use super::*;
use crate::client::{Backoff, ClientError, Incoming, Reconnecting, Update};
use crate::protocol::socket::{ErrorCode, Subscription};

pub(super) fn hasty() -> Backoff {
    Backoff::new(Duration::from_millis(1), Duration::from_millis(2), 1)
}

pub(super) async fn next(client: &mut Reconnecting) -> Update {
    within_deadline(client.next()).await.expect("goes on")
}

pub(super) async fn next_seq(client: &mut Reconnecting) -> u64 {
    match next(client).await {
        Update::Incoming(Incoming::Event(event)) => event.seq,
        other => panic!("{other:?}"),
    }
}

/// Passes over what is no event and no break.
pub(super) async fn next_event_seq(client: &mut Reconnecting) -> u64 {
    loop {
        match next(client).await {
            Update::Incoming(Incoming::Event(event)) => return event.seq,
            Update::Incoming(Incoming::Server(_) | Incoming::Resumption(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

pub(super) async fn next_break(client: &mut Reconnecting) -> (ClientError, Duration) {
    match next(client).await {
        Update::Disconnected { error, retry_in } => (error, retry_in),
        other => panic!("{other:?}"),
    }
}

/// Connected, subscribed to 7, and the event of position 11 received.
pub(super) async fn at_eleven(server: &TestServer) -> (Reconnecting, Peer) {
    at_eleven_with(server, hasty()).await
}

async fn at_eleven_with(server: &TestServer, backoff: Backoff) -> (Reconnecting, Peer) {
    let client = Reconnecting::connect(server.options(), Subscription::these(vec![id(7)]), backoff);
    let mut client = within_deadline(async {
        let (client, mut peer) = join!(client, server.welcome(Greeting::default()));
        let mut client = client.expect("connected");
        // The subscription leaves with the first wait.
        let answer = async {
            assert_eq!(peer.hear().await["type"], "subscribe");
            peer.say(&subscribed(7, "one", 10)).await;
            peer.say(&ack(11, 7, 5)).await;
        };
        let (update, ()) = join!(next(&mut client), answer);
        assert!(matches!(update, Update::Incoming(Incoming::Server(_))), "{update:?}");
        (client, peer)
    })
    .await;
    assert_eq!(next_seq(&mut client.0).await, 11);
    client
}

#[tokio::test]
async fn it_tries_until_it_gets_through() {
    let server = TestServer::start().await;
    let (mut client, peer) = at_eleven(&server).await;
    drop(peer);
    next_break(&mut client).await;
    let ((error, _), ()) = join!(next_break(&mut client), server.refuse(502, ""));
    assert!(matches!(error, ClientError::Refused { status: 502, .. }), "{error:?}");
    join!(next_break(&mut client), async {
        drop(server.welcome(Greeting { seq: 20, ..Greeting::default() }).await); // gone before `subscribed`
    });
    let talk = async {
        let back = Greeting { seq: 30, ..Greeting::default() };
        let (mut peer, subscription) = server.welcome_to(back, &recovered("one", 30, 5)).await;
        peer.say(&ack(12, 7, 6)).await;
        (peer, subscription)
    };
    let (seq, (_peer, subscription)) = join!(next_event_seq(&mut client), talk);
    assert_eq!((seq, &subscription["since"]["seq"]), (12, &11.into()));
}

#[tokio::test]
async fn a_server_that_stops_is_left_alone_for_as_long_as_it_says() {
    let server = TestServer::start().await;
    let hours = Backoff::new(Duration::from_secs(90_000), Duration::from_secs(90_000), 1);
    let (mut client, mut peer) = at_eleven_with(&server, hours).await;
    peer.close(1001, r#"{"retry_after_ms":30}"#).await;
    let (_, retry_in) = next_break(&mut client).await;
    assert_eq!(retry_in, Duration::from_millis(30));
    let talk = async {
        let mut peer = server.welcome_to(Greeting::default(), &recovered("one", 11, 5)).await.0;
        peer.say(&ack(12, 7, 6)).await;
        peer.close(1001, r#"{"retry_after_ms":999999999}"#).await;
    };
    let (seq, ()) = join!(next_event_seq(&mut client), talk);
    assert_eq!(seq, 12);
    let (_, retry_in) = next_break(&mut client).await;
    assert_eq!(retry_in, Duration::from_secs(300), "it is not left alone for ever");
}

#[tokio::test]
async fn a_busy_server_is_asked_again_when_it_says_and_not_by_all_at_once() {
    let server = TestServer::start().await;
    let (mut client, peer) = at_eleven(&server).await;
    drop(peer);
    next_break(&mut client).await;
    let ((_, retry_in), ()) = join!(next_break(&mut client), server.refuse(503, "retry-after: 2\r\n"));
    let (least, most) = (Duration::from_secs(2), Duration::from_secs(3));
    assert!(least < retry_in && retry_in < most, "{retry_in:?}");
}

#[tokio::test]
async fn who_is_not_wanted_any_more_gives_up() {
    let server = TestServer::start().await;
    for code in [1008, 4001, 4003] {
        let (mut client, mut peer) = at_eleven(&server).await;
        peer.close(code, "go away").await;
        let error = within_deadline(client.next()).await.expect_err("final");
        assert!(matches!(error, ClientError::Closed { code: told, .. } if told == code), "{error:?}");
        assert_eq!(client.position().map(|position| position.seq), Some(11), "somebody may go on from there");
    }
    let (mut client, peer) = at_eleven(&server).await;
    drop(peer);
    next_break(&mut client).await;
    let (update, ()) = join!(within_deadline(client.next()), server.refuse(401, ""));
    assert!(matches!(update, Err(ClientError::Refused { status: 401, .. })));
}

#[tokio::test]
async fn every_other_end_is_no_reason_to_give_up() {
    let server = TestServer::start().await;
    for code in [1000, 1001, 1009, 1011, 4008, 4009, 4010, 4029] {
        let (mut client, mut peer) = at_eleven(&server).await;
        peer.close(code, "bye").await;
        let (error, _) = next_break(&mut client).await;
        assert!(matches!(error, ClientError::Closed { code: told, .. } if told == code), "{error:?}");
    }
}

#[tokio::test]
async fn without_its_subscription_it_gives_up_but_not_where_it_only_has_to_wait() {
    let server = TestServer::start().await;
    for (code, known) in [
        ("forbidden", Some(ErrorCode::Forbidden)),
        ("rate_limited", Some(ErrorCode::RateLimited)),
        ("not_known_yet", None),
    ] {
        let (mut client, peer) = at_eleven(&server).await;
        drop(peer);
        next_break(&mut client).await;
        let text = format!(r#"{{"type":"error","code":"{code}","message":"not you","request":"subscribe"}}"#);
        let (update, _) =
            join!(within_deadline(client.next()), server.welcome_to(Greeting::default(), &text));
        let (error, is_final) = match update {
            Ok(Update::Disconnected { error, .. }) => (error, false),
            Err(error) => (error, true),
            other => panic!("{other:?}"),
        };
        assert!(
            matches!(&error, ClientError::NotSubscribed { code, message } if *code == known && message == "not you"),
            "{error:?}"
        );
        assert_eq!(is_final, code != "rate_limited");
    }
}

#[tokio::test]
async fn a_server_that_only_greets_is_asked_less_and_less_often() {
    let server = TestServer::start().await;
    let (mut client, mut peer) = at_eleven(&server).await;
    let mut expected = hasty();
    for _ in 0..5 {
        peer.close(1011, "oh no").await;
        let (_, retry_in) = next_break(&mut client).await;
        assert_eq!(retry_in, expected.next_wait());
        let answer = recovered("one", 11, 5);
        let (update, (back, _)) = join!(next(&mut client), server.welcome_to(Greeting::default(), &answer));
        assert!(matches!(update, Update::Incoming(Incoming::Resumption(_))), "{update:?}");
        next(&mut client).await;
        peer = back;
    }
}

#[tokio::test]
async fn the_first_connection_is_tried_once() {
    let server = TestServer::start().await;
    let client = Reconnecting::connect(server.options(), Subscription::all(), hasty());
    let (client, ()) = join!(within_deadline(client), server.refuse(503, ""));
    assert!(matches!(client.err(), Some(ClientError::Refused { status: 503, .. })));
}
