//! Who listens to what: the two directions of one relation, kept together so that they cannot drift apart.

use std::collections::{HashMap, HashSet};

use crate::domain::ids::CharacteristicId;

/// The number of a connection on this node; never used twice by one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Which connections listen to which characteristics.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    listeners: HashMap<CharacteristicId, HashSet<ConnectionId>>,
    chosen: HashMap<ConnectionId, HashSet<CharacteristicId>>,
    to_all: HashSet<ConnectionId>,
}

impl Subscriptions {
    /// Adds characteristics; those already there stay.
    pub(super) fn add(&mut self, connection: ConnectionId, ids: impl IntoIterator<Item = CharacteristicId>) {
        let chosen = self.chosen.entry(connection).or_default();
        for id in ids {
            if chosen.insert(id) {
                self.listeners.entry(id).or_default().insert(connection);
            }
        }
    }

    /// Adds every characteristic there is and will be.
    pub(super) fn add_all(&mut self, connection: ConnectionId) {
        self.to_all.insert(connection);
    }

    /// Whether a connection listens to every characteristic.
    pub(super) fn listens_to_all(&self, connection: ConnectionId) -> bool {
        self.to_all.contains(&connection)
    }

    /// Takes characteristics away; who listens to all keeps those.
    pub(super) fn remove(&mut self, connection: ConnectionId, ids: &[CharacteristicId]) {
        let Some(chosen) = self.chosen.get_mut(&connection) else { return };
        for id in ids {
            if chosen.remove(id) {
                forget(&mut self.listeners, *id, connection);
            }
        }
    }

    /// Takes a connection away altogether.
    pub(super) fn remove_connection(&mut self, connection: ConnectionId) {
        self.to_all.remove(&connection);
        for id in self.chosen.remove(&connection).into_iter().flatten() {
            forget(&mut self.listeners, id, connection);
        }
    }

    /// How many characteristics a connection would name after adding `ids`.
    pub(super) fn count_with(&self, connection: ConnectionId, ids: &[CharacteristicId]) -> usize {
        let chosen = self.chosen.get(&connection);
        let known = |id: &&CharacteristicId| chosen.is_some_and(|chosen| chosen.contains(*id));
        let new: HashSet<_> = ids.iter().filter(|id| !known(id)).collect();
        chosen.map_or(0, HashSet::len) + new.len()
    }

    /// Everyone who listens to a characteristic, once.
    pub(super) fn listeners(&self, id: CharacteristicId) -> impl Iterator<Item = ConnectionId> {
        let named = self.listeners.get(&id).into_iter().flatten();
        named.filter(|connection| !self.to_all.contains(connection)).chain(&self.to_all).copied()
    }
}

fn forget(
    listeners: &mut HashMap<CharacteristicId, HashSet<ConnectionId>>,
    id: CharacteristicId,
    connection: ConnectionId,
) {
    if let Some(connections) = listeners.get_mut(&id) {
        connections.remove(&connection);
        if connections.is_empty() {
            listeners.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Action {
        Add(u64, Vec<i64>),
        AddAll(u64),
        Remove(u64, Vec<i64>),
        Leave(u64),
    }

    fn actions() -> impl Strategy<Value = Vec<Action>> {
        let ids = || proptest::collection::vec(1i64..6, 0..4);
        let one = prop_oneof![
            4 => (0u64..4, ids()).prop_map(|(c, ids)| Action::Add(c, ids)),
            1 => (0u64..4).prop_map(Action::AddAll),
            3 => (0u64..4, ids()).prop_map(|(c, ids)| Action::Remove(c, ids)),
            2 => (0u64..4).prop_map(Action::Leave),
        ];
        proptest::collection::vec(one, 0..60)
    }

    fn ids(raw: &[i64]) -> Vec<CharacteristicId> {
        raw.iter().map(|id| CharacteristicId::try_from(*id).expect("positive")).collect()
    }

    proptest! {
        /// The model is one plain set of pairs.
        #[test]
        fn both_directions_always_tell_the_same(actions in actions()) {
            let mut subscriptions = Subscriptions::default();
            let mut pairs: BTreeSet<(u64, i64)> = BTreeSet::new();
            let mut all: BTreeSet<u64> = BTreeSet::new();
            for action in actions {
                match action {
                    Action::Add(c, raw) => {
                        subscriptions.add(ConnectionId(c), ids(&raw));
                        pairs.extend(raw.iter().map(|id| (c, *id)));
                    }
                    Action::AddAll(c) => {
                        subscriptions.add_all(ConnectionId(c));
                        all.insert(c);
                    }
                    Action::Remove(c, raw) => {
                        subscriptions.remove(ConnectionId(c), &ids(&raw));
                        pairs.retain(|(connection, id)| *connection != c || !raw.contains(id));
                    }
                    Action::Leave(c) => {
                        subscriptions.remove_connection(ConnectionId(c));
                        pairs.retain(|(connection, _)| *connection != c);
                        all.remove(&c);
                    }
                }
                for id in 1i64..6 {
                    let found: Vec<u64> = subscriptions.listeners(ids(&[id])[0]).map(|c| c.0).collect();
                    let once: BTreeSet<u64> = found.iter().copied().collect();
                    prop_assert_eq!(found.len(), once.len());
                    let due: BTreeSet<u64> =
                        (0..4).filter(|c| all.contains(c) || pairs.contains(&(*c, id))).collect();
                    prop_assert_eq!(once, due);
                }
                for c in 0..4 {
                    let named = pairs.iter().filter(|(connection, _)| *connection == c).count();
                    prop_assert_eq!(subscriptions.count_with(ConnectionId(c), &[]), named);
                }
            }
            for c in 0..4 {
                subscriptions.remove_connection(ConnectionId(c));
            }
            prop_assert!(subscriptions.listeners.is_empty() && subscriptions.chosen.is_empty());
        }
    }
}
