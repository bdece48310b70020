//! One readable line per event, for a terminal. Times are UTC, values in the characteristic's own unit.

use std::io::{self, Write as _};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::domain::episode::EpisodeChange;
use crate::domain::ids::LimitsId;
use crate::domain::rules::Severity;
use crate::protocol::client_side::{EventMessage, EventPayload, ReceivedSnapshot, SnapshotState};
use crate::protocol::episode::{EpisodeUpdate, EpisodeView};
use crate::protocol::payload::{AckUpdate, ControlLimitsView, SamplePayload, ViolationView};
use crate::protocol::snapshot::SnapshotPayload;
use crate::protocol::update::{CharacteristicUpdate, SampleUpdate};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Text alone.
    Plain,
    /// Severities and answers in colour (ANSI).
    Colour,
}

/// More decimals than a double has say nothing.
const MOST_DECIMALS: u32 = 17;

const CRITICAL: &str = "\x1b[1;31m"; // bold red
const WARNING: &str = "\x1b[33m"; // yellow
const INFO: &str = "\x1b[36m"; // cyan
const ANSWERED: &str = "\x1b[32m"; // green
const RESET: &str = "\x1b[0m";

/// The line of an event; none for a type that this version does not know.
pub fn line(event: &EventMessage, style: Style) -> Option<String> {
    let (time, what, colour, rest) = match &event.payload {
        EventPayload::Sample(sample) => {
            (Some(sample.timestamp), "sample".to_owned(), None, of_sample(sample))
        }
        EventPayload::Violation(violation) => (
            Some(violation.timestamp),
            format!("VIOLATION #{}", violation.id),
            Some(colour_of(violation.severity)),
            of_violation(violation),
        ),
        EventPayload::AckUpdate(ack) => {
            (ack.timestamp, format!("ack #{}", ack.violation_id), Some(ANSWERED), of_ack(ack))
        }
        EventPayload::ControlLimits(limits) => (
            Some(limits.timestamp),
            format!("limits {}", numbered(limits.limits_id)),
            None,
            of_limits(limits),
        ),
        EventPayload::SampleUpdate(update) => {
            (Some(update.timestamp), format!("sample #{}", update.sample_id), None, of_exclusion(update))
        }
        EventPayload::ViolationUpdate(update) => {
            let rest = format!("{}: {}", word(&update.status), printable(&update.reason));
            (Some(update.timestamp), format!("violation #{}", update.violation_id), Some(ANSWERED), rest)
        }
        EventPayload::CharacteristicUpdate(update) => {
            (Some(update.timestamp), "characteristic".to_owned(), None, of_change(update))
        }
        EventPayload::Episode(update) => (
            Some(update.timestamp),
            format!("EPISODE #{}", update.episode.id),
            Some(match update.change {
                EpisodeChange::Opened | EpisodeChange::Worsened | EpisodeChange::Lapsed => {
                    colour_of(update.episode.severity)
                }
                EpisodeChange::Acknowledged | EpisodeChange::Closed => ANSWERED,
            }),
            of_episode(update),
        ),
        EventPayload::Other { .. } => return None,
    };
    let time = time.map_or_else(|| "-".to_owned(), clock_time);
    let what = coloured(&format!("{what:<15}"), colour, style);
    let withheld = match event.skipped {
        0 => String::new(),
        skipped => format!("  [{skipped} withheld before]"),
    };
    let line = format!("{time:<20}  {what}  {:>5}  {rest}{withheld}", event.characteristic_id.get());
    Some(line)
}

/// The line of a present state.
pub fn snapshot_line(snapshot: &ReceivedSnapshot) -> String {
    let SnapshotState::Known(state) = &snapshot.payload else {
        return format!("{:<20}  {:<15}  {:>5}", "-", "present state", snapshot.characteristic_id.get());
    };
    let SnapshotPayload { characteristic, newest_sample, alarm_state, open_total, .. } = &**state;
    let decimals = characteristic.definition.decimals;
    let newest = newest_sample.as_ref();
    let time = newest.map_or_else(|| "-".to_owned(), |sample| clock_time(sample.timestamp));
    let value = newest.map_or_else(|| "-".to_owned(), |sample| number(sample.value, decimals));
    format!(
        "{time:<20}  {:<15}  {:>5}  {value:>10}  {}: {}, {open_total} open",
        "present state",
        snapshot.characteristic_id.get(),
        printable(&characteristic.definition.name),
        word(alarm_state),
    )
}

/// A line beside the output.
pub fn note(text: &str) {
    // Nobody reads it any more: then nobody misses it.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Text of the server without what could steer the terminal: escapes, line breaks, turned reading directions.
pub fn printable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn numbered(id: Option<LimitsId>) -> String {
    id.map_or_else(|| "-".to_owned(), |id| format!("#{id}"))
}

fn of_sample(sample: &SamplePayload) -> String {
    let zone = sample.zone.map_or_else(|| "no limits yet".to_owned(), |zone| word(&zone));
    let mut line = format!("{:>10}  {zone}", number(sample.value, None));
    if !sample.violations.is_empty() {
        let rules: Vec<_> = sample.violations.iter().map(|v| v.rule_id.to_string()).collect();
        let rules = rules.join(", ");
        line += &format!("  rule {rules}");
    }
    match sample.out_of_spec {
        None | Some(0) => line,
        Some(count) => format!("{line}  {count} of {} out of specification", sample.n),
    }
}

fn of_violation(violation: &ViolationView) -> String {
    let value =
        |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| number(value, violation.decimals));
    let unit = violation.unit.as_deref().map(|unit| format!(" {}", printable(unit))).unwrap_or_default();
    format!(
        "{:<8}  {}: rule {} {}, {}  ({}{unit}, limits {} .. {})",
        word(&violation.severity),
        printable(&violation.characteristic_name),
        violation.rule_id,
        printable(&violation.rule_name),
        printable(&violation.message),
        value(violation.value),
        value(violation.lcl),
        value(violation.ucl),
    )
}

fn of_episode(update: &EpisodeUpdate) -> String {
    let EpisodeView {
        severity, characteristic_name, rules, violation_total, ack_user, closing_reason, ..
    } = &update.episode;
    let rules: Vec<_> = rules.iter().map(|rule| printable(&rule.rule_name)).collect();
    let more = match update.change {
        EpisodeChange::Acknowledged => ack_user.as_deref().map(|user| format!(" by {}", printable(user))),
        EpisodeChange::Closed => closing_reason.map(|reason| format!(" ({})", word(&reason))),
        _ => None,
    };
    format!(
        "{:<8}  {}: {}{}, {}, {violation_total} in all",
        word(severity),
        printable(characteristic_name),
        word(&update.change),
        more.unwrap_or_default(),
        rules.join(" + "),
    )
}

fn of_ack(ack: &AckUpdate) -> String {
    let reason = ack.reason.as_deref().unwrap_or("no reason given");
    let user = ack.user.as_deref().unwrap_or("unknown");
    let line = format!("{} ({})", printable(reason), printable(user));
    match &ack.comment {
        Some(comment) => format!("{line}: {}", printable(comment)),
        None => line,
    }
}

fn of_limits(limits: &ControlLimitsView) -> String {
    let value = |value| number(value, None);
    let mut line = format!(
        "{} .. {} .. {}, sigma {}, {}",
        value(limits.lcl),
        value(limits.center_line),
        value(limits.ucl),
        value(limits.sigma),
        word(&limits.method),
    );
    if let Some(count) = limits.sample_count {
        line += &format!(" of {count} samples");
    }
    if let Some(user) = &limits.user {
        line += &format!(" ({})", printable(user));
    }
    match &limits.reason {
        Some(reason) => format!("{line}: {}", printable(reason)),
        None => line,
    }
}

fn of_exclusion(update: &SampleUpdate) -> String {
    let what = if update.is_excluded { "excluded" } else { "included again" };
    let by = update.user.as_deref().map(|user| format!(" ({})", printable(user))).unwrap_or_default();
    format!("{what}{by}: {}", printable(&update.reason))
}

fn of_change(update: &CharacteristicUpdate) -> String {
    let changes: Vec<_> = update.changes.keys().map(|name| printable(name)).collect();
    let by = update.user.as_deref().map(|user| format!(" ({})", printable(user))).unwrap_or_default();
    format!("changed: {}{by}", changes.join(", "))
}

fn clock_time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn colour_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => CRITICAL,
        Severity::Warning => WARNING,
        Severity::Info => INFO,
    }
}

fn coloured(text: &str, colour: Option<&str>, style: Style) -> String {
    match (style, colour) {
        (Style::Colour, Some(colour)) => format!("{colour}{text}{RESET}"),
        _ => text.to_owned(),
    }
}

/// The word on the wire.
fn word(value: &impl Serialize) -> String {
    let word = serde_json::to_value(value).ok();
    word.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_else(|| "?".to_owned())
}

/// With so many decimals, or else the shortest text that reads back as the same number.
fn number(value: f64, decimals: Option<u32>) -> String {
    match decimals {
        Some(decimals) => format!("{value:.*}", decimals.min(MOST_DECIMALS) as usize),
        None if value != 0.0 && !(1e-5..1e15).contains(&value.abs()) => format!("{value:e}"),
        None => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::client_side::Received;

    const SAMPLE: &str = r#"{"sample_id":90,"characteristic_id":7,"timestamp":"2026-11-20T11:00:00.250+01:00","received_at":"2026-11-20T10:00:01Z","value":74.035,"n":5,"range_value":0.01,"std_dev":0.004,"dispersion_value":0.01,"zone":"zone_a_upper","in_control":true,"limits_id":3,"ucl":74.014,"center_line":74.001,"lcl":73.988,"out_of_spec":0,"mode":"live","violations":[]}"#;
    const VIOLATION: &str = r#"{"id":12,"violation_id":12,"sample_id":90,"characteristic_id":7,"characteristic_name":"Bore diameter","characteristic_key":null,"group":null,"unit":"mm","decimals":3,"chart":"location","rule_id":1,"rule_name":"Outlier","severity":"CRITICAL","message":"point above the upper control limit","side":"upper","value":74.035,"center_line":74.001,"ucl":74.0143,"lcl":73.98765,"sigma":0.01,"n":5,"involved_sample_ids":[90],"timestamp":"2026-11-20T10:00:00Z","created_at":"2026-11-20T10:00:01Z","rejudged":false,"status":"open","requires_acknowledgement":true,"acknowledged":false,"ack_user":null,"ack_reason":null,"ack_comment":null,"ack_timestamp":null,"source":null,"external_id":null,"external_sample_id":null}"#;
    const ACK: &str = r#"{"violation_id":12,"characteristic_id":7,"sample_id":90,"acknowledged":true,"user":"Kim","reason":"Tool Change","comment":"new insert","timestamp":"2026-11-20T10:00:05Z","source":null,"external_id":null}"#;
    const LIMITS: &str = r#"{"characteristic_id":7,"limits_id":3,"center_line":74.001,"ucl":74.014,"lcl":73.988,"sigma":0.00967,"dispersion":null,"method":"moving_range","sample_count":25,"first_sample_id":1,"timestamp":"2026-11-20T10:00:06Z","reason":"first study","user":"Kim"}"#;

    fn event(name: &str, payload: &str) -> EventMessage {
        let text =
            format!(r#"{{"type":"{name}","seq":1,"characteristic_id":7,"revision":1,"payload":{payload}}}"#);
        match Received::parse(&text) {
            Ok(Received::Event(event)) => event,
            other => panic!("{other:?}"),
        }
    }

    fn plain(name: &str, payload: &str) -> String {
        line(&event(name, payload), Style::Plain).expect("a known type")
    }

    #[test]
    fn each_kind_has_its_line_with_aligned_columns() {
        let lines = [
            plain("sample", SAMPLE),
            plain("violation", VIOLATION),
            plain("ack_update", ACK),
            plain("control_limits", LIMITS),
        ];
        let expected = [
            "2026-11-20 10:00:00Z  sample               7      74.035  zone_a_upper",
            "2026-11-20 10:00:00Z  VIOLATION #12        7  CRITICAL  Bore diameter: rule 1 Outlier, point above the upper control limit  (74.035 mm, limits 73.988 .. 74.014)",
            "2026-11-20 10:00:05Z  ack #12              7  Tool Change (Kim): new insert",
            "2026-11-20 10:00:06Z  limits #3            7  73.988 .. 74.001 .. 74.014, sigma 0.00967, moving_range of 25 samples (Kim): first study",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_present_state_has_its_line_in_the_same_columns() {
        let characteristic = r#"{"id":7,"name":"Bore\u001b","key":null,"description":null,"chart":"i_mr","subgroup_size":1,"min_measurements":1,"unit":null,"decimals":2,"target":null,"usl":null,"lsl":null,"group":null,"tags":[],"auto_limits_after":null,"reaction_plan":null,"rules":[],"created_at":"2026-01-02T03:04:05Z","retired":false}"#;
        for (newest, expected) in [
            (
                SAMPLE,
                "2026-11-20 10:00:00Z  present state        7       74.03  Bore\u{fffd}: active_unacked, 3 open",
            ),
            (
                "null",
                "-                     present state        7           -  Bore\u{fffd}: active_unacked, 3 open",
            ),
        ] {
            let text = format!(
                r#"{{"type":"snapshot","characteristic_id":7,"seq":5,"revision":4,"payload":{{"characteristic":{characteristic},"newest_sample":{newest},"control_limits":null,"alarm_state":"active_unacked","open_violations":[],"open_total":3}}}}"#
            );
            let Ok(Received::Snapshot(snapshot)) = Received::parse(&text) else { panic!("{text}") };
            assert_eq!(snapshot_line(&snapshot), expected);
        }
    }

    #[test]
    fn a_sample_tells_what_is_wrong_with_it() {
        let summary = r#"[{"violation_id":1,"chart":"location","rule_id":1,"rule_name":"Outlier","severity":"CRITICAL"},{"violation_id":2,"chart":"location","rule_id":5,"rule_name":"Zone A","severity":"WARNING"}]"#;
        let bad = SAMPLE
            .replace(r#""violations":[]"#, &format!(r#""violations":{summary}"#))
            .replace(r#""out_of_spec":0"#, r#""out_of_spec":2"#);
        let line = plain("sample", &bad);
        assert!(line.ends_with("zone_a_upper  rule 1, 5  2 of 5 out of specification"), "{line}");
        let unjudged = plain("sample", &SAMPLE.replace(r#""zone":"zone_a_upper""#, r#""zone":null"#));
        assert!(unjudged.ends_with("74.035  no limits yet"), "{unjudged}");
    }

    #[test]
    fn withheld_revisions_are_told() {
        let mut event = event("sample", SAMPLE);
        event.skipped = 4;
        assert!(line(&event, Style::Plain).expect("known").ends_with("zone_a_upper  [4 withheld before]"));
    }

    #[test]
    fn only_colour_writes_escapes() {
        let violation = event("violation", VIOLATION);
        let coloured = line(&violation, Style::Colour).expect("known");
        assert!(coloured.contains("\x1b[1;31mVIOLATION #12  \x1b[0m"), "{coloured:?}");
        assert!(!plain("violation", VIOLATION).contains('\x1b'));
    }

    #[test]
    fn the_servers_text_cannot_steer_the_terminal() {
        let hostile = r"\u001b[2J\u009b31m\u0007x\r\ny\u202ez\u007f";
        for (name, payload, text) in [
            ("violation", VIOLATION, "Bore diameter"),
            ("violation", VIOLATION, "mm"),
            ("violation", VIOLATION, "Outlier"),
            ("violation", VIOLATION, "point above the upper control limit"),
            ("ack_update", ACK, "Kim"),
            ("ack_update", ACK, "Tool Change"),
            ("ack_update", ACK, "new insert"),
            ("control_limits", LIMITS, "first study"),
            ("control_limits", LIMITS, "Kim"),
        ] {
            let line = plain(name, &payload.replace(&format!("\"{text}\""), &format!("\"{hostile}\"")));
            assert!(line.contains('x') && line == printable(&line), "{line:?}");
        }
        assert_eq!(printable("Bohrung Ø 74 µm 直径"), "Bohrung Ø 74 µm 直径");
    }

    #[test]
    fn numbers_are_short_and_honest() {
        for (value, decimals, text) in [
            (74.0, None, "74"),
            (0.1 + 0.2, None, "0.30000000000000004"),
            (1e-9, None, "1e-9"),
            (1e300, None, "1e300"),
            (0.0, None, "0"),
            (74.0, Some(3), "74.000"),
            (74.0349, Some(0), "74"),
            (0.5, Some(u32::MAX), "0.50000000000000000"),
        ] {
            assert_eq!(number(value, decimals), text);
        }
    }

    #[test]
    fn an_unknown_type_has_no_line() {
        assert_eq!(line(&event("weather", "{}"), Style::Plain), None);
    }
}
