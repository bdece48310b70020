//! The present state of a characteristic, for a client that begins to listen.
//!
//! All of it is of one position of the log: what came up to there is in it, and what comes later is told by events.
//! Values are in the characteristic's own unit, times in UTC.

use std::sync::OnceLock;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::alarm::AlarmState;
use crate::domain::characteristic::Characteristic;
use crate::domain::episode::Episode;
use crate::domain::ids::CharacteristicId;
use crate::domain::phase::Phase;
use crate::domain::sample::Sample;
use crate::domain::violation::Violation;
use crate::protocol::deflate;
use crate::protocol::episode::EpisodeView;
use crate::protocol::payload::{ControlLimitsView, SamplePayload, ViolationSummary, ViolationView};
use crate::protocol::rest::{DefinitionView, RuleView, RulesView};
use crate::protocol::time;

/// The most open violations that a snapshot tells one by one.
pub const NEWEST_OPEN: u32 = 100;

/// A `snapshot` message, ready to be sent to any number of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Whose state.
    pub characteristic_id: CharacteristicId,
    /// It is that of this position of the log.
    pub seq: u64,
    /// Events of the characteristic up to this revision are in it.
    pub revision: u64,
    /// The JSON message.
    pub message: Bytes,
    deflated_tail: OnceLock<Bytes>,
}

/// A `snapshot` message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "snapshot")]
pub struct SnapshotMessage {
    pub characteristic_id: CharacteristicId,
    /// It is the state at this position of the log.
    pub seq: u64,
    /// The next event of the characteristic has the revision after this one.
    pub revision: u64,
    pub payload: SnapshotPayload,
}

/// How a characteristic stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnapshotPayload {
    pub characteristic: DefinedCharacteristic,
    pub newest_sample: Option<SamplePayload>,
    /// Those in force.
    pub control_limits: Option<ControlLimitsView>,
    pub alarm_state: AlarmState,
    /// The newest [`NEWEST_OPEN`] that are neither acknowledged nor withdrawn, newest first.
    pub open_violations: Vec<ViolationView>,
    /// All of them.
    pub open_total: u64,
    pub open_episode: Option<EpisodeView>,
}

/// A characteristic as `characteristic_update` keeps it up to date: its definition and its rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DefinedCharacteristic {
    pub id: CharacteristicId,
    #[serde(flatten)]
    pub definition: DefinitionView,
    pub rules: Vec<RuleView>,
    #[serde(with = "time")]
    pub created_at: DateTime<Utc>,
    pub retired: bool,
}

/// What a snapshot is made of: all of it as of one position of the log.
#[derive(Debug, Clone, Copy)]
pub struct PresentState<'a> {
    /// The position.
    pub seq: u64,
    /// The characteristic's newest revision.
    pub revision: u64,
    pub characteristic: &'a Characteristic,
    pub alarm_state: AlarmState,
    /// The limits in force.
    pub phase: Option<&'a Phase>,
    pub newest_sample: Option<&'a Sample>,
    /// What fired on that and was not withdrawn.
    pub fired: &'a [Violation],
    /// The newest [`NEWEST_OPEN`] open violations, newest first.
    pub open_violations: &'a [Violation],
    /// How many are open in all.
    pub open_total: u64,
    pub open_episode: Option<&'a Episode>,
}

impl SnapshotMessage {
    /// Tells a state.
    pub fn new(state: PresentState<'_>) -> Self {
        let PresentState { characteristic, fired, open_violations, .. } = state;
        let newest_sample = state.newest_sample.map(|sample| SamplePayload {
            violations: fired.iter().map(ViolationSummary::new).collect(),
            ..SamplePayload::new(sample, &[])
        });
        let open = open_violations.iter().map(|violation| ViolationView::new(violation, characteristic));
        let payload = SnapshotPayload {
            characteristic: DefinedCharacteristic::new(characteristic),
            newest_sample,
            control_limits: state.phase.map(ControlLimitsView::new),
            alarm_state: state.alarm_state,
            open_violations: open.collect(),
            open_total: state.open_total,
            open_episode: state.open_episode.map(|episode| EpisodeView::new(episode, characteristic)),
        };
        Self { characteristic_id: characteristic.id, seq: state.seq, revision: state.revision, payload }
    }
}

impl DefinedCharacteristic {
    fn new(characteristic: &Characteristic) -> Self {
        Self {
            id: characteristic.id,
            definition: DefinitionView::new(&characteristic.definition),
            rules: RulesView::from(&characteristic.rules).rules,
            created_at: characteristic.created_at,
            retired: characteristic.is_retired,
        }
    }
}

impl Snapshot {
    /// Encodes a state once, for all who ask for it.
    pub fn new(state: PresentState<'_>) -> Self {
        let message = SnapshotMessage::new(state);
        let text = serde_json::to_vec(&message).expect("names and finite numbers always encode");
        let SnapshotMessage { characteristic_id, seq, revision, .. } = message;
        Self::encoded(characteristic_id, seq, revision, text.into())
    }

    /// A state that is encoded already.
    pub const fn encoded(
        characteristic_id: CharacteristicId,
        seq: u64,
        revision: u64,
        message: Bytes,
    ) -> Self {
        Self { characteristic_id, seq, revision, message, deflated_tail: OnceLock::new() }
    }

    /// The message without its first brace, deflated: once, for all who agreed on that.
    pub fn deflated_tail(&self) -> &Bytes {
        self.deflated_tail.get_or_init(|| deflate::deflated_tail(&self.message))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::characteristic::Definition;
    use crate::domain::chart::{Chart, ChartKind, Side, Zone};
    use crate::domain::ids::{InvalidId, LimitsId};
    use crate::domain::limits::{ControlLimits, LimitValues};
    use crate::domain::phase::LimitsMethod;
    use crate::domain::rules::{Preset, RuleSet, Severity};
    use crate::domain::sample::{Judgement, Mode, Subgroup};
    use crate::domain::violation::ViolationStatus;

    fn id<T: TryFrom<i64, Error = InvalidId>>(id: i64) -> T {
        T::try_from(id).expect("positive")
    }

    fn bore() -> Characteristic {
        let definition = Definition {
            name: "Bore".to_owned(),
            key: None,
            description: None,
            chart: ChartKind::IMr,
            subgroup_size: 1,
            min_measurements: 1,
            unit: Some("mm".to_owned()),
            decimals: None,
            target: None,
            usl: None,
            lsl: None,
            group: Some("plant/line4".to_owned()),
            tags: vec![],
            reaction_plan: None,
            auto_limits_after: None,
        };
        let rules = RuleSet::preset(Preset::Outlier);
        let created_at = DateTime::UNIX_EPOCH;
        Characteristic { id: id(7), definition, rules, created_at, is_retired: false }
    }

    fn limits() -> Phase {
        let values = LimitValues { center_line: 10.0, ucl: 13.0, lcl: 7.0, sigma: 1.0, subgroup_size: 1 };
        Phase {
            id: id::<LimitsId>(3),
            characteristic_id: id(7),
            limits: ControlLimits::new(values).expect("in order"),
            dispersion: None,
            method: LimitsMethod::Given,
            baseline: None,
            is_provisional: false,
            from_sample_id: id(1),
            timestamp: DateTime::UNIX_EPOCH,
            reason: None,
            user: None,
        }
    }

    fn outlier() -> Sample {
        let judgement = Judgement {
            limits_id: Some(id(3)),
            zone: Some(Zone::BeyondUcl),
            in_control: false,
            ucl: Some(13.0),
            center_line: Some(10.0),
            lcl: Some(7.0),
        };
        Sample {
            id: id(41),
            characteristic_id: id(7),
            measurements: vec![99.5],
            subgroup: Subgroup::of(&[99.5], 1, 1).expect("one"),
            dispersion_value: None,
            timestamp: DateTime::UNIX_EPOCH,
            received_at: DateTime::UNIX_EPOCH,
            judgement: Some(judgement),
            out_of_spec: None,
            is_excluded: false,
            mode: Mode::Live,
            key: None,
            origin: None,
            batch: None,
            operator: None,
            metadata: None,
        }
    }

    fn violation() -> Violation {
        Violation {
            id: id(5),
            sample_id: Some(id(41)),
            characteristic_id: id(7),
            episode_id: None,
            chart: Chart::Location,
            rule_id: 1,
            rule_name: "Outlier".to_owned(),
            severity: Severity::Critical,
            message: "above".to_owned(),
            side: Some(Side::Upper),
            value: Some(99.5),
            center_line: Some(10.0),
            ucl: Some(13.0),
            lcl: Some(7.0),
            sigma: Some(1.0),
            n: Some(1),
            involved_sample_ids: vec![id(41)],
            timestamp: DateTime::UNIX_EPOCH,
            created_at: DateTime::UNIX_EPOCH,
            requires_acknowledgement: true,
            rejudged: false,
            is_history: false,
            origin: None,
            external_sample_id: None,
            status: ViolationStatus::Open,
            acknowledgement: None,
        }
    }

    fn names(object: &Value) -> Vec<&str> {
        object.as_object().expect("an object").keys().map(String::as_str).collect()
    }

    #[test]
    fn a_snapshot_is_the_message_of_the_contract_in_the_shapes_of_rest() {
        let (characteristic, phase, sample, open) = (bore(), limits(), outlier(), [violation()]);
        let snapshot = Snapshot::new(PresentState {
            seq: 12,
            revision: 6,
            characteristic: &characteristic,
            alarm_state: AlarmState::ActiveUnacked,
            phase: Some(&phase),
            newest_sample: Some(&sample),
            fired: &open,
            open_violations: &open,
            open_total: 130,
            open_episode: None,
        });
        let (seq, revision) = (snapshot.seq, snapshot.revision);
        assert_eq!((snapshot.characteristic_id, seq, revision), (id(7), 12, 6));
        assert!(
            snapshot
                .message
                .starts_with(br#"{"type":"snapshot","characteristic_id":7,"seq":12,"revision":6,"#)
        );

        let message: Value = serde_json::from_slice(&snapshot.message).expect("JSON");
        let payload = &message["payload"];
        let expected = [
            "alarm_state",
            "characteristic",
            "control_limits",
            "newest_sample",
            "open_episode",
            "open_total",
            "open_violations",
        ];
        assert_eq!(names(payload), expected);
        assert_eq!(
            (&payload["alarm_state"], &payload["open_total"]),
            (&json!("active_unacked"), &json!(130))
        );
        let told = &payload["characteristic"];
        assert_eq!(
            (&told["id"], &told["name"], &told["retired"]),
            (&json!(7), &json!("Bore"), &json!(false))
        );
        assert_eq!(
            (&told["group"], told["rules"].as_array().map(Vec::len)),
            (&json!("plant/line4"), Some(8))
        );
        assert_eq!(payload["control_limits"], json!(ControlLimitsView::new(&phase)));
        assert_eq!(payload["open_violations"], json!([ViolationView::new(&open[0], &characteristic)]));
        assert_eq!(payload["newest_sample"]["sample_id"], 41);
        assert_eq!(payload["newest_sample"]["violations"], json!([ViolationSummary::new(&open[0])]));

        let read: SnapshotMessage = serde_json::from_slice(&snapshot.message).expect("as it was written");
        assert_eq!(serde_json::to_vec(&read).expect("JSON"), snapshot.message);
    }

    #[test]
    fn what_is_not_there_is_null() {
        let characteristic = bore();
        let snapshot = Snapshot::new(PresentState {
            seq: 0,
            revision: 0,
            characteristic: &characteristic,
            alarm_state: AlarmState::NoLimits,
            phase: None,
            newest_sample: None,
            fired: &[],
            open_violations: &[],
            open_total: 0,
            open_episode: None,
        });
        let message: Value = serde_json::from_slice(&snapshot.message).expect("JSON");
        let payload = &message["payload"];
        assert_eq!([&payload["newest_sample"], &payload["control_limits"]], [&Value::Null, &Value::Null]);
        assert_eq!((&payload["open_violations"], &payload["open_total"]), (&json!([]), &json!(0)));
        let read: SnapshotMessage = serde_json::from_slice(&snapshot.message).expect("as it was written");
        assert_eq!((read.payload.newest_sample, read.payload.control_limits), (None, None));
    }
}
