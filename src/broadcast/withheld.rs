//! How many revisions of a characteristic were withheld from a connection since the last event that it got: told in
//! front of the next one, so that `revision = previous + 1 + skipped` always holds.

use std::collections::HashMap;

use crate::broadcast::ConnectionId;
use crate::domain::ids::CharacteristicId;

/// Counts by connection and characteristic; there is an entry only where something was withheld.
#[derive(Debug, Default)]
pub(super) struct Withheld(HashMap<ConnectionId, HashMap<CharacteristicId, u64>>);

impl Withheld {
    /// One more was withheld.
    pub(super) fn count(&mut self, connection: ConnectionId, id: CharacteristicId) {
        *self.0.entry(connection).or_default().entry(id).or_default() += 1;
    }

    /// What was withheld until now; from here on it counts from nothing.
    pub(super) fn take(&mut self, connection: ConnectionId, id: CharacteristicId) -> u64 {
        self.0.get_mut(&connection).and_then(|counts| counts.remove(&id)).unwrap_or(0)
    }

    /// Forgets what was withheld of these: they are counted anew, or not any more.
    pub(super) fn remove(&mut self, connection: ConnectionId, ids: &[CharacteristicId]) {
        if let Some(counts) = self.0.get_mut(&connection) {
            for id in ids {
                counts.remove(id);
            }
        }
    }

    /// Forgets a connection.
    pub(super) fn remove_connection(&mut self, connection: ConnectionId) {
        self.0.remove(&connection);
    }
}
