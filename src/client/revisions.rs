//! Counts revisions: whether every event of a subscribed characteristic arrived.

use std::collections::{BTreeMap, HashMap};

use crate::domain::ids::CharacteristicId;
use crate::protocol::client_side::EventMessage;
use crate::protocol::socket::ServerMessage;

/// Events of a characteristic are missing, or came again: `revision = previous + 1 + skipped` did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Whose events.
    pub characteristic_id: CharacteristicId,
    /// The revision that had to come, withheld ones considered.
    pub expected: u64,
    /// The revision that came.
    pub got: u64,
}

/// The newest revision of each characteristic that this connection listens to.
#[derive(Debug, Default)]
pub(super) struct Revisions {
    newest: HashMap<CharacteristicId, u64>,
    /// Subscribed to all: one that is not there yet begins at 0, as a characteristic does.
    all: bool,
}

impl Revisions {
    pub(super) fn on_server_message(&mut self, message: &ServerMessage) {
        match message {
            ServerMessage::Subscribed { characteristic_ids, all, revisions, .. } => {
                self.all |= *all;
                self.begin(characteristic_ids, revisions);
            }
            // Who subscribed to all keeps these.
            ServerMessage::Unsubscribed { characteristic_ids } if !self.all => {
                self.newest.retain(|id, _| !characteristic_ids.contains(id));
            }
            _ => {}
        }
    }

    /// Each subscription tells anew from where to count; what was withheld before it counts no more.
    fn begin(&mut self, ids: &[CharacteristicId], revisions: &BTreeMap<i64, u64>) {
        self.newest.extend(ids.iter().map(|id| (*id, revisions.get(&id.get()).copied().unwrap_or(0))));
    }

    /// Counts an event. One of a characteristic that is not subscribed to (an acknowledgement) is not checked.
    pub(super) fn on_event(&mut self, event: &EventMessage) -> Option<Gap> {
        let &EventMessage { characteristic_id, revision: got, skipped, .. } = event;
        let newest = match self.all {
            true => self.newest.entry(characteristic_id).or_insert(0),
            false => self.newest.get_mut(&characteristic_id)?,
        };
        let expected = newest.saturating_add(1).saturating_add(skipped);
        *newest = got;
        (got != expected).then_some(Gap { characteristic_id, expected, got })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::client_side::Received;

    fn event(id: i64, revision: u64, skipped: u64) -> EventMessage {
        let text = format!(
            r#"{{"type":"any","seq":1,"characteristic_id":{id},"revision":{revision},"skipped":{skipped},"payload":{{}}}}"#
        );
        match Received::parse(&text) {
            Ok(Received::Event(event)) => event,
            other => panic!("{other:?}"),
        }
    }

    fn told(text: &str) -> ServerMessage {
        serde_json::from_str(text).expect(text)
    }

    fn seven_at_four() -> Revisions {
        let mut revisions = Revisions::default();
        revisions.on_server_message(&told(
            r#"{"type":"subscribed","characteristic_ids":[7],"epoch":"e","seq":9,"revisions":{"7":4}}"#,
        ));
        revisions
    }

    #[test]
    fn withheld_revisions_are_no_gap() {
        let mut revisions = seven_at_four();
        assert_eq!(revisions.on_event(&event(7, 5, 0)), None);
        assert_eq!(revisions.on_event(&event(7, 9, 3)), None);
    }

    #[test]
    fn a_missing_or_repeated_revision_is_told_once() {
        let mut revisions = seven_at_four();
        let seven = CharacteristicId::try_from(7).expect("positive");
        let gap = |expected, got| Some(Gap { characteristic_id: seven, expected, got });
        assert_eq!(revisions.on_event(&event(7, 6, 0)), gap(5, 6));
        assert_eq!(revisions.on_event(&event(7, 7, 0)), None);
        assert_eq!(revisions.on_event(&event(7, 7, 0)), gap(8, 7));
        assert_eq!(revisions.on_event(&event(7, 9, 2)), gap(10, 9));
    }

    #[test]
    fn only_what_is_subscribed_to_is_checked() {
        let mut revisions = seven_at_four();
        assert_eq!(revisions.on_event(&event(8, 100, 0)), None);
        revisions.on_server_message(&told(r#"{"type":"unsubscribed","characteristic_ids":[7]}"#));
        assert_eq!(revisions.on_event(&event(7, 100, 0)), None);
    }

    #[test]
    fn who_listens_to_all_counts_a_new_characteristic_from_its_beginning() {
        let mut revisions = Revisions::default();
        revisions.on_server_message(&told(
            r#"{"type":"subscribed","characteristic_ids":[7],"all":true,"epoch":"e","seq":9,"revisions":{"7":4}}"#,
        ));
        revisions.on_server_message(&told(r#"{"type":"unsubscribed","characteristic_ids":[7]}"#));
        assert_eq!(revisions.on_event(&event(7, 5, 0)), None);
        assert_eq!(revisions.on_event(&event(8, 1, 0)), None);
        assert!(revisions.on_event(&event(9, 2, 0)).is_some());
    }

    #[test]
    fn a_repeated_subscription_begins_the_count_anew() {
        let mut revisions = seven_at_four();
        revisions.on_server_message(&told(
            r#"{"type":"subscribed","characteristic_ids":[7],"epoch":"e","seq":11,"revisions":{"7":6}}"#,
        ));
        assert_eq!(revisions.on_event(&event(7, 7, 0)), None);
        assert!(revisions.on_event(&event(7, 9, 0)).is_some());
    }
}
