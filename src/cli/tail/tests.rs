//! `andon tail` against a small server that speaks the real protocol.

use std::time::Duration;

use clap::Parser;
use futures_util::StreamExt;
use tokio::io::{AsyncBufReadExt, BufReader, DuplexStream, Lines, duplex};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::*;
use crate::client::tests::{Greeting, Peer, TestServer, ack, id, within_deadline};

/// A running `tail` and both its outputs.
struct Running {
    ended: JoinHandle<anyhow::Result<()>>,
    output: Lines<BufReader<DuplexStream>>,
    notes: Lines<BufReader<DuplexStream>>,
    stop: CancellationToken,
}

impl Running {
    fn start(server: &TestServer, view: View) -> Self {
        let ((output, printed), (notes, noted)) = (duplex(65_536), duplex(65_536));
        let (stop, server_url) = (CancellationToken::new(), server.url());
        let tail = Tail { view, output, notes, server: server_url };
        let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(2), 1);
        let ended = tokio::spawn(tail.follow(server.options(), backoff, stop.clone()));
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

fn everything(format: Format) -> View {
    View { format, characteristics: Vec::new(), quiet_samples: false }
}

async fn started(view: View) -> (TestServer, Running, Peer) {
    let server = TestServer::start().await;
    let running = Running::start(&server, view);
    let peer = server.welcome_subscriber(Greeting::default()).await;
    (server, running, peer)
}

#[tokio::test]
async fn lines_are_printed_until_it_is_stopped_and_says_goodbye() {
    let (_server, mut running, mut peer) = started(everything(Format::Lines(Style::Plain))).await;
    peer.say(&ack(11, 7, 5)).await;
    assert_eq!(running.next_line().await, "2026-11-20 10:00:05Z  ack #3               7  Tool Change (Kim)");
    running.stop.cancel();
    assert!(matches!(peer.next().await, Message::Close(Some(frame)) if frame.code == CloseCode::Normal));
    drop(peer);
    running.end().await.expect("a clean end");
}

#[tokio::test]
async fn json_is_one_message_per_line_as_it_arrived() {
    let (_server, mut running, mut peer) = started(everything(Format::Json)).await;
    let odd = r#"{"type":"episode", "seq":12,"characteristic_id":7,"revision":6,"payload":{"a": 1.50}}"#;
    let news = "{\"type\":\"news\",\n\"text\":\"lunch\"}\n";
    for text in [ack(11, 7, 5).as_str(), odd, news] {
        peer.say(text).await;
    }
    assert_eq!(running.next_line().await, ack(11, 7, 5));
    assert_eq!(running.next_line().await, odd);
    assert_eq!(running.next_line().await, r#"{"type":"news", "text":"lunch"}"#);
}

#[tokio::test]
async fn only_what_was_asked_for_is_shown() {
    let sample = r#"{"type":"sample","seq":12,"characteristic_id":7,"revision":6,"payload":{"sample_id":90,"characteristic_id":7,"timestamp":"2026-11-20T10:00:00Z","received_at":"2026-11-20T10:00:01Z","value":74.0,"n":1,"range_value":null,"std_dev":null,"dispersion_value":null,"zone":null,"in_control":null,"limits_id":null,"ucl":null,"center_line":null,"lcl":null,"out_of_spec":null,"mode":"live","violations":[]}}"#;
    let view = View { characteristics: vec![id(7)], quiet_samples: true, format: Format::Json };
    let (_server, mut running, mut peer) = started(view).await;
    for text in [ack(11, 8, 90).as_str(), sample, &ack(13, 7, 7)] {
        peer.say(text).await;
    }
    assert_eq!(running.next_line().await, ack(13, 7, 7));
}

#[tokio::test]
async fn a_break_a_gap_and_what_may_be_missing_are_noted_beside_the_output() {
    let (server, mut running, mut peer) = started(everything(Format::Json)).await;
    let note = running.next_note().await; // before any event
    let url = server.url();
    assert_eq!(
        note,
        format!(
            "andon: connected to {url}; events of all characteristics after position 10 of the log follow"
        )
    );
    peer.say(&ack(11, 7, 6)).await;
    assert_eq!(running.next_note().await, "andon: characteristic 7: expected revision 5, got 6");
    assert_eq!(running.next_line().await, ack(11, 7, 6));
    peer.close(4008, "too slow\u{1b}[2J").await;
    let note = running.next_note().await;
    assert!(note.starts_with("andon: the server closed the connection: too slow\u{fffd}[2J (4008); trying"));
    let mut peer = server.welcome_subscriber(Greeting { seq: 15, ..Greeting::default() }).await;
    let note = running.next_note().await;
    assert!(note.contains("up to 4 events may have been missed (positions 12 to 15"), "{note}");
    peer.say(&ack(16, 7, 5)).await;
    assert_eq!(running.next_line().await, ack(16, 7, 5));
}

#[tokio::test]
async fn a_reader_that_goes_ends_it_without_an_error() {
    let (_server, mut running, mut peer) = started(everything(Format::Json)).await;
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
    let running = Running::start(&server, everything(Format::Json));
    server.answer_http("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await;
    let error = format!("{:#}", running.end().await.expect_err("refused"));
    assert_eq!(error, format!("no connection to {url}: the server wants a valid token (HTTP 401)"));
}

#[tokio::test]
async fn a_refused_subscription_is_an_error() {
    for code in ["forbidden", "not_known_yet"] {
        let (_server, running, mut peer) = started(everything(Format::Json)).await;
        peer.say(&format!(r#"{{"type":"error","code":"{code}","message":"not you","request":"subscribe"}}"#))
            .await;
        assert!(matches!(peer.next().await, Message::Close(_)));
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
    for bad in [
        &["--json"][..],
        &["--server", "http://h", "--characteristic", "0"],
        &["--server", "http://h", "--characteristic", "bore"],
        &["--server", "http://h", "--token", "t", "--token-file", "f"],
    ] {
        assert!(parse(bad).is_err(), "{bad:?}");
    }
    for (args, told) in [
        (&["--server", "localhost:3000"][..], "--server localhost:3000: must begin with http://"),
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
