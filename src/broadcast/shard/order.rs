//! What other threads ask of a shard: who is connected, and what to do about it. Bounded; who asks waits.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::{Base, Outcome, Shard};
use crate::broadcast::connection::{About, Shared};
use crate::broadcast::encoding::Encoding;
use crate::broadcast::feed::Feed;
use crate::broadcast::subscriptions::ConnectionId;
use crate::domain::ids::CharacteristicId;
use crate::protocol::close::CloseCode;
use crate::protocol::socket::{Chosen, Quality, ServerMessage, Subscription, TestView, Unsubscription};

/// The way to a shard from other threads.
pub(in crate::broadcast) type Orders = mpsc::Sender<Order>;

/// Why something was not done to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// There is no such connection on this node.
    #[error("connection {} does not exist", .0.0)]
    NoSuchConnection(ConnectionId),
    /// It would listen to more than one client may.
    #[error("a client may subscribe to {most} characteristics and groups")]
    TooManySubscriptions {
        /// The setting.
        most: usize,
    },
    /// Who listens to all leaves nothing by itself.
    #[error("this connection listens to all; it cannot leave single characteristics")]
    ListensToAll,
    /// Its shard did not answer in time.
    #[error("the connection's worker did not answer in time; look whether it was done, and try again")]
    Late,
    /// What it counts from now on has to be behind what it is still told.
    #[error("the client is still told what it missed; nothing was changed, try again later")]
    Replaying,
}

/// Whose state is asked for.
#[derive(Debug, Clone, Default)]
pub(in crate::broadcast) struct Wanted {
    /// These; without it, all.
    pub(in crate::broadcast) of: Option<Vec<ConnectionId>>,
    /// Those that listen to this one.
    pub(in crate::broadcast) listening_to: Option<CharacteristicId>,
    /// How many of its characteristics each names.
    pub(in crate::broadcast) names: usize,
}

/// What is asked. Who is not on the shard gets no answer from it: `None`, or nothing at all.
pub(in crate::broadcast) enum Order {
    List {
        wanted: Wanted,
        answer: oneshot::Sender<Vec<ConnectionState>>,
    },
    Disconnect {
        of: ConnectionId,
        answer: Answer,
    },
    /// With the groups of all characteristics, if it is about groups or all.
    Subscribe {
        of: ConnectionId,
        subscription: Box<Subscription>,
        groups: Option<Arc<Groups>>,
        answer: Answer,
    },
    Unsubscribe {
        of: ConnectionId,
        leaving: Unsubscription,
        answer: Answer,
    },
    Test {
        view: TestView,
        answer: oneshot::Sender<u64>,
    },
}

/// As the catalog tells them.
type Groups = HashMap<CharacteristicId, Option<String>>;

type Answer = oneshot::Sender<Option<Result<(), OrderError>>>;

/// How one connection is.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionState {
    pub id: ConnectionId,
    pub about: About,
    /// Server-sent events; otherwise WebSocket.
    pub is_event_stream: bool,
    pub is_deflated: bool,
    /// How many it names.
    pub characteristics: usize,
    /// Some of those it names, or all.
    pub characteristic_ids: Vec<CharacteristicId>,
    pub groups: BTreeSet<String>,
    pub all: bool,
    /// It reads the ring or the log.
    pub is_replaying: bool,
    /// Of samples, only the newest of each characteristic waits.
    pub is_behind: bool,
    pub queued_frames: usize,
    pub queued_bytes: usize,
    /// How long it has taken nothing of what waits.
    pub stalled_for: Duration,
    pub last_sent_seq: u64,
    /// Confirmed by the client; 0, if it confirms nothing.
    pub received_seq: u64,
    pub delivered: u64,
    pub skipped_samples: u64,
    pub latency_ms: Option<f64>,
    pub jitter_ms: Option<f64>,
    pub quality: Option<Quality>,
}

impl Shard {
    pub(super) fn obey(&mut self, order: Order, now: Instant) {
        // Who asked may have gone: then nobody wants the answer.
        match order {
            Order::List { wanted, answer } => drop(answer.send(self.list(&wanted, now))),
            Order::Disconnect { of, answer } => {
                let ended = self.connections.get(&of).map(|shared| {
                    let reason = "disconnected by an operator".to_owned();
                    self.end(shared, CloseCode::Normal, Some(reason));
                    Ok(())
                });
                let _ = answer.send(ended);
            }
            // Whoever waited in vain was told that nothing was changed.
            Order::Subscribe { answer, .. } if answer.is_closed() => {}
            Order::Subscribe { of, subscription, groups, answer } => {
                if let Some(groups) = groups {
                    self.learn_groups(groups.iter().map(|(id, group)| (*id, group.clone())));
                }
                let subscribed = self.connections.get(&of).cloned().map(|shared| {
                    self.has_room_for(&shared, &subscription)?;
                    if shared.state.borrow().is_being_answered_first() {
                        return Ok(Outcome::Later); // it may be about to say from where it resumes
                    }
                    // What has happened since the welcome lies in the ring, or the client connects again.
                    Ok(self.subscribe(&shared, &subscription, Base::Passed, now))
                });
                match subscribed {
                    Some(Ok(Outcome::Later)) => {
                        self.deferred.push(Order::Subscribe { of, subscription, groups: None, answer });
                    }
                    done => drop(answer.send(done.map(|done| done.map(|_| ())))),
                }
            }
            Order::Unsubscribe { of, leaving, answer } => {
                let left = self.connections.get(&of).cloned().map(|shared| {
                    if self.subscriptions.choice(of).is_some_and(|choice| choice.all) {
                        return Err(OrderError::ListensToAll);
                    }
                    self.unsubscribe(&shared, &leaving, now);
                    Ok(())
                });
                let _ = answer.send(left);
            }
            Order::Test { view, answer } => {
                let _ = answer.send(self.test(&view, now));
            }
        }
    }

    fn has_room_for(&self, shared: &Shared, subscription: &Subscription) -> Result<(), OrderError> {
        let named = match &subscription.chosen {
            Chosen::These(ids) => &ids[..],
            Chosen::All => &[],
        };
        let most = self.local.settings.subscriptions_per_client;
        let count = self.subscriptions.count_with(shared.id, named, &subscription.groups);
        if count > most { Err(OrderError::TooManySubscriptions { most }) } else { Ok(()) }
    }

    fn list(&self, wanted: &Wanted, now: Instant) -> Vec<ConnectionState> {
        let listens = |shared: &&Rc<Shared>| {
            wanted.listening_to.is_none_or(|id| self.interest(shared.id, id).is_some())
        };
        let state = |shared: &Rc<Shared>| self.state_of(shared, wanted.names, now);
        match &wanted.of {
            Some(ids) => {
                ids.iter().filter_map(|id| self.connections.get(id)).filter(listens).map(state).collect()
            }
            None => self.connections.values().filter(listens).map(state).collect(),
        }
    }

    /// Tries again what had to wait.
    pub(super) fn obey_deferred(&mut self, now: Instant) {
        for order in std::mem::take(&mut self.deferred) {
            self.obey(order, now);
        }
    }

    fn test(&self, view: &TestView, now: Instant) -> u64 {
        let message = ServerMessage::Test { payload: view.clone() };
        let listens = |shared: &&Rc<Shared>| match view.characteristic_id {
            Some(id) => self.interest(shared.id, id).is_some(),
            None => true,
        };
        let to: Vec<_> = self.connections.values().filter(listens).collect();
        to.iter().for_each(|shared| self.say(shared, &message, now));
        to.len() as u64
    }

    fn state_of(&self, shared: &Shared, names: usize, now: Instant) -> ConnectionState {
        let state = shared.state.borrow();
        let choice = self.subscriptions.choice(shared.id);
        let mut characteristic_ids: Vec<_> =
            choice.map(|choice| choice.ids.iter().take(names).copied().collect()).unwrap_or_default();
        characteristic_ids.sort_unstable();
        let (queued_frames, queued_bytes) = state.lanes.depth();
        ConnectionState {
            id: shared.id,
            about: state.about.clone(),
            is_event_stream: state.encoding == Encoding::EventStream,
            is_deflated: matches!(state.encoding, Encoding::WebSocket { deflate_from: Some(_) }),
            characteristics: choice.map_or(0, |choice| choice.ids.len()),
            characteristic_ids,
            groups: choice
                .map(|choice| choice.groups.iter().map(|g| g.to_string()).collect())
                .unwrap_or_default(),
            all: choice.is_some_and(|choice| choice.all),
            is_replaying: matches!(state.feed, Feed::Replay(_)),
            is_behind: state.lanes.is_behind(),
            queued_frames,
            queued_bytes,
            stalled_for: state.stalled_for(now),
            last_sent_seq: state.last_sent_seq,
            received_seq: state.received_seq,
            delivered: state.delivered,
            skipped_samples: state.skipped_samples,
            latency_ms: state.pulse.latency_ms(),
            jitter_ms: state.pulse.jitter_ms(),
            quality: state.pulse.quality(),
        }
    }
}
