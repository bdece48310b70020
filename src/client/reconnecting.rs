//! A client that connects again, subscribes again, and says what may have been missed meanwhile.
//!
//! The log is not read from the old position: events of the time without a connection do not come.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::backoff::Backoff;
use super::error::ClientError;
use super::{Client, Incoming, Options, Position};
use crate::protocol::socket::{ServerMessage, Subscription};

/// What happens to a client that connects again.
#[derive(Debug)]
pub enum Update {
    /// Something arrived.
    Incoming(Incoming),
    /// The connection ended, or one more try failed. Nothing needs to be done.
    Disconnected { error: ClientError, retry_in: Duration },
    /// Connected and subscribed again. Stands in the place of the repeated `subscribed`.
    Reconnected(Missed),
}

/// What a break may have cost.
///
/// Positions of the whole log, whatever was subscribed to, from the highest one seen: that no alert before it is
/// missing is the server's promise; samples that it held back behind a newer alert are not counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missed {
    /// The log did not move.
    Nothing,
    /// Any of these positions, both ends included.
    Positions { from_seq: u64, to_seq: u64 },
    /// The server now has another log (restored, or begun anew): its positions say nothing about the old one.
    AnotherLog { epoch: String },
}

/// Keeps one subscription alive. Starts no task: it works while somebody waits in [`Reconnecting::next`].
pub struct Reconnecting {
    options: Options,
    subscription: Subscription,
    backoff: Backoff,
    link: Link,
    /// How far it had come before the break that is not told as mended yet.
    before_break: Option<Position>,
}

enum Link {
    Up(Box<Client>),
    Down { retry_at: Instant },
}

impl Reconnecting {
    /// Connects and subscribes for the first time.
    ///
    /// # Errors
    /// The first failure: a wrong address is better told than tried for ever.
    pub async fn connect(
        options: Options,
        subscription: Subscription,
        backoff: Backoff,
    ) -> Result<Self, ClientError> {
        let client = subscribed_client(&options, &subscription).await?;
        Ok(Self { options, subscription, backoff, link: Link::Up(client), before_break: None })
    }

    /// Waits for what happens next.
    ///
    /// # Errors
    /// Only one that is [final](ClientError::is_final): the server no longer wants this client.
    ///
    /// # Cancel safety
    /// Nothing that arrived is lost; a connection that was being made is begun again.
    pub async fn next(&mut self) -> Result<Update, ClientError> {
        loop {
            match &mut self.link {
                Link::Up(client) => match client.next().await {
                    Ok(incoming) => return Ok(self.on_incoming(incoming)),
                    Err(error) => {
                        let position = client.position().clone();
                        self.before_break.get_or_insert(position);
                        return self.try_later(error);
                    }
                },
                Link::Down { retry_at } => {
                    sleep_until(*retry_at).await;
                    match subscribed_client(&self.options, &self.subscription).await {
                        Ok(client) => self.link = Link::Up(client),
                        Err(error) => return self.try_later(error),
                    }
                }
            }
        }
    }

    fn on_incoming(&mut self, incoming: Incoming) -> Update {
        self.backoff.reset(); // not at the welcome already: a server may greet and then turn away
        match incoming {
            Incoming::Server(ServerMessage::Subscribed { ref epoch, seq, .. }) => {
                match self.before_break.take() {
                    Some(before) => Update::Reconnected(missed(&before, epoch, seq)),
                    None => Update::Incoming(incoming),
                }
            }
            incoming => Update::Incoming(incoming),
        }
    }

    fn try_later(&mut self, error: ClientError) -> Result<Update, ClientError> {
        if error.is_final() {
            return Err(error);
        }
        let retry_in = self.backoff.next_wait();
        self.link = Link::Down { retry_at: Instant::now() + retry_in };
        Ok(Update::Disconnected { error, retry_in })
    }

    /// Says goodbye, if there is somebody to say it to.
    pub async fn close(self) {
        if let Link::Up(client) = self.link {
            client.close().await;
        }
    }
}

async fn subscribed_client(
    options: &Options,
    subscription: &Subscription,
) -> Result<Box<Client>, ClientError> {
    let mut client = Client::connect(options).await?;
    client.subscribe(subscription.clone()).await?;
    Ok(Box::new(client))
}

/// Up to where the new subscription begins: nothing of the log between is sent to anybody.
fn missed(before: &Position, epoch: &str, seq: u64) -> Missed {
    if before.epoch != epoch {
        return Missed::AnotherLog { epoch: epoch.to_owned() };
    }
    if seq <= before.seq {
        return Missed::Nothing;
    }
    Missed::Positions { from_seq: before.seq + 1, to_seq: seq }
}
