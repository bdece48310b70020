//! One transaction: everything that one batch of commands changes, and its log rows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tracing::trace;

use crate::clock;
use crate::domain::alarm::{AlarmState, Standing};
use crate::domain::episode::Episode;
use crate::domain::event::Event;
use crate::domain::ids::{CharacteristicId, EpisodeId, LimitsId, SampleId, ViolationId};
use crate::domain::sample::Sample;
use crate::domain::violation::Violation;
use crate::protocol::event::{self, EventHeader, LoggedEvent};
use crate::store::head::LogHead;
use crate::store::{Backend, Store, StoreError, postgres, sqlite};

/// A write in progress. Dropped without [`Transaction::commit`], it never was.
#[derive(Debug)]
pub struct Transaction {
    pub(super) open: Open,
    store: Store,
    /// The database's own name of this transaction, where it has one.
    name: Option<String>,
    head: LogHead,
    elsewhere: Elsewhere,
    pub(super) pending: Pending,
    committed: Vec<Arc<LoggedEvent>>,
    changed: bool,
}

/// The transaction of the one database or the other.
#[derive(Debug)]
pub(super) enum Open {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

/// What other processes have committed since this one last looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// Nothing.
    Nothing,
    /// Events of these characteristics.
    Changed(Vec<CharacteristicId>),
    /// More than the log still tells.
    Unknown,
}

/// A log row that waits to be written.
#[derive(Debug)]
pub(super) struct LogRow {
    pub(super) header: EventHeader,
    pub(super) at_micros: i64,
    pub(super) payload: String,
}

/// What waits to be written in this transaction.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Each with the position of its event, as the violations.
    pub(super) samples: Vec<(u64, Arc<Sample>)>,
    pub(super) violations: Vec<(u64, Arc<Violation>)>,
    pub(super) log: Vec<LogRow>,
    pub(super) standings: HashMap<CharacteristicId, (Standing, AlarmState)>,
    /// In the order of their ids: one is closed before the next of its characteristic is opened.
    pub(super) episodes: BTreeMap<EpisodeId, Arc<Episode>>,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        let Self { samples, violations, log, standings, episodes } = self;
        samples.is_empty()
            && violations.is_empty()
            && log.is_empty()
            && standings.is_empty()
            && episodes.is_empty()
    }
}

impl Store {
    /// Begins to write, once nobody else does, and reads the head under the lock.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], if the database stays locked or cannot be written;
    /// [`StoreError::Renewed`], if the log was given a new epoch meanwhile.
    pub async fn begin(&self) -> Result<Transaction, StoreError> {
        let begun = async {
            let (open, head, name) = match &self.backend {
                Backend::Sqlite(database) => {
                    let (open, head) = database.begin().await?;
                    (Open::Sqlite(open), head, None)
                }
                Backend::Postgres(database) => {
                    let postgres::Begun { open, head, name } = database.begin().await?;
                    (Open::Postgres(open), head, Some(name))
                }
            };
            if head.epoch != self.shared.epoch {
                return Err(StoreError::Renewed);
            }
            Ok((open, head, name))
        };
        let (open, head, name) = begun.await.inspect_err(|_| self.note_write(false))?;
        let mut transaction = Transaction {
            open,
            store: self.clone(),
            name,
            elsewhere: Elsewhere::Nothing,
            pending: Pending::default(),
            committed: Vec::new(),
            changed: false,
            head,
        };
        transaction.look_elsewhere().await?;
        Ok(transaction)
    }

    /// Whether a transaction whose COMMIT got no answer was committed all the same.
    async fn has_committed(&self, batch: &str, name: Option<&str>) -> Result<bool, StoreError> {
        match (&self.backend, name) {
            (Backend::Postgres(database), Some(name)) => database.has_committed(name).await,
            // Only this process writes: its newest batch is the newest.
            _ => Ok(self.head().await?.last_batch == batch),
        }
    }
}

impl Transaction {
    /// What other processes have committed since this one last looked: what was known of those is out of date.
    /// On a database that has one process, always nothing.
    pub fn elsewhere(&self) -> &Elsewhere {
        &self.elsewhere
    }

    /// Compares the head with what this process has seen of it, under the head's lock.
    async fn look_elsewhere(&mut self) -> Result<(), StoreError> {
        let seen = self.store.seen_seq();
        if self.head.seq != seen {
            self.elsewhere = if self.head.floor > seen {
                Elsewhere::Unknown
            } else {
                Elsewhere::Changed(within!(self, log::characteristics_after(seen))?)
            };
        }
        Ok(())
    }

    /// The position of the newest event.
    pub fn seq(&self) -> u64 {
        self.head.seq
    }

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

    /// The id of the next episode.
    pub fn next_episode_id(&mut self) -> EpisodeId {
        self.head.next_episode_id()
    }

    /// The id that the next sample will have: where a phase begins.
    pub fn coming_sample_id(&self) -> SampleId {
        self.head.coming_sample_id()
    }

    /// Adds an event to the log and what it is about to its table; returns its position.
    ///
    /// `revision` is the characteristic's newest one and is counted up; it is stored with
    /// [`Transaction::stand`].
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
        let header = EventHeader {
            seq: self.head.seq,
            characteristic_id: event.characteristic_id(),
            revision: *revision,
            kind,
            is_history: event.is_history(),
        };
        match event {
            Event::SampleProcessed { sample, .. } => {
                self.pending.samples.push((header.seq, Arc::clone(sample)));
            }
            Event::ViolationCreated { violation, .. } => {
                self.pending.violations.push((header.seq, Arc::clone(violation)));
            }
            // They change what is there, in statements of their own.
            Event::EpisodeChanged { .. } // kept by whoever changed it
            | Event::ViolationAcknowledged(_)
            | Event::ControlLimitsUpdated(_)
            | Event::SampleExclusionChanged(_)
            | Event::ViolationStatusChanged { .. }
            | Event::CharacteristicChanged(_) => {}
        }
        self.committed.push(Arc::new(LoggedEvent::new(header, &payload)));
        self.pending.log.push(LogRow { header, at_micros: at.timestamp_micros(), payload });
        self.changed = true;
        Ok(header.seq)
    }

    /// Stores how a characteristic stands after what was appended.
    pub fn stand(&mut self, id: CharacteristicId, standing: Standing, state: AlarmState) {
        self.pending.standings.insert(id, (standing, state));
        self.changed = true;
    }

    /// Writes what [`Transaction::append`] and [`Transaction::stand`] have gathered, so that reads of this
    /// transaction see it.
    ///
    /// # Errors
    /// [`StoreError`]; the transaction is then good for nothing but being dropped.
    pub async fn flush(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        let written = match &mut self.open {
            Open::Sqlite(open) => sqlite::bulk::write(open, &pending).await,
            Open::Postgres(open) => postgres::bulk::write(open, &pending).await,
        };
        self.note(written)
    }

    /// Commits, and hands the events on. Returns the position of the newest event.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing was stored. An answer to COMMIT that got lost is looked up; only where that
    /// fails, too, it is [`StoreError::Uncertain`].
    pub async fn commit(mut self) -> Result<u64, StoreError> {
        if !self.changed {
            self.store.see(self.head.seq);
            return Ok(self.head.seq);
        }
        self.flush().await?;
        self.head.last_batch = format!("{:032x}", clock::nonce());
        let head = self.head.clone();
        within!(self, head::write(&head))?;
        let Self { open, store, name, head, committed, .. } = self;
        trace!(target: "andon::points", { event.seq = head.seq, events = committed.len() }, "batch commit begins");
        let closed = match open {
            Open::Sqlite(open) => open.commit().await,
            Open::Postgres(mut open) => match postgres::notify(&mut open, &head).await {
                Ok(()) => open.commit().await,
                Err(error) => Err(error),
            },
        };
        if let Err(error) = closed {
            let stored = store.has_committed(&head.last_batch, name.as_deref()).await;
            if !matches!(stored, Ok(true)) {
                store.note_write(false);
                return Err(if stored.is_ok() { error.into() } else { StoreError::Uncertain(error) });
            }
        }
        trace!(target: "andon::points", { event.seq = head.seq, events = committed.len() }, "batch committed");
        store.note_write(true);
        store.see(head.seq);
        store.announce(head.seq, committed.into());
        Ok(head.seq)
    }

    /// Raises the floor of the log, never beyond its head.
    pub(super) fn raise_floor(&mut self, floor: u64) {
        self.head.floor = self.head.floor.max(floor.min(self.head.seq));
        self.touch();
    }

    /// Gives the log a new epoch; returns its name. What this process knows of the log means nothing afterwards.
    pub fn renew_epoch(&mut self) -> String {
        self.head.epoch = LogHead::new_epoch();
        self.touch();
        self.head.epoch.clone()
    }

    /// Makes this transaction write its head even without events.
    pub(super) fn touch(&mut self) {
        self.changed = true;
    }

    /// Remembers whether the database takes writes; data that it refuses says nothing about that.
    pub(super) fn note<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if matches!(outcome, Err(StoreError::Unavailable(_))) {
            self.store.note_write(false);
        }
        outcome
    }
}
