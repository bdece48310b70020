//! What a subscription does: from where on it counts, and what comes first.
//!
//! One synchronous step, so that nothing happens between the answer and the first event. Where the answer needs the
//! log, because the position lies before the ring, the step says so and is done again with what was read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use tokio::time::Instant;

use super::Shard;
use crate::broadcast::connection::{Covered, Shared};
use crate::broadcast::feed::{Feed, Replay};
use crate::broadcast::hazards::{Hazard, is_planted};
use crate::broadcast::interest::Interest;
use crate::broadcast::tally::Reason;
use crate::domain::ids::CharacteristicId;
use crate::metrics;
use crate::protocol::close::CloseCode;
use crate::protocol::socket::{
    Chosen, ErrorCode, Position, Refusal, ServerMessage, Subscription, Unsubscription,
};

/// What came first after a position, of each characteristic: read from the ring or the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::broadcast) enum Base {
    /// Nothing was read yet.
    #[default]
    Unread,
    /// As of `head`.
    Read { head: u64, first_after: HashMap<CharacteristicId, u64> },
    /// The log does not reach back.
    Passed,
}

/// What became of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broadcast) enum Outcome {
    /// The client has its answer.
    Answered,
    /// The log has to be asked what came first after this position.
    NeedsBase { after: u64 },
    /// The shard has not come so far, or the client is still being told what was before.
    Later,
    /// Even what has happened since the welcome is gone: the client has to connect again.
    Late,
}

/// From where a subscription counts.
struct Start {
    after: u64,
    /// What came first after it, of each characteristic, as the log has it; `None`: the shard knows by itself.
    first_after: Option<HashMap<CharacteristicId, u64>>,
    /// Whether everything after the client's own position comes; `None`, if it named none.
    recovered: Option<bool>,
}

impl Shard {
    /// Adds subscriptions, and answers the client.
    pub(in crate::broadcast) fn subscribe(
        &mut self,
        shared: &Rc<Shared>,
        subscription: &Subscription,
        base: Base,
        now: Instant,
    ) -> Outcome {
        if !self.connections.contains_key(&shared.id) || shared.state.borrow().farewell.is_some() {
            return Outcome::Answered; // it was let go meanwhile
        }
        let waits_since = shared.state.borrow().waits_for_first_words();
        if waits_since.is_none() && !shared.state.borrow().is_live() {
            return Outcome::Later; // what it counts from now on has to be behind what it is still told
        }
        let named: Vec<_> = match &subscription.chosen {
            Chosen::These(ids) => ids.clone(),
            Chosen::All => Vec::new(),
        };
        let most = self.local.settings.subscriptions_per_client;
        if self.subscriptions.count_with(shared.id, &named, &subscription.groups) > most {
            let message = format!("a client may subscribe to {most} characteristics and groups");
            self.refuse(shared, ErrorCode::TooManySubscriptions, message, "subscribe", now);
            return Outcome::Answered;
        }
        let start = match self.start(subscription.since.as_ref(), waits_since, base) {
            Ok(start) => start,
            Err(Outcome::Late) => {
                self.end(shared, CloseCode::TooSlow, None);
                return Outcome::Answered;
            }
            Err(outcome) => return outcome,
        };
        let members = match subscription.chosen {
            Chosen::All => self.everybody(),
            Chosen::These(_) => self.members(named.clone(), &subscription.groups),
        };
        self.begin(shared, subscription, (&named, &members), start, now);
        Outcome::Answered
    }

    /// Every characteristic there is, as far as they are known.
    pub(super) fn everybody(&self) -> Vec<CharacteristicId> {
        let with_events = self.revisions.keys().copied().filter(|id| !self.groups.is_deleted(*id));
        BTreeSet::from_iter(with_events.chain(self.groups.known())).into_iter().collect()
    }

    /// These, and those in the groups, as far as they are known.
    pub(super) fn members(&self, named: Vec<CharacteristicId>, groups: &[String]) -> Vec<CharacteristicId> {
        if groups.is_empty() {
            return named;
        }
        let in_groups = groups.iter().flat_map(|group| self.groups.below(group));
        BTreeSet::from_iter(named.into_iter().chain(in_groups)).into_iter().collect()
    }

    /// A first subscription counts from the welcome: a client that is told of nothing before it says what it wants
    /// has nothing to sort out.
    fn start(
        &self,
        since: Option<&Position>,
        waits_since: Option<u64>,
        base: Base,
    ) -> Result<Start, Outcome> {
        let is_of_this_log = |since: &&Position| {
            since.epoch == *self.local.epoch && since.seq <= self.local.head_seq().max(self.position)
        };
        let resumed = since.filter(is_of_this_log).map(|since| since.seq).filter(|_| base != Base::Passed);
        let after = resumed.or(waits_since).unwrap_or(self.position);
        let recovered = since.map(|_| resumed.is_some());
        if after > self.position {
            return Err(Outcome::Later);
        }
        let first_after = match base {
            Base::Read { head, .. } if head > self.position => return Err(Outcome::Later),
            Base::Read { first_after, .. } => Some(first_after),
            Base::Passed | Base::Unread if self.recent.reaches_back_to(after) => None,
            Base::Unread => return Err(Outcome::NeedsBase { after }),
            Base::Passed => return Err(Outcome::Late),
        };
        Ok(Start { after, first_after, recovered })
    }

    fn begin(
        &mut self,
        shared: &Rc<Shared>,
        subscription: &Subscription,
        (named, members): (&[CharacteristicId], &[CharacteristicId]),
        start: Start,
        now: Instant,
    ) {
        let Start { after, first_after, recovered } = start;
        let mut state = shared.state.borrow_mut();
        members.iter().for_each(|id| state.lanes.count_anew(*id));
        let waits_since = state.waits_for_first_words();
        if recovered == Some(true) {
            self.subscriptions.advance(shared.id, self.position);
            if !is_planted(Hazard::AcknowledgedTwice) {
                state.acknowledgements.resume(after, waits_since.unwrap_or(self.position));
            }
        }
        let filter = subscription.filter.clone().map(Rc::new);
        let interest = Interest { history: subscription.history, filter, after };
        let listener = (shared.id, shared);
        match subscription.chosen {
            Chosen::All => self.subscriptions.add_all(listener, &interest),
            Chosen::These(_) => self.subscriptions.add(listener, named, &interest),
        }
        self.subscriptions.add_groups(listener, &subscription.groups, &interest);
        // What was said of one before, and counts more, has been told up to now.
        let is_told = |id: &CharacteristicId| {
            !is_planted(Hazard::OutrankedFromThen)
                && self.interest(shared.id, *id).is_some_and(|interest| interest.after > after)
        };
        let revision = |id: &CharacteristicId| {
            let now = self.revisions.get(id).copied().unwrap_or(0);
            match &first_after {
                _ if is_told(id) || is_planted(Hazard::BaseOfNow) => now,
                Some(first_after) => first_after.get(id).map_or(now, |first| first - 1),
                None => now - self.recent.count_after(*id, after),
            }
        };
        let revisions: BTreeMap<_, _> = members.iter().map(|id| (id.get(), revision(id))).collect();
        let answer = ServerMessage::Subscribed {
            characteristic_ids: members.to_vec(),
            groups: subscription.groups.clone(),
            all: subscription.chosen == Chosen::All,
            recovered,
            epoch: self.local.epoch.to_string(),
            seq: after,
            revisions,
        };
        state.say(&answer, now);
        let is_announced = recovered == Some(true);
        if is_announced || waits_since.is_some() {
            let replay = Replay::whole(after, self.position);
            state.feed = Feed::Replay(if is_announced { replay.announced() } else { replay });
        }
        if is_announced {
            self.local.metrics.replays(metrics::Reason { reason: "resume" });
        } else if subscription.snapshot || recovered == Some(false) {
            for id in members {
                if state.covered.insert(*id, Covered::AWAITED) != Some(Covered::AWAITED) {
                    state.snapshots.push_back(*id); // named twice, it is told once
                }
            }
        }
        self.make_room(&mut state);
        state.wake();
    }

    /// Takes subscriptions away, and answers the client.
    pub(in crate::broadcast) fn unsubscribe(
        &mut self,
        shared: &Rc<Shared>,
        leaving: &Unsubscription,
        now: Instant,
    ) {
        if self.subscriptions.choice(shared.id).is_some_and(|choice| choice.all) {
            let message = "this connection listens to all; it cannot leave single characteristics".to_owned();
            self.refuse(shared, ErrorCode::InvalidField, message, "unsubscribe", now);
            return;
        }
        let Unsubscription { ids, groups } = leaving;
        let joined = self.subscriptions.choice(shared.id).map(|choice| &choice.groups);
        let is_joined = |group: &&String| joined.is_some_and(|joined| joined.contains(group.as_str()));
        let left_groups: Vec<_> = groups.iter().filter(is_joined).cloned().collect();
        let touched = self.members(ids.clone(), &left_groups);
        self.subscriptions.remove(shared.id, ids);
        self.subscriptions.remove_groups(shared.id, groups);
        let mut state = shared.state.borrow_mut();
        let mut left = 0;
        for id in touched {
            if self.interest(shared.id, id).is_none() {
                left += state.lanes.forget(id).samples;
                state.covered.remove(&id);
                state.paced.remove(&id);
            }
        }
        state.snapshots.retain(|id| self.interest(shared.id, *id).is_some());
        self.local.tally.borrow_mut().skipped(Reason::Left, left);
        let (characteristic_ids, groups) = (ids.clone(), groups.clone());
        state.say(&ServerMessage::Unsubscribed { characteristic_ids, groups }, now);
        self.make_room(&mut state);
        state.wake();
    }

    pub(super) fn refuse(
        &self,
        shared: &Rc<Shared>,
        code: ErrorCode,
        message: String,
        request: &str,
        now: Instant,
    ) {
        self.local.metrics.refused(code.name());
        self.say(shared, &Refusal { code, message, request: Some(request.to_owned()) }.into(), now);
    }
}
