//! Connections that read for themselves: pages of the ring or the log, and snapshots, one page at a time.
//!
//! The body pulls when its socket has taken everything, so a slow client costs no memory beyond its page and a long
//! catch-up delays nobody. Where the cursor has come to the shard's position, the connection goes live within the same
//! step: no event can come in between. What a page needs from the database is read by the connection's own attendant.

use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Shard;
use crate::broadcast::connection::{Connection, Covered, Shared};
use crate::broadcast::feed::{Feed, Need, Replay};
use crate::broadcast::frame::{Frame, Item};
use crate::broadcast::hazards::{Hazard, is_planted};
use crate::broadcast::ports::HistoryError;
use crate::bus::OutOfRing;
use crate::domain::ids::CharacteristicId;
use crate::metrics;
use crate::protocol::close::CloseCode;
use crate::protocol::event::LoggedEvent;
use crate::protocol::snapshot::Snapshot;
use crate::protocol::socket::ServerMessage;

/// How long to wait before a snapshot that could not be read is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// What a pull came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broadcast) enum Pulled {
    /// Look again: something may be due, or there is more to read.
    Progress,
    /// Nothing until somebody wakes the body.
    Nothing,
}

/// What was read from the database for a connection.
#[derive(Debug)]
pub(in crate::broadcast) enum Arrived {
    Page {
        after: u64,
        page: Result<Vec<Arc<LoggedEvent>>, HistoryError>,
    },
    Snapshots(Vec<(CharacteristicId, Option<Arc<Snapshot>>)>),
    /// Not now.
    NoSnapshots,
}

impl Shard {
    /// Queues the next page for a connection whose socket has taken everything.
    pub(in crate::broadcast) fn pull(&mut self, shared: &Rc<Shared>, now: Instant) -> Pulled {
        if !self.connections.contains_key(&shared.id) {
            return Pulled::Nothing;
        }
        let mut state = shared.state.borrow_mut();
        if state.farewell.is_some() {
            return Pulled::Nothing;
        }
        let Feed::Replay(replay) = &mut state.feed else {
            return self.begin_snapshots(shared, &mut state, now);
        };
        if replay.need.is_some() {
            return Pulled::Nothing;
        }
        let page_events =
            NonZeroUsize::new(self.local.settings.page_events as usize).unwrap_or(NonZeroUsize::MIN);
        let cursor = replay.cursor;
        if cursor + u64::from(is_planted(Hazard::LiveTooEarly)) >= self.position {
            self.go_live(&mut state, now);
            return Pulled::Progress;
        }
        self.page.clear();
        match self.bus.page(cursor + 1, page_events, &mut self.page) {
            Ok(()) => {
                let page = std::mem::take(&mut self.page);
                self.hand_page(shared, &mut state, &page, now);
                self.page = page;
                self.page.clear();
                Pulled::Progress
            }
            Err(OutOfRing { .. }) => {
                replay.need = Some(Need::Page { after: cursor });
                shared.news.notify_one();
                Pulled::Nothing
            }
        }
    }

    /// A client has said its first words: from here on it waits until they are answered, and no less.
    pub(in crate::broadcast) fn begin_first_answer(&self, shared: &Shared) {
        if let Feed::Replay(Replay { need: Some(Need::FirstWords { until }), .. }) =
            &mut shared.state.borrow_mut().feed
        {
            *until = None;
        }
    }

    /// A client that waited for its own first words is told what has happened meanwhile.
    pub(in crate::broadcast) fn end_silence(&mut self, shared: &Rc<Shared>, now: Instant) {
        if shared.state.borrow().waits_for_first_words().is_none() {
            return;
        }
        if let Feed::Replay(replay) = &mut shared.state.borrow_mut().feed {
            replay.need = None;
        }
        self.pull(shared, now); // most often all of it: then what is answered next comes after it
        shared.state.borrow_mut().wake();
    }

    /// From here on the shard hands it events as they come.
    fn go_live(&self, state: &mut Connection, now: Instant) {
        let Feed::Replay(Replay { replayed, is_announced, .. }) =
            std::mem::replace(&mut state.feed, Feed::Live)
        else {
            return;
        };
        if is_announced {
            state.say(&ServerMessage::Resumed { seq: self.position, replayed }, now);
        }
    }

    /// Hands a connection what continues its cursor, up to where the shard itself is.
    fn hand_page(
        &mut self,
        shared: &Rc<Shared>,
        state: &mut Connection,
        page: &[Arc<LoggedEvent>],
        now: Instant,
    ) {
        let page_events = u64::from(self.local.settings.page_events);
        for event in page {
            let Feed::Replay(replay) = &mut state.feed else { return };
            replay.keep_up(self.position, page_events);
            if event.seq > self.position && !is_planted(Hazard::PageBeyondShard) {
                return;
            }
            if event.seq <= replay.cursor {
                continue;
            }
            assert_eq!(event.seq, replay.cursor + 1, "pages have no holes");
            if self.lacks_group(shared, event) {
                self.unknown.insert(event.characteristic_id);
                let need = Some(Need::Group(event.characteristic_id));
                if let Feed::Replay(replay) = &mut state.feed {
                    replay.need = need;
                }
                return;
            }
            // As it was then, not as it is now.
            let (group, moved) = self.groups.at(event);
            let of =
                |group: Option<&str>| self.subscriptions.interest(shared.id, event.characteristic_id, group);
            let before = || moved.as_ref().and_then(|moved| of(Some(&moved.from)));
            let interest = of(group.as_deref()).or_else(before);
            let frame = Frame::new(Arc::clone(event), now);
            let is_told = if event.kind.goes_to_all() {
                let is_told = self.hand_to(shared, state, &frame, None, now);
                if !is_told && interest.is_some_and(|interest| event.seq > interest.after) {
                    // It came live, before the client said from where it resumes: its revision is behind it.
                    state.lanes.withhold(event.characteristic_id, event.revision);
                }
                is_told
            } else {
                // What its filter leaves out is due, and not told.
                let is_wanted = interest.is_some_and(|interest| interest.admit(event).is_ok());
                interest.is_some() && self.hand_to(shared, state, &frame, interest, now) && is_wanted
            };
            if let Feed::Replay(replay) = &mut state.feed {
                replay.cursor = event.seq;
                replay.replayed += u64::from(is_told);
            }
        }
    }

    /// Something was read for a connection; if it waits for something else by now, it is thrown away.
    pub(in crate::broadcast) fn arrived(&mut self, shared: &Rc<Shared>, arrived: Arrived, now: Instant) {
        if !self.connections.contains_key(&shared.id) {
            return;
        }
        let mut state = shared.state.borrow_mut();
        let Feed::Replay(replay) = &mut state.feed else { return };
        match (arrived, replay.need.take()) {
            (Arrived::Page { after, page }, Some(Need::Page { after: asked })) if after == asked => {
                match page {
                    Ok(page) => self.hand_page(shared, &mut state, &page, now),
                    Err(HistoryError::Removed { floor }) if is_planted(Hazard::FloorIgnored) => {
                        replay.cursor = floor
                    }
                    Err(HistoryError::Removed { .. }) => {
                        drop(state);
                        self.lose(shared, now);
                        return;
                    }
                    Err(error) => {
                        drop(state);
                        self.is_renewed(&error);
                        return;
                    }
                }
            }
            (Arrived::Snapshots(snapshots), Some(Need::Snapshots(_))) => {
                for (id, snapshot) in snapshots {
                    match snapshot {
                        _ if self.interest(shared.id, id).is_none() => {} // it has left meanwhile
                        Some(snapshot) => self.hand_snapshot(&mut state, &snapshot, now),
                        None => drop(state.covered.remove(&id)), // there is no such characteristic
                    }
                }
            }
            (Arrived::NoSnapshots, Some(Need::Snapshots(asked))) => {
                state.snapshots.extend(asked.into_iter().map(|(id, _)| id));
                state.snapshots_from = Some(now + RETRY);
            }
            (_, need) => {
                replay.need = need;
                return;
            }
        }
        state.wake();
    }

    /// The log no longer holds what comes next: the connection is told so, and gets the present state instead.
    fn lose(&mut self, shared: &Rc<Shared>, now: Instant) {
        let Some(choice) = self.subscriptions.choice(shared.id) else {
            self.end(shared, CloseCode::TooSlow, None); // there is nothing whose state could be told instead
            return;
        };
        let (named, groups, all): (Vec<_>, Vec<_>, _) = (
            choice.ids.iter().copied().collect(),
            choice.groups.iter().map(|g| g.to_string()).collect(),
            choice.all,
        );
        let mut members = if all { self.everybody() } else { self.members(named, &groups) };
        members.sort_unstable();
        self.subscriptions.advance(shared.id, self.position);
        self.local.metrics.replays(metrics::Reason { reason: "lost" });
        let mut state = shared.state.borrow_mut();
        for id in &members {
            state.lanes.count_anew(*id);
        }
        state.feed = Feed::Live;
        let revision = |id: &CharacteristicId| self.revisions.get(id).copied().unwrap_or(0);
        let answer = ServerMessage::Subscribed {
            revisions: members.iter().map(|id| (id.get(), revision(id))).collect(),
            characteristic_ids: members.clone(),
            groups,
            all,
            recovered: Some(false),
            epoch: self.local.epoch.to_string(),
            seq: self.position,
        };
        state.say(&answer, now);
        state.covered.extend(members.iter().map(|id| (*id, Covered::AWAITED)));
        state.snapshots = members.into();
        state.wake();
    }

    /// Begins the next page of snapshots: those that are ready leave at once; for the others the connection waits,
    /// reading for itself, so that what happens meanwhile comes after them.
    fn begin_snapshots(&self, shared: &Rc<Shared>, state: &mut Connection, now: Instant) -> Pulled {
        let is_too_early = state.is_awaited || state.snapshots_from.is_some_and(|from| now < from);
        if state.snapshots.is_empty() || is_too_early {
            return Pulled::Nothing;
        }
        let page = self.local.settings.snapshots_per_page.min(state.snapshots.len());
        let ids: Vec<_> = state.snapshots.drain(..page).collect();
        let mut missing = Vec::new();
        for id in ids {
            let at_least = self.revisions.get(&id).copied().unwrap_or(0);
            match self.snapshots.ready(id, at_least) {
                Some(snapshot) => self.hand_snapshot(state, &snapshot, now),
                None => missing.push((id, at_least)),
            }
        }
        if !missing.is_empty() && is_planted(Hazard::SnapshotWithoutHold) {
            let replay = Replay::whole(u64::MAX, self.position);
            state.feed = Feed::Replay(replay.waiting_for(Need::Snapshots(missing)));
        } else if !missing.is_empty() {
            let replay = Replay::whole(self.position, self.position);
            state.feed = Feed::Replay(replay.waiting_for(Need::Snapshots(missing)));
            shared.news.notify_one();
        }
        Pulled::Progress
    }

    fn hand_snapshot(&self, state: &mut Connection, snapshot: &Arc<Snapshot>, now: Instant) {
        state.covered.insert(snapshot.characteristic_id, Covered::by(snapshot));
        state.queue(Item::Snapshot(Arc::clone(snapshot)), now);
        self.local.metrics.snapshots_sent.inc();
    }
}
