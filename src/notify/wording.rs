//! What has happened, in words: for whoever reads a line, whatever it is sent by.

use crate::domain::episode::EpisodeChange;
use crate::domain::rules::Severity;
use crate::notify::notifier::Alert;
use crate::protocol::notice::Notice;
use crate::protocol::payload::ViolationView;

/// What an alert says, in a line: what matters most of it, and how much else there is.
pub fn headline(alert: &Alert) -> String {
    let line = line(&alert.notice, alert.reminder);
    match alert.others.len() {
        0 => line,
        more => format!("{line}, and {more} more"),
    }
}

/// What has happened, in a line; of a reminder, that it is one.
pub fn line(notice: &Notice, reminder: u32) -> String {
    match reminder {
        0 => sentence(notice),
        _ => format!("{} (nobody has answered, reminder {reminder})", sentence(notice)),
    }
}

/// What has happened, in a line: whose, what, and whether that is news.
pub fn sentence(notice: &Notice) -> String {
    let (change, episode) = (notice.update.change, &notice.update.episode);
    let name = &episode.characteristic_name;
    match change {
        EpisodeChange::Opened | EpisodeChange::Worsened | EpisodeChange::Lapsed => {
            let message = notice.violation.as_ref().map_or("a rule fired", |v| v.message.as_str());
            let value = notice.violation.as_ref().and_then(value).map(|value| format!(", {value}"));
            let since = match change {
                EpisodeChange::Worsened => " (worse than before)",
                EpisodeChange::Lapsed => " (still, although it was acknowledged)",
                _ => "",
            };
            format!("{name}: {message}{}{since}", value.unwrap_or_default())
        }
        EpisodeChange::Acknowledged => {
            let user = episode.ack_user.as_deref().unwrap_or("somebody");
            format!(
                "{name}: acknowledged by {user}, {}",
                episode.ack_reason.as_deref().unwrap_or("no reason")
            )
        }
        EpisodeChange::Closed => {
            let total = episode.violation_total;
            format!("{name}: over after {total} violation{}", if total == 1 { "" } else { "s" })
        }
    }
}

/// The plotted value with its unit, as precisely as its characteristic is measured.
pub fn value(violation: &ViolationView) -> Option<String> {
    let value = violation.value?;
    let number = precisely(value, violation.decimals);
    Some(match violation.unit.as_deref() {
        Some(unit) => format!("{number} {unit}"),
        None => number,
    })
}

/// A number with so many places behind its point; `None`: as many as it has.
pub fn precisely(value: f64, decimals: Option<u32>) -> String {
    match decimals {
        Some(decimals) => format!("{value:.*}", decimals as usize),
        None => value.to_string(),
    }
}

/// How severe, as a word.
pub fn severity(notice: &Notice) -> &'static str {
    match notice.update.episode.severity {
        Severity::Critical => "CRITICAL",
        Severity::Warning => "WARNING",
        Severity::Info => "INFO",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::notifier::Part;
    use crate::notify::sample::sample_alert;

    #[test]
    fn a_reminder_says_so_and_a_digest_how_much_it_is() {
        let mut alert = sample_alert("d", "", EpisodeChange::Opened, "Bore");
        alert.reminder = 2;
        let reminded = "Bore: 1 point beyond the control limits, 74.035 mm (nobody has answered, reminder 2)";
        assert_eq!(headline(&alert), reminded);
        let part = Part { reminder: 0, notice: alert.notice.clone() };
        alert.others = vec![part.clone(), part];
        assert_eq!(headline(&alert), format!("{reminded}, and 2 more"));
    }

    #[test]
    fn each_kind_of_news_has_its_sentence() {
        for (change, expected) in [
            (EpisodeChange::Opened, "Bore: 1 point beyond the control limits, 74.035 mm"),
            (
                EpisodeChange::Worsened,
                "Bore: 1 point beyond the control limits, 74.035 mm (worse than before)",
            ),
            (EpisodeChange::Acknowledged, "Bore: acknowledged by ann, Tool Change"),
            (EpisodeChange::Closed, "Bore: over after 1 violation"),
        ] {
            assert_eq!(sentence(&sample_alert("d", "", change, "Bore").notice), expected);
        }
        let mut notice = (*sample_alert("d", "", EpisodeChange::Lapsed, "Bore").notice).clone();
        notice.violation = None;
        assert_eq!(sentence(&notice), "Bore: a rule fired (still, although it was acknowledged)");
    }
}
