//! The way into the commit loop: one bounded queue of commands.
//!
//! A command can be applied again, since a batch with a culprit is repeated one by one; its answer is held
//! back until its transaction is committed. Full: the caller waits for a place, and is told to come back
//! when none came free in time. A caller that goes away changes nothing: its command is committed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use crate::services::lookups::Lookups;
use crate::services::work::Work;
use crate::store::StoreError;

/// Why a command has no answer. Nothing of it was stored, but for [`CommitError::Uncertain`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// The queue stayed full: come back later.
    #[error("too many commands are waiting")]
    Busy,
    /// The process is stopping.
    #[error("the service is stopping")]
    Stopping,
    /// The database does not take writes now.
    #[error("the database does not take writes")]
    Unavailable,
    /// The database broke off while it answered: whether the command was committed is not known.
    #[error("whether it was stored is not known")]
    Uncertain,
    /// The database will never take this, or holds what cannot be understood.
    #[error("the transaction failed")]
    Failed(#[source] Arc<StoreError>),
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Unavailable,
            StoreError::Uncertain(_) => Self::Uncertain,
            other => Self::Failed(Arc::new(other)),
        }
    }
}

/// Something to be done in a transaction, together with others.
pub(super) trait Command: Send + Sync + 'static {
    /// What the caller is told once it is committed; refusals are answers, too.
    type Answer: Send + 'static;

    /// Bytes that it adds to the transaction, about.
    fn bytes(&self) -> usize {
        256
    }

    /// Names what it will have to find, so that a whole batch finds it at once.
    fn look_up(&self, _lookups: &mut Lookups) {}

    /// Does it, within `work`. Must not have effects elsewhere.
    fn apply(&self, work: &mut Work) -> impl Future<Output = Result<Self::Answer, StoreError>> + Send;
}

/// A command with its caller, whatever its type.
#[async_trait]
pub(super) trait Job: Send {
    fn bytes(&self) -> usize;

    fn look_up(&self, lookups: &mut Lookups);

    /// Applies the command and holds its answer back.
    async fn apply(&mut self, work: &mut Work) -> Result<(), StoreError>;

    /// Tells the caller: its answer if the commit went through.
    fn finish(self: Box<Self>, outcome: Result<(), CommitError>);
}

struct Waiting<C: Command> {
    command: C,
    answer: Option<C::Answer>,
    caller: oneshot::Sender<Result<C::Answer, CommitError>>,
}

#[async_trait]
impl<C: Command> Job for Waiting<C> {
    fn bytes(&self) -> usize {
        self.command.bytes()
    }

    fn look_up(&self, lookups: &mut Lookups) {
        self.command.look_up(lookups);
    }

    async fn apply(&mut self, work: &mut Work) -> Result<(), StoreError> {
        self.answer = Some(self.command.apply(work).await?);
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<(), CommitError>) {
        let Self { answer, caller, .. } = *self;
        let answer = outcome.map(|()| answer.expect("a command is applied before its commit"));
        let _ = caller.send(answer); // the caller may have gone: its command stands all the same
    }
}

/// Puts commands into the queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CommitQueue {
    jobs: mpsc::Sender<Box<dyn Job>>,
    timeout: Duration,
}

impl std::fmt::Debug for dyn Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

/// An answer that is on its way.
pub(super) struct Promise<A>(oneshot::Receiver<Result<A, CommitError>>);

impl<A> Promise<A> {
    /// Waits for the commit.
    pub(super) async fn answer(self) -> Result<A, CommitError> {
        self.0.await.unwrap_or(Err(CommitError::Stopping))
    }
}

impl CommitQueue {
    pub(super) fn new(capacity: usize, timeout: Duration) -> (Self, mpsc::Receiver<Box<dyn Job>>) {
        let (jobs, waiting) = mpsc::channel(capacity.max(1));
        (Self { jobs, timeout }, waiting)
    }

    /// Queues a command; the order of calls is the order of effects.
    pub(super) async fn submit<C: Command>(&self, command: C) -> Result<Promise<C::Answer>, CommitError> {
        let (caller, promised) = oneshot::channel();
        let job = Box::new(Waiting { command, answer: None, caller });
        match self.jobs.send_timeout(job, self.timeout).await {
            Ok(()) => Ok(Promise(promised)),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(CommitError::Busy),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(CommitError::Stopping),
        }
    }

    /// Queues a command and waits for its commit.
    pub(super) async fn run<C: Command>(&self, command: C) -> Result<C::Answer, CommitError> {
        self.submit(command).await?.answer().await
    }

    /// Commands that wait.
    pub fn depth(&self) -> usize {
        self.jobs.max_capacity() - self.jobs.capacity()
    }
}
