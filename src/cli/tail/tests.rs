//! `andon tail` against a small server that speaks the real protocol.

use std::time::Duration;

use clap::Parser;
use futures_util::StreamExt;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader, DuplexStream, Lines, duplex};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::*;
use crate::client::tests::{
    Greeting, Peer, TestServer, ack, heartbeat, id, lost, recovered, resumed, sample, snapshot, subscribed,
    within_deadline,
};

/// A running `tail` and both its outputs.
struct Running {
    ended: JoinHandle<anyhow::Result<()>>,
    output: Lines<BufReader<DuplexStream>>,
    notes: Lines<BufReader<DuplexStream>>,
    stop: CancellationToken,
}

impl Running {
    fn start(server: &TestServer, subscription: Subscription, format: Format, quiet_samples: bool) -> Self {
        let view = View::new(format, &subscription, quiet_samples);
        let ((output, printed), (notes, noted)) = (duplex(65_536), duplex(65_536));
        let (stop, server_url) = (CancellationToken::new(), server.url());
        let tail = Tail::new(view, output, notes, server_url);
        let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(2), 1);
        let ended = tokio::spawn(tail.follow(server.options(), subscription, backoff, stop.clone()));
        Self { ended, output: BufReader::new(printed).lines(), notes: BufReader::new(noted).lines(), stop }
    }

    async fn next_line(&mut self) -> String {
        within_deadline(self.output.next_line()).await.expect("text").expect("a line")
    }

    async fn next_note(&mut self) -> String {
        within_deadline(self.notes.next_line()).await.expect("text").expect("a note")
    }

    async fn end(self) -> anyhow::Result<()> {
        within_deadline(self.ended).await.expect("no panic")
    }
}

async fn started(format: Format) -> (TestServer, Running, Peer) {
    let server = TestServer::start().await;
    let running = Running::start(&server, Subscription::all(), format, false);
    let peer = server.welcome_subscriber(Greeting::default()).await;
    (server, running, peer)
}

/// The answer to the subscription stands at the beginning of what programs read.
async fn started_as_json() -> (TestServer, Running, Peer) {
    let (server, mut running, peer) = started(Format::Json).await;
    assert_eq!(running.next_line().await, subscribed(7, "one", 10));
    (server, running, peer)
}

#[tokio::test]
async fn lines_are_printed_until_it_is_stopped_and_says_goodbye() {
    let (_server, mut running, mut peer) = started(Format::Lines(Style::Plain)).await;
    peer.say(&ack(11, 7, 5)).await;
    assert_eq!(running.next_line().await, "2026-11-20 10:00:05Z  ack #3               7  Tool Change (Kim)");
    running.stop.cancel();
    assert_eq!(peer.hear().await, json!({"type": "received", "seq": 11}));
    assert!(matches!(peer.next().await, Message::Close(Some(frame)) if frame.code == CloseCode::Normal));
    drop(peer);
    running.end().await.expect("a clean end");
}

#[tokio::test]
async fn json_is_one_message_per_line_as_it_arrived() {
    let (_server, mut running, mut peer) = started_as_json().await;
    let odd = r#"{"type":"weather", "seq":12,"characteristic_id":7,"revision":6,"payload":{"a": 1.50}}"#;
    let state = snapshot(12, 7, 6);
    let news = "{\"type\":\"news\",\n\"text\":\"lunch\"}\n";
    for text in [ack(11, 7, 5).as_str(), odd, &heartbeat(12), &state, news] {
        peer.say(text).await;
    }
    assert_eq!(running.next_line().await, ack(11, 7, 5));
    assert_eq!(running.next_line().await, odd);
    assert_eq!(running.next_line().await, state);
    assert_eq!(running.next_line().await, r#"{"type":"news", "text":"lunch"}"#);
}

#[tokio::test]
async fn only_what_was_asked_for_is_shown() {
    let violations =
        Filter { types: Some(vec![EventKind::Violation, EventKind::AckUpdate]), ..Filter::default() };
    for subscription in [
        Subscription::these(vec![id(7)]),
        Subscription::groups(vec!["plant".to_owned()]),
        Subscription::these(vec![id(7)]).filtered(violations),
    ] {
        let server = TestServer::start().await;
        let mut running = Running::start(&server, subscription, Format::Json, true);
        let mut peer = server.welcome_subscriber(Greeting::default()).await;
        for text in [ack(11, 8, 90), sample(12, 7, 5), ack(13, 7, 6)] {
            peer.say(&text).await;
        }
        running.next_line().await;
        assert_eq!(running.next_line().await, ack(13, 7, 6));
    }
    let samples = Filter { types: Some(vec![EventKind::Sample]), ..Filter::default() };
    let samples = Subscription::all().filtered(samples);
    let server = TestServer::start().await;
    let mut running = Running::start(&server, samples, Format::Json, false);
    let mut peer = server.welcome_subscriber(Greeting::default()).await;
    for text in [ack(11, 7, 5), sample(12, 7, 6)] {
        peer.say(&text).await;
    }
    running.next_line().await;
    assert_eq!(running.next_line().await, sample(12, 7, 6), "acknowledgements come whatever the filter");
}

#[tokio::test]
async fn a_present_state_has_its_line_whatever_version_it_is_of() {
    let (_server, mut running, mut peer) = started(Format::Lines(Style::Plain)).await;
    peer.say(&snapshot(10, 7, 4)).await;
    let line = running.next_line().await;
    assert_eq!(line, "-                     present state        7");
}

#[tokio::test]
async fn a_gap_is_noted_beside_the_output() {
    let (server, mut running, mut peer) = started_as_json().await;
    let note = running.next_note().await; // before any event
    let url = server.url();
    assert_eq!(
        note,
        format!(
            "andon: connected to {url}, listening to all characteristics; events after position 10 of the log follow"
        )
    );
    peer.say(&ack(11, 7, 6)).await;
    assert_eq!(running.next_note().await, "andon: characteristic 7: expected revision 5, got 6");
    assert_eq!(running.next_line().await, ack(11, 7, 6));
}

#[tokio::test]
async fn after_a_break_it_goes_on_without_a_gap_and_says_so() {
    let (server, mut running, mut peer) = started_as_json().await;
    running.next_note().await;
    peer.say(&ack(11, 7, 5)).await;
    running.next_line().await;
    peer.close(4008, "too slow\u{1b}[2J").await;
    let note = running.next_note().await;
    assert!(note.starts_with("andon: the server closed the connection: too slow\u{fffd}[2J (4008); trying"));
    let back = Greeting { seq: 15, ..Greeting::default() };
    let (mut peer, asked) = server.welcome_to(back, &recovered("one", 15, 6)).await;
    assert_eq!(asked["since"], json!({"epoch": "one", "seq": 11}));
    for text in [ack(12, 7, 7), ack(12, 7, 7), resumed(15, 1)] {
        peer.say(&text).await;
    }
    let lines = [recovered("one", 15, 6), ack(12, 7, 7), resumed(15, 1)];
    for line in lines {
        assert_eq!(running.next_line().await, line);
    }
    for note in [
        "connected again; what was missed follows, but for 1 that had been held back and do not come",
        "characteristic 7: revision 7 (position 12) came again and is left out",
        "that was all: 1 event came late",
    ] {
        assert_eq!(running.next_note().await, format!("andon: {note}"));
    }
    running.stop.cancel();
    assert_eq!(running.next_note().await, "andon: to go on from here: --since one.15");
}

#[tokio::test]
async fn what_is_lost_is_noted() {
    let (server, mut running, mut peer) = started_as_json().await;
    running.next_note().await;
    for (greeting, answer, told) in [
        (
            Greeting { seq: 40, ..Greeting::default() },
            lost("one", 40, 9),
            "up to 30 events are lost: the log no longer holds what was missed (positions 11 to 40); the present \
             state follows",
        ),
        (
            Greeting { epoch: "two", seq: 3, ..Greeting::default() },
            lost("two", 3, 1),
            "but the log is another one (two): what was missed cannot be told; the present state follows",
        ),
    ] {
        peer.close(1001, r#"{"retry_after_ms":1}"#).await;
        running.next_note().await;
        peer = server.welcome_to(greeting, &answer).await.0;
        assert_eq!(running.next_note().await, format!("andon: connected again; {told}"));
    }
}

#[tokio::test]
async fn a_reader_that_goes_ends_it_without_an_error() {
    let (_server, mut running, mut peer) = started_as_json().await;
    peer.say(&ack(11, 7, 5)).await;
    running.next_line().await;
    let Running { ended, output, notes: _notes, stop: _stop } = running;
    drop(output);
    peer.say(&ack(12, 7, 6)).await;
    while let Some(Ok(_)) = within_deadline(peer.socket.next()).await {}
    within_deadline(ended).await.expect("no panic").expect("a quiet end");
}

#[tokio::test]
async fn a_first_connection_that_fails_says_where_and_why() {
    let server = TestServer::start().await;
    let url = server.url();
    let running = Running::start(&server, Subscription::all(), Format::Json, false);
    server.answer_http("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await;
    let error = format!("{:#}", running.end().await.expect_err("refused"));
    assert_eq!(error, format!("no connection to {url}: the server wants a valid token (HTTP 401)"));
}

#[tokio::test]
async fn a_refused_subscription_is_an_error() {
    for code in ["forbidden", "not_known_yet"] {
        let server = TestServer::start().await;
        let running = Running::start(&server, Subscription::all(), Format::Json, false);
        let error =
            format!(r#"{{"type":"error","code":"{code}","message":"not you","request":"subscribe"}}"#);
        let (peer, _) = server.welcome_to(Greeting::default(), &error).await;
        drop(peer);
        assert!(running.end().await.expect_err("refused").to_string().contains("not you"), "{code}");
    }
}

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    tail: TailArgs,
}

#[tokio::test]
async fn arguments_that_cannot_be_are_refused() {
    let parse = |args: &[&str]| Command::try_parse_from([&["andon"], args].concat()).map(|c| c.tail);
    let good = ["--server", "http://h", "--characteristic", "7", "--characteristic", "8", "--json"];
    assert_eq!(parse(&good).map(|args| args.characteristics).ok(), Some(vec![id(7), id(8)]));
    let good = [
        "--server",
        "http://h",
        "--group",
        "plant/line4",
        "--group",
        "lab",
        "--since",
        "3f2a.12",
        "--snapshot",
        "--min-severity",
        "warning",
        "--rule",
        "1",
        "--rule",
        "2",
        "--type",
        "violation",
        "--sample-max-hz",
        "0.5",
    ];
    let subscription = parse(&good).map(|args| args.subscription());
    let filter = Filter {
        types: Some(vec![EventKind::Violation]),
        min_severity: Some(Severity::Warning),
        rule_ids: Some(vec![1, 2]),
        sample_max_hz: Some(0.5),
    };
    let expected = Subscription::groups(vec!["plant/line4".to_owned(), "lab".to_owned()])
        .since("3f2a.12".parse().expect("a position"))
        .with_snapshot()
        .filtered(filter);
    assert_eq!(subscription.ok(), Some(Ok(expected)));
    for bad in [
        &["--json"][..],
        &["--server", "http://h", "--since", "12"],
        &["--server", "http://h", "--type", "episodes"],
        &["--server", "http://h", "--min-severity", "3"],
        &["--server", "http://h", "--characteristic", "0"],
        &["--server", "http://h", "--characteristic", "bore"],
        &["--server", "http://h", "--token", "t", "--token-file", "f"],
    ] {
        assert!(parse(bad).is_err(), "{bad:?}");
    }
    for (args, told) in [
        (&["--server", "localhost:3000"][..], "--server localhost:3000: must begin with http://"),
        (&["--server", "http://h", "--group", "a//b"], "`groups`: \"a//b\" is no path"),
        (&["--server", "http://h", "--sample-max-hz", "0"], "`filter.sample_max_hz` is from 0.001"),
        (&["--server", "http://h", "--token", "a b"], "the token cannot be used"),
        (
            &["--server", "http://h", "--token-file", "/does/not/exist"],
            "--token-file /does/not/exist: No such",
        ),
    ] {
        let args = parse(args).map_err(|e| e.to_string()).expect("well formed");
        let error = format!("{:#}", run(args, CancellationToken::new()).await.expect_err("unusable"));
        assert!(error.starts_with(told), "{error}");
    }
}
