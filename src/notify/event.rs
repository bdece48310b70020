//! A notice as programs are told it.

use chrono::SecondsFormat;
use serde_json::{Value, json};

use crate::notify::notifier::Alert;
use crate::protocol::notice::Notice;

/// `episode.` and what is new.
pub fn kind(notice: &Notice) -> String {
    format!("episode.{}", notice.update.change.as_str())
}

/// RFC 3339.
pub fn time(notice: &Notice) -> String {
    notice.update.timestamp.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// An alert: its notice, or all of them as a `digest`. Of a reminder, with its number.
pub fn event(alert: &Alert) -> Value {
    let mut event = match &alert.others[..] {
        [] => of(&alert.notice),
        _ => json!({"type": "digest", "timestamp": time(newest(alert)), "data": digest(alert)}),
    };
    if alert.reminder > 0 {
        event["reminder"] = json!(alert.reminder);
    }
    event
}

/// All that an alert tells, what matters most first.
pub fn digest(alert: &Alert) -> Value {
    json!({"notices": alert.notices().map(of).collect::<Vec<_>>()})
}

/// Of what an alert tells, what came last.
pub fn newest(alert: &Alert) -> &Notice {
    alert.notices().max_by_key(|notice| notice.update.timestamp).unwrap_or(&alert.notice)
}

fn of(notice: &Notice) -> Value {
    json!({"type": kind(notice), "timestamp": time(notice), "data": notice})
}
