//! Events that nobody committed, put straight onto the bus: many of them, as fast as shards take them. Nothing may be
//! committed in the same test, as positions would come twice.

use std::collections::HashMap;
use std::sync::Arc;

use andon::bus::EventBus;
use andon::protocol::event::{EventHeader, EventKind, LoggedEvent};
use serde_json::json;

use super::{TestApp, eventually};

/// Published before the shards are waited for: few enough that none falls off the ring.
const STEP: u64 = 1_000;

/// What is published, by position and by revision of each characteristic.
pub struct Stream {
    bus: EventBus<Arc<LoggedEvent>>,
    next: u64,
    revisions: HashMap<i64, u64>,
    sample: String,
}

impl Stream {
    /// Goes on from the head of the log.
    pub fn of(app: &TestApp) -> Self {
        // About as long as a real one.
        let sample = json!({
            "sample_id": 1, "timestamp": "2026-01-01T00:00:00.000000Z", "value": 10.0, "n": 1,
            "received_at": "2026-01-01T00:00:00.000000Z", "zone": "zone_c_upper", "in_control": true,
            "limits_id": 1, "ucl": 13.0, "center_line": 10.0, "lcl": 7.0, "mode": "live", "violations": [],
        });
        Self {
            bus: app.bus.clone(),
            next: app.bus.stats().next,
            revisions: HashMap::new(),
            sample: sample.to_string(),
        }
    }

    /// The position of the newest event.
    pub fn position(&self) -> u64 {
        self.next - 1
    }

    /// The newest revision of a characteristic.
    pub fn revision(&self, id: i64) -> u64 {
        self.revisions.get(&id).copied().unwrap_or(0)
    }

    /// Publishes a sample of each of these in turn, `count` in all, at the pace of the shards.
    pub async fn samples(&mut self, ids: &[i64], count: u64) {
        for (number, id) in (1..=count).zip(ids.iter().cycle()) {
            let sample = std::mem::take(&mut self.sample);
            self.publish(*id, EventKind::Sample, &sample);
            self.sample = sample;
            if number % STEP == 0 {
                self.followed().await;
            }
        }
        self.followed().await;
    }

    /// Publishes a violation; gives its position.
    pub fn violation(&mut self, id: i64) -> u64 {
        let violation = json!({
            "id": self.next, "characteristic_id": id, "rule_id": 1, "severity": "CRITICAL",
            "message": "1 point beyond the control limits",
        });
        self.publish(id, EventKind::Violation, &violation.to_string());
        self.position()
    }

    fn publish(&mut self, id: i64, kind: EventKind, payload: &str) {
        let revision = self.revisions.entry(id).or_insert(0);
        *revision += 1;
        let header = EventHeader {
            seq: self.next,
            characteristic_id: id.try_into().expect("an id"),
            revision: *revision,
            kind,
            is_history: false,
        };
        let position = self.bus.publish(Arc::new(LoggedEvent::new(header, payload))).expect("it runs");
        assert_eq!(position, self.next, "somebody else publishes, too");
        self.next += 1;
    }

    /// Waits until every shard has handed out all that was published.
    pub async fn followed(&self) {
        eventually("the shards follow", async || {
            let stats = self.bus.stats();
            stats.subscribers.iter().all(|subscriber| subscriber.depth == 0).then_some(())
        })
        .await;
    }
}
