//! A notice as programs are told it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::domain::episode::EpisodeChange;
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

/// An alert: its notice, or all of them as a `digest`.
pub fn event(alert: &Alert) -> Value {
    match &alert.others[..] {
        [] => of(&alert.notice, alert.reminder),
        _ => json!({"type": "digest", "timestamp": time(newest(alert)), "data": digest(alert)}),
    }
}

/// All that an alert tells, what matters most first.
pub fn digest(alert: &Alert) -> Value {
    json!({"notices": alert.parts().map(|(notice, reminder)| of(notice, reminder)).collect::<Vec<_>>()})
}

/// Of what an alert tells, what came last.
pub fn newest(alert: &Alert) -> &Notice {
    let newest = alert.parts().map(|(notice, _)| notice).max_by_key(|notice| age(notice));
    newest.unwrap_or(&alert.notice)
}

/// What sorts notices of one episode as they came: those of one commit have the same time.
pub fn age(notice: &Notice) -> (DateTime<Utc>, Option<usize>) {
    let change = notice.update.change;
    (notice.update.timestamp, EpisodeChange::ALL.iter().position(|it| *it == change))
}

/// Of a reminder, with its number.
fn of(notice: &Notice, reminder: u32) -> Value {
    let mut event = json!({"type": kind(notice), "timestamp": time(notice), "data": notice});
    if reminder > 0 {
        event["reminder"] = json!(reminder);
    }
    event
}
