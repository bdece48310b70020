//! One transaction: everything that one batch of commands changes, and its log rows.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::{Sqlite, SqliteConnection};

use crate::clock;
use crate::domain::event::Event;
use crate::domain::ids::{CharacteristicId, LimitsId, SampleId, ViolationId};
use crate::protocol::event::{self, EventHeader, LoggedEvent};
use crate::store::head::LogHead;
use crate::store::{Store, StoreError, bulk};

/// A write in progress. Dropped without [`Transaction::commit`], it never was.
#[derive(Debug)]
pub struct Transaction {
    inner: sqlx::Transaction<'static, Sqlite>,
    store: Store,
    head: LogHead,
    pending: bulk::Pending,
    committed: Vec<Arc<LoggedEvent>>,
    changed: bool,
}

impl Store {
    /// Begins to write, once nobody else does, and reads the head under the lock.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], if the database stays locked or cannot be written.
    pub async fn begin(&self) -> Result<Transaction, StoreError> {
        let begun = async {
            let mut inner = self.writer.begin_with("BEGIN IMMEDIATE").await?;
            let head = LogHead::read(&mut inner).await?;
            Ok((inner, head))
        };
        let (inner, head) = begun.await.inspect_err(|_: &StoreError| self.note_write(false))?;
        Ok(Transaction {
            inner,
            store: self.clone(),
            head,
            pending: bulk::Pending::default(),
            committed: Vec::new(),
            changed: false,
        })
    }

    /// Whether the newest batch stored has this name.
    async fn has_committed(&self, batch: &str) -> Result<bool, StoreError> {
        let mut connection = self.writer.acquire().await?;
        Ok(LogHead::read(&mut connection).await?.last_batch == batch)
    }
}

impl Transaction {
    /// The id of the next characteristic.
    pub fn next_characteristic_id(&mut self) -> CharacteristicId {
        self.head.next_characteristic_id()
    }

    /// The id of the next control limits.
    pub fn next_limits_id(&mut self) -> LimitsId {
        self.head.next_limits_id()
    }

    /// The id of the next sample.
    pub fn next_sample_id(&mut self) -> SampleId {
        self.head.next_sample_id()
    }

    /// The id of the next violation.
    pub fn next_violation_id(&mut self) -> ViolationId {
        self.head.next_violation_id()
    }

    /// Adds an event to the log and what it is about to its table; returns its position.
    ///
    /// `revision` is the characteristic's newest one and is counted up.
    ///
    /// # Errors
    /// [`StoreError::Refused`], if the event cannot be encoded.
    pub fn append(
        &mut self,
        event: &Event,
        at: DateTime<Utc>,
        revision: &mut u64,
    ) -> Result<u64, StoreError> {
        let (kind, payload) =
            event::encode(event).map_err(|e| StoreError::Refused(sqlx::Error::Encode(e.into())))?;
        self.head.seq += 1;
        *revision += 1;
        let characteristic_id = event.characteristic_id();
        let header = EventHeader { seq: self.head.seq, characteristic_id, revision: *revision, kind };
        match event {
            Event::SampleProcessed { sample, .. } => self.pending.samples.push(Arc::clone(sample)),
            Event::ViolationCreated { violation, .. } => {
                self.pending.violations.push((header.seq, Arc::clone(violation)));
            }
            Event::ViolationAcknowledged(_) | Event::ControlLimitsUpdated(_) => {}
        }
        self.committed.push(Arc::new(LoggedEvent::new(header, &payload)));
        self.pending.log.push(bulk::LogRow { header, at_micros: at.timestamp_micros(), payload });
        self.pending.revisions.insert(characteristic_id, *revision);
        self.changed = true;
        Ok(header.seq)
    }

    /// Writes what [`Transaction::append`] has gathered, so that reads of this transaction see it.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is then good for nothing but being dropped.
    pub async fn flush(&mut self) -> Result<(), StoreError> {
        let written = bulk::write(&mut self.inner, &mut self.pending).await;
        self.note(written)
    }

    /// Commits, and hands the events on. Returns the position of the newest event.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was stored. An answer to COMMIT that got lost is looked up by the
    /// batch's name in the head; only where that fails, too, it is [`StoreError::Uncertain`].
    pub async fn commit(mut self) -> Result<u64, StoreError> {
        if !self.changed {
            return Ok(self.head.seq);
        }
        self.flush().await?;
        self.head.last_batch = format!("{:032x}", clock::nonce());
        let written = self.head.write(&mut self.inner).await;
        self.note(written)?;
        let Self { inner, store, head, committed, .. } = self;
        if let Err(error) = inner.commit().await {
            let stored = store.has_committed(&head.last_batch).await;
            if !matches!(stored, Ok(true)) {
                store.note_write(false);
                return Err(if stored.is_ok() { error.into() } else { StoreError::Uncertain(error) });
            }
        }
        store.note_write(true);
        store.announce(head.seq, committed.into());
        Ok(head.seq)
    }

    /// Makes this transaction write its head even without events.
    pub(super) fn touch(&mut self) {
        self.changed = true;
    }

    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }

    /// Remembers whether the database takes writes; data that it refuses says nothing about that.
    pub(super) fn note<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if matches!(outcome, Err(StoreError::Unavailable(_))) {
            self.store.note_write(false);
        }
        outcome
    }
}
