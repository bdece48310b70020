//! Who listens to what: the two directions of one relation, kept together so that they cannot drift apart.

use std::collections::{HashMap, HashSet};

use crate::domain::ids::CharacteristicId;

/// The number of a connection on this node; never used twice by one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What a connection wants of a characteristic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Interest {
    /// Events of the past, too.
    pub(super) history: bool,
}

/// Which connections listen to which characteristics.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    listeners: HashMap<CharacteristicId, HashMap<ConnectionId, Interest>>,
    chosen: HashMap<ConnectionId, HashSet<CharacteristicId>>,
    to_all: HashMap<ConnectionId, Interest>,
}

impl Subscriptions {
    /// Adds characteristics; of those already there, the interest is replaced.
    pub(super) fn add(
        &mut self,
        connection: ConnectionId,
        ids: impl IntoIterator<Item = CharacteristicId>,
        interest: Interest,
    ) {
        let chosen = self.chosen.entry(connection).or_default();
        for id in ids {
            chosen.insert(id);
            self.listeners.entry(id).or_default().insert(connection, interest);
        }
    }

    /// Adds every characteristic there is and will be.
    pub(super) fn add_all(&mut self, connection: ConnectionId, interest: Interest) {
        self.to_all.insert(connection, interest);
    }

    /// Whether a connection listens to every characteristic.
    pub(super) fn listens_to_all(&self, connection: ConnectionId) -> bool {
        self.to_all.contains_key(&connection)
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

    /// Everyone who listens to a characteristic, once. What was said of it by name counts more than what was said
    /// of all.
    pub(super) fn listeners(&self, id: CharacteristicId) -> impl Iterator<Item = (ConnectionId, Interest)> {
        let named = self.listeners.get(&id);
        let is_named = move |connection: &ConnectionId| named.is_some_and(|n| n.contains_key(connection));
        let others = self.to_all.iter().filter(move |(connection, _)| !is_named(connection));
        named.into_iter().flatten().chain(others).map(|(connection, interest)| (*connection, *interest))
    }
}

fn forget(
    listeners: &mut HashMap<CharacteristicId, HashMap<ConnectionId, Interest>>,
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
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Action {
        Add(u64, Vec<i64>, bool),
        AddAll(u64, bool),
        Remove(u64, Vec<i64>),
        Leave(u64),
    }

    fn actions() -> impl Strategy<Value = Vec<Action>> {
        let ids = || proptest::collection::vec(1i64..6, 0..4);
        let one = prop_oneof![
            4 => (0u64..4, ids(), any::<bool>()).prop_map(|(c, ids, history)| Action::Add(c, ids, history)),
            1 => (0u64..4, any::<bool>()).prop_map(|(c, history)| Action::AddAll(c, history)),
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
            let mut pairs: BTreeMap<(u64, i64), bool> = BTreeMap::new();
            let mut all: BTreeMap<u64, bool> = BTreeMap::new();
            for action in actions {
                match action {
                    Action::Add(c, raw, history) => {
                        subscriptions.add(ConnectionId(c), ids(&raw), Interest { history });
                        pairs.extend(raw.iter().map(|id| ((c, *id), history)));
                    }
                    Action::AddAll(c, history) => {
                        subscriptions.add_all(ConnectionId(c), Interest { history });
                        all.insert(c, history);
                    }
                    Action::Remove(c, raw) => {
                        subscriptions.remove(ConnectionId(c), &ids(&raw));
                        pairs.retain(|(connection, id), _| *connection != c || !raw.contains(id));
                    }
                    Action::Leave(c) => {
                        subscriptions.remove_connection(ConnectionId(c));
                        pairs.retain(|(connection, _), _| *connection != c);
                        all.remove(&c);
                    }
                }
                for id in 1i64..6 {
                    let found: Vec<(u64, bool)> =
                        subscriptions.listeners(ids(&[id])[0]).map(|(c, wants)| (c.0, wants.history)).collect();
                    let once: BTreeMap<u64, bool> = found.iter().copied().collect();
                    prop_assert_eq!(found.len(), once.len());
                    let wants = |c: u64| pairs.get(&(c, id)).or_else(|| all.get(&c));
                    let due: BTreeMap<u64, bool> =
                        (0..4).filter_map(|c| wants(c).map(|history| (c, *history))).collect();
                    prop_assert_eq!(once, due);
                }
                for c in 0..4 {
                    let named = pairs.keys().filter(|(connection, _)| *connection == c).count();
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
