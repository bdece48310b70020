//! Which characteristic is in which group, now and at earlier positions of the log.
//!
//! Who listens to a group is told what happened to a characteristic while it was there, also when that is read from
//! the log after the characteristic has gone elsewhere. So moves are remembered, the newest [`MOVES`] since this process
//! began; of what was before, a violation tells its group itself, and anything else counts as of the group of now.
//!
//! Pure memory: no clock, no lock.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use crate::domain::ids::CharacteristicId;
use crate::protocol::event::LoggedEvent;

/// Moves that are remembered. Definitions change rarely; each takes some hundred bytes.
const MOVES: usize = 10_000;

/// The groups of all characteristics.
#[derive(Debug, Default)]
pub(super) struct Groups {
    now: HashMap<CharacteristicId, Option<Box<str>>>,
    /// The other way round, to find those below a path.
    members: BTreeMap<Box<str>, BTreeSet<CharacteristicId>>,
    /// By characteristic, oldest first.
    moves: HashMap<CharacteristicId, VecDeque<Move>>,
    /// All of these, oldest first.
    moved: VecDeque<(u64, CharacteristicId)>,
    /// Moves up to here are not remembered.
    since: u64,
    /// Nobody is told of these as if they were still there.
    deleted: HashSet<CharacteristicId>,
}

/// A characteristic went to another group.
#[derive(Debug)]
struct Move {
    /// The event that tells it.
    seq: u64,
    /// Where it had been.
    from: Option<Box<str>>,
}

/// What an event meant for its characteristic's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moved {
    /// It was in this group before.
    pub(super) from: Box<str>,
}

impl Groups {
    /// As of a position.
    pub(super) fn at_start(
        position: u64,
        groups: impl IntoIterator<Item = (CharacteristicId, Option<String>)>,
    ) -> Self {
        let mut this = Self { since: position, ..Self::default() };
        for (id, group) in groups {
            this.put(id, group.map(Into::into));
        }
        this
    }

    /// Where a characteristic is now.
    pub(super) fn of(&self, id: CharacteristicId) -> Option<&str> {
        self.now.get(&id).and_then(Option::as_deref)
    }

    /// Whether that is known, be it that it is nowhere.
    pub(super) fn knows(&self, id: CharacteristicId) -> bool {
        self.now.contains_key(&id)
    }

    /// Everybody who is known and not deleted.
    pub(super) fn known(&self) -> impl Iterator<Item = CharacteristicId> {
        self.now.keys().copied().filter(|id| !self.is_deleted(*id))
    }

    /// Whether a characteristic was deleted.
    pub(super) fn is_deleted(&self, id: CharacteristicId) -> bool {
        self.deleted.contains(&id)
    }

    /// Those in a group or below it, without deleted ones.
    pub(super) fn below<'a>(&'a self, group: &'a str) -> impl Iterator<Item = CharacteristicId> {
        let inside = format!("{group}/");
        let is_inside = {
            let inside = inside.clone();
            move |path: &str| path.starts_with(&inside)
        };
        let there = self.members.get(group);
        let below =
            self.members.range(inside.into_boxed_str()..).take_while(move |(path, _)| is_inside(path));
        let all = there.into_iter().chain(below.map(|(_, ids)| ids)).flatten();
        all.copied().filter(|id| !self.is_deleted(*id))
    }

    /// A look into the catalog found this; what was said on the bus meanwhile is newer.
    pub(super) fn learn(&mut self, id: CharacteristicId, group: Option<String>) {
        if !self.knows(id) {
            self.put(id, group.map(Into::into));
        }
    }

    /// Notes what an event, the newest of all, says of its characteristic's place; says from where it went.
    pub(super) fn note(&mut self, event: &LoggedEvent) -> Option<Moved> {
        let change = event.definition_change()?;
        let id = event.characteristic_id;
        if change.is_deleted {
            self.deleted.insert(id);
        }
        let group: Option<Box<str>> = change.group?.map(Into::into);
        let is_known = self.knows(id);
        let before = self.put(id, group.clone());
        if before == group || !is_known {
            return None;
        }
        self.moves.entry(id).or_default().push_back(Move { seq: event.seq, from: before.clone() });
        self.moved.push_back((event.seq, id));
        if self.moved.len() > MOVES {
            self.forget_oldest();
        }
        before.map(|from| Moved { from })
    }

    /// Where the characteristic of an event was when that happened, and from where the event took it.
    pub(super) fn at(&self, event: &LoggedEvent) -> (Option<Cow<'_, str>>, Option<Moved>) {
        if event.seq <= self.since
            && let Some(group) = event.group_of_violation()
        {
            return (group.map(Cow::Owned), None);
        }
        let moves = self.moves.get(&event.characteristic_id);
        let later = moves.and_then(|moves| moves.iter().find(|it| it.seq > event.seq));
        let group = later.map_or_else(|| self.of(event.characteristic_id), |it| it.from.as_deref());
        let own = moves.and_then(|moves| moves.iter().find(|it| it.seq == event.seq));
        let moved = own.and_then(|it| it.from.clone()).map(|from| Moved { from });
        (group.map(Cow::Borrowed), moved)
    }

    fn put(&mut self, id: CharacteristicId, group: Option<Box<str>>) -> Option<Box<str>> {
        let before = self.now.insert(id, group.clone()).flatten();
        if before != group {
            if let Some(path) = &before
                && let Some(ids) = self.members.get_mut(path)
            {
                ids.remove(&id);
                if ids.is_empty() {
                    self.members.remove(path);
                }
            }
            if let Some(path) = group {
                self.members.entry(path).or_default().insert(id);
            }
        }
        before
    }

    fn forget_oldest(&mut self) {
        let Some((seq, id)) = self.moved.pop_front() else { return };
        self.since = seq;
        if let Some(moves) = self.moves.get_mut(&id) {
            moves.pop_front();
            if moves.is_empty() {
                self.moves.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::event::{EventHeader, EventKind};

    fn id(raw: i64) -> CharacteristicId {
        raw.try_into().expect("positive")
    }

    fn event(seq: u64, raw: i64, kind: EventKind, payload: &str) -> LoggedEvent {
        let header = EventHeader { seq, characteristic_id: id(raw), revision: seq, kind, is_history: false };
        LoggedEvent::new(header, payload)
    }

    fn update(seq: u64, raw: i64, changes: &str) -> LoggedEvent {
        event(seq, raw, EventKind::CharacteristicUpdate, &format!(r#"{{"changes":{changes}}}"#))
    }

    fn at(groups: &Groups, seq: u64, raw: i64) -> Option<String> {
        groups.at(&event(seq, raw, EventKind::Sample, "{}")).0.map(Cow::into_owned)
    }

    #[test]
    fn those_below_a_path_are_found_wherever_it_stands_among_others() {
        let of = |raw, path: &str| (id(raw), Some(path.to_owned()));
        let all = [of(1, "a"), of(2, "a/b"), of(3, "a/b/c"), of(4, "ab"), of(5, "a-b"), (id(6), None)];
        let mut groups = Groups::at_start(0, all);
        let below = |groups: &Groups, path| groups.below(path).map(|id| id.get()).collect::<Vec<_>>();
        assert_eq!(below(&groups, "a"), [1, 2, 3]);
        assert_eq!(below(&groups, "a/b"), [2, 3]);
        assert_eq!(below(&groups, "ab"), [4]);
        assert_eq!(below(&groups, "b"), [0; 0]);
        groups.note(&update(1, 2, r#"{"group":"b"}"#));
        groups.note(&update(2, 3, r#"{"deleted":true}"#));
        assert_eq!((below(&groups, "a"), below(&groups, "b")), (vec![1], vec![2]));
        assert_eq!(groups.known().count(), 5);
    }

    #[test]
    fn an_event_belongs_to_the_group_of_its_time() {
        let mut groups = Groups::at_start(10, [(id(1), Some("a".to_owned()))]);
        assert_eq!(groups.note(&update(12, 1, r#"{"unit":"mm"}"#)), None);
        assert_eq!(groups.note(&update(14, 1, r#"{"group":"a"}"#)), None);
        assert_eq!(groups.note(&update(15, 1, r#"{"group":"b"}"#)), Some(Moved { from: "a".into() }));
        assert_eq!(groups.note(&update(17, 1, r#"{"group":null}"#)), Some(Moved { from: "b".into() }));
        let seen = [11, 14, 15, 16, 17, 20].map(|seq| at(&groups, seq, 1));
        let expected = ["a", "a", "b", "b"].map(|group| Some(group.to_owned()));
        assert_eq!((&seen[..4], &seen[4..]), (&expected[..], &[None, None][..]));
        let (_, moved) = groups.at(&update(15, 1, r#"{"group":"b"}"#));
        assert_eq!(moved, Some(Moved { from: "a".into() }));
        // What is known neither from a move nor from the event itself counts as of now.
        let violation = |seq| event(seq, 1, EventKind::Violation, r#"{"group":"z"}"#);
        assert_eq!(groups.at(&violation(9)).0.as_deref(), Some("z"));
        assert_eq!(groups.at(&violation(11)).0.as_deref(), Some("a"));
    }

    #[test]
    fn only_so_many_moves_are_remembered() {
        let mut groups = Groups::at_start(0, [(id(1), None)]);
        for seq in 1..=MOVES as u64 + 2 {
            groups.note(&update(seq, 1, &format!(r#"{{"group":"g{seq}"}}"#)));
        }
        assert_eq!((groups.since, groups.moved.len(), groups.moves[&id(1)].len()), (2, MOVES, MOVES));
        assert_eq!(at(&groups, 3, 1).as_deref(), Some("g3"));
    }
}
