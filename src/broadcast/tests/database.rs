//! The event log of the model, as the broadcaster's port sees it: shortened at will, read at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::json;

use crate::broadcast::ports::{Base, History, HistoryError};
use crate::domain::ids::CharacteristicId;
use crate::protocol::event::{EventKind, LoggedEvent};
use crate::protocol::snapshot::Snapshot;

/// What happens to a characteristic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sample,
    /// A sample of the past.
    History,
    Violation,
    Limits,
    Acknowledgement,
}

impl Kind {
    pub fn event(self) -> (EventKind, String) {
        match self {
            Self::Sample | Self::History => (EventKind::Sample, r#"{"v":1.5}"#.to_owned()),
            Self::Violation => {
                (EventKind::Violation, r#"{"id":1,"rule_id":1,"severity":"CRITICAL"}"#.to_owned())
            }
            Self::Limits => (EventKind::ControlLimits, "{}".to_owned()),
            Self::Acknowledgement => (EventKind::AckUpdate, r#"{"violation_id":1}"#.to_owned()),
        }
    }

    pub fn is_alert(self) -> bool {
        !matches!(self, Self::Sample | Self::History)
    }
}

/// The log, as the database holds it.
#[derive(Debug, Default)]
pub struct Log {
    pub events: Vec<Arc<LoggedEvent>>,
    pub floor: u64,
    pub revisions: BTreeMap<i64, u64>,
    /// Readings of snapshots that others have begun: position and revision of then.
    pub begun: BTreeMap<i64, (u64, u64)>,
}

impl Log {
    /// The position of now, and a characteristic's revision.
    fn state_of(&self, id: i64) -> (u64, u64) {
        (self.events.len() as u64, self.revisions.get(&id).copied().unwrap_or(0))
    }

    /// Somebody begins to read a snapshot: whoever asks next gets that one.
    pub fn begin_snapshot(&mut self, id: i64) {
        let state = self.state_of(id);
        self.begun.insert(id, state);
    }
}

#[derive(Clone, Default)]
pub struct Database(Arc<Mutex<Log>>);

impl Database {
    pub fn log<T>(&self, ask: impl FnOnce(&mut Log) -> T) -> T {
        ask(&mut self.0.lock().expect("one thread"))
    }
}

#[async_trait]
impl History for Database {
    async fn page(&self, after: u64, limit: u32) -> Result<Vec<Arc<LoggedEvent>>, HistoryError> {
        self.log(|log| {
            if after < log.floor {
                return Err(HistoryError::Removed { floor: log.floor });
            }
            Ok(log.events.iter().skip(after as usize).take(limit as usize).cloned().collect())
        })
    }

    async fn base(&self, after: u64) -> Result<Base, HistoryError> {
        self.log(|log| {
            if after < log.floor {
                return Err(HistoryError::Removed { floor: log.floor });
            }
            let mut base = Base { head: log.events.len() as u64, ..Base::default() };
            for event in log.events.iter().skip(after as usize) {
                base.first_after.entry(event.characteristic_id).or_insert(event.revision);
            }
            Ok(base)
        })
    }

    async fn revisions(&self) -> Result<(u64, Vec<(CharacteristicId, u64)>), HistoryError> {
        unreachable!("the shard of this test never falls behind the floor")
    }

    async fn snapshot(&self, id: CharacteristicId) -> Result<Option<Snapshot>, HistoryError> {
        Ok(self.log(|log| {
            let (seq, revision) = log.begun.remove(&id.get()).unwrap_or_else(|| log.state_of(id.get()));
            let message =
                json!({"type": "snapshot", "characteristic_id": id, "seq": seq, "revision": revision});
            Some(Snapshot::encoded(id, seq, revision, message.to_string().into()))
        }))
    }
}
