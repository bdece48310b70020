//! The server is told what was processed: handed out, and come back from.

use std::time::Duration;

use serde_json::json;
use tokio::join;

use super::*;
use crate::client::{Incoming, Receipts};

const NEVER: Duration = Duration::from_secs(3_600);

async fn confirming(receipts: Option<Receipts>) -> (Client, Peer) {
    let server = TestServer::start().await;
    let options = Options { receipts, ..server.options() };
    let (client, peer) =
        join!(within_deadline(Client::connect(&options)), server.welcome(Greeting::default()));
    (client.expect("welcome"), peer)
}

async fn next_seq(client: &mut Client) -> u64 {
    match within_deadline(client.next()).await.expect("a message") {
        Incoming::Event(event) => event.seq,
        other => panic!("{other:?}"),
    }
}

/// What the server hears while the client waits for an event that does not come.
async fn heard_while_waiting(client: &mut Client, peer: &mut Peer) -> Value {
    tokio::select! {
        heard = peer.hear() => heard,
        incoming = client.next() => panic!("nothing was sent: {incoming:?}"),
    }
}

#[tokio::test]
async fn after_so_many_events_everything_that_the_caller_came_back_from_is_confirmed_at_once() {
    let (mut client, mut peer) = confirming(Some(Receipts { after_events: 3, within: NEVER })).await;
    for seq in 11..=14 {
        peer.say(&ack(seq, 7, seq)).await;
    }
    for seq in 11..=13 {
        assert_eq!(next_seq(&mut client).await, seq);
    }
    assert_eq!(next_seq(&mut client).await, 14, "the caller came back from 13");
    assert_eq!(peer.hear().await, json!({"type": "received", "seq": 13}));
}

#[tokio::test]
async fn a_single_event_is_confirmed_after_a_while() {
    let within = Duration::from_millis(20);
    let (mut client, mut peer) = confirming(Some(Receipts { after_events: 100, within })).await;
    peer.say(&ack(11, 7, 5)).await;
    assert_eq!(next_seq(&mut client).await, 11);
    assert_eq!(heard_while_waiting(&mut client, &mut peer).await, json!({"type": "received", "seq": 11}));
    peer.say(&ack(12, 7, 6)).await;
    assert_eq!(next_seq(&mut client).await, 12);
    assert_eq!(heard_while_waiting(&mut client, &mut peer).await, json!({"type": "received", "seq": 12}));
}

#[tokio::test]
async fn a_goodbye_confirms_what_was_processed_and_no_more() {
    let (mut client, mut peer) = confirming(Some(Receipts { after_events: 100, within: NEVER })).await;
    peer.say(&ack(11, 7, 5)).await;
    peer.say(&ack(12, 7, 6)).await;
    assert_eq!((next_seq(&mut client).await, next_seq(&mut client).await), (11, 12));
    let ((), (heard, last)) = join!(client.close(), async { (peer.hear().await, peer.next().await) });
    assert_eq!(heard, json!({"type": "received", "seq": 11}), "nobody came back from 12");
    assert!(matches!(last, Message::Close(_)), "{last:?}");
}

#[tokio::test]
async fn who_wants_no_receipts_sends_none() {
    let (mut client, mut peer) = confirming(None).await;
    peer.say(&ack(11, 7, 5)).await;
    peer.say(&ack(12, 7, 6)).await;
    assert_eq!((next_seq(&mut client).await, next_seq(&mut client).await), (11, 12));
    let (_, last) = join!(client.close(), peer.next());
    assert!(matches!(last, Message::Close(_)), "{last:?}");
}
