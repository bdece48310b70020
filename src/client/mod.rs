//! The client: connects to a server, subscribes, and hands out typed events in order.
//!
//! [`Client`] is one connection and starts no task: it answers pings and notices silence while somebody waits in
//! [`Client::next`]. [`Reconnecting`] connects again when that breaks, and says what may have been missed.
//! [`Rest`] sends requests.

mod address;
mod backoff;
mod connection;
mod error;
mod reconnecting;
mod rest;
mod revisions;
mod tls;

#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use tokio::time::timeout;

pub use address::{InvalidAddress, InvalidToken, ServerAddress, Token};
pub use backoff::Backoff;
pub use error::ClientError;
pub use reconnecting::{Missed, Reconnecting, Update};
pub use rest::Rest;
pub use revisions::Gap;

use self::connection::Connection;
use self::revisions::Revisions;
use crate::domain::ids::CharacteristicId;
use crate::protocol::PROTOCOL_VERSION;
use crate::protocol::client_side::{EventMessage, OtherMessage, Received};
use crate::protocol::socket::{ClientMessage, Ping, ServerMessage, Subscription, Welcome};

/// Where to connect, as whom, and when to give up.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server.
    pub server: ServerAddress,
    /// Shown in the handshake.
    pub token: Option<Token>,
    /// From the first packet to `welcome`.
    pub welcome_within: Duration,
    /// The server counts as gone after so many heartbeat intervals without any frame.
    pub silent_heartbeats: u32,
}

impl Options {
    /// Ten seconds until `welcome`: a lost packet costs TCP one, then two, then four. Three heartbeats: one may be
    /// late and one lost in a pause of the network.
    pub fn new(server: ServerAddress) -> Self {
        Self { server, token: None, welcome_within: Duration::from_secs(10), silent_heartbeats: 3 }
    }
}

/// What arrives.
#[derive(Debug, Clone)]
pub enum Incoming {
    /// A logged event.
    Event(EventMessage),
    /// Stands before an event that is not the one that had to come.
    Gap(Gap),
    /// What the server says besides events.
    Server(ServerMessage),
    /// A message that this version does not know.
    Other(OtherMessage),
}

/// How far a connection has come in which log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The log.
    pub epoch: String,
    /// The highest position seen: that of `welcome`, then of events.
    pub seq: u64,
}

/// A connection that was welcomed.
pub struct Client {
    connection: Connection,
    welcome: Welcome,
    position: Position,
    revisions: Revisions,
    /// An event that a gap was told before.
    due: Option<EventMessage>,
}

impl Client {
    /// Connects and waits for the welcome.
    ///
    /// # Errors
    /// Whether another try may help, [`ClientError::is_final`] tells.
    pub async fn connect(options: &Options) -> Result<Self, ClientError> {
        let welcomed = async {
            let mut connection = Connection::open(&options.server, options.token.as_ref()).await?;
            let welcome = wait_for_welcome(&mut connection).await?;
            Ok((connection, welcome))
        };
        let (mut connection, welcome) = timeout(options.welcome_within, welcomed)
            .await
            .unwrap_or(Err(ClientError::NoWelcome(options.welcome_within)))?;
        if welcome.protocol != PROTOCOL_VERSION {
            return Err(ClientError::OtherProtocol(welcome.protocol));
        }
        connection.limit_silence(silence_limit(&welcome, options.silent_heartbeats));
        let position = Position { epoch: welcome.epoch.clone(), seq: welcome.seq };
        Ok(Self { connection, welcome, position, revisions: Revisions::default(), due: None })
    }

    /// What the server said first.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// How far this connection has come.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Asks for events; the answer, `subscribed` or an error, comes from [`next`](Self::next).
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn subscribe(&mut self, subscription: Subscription) -> Result<(), ClientError> {
        self.say(&ClientMessage::Subscribe(subscription)).await
    }

    /// Asks for no more events of these.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn unsubscribe(&mut self, ids: Vec<CharacteristicId>) -> Result<(), ClientError> {
        self.say(&ClientMessage::Unsubscribe(ids)).await
    }

    /// Asks for a `pong`.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn ping(&mut self) -> Result<(), ClientError> {
        self.say(&ClientMessage::Ping(Ping::default())).await
    }

    async fn say(&mut self, message: &ClientMessage) -> Result<(), ClientError> {
        self.connection.send(message.text()).await
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// When the connection has ended; there is no use in asking again.
    ///
    /// # Cancel safety
    /// Nothing is lost: it may stand in a `select!`.
    pub async fn next(&mut self) -> Result<Incoming, ClientError> {
        if let Some(event) = self.due.take() {
            return Ok(Incoming::Event(event));
        }
        let text = self.connection.next_text().await?;
        Ok(match Received::parse(&text).map_err(ClientError::Unreadable)? {
            Received::Event(event) => self.on_event(event),
            Received::Server(message) => {
                self.revisions.on_server_message(&message);
                Incoming::Server(message)
            }
            Received::Other(other) => Incoming::Other(other),
        })
    }

    fn on_event(&mut self, event: EventMessage) -> Incoming {
        self.position.seq = self.position.seq.max(event.seq);
        match self.revisions.on_event(&event) {
            Some(gap) => {
                self.due = Some(event);
                Incoming::Gap(gap)
            }
            None => Incoming::Event(event),
        }
    }

    /// Says goodbye (1000).
    pub async fn close(self) {
        self.connection.close().await;
    }
}

async fn wait_for_welcome(connection: &mut Connection) -> Result<Welcome, ClientError> {
    loop {
        let text = connection.next_text().await?;
        match Received::parse(&text) {
            Ok(Received::Server(ServerMessage::Welcome { payload })) => return Ok(payload),
            // A refused token: the close code that follows says so too.
            Ok(Received::Server(ServerMessage::AuthOk | ServerMessage::AuthError { .. })) => {}
            _ => return Err(ClientError::NotAndon),
        }
    }
}

/// None where the server tells no interval that time can be measured with.
fn silence_limit(welcome: &Welcome, heartbeats: u32) -> Option<Duration> {
    let interval = Duration::try_from_secs_f64(welcome.heartbeat_seconds).ok()?;
    interval.checked_mul(heartbeats).filter(|limit| !limit.is_zero())
}
