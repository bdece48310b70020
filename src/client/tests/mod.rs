//! The client against a server that speaks real WebSocket and says what the test tells it to.

mod breaks;
mod handshake;
mod messages;
mod model;
mod receipts;
mod reconnection;
mod resumption;

use std::future::Future;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use super::{Client, Options, ServerAddress};
use crate::domain::ids::CharacteristicId;

/// Long enough for a loaded machine, short enough for a test that fails.
const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) async fn within_deadline<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("in time")
}

pub(crate) fn id(id: i64) -> CharacteristicId {
    CharacteristicId::try_from(id).expect("positive")
}

/// What the server says first.
pub(crate) struct Greeting {
    pub(crate) epoch: &'static str,
    pub(crate) seq: u64,
    pub(crate) protocol: u32,
    pub(crate) heartbeat_seconds: f64,
}

impl Default for Greeting {
    fn default() -> Self {
        Self { epoch: "one", seq: 10, protocol: 1, heartbeat_seconds: 15.0 }
    }
}

impl Greeting {
    fn text(&self) -> String {
        let Self { epoch, seq, protocol, heartbeat_seconds } = self;
        format!(
            r#"{{"type":"welcome","payload":{{"connection_id":1,"protocol":{protocol},"epoch":"{epoch}","seq":{seq},"heartbeat_seconds":{heartbeat_seconds},"server_time":"2026-11-20T10:00:00Z","user":null}}}}"#
        )
    }
}

pub(crate) struct TestServer(TcpListener);

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("a free port"))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("bound"))
    }

    pub(crate) fn options(&self) -> Options {
        Options::new(self.url().parse::<ServerAddress>().expect("a URL"))
    }

    pub(crate) async fn accept_tcp(&self) -> TcpStream {
        within_deadline(self.0.accept()).await.expect("a client").0
    }

    /// Accepts a client without a word.
    pub(crate) async fn accept(&self) -> Peer {
        let tcp = self.accept_tcp().await;
        let (mut path, mut authorization) = (String::new(), None);
        #[expect(clippy::result_large_err, reason = "the callback's signature is the library's")]
        let look = |request: &Request, response: Response| {
            path = request.uri().to_string();
            authorization = request.headers().get("authorization").map(|value| value.as_bytes().to_vec());
            Ok(response)
        };
        let socket = within_deadline(accept_hdr_async(tcp, look)).await.expect("a handshake");
        let authorization = authorization.map(|value| String::from_utf8(value).expect("text"));
        Peer { socket, path, authorization }
    }

    pub(crate) async fn welcome(&self, greeting: Greeting) -> Peer {
        let mut peer = self.accept().await;
        peer.say(&greeting.text()).await;
        peer
    }

    /// Welcomes a client and waits until it subscribes; that is answered with position `seq`.
    pub(crate) async fn welcome_subscriber(&self, greeting: Greeting) -> Peer {
        let answer = subscribed(7, greeting.epoch, greeting.seq);
        self.welcome_to(greeting, &answer).await.0
    }

    /// Welcomes a client and answers its subscription with this; gives that, too.
    pub(crate) async fn welcome_to(&self, greeting: Greeting, answer: &str) -> (Peer, Value) {
        let mut peer = self.welcome(greeting).await;
        let subscription = peer.hear().await;
        assert_eq!(subscription["type"], "subscribe");
        peer.say(answer).await;
        (peer, subscription)
    }

    /// Answers one request with a status and a header, and no body.
    pub(crate) async fn refuse(&self, status: u16, header: &str) {
        self.answer_http(&format!("HTTP/1.1 {status} No\r\n{header}content-length: 0\r\n\r\n")).await;
    }

    /// Answers one request with plain HTTP.
    pub(crate) async fn answer_http(&self, answer: &str) {
        let mut tcp = self.accept_tcp().await;
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(within_deadline(tcp.read_u8()).await.expect("a request"));
        }
        tcp.write_all(answer.as_bytes()).await.expect("open");
    }
}

/// The server's end of one connection.
pub(crate) struct Peer {
    pub(crate) socket: WebSocketStream<TcpStream>,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
}

impl Peer {
    pub(crate) async fn say(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.socket.send(message).await.expect("an open connection");
    }

    pub(crate) async fn next(&mut self) -> Message {
        within_deadline(self.socket.next()).await.expect("open").expect("whole")
    }

    pub(crate) async fn hear(&mut self) -> Value {
        serde_json::from_str(self.next().await.to_text().expect("text")).expect("JSON")
    }

    pub(crate) async fn close(&mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code: code.into(), reason: reason.into() };
        self.socket.close(Some(frame)).await.expect("an open connection");
    }
}

async fn welcomed(server: &TestServer, greeting: Greeting) -> (Client, Peer) {
    let options = server.options();
    let (client, peer) = tokio::join!(within_deadline(Client::connect(&options)), server.welcome(greeting));
    (client.expect("welcome"), peer)
}

pub(crate) fn subscribed(id: i64, epoch: &str, seq: u64) -> String {
    format!(
        r#"{{"type":"subscribed","characteristic_ids":[{id}],"epoch":"{epoch}","seq":{seq},"revisions":{{"{id}":4}}}}"#
    )
}

/// The answer to a subscription that resumes: the next event of 7 has the revision after this.
pub(crate) fn recovered(epoch: &str, seq: u64, revision: u64) -> String {
    format!(
        r#"{{"type":"subscribed","characteristic_ids":[7],"recovered":true,"epoch":"{epoch}","seq":{seq},"revisions":{{"7":{revision}}}}}"#
    )
}

/// The same from a server that cannot tell what was missed.
pub(crate) fn lost(epoch: &str, seq: u64, revision: u64) -> String {
    recovered(epoch, seq, revision).replace(r#""recovered":true"#, r#""recovered":false"#)
}

pub(crate) fn resumed(seq: u64, replayed: u64) -> String {
    format!(r#"{{"type":"resumed","seq":{seq},"replayed":{replayed}}}"#)
}

pub(crate) fn snapshot(seq: u64, id: i64, revision: u64) -> String {
    format!(
        r#"{{"type":"snapshot","characteristic_id":{id},"seq":{seq},"revision":{revision},"payload":{{"alarm_state":"of a later version"}}}}"#
    )
}

pub(crate) fn sample(seq: u64, id: i64, revision: u64) -> String {
    format!(
        r#"{{"type":"sample","seq":{seq},"characteristic_id":{id},"revision":{revision},"payload":{{"sample_id":{seq},"characteristic_id":{id},"timestamp":"2026-11-20T10:00:00Z","received_at":"2026-11-20T10:00:01Z","value":74.0,"n":1,"range_value":null,"std_dev":null,"dispersion_value":null,"zone":null,"in_control":null,"limits_id":null,"ucl":null,"center_line":null,"lcl":null,"out_of_spec":null,"mode":"live","violations":[]}}}}"#
    )
}

pub(crate) fn deleted(seq: u64, id: i64, revision: u64) -> String {
    format!(
        r#"{{"type":"characteristic_update","seq":{seq},"characteristic_id":{id},"revision":{revision},"payload":{{"characteristic_id":{id},"changes":{{"deleted":true}},"user":"Kim","timestamp":"2026-11-20T10:00:05Z"}}}}"#
    )
}

pub(crate) fn heartbeat(last_sent_seq: u64) -> String {
    format!(
        r#"{{"type":"heartbeat","epoch":"one","seq":90,"last_sent_seq":{last_sent_seq},"head_seq":90,"server_time":"2026-11-20T10:00:00Z"}}"#
    )
}

pub(crate) fn ack(seq: u64, id: i64, revision: u64) -> String {
    format!(
        r#"{{"type":"ack_update","seq":{seq},"characteristic_id":{id},"revision":{revision},"payload":{{"violation_id":3,"characteristic_id":{id},"sample_id":9,"acknowledged":true,"user":"Kim","reason":"Tool Change","comment":null,"timestamp":"2026-11-20T10:00:05Z","source":null,"external_id":null}}}}"#
    )
}
