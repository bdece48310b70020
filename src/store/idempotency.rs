//! Answers kept for requests that carried an `Idempotency-Key`: committed with the effect, so that a repeat finds
//! either both or neither.

use chrono::{DateTime, Utc};

use crate::store::{Store, StoreError, Transaction};

/// Names one request, or one item of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// Route and caller: keys of others mean nothing here.
    pub scope: String,
    /// What the caller calls the request.
    pub key: String,
    /// Which item of a batch; 0 for a request alone.
    pub part: u32,
}

/// What a request was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Tells another body under the same key.
    pub body_hash: Vec<u8>,
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub answer: String,
}

impl Store {
    /// The answer that a request has got.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn kept_answer(&self, request: &RequestKey) -> Result<Option<KeptAnswer>, StoreError> {
        read!(self, idempotency::find(request))
    }
}

impl Transaction {
    /// The answer that a request has got, as this transaction sees it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn kept_answer(&mut self, request: &RequestKey) -> Result<Option<KeptAnswer>, StoreError> {
        within!(self, idempotency::find(request))
    }

    /// Keeps an answer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_answer(
        &mut self,
        request: &RequestKey,
        kept: &KeptAnswer,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.touch();
        within!(self, idempotency::keep(request, kept, at.timestamp_micros()))
    }
}
