//! What the client says and what it makes of what it hears.

use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::*;
use crate::client::{Gap, Incoming, Repeated, Resumption};
use crate::protocol::client_side::{EventMessage, EventPayload};
use crate::protocol::socket::{Position, ServerMessage, Subscription};

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
    let state = snapshot(12, 7, 6);
    for text in [subscribed(7, "one", 10).as_str(), &ack(11, 7, 5), episode, &state, news] {
        peer.say(text).await;
    }
    let Incoming::Server(said) = next(&mut client).await else { panic!("subscribed comes first") };
    assert!(matches!(said.message, ServerMessage::Subscribed { seq: 10, .. }));
    let event = next_event(&mut client).await;
    assert_eq!((event.seq, event.text()), (11, ack(11, 7, 5).as_str()));
    assert!(matches!(event.payload, EventPayload::AckUpdate(ack) if ack.user.as_deref() == Some("Kim")));
    let event = next_event(&mut client).await;
    assert!(matches!(event.payload, EventPayload::Other { ref name, .. } if name == "episode"));
    assert!(matches!(next(&mut client).await, Incoming::Snapshot(snapshot) if snapshot.text() == state));
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
async fn an_event_that_was_there_before_is_told_and_not_handed_out() {
    let server = TestServer::start().await;
    let (mut client, mut peer) = welcomed(&server, Greeting::default()).await;
    let first = ack(12, 7, 5);
    let again_of_others = ack(12, 8, 40); // not subscribed to: known by its position
    for text in [subscribed(7, "one", 10), first.clone(), first, again_of_others, ack(13, 7, 6)] {
        peer.say(&text).await;
    }
    next(&mut client).await;
    assert_eq!(next_event(&mut client).await.seq, 12);
    for (characteristic, revision) in [(7, 5), (8, 40)] {
        let repeated = Repeated { seq: 12, characteristic_id: id(characteristic), revision };
        assert!(matches!(next(&mut client).await, Incoming::Repeated(found) if found == repeated));
    }
    assert_eq!(next_event(&mut client).await.seq, 13);
}

#[tokio::test]
async fn a_client_alone_hears_what_it_missed_of_what_it_adds() {
    let server = TestServer::start().await;
    let (mut client, mut peer) = welcomed(&server, Greeting::default()).await;
    client.subscribe(Subscription::these(vec![id(8)])).await.expect("open");
    peer.say(&subscribed(8, "one", 10)).await;
    peer.say(&sample(20, 8, 5)).await;
    next(&mut client).await;
    assert_eq!(next_event(&mut client).await.seq, 20);
    let since = Position { epoch: "one".to_owned(), seq: 5 };
    client.subscribe(Subscription::these(vec![id(7)]).since(since)).await.expect("open");
    for text in [
        ack(21, 9, 1),
        recovered("one", 21, 4),
        ack(6, 7, 5),
        sample(18, 7, 6),
        resumed(21, 2),
        ack(22, 7, 7),
    ] {
        peer.say(&text).await;
    }
    let recovered = Resumption::Recovered { withheld: vec![] };
    assert!(matches!(next(&mut client).await, Incoming::Resumption(found) if found == recovered));
    assert!(matches!(next(&mut client).await, Incoming::Server(_)));
    assert_eq!(client.position().seq, 5, "a break now would lose what is still to come");
    assert_eq!(next_event(&mut client).await.seq, 6);
    assert_eq!(next_event(&mut client).await.seq, 18);
    assert_eq!(client.position().seq, 18);
    assert_eq!(next_event(&mut client).await.seq, 21, "it came before the answer, and is told in its place");
    assert!(matches!(next(&mut client).await, Incoming::Server(_)));
    assert_eq!(next_event(&mut client).await.seq, 22);
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
