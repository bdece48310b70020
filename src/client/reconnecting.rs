//! A client that connects again, and resumes where it was.
//!
//! It subscribes from the highest position that was handed out, so that what was missed comes before what happens:
//! no alert is missing, and none is handed out twice. Where the log no longer reaches back, that is told, and
//! snapshots come instead.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::backoff::Backoff;
use super::error::ClientError;
use super::progress::Progress;
use super::{Client, Incoming, Options};
use crate::protocol::client_side::ServerText;
use crate::protocol::socket::{Chosen, Position, ServerMessage, Subscription};

/// A time given in whole seconds is given to many: they come spread over one more.
const SPREAD: Duration = Duration::from_secs(1);

/// What happens to a client that connects again.
#[derive(Debug)]
pub enum Update {
    /// Something arrived. After a break that is, first, a [`Resumption`](super::Resumption).
    Incoming(Incoming),
    /// The connection ended, or one more try failed. Nothing needs to be done.
    Disconnected { error: ClientError, retry_in: Duration },
}

/// Keeps one subscription alive. Starts no task: it works while somebody waits in [`Reconnecting::next`].
pub struct Reconnecting {
    options: Options,
    subscription: Subscription,
    backoff: Backoff,
    link: Link,
    /// The server has said so once, on whatever connection.
    is_subscribed: bool,
}

enum Link {
    Up(Box<Client>),
    Down { progress: Box<Progress>, retry_at: Instant },
}

impl Reconnecting {
    /// Connects and subscribes for the first time; where the subscription says `since`, from there.
    ///
    /// # Errors
    /// The first failure: a wrong address is better told than tried for ever.
    pub async fn connect(
        options: Options,
        subscription: Subscription,
        backoff: Backoff,
    ) -> Result<Self, ClientError> {
        let mut client = Client::connect(&options).await?;
        let progress = subscription.since.clone().map(Progress::after).unwrap_or_default();
        client.go_on(progress, &subscription);
        Ok(Self { options, subscription, backoff, link: Link::Up(Box::new(client)), is_subscribed: false })
    }

    /// Where it would resume: everything up to here was handed out, as far as it will be. To go on from here later,
    /// subscribe [since](Subscription::since) this.
    pub fn position(&self) -> Option<Position> {
        match &self.link {
            Link::Up(client) => Some(client.position()),
            Link::Down { progress, .. } => progress.position().cloned(),
        }
    }

    /// How many events came that had been there before, and were left out: mistakes of the server.
    pub fn repeated(&self) -> u64 {
        match &self.link {
            Link::Up(client) => client.progress.repeated(),
            Link::Down { progress, .. } => progress.repeated(),
        }
    }

    /// Waits for what happens next. Who comes back for the next one has processed the one before.
    ///
    /// # Errors
    /// Only one that is [final](ClientError::is_final): the server no longer wants this client.
    ///
    /// # Cancel safety
    /// Nothing that arrived is lost; a connection that was being made is begun again.
    pub async fn next(&mut self) -> Result<Update, ClientError> {
        loop {
            match &mut self.link {
                Link::Up(client) => {
                    let ended = match client.next().await {
                        Ok(incoming) => match refused(&incoming) {
                            Some(error) => error,
                            None => {
                                self.on_incoming(&incoming);
                                return Ok(Update::Incoming(incoming));
                            }
                        },
                        Err(error) => error,
                    };
                    let progress = std::mem::take(&mut client.progress);
                    return self.try_later(ended, progress);
                }
                Link::Down { progress, retry_at } => {
                    sleep_until(*retry_at).await;
                    let connected = Client::connect(&self.options).await;
                    let progress = std::mem::take(&mut **progress);
                    match connected {
                        Ok(mut client) => {
                            let wanted = self.wanted_again(&progress);
                            client.go_on(progress, &wanted);
                            self.link = Link::Up(Box::new(client));
                        }
                        Err(error) => return self.try_later(error, progress),
                    }
                }
            }
        }
    }

    /// What to ask for after a break. Snapshots that were asked for and never promised have to be asked for again: they
    /// come where no position is told, and tell what happened meanwhile.
    fn wanted_again(&self, progress: &Progress) -> Subscription {
        if self.subscription.snapshot && !self.is_subscribed {
            return self.subscription.clone();
        }
        let since = progress.position().cloned();
        Subscription { since, snapshot: false, ..self.subscription.clone() }
    }

    fn on_incoming(&mut self, incoming: &Incoming) {
        match incoming {
            // A server may greet, promise much, and then turn away: nothing is gained yet.
            Incoming::Resumption(_) | Incoming::Gap(_) | Incoming::Repeated(_) => {}
            Incoming::Server(said) => match said.message {
                ServerMessage::Subscribed { .. } => self.is_subscribed = true,
                ServerMessage::Error { .. } => {}
                ServerMessage::Resumed { .. } => {
                    self.backoff.reset();
                    self.ask_for_due_snapshots();
                }
                _ => self.backoff.reset(),
            },
            Incoming::Event(_) | Incoming::Snapshot(_) | Incoming::Other(_) => self.backoff.reset(),
        }
    }

    /// A connection that broke among snapshots leaves some that a resumption does not bring.
    fn ask_for_due_snapshots(&mut self) {
        let Link::Up(client) = &mut self.link else { return };
        let due = client.progress.due_snapshots();
        if due.is_empty() {
            return;
        }
        let all = Subscription { since: None, snapshot: true, ..self.subscription.clone() };
        let missing = match &all.chosen {
            // Some may not exist: no snapshot comes of them, and that is no reason to have all others again.
            Chosen::These(_) if all.groups.is_empty() => {
                Subscription { chosen: Chosen::These(due.iter().copied().collect()), ..all }
            }
            _ => all,
        };
        client.queue_subscription(&missing);
    }

    fn try_later(&mut self, error: ClientError, progress: Progress) -> Result<Update, ClientError> {
        let backed_off = self.backoff.next_wait();
        let retry_in = match (error.retry_after(), &error) {
            (Some(told), ClientError::Refused { .. }) => told + backed_off.min(SPREAD),
            (Some(told), _) => told,
            (None, _) => backed_off,
        };
        let (progress, retry_at) = (Box::new(progress), Instant::now() + retry_in);
        self.link = Link::Down { progress, retry_at };
        if error.is_final() { Err(error) } else { Ok(Update::Disconnected { error, retry_in }) }
    }

    /// Confirms what was processed, and says goodbye, if there is somebody to say it to.
    pub async fn close(self) {
        if let Link::Up(client) = self.link {
            client.close().await;
        }
    }
}

/// Without its subscription, a connection waits for nothing.
fn refused(incoming: &Incoming) -> Option<ClientError> {
    const REQUEST: &str = "subscribe";
    match incoming {
        Incoming::Server(ServerText { message: ServerMessage::Error { code, message, request }, .. })
            if request.as_deref() == Some(REQUEST) =>
        {
            Some(ClientError::NotSubscribed { code: Some(*code), message: message.clone() })
        }
        Incoming::Other(other) => {
            other.refusal_of(REQUEST).map(|message| ClientError::NotSubscribed { code: None, message })
        }
        _ => None,
    }
}
