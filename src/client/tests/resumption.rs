//! What becomes of the events that a client missed: they come once, in order, or it is told that they do not.

use serde_json::json;
use tokio::join;

use super::reconnection::{at_eleven, hasty, next, next_break, next_event_seq, next_seq};
use super::*;
use crate::client::{ClientError, Incoming, Reconnecting, Repeated, Resumption, Update, Withheld};
use crate::protocol::socket::{Position, ServerMessage, Subscription};

const NOTHING_MISSING: Resumption = Resumption::Recovered { withheld: vec![] };

/// Comes back to a server that answers with this and then says the rest; gives what the server was asked.
async fn comes_back(
    server: &TestServer,
    client: &mut Reconnecting,
    texts: &[String],
) -> (Resumption, Peer, Value) {
    let [answer, rest @ ..] = texts else { panic!("an answer") };
    let talk = async {
        let (mut peer, subscription) = server.welcome_to(greeting_of(answer), answer).await;
        for text in rest {
            peer.say(text).await;
        }
        (peer, subscription)
    };
    let (update, (peer, subscription)) = join!(next(client), talk);
    let Update::Incoming(Incoming::Resumption(resumption)) = update else { panic!("{update:?}") };
    let subscribed = next_said(client).await;
    assert!(matches!(subscribed, ServerMessage::Subscribed { .. }), "{subscribed:?}");
    (resumption, peer, subscription["since"].clone())
}

/// A server that welcomes at the position where it answers.
fn greeting_of(answer: &str) -> Greeting {
    let answer: Value = serde_json::from_str(answer).expect("JSON");
    let epoch = if answer["epoch"] == "one" { "one" } else { "two" };
    Greeting { epoch, seq: answer["seq"].as_u64().expect("a position"), ..Greeting::default() }
}

async fn next_said(client: &mut Reconnecting) -> ServerMessage {
    match next(client).await {
        Update::Incoming(Incoming::Server(said)) => said.message,
        other => panic!("{other:?}"),
    }
}

async fn assert_resumed(client: &mut Reconnecting, count: u64) {
    let said = next_said(client).await;
    assert!(matches!(said, ServerMessage::Resumed { replayed, .. } if replayed == count), "{said:?}");
}

fn after(seq: u64) -> Value {
    json!({"epoch": "one", "seq": seq})
}

#[tokio::test]
async fn what_was_missed_comes_before_what_happens() {
    let server = TestServer::start().await;
    let (mut client, mut peer) = at_eleven(&server).await;
    peer.close(4008, "too slow: connect again and resume").await;
    let (error, _) = next_break(&mut client).await;
    assert!(matches!(error, ClientError::Closed { code: 4008, .. }), "{error:?}");
    let texts = [recovered("one", 16, 5), ack(12, 7, 6), sample(15, 7, 7), resumed(16, 2), ack(17, 7, 8)];
    let (resumption, _peer, since) = comes_back(&server, &mut client, &texts).await;
    assert_eq!((resumption, since), (NOTHING_MISSING, after(11)));
    assert_eq!((next_seq(&mut client).await, next_seq(&mut client).await), (12, 15));
    assert_resumed(&mut client, 2).await;
    assert_eq!(next_seq(&mut client).await, 17);
    assert_eq!(client.repeated(), 0);
}

#[tokio::test]
async fn a_break_among_the_missed_events_resumes_behind_the_last_of_them() {
    let server = TestServer::start().await;
    let (mut client, peer) = at_eleven(&server).await;
    drop(peer);
    next_break(&mut client).await;
    let (_, peer, since) = comes_back(&server, &mut client, &[recovered("one", 90, 5), ack(12, 7, 6)]).await;
    assert_eq!((since, next_seq(&mut client).await), (after(11), 12));
    drop(peer);
    next_break(&mut client).await;
    let (_, peer, since) = comes_back(&server, &mut client, &[recovered("one", 95, 6)]).await;
    assert_eq!(since, after(12));
    drop(peer);
    next_break(&mut client).await;
    let texts = [recovered("one", 99, 6), resumed(99, 0)];
    let (_, peer, since) = comes_back(&server, &mut client, &texts).await;
    assert_eq!(since, after(12), "the answer told nothing");
    assert_resumed(&mut client, 0).await;
    drop(peer);
    next_break(&mut client).await;
    let (_, _peer, since) = comes_back(&server, &mut client, &[recovered("one", 99, 6)]).await;
    assert_eq!(since, after(99), "all before it was told");
}

#[tokio::test]
async fn who_has_heard_nothing_resumes_where_it_subscribed() {
    let server = TestServer::start().await;
    let client = Reconnecting::connect(server.options(), Subscription::all(), hasty());
    let (client, mut peer) = join!(within_deadline(client), server.welcome(Greeting::default()));
    let mut client = client.expect("connected");
    let answer = async {
        peer.hear().await;
        peer.say(&subscribed(7, "one", 14)).await;
    };
    join!(next_said(&mut client), answer);
    assert_eq!(client.position(), Some(Position { epoch: "one".to_owned(), seq: 14 }));
    drop(peer);
    next_break(&mut client).await;
    let (_, _peer, since) = comes_back(&server, &mut client, &[recovered("one", 20, 4)]).await;
    assert_eq!(since, after(14));
}

#[tokio::test]
async fn a_client_that_is_started_anew_goes_on_from_a_position_that_was_kept() {
    let server = TestServer::start().await;
    let since = Position { epoch: "one".to_owned(), seq: 3 };
    let subscription = Subscription::these(vec![id(7)]).with_snapshot().since(since.clone());
    let client = Reconnecting::connect(server.options(), subscription, hasty());
    let (client, mut peer) = join!(within_deadline(client), server.welcome(Greeting::default()));
    let mut client = client.expect("connected");
    assert_eq!(client.position(), Some(since));
    let answer = async {
        assert_eq!(peer.hear().await["since"], after(3));
        peer.say(&recovered("one", 10, 2)).await;
        peer.say(&ack(5, 7, 3)).await;
    };
    let (seq, ()) = join!(next_event_seq(&mut client), answer);
    assert_eq!(seq, 5);
}

#[tokio::test]
async fn samples_that_were_held_back_when_it_broke_are_told_to_be_gone() {
    let server = TestServer::start().await;
    let (mut client, peer) = at_eleven(&server).await;
    drop(peer);
    next_break(&mut client).await;
    let texts = [recovered("one", 16, 7), ack(12, 7, 8)];
    let (resumption, _peer, _) = comes_back(&server, &mut client, &texts).await;
    let withheld = vec![Withheld { characteristic_id: id(7), revisions: 2 }];
    assert_eq!(resumption, Resumption::Recovered { withheld });
    assert_eq!(next_seq(&mut client).await, 12, "and that is no gap");
}

/// Acknowledgements go to everybody from the welcome on, also to who has not said yet from where it resumes.
#[tokio::test]
async fn what_comes_before_the_answer_is_told_in_its_place_and_moves_no_position() {
    let server = TestServer::start().await;
    let (mut client, peer) = at_eleven(&server).await;
    drop(peer);
    next_break(&mut client).await;
    let early = async {
        let mut peer = server.welcome(Greeting { seq: 13, ..Greeting::default() }).await;
        peer.say(&ack(14, 7, 8)).await;
        peer.say(&ack(15, 9, 80)).await;
        peer.hear().await;
    }; // and it is gone
    join!(next_break(&mut client), early);
    assert_eq!(client.position().map(|position| position.seq), Some(11));

    let talk = async {
        let mut peer = server.welcome(Greeting { seq: 13, ..Greeting::default() }).await;
        assert_eq!(peer.hear().await["since"], after(11));
        let missed = [ack(12, 7, 6), ack(13, 7, 7), sample(16, 7, 9)];
        for text in [ack(14, 7, 8), ack(15, 9, 80), recovered("one", 16, 5)].iter().chain(&missed) {
            peer.say(text).await;
        }
        peer
    };
    let (first, _peer) = join!(next_event_seq(&mut client), talk);
    let mut seqs = vec![first];
    for _ in 0..4 {
        seqs.push(next_seq(&mut client).await);
    }
    assert_eq!(seqs, [12, 13, 14, 15, 16]);
    assert_eq!(client.repeated(), 0);
}

#[tokio::test]
async fn with_the_last_missed_event_comes_what_was_early() {
    let server = TestServer::start().await;
    let (mut client, peer) = at_eleven(&server).await;
    drop(peer);
    next_break(&mut client).await;
    let talk = async {
        let mut peer = server.welcome(Greeting { seq: 11, ..Greeting::default() }).await;
        peer.hear().await;
        for text in [ack(12, 9, 80), recovered("one", 12, 5), resumed(12, 0)] {
            peer.say(&text).await;
        }
        peer
    };
    let (seq, _peer) = join!(next_event_seq(&mut client), talk);
    assert_eq!(seq, 12);
    assert_resumed(&mut client, 0).await;
}

#[tokio::test]
async fn what_comes_again_is_left_out_counted_and_told() {
    let server = TestServer::start().await;
    let (mut client, peer) = at_eleven(&server).await;
    drop(peer);
    next_break(&mut client).await;
    let texts = [recovered("one", 16, 4), ack(11, 7, 5), ack(12, 7, 6)];
    let (_, _peer, _) = comes_back(&server, &mut client, &texts).await;
    let repeated = Repeated { seq: 11, characteristic_id: id(7), revision: 5 };
    let update = next(&mut client).await;
    assert!(matches!(update, Update::Incoming(Incoming::Repeated(found)) if found == repeated), "{update:?}");
    assert_eq!((next_seq(&mut client).await, client.repeated()), (12, 1));
}

#[tokio::test]
async fn what_the_log_no_longer_holds_is_lost_and_the_position_starts_anew() {
    let server = TestServer::start().await;
    let (mut client, peer) = at_eleven(&server).await;
    drop(peer);
    next_break(&mut client).await;
    let texts = [lost("one", 40, 20), snapshot(40, 7, 20), ack(41, 7, 21)];
    let (resumption, peer, _) = comes_back(&server, &mut client, &texts).await;
    assert_eq!(resumption, Resumption::Lost { from_seq: 12, to_seq: 40 });
    let update = next(&mut client).await;
    assert!(matches!(update, Update::Incoming(Incoming::Snapshot(state)) if state.revision == 20));
    assert_eq!(client.position().map(|position| position.seq), Some(40));
    assert_eq!(next_seq(&mut client).await, 41, "the revisions count from the answer on");
    drop(peer);
    next_break(&mut client).await;
    let (resumption, _peer, since) = comes_back(&server, &mut client, &[recovered("one", 41, 21)]).await;
    assert_eq!((resumption, since), (NOTHING_MISSING, after(41)));
}

#[tokio::test]
async fn a_loss_may_be_told_without_a_break() {
    let server = TestServer::start().await;
    let (mut client, mut peer) = at_eleven(&server).await;
    peer.say(&lost("one", 40, 20)).await;
    let update = next(&mut client).await;
    let lost = Resumption::Lost { from_seq: 12, to_seq: 40 };
    assert!(matches!(&update, Update::Incoming(Incoming::Resumption(found)) if *found == lost), "{update:?}");
}

#[tokio::test]
async fn another_log_has_other_positions() {
    let server = TestServer::start().await;
    let (mut client, mut peer) = at_eleven(&server).await;
    peer.close(4010, "the log is another one: subscribe afresh").await;
    next_break(&mut client).await;
    let texts = [lost("two", 3, 1), snapshot(3, 7, 1), ack(4, 7, 2)];
    let (resumption, peer, _) = comes_back(&server, &mut client, &texts).await;
    assert_eq!(resumption, Resumption::AnotherLog { epoch: "two".to_owned() });
    next(&mut client).await;
    assert_eq!(next_seq(&mut client).await, 4);
    drop(peer);
    next_break(&mut client).await;
    let (_, _peer, since) = comes_back(&server, &mut client, &[recovered("two", 4, 2)]).await;
    assert_eq!(since, json!({"epoch": "two", "seq": 4}));
}

#[tokio::test]
async fn snapshots_that_a_break_cut_off_are_asked_for_again() {
    let server = TestServer::start().await;
    let (mut client, peer) = at_eleven(&server).await;
    drop(peer);
    next_break(&mut client).await;
    let (_, peer, _) = comes_back(&server, &mut client, &[lost("one", 40, 20)]).await;
    drop(peer);
    next_break(&mut client).await;
    let texts = [recovered("one", 41, 20), ack(41, 7, 21), resumed(41, 1)];
    let (_, mut peer, since) = comes_back(&server, &mut client, &texts).await;
    assert_eq!((since, next_seq(&mut client).await), (after(40), 41));
    assert_resumed(&mut client, 1).await;
    let ask = async {
        let asked = peer.hear().await;
        assert_eq!(asked, json!({"type": "subscribe", "characteristic_ids": [7], "snapshot": true}));
        peer.say(&subscribed(7, "one", 41).replace(r#"{"7":4}"#, r#"{"7":21}"#)).await;
        peer.say(&snapshot(41, 7, 21)).await;
    };
    join!(next_said(&mut client), ask);
    let update = next(&mut client).await;
    assert!(matches!(update, Update::Incoming(Incoming::Snapshot(state)) if state.seq == 41));
    drop(peer);
    next_break(&mut client).await;
    let texts = [recovered("one", 41, 21), resumed(41, 0)];
    let (_, mut peer, _) = comes_back(&server, &mut client, &texts).await;
    assert_resumed(&mut client, 0).await;
    let ((), last) = join!(client.close(), peer.next());
    assert!(last.is_close(), "nothing is due any more: {last:?}");
}

#[tokio::test]
async fn snapshots_that_were_never_promised_are_asked_for_again() {
    let server = TestServer::start().await;
    let subscription = Subscription::these(vec![id(7)]).with_snapshot();
    let client = Reconnecting::connect(server.options(), subscription, hasty());
    let (client, peer) = join!(within_deadline(client), server.welcome(Greeting::default()));
    let mut client = client.expect("connected");
    drop(peer); // gone before `subscribed`
    next_break(&mut client).await;
    let later = Greeting { seq: 20, ..Greeting::default() };
    let answer = subscribed(7, "one", 20);
    let (said, (mut peer, asked)) = join!(next_said(&mut client), server.welcome_to(later, &answer));
    assert!(matches!(said, ServerMessage::Subscribed { .. }), "{said:?}");
    assert_eq!(asked, json!({"type": "subscribe", "characteristic_ids": [7], "snapshot": true}));
    peer.say(&snapshot(20, 7, 4)).await;
    let update = next(&mut client).await;
    assert!(matches!(update, Update::Incoming(Incoming::Snapshot(state)) if state.seq == 20));
    assert_eq!(client.position().map(|position| position.seq), Some(20));
    drop(peer);
    next_break(&mut client).await;
    let (_, _peer, since) = comes_back(&server, &mut client, &[recovered("one", 20, 4)]).await;
    assert_eq!(since, after(20), "from then on it resumes");
}

#[tokio::test]
async fn of_what_was_deleted_no_snapshot_is_asked_for() {
    let server = TestServer::start().await;
    let (mut client, peer) = at_eleven(&server).await;
    drop(peer);
    next_break(&mut client).await;
    let (_, peer, _) = comes_back(&server, &mut client, &[lost("one", 40, 20)]).await;
    drop(peer);
    next_break(&mut client).await;
    let texts = [recovered("one", 41, 20), deleted(41, 7, 21), resumed(41, 1)];
    let (_, mut peer, _) = comes_back(&server, &mut client, &texts).await;
    assert_eq!(next_seq(&mut client).await, 41);
    assert_resumed(&mut client, 1).await;
    // A server may name it still.
    peer.say(&lost("one", 50, 21)).await;
    let update = next(&mut client).await;
    assert!(matches!(update, Update::Incoming(Incoming::Resumption(_))), "{update:?}");
    next_said(&mut client).await;
    drop(peer);
    next_break(&mut client).await;
    let texts = [recovered("one", 50, 21), resumed(50, 0)];
    let (_, mut peer, _) = comes_back(&server, &mut client, &texts).await;
    assert_resumed(&mut client, 0).await;
    let ((), last) = join!(client.close(), peer.next());
    assert!(last.is_close(), "nothing is due: {last:?}");
}

#[tokio::test]
async fn a_deaf_client_connects_again_and_hears_what_it_did_not() {
    let server = TestServer::start().await;
    let (mut client, mut peer) = at_eleven(&server).await;
    peer.say(&heartbeat(12)).await;
    let (error, _) = next_break(&mut client).await;
    assert!(matches!(error, ClientError::Deaf { sent: 12, received: 11 }), "{error:?}");
    let texts = [recovered("one", 12, 5), ack(12, 7, 6)];
    let (_, _peer, since) = comes_back(&server, &mut client, &texts).await;
    assert_eq!((since, next_seq(&mut client).await), (after(11), 12));
}
