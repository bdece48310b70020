//! At which positions something happened to each characteristic, lately: so that a client that resumes learns from where
//! its revisions count without anybody going through the events. After an outage thousands resume at once.
//!
//! Pure memory: no clock, no lock.

use std::collections::{HashMap, VecDeque};

use crate::domain::ids::CharacteristicId;

/// Events that are remembered, as many as the ring holds by default: some 16 bytes for each.
const MOST: usize = 65_536;

/// The newest events of a log, by characteristic.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Everything after this position is known.
    after: u64,
    /// Whose each of these events was, oldest first.
    whose: VecDeque<CharacteristicId>,
    /// Their positions, by characteristic.
    positions: HashMap<CharacteristicId, VecDeque<u64>>,
}

impl Recent {
    /// Nothing is known yet of what was up to a position.
    pub(super) fn after(position: u64) -> Self {
        Self { after: position, ..Self::default() }
    }

    /// The next event of the log.
    pub(super) fn push(&mut self, id: CharacteristicId) {
        self.whose.push_back(id);
        self.positions.entry(id).or_default().push_back(self.after + self.whose.len() as u64);
        if self.whose.len() > MOST {
            self.forget_oldest();
        }
    }

    /// Whether everything after a position is known.
    pub(super) fn reaches_back_to(&self, position: u64) -> bool {
        position >= self.after
    }

    /// How many events a characteristic has had after a position.
    pub(super) fn count_after(&self, id: CharacteristicId, position: u64) -> u64 {
        let Some(positions) = self.positions.get(&id) else { return 0 };
        (positions.len() - positions.partition_point(|seq| *seq <= position)) as u64
    }

    fn forget_oldest(&mut self) {
        let Some(id) = self.whose.pop_front() else { return };
        self.after += 1;
        if let Some(positions) = self.positions.get_mut(&id) {
            positions.pop_front();
            if positions.is_empty() {
                self.positions.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(raw: i64) -> CharacteristicId {
        raw.try_into().expect("positive")
    }

    #[test]
    fn what_happened_after_a_position_is_counted() {
        let mut recent = Recent::after(10);
        for raw in [1, 2, 1, 1, 3] {
            recent.push(id(raw)); // at 11, 12, 13, 14, 15
        }
        assert!(recent.reaches_back_to(10) && !recent.reaches_back_to(9));
        let counts = |raw| [10, 11, 12, 13, 14, 15].map(|position| recent.count_after(id(raw), position));
        assert_eq!(counts(1), [3, 2, 2, 1, 0, 0]);
        assert_eq!(counts(3), [1, 1, 1, 1, 1, 0]);
        assert_eq!(counts(4), [0; 6]);
    }

    #[test]
    fn only_so_much_is_remembered() {
        let mut recent = Recent::default();
        recent.push(id(7));
        for n in 0..MOST as i64 + 4 {
            recent.push(id(1 + n % 2));
        }
        assert_eq!((recent.after, recent.whose.len(), recent.positions.len()), (5, MOST, 2));
        assert_eq!(recent.count_after(id(1), 5) + recent.count_after(id(2), 5), MOST as u64);
    }
}
