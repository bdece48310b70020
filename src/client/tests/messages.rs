//! What the client says and what it makes of what it hears.

use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::*;
use crate::client::{Gap, Incoming};
use crate::protocol::client_side::{EventMessage, EventPayload};
use crate::protocol::socket::{ServerMessage, Subscription};

async fn next(client: &mut Client) -> Incoming {
    within_deadline(client.next()).await.expect("a message")
}

async fn next_event(client: &mut Client) -> EventMessage {
    match next(client).await {
        Incoming::Event(event) => event,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn requests_reach_the_server_in_its_words() {
    let server = TestServer::start().await;
    let (mut client, mut peer) = welcomed(&server, Greeting::default()).await;
    client.subscribe(Subscription::these(vec![id(7), id(8)])).await.expect("open");
    client.subscribe(Subscription::all()).await.expect("open");
    client.unsubscribe(vec![id(8)]).await.expect("open");
    client.ping().await.expect("open");
    assert_eq!(peer.hear().await, json!({"type": "subscribe", "characteristic_ids": [7, 8]}));
    assert_eq!(peer.hear().await, json!({"type": "subscribe", "all": true}));
    assert_eq!(peer.hear().await, json!({"type": "unsubscribe", "characteristic_ids": [8]}));
    assert_eq!(peer.hear().await, json!({"type": "ping"}));
}

#[tokio::test]
async fn events_arrive_typed_and_unknown_types_as_they_came() {
    let server = TestServer::start().await;
    let (mut client, mut peer) = welcomed(&server, Greeting::default()).await;
    let episode = r#"{"type":"episode","seq":12,"characteristic_id":7,"revision":6,"payload":{"id":1}}"#;
    let news = r#"{"type":"news","text":"lunch"}"#;
    for text in [subscribed(7, "one", 10).as_str(), &ack(11, 7, 5), episode, news] {
        peer.say(text).await;
    }
    assert!(matches!(next(&mut client).await, Incoming::Server(ServerMessage::Subscribed { seq: 10, .. })));
    let event = next_event(&mut client).await;
    assert_eq!((event.seq, event.text()), (11, ack(11, 7, 5).as_str()));
    assert!(matches!(event.payload, EventPayload::AckUpdate(ack) if ack.user.as_deref() == Some("Kim")));
    let event = next_event(&mut client).await;
    assert!(matches!(event.payload, EventPayload::Other { ref name, .. } if name == "episode"));
    assert!(matches!(next(&mut client).await, Incoming::Other(other) if other.text() == news));
    assert_eq!(client.position().seq, 12);
}

#[tokio::test]
async fn a_gap_is_told_before_the_event_that_shows_it() {
    let server = TestServer::start().await;
    let (mut client, mut peer) = welcomed(&server, Greeting::default()).await;
    for text in [subscribed(7, "one", 10), ack(11, 8, 90), ack(14, 7, 7), ack(15, 7, 8)] {
        peer.say(&text).await;
    }
    next(&mut client).await;
    assert_eq!(next_event(&mut client).await.revision, 90, "8 is not subscribed to");
    let gap = Gap { characteristic_id: id(7), expected: 5, got: 7 };
    assert!(matches!(next(&mut client).await, Incoming::Gap(found) if found == gap));
    assert_eq!(next_event(&mut client).await.revision, 7);
    assert_eq!(next_event(&mut client).await.revision, 8);
}

#[tokio::test]
async fn a_ping_is_answered_while_the_client_only_waits() {
    let server = TestServer::start().await;
    let (mut client, mut peer) = welcomed(&server, Greeting::default()).await;
    let server_side = async {
        peer.send(Message::Ping("are you there".into())).await;
        let answer = peer.next().await; // before anything else is sent
        peer.say(&ack(11, 7, 5)).await;
        answer
    };
    let (event, answer) = tokio::join!(next_event(&mut client), server_side);
    assert_eq!((event.seq, answer), (11, Message::Pong("are you there".into())));
}

#[tokio::test]
async fn a_client_that_leaves_says_goodbye() {
    let server = TestServer::start().await;
    let (client, mut peer) = welcomed(&server, Greeting::default()).await;
    let server_side = async {
        let last = peer.next().await;
        assert!(peer.socket.next().await.is_none(), "it is closed"); // and the answer is written
        last
    };
    let ((), last) = tokio::join!(client.close(), server_side);
    assert!(matches!(last, Message::Close(Some(frame)) if frame.code == CloseCode::Normal));
}
