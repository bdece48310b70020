//! Groups over REST: the tree that the characteristics' paths make, with how they stand.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::alarm::AlarmState;

/// Answer of `GET /groups`. Retired characteristics are in none of the counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupsView {
    /// By name.
    pub groups: Vec<GroupView>,
    pub ungrouped: UngroupedView,
}

/// One group with everything below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupView {
    /// The last name of the path.
    pub name: String,
    pub path: String,
    /// In it or below it.
    pub characteristics: u64,
    pub states: AlarmCounts,
    /// By name.
    #[schema(no_recursion)]
    pub groups: Vec<GroupView>,
}

/// Characteristics of no group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UngroupedView {
    pub characteristics: u64,
    pub states: AlarmCounts,
}

/// How many characteristics are in each state that one can be in which is not retired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlarmCounts {
    pub active_unacked: u64,
    pub active_acked: u64,
    pub returned_unacked: u64,
    pub no_limits: u64,
    pub normal: u64,
}

impl AlarmCounts {
    fn add(&mut self, state: AlarmState, characteristics: u64) {
        let count = match state {
            AlarmState::ActiveUnacked => &mut self.active_unacked,
            AlarmState::ActiveAcked => &mut self.active_acked,
            AlarmState::ReturnedUnacked => &mut self.returned_unacked,
            AlarmState::NoLimits => &mut self.no_limits,
            AlarmState::Normal => &mut self.normal,
            AlarmState::Retired => return, // hidden
        };
        *count += characteristics;
    }
}

impl GroupsView {
    /// Counts characteristics in a state: in their group and in all groups above it.
    pub fn add(&mut self, path: Option<&str>, state: AlarmState, characteristics: u64) {
        let Some(path) = path else {
            self.ungrouped.characteristics += characteristics;
            self.ungrouped.states.add(state, characteristics);
            return;
        };
        let (mut groups, mut end) = (&mut self.groups, 0);
        for name in path.split('/') {
            end += name.len();
            let at = match groups.binary_search_by(|group| group.name.as_str().cmp(name)) {
                Ok(at) => at,
                Err(at) => {
                    groups.insert(at, GroupView::empty(name, &path[..end]));
                    at
                }
            };
            end += 1; // the slash
            let group = &mut groups[at];
            group.characteristics += characteristics;
            group.states.add(state, characteristics);
            groups = &mut group.groups;
        }
    }
}

impl GroupView {
    fn empty(name: &str, path: &str) -> Self {
        let (name, path) = (name.to_owned(), path.to_owned());
        Self { name, path, characteristics: 0, states: AlarmCounts::default(), groups: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_counts_above_and_names_are_in_order() {
        let mut tree = GroupsView::default();
        tree.add(Some("plant/line9"), AlarmState::Normal, 2);
        tree.add(None, AlarmState::NoLimits, 3);
        tree.add(Some("plant/line4/press"), AlarmState::ActiveAcked, 1);
        tree.add(Some("plant/line4"), AlarmState::Normal, 4);
        tree.add(Some("lab"), AlarmState::Normal, 1);
        let [lab, plant] = &tree.groups[..] else { panic!("two at the top: {tree:?}") };
        assert_eq!((lab.path.as_str(), plant.path.as_str()), ("lab", "plant"));
        assert_eq!((plant.characteristics, plant.states.normal, plant.states.active_acked), (7, 6, 1));
        let lines: Vec<_> = plant.groups.iter().map(|g| (g.path.as_str(), g.characteristics)).collect();
        assert_eq!(lines, [("plant/line4", 5), ("plant/line9", 2)]);
        assert_eq!(plant.groups[0].groups[0].path, "plant/line4/press");
        assert_eq!((tree.ungrouped.characteristics, tree.ungrouped.states.no_limits), (3, 3));
    }
}
