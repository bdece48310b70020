//! The delivery ledger: what people are told, to whom, and how it went.
//!
//! Written apart from the event log: by transactions of its own, that do not take the head of the log, so that nobody who
//! sends a sample waits behind a delivery. On SQLite, where only one writes, they are short.
//!
//! * A **notice** is an `episode` event that the dispatcher has taken. It is stored together with its deliveries and with
//!   the cursor, so that it is taken once.
//! * A **lease** lets one process try a delivery for a while. Its fence is the number of the attempt: what is told about an
//!   attempt that is no longer the newest changes nothing.
//! * **Times** are those of the database's clock.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::delivery::{AttemptOutcome, DeliveryState};
use crate::domain::episode::EpisodeChange;
use crate::domain::ids::{CharacteristicId, DeliveryId, EpisodeId, SilenceId};
use crate::domain::rules::Severity;
use crate::domain::silence::Silence;
use crate::protocol::event::LoggedEvent;
use crate::store::{Backend, Page, Paged, Store, StoreError};

/// A notice that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotice {
    /// The position of its event.
    pub seq: u64,
    /// Of which episode.
    pub episode_id: EpisodeId,
    /// Of which characteristic.
    pub characteristic_id: CharacteristicId,
    /// What is new.
    pub change: EpisodeChange,
    /// How severe the episode is then.
    pub severity: Severity,
    /// What receivers are told, as JSON.
    pub body: String,
    /// Of each route, why it counts or does not.
    pub routes: Vec<String>,
    /// To whom it goes.
    pub deliveries: Vec<NewDelivery>,
}

/// A delivery that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// The name of the receiver.
    pub receiver: String,
    /// One of its addresses; empty, if it has no several.
    pub recipient: String,
    /// Of which route, in the order of the settings.
    pub route: u32,
    /// Of that route's escalation; 0: the first.
    pub step: u32,
    /// How long until it is due, unless somebody answers before; `None`: it is due at once, whoever answers.
    pub after: Option<Duration>,
    /// When it has come to nothing for so long, it is of no use any more.
    pub useful_for: Duration,
    /// How long after it the recipient is reminded, again and again until somebody answers; `None`: never.
    pub remind_after: Option<Duration>,
    /// How long it waits for others that are told in the same message.
    pub group_for: Duration,
    /// A silence that is in force: news are held back until it ends.
    pub held: Option<Hold>,
    /// Suppressed, if the recipient has heard of the episode when it was as severe before.
    pub is_lesser: bool,
}

impl NewDelivery {
    /// One that is due at once, to a receiver that has no several addresses.
    pub fn at_once(receiver: &str, useful_for: Duration) -> Self {
        Self {
            receiver: receiver.to_owned(),
            recipient: String::new(),
            route: 0,
            step: 0,
            after: None,
            useful_for,
            remind_after: None,
            group_for: Duration::ZERO,
            held: None,
            is_lesser: false,
        }
    }
}

/// What a silence holds back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// By which.
    pub silence: SilenceId,
    /// In words.
    pub reason: String,
}

impl From<&Silence> for Hold {
    fn from(silence: &Silence) -> Self {
        let Silence { id, reason, author, .. } = silence;
        Self { silence: *id, reason: format!("silence {id} by {author}: {reason}") }
    }
}

/// Deliveries that were stored and go to nobody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Suppressed {
    /// Answers and ends, to whom a silence has kept from hearing of the episode.
    pub silenced: u64,
    /// What a severer violation of the same episode inhibits.
    pub inhibited: u64,
}

/// What one process asks for in a turn at the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseRequest<'a> {
    /// Messages, at most; a thousand are enough for one turn.
    pub count: u32,
    /// How many deliveries a message may tell; 1: each has its own.
    pub at_once: u32,
    /// How long nobody else tries them.
    pub lease: Duration,
    /// What it is still trying: a clock that was set does not make it due.
    pub under_way: &'a [DeliveryId],
}

/// A delivery to be tried now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// Which.
    pub id: DeliveryId,
    /// The number of this attempt, from 1: its fence.
    pub attempt: u32,
    /// The position of the notice.
    pub seq: u64,
    /// The log that the notice was in.
    pub epoch: String,
    /// One of the receiver's addresses.
    pub recipient: String,
    /// Of the escalation.
    pub step: u32,
    /// The number of the reminder; 0: it is none.
    pub reminder: u32,
    /// What the receiver is told, as JSON.
    pub body: Arc<str>,
    /// What it is told in the same message, in the order in which it was stored.
    pub others: Vec<LeasedPart>,
}

/// One of several things that a message tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedPart {
    /// The number of the reminder; 0: it is none.
    pub reminder: u32,
    /// What the receiver is told, as JSON.
    pub body: Arc<str>,
}

/// How an attempt went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Of which delivery.
    pub id: DeliveryId,
    /// The number of the attempt.
    pub attempt: u32,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// How long it took.
    pub duration: Duration,
    /// What the receiver answered, or the error; nothing secret.
    pub detail: Option<String>,
    /// When to try again; `None`: never. What is refused and yet tried again is told one by one: of several things in
    /// a message, one may spoil it for all.
    pub retry_after: Option<Duration>,
}

impl Finished {
    /// Whether what the message told is told one by one from now on.
    pub(super) fn splits(&self) -> bool {
        self.outcome == AttemptOutcome::Permanent && self.retry_after.is_some()
    }

    /// The state that the delivery is in afterwards, if it is still of use.
    pub(super) fn state(&self) -> DeliveryState {
        match (self.outcome, self.retry_after) {
            (AttemptOutcome::Delivered, _) => DeliveryState::Delivered,
            (_, None) => DeliveryState::Dead,
            (AttemptOutcome::Permanent | AttemptOutcome::Transient, Some(_)) => DeliveryState::Retrying,
            (AttemptOutcome::Uncertain, Some(_)) => DeliveryState::Uncertain,
        }
    }
}

/// What a turn at the ledger has brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turn {
    /// What to try now.
    pub leased: Vec<Leased>,
    /// When the next one of this receiver is due that was not yet; `None`: nothing waits.
    pub next_due_in: Option<Duration>,
}

/// What waits for one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// Deliveries that are due, or will be.
    pub waiting: u64,
    /// Since when the oldest of those is known; `None`: nothing waits.
    pub oldest_age: Option<Duration>,
}

/// A delivery as it stands in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// Its id.
    pub id: DeliveryId,
    /// The position of its notice.
    pub seq: u64,
    /// The log that the notice was in.
    pub epoch: String,
    /// Of which episode.
    pub episode_id: EpisodeId,
    /// Of which characteristic.
    pub characteristic_id: CharacteristicId,
    /// What is new.
    pub change: EpisodeChange,
    /// The receiver's name.
    pub receiver: String,
    /// One of its addresses.
    pub recipient: String,
    /// Of the escalation.
    pub step: u32,
    /// The number of the reminder; 0: it is none.
    pub reminder: u32,
    /// The silence that holds it back, or did.
    pub silence_id: Option<SilenceId>,
    /// The delivery that tells it in one message with others; `None`: it is told alone.
    pub digest_id: Option<DeliveryId>,
    /// How far it is.
    pub state: DeliveryState,
    /// Why it ended, or waits, like that.
    pub reason: Option<String>,
    /// Attempts begun.
    pub attempts: u32,
    /// When the dispatcher took the notice.
    pub created_at: DateTime<Utc>,
    /// When it is tried next, or when the lease ends; `None`: it is over, or waits behind another.
    pub due_at: Option<DateTime<Utc>>,
    /// Afterwards nobody tries any more.
    pub useful_until: DateTime<Utc>,
    /// When it was over.
    pub ended_at: Option<DateTime<Utc>>,
}

/// An attempt as it stands in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// Its number, from 1.
    pub number: u32,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took; `None`: it is under way, or its process ended.
    pub duration: Option<Duration>,
    /// How it ended.
    pub outcome: Option<AttemptOutcome>,
    /// What the receiver answered, or the error.
    pub detail: Option<String>,
}

/// A notice as it stands in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeRecord {
    /// The position of its event.
    pub seq: u64,
    /// What is new.
    pub change: EpisodeChange,
    /// When the dispatcher took it.
    pub at: DateTime<Utc>,
    /// Of each route, why it counts or does not; empty, if it was taken before that was kept.
    pub routes: Vec<String>,
    /// Its deliveries, in the order in which they were made.
    pub deliveries: Vec<DeliveryRecord>,
}

/// Which deliveries a list holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// To this receiver.
    pub receiver: Option<String>,
    /// In this state.
    pub state: Option<DeliveryState>,
    /// About this episode.
    pub episode_id: Option<EpisodeId>,
    /// About this characteristic.
    pub characteristic_id: Option<CharacteristicId>,
    /// Of notices that the dispatcher took at or after.
    pub from: Option<DateTime<Utc>>,
    /// Of notices that it took before.
    pub to: Option<DateTime<Utc>>,
    /// Of notices after this position.
    pub after_seq: Option<u64>,
}

/// What has become of the wish to try a delivery again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// It is due, or next in line.
    Due,
    /// Somebody tries just now.
    Leased,
    /// There is no such delivery.
    Unknown,
}

impl Store {
    /// Up to where the dispatcher has read the log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn notify_cursor(&self) -> Result<u64, StoreError> {
        read!(self, ledger::cursor())
    }

    /// Up to `limit` `episode` events after a position and up to another one, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn episode_events(
        &self,
        (after, until): (u64, u64),
        limit: u32,
    ) -> Result<Vec<Arc<LoggedEvent>>, StoreError> {
        read!(self, log::episode_events((after, until), limit))
    }

    /// Stores notices and their deliveries, and moves the cursor from one position to another, all or nothing. `None`: it
    /// did not, since the cursor stands somewhere else by now: another process was first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_notices(
        &self,
        (from, to): (u64, u64),
        notices: &[NewNotice],
    ) -> Result<Option<Suppressed>, StoreError> {
        let epoch = self.epoch();
        write_apart!(self, ledger::take((from, to), epoch, notices))
    }

    /// Records how attempts went, and leases what is due to a receiver.
    ///
    /// Of one episode and recipient only the oldest delivery is leased, so that people hear of it in order.
    ///
    /// # Errors
    /// [`StoreError`]; then what has finished may be told again.
    pub async fn take_turn(
        &self,
        receiver: &str,
        finished: &[Finished],
        wanted: &LeaseRequest<'_>,
    ) -> Result<Turn, StoreError> {
        write_apart!(self, ledger::turn(receiver, finished, wanted))
    }

    /// Makes all leased deliveries due: on a database that only this process serves, nobody holds them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release_leases(&self) -> Result<(), StoreError> {
        match &self.backend {
            Backend::Sqlite(_) => write_apart!(self, ledger::release()),
            Backend::Postgres(_) => Ok(()), // another process may; they end by themselves
        }
    }

    /// Gives up to `limit` deliveries up that are of no use any more. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn expire_deliveries(&self, limit: u32) -> Result<u64, StoreError> {
        if !read!(self, ledger::has_useless())? {
            return Ok(0);
        }
        write_apart!(self, ledger::expire(limit))
    }

    /// Removes up to `limit` of the oldest notices that were taken longer ago than `kept`, with their deliveries, as far as
    /// those are over. Returns how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_notices(&self, kept: Duration, limit: u32) -> Result<u64, StoreError> {
        if !read!(self, ledger::has_notices_older_than(kept))? {
            return Ok(0);
        }
        write_apart!(self, ledger::remove(kept, limit))
    }

    /// What waits, by receiver.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn backlogs(&self) -> Result<HashMap<String, Backlog>, StoreError> {
        read!(self, deliveries::backlogs())
    }

    /// A delivery with its attempts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delivery(
        &self,
        id: DeliveryId,
    ) -> Result<Option<(DeliveryRecord, Vec<AttemptRecord>)>, StoreError> {
        read!(self, deliveries::one(id))
    }

    /// A page of deliveries, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        page: Page,
    ) -> Result<Paged<DeliveryRecord>, StoreError> {
        read!(self, deliveries::page(filter, page))
    }

    /// The newest `limit` notices of an episode, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn notices_of_episode(
        &self,
        id: EpisodeId,
        limit: u32,
    ) -> Result<Vec<NoticeRecord>, StoreError> {
        read!(self, deliveries::notices_of(id, limit))
    }
}
