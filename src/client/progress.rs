//! How far a client has come: the position to resume from, and which events are new.
//!
//! Pure: no socket, no clock. It lives on when a connection breaks. The position is the highest one that was handed
//! out; what was read and not handed out comes again on the next connection.
//!
//! * **While a resumption is not answered yet**, the server may already tell what happens now (acknowledgements go to
//!   everybody). Such events are early: they are kept, and handed out in their place among the missed ones. They do
//!   not move the position before. So many are kept and no more: then the connection is given up.
//! * **What comes again** (an alert not beyond the newest one, a revision not beyond its characteristic's newest) is
//!   the server's mistake. It is not handed out, but told as [`Repeated`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::revisions::{Base, Place, Revisions, Withheld};
use super::{ClientError, Incoming};
use crate::domain::ids::CharacteristicId;
use crate::protocol::client_side::{EventMessage, EventPayload, Received, ServerText};
use crate::protocol::socket::{Position, ServerMessage, Subscription};

/// More events than this do not come between `welcome` and the answer to the first request.
const MAX_EARLY: usize = 10_000;

/// What becomes of the events after the position that a subscription resumes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resumption {
    /// No alert is missing: the missed events follow, then `resumed`. Revisions that had been held back do not come.
    Recovered { withheld: Vec<Withheld> },
    /// The log no longer reaches back: of these positions, both ends included, nothing comes. Snapshots follow.
    Lost { from_seq: u64, to_seq: u64 },
    /// The server has another log (restored, or begun anew): what was missed cannot be told. Snapshots follow.
    AnotherLog { epoch: String },
}

/// An event that was there before came again, or after a newer one of its kind. Of no use: it is not handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated {
    /// Its position.
    pub seq: u64,
    /// Whose event.
    pub characteristic_id: CharacteristicId,
    /// Its revision.
    pub revision: u64,
}

/// A subscription that is not answered yet.
#[derive(Debug)]
struct Asked {
    since: Option<Position>,
    snapshot: bool,
}

#[derive(Debug, Default)]
pub(super) struct Progress {
    position: Option<Position>,
    newest_alert: u64,
    revisions: Revisions,
    /// The subscriptions that are not answered yet.
    asked: VecDeque<Asked>,
    early: BTreeMap<u64, EventMessage>,
    ready: VecDeque<Incoming>,
    /// The highest position on this connection, handed out or not.
    received_seq: u64,
    /// Snapshots are due of these.
    due_snapshots: BTreeSet<CharacteristicId>,
    /// There are no such characteristics any more, and no snapshots of them: ids are never given again.
    deleted: BTreeSet<CharacteristicId>,
    repeated: u64,
}

impl Progress {
    /// It begins behind this position.
    pub(super) fn after(position: Position) -> Self {
        Self { position: Some(position), ..Self::default() }
    }

    /// Where to resume from; none before the first `welcome`.
    pub(super) fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// How many events came again, up to now.
    pub(super) fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Snapshots that were promised and have not come.
    pub(super) fn due_snapshots(&self) -> &BTreeSet<CharacteristicId> {
        &self.due_snapshots
    }

    /// A new connection: what the last one had not handed out will come again.
    pub(super) fn on_welcome(&mut self, epoch: &str, seq: u64) {
        self.position.get_or_insert_with(|| Position { epoch: epoch.to_owned(), seq });
        self.asked.clear();
        self.early.clear();
        self.ready.clear();
        self.received_seq = 0;
    }

    /// This was sent.
    pub(super) fn on_asked(&mut self, subscription: &Subscription) {
        let Subscription { since, snapshot, .. } = subscription;
        self.asked.push_back(Asked { since: since.clone(), snapshot: *snapshot });
    }

    /// A message came; what follows from it is [ready](Self::next).
    ///
    /// # Errors
    /// If this connection is of no use any more.
    pub(super) fn on_received(&mut self, received: Received) -> Result<(), ClientError> {
        match received {
            Received::Event(event) => self.on_event(event)?,
            Received::Snapshot(snapshot) => {
                self.due_snapshots.remove(&snapshot.characteristic_id);
                self.ready.push_back(Incoming::Snapshot(snapshot));
            }
            Received::Server(said) => self.on_server(said)?,
            Received::Other(other) => self.ready.push_back(Incoming::Other(other)),
        }
        Ok(())
    }

    /// What to hand out next.
    pub(super) fn next(&mut self) -> Option<Incoming> {
        let next = self.ready.pop_front()?;
        let told_up_to = match &next {
            Incoming::Event(event) => event.seq,
            Incoming::Server(said) => match said.message {
                ServerMessage::Resumed { seq, .. } => seq,
                _ => 0,
            },
            _ => 0,
        };
        if let Some(position) = &mut self.position {
            position.seq = position.seq.max(told_up_to);
        }
        Some(next)
    }

    fn on_event(&mut self, event: EventMessage) -> Result<(), ClientError> {
        self.received_seq = self.received_seq.max(event.seq);
        if self.asked.iter().any(|asked| asked.since.is_some()) {
            self.early.insert(event.seq, event);
            let fits = self.early.len() <= MAX_EARLY;
            return if fits { Ok(()) } else { Err(ClientError::Unanswered) };
        }
        self.hand_out_early_ones(event.seq);
        let place = match event.is_alert() && event.seq <= self.newest_alert {
            true => Place::Old,
            false => self.revisions.on_event(&event),
        };
        self.hand_out(event, place);
        Ok(())
    }

    fn hand_out_early_ones(&mut self, up_to: u64) {
        while let Some(first) = self.early.first_entry().filter(|first| *first.key() <= up_to) {
            let event = first.remove();
            let place = self.revisions.on_early_event(&event);
            self.hand_out(event, place);
        }
    }

    fn hand_out(&mut self, event: EventMessage, place: Place) {
        let EventMessage { seq, characteristic_id, revision, .. } = event;
        match place {
            Place::Old => return self.leave_out(Repeated { seq, characteristic_id, revision }),
            Place::After(gap) => self.ready.push_back(Incoming::Gap(gap)),
            Place::Next => {}
        }
        self.take(event);
    }

    fn take(&mut self, event: EventMessage) {
        if let EventPayload::CharacteristicUpdate(update) = &event.payload
            && update.is_deletion()
        {
            self.due_snapshots.remove(&event.characteristic_id);
            self.deleted.insert(event.characteristic_id);
        }
        if event.is_alert() {
            self.newest_alert = self.newest_alert.max(event.seq);
        }
        self.ready.push_back(Incoming::Event(event));
    }

    fn leave_out(&mut self, repeated: Repeated) {
        self.repeated += 1;
        self.ready.push_back(Incoming::Repeated(repeated));
    }

    fn on_server(&mut self, said: ServerText) -> Result<(), ClientError> {
        match &said.message {
            ServerMessage::Subscribed { .. } => {
                self.on_subscribed(said);
                return Ok(());
            }
            ServerMessage::Unsubscribed { characteristic_ids, groups } => {
                self.revisions.leave(characteristic_ids, groups);
                self.due_snapshots.retain(|id| !characteristic_ids.contains(id));
            }
            ServerMessage::Error { request: Some(request), .. } if request == "subscribe" => {
                self.asked.pop_front();
            }
            ServerMessage::Resumed { .. } => self.hand_out_early_ones(u64::MAX),
            // Frames keep their order: whatever was written before this heartbeat had to be here by now.
            ServerMessage::Heartbeat { last_sent_seq, .. } if *last_sent_seq > self.received_seq => {
                let (sent, received) = (*last_sent_seq, self.received_seq);
                return Err(ClientError::Deaf { sent, received });
            }
            _ => {}
        }
        self.ready.push_back(Incoming::Server(said));
        Ok(())
    }

    fn on_subscribed(&mut self, said: ServerText) {
        let ServerMessage::Subscribed { characteristic_ids, groups, all, recovered, epoch, seq, revisions } =
            &said.message
        else {
            return;
        };
        let base = Base { ids: characteristic_ids, groups, all: *all, revisions };
        // A loss may be told at any time, also while another request is not answered.
        let is_answer =
            *recovered != Some(false) || self.asked.front().is_some_and(|asked| asked.since.is_some());
        let asked = if is_answer { self.asked.pop_front() } else { None };
        let (since, snapshot) = asked.map_or((None, false), |asked| (asked.since, asked.snapshot));
        // Who was asked to resume and does not say that it does, does not.
        let is_lost = *recovered == Some(false) || (recovered.is_none() && since.is_some());
        if is_lost || (snapshot && recovered.is_none()) {
            self.due_snapshots.extend(characteristic_ids.iter().filter(|id| !self.deleted.contains(id)));
        }
        let here = Position { epoch: epoch.clone(), seq: *seq };
        if is_lost {
            self.lose(since, here, base);
        } else if recovered.is_some() {
            self.go_on(since, here, base);
        } else {
            self.begin(here, base);
        }
        self.ready.push_back(Incoming::Server(said));
        if is_lost {
            self.take_early_ones();
        }
    }

    /// A subscription without a past.
    fn begin(&mut self, here: Position, base: Base<'_>) {
        match &mut self.position {
            Some(position) if position.epoch == here.epoch => position.seq = position.seq.max(here.seq),
            _ => self.begin_anew(here),
        }
        self.revisions.begin(base);
    }

    fn begin_anew(&mut self, here: Position) {
        self.position = Some(here);
        self.newest_alert = 0;
        self.deleted.clear();
        self.revisions = Revisions::default();
    }

    /// The missed events come.
    fn go_on(&mut self, since: Option<Position>, here: Position, base: Base<'_>) {
        let position = self.position.get_or_insert_with(|| here.clone());
        let since = since.unwrap_or_else(|| position.clone());
        let withheld = if since.seq < position.seq {
            // Somebody wants to hear again what was there before.
            self.newest_alert = self.newest_alert.min(since.seq);
            self.revisions.begin(base);
            Vec::new()
        } else {
            self.revisions.go_on(base)
        };
        *position = since;
        self.ready.push_back(Incoming::Resumption(Resumption::Recovered { withheld }));
    }

    /// The missed events do not come.
    fn lose(&mut self, since: Option<Position>, here: Position, base: Base<'_>) {
        let before = since.or_else(|| self.position.clone());
        let told = match before {
            Some(before) if before.epoch == here.epoch && before.seq <= here.seq => {
                let (from_seq, to_seq) = (before.seq + 1, here.seq);
                self.position = Some(here);
                Resumption::Lost { from_seq, to_seq }
            }
            _ => {
                let epoch = here.epoch.clone();
                self.begin_anew(here);
                Resumption::AnotherLog { epoch }
            }
        };
        self.revisions.begin(base);
        self.ready.push_back(Incoming::Resumption(told));
    }

    /// After a loss they have no place among others; that they come is the more welcome.
    fn take_early_ones(&mut self) {
        for event in std::mem::take(&mut self.early).into_values() {
            self.take(event);
        }
    }
}
