//! Who listens to what: the two directions of one relation, kept together so that they cannot drift apart.
//!
//! A characteristic is listened to by name, through one of the groups it is in, or by who listens to all. What was
//! said of it by name counts more than what was said of a group, that more than what was said of a group above it,
//! and anything more than what was said of all.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::iter;

use super::interest::Interest;
use crate::domain::ids::CharacteristicId;

/// The number of a connection on this node; never used twice by one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Somebody who listens, with what it wants.
#[derive(Debug)]
pub(super) struct Listener<C> {
    pub(super) connection: C,
    pub(super) interest: Interest,
}

type Listeners<C> = HashMap<ConnectionId, Listener<C>>;

/// What one connection has chosen.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) ids: HashSet<CharacteristicId>,
    pub(super) groups: HashSet<Box<str>>,
    pub(super) all: bool,
}

/// Which connections listen to which characteristics. `C` is what a connection is reached by.
#[derive(Debug)]
pub(super) struct Subscriptions<C> {
    named: HashMap<CharacteristicId, Listeners<C>>,
    grouped: HashMap<Box<str>, Listeners<C>>,
    to_all: Listeners<C>,
    choices: HashMap<ConnectionId, Choice>,
}

impl<C> Default for Subscriptions<C> {
    fn default() -> Self {
        let (named, grouped) = (HashMap::new(), HashMap::new());
        Self { named, grouped, to_all: HashMap::new(), choices: HashMap::new() }
    }
}

impl<C: Clone> Subscriptions<C> {
    /// Adds characteristics; of those already there, the interest is replaced.
    pub(super) fn add(
        &mut self,
        (id, connection): (ConnectionId, &C),
        ids: &[CharacteristicId],
        interest: &Interest,
    ) {
        let choice = self.choices.entry(id).or_default();
        for characteristic in ids {
            choice.ids.insert(*characteristic);
            let listener = Listener { connection: connection.clone(), interest: interest.clone() };
            self.named.entry(*characteristic).or_default().insert(id, listener);
        }
    }

    /// Adds groups with everything below them.
    pub(super) fn add_groups(
        &mut self,
        (id, connection): (ConnectionId, &C),
        groups: &[String],
        interest: &Interest,
    ) {
        let choice = self.choices.entry(id).or_default();
        for group in groups {
            choice.groups.insert(group.as_str().into());
            let listener = Listener { connection: connection.clone(), interest: interest.clone() };
            self.grouped.entry(group.as_str().into()).or_default().insert(id, listener);
        }
    }

    /// Adds every characteristic there is and will be.
    pub(super) fn add_all(&mut self, (id, connection): (ConnectionId, &C), interest: &Interest) {
        self.choices.entry(id).or_default().all = true;
        self.to_all.insert(id, Listener { connection: connection.clone(), interest: interest.clone() });
    }

    /// Takes characteristics away; who listens to all, or to a group that they are in, goes on listening to them.
    pub(super) fn remove(&mut self, connection: ConnectionId, ids: &[CharacteristicId]) {
        let Some(choice) = self.choices.get_mut(&connection) else { return };
        for id in ids.iter().filter(|id| choice.ids.remove(*id)) {
            forget(&mut self.named, *id, connection);
        }
    }

    /// Takes groups away, as they were added.
    pub(super) fn remove_groups(&mut self, connection: ConnectionId, groups: &[String]) {
        let Some(choice) = self.choices.get_mut(&connection) else { return };
        for group in groups.iter().filter(|group| choice.groups.remove(group.as_str())) {
            forget(&mut self.grouped, group.as_str().into(), connection);
        }
    }

    /// Takes a connection away altogether.
    pub(super) fn remove_connection(&mut self, connection: ConnectionId) {
        self.to_all.remove(&connection);
        let Some(choice) = self.choices.remove(&connection) else { return };
        for id in choice.ids {
            forget(&mut self.named, id, connection);
        }
        for group in choice.groups {
            forget(&mut self.grouped, group, connection);
        }
    }

    /// What a connection has chosen; `None`: nothing yet.
    pub(super) fn choice(&self, connection: ConnectionId) -> Option<&Choice> {
        self.choices.get(&connection)
    }

    /// Whether anybody listens to groups.
    pub(super) fn has_groups(&self) -> bool {
        !self.grouped.is_empty()
    }

    /// Those who listen to groups, some of them more than once.
    pub(super) fn group_listeners(&self) -> impl Iterator<Item = &C> {
        self.grouped.values().flat_map(HashMap::values).map(|listener| &listener.connection)
    }

    /// How many characteristics and groups a connection would name after adding these.
    pub(super) fn count_with(
        &self,
        connection: ConnectionId,
        ids: &[CharacteristicId],
        groups: &[String],
    ) -> usize {
        let choice = self.choices.get(&connection);
        let is_new = |id: &&CharacteristicId| choice.is_none_or(|choice| !choice.ids.contains(*id));
        let is_new_group =
            |group: &&String| choice.is_none_or(|choice| !choice.groups.contains(group.as_str()));
        let ids: HashSet<_> = ids.iter().filter(is_new).collect();
        let groups: HashSet<_> = groups.iter().filter(is_new_group).collect();
        choice.map_or(0, |choice| choice.ids.len() + choice.groups.len()) + ids.len() + groups.len()
    }

    /// Everyone who listens to a characteristic of a group, once.
    pub(super) fn listeners<'a>(
        &'a self,
        id: CharacteristicId,
        group: Option<&'a str>,
    ) -> impl Iterator<Item = (ConnectionId, &'a Listener<C>)> {
        let named = self.named.get(&id);
        let group = group.filter(|_| self.has_groups());
        // From what counts most to what counts least; who stands in one of them is passed over in those behind it.
        let lists = move || {
            let grouped = group.into_iter().flat_map(paths).filter_map(|path| self.grouped.get(path));
            named.into_iter().chain(grouped).chain(iter::once(&self.to_all))
        };
        lists().enumerate().flat_map(move |(place, list)| {
            let is_passed_over =
                move |id: &ConnectionId| lists().take(place).any(|before| before.contains_key(id));
            list.iter()
                .filter(move |(id, _)| place == 0 || !is_passed_over(id))
                .map(|(id, listener)| (*id, listener))
        })
    }

    /// What a connection wants of a characteristic of a group.
    pub(super) fn interest(
        &self,
        connection: ConnectionId,
        id: CharacteristicId,
        group: Option<&str>,
    ) -> Option<&Interest> {
        let of = |list: &'_ Listeners<C>| list.contains_key(&connection);
        let named = self.named.get(&id).filter(|list| of(list));
        let in_group =
            || group.into_iter().flat_map(paths).filter_map(|path| self.grouped.get(path)).find(|l| of(l));
        let list = named.or_else(in_group).unwrap_or(&self.to_all);
        list.get(&connection).map(|listener| &listener.interest)
    }

    /// Everything up to a position was told to a connection, or was not asked for.
    pub(super) fn advance(&mut self, connection: ConnectionId, to: u64) {
        let Some(choice) = self.choices.get(&connection) else { return };
        let advance = |list: Option<&mut Listeners<C>>| {
            if let Some(listener) = list.and_then(|list| list.get_mut(&connection)) {
                listener.interest.after = listener.interest.after.max(to);
            }
        };
        choice.ids.iter().for_each(|id| advance(self.named.get_mut(id)));
        choice.groups.iter().for_each(|group| advance(self.grouped.get_mut(group)));
        advance(Some(&mut self.to_all));
    }
}

/// A group's path and those above it, the longest first.
fn paths(group: &str) -> impl Iterator<Item = &str> {
    let above = group.rmatch_indices('/').map(|(end, _)| &group[..end]);
    iter::once(group).chain(above)
}

fn forget<K: std::hash::Hash + Eq, C>(
    lists: &mut HashMap<K, Listeners<C>>,
    key: K,
    connection: ConnectionId,
) {
    if let Entry::Occupied(mut list) = lists.entry(key) {
        list.get_mut().remove(&connection);
        if list.get().is_empty() {
            list.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Where characteristic `id` is, in these tests.
    const GROUPS: [Option<&str>; 6] = [None, None, Some("a"), Some("a/b"), Some("a/b/c"), Some("ab")];
    const PATHS: [&str; 3] = ["a", "a/b", "ab"];

    #[derive(Debug, Clone)]
    enum Action {
        Add(u64, Vec<i64>, bool),
        AddGroup(u64, usize, bool),
        AddAll(u64, bool),
        Remove(u64, Vec<i64>),
        RemoveGroup(u64, usize),
        Leave(u64),
    }

    fn actions() -> impl Strategy<Value = Vec<Action>> {
        let ids = || proptest::collection::vec(1i64..6, 0..4);
        let group = || 0usize..PATHS.len();
        let one = prop_oneof![
            4 => (0u64..4, ids(), any::<bool>()).prop_map(|(c, ids, history)| Action::Add(c, ids, history)),
            3 => (0u64..4, group(), any::<bool>()).prop_map(|(c, g, history)| Action::AddGroup(c, g, history)),
            1 => (0u64..4, any::<bool>()).prop_map(|(c, history)| Action::AddAll(c, history)),
            3 => (0u64..4, ids()).prop_map(|(c, ids)| Action::Remove(c, ids)),
            2 => (0u64..4, group()).prop_map(|(c, g)| Action::RemoveGroup(c, g)),
            2 => (0u64..4).prop_map(Action::Leave),
        ];
        proptest::collection::vec(one, 0..60)
    }

    fn ids(raw: &[i64]) -> Vec<CharacteristicId> {
        raw.iter().map(|id| CharacteristicId::try_from(*id).expect("positive")).collect()
    }

    /// Plain sets of pairs, and what counts most written out.
    #[derive(Default)]
    struct Model {
        named: BTreeMap<(u64, i64), bool>,
        grouped: BTreeMap<(u64, &'static str), bool>,
        all: BTreeMap<u64, bool>,
    }

    impl Model {
        fn wants(&self, c: u64, id: i64) -> Option<bool> {
            let of = |path| self.grouped.get(&(c, path)).copied();
            let grouped = match GROUPS[id as usize] {
                Some("a/b/c" | "a/b") => of("a/b").or_else(|| of("a")),
                Some("a") => of("a"),
                Some(_) => of("ab"),
                None => None,
            };
            self.named.get(&(c, id)).copied().or(grouped).or_else(|| self.all.get(&c).copied())
        }
    }

    proptest! {
        #[test]
        fn both_directions_always_tell_the_same(actions in actions()) {
            let mut subscriptions = Subscriptions::<()>::default();
            let mut model = Model::default();
            for action in actions {
                let wants = |history| Interest { history, ..Interest::default() };
                match action {
                    Action::Add(c, raw, history) => {
                        subscriptions.add((ConnectionId(c), &()), &ids(&raw), &wants(history));
                        model.named.extend(raw.iter().map(|id| ((c, *id), history)));
                    }
                    Action::AddGroup(c, group, history) => {
                        let path = PATHS[group];
                        subscriptions.add_groups((ConnectionId(c), &()), &[path.to_owned()], &wants(history));
                        model.grouped.insert((c, path), history);
                    }
                    Action::AddAll(c, history) => {
                        subscriptions.add_all((ConnectionId(c), &()), &wants(history));
                        model.all.insert(c, history);
                    }
                    Action::Remove(c, raw) => {
                        subscriptions.remove(ConnectionId(c), &ids(&raw));
                        model.named.retain(|(connection, id), _| *connection != c || !raw.contains(id));
                    }
                    Action::RemoveGroup(c, group) => {
                        subscriptions.remove_groups(ConnectionId(c), &[PATHS[group].to_owned()]);
                        model.grouped.remove(&(c, PATHS[group]));
                    }
                    Action::Leave(c) => {
                        subscriptions.remove_connection(ConnectionId(c));
                        model.named.retain(|(connection, _), _| *connection != c);
                        model.grouped.retain(|(connection, _), _| *connection != c);
                        model.all.remove(&c);
                    }
                }
                for id in 1i64..6 {
                    let (characteristic, group) = (ids(&[id])[0], GROUPS[id as usize]);
                    let found: Vec<(u64, bool)> = subscriptions
                        .listeners(characteristic, group)
                        .map(|(c, listener)| (c.0, listener.interest.history))
                        .collect();
                    let once: BTreeMap<u64, bool> = found.iter().copied().collect();
                    prop_assert_eq!(found.len(), once.len());
                    let due: BTreeMap<u64, bool> =
                        (0..4).filter_map(|c| model.wants(c, id).map(|history| (c, history))).collect();
                    prop_assert_eq!(once, due);
                    for c in 0..4 {
                        let interest = subscriptions.interest(ConnectionId(c), characteristic, group);
                        prop_assert_eq!(interest.map(|interest| interest.history), model.wants(c, id));
                    }
                }
                for c in 0..4 {
                    let named = model.named.keys().filter(|(connection, _)| *connection == c).count();
                    let grouped = model.grouped.keys().filter(|(connection, _)| *connection == c).count();
                    prop_assert_eq!(subscriptions.count_with(ConnectionId(c), &[], &[]), named + grouped);
                }
            }
            for c in 0..4 {
                subscriptions.remove_connection(ConnectionId(c));
            }
            prop_assert!(subscriptions.named.is_empty() && subscriptions.choices.is_empty());
            prop_assert!(subscriptions.grouped.is_empty() && subscriptions.to_all.is_empty());
        }
    }
}
