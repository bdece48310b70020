//! What a webhook says, in the words of its receiver.

use std::collections::BTreeMap;

use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};

use crate::domain::episode::EpisodeChange;
use crate::domain::ids::EpisodeId;
use crate::domain::rules::Severity;
use crate::notify::event::{age, digest, event, kind, newest, time};
use crate::notify::notifier::Alert;
use crate::notify::webhook::settings::Format;
use crate::notify::wording::{line, sentence, severity};
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
    let (media_type, value) = match format {
        Format::Andon => ("application/json", event(alert)),
        Format::CloudEvents => ("application/cloudevents+json", cloud_event(alert)),
        Format::Slack => ("application/json", slack(alert)),
        Format::Teams => ("application/json", teams(alert)),
        Format::Alertmanager => ("application/json", alertmanager(alert)),
    };
    Body { media_type, bytes: value.to_string().into_bytes() }
}

fn cloud_event(alert: &Alert) -> Value {
    let notice = &*alert.notice;
    let episode = &notice.update.episode;
    let mut event = json!({
        "specversion": "1.0",
        "id": alert.delivery_id,
        "source": "/andon",
        "type": format!("andon.{}", kind(notice)),
        "subject": format!("characteristics/{}/episodes/{}", episode.characteristic_id, episode.id),
        "time": time(newest(alert)),
        "datacontenttype": "application/json",
        "data": notice,
    });
    if !alert.others.is_empty() {
        (event["type"], event["subject"]) = (json!("andon.digest"), json!("digest"));
        event["data"] = digest(alert);
    }
    if alert.others.is_empty() && alert.reminder > 0 {
        event["reminder"] = json!(alert.reminder); // an extension attribute
    }
    event
}

/// Each notice in words.
fn lines(alert: &Alert) -> impl Iterator<Item = (&Notice, String)> {
    alert.parts().map(|(notice, reminder)| (notice, line(notice, reminder)))
}

fn slack(alert: &Alert) -> Value {
    let shown = |(notice, text): (&Notice, String)| {
        let sign = match (notice.update.change, notice.update.episode.severity) {
            (EpisodeChange::Closed, _) => ":white_check_mark:",
            (EpisodeChange::Acknowledged, _) => ":raised_hand:",
            (_, Severity::Critical) => ":red_circle:",
            (_, Severity::Warning) => ":large_yellow_circle:",
            (_, Severity::Info) => ":large_blue_circle:",
        };
        // Slack takes these three characters for its own; anything else is text.
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        format!("{sign} *{}* {text}", severity(notice))
    };
    json!({"text": lines(alert).map(shown).collect::<Vec<_>>().join("\n"), "mrkdwn": true})
}

fn teams(alert: &Alert) -> Value {
    let blocks = |(notice, text): (&Notice, String)| {
        let color = match (notice.update.change, notice.update.episode.severity) {
            (EpisodeChange::Closed | EpisodeChange::Acknowledged, _) => "Good",
            (_, Severity::Critical) => "Attention",
            (_, Severity::Warning) => "Warning",
            (_, Severity::Info) => "Accent",
        };
        let title =
            json!({"type": "TextBlock", "text": severity(notice), "weight": "Bolder", "color": color});
        // A rich text is shown as it is; a text block would read markup in it.
        let run = json!({"type": "TextRun", "text": text});
        [title, json!({"type": "RichTextBlock", "inlines": [run]})]
    };
    json!({"type": "message", "attachments": [{
        "contentType": "application/vnd.microsoft.card.adaptive",
        "content": {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": lines(alert).flat_map(blocks).collect::<Vec<_>>(),
        },
    }]})
}

/// One alert for each episode: its labels are the same from the first notice to the last.
fn alertmanager(alert: &Alert) -> Value {
    let mut newest: BTreeMap<EpisodeId, &Notice> = BTreeMap::new();
    for (notice, _) in alert.parts() {
        let known = newest.entry(notice.update.episode.id).or_insert(notice);
        if age(known) < age(notice) {
            *known = notice;
        }
    }
    newest.into_values().map(firing).collect()
}

fn firing(notice: &Notice) -> Value {
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
    // Without an end, it would be taken for resolved after minutes: it is told only when something is new.
    let end = episode.closed_at.unwrap_or(notice.update.timestamp + LONGEST_SILENCE);
    json!({
        "labels": labels,
        "annotations": annotations,
        "startsAt": episode.opened_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        "endsAt": end.to_rfc3339_opts(SecondsFormat::Micros, true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::notifier::Part;
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
    fn several_notices_are_told_in_one_message_in_each_format() {
        let mut alert = sample_alert("log-7", "", EpisodeChange::Opened, "Bore");
        let part = |change, reminder| Part { reminder, notice: sample_alert("", "", change, "Bore").notice };
        alert.others = vec![part(EpisodeChange::Closed, 0), part(EpisodeChange::Worsened, 1)]; // of the same episode
        let said = |format| serde_json::from_slice::<Value>(&body(format, &alert).bytes).expect("JSON");
        let andon = said(Format::Andon);
        let times = (&andon["type"], &andon["timestamp"]);
        assert_eq!(times, (&json!("digest"), &json!("2026-01-05T09:30:00.000000Z")));
        let reminders = [0, 1, 2].map(|place| &andon["data"]["notices"][place]["reminder"]);
        assert_eq!(reminders, [&Value::Null, &Value::Null, &json!(1)]);
        let kinds: Vec<_> =
            andon["data"]["notices"].as_array().expect("a list").iter().map(|it| &it["type"]).collect();
        assert_eq!(kinds, ["episode.opened", "episode.closed", "episode.worsened"]);
        let cloud = said(Format::CloudEvents);
        assert_eq!((&cloud["type"], &cloud["data"]), (&json!("andon.digest"), &andon["data"]));
        let slack = said(Format::Slack)["text"].as_str().expect("text").to_owned();
        let lines: Vec<_> = slack.lines().collect();
        assert!(lines.len() == 3 && lines[2].ends_with("(nobody has answered, reminder 1)"), "{slack}");
        assert!(lines[1].starts_with(":white_check_mark:"), "{slack}");
        let teams = said(Format::Teams);
        assert_eq!(teams["attachments"][0]["content"]["body"].as_array().map(Vec::len), Some(6));
        let alerts = said(Format::Alertmanager);
        assert_eq!(alerts.as_array().map(Vec::len), Some(1), "one for each episode");
        assert_eq!(alerts[0]["endsAt"], "2026-01-05T09:30:00.000000Z");
        // Opened and closed by one commit: it is over.
        let mut closed = (*alert.others[0].notice).clone();
        closed.update.timestamp = alert.notice.update.timestamp;
        alert.others = vec![Part { reminder: 0, notice: closed.into() }];
        let alerts: Value = serde_json::from_slice(&body(Format::Alertmanager, &alert).bytes).expect("JSON");
        assert_eq!(alerts[0]["endsAt"], "2026-01-05T09:30:00.000000Z");
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
