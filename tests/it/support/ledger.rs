//! What a database holds when nobody serves it any more, and whether it hangs together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::{Database, Fingerprint, on_postgres};

/// A row of the event log.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedRow {
    pub seq: i64,
    pub characteristic_id: i64,
    pub revision: i64,
    pub kind: String,
    pub payload: Value,
}

/// A row of the samples.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleRow {
    pub characteristic_id: i64,
    pub value: f64,
    pub measurements: Vec<f64>,
    pub operator: Option<String>,
}

/// Everything that was stored.
#[derive(Debug)]
pub struct Ledger {
    pub head: i64,
    pub events: Vec<LoggedRow>,
    pub samples: BTreeMap<i64, SampleRow>,
    /// By id: the position of its event and its sample.
    pub violations: BTreeMap<i64, (i64, i64)>,
    /// Samples that count as never taken, and violations that hold no more.
    pub excluded: BTreeSet<i64>,
    pub withdrawn: BTreeSet<i64>,
    /// The open episode of each characteristic.
    pub open_episodes: BTreeMap<i64, i64>,
    /// Episodes whose counts differ from a recount.
    pub miscounted_episodes: Vec<i64>,
}

impl LoggedRow {
    /// The message that a client gets of it.
    pub fn message(&self) -> Value {
        serde_json::json!({
            "type": self.kind, "seq": self.seq, "characteristic_id": self.characteristic_id,
            "revision": self.revision, "payload": self.payload,
        })
    }
}

impl Ledger {
    /// Reads the whole file.
    pub async fn read(file: &Path) -> Self {
        let mut database = Database::open(file).await;
        if !on_postgres() {
            assert_eq!(database.rows("PRAGMA integrity_check").await[0][0].text(), "ok");
        }
        let head = database.number("SELECT seq FROM log_head").await;
        let events = database
            .rows("SELECT seq, characteristic_id, revision, type, payload FROM events ORDER BY seq")
            .await
            .iter()
            .map(|row| LoggedRow {
                seq: row[0].integer(),
                characteristic_id: row[1].integer(),
                revision: row[2].integer(),
                kind: row[3].text().to_owned(),
                payload: serde_json::from_str(row[4].text()).expect("a payload is JSON"),
            })
            .collect();
        let samples = database
            .rows("SELECT id, characteristic_id, value, measurements, operator FROM samples")
            .await
            .iter()
            .map(|row| {
                let (doubles, _) = row[3].bytes().as_chunks::<8>();
                let measurements = doubles.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
                let (characteristic_id, value) = (row[1].integer(), row[2].real());
                let operator = row[4].get().map(|operator| operator.text().to_owned());
                (row[0].integer(), SampleRow { characteristic_id, value, measurements, operator })
            })
            .collect();
        let violations = database
            .rows("SELECT id, seq, sample_id FROM violations")
            .await
            .iter()
            .map(|row| (row[0].integer(), (row[1].integer(), row[2].integer())))
            .collect();
        let mut ids = async |query: &str| -> BTreeSet<i64> {
            database.rows(query).await.iter().map(|row| row[0].integer()).collect()
        };
        let excluded = ids("SELECT id FROM samples WHERE CAST(is_excluded AS INTEGER) = 1").await;
        let withdrawn = ids("SELECT id FROM violations WHERE status = 'withdrawn'").await;
        let open_episodes = database
            .rows("SELECT characteristic_id, id FROM episodes WHERE closed_at IS NULL")
            .await
            .iter()
            .map(|row| (row[0].integer(), row[1].integer()))
            .collect();
        let miscounted_episodes = database
            .rows(
                "SELECT e.id FROM episodes e WHERE e.holding <> (SELECT count(*) FROM violations v \
                 WHERE v.episode_id = e.id AND v.status = 'open') OR e.unacknowledged <> (SELECT count(*) \
                 FROM violations v WHERE v.episode_id = e.id AND v.status = 'open' AND v.ack_at IS NULL \
                 AND CAST(v.requires_acknowledgement AS INTEGER) = 1)",
            )
            .await
            .iter()
            .map(|row| row[0].integer())
            .collect();
        database.close().await;
        Self { open_episodes, miscounted_episodes, head, events, samples, violations, excluded, withdrawn }
    }

    /// Every event in order: whether it is a sample, and the message of it.
    pub fn log(&self) -> Vec<(bool, Fingerprint)> {
        let entry = |event: &LoggedRow| (event.kind == "sample", Fingerprint::of(&event.message()));
        self.events.iter().map(entry).collect()
    }

    /// Positions and revisions without a gap; a sample's events stand together; log and tables say the same.
    pub fn assert_sound(&self) {
        let mut revisions = BTreeMap::new();
        for (position, event) in (1..).zip(&self.events) {
            assert_eq!(event.seq, position, "positions have no gap");
            let revision = revisions.entry(event.characteristic_id).or_insert(0);
            *revision += 1;
            assert_eq!(event.revision, *revision, "revisions of {} have no gap", event.characteristic_id);
        }
        assert_eq!(self.head, self.events.len() as i64, "the head is the newest event");

        let (mut samples, mut violations) = (BTreeSet::new(), BTreeMap::new());
        let (mut excluded, mut withdrawn) = (BTreeSet::new(), BTreeSet::new());
        // Whose sample was just excluded or included: what follows from that stands behind it.
        let mut decided = None;
        let mut open_episodes = BTreeMap::new();
        let mut rest = self.events.iter();
        while let Some(event) = rest.next() {
            let set = |ids: &mut BTreeSet<i64>, id: &str, is_in: bool| {
                let id = event.payload[id].as_i64().expect("an id");
                if is_in { ids.insert(id) } else { ids.remove(&id) }
            };
            match event.kind.as_str() {
                "sample_update" => {
                    let is_excluded = event.payload["is_excluded"] == true;
                    assert!(set(&mut excluded, "sample_id", is_excluded), "it was so before: {event:?}");
                    decided = Some(event.characteristic_id);
                    continue;
                }
                "violation_update" => {
                    assert_eq!(decided, Some(event.characteristic_id), "a decision causes it: {event:?}");
                    set(&mut withdrawn, "violation_id", event.payload["status"] == "withdrawn");
                    continue;
                }
                "violation" if event.payload["rejudged"] == true => {
                    assert_eq!(decided, Some(event.characteristic_id), "a decision causes it: {event:?}");
                    let of = |id: &str| event.payload[id].as_i64().expect("an id");
                    let is_new = violations.insert(of("id"), (event.seq, of("sample_id"))).is_none();
                    assert!(is_new && samples.contains(&of("sample_id")), "found once: {event:?}");
                    continue;
                }
                "violation" => panic!("a violation stands behind its sample: {event:?}"),
                "episode" => {
                    let (of, id) = (event.characteristic_id, event.payload["id"].as_i64().expect("an id"));
                    match event.payload["change"].as_str().expect("a change") {
                        "opened" => {
                            assert_eq!(open_episodes.insert(of, id), None, "one at a time: {event:?}")
                        }
                        "closed" => assert_eq!(open_episodes.remove(&of), Some(id), "it was open: {event:?}"),
                        // What is over can be answered, too.
                        "acknowledged" => {}
                        _ => assert_eq!(open_episodes.get(&of), Some(&id), "it is open: {event:?}"),
                    }
                }
                _ => decided = None,
            }
            if event.kind != "sample" {
                continue;
            }
            let sample_id = &event.payload["sample_id"];
            let id = sample_id.as_i64().expect("an id");
            assert!(samples.insert(id), "sample {id} is announced once");
            assert_eq!(Some(self.samples[&id].value), event.payload["value"].as_f64());
            assert_eq!(self.samples[&id].characteristic_id, event.characteristic_id);
            let mut before = (0, 0);
            for summary in event.payload["violations"].as_array().expect("a list") {
                let next = rest.next().expect("a sample's violations follow it");
                assert_eq!((next.kind.as_str(), &next.payload["sample_id"]), ("violation", sample_id));
                for field in ["violation_id", "chart", "rule_id", "rule_name", "severity"] {
                    assert_eq!(next.payload[field], summary[field], "{field} of {next:?}");
                }
                let chart = if summary["chart"] == "location" { 1 } else { 2 };
                let place = (chart, summary["rule_id"].as_i64().expect("a number"));
                assert!(before < place, "location in rule order, then dispersion: {event:?}");
                before = place;
                violations.insert(summary["violation_id"].as_i64().expect("an id"), (next.seq, id));
            }
        }
        assert!(samples.iter().eq(self.samples.keys()), "the log announces the stored samples");
        assert_eq!(violations, self.violations, "the log announces the stored violations");
        assert_eq!(excluded, self.excluded, "the log tells which samples are excluded");
        assert_eq!(open_episodes, self.open_episodes, "the log tells which episodes are open");
        assert_eq!(self.miscounted_episodes, [0; 0], "an episode counts what belongs to it");
        assert_eq!(withdrawn, self.withdrawn, "the log tells which violations hold no more");
    }
}
