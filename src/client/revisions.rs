//! Counts revisions: whether every event of a subscribed characteristic arrived, once and in order.
//!
//! `revision = previous + 1 + skipped` holds for whoever subscribed; the base is in `subscribed`. Counting goes on
//! across connections of one log, so that an event which comes again is known.

use std::collections::{BTreeMap, HashMap};

use crate::domain::ids::CharacteristicId;
use crate::protocol::client_side::{EventMessage, EventPayload};

/// Events of a characteristic are missing: `revision = previous + 1 + skipped` did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Whose events.
    pub characteristic_id: CharacteristicId,
    /// The revision that had to come, withheld ones considered.
    pub expected: u64,
    /// The revision that came.
    pub got: u64,
}

/// Revisions that had been held back when a connection broke (samples behind newer ones, or what a filter leaves
/// out), and do not come any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withheld {
    /// Whose.
    pub characteristic_id: CharacteristicId,
    /// How many.
    pub revisions: u64,
}

/// How an event stands to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the next one, or nothing is known of its characteristic.
    Next,
    /// Events are missing before it.
    After(Gap),
    /// It, or a newer one of its characteristic, was there before.
    Old,
}

/// What a `subscribed` says of revisions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Base<'a> {
    pub(super) ids: &'a [CharacteristicId],
    pub(super) groups: &'a [String],
    pub(super) all: bool,
    pub(super) revisions: &'a BTreeMap<i64, u64>,
}

/// The newest revision of each characteristic that this client listens to.
#[derive(Debug, Clone, Default)]
pub(super) struct Revisions {
    newest: HashMap<CharacteristicId, Newest>,
    /// Subscribed to all: one that is not there yet begins at 0, as a characteristic does.
    all: bool,
    /// Subscribed to these: one that comes in begins anywhere.
    groups: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Newest {
    revision: u64,
    /// By its id; otherwise, perhaps, only through a group, which it may leave.
    is_named: bool,
    /// The last so many revisions were told before their turn, or withheld just before that: the next event may count
    /// them as skipped.
    ahead: u64,
}

impl Newest {
    fn follow(&mut self, characteristic_id: CharacteristicId, got: u64, skipped: u64) -> Place {
        let expected = self.revision.saturating_add(1).saturating_add(skipped);
        let is_next = (got..=got.saturating_add(self.ahead)).contains(&expected);
        (self.revision, self.ahead) = (got, 0);
        if is_next { Place::Next } else { Place::After(Gap { characteristic_id, expected, got }) }
    }
}

impl Revisions {
    /// A subscription tells from where to count; what was withheld before it counts no more.
    pub(super) fn begin(&mut self, base: Base<'_>) {
        self.join(base, |_, told| told);
    }

    /// A subscription goes on where the last connection broke; says what fell away meanwhile.
    pub(super) fn go_on(&mut self, base: Base<'_>) -> Vec<Withheld> {
        let (mut withheld, all) = (Vec::new(), self.all);
        self.join(base, |(id, known), told| {
            let Some(known) = known.or(all.then_some(0)) else { return told };
            if told > known {
                withheld.push(Withheld { characteristic_id: id, revisions: told - known });
            }
            known.max(told)
        });
        withheld
    }

    fn join(&mut self, base: Base<'_>, mut from: impl FnMut((CharacteristicId, Option<u64>), u64) -> u64) {
        self.all |= base.all;
        for group in base.groups {
            if !self.groups.contains(group) {
                self.groups.push(group.clone());
            }
        }
        for id in base.ids {
            let told = base.revisions.get(&id.get()).copied().unwrap_or(0);
            let known = self.newest.get(id).copied();
            let revision = from((*id, known.map(|known| known.revision)), told);
            let is_named = base.groups.is_empty() || known.is_some_and(|known| known.is_named);
            self.newest.insert(*id, Newest { revision, is_named, ahead: 0 });
        }
    }

    /// Who subscribed to all keeps them all.
    pub(super) fn leave(&mut self, ids: &[CharacteristicId], groups: &[String]) {
        if self.all {
            return;
        }
        self.groups.retain(|group| !groups.contains(group));
        // Who is still in another group is counted anew from its next event on.
        self.newest.retain(|id, newest| !ids.contains(id) && (newest.is_named || groups.is_empty()));
    }

    /// Counts an event. One of a characteristic that is not subscribed to (an acknowledgement) is not checked.
    pub(super) fn on_event(&mut self, event: &EventMessage) -> Place {
        let &EventMessage { characteristic_id, revision: got, skipped, .. } = event;
        let new = Newest { revision: got, is_named: false, ahead: 0 };
        let place = match self.newest.get_mut(&characteristic_id) {
            Some(newest) if got <= newest.revision => return Place::Old,
            Some(newest) => newest.follow(characteristic_id, got, skipped),
            None if self.all => {
                let newest = self.newest.entry(characteristic_id).or_insert(Newest { revision: 0, ..new });
                newest.follow(characteristic_id, got, skipped)
            }
            None => {
                // Acknowledgements come of every characteristic: they do not show that it is in a group of ours.
                if !self.groups.is_empty() && !matches!(event.payload, EventPayload::AckUpdate(_)) {
                    self.newest.insert(characteristic_id, new);
                }
                Place::Next
            }
        };
        self.forget_who_moved(event);
        place
    }

    /// Counts an event that was told before its turn: what was withheld just before it is told later, if at all.
    pub(super) fn on_early_event(&mut self, event: &EventMessage) -> Place {
        match self.newest.get_mut(&event.characteristic_id) {
            Some(newest) if event.revision <= newest.revision => Place::Old,
            Some(newest) => {
                newest.ahead += event.revision - newest.revision;
                newest.revision = event.revision;
                Place::Next
            }
            None => Place::Next,
        }
    }

    /// A characteristic that has another group now may be in none of ours; if it is, its next event shows it.
    fn forget_who_moved(&mut self, event: &EventMessage) {
        if let EventPayload::CharacteristicUpdate(update) = &event.payload
            && update.changes.contains_key("group")
            && !self.all
            && self.newest.get(&event.characteristic_id).is_some_and(|newest| !newest.is_named)
        {
            self.newest.remove(&event.characteristic_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::client_side::Received;

    fn id(id: i64) -> CharacteristicId {
        CharacteristicId::try_from(id).expect("positive")
    }

    fn of_type(kind: &str, id: i64, revision: u64, payload: &str) -> EventMessage {
        let text = format!(
            r#"{{"type":"{kind}","seq":1,"characteristic_id":{id},"revision":{revision},"payload":{payload}}}"#
        );
        match Received::parse(&text) {
            Ok(Received::Event(event)) => event,
            other => panic!("{other:?}"),
        }
    }

    fn event(id: i64, revision: u64, skipped: u64) -> EventMessage {
        let mut event = of_type("any", id, revision, "{}");
        event.skipped = skipped;
        event
    }

    fn seven_at_four() -> Revisions {
        let mut revisions = Revisions::default();
        revisions.begin(Base { ids: &[id(7)], groups: &[], all: false, revisions: &at(7, 4) });
        revisions
    }

    fn at(id: i64, revision: u64) -> BTreeMap<i64, u64> {
        BTreeMap::from([(id, revision)])
    }

    fn gap(expected: u64, got: u64) -> Place {
        Place::After(Gap { characteristic_id: id(7), expected, got })
    }

    #[test]
    fn withheld_revisions_are_no_gap() {
        let mut revisions = seven_at_four();
        assert_eq!(revisions.on_event(&event(7, 5, 0)), Place::Next);
        assert_eq!(revisions.on_event(&event(7, 9, 3)), Place::Next);
    }

    #[test]
    fn a_missing_revision_is_told_once_and_an_old_one_changes_nothing() {
        let mut revisions = seven_at_four();
        assert_eq!(revisions.on_event(&event(7, 6, 0)), gap(5, 6));
        assert_eq!(revisions.on_event(&event(7, 7, 0)), Place::Next);
        assert_eq!(revisions.on_event(&event(7, 7, 0)), Place::Old);
        assert_eq!(revisions.on_event(&event(7, 5, 0)), Place::Old);
        assert_eq!(revisions.on_event(&event(7, 9, 2)), gap(10, 9));
    }

    #[test]
    fn what_was_told_before_its_turn_may_be_counted_as_skipped_or_not() {
        for skipped in [0, 3] {
            let mut revisions = seven_at_four();
            assert_eq!(revisions.on_early_event(&event(7, 7, 0)), Place::Next, "5 and 6 are withheld");
            assert_eq!(revisions.on_early_event(&event(7, 7, 0)), Place::Old);
            assert_eq!(revisions.on_event(&event(7, 8, skipped)), Place::Next, "{skipped}");
            assert_eq!(revisions.on_event(&event(7, 9, 1)), gap(10, 9));
        }
        let mut revisions = seven_at_four();
        revisions.on_early_event(&event(7, 7, 0));
        assert_eq!(revisions.on_event(&event(7, 9, 0)), gap(8, 9));
    }

    #[test]
    fn only_what_is_subscribed_to_is_checked() {
        let mut revisions = seven_at_four();
        assert_eq!(revisions.on_event(&event(8, 100, 0)), Place::Next);
        assert_eq!(revisions.on_event(&event(8, 50, 0)), Place::Next);
        revisions.leave(&[id(7)], &[]);
        assert_eq!(revisions.on_event(&event(7, 100, 0)), Place::Next);
    }

    #[test]
    fn who_listens_to_all_counts_a_new_characteristic_from_its_beginning() {
        let mut revisions = Revisions::default();
        revisions.begin(Base { ids: &[id(7)], groups: &[], all: true, revisions: &at(7, 4) });
        revisions.leave(&[id(7)], &[]);
        assert_eq!(revisions.on_event(&event(7, 5, 0)), Place::Next);
        assert_eq!(revisions.on_event(&event(8, 1, 0)), Place::Next);
        assert!(matches!(revisions.on_event(&event(9, 2, 0)), Place::After(_)));
    }

    #[test]
    fn a_repeated_subscription_begins_the_count_anew() {
        let mut revisions = seven_at_four();
        revisions.begin(Base { ids: &[id(7)], groups: &[], all: false, revisions: &at(7, 6) });
        assert_eq!(revisions.on_event(&event(7, 7, 0)), Place::Next);
        assert_eq!(revisions.on_event(&event(7, 9, 0)), gap(8, 9));
    }

    #[test]
    fn what_was_held_back_when_a_connection_broke_is_told_and_what_was_there_stays_old() {
        let mut revisions = seven_at_four();
        let base = |revision| at(7, revision);
        let go_on = |revisions: &mut Revisions, base: &BTreeMap<i64, u64>| {
            revisions.go_on(Base { ids: &[id(7)], groups: &[], all: false, revisions: base })
        };
        assert_eq!(go_on(&mut revisions, &base(4)), []);
        assert_eq!(go_on(&mut revisions, &base(6)), [Withheld { characteristic_id: id(7), revisions: 2 }]);
        assert_eq!(revisions.on_event(&event(7, 7, 0)), Place::Next);
        assert_eq!(go_on(&mut revisions, &base(5)), [], "the server goes back further than it was asked to");
        assert_eq!(revisions.on_event(&event(7, 6, 0)), Place::Old);
        assert_eq!(revisions.on_event(&event(7, 8, 0)), Place::Next);
    }

    #[test]
    fn who_comes_into_a_group_is_counted_from_there_on_and_who_leaves_it_no_more() {
        let mut revisions = seven_at_four();
        let plant = ["plant".to_owned()];
        revisions.begin(Base { ids: &[id(8)], groups: &plant, all: false, revisions: &at(8, 2) });
        let ack = r#"{"violation_id":3,"characteristic_id":9,"sample_id":9,"acknowledged":true,"user":"Kim","reason":"r","comment":null,"timestamp":"2026-01-02T03:04:05Z","source":null,"external_id":null}"#;
        assert_eq!(revisions.on_event(&of_type("ack_update", 9, 90, ack)), Place::Next);
        assert_eq!(revisions.on_event(&event(9, 94, 0)), Place::Next, "it came into the group");
        assert!(matches!(revisions.on_event(&event(9, 96, 0)), Place::After(_)));
        let moved = r#"{"characteristic_id":8,"changes":{"group":"depot"},"user":null,"timestamp":"2026-01-02T03:04:05Z"}"#;
        assert_eq!(revisions.on_event(&of_type("characteristic_update", 8, 3, moved)), Place::Next);
        assert_eq!(revisions.on_event(&of_type("ack_update", 8, 50, ack)), Place::Next, "of another group");
        revisions.leave(&[], &plant);
        assert_eq!(revisions.on_event(&event(9, 200, 0)), Place::Next);
        assert_eq!(revisions.on_event(&event(7, 6, 0)), gap(5, 6), "it was named");
    }
}
