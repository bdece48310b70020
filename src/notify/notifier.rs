//! The extension point: what tells one receiver one thing once.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::protocol::notice::Notice;

/// One notice to one recipient, as an attempt of its delivery gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The delivery's name, the same with every attempt: receivers tell repetitions by it.
    pub delivery_id: String,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// One of [`AlertNotifier::recipients`].
    pub recipient: String,
    /// Of the escalation; 0: the first.
    pub step: u32,
    /// The number of the reminder: nobody has answered; 0: it is news.
    pub reminder: u32,
    /// What is new, of which episode.
    pub notice: Arc<Notice>,
    /// What is told in the same message, oldest first; nothing, unless the notifier can
    /// ([`most_at_once`](AlertNotifier::most_at_once)) and the receiver's settings group notices or limit their rate.
    pub others: Vec<Part>,
}

/// One of several things that a message tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The number of the reminder; 0: it is news.
    pub reminder: u32,
    /// What is new, of which episode.
    pub notice: Arc<Notice>,
}

impl Alert {
    /// All that it tells, each with the number of the reminder: what matters most, and the others.
    pub fn parts(&self) -> impl Iterator<Item = (&Notice, u32)> {
        let others = self.others.iter().map(|part| (&*part.notice, part.reminder));
        std::iter::once((&*self.notice, self.reminder)).chain(others)
    }
}

/// What a receiver answered that has taken an alert: an id of its own, a status. Kept with the attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt(Option<String>);

impl Receipt {
    /// A receiver that answers with nothing of interest.
    pub const fn silent() -> Self {
        Self(None)
    }

    /// What it answered; nothing secret.
    pub fn new(answer: impl Into<String>) -> Self {
        Self(Some(answer.into()))
    }

    /// What it answered.
    pub fn answer(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// What a failure means for the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The same may go through later; not before this time, if the receiver has named one.
    Transient {
        /// From now on.
        retry_after: Option<Duration>,
    },
    /// It may have arrived: the connection broke before there was an answer. It is tried again, under the same name.
    Uncertain,
    /// The receiver refuses this alert, and will do so again.
    Permanent,
    /// The receiver wants nothing any more. Nothing is sent to it until the process starts again, or reloads its receivers.
    Gone,
}

/// Why an attempt failed. Its text is kept with the attempt and shown to people: nothing secret may stand in it.
#[derive(Debug)]
pub struct NotifyError {
    failure: Failure,
    source: Box<dyn Error + Send + Sync>,
}

impl NotifyError {
    /// The same may go through later.
    pub fn transient(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { failure: Failure::Transient { retry_after: None }, source: source.into() }
    }

    /// The same may go through after the time that the receiver has named.
    pub fn busy(source: impl Into<Box<dyn Error + Send + Sync>>, retry_after: Duration) -> Self {
        Self { failure: Failure::Transient { retry_after: Some(retry_after) }, source: source.into() }
    }

    /// It may have arrived.
    pub fn uncertain(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { failure: Failure::Uncertain, source: source.into() }
    }

    /// It will never be taken.
    pub fn permanent(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { failure: Failure::Permanent, source: source.into() }
    }

    /// The receiver wants nothing any more.
    pub fn gone(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { failure: Failure::Gone, source: source.into() }
    }

    /// What it means for the next attempt.
    pub fn failure(&self) -> Failure {
        self.failure
    }
}

impl fmt::Display for NotifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl Error for NotifyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}

/// Tells a receiver. Object safe; one notifier serves all alerts of its receiver, several at a time.
///
/// Retrying, timing, order and the record belong to the deliverer. Whoever implements it can run
/// [`contract`](crate::notify::contract) against it.
#[async_trait]
pub trait AlertNotifier: Send + Sync {
    /// Sends one alert once.
    ///
    /// It may be called again with the same `alert.delivery_id`: after a failure, or when the process ended before the
    /// outcome was stored. The deliverer gives up waiting after the receiver's `timeout_ms` and drops the future; what
    /// has been sent by then counts as uncertain. A panic counts as transient.
    ///
    /// # Errors
    /// [`NotifyError`], which says whether to try again.
    async fn notify(&self, alert: &Alert) -> Result<Receipt, NotifyError>;

    /// Whom it reaches: each gets its own delivery, so that one that refuses keeps nothing from the others. Asked at the
    /// start and with each reload; each must be there once. By default one without a name.
    fn recipients(&self) -> Vec<String> {
        vec![String::new()]
    }

    /// How many things one message can tell. By default one: then none is asked to tell more.
    fn most_at_once(&self) -> u32 {
        1
    }

    /// What it does beside, from the deliverer's start until `stop`: holding a connection. By default nothing.
    ///
    /// It is begun once, ended after the last attempt, and given `stop_grace_ms` to say goodbye. Should it end before, it is
    /// begun again. So it is by a reload, after its end.
    async fn run(&self, stop: CancellationToken) {
        stop.cancelled().await;
    }
}
