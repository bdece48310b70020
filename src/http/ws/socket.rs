//! One client: reads its messages, keeps time for pings and heartbeats, and ends the connection when it must.
//!
//! * **State**: this task's own; what the client listens to belongs to the shard.
//! * **Full**: a request to the shard may wait for a place; that delays only this client's own messages.
//! * **Dies or stops**: leaves the shard, whatever the reason; the socket end writes the close frame.

use std::time::Duration;

use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode as PeerCloseCode, ProtocolError};
use futures_util::StreamExt as _;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tracing::{debug, info};

use crate::broadcast::{ConnectionId, KnownKeys, Offer, Outbox, Outgoing, Session, Step};
use crate::http::auth::{Principal, Role};
use crate::http::ws::SocketParts;
use crate::metrics::{Gauge, Reason};
use crate::protocol::PROTOCOL_VERSION;
use crate::protocol::close::CloseCode;
use crate::protocol::frame;
use crate::protocol::socket::{ServerMessage, Welcome};

/// The reading and timing half of a client's connection.
pub struct Socket {
    parts: SocketParts,
    id: ConnectionId,
    outbox: Outbox,
    principal: Option<Principal>,
    session: Session,
    keys: KnownKeys,
}

impl Socket {
    /// `principal` is known where the handshake said who calls; otherwise the first message must.
    pub fn new(parts: SocketParts, outbox: Outbox, principal: Option<Principal>) -> Self {
        let id = parts.broadcaster.next_connection_id();
        let keys = parts.broadcaster.known_keys();
        Self { parts, id, outbox, principal, session: Session::Unknown, keys }
    }

    /// Serves the client until its end.
    pub async fn run(mut self, mut messages: AggregatedMessageStream) {
        let metrics = self.parts.broadcaster.metrics().clone();
        let _counted = Counted::new(metrics.connections.clone());
        let started = Instant::now();
        let found = self.serve(&mut messages).await;
        if self.outbox.close(found) {
            metrics.connections_closed.get_or_create(&Reason { reason: found.name() }).inc();
        }
        let code = self.outbox.close_code().unwrap_or(found); // the shard may have had a reason before
        let _ = self.parts.shard.leave(self.id).await; // a stopped shard has forgotten it already
        info!(
            connection.id = self.id.0,
            close.reason = code.name(),
            duration_ms = started.elapsed().as_millis() as u64,
            last_sent_seq = self.outbox.last_sent_seq(),
            "connection {} ended: {}",
            self.id.0,
            code.name(),
        );
    }

    async fn serve(&mut self, messages: &mut AggregatedMessageStream) -> CloseCode {
        let settings = self.parts.broadcaster.settings().clone();
        let start = Instant::now();
        let auth_deadline = start + Duration::from_millis(settings.auth_timeout_ms);
        let pong_timeout = Duration::from_millis(settings.pong_timeout_ms.max(1));
        let heartbeat = Duration::from_secs_f64(settings.heartbeat_seconds.max(0.01));
        let ping = Duration::from_millis(settings.ping_interval_ms.max(1));
        let mut heartbeats = interval_at(start + heartbeat, heartbeat);
        let mut pings = interval_at(start + ping, ping);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = start;

        if self.principal.is_some()
            && let Err(code) = self.listen().await
        {
            return code;
        }
        loop {
            tokio::select! {
                message = messages.next() => {
                    heard = Instant::now();
                    if let Err(code) = self.on_message(message).await {
                        return code;
                    }
                }
                _ = pings.tick() => self.queue(frame::ping(&self.id.0.to_be_bytes())),
                _ = heartbeats.tick(), if self.session == Session::Listening => self.say(&self.heartbeat()),
                () = sleep_until(heard + pong_timeout) => return CloseCode::NoPong,
                () = sleep_until(auth_deadline), if self.session == Session::Unknown => {
                    return CloseCode::NotAuthenticated;
                }
                // Somebody else has ended it: the first reason stands.
                () = self.outbox.closing() => return CloseCode::TooSlow,
                () = self.parts.stop.cancelled(), if self.session == Session::Unknown => {
                    return CloseCode::GoingAway;
                }
            }
        }
    }

    async fn on_message(
        &mut self,
        message: Option<Result<AggregatedMessage, ProtocolError>>,
    ) -> Result<(), CloseCode> {
        match message {
            Some(Ok(AggregatedMessage::Text(text))) => self.on_text(&text).await,
            Some(Ok(AggregatedMessage::Ping(payload))) => {
                self.queue(frame::pong(&payload));
                Ok(())
            }
            Some(Ok(AggregatedMessage::Pong(_))) => Ok(()),
            Some(Ok(AggregatedMessage::Binary(_))) => Err(CloseCode::BinaryFrame),
            Some(Ok(AggregatedMessage::Close(reason))) => {
                let said = reason.map_or(PeerCloseCode::Normal, |reason| reason.code);
                debug!(connection.id = self.id.0, close.code = ?said, "the client said goodbye");
                Err(CloseCode::Normal)
            }
            Some(Err(error)) => Err(close_code_for(&error)),
            None => Err(CloseCode::Gone),
        }
    }

    async fn on_text(&mut self, text: &str) -> Result<(), CloseCode> {
        let stopping = |_| CloseCode::GoingAway;
        let (seq, now) = (self.parts.shard.processed_seq(), self.parts.clock.now());
        let mut step = self.session.on_text(text, seq, now);
        loop {
            step = match step {
                Step::Find(message, keys) => match self.keys.complete(message, keys).await {
                    Ok(message) => self.session.on_message(message, seq, now),
                    Err(refusal) => Step::Reply(refusal.into()),
                },
                Step::Reply(message) => {
                    self.say(&message);
                    return Ok(());
                }
                Step::Subscribe(subscription) => {
                    return self.parts.shard.subscribe(self.id, subscription).await.map_err(stopping);
                }
                Step::Unsubscribe(ids) => {
                    return self.parts.shard.unsubscribe(self.id, ids).await.map_err(stopping);
                }
                Step::Authenticate(token) => return self.authenticate(&token).await,
            };
        }
    }

    async fn authenticate(&mut self, token: &str) -> Result<(), CloseCode> {
        let (message, code) = match self.parts.authorizer.principal(Some(token)).await {
            Ok(principal) if principal.may(Role::Read) => {
                self.principal = Some(principal);
                self.say(&ServerMessage::AuthOk);
                return self.listen().await;
            }
            Ok(_) => ("this needs the role read".to_owned(), CloseCode::Forbidden),
            Err(error) => (error.to_string(), CloseCode::NotAuthenticated),
        };
        self.say(&ServerMessage::AuthError { message });
        Err(code)
    }

    /// Lets the shard welcome the client.
    async fn listen(&mut self) -> Result<(), CloseCode> {
        self.session = Session::Listening;
        let shard = &self.parts.shard;
        let welcome = Welcome {
            connection_id: self.id.0,
            protocol: PROTOCOL_VERSION,
            epoch: shard.epoch().to_owned(),
            seq: shard.processed_seq(),
            heartbeat_seconds: self.parts.broadcaster.settings().heartbeat_seconds,
            server_time: self.parts.clock.now(),
            user: self.principal.as_ref().and_then(|principal| principal.name.clone()),
        };
        shard.join(self.id, self.outbox.clone(), welcome).await.map_err(|_| CloseCode::GoingAway)
    }

    fn heartbeat(&self) -> ServerMessage {
        let shard = &self.parts.shard;
        ServerMessage::Heartbeat {
            epoch: shard.epoch().to_owned(),
            seq: shard.processed_seq(),
            last_sent_seq: self.outbox.last_sent_seq(),
            head_seq: shard.head_seq(),
            server_time: self.parts.clock.now(),
        }
    }

    fn say(&self, message: &ServerMessage) {
        if let ServerMessage::Error { code, .. } = message {
            let refused = &self.parts.broadcaster.metrics().messages_refused;
            refused.get_or_create(&Reason { reason: code.name() }).inc();
        }
        self.queue(frame::text(&message.text()));
    }

    /// No room means that the client does not read; the queue itself ends it then.
    fn queue(&self, frame: actix_web::web::Bytes) {
        if self.outbox.offer(Outgoing { seq: None, frame }) == Offer::Full {
            let closed = &self.parts.broadcaster.metrics().connections_closed;
            closed.get_or_create(&Reason { reason: CloseCode::TooSlow.name() }).inc();
        }
    }
}

/// Counts a connection as long as it lives, however its task ends.
struct Counted(Gauge);

impl Counted {
    fn new(connections: Gauge) -> Self {
        connections.inc();
        Self(connections)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What the library tells of a frame that is none.
fn close_code_for(error: &ProtocolError) -> CloseCode {
    match error {
        ProtocolError::Overflow => CloseCode::TooBig,
        // Aggregation and UTF-8 errors arrive as I/O errors.
        ProtocolError::Io(cause) => match cause.to_string() {
            text if text.to_lowercase().contains("utf") => CloseCode::InvalidUtf8,
            text if text.to_lowercase().contains("size") => CloseCode::TooBig,
            _ => CloseCode::Gone,
        },
        _ => CloseCode::ProtocolError,
    }
}
