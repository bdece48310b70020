//! Which characteristic belongs to which group, for those who listen to groups.
//!
//! A new characteristic is known by its first event, and its group has to be looked up. Meanwhile those who listen to
//! groups read for themselves, from just before that event: they wait for the answer, and nobody else does.

use std::sync::Arc;

use super::Shard;
use crate::broadcast::connection::Shared;
use crate::broadcast::feed::{Feed, Need, Replay};
use crate::domain::ids::CharacteristicId;
use crate::protocol::event::LoggedEvent;
use crate::protocol::socket::{Chosen, Subscription};

/// Whether the catalog has to be asked first, for characteristics that are too new to have had an event: for the members of
/// groups, and for the present state of all.
pub(in crate::broadcast) fn wants_catalog(subscription: &Subscription) -> bool {
    !subscription.groups.is_empty() || subscription.chosen == Chosen::All && subscription.snapshot
}

impl Shard {
    /// Makes those who listen to groups wait for the group of a characteristic that nobody knows yet.
    pub(super) fn hold_group_listeners(&mut self, id: CharacteristicId) {
        if !self.subscriptions.has_groups() || self.groups.knows(id) {
            return;
        }
        self.unknown.insert(id);
        for shared in self.subscriptions.group_listeners() {
            let mut state = shared.state.borrow_mut();
            if state.is_live() {
                let replay = Replay::whole(self.position, self.position);
                state.feed = Feed::Replay(replay.waiting_for(Need::Group(id)));
            }
        }
    }

    /// Characteristics whose group somebody waits for.
    pub(super) fn groups_to_look_up(&self) -> Vec<CharacteristicId> {
        self.unknown.iter().copied().collect()
    }

    /// Groups were looked up; who waited for one of them goes on.
    pub(in crate::broadcast) fn learn_groups(
        &mut self,
        found: impl IntoIterator<Item = (CharacteristicId, Option<String>)>,
    ) {
        for (id, group) in found {
            self.unknown.remove(&id);
            self.groups.learn(id, group);
        }
        let is_known = |need: &Need| matches!(need, Need::Group(id) if self.groups.knows(*id));
        // Not only those who listen to groups: one may have left its groups while it waited.
        for shared in self.connections.values() {
            let mut state = shared.state.borrow_mut();
            if let Feed::Replay(replay) = &mut state.feed
                && replay.need.as_ref().is_some_and(is_known)
            {
                replay.need = None;
                state.wake();
            }
        }
    }

    /// Whether a group has to be known before a connection can be told of an event.
    pub(super) fn lacks_group(&self, shared: &Shared, event: &Arc<LoggedEvent>) -> bool {
        let listens = self.subscriptions.choice(shared.id).is_some_and(|choice| !choice.groups.is_empty());
        listens && !self.groups.knows(event.characteristic_id)
    }
}
