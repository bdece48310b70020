//! The client: connects to a server, subscribes, and hands out typed events in order.
//!
//! [`Client`] is one connection and starts no task: it answers pings, confirms what was processed, and notices silence
//! and deafness while somebody waits in [`Client::next`]. [`Reconnecting`] connects again when that breaks, and
//! resumes where it was: no alert is missing, and none is handed out twice. [`Rest`] sends requests.

mod address;
mod backoff;
mod connection;
mod error;
mod progress;
mod receipts;
mod reconnecting;
mod rest;
mod revisions;
mod tls;

#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use tokio::time::{Instant, timeout};

pub use address::{InvalidAddress, InvalidToken, ServerAddress, Token};
pub use backoff::Backoff;
pub use error::ClientError;
pub use progress::{Repeated, Resumption};
pub use receipts::Receipts;
pub use reconnecting::{Reconnecting, Update};
pub use rest::Rest;
pub use revisions::{Gap, Withheld};

use self::connection::Connection;
use self::progress::Progress;
use self::receipts::Confirmations;
use crate::domain::ids::CharacteristicId;
use crate::protocol::PROTOCOL_VERSION;
use crate::protocol::client_side::{EventMessage, OtherMessage, Received, ReceivedSnapshot, ServerText};
use crate::protocol::socket::{
    ClientMessage, Ping, Position, ServerMessage, Subscription, Unsubscription, Welcome,
};

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
    /// How the server is told what was processed; none: it is not told.
    pub receipts: Option<Receipts>,
}

impl Options {
    /// Ten seconds until `welcome`: a lost packet costs TCP one, then two, then four. Three heartbeats: one may be
    /// late and one lost in a pause of the network.
    pub fn new(server: ServerAddress) -> Self {
        Self {
            server,
            token: None,
            welcome_within: Duration::from_secs(10),
            silent_heartbeats: 3,
            receipts: Some(Receipts::default()),
        }
    }
}

/// What arrives.
#[derive(Debug, Clone)]
pub enum Incoming {
    /// A logged event.
    Event(EventMessage),
    /// The present state of a characteristic.
    Snapshot(ReceivedSnapshot),
    /// Stands before a `subscribed`: what becomes of the events that were missed.
    Resumption(Resumption),
    /// Stands before an event that is not the one that had to come.
    Gap(Gap),
    /// Stands in place of an event that was there before.
    Repeated(Repeated),
    /// What the server says besides.
    Server(ServerText),
    /// A message that this version does not know.
    Other(OtherMessage),
}

/// A connection that was welcomed.
pub struct Client {
    connection: Connection,
    welcome: Welcome,
    progress: Progress,
    receipts: Option<Receipts>,
    confirmations: Confirmations,
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
        let mut progress = Progress::default();
        progress.on_welcome(&welcome.epoch, welcome.seq);
        let (receipts, confirmations) = (options.receipts, Confirmations::default());
        Ok(Self { connection, welcome, progress, receipts, confirmations })
    }

    /// Subscribes, and goes on where another connection broke. The request leaves with the first wait.
    fn go_on(&mut self, progress: Progress, subscription: &Subscription) {
        self.progress = progress;
        self.progress.on_welcome(&self.welcome.epoch, self.welcome.seq);
        self.queue_subscription(subscription);
    }

    fn queue_subscription(&mut self, subscription: &Subscription) {
        self.progress.on_asked(subscription);
        self.connection.queue(ClientMessage::Subscribe(subscription.clone()).text());
    }

    /// What the server said first.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Where to resume when this connection breaks: how far it has come in which log. Up to here everything was
    /// handed out that will be.
    pub fn position(&self) -> Position {
        let at_welcome = || Position { epoch: self.welcome.epoch.clone(), seq: self.welcome.seq };
        self.progress.position().cloned().unwrap_or_else(at_welcome)
    }

    /// Asks for events; the answer, `subscribed` or an error, comes from [`next`](Self::next).
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn subscribe(&mut self, subscription: Subscription) -> Result<(), ClientError> {
        self.progress.on_asked(&subscription);
        self.say(&ClientMessage::Subscribe(subscription)).await
    }

    /// Asks for no more events of these.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn unsubscribe(&mut self, ids: Vec<CharacteristicId>) -> Result<(), ClientError> {
        self.say(&ClientMessage::Unsubscribe(Unsubscription { ids, groups: Vec::new() })).await
    }

    /// Asks for a `pong`.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn ping(&mut self) -> Result<(), ClientError> {
        self.say(&ClientMessage::Ping(Ping::default())).await
    }

    /// Asks how this connection is; the answer is a `status`.
    ///
    /// # Errors
    /// If the connection is broken.
    pub async fn status(&mut self) -> Result<(), ClientError> {
        self.say(&ClientMessage::Status).await
    }

    async fn say(&mut self, message: &ClientMessage) -> Result<(), ClientError> {
        self.connection.send(message.text()).await
    }

    /// Waits for the next message. Who comes back for the next one has processed the one before.
    ///
    /// # Errors
    /// When the connection has ended; there is no use in asking again.
    ///
    /// # Cancel safety
    /// Nothing is lost: it may stand in a `select!`.
    pub async fn next(&mut self) -> Result<Incoming, ClientError> {
        self.confirmations.on_return(Instant::now());
        loop {
            if let Some(incoming) = self.progress.next() {
                if let Incoming::Event(event) = &incoming {
                    self.confirmations.on_handed(event.seq);
                }
                return Ok(incoming);
            }
            let wake_at = self.confirm_if_due(Instant::now());
            let Some(text) = self.connection.next_text(wake_at).await? else { continue };
            let received = Received::parse(&text).map_err(ClientError::Unreadable)?;
            self.progress.on_received(received)?;
        }
    }

    /// Says when to look again. While something still waits to be written, a receipt waits, too.
    fn confirm_if_due(&mut self, now: Instant) -> Option<Instant> {
        let due_at = self.confirmations.due_at(self.receipts?).filter(|_| self.connection.is_flushed())?;
        if due_at > now {
            return Some(due_at);
        }
        self.confirm(now);
        None
    }

    fn confirm(&mut self, now: Instant) {
        if let Some(seq) = self.confirmations.take(now) {
            self.connection.queue(ClientMessage::Received(seq).text());
        }
    }

    /// Confirms what was processed, and says goodbye (1000).
    pub async fn close(mut self) {
        if self.receipts.is_some() {
            self.confirm(Instant::now());
        }
        self.connection.close().await;
    }
}

async fn wait_for_welcome(connection: &mut Connection) -> Result<Welcome, ClientError> {
    loop {
        let Some(text) = connection.next_text(None).await? else { continue };
        let Ok(Received::Server(ServerText { message, .. })) = Received::parse(&text) else {
            return Err(ClientError::NotAndon);
        };
        match message {
            ServerMessage::Welcome { payload } => return Ok(payload),
            // A refused token: the close code that follows says so too.
            ServerMessage::AuthOk | ServerMessage::AuthError { .. } => {}
            _ => return Err(ClientError::NotAndon),
        }
    }
}

/// None where the server tells no interval that time can be measured with.
fn silence_limit(welcome: &Welcome, heartbeats: u32) -> Option<Duration> {
    let interval = Duration::try_from_secs_f64(welcome.heartbeat_seconds).ok()?;
    interval.checked_mul(heartbeats).filter(|limit| !limit.is_zero())
}
