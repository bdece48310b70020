//! Requests that may come again have their effect once: the answer is kept in the transaction of the effect, so that
//! a repeat finds either both or neither, also after a crash in between.
//!
//! A twin that comes while the first is under way waits behind it in the commit queue. A batch keeps an answer for
//! each item, since it may be committed in parts and die half-way; what body it had is kept before its first item
//! ([`Claim`]), so that another body under its key changes nothing.

use crate::services::lookups::Lookups;
use crate::services::queue::Command;
use crate::services::work::Work;
use crate::store::{KeptAnswer, RequestKey, StoreError};

/// Marks the part of a batch that holds no item but what body it had.
const WHOLE: u32 = u32::MAX;

/// A request that its sender may repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Route and caller: keys of others mean nothing here.
    pub scope: String,
    /// What the caller calls the request.
    pub key: String,
    /// Tells another body under the same key.
    pub body_hash: Vec<u8>,
}

/// An answer in the words of the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// Says an answer in the words of the wire; `None` for one that may be another the next time: it is not kept.
pub type Say<A> = Box<dyn Fn(&A) -> Option<Answered> + Send + Sync>;

/// What became of a request that may be a repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Once<A> {
    /// It had its effect now.
    First(A),
    /// It had it before, and was answered this.
    Again(Answered),
    /// Its key belongs to a request with another body.
    OtherBody,
}

/// How a command is kept from having its effect twice.
pub struct Keep<A> {
    /// The request.
    pub request: Request,
    /// Which item of a batch; 0 for a request alone.
    pub part: u32,
    /// What is kept.
    pub say: Say<A>,
}

/// A command that is answered from what is kept, if it was applied before.
pub(super) struct Kept<C: Command> {
    pub(super) command: C,
    pub(super) keep: Keep<C::Answer>,
}

impl<C: Command> Command for Kept<C> {
    type Answer = Once<C::Answer>;

    fn bytes(&self) -> usize {
        300 + self.command.bytes()
    }

    fn look_up(&self, lookups: &mut Lookups) {
        self.command.look_up(lookups);
    }

    async fn apply(&self, work: &mut Work<'_>) -> Result<Self::Answer, StoreError> {
        let Keep { request, part, say } = &self.keep;
        let key = request.key_of(*part);
        if let Some(kept) = work.transaction.kept_answer(&key).await? {
            return Ok(request.compare(kept));
        }
        let answer = self.command.apply(work).await?;
        if let Some(Answered { status, body }) = say(&answer) {
            let kept = KeptAnswer { body_hash: request.body_hash.clone(), status, answer: body };
            work.transaction.keep_answer(&key, &kept, work.now).await?;
        }
        Ok(Once::First(answer))
    }
}

/// Keeps what body a batch has, before its first item.
pub(super) struct Claim(pub(super) Request);

impl Command for Claim {
    type Answer = Once<()>;

    async fn apply(&self, work: &mut Work<'_>) -> Result<Once<()>, StoreError> {
        let Self(request) = self;
        let key = request.key_of(WHOLE);
        if let Some(kept) = work.transaction.kept_answer(&key).await? {
            return Ok(request.compare(kept));
        }
        let kept = KeptAnswer { body_hash: request.body_hash.clone(), status: 0, answer: String::new() };
        work.transaction.keep_answer(&key, &kept, work.now).await?;
        Ok(Once::First(()))
    }
}

impl Request {
    fn key_of(&self, part: u32) -> RequestKey {
        RequestKey { scope: self.scope.clone(), key: self.key.clone(), part }
    }

    fn compare<A>(&self, kept: KeptAnswer) -> Once<A> {
        let KeptAnswer { body_hash, status, answer } = kept;
        match body_hash == self.body_hash {
            true => Once::Again(Answered { status, body: answer }),
            false => Once::OtherBody,
        }
    }
}
