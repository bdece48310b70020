//! One WebSocket: text in, text out, and the two ways it ends by itself, a close frame and silence.
//!
//! Knows nothing of what the texts mean. What is [queued](Connection::queue) leaves while somebody waits for the next
//! text; a server that does not read delays nothing but that.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde::de::Error as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Utf8Bytes;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use super::address::{ServerAddress, Token};
use super::error::ClientError;
use super::tls;
use crate::protocol::close::CloseCode;

/// How long a goodbye may take: the other end may be gone.
const GOODBYE: Duration = Duration::from_secs(1);

/// What RFC 6455 (7.1.5) calls a close frame without a code.
const NO_STATUS: u16 = 1005;

pub(super) struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// How long the server may say nothing at all.
    silence_limit: Option<Duration>,
    /// Since when the caller waits for a frame; its own work between two of them is not the server's silence.
    waiting_since: Option<Instant>,
    closed: Option<(u16, String)>,
    /// Texts to be sent, while something is read.
    queued: VecDeque<String>,
    is_flushed: bool,
}

impl Connection {
    pub(super) async fn open(server: &ServerAddress, token: Option<&Token>) -> Result<Self, ClientError> {
        let mut request = server.socket().into_client_request().map_err(ClientError::from_handshake)?;
        if let Some(token) = token {
            request.headers_mut().insert(AUTHORIZATION, token.authorization());
        }
        let connector = Some(tls::connector(server).await?);
        // Without delay: what a client says is short, and an answer is waited for.
        let (socket, _) = connect_async_tls_with_config(request, None, true, connector)
            .await
            .map_err(ClientError::from_handshake)?;
        Ok(Self {
            socket,
            silence_limit: None,
            waiting_since: None,
            closed: None,
            queued: VecDeque::new(),
            is_flushed: true,
        })
    }

    pub(super) fn limit_silence(&mut self, limit: Option<Duration>) {
        self.silence_limit = limit;
    }

    pub(super) async fn send(&mut self, text: String) -> Result<(), ClientError> {
        self.socket.send(Message::text(text)).await.map_err(ClientError::Broken)
    }

    /// Sends a text while the next one is waited for. If it cannot be sent, the connection ends with what is read.
    pub(super) fn queue(&mut self, text: String) {
        self.queued.push_back(text);
    }

    /// Whether what was queued has left.
    pub(super) fn is_flushed(&self) -> bool {
        self.is_flushed && self.queued.is_empty()
    }

    /// The next text, or none at `wake_at`. Pings are answered meanwhile: the socket writes the pong out when it is
    /// read again.
    ///
    /// # Cancel safety
    /// No frame is lost, and silence goes on being counted.
    pub(super) async fn next_text(
        &mut self,
        wake_at: Option<Instant>,
    ) -> Result<Option<Utf8Bytes>, ClientError> {
        loop {
            if let Some((code, reason)) = self.closed.clone() {
                return Err(ClientError::Closed { code, reason });
            }
            let Some(frame) = self.next_frame(wake_at).await? else { return Ok(None) };
            match frame.map_err(ClientError::Broken)? {
                Message::Text(text) => return Ok(Some(text)),
                Message::Binary(_) => {
                    let what = serde_json::Error::custom("a binary frame");
                    return Err(ClientError::Unreadable(what));
                }
                Message::Close(frame) => {
                    let told = frame.map(|frame| (frame.code.into(), frame.reason.as_str().to_owned()));
                    self.closed = Some(told.unwrap_or_else(|| (NO_STATUS, "no reason given".to_owned())));
                    // The answer is queued; whether it still arrives changes nothing here.
                    let _ = timeout(GOODBYE, self.socket.flush()).await;
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    async fn next_frame(
        &mut self,
        wake_at: Option<Instant>,
    ) -> Result<Option<Result<Message, tungstenite::Error>>, ClientError> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let silent_at = self.silence_limit.and_then(|limit| since.checked_add(limit));
        let deadline = [silent_at, wake_at].into_iter().flatten().min();
        let frame = poll_fn(|context| {
            self.poll_write(context);
            self.socket.poll_next_unpin(context)
        });
        let frame = match deadline {
            Some(deadline) => timeout_at(deadline, frame).await,
            None => Ok(frame.await),
        };
        match (frame, self.silence_limit) {
            (Ok(frame), _) => {
                self.waiting_since = None;
                Ok(Some(frame.unwrap_or(Err(tungstenite::Error::AlreadyClosed))))
            }
            (Err(_), Some(limit)) if deadline == silent_at => Err(ClientError::Silent(limit)),
            (Err(_), _) => Ok(None),
        }
    }

    /// Writes what it can. Where that fails, reading fails, too, and tells why: a close frame may stand there.
    fn poll_write(&mut self, context: &mut Context<'_>) {
        while !self.queued.is_empty() {
            match self.socket.poll_ready_unpin(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return self.queued.clear(),
                Poll::Pending => return,
            }
            if let Some(text) = self.queued.pop_front() {
                let _ = self.socket.start_send_unpin(Message::text(text));
                self.is_flushed = false;
            }
        }
        if !self.is_flushed {
            self.is_flushed = self.socket.poll_flush_unpin(context).is_ready();
        }
    }

    /// Says goodbye and waits, not for long, until the server has said it too.
    pub(super) async fn close(mut self) {
        let goodbye = CloseFrame {
            code: CloseCode::Normal.code().into(),
            reason: Utf8Bytes::from_static(CloseCode::Normal.reason()),
        };
        let farewell = async {
            for text in std::mem::take(&mut self.queued) {
                let _ = self.socket.feed(Message::text(text)).await;
            }
            if self.socket.close(Some(goodbye)).await.is_ok() {
                while self.socket.next().await.is_some_and(|said| said.is_ok_and(|said| !said.is_close())) {}
            }
        };
        let _ = timeout(GOODBYE, farewell).await; // the connection is dropped in any case
    }
}
