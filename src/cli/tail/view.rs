//! What `andon tail` prints, and how.

use std::collections::HashSet;

use crate::cli::lines::{Style, line, snapshot_line};
use crate::client::Incoming;
use crate::domain::ids::CharacteristicId;
use crate::protocol::client_side::{EventMessage, EventPayload, ServerText};
use crate::protocol::event::EventKind;
use crate::protocol::socket::{Chosen, ServerMessage, Subscription};

/// How messages are printed.
pub enum Format {
    /// As they came.
    Json,
    /// For people.
    Lines(Style),
}

/// What is printed, and how.
pub struct View {
    format: Format,
    chosen: Chosen,
    groups: Vec<String>,
    types: Option<Vec<EventKind>>,
    quiet_samples: bool,
    /// Those that were named, and those in the groups, as far as was heard of them.
    members: HashSet<CharacteristicId>,
}

impl View {
    pub fn new(format: Format, subscription: &Subscription, quiet_samples: bool) -> Self {
        let types = subscription.filter.as_ref().and_then(|filter| filter.types.clone());
        let (chosen, groups) = (subscription.chosen.clone(), subscription.groups.clone());
        let members = match &chosen {
            Chosen::These(ids) => ids.iter().copied().collect(),
            Chosen::All => HashSet::new(),
        };
        Self { format, chosen, groups, types, quiet_samples, members }
    }

    /// The server says that events of these come.
    pub fn listens_to(&mut self, ids: &[CharacteristicId]) {
        self.members.extend(ids);
    }

    /// What was asked for, in words.
    pub fn what(&self) -> String {
        let characteristics = match &self.chosen {
            Chosen::All => return "all characteristics".to_owned(),
            Chosen::These(ids) => match ids.as_slice() {
                [] => None,
                [one] => Some(format!("characteristic {one}")),
                these => Some(format!("{} characteristics", these.len())),
            },
        };
        let groups = match self.groups.as_slice() {
            [] => None,
            [one] => Some(format!("group {one}")),
            these => Some(format!("{} groups", these.len())),
        };
        characteristics.into_iter().chain(groups).collect::<Vec<_>>().join(" and ")
    }

    /// Acknowledgements come of every characteristic and whatever the filter; others were not asked for.
    fn shows(&mut self, event: &EventMessage) -> bool {
        let is_ack = matches!(event.payload, EventPayload::AckUpdate(_));
        if !is_ack && !self.groups.is_empty() {
            self.members.insert(event.characteristic_id);
        }
        let is_of_ours = self.chosen == Chosen::All || self.members.contains(&event.characteristic_id);
        let is_of_type = |types: &Vec<EventKind>| !is_ack || types.contains(&EventKind::AckUpdate);
        let is_quiet = self.quiet_samples && matches!(event.payload, EventPayload::Sample(_));
        is_of_ours && self.types.as_ref().is_none_or(is_of_type) && !is_quiet
    }

    /// The line of what came, if it is printed.
    pub fn text(&mut self, incoming: &Incoming) -> Option<String> {
        if let Incoming::Event(event) = incoming
            && !self.shows(event)
        {
            return None;
        }
        match (incoming, &self.format) {
            (Incoming::Event(event), Format::Json) => Some(on_one_line(event.text())),
            (Incoming::Snapshot(snapshot), Format::Json) => Some(on_one_line(snapshot.text())),
            (Incoming::Other(other), Format::Json) => Some(on_one_line(other.text())),
            (Incoming::Event(event), Format::Lines(style)) => line(event, *style),
            (Incoming::Snapshot(snapshot), Format::Lines(_)) => Some(snapshot_line(snapshot)),
            _ => None,
        }
    }

    /// The line of what the server says, if it is printed. For programs, also where what follows begins.
    pub fn text_said(&self, said: &ServerText) -> Option<String> {
        let is_told = matches!(
            said.message,
            ServerMessage::Subscribed { .. } | ServerMessage::Resumed { .. } | ServerMessage::Test { .. }
        );
        match self.format {
            Format::Json if is_told => Some(on_one_line(said.text())),
            _ => None,
        }
    }
}

/// Line breaks can only stand between the parts of a JSON text, where a space means the same.
fn on_one_line(json: &str) -> String {
    json.trim().replace(['\r', '\n'], " ")
}
