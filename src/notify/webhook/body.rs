//! What a webhook says, in the words of its receiver.

use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};

use crate::domain::episode::EpisodeChange;
use crate::domain::rules::Severity;
use crate::notify::notifier::Alert;
use crate::notify::webhook::settings::Format;
use crate::notify::wording::{sentence, severity};
use crate::protocol::notice::Notice;

/// For how long after the newest notice the Alertmanager takes an open episode for firing.
const LONGEST_SILENCE: TimeDelta = TimeDelta::days(7);

/// A body with its media type.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// The value of `content-type`.
    pub media_type: &'static str,
    /// The body.
    pub bytes: Vec<u8>,
}

/// The body of an alert in a format.
pub fn body(format: Format, alert: &Alert) -> Body {
    let notice = &*alert.notice;
    let (media_type, value) = match format {
        Format::Andon => ("application/json", event(notice)),
        Format::CloudEvents => ("application/cloudevents+json", cloud_event(alert)),
        Format::Slack => ("application/json", slack(notice)),
        Format::Teams => ("application/json", teams(notice)),
        Format::Alertmanager => ("application/json", alertmanager(notice)),
    };
    Body { media_type, bytes: value.to_string().into_bytes() }
}

/// `episode.` and what is new.
fn kind(notice: &Notice) -> String {
    format!("episode.{}", notice.update.change.as_str())
}

fn event(notice: &Notice) -> Value {
    json!({"type": kind(notice), "timestamp": time(notice), "data": notice})
}

fn cloud_event(alert: &Alert) -> Value {
    let notice = &*alert.notice;
    let episode = &notice.update.episode;
    json!({
        "specversion": "1.0",
        "id": alert.delivery_id,
        "source": "/andon",
        "type": format!("andon.{}", kind(notice)),
        "subject": format!("characteristics/{}/episodes/{}", episode.characteristic_id, episode.id),
        "time": time(notice),
        "datacontenttype": "application/json",
        "data": notice,
    })
}

/// RFC 3339, as all of these formats want it.
fn time(notice: &Notice) -> String {
    notice.update.timestamp.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn slack(notice: &Notice) -> Value {
    let sign = match (notice.update.change, notice.update.episode.severity) {
        (EpisodeChange::Closed, _) => ":white_check_mark:",
        (EpisodeChange::Acknowledged, _) => ":raised_hand:",
        (_, Severity::Critical) => ":red_circle:",
        (_, Severity::Warning) => ":large_yellow_circle:",
        (_, Severity::Info) => ":large_blue_circle:",
    };
    // Slack takes these three characters for its own; anything else is text.
    let text = sentence(notice).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    json!({"text": format!("{sign} *{}* {text}", severity(notice)), "mrkdwn": true})
}

fn teams(notice: &Notice) -> Value {
    let color = match (notice.update.change, notice.update.episode.severity) {
        (EpisodeChange::Closed | EpisodeChange::Acknowledged, _) => "Good",
        (_, Severity::Critical) => "Attention",
        (_, Severity::Warning) => "Warning",
        (_, Severity::Info) => "Accent",
    };
    let title = json!({"type": "TextBlock", "text": severity(notice), "weight": "Bolder", "color": color});
    // A rich text is shown as it is; a text block would read markup in it.
    let run = json!({"type": "TextRun", "text": sentence(notice)});
    let text = json!({"type": "RichTextBlock", "inlines": [run]});
    json!({"type": "message", "attachments": [{
        "contentType": "application/vnd.microsoft.card.adaptive",
        "content": {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": [title, text],
        },
    }]})
}

/// One alert for each episode: its labels are the same from the first notice to the last.
fn alertmanager(notice: &Notice) -> Value {
    let episode = &notice.update.episode;
    let mut labels = json!({
        "alertname": "andon_episode",
        "characteristic_id": episode.characteristic_id.to_string(),
        "characteristic": episode.characteristic_name,
        "episode": episode.id.to_string(),
    });
    if let Some(group) = &episode.group {
        labels["group"] = json!(group);
    }
    if let Some(key) = &episode.characteristic_key {
        labels["key"] = json!(key);
    }
    let annotations = json!({
        "summary": sentence(notice),
        "severity": severity(notice),
        "acknowledged_by": episode.ack_user.as_deref().unwrap_or_default(),
    });
    let mut alert = json!({
        "labels": labels,
        "annotations": annotations,
        "startsAt": episode.opened_at.to_rfc3339_opts(SecondsFormat::Micros, true),
    });
    // Without an end, it would be taken for resolved after minutes: it is told only when something is new.
    let end = episode.closed_at.unwrap_or(notice.update.timestamp + LONGEST_SILENCE);
    alert["endsAt"] = json!(end.to_rfc3339_opts(SecondsFormat::Micros, true));
    json!([alert])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::sample::sample_alert;

    fn said(format: Format, change: EpisodeChange, name: &str) -> Value {
        let body = body(format, &sample_alert("log-7", "", change, name));
        serde_json::from_slice(&body.bytes).expect("JSON")
    }

    #[test]
    fn an_event_has_type_time_and_the_notice() {
        let event = said(Format::Andon, EpisodeChange::Opened, "Bore");
        assert_eq!(
            (&event["type"], &event["timestamp"]),
            (&json!("episode.opened"), &json!("2026-01-05T08:00:00.000000Z"))
        );
        assert_eq!(
            (&event["data"]["change"], &event["data"]["violation"]["value"]),
            (&json!("opened"), &json!(74.035))
        );
    }

    #[test]
    fn a_cloud_event_has_what_version_1_requires() {
        let event = said(Format::CloudEvents, EpisodeChange::Closed, "Bore");
        let required = ["specversion", "id", "source", "type"]
            .map(|name| event[name].as_str().expect("text").to_owned());
        assert_eq!(required, ["1.0", "log-7", "/andon", "andon.episode.closed"]);
        assert_eq!(event["subject"], "characteristics/1/episodes/1");
    }

    #[test]
    fn names_are_no_markup() {
        let slack = said(Format::Slack, EpisodeChange::Opened, "<!channel> & Bore");
        assert_eq!(
            slack["text"],
            ":red_circle: *CRITICAL* &lt;!channel&gt; &amp; Bore: 1 point beyond the control limits, 74.035 mm"
        );
        let teams = said(Format::Teams, EpisodeChange::Acknowledged, "[Bore](http://x)");
        let body = &teams["attachments"][0]["content"]["body"];
        assert_eq!(body[0]["color"], "Good");
        assert_eq!(body[1]["inlines"][0]["text"], "[Bore](http://x): acknowledged by ann, Tool Change");
    }

    #[test]
    fn the_alertmanager_sees_one_alert_that_ends() {
        let opened = said(Format::Alertmanager, EpisodeChange::Opened, "Bore");
        let closed = said(Format::Alertmanager, EpisodeChange::Closed, "Bore");
        assert_eq!(opened[0]["labels"], closed[0]["labels"]);
        assert_eq!(opened[0]["startsAt"], closed[0]["startsAt"]);
        assert_eq!(
            (&opened[0]["endsAt"], &closed[0]["endsAt"]),
            (&json!("2026-01-12T08:00:00.000000Z"), &json!("2026-01-05T09:30:00.000000Z"))
        );
        let labels = closed[0]["labels"].as_object().expect("labels");
        assert!(labels.values().all(Value::is_string), "{labels:?}");
    }
}
