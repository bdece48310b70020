//! A WebSocket client of an independent implementation.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::DEADLINE;

/// One connected client.
pub struct TestSocket {
    pub welcome: Value,
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl TestSocket {
    /// Connects and waits for the welcome.
    pub async fn connect(address: SocketAddr, token: Option<&str>) -> Self {
        Self::connect_at(address, "/api/v1/ws", token).await
    }

    /// The same on any path.
    pub async fn connect_at(address: SocketAddr, path: &str, token: Option<&str>) -> Self {
        let mut headers = vec![];
        let bearer = token.map(|token| format!("Bearer {token}"));
        if let Some(bearer) = &bearer {
            headers.push(("Authorization", bearer.as_str()));
        }
        let mut socket = Self::handshake_at(address, path, &headers).await.expect("a handshake");
        socket.welcome = socket.next().await;
        assert_eq!(socket.welcome["type"], "welcome", "{}", socket.welcome);
        socket
    }

    /// Shakes hands with these headers, without waiting for anything.
    pub async fn handshake(address: SocketAddr, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        Self::handshake_at(address, "/api/v1/ws", headers).await
    }

    /// The same on any path.
    pub async fn handshake_at(
        address: SocketAddr,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Error> {
        let mut request = format!("ws://{address}{path}").into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a header value"));
        }
        let (stream, _) = connect_async(request).await?;
        Ok(Self { welcome: Value::Null, stream })
    }

    /// Subscribes and waits for the answer.
    pub async fn subscribed_to(mut self, ids: impl IntoIterator<Item = i64>) -> Self {
        let ids: Vec<i64> = ids.into_iter().collect();
        self.send(&json!({"type": "subscribe", "characteristic_ids": ids})).await;
        let answer = self.next_of_type("subscribed").await;
        assert_eq!(answer["characteristic_ids"], json!(ids));
        self
    }

    /// Sends a JSON message.
    pub async fn send(&mut self, message: &Value) {
        self.send_raw(Message::text(message.to_string())).await;
    }

    /// Sends any frame.
    pub async fn send_raw(&mut self, message: Message) {
        self.stream.send(message).await.expect("sent");
    }

    /// Sends any frame, or tells why that was not possible.
    pub async fn try_send(&mut self, message: Message) -> Result<(), Error> {
        timeout(DEADLINE, self.stream.send(message)).await.expect("sent in time")
    }

    /// The next JSON message.
    pub async fn next(&mut self) -> Value {
        serde_json::from_str(&self.next_text().await).expect("JSON")
    }

    /// The next message as it came.
    pub async fn next_text(&mut self) -> String {
        match self.next_frame().await {
            Message::Text(text) => text.as_str().to_owned(),
            other => panic!("expected a text message, got {other:?}"),
        }
    }

    /// Sends a message that must be refused; gives the refusal.
    pub async fn refusal_of(&mut self, message: &Value) -> Value {
        self.send(message).await;
        self.next_of_type("error").await
    }

    /// The next JSON message of a type; heartbeats are passed over, anything else fails.
    pub async fn next_of_type(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
            assert_eq!(message["type"], "heartbeat", "expected {kind}, got {message}");
        }
    }

    /// The next frame that is no ping or pong.
    pub async fn next_frame(&mut self) -> Message {
        loop {
            let next = timeout(DEADLINE, self.stream.next()).await.expect("a frame in time");
            match next.expect("the connection stands").expect("a frame") {
                Message::Ping(_) | Message::Pong(_) => {}
                other => return other,
            }
        }
    }

    /// Reads on until the server closes; gives the code, or `None` if it just went away.
    pub async fn close_code(&mut self) -> Option<u16> {
        loop {
            match timeout(DEADLINE, self.stream.next()).await.expect("an end in time") {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Everything that comes until the server says goodbye, and its goodbye: the code and the reason.
    pub async fn until_goodbye(&mut self) -> (Vec<Value>, u16, String) {
        let mut came = Vec::new();
        loop {
            match self.next_frame().await {
                Message::Text(text) => came.push(serde_json::from_str(text.as_str()).expect("JSON")),
                Message::Close(Some(goodbye)) => {
                    return (came, goodbye.code.into(), goodbye.reason.as_str().to_owned());
                }
                other => panic!("expected a text or a goodbye, got {other:?}"),
            }
        }
    }

    /// Everything that comes until this connection's shard has processed the log up to `seq`.
    pub async fn all_up_to(&mut self, seq: u64) -> Vec<Value> {
        let mut came = Vec::new();
        let mut asked_often = interval(Duration::from_millis(10)); // more would be a flood
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            asked_often.tick().await;
            self.send(&json!({"type": "ping"})).await;
            let pong = loop {
                match self.next().await {
                    pong if pong["type"] == "pong" => break pong,
                    heartbeat if heartbeat["type"] == "heartbeat" => {}
                    other => came.push(other),
                }
            };
            if pong["seq"].as_u64() >= Some(seq) {
                return came;
            }
        }
        panic!("the shard never came to {seq}");
    }

    /// Whether nothing has come, as far as a reply to a ping sent now tells: it would stand before the reply.
    pub async fn assert_nothing_came(&mut self) {
        self.send(&json!({"type": "ping", "t": "nothing before this"})).await;
        let pong = self.next_of_type("pong").await;
        assert_eq!(pong["t"], "nothing before this");
    }
}
