//! Alerts about a process that does not exist, to try receivers with.

use std::sync::Arc;

use serde_json::json;

use crate::domain::episode::EpisodeChange;
use crate::notify::notifier::Alert;
use crate::protocol::notice::Notice;

/// An alert of a piston ring that is too wide (sample 37 of Montgomery's example), as its delivery's first attempt.
pub fn sample_alert(delivery_id: &str, recipient: &str, change: EpisodeChange, name: &str) -> Alert {
    let is_answered = matches!(change, EpisodeChange::Acknowledged | EpisodeChange::Closed);
    let is_over = change == EpisodeChange::Closed;
    let answer = |text: &str| is_answered.then(|| text.to_owned());
    let (found, answered, over) =
        ("2026-01-05T08:00:00.000000Z", "2026-01-05T08:04:00.000000Z", "2026-01-05T09:30:00.000000Z");
    let subject = json!({
        "characteristic_id": 1, "characteristic_name": name, "characteristic_key": "RING-1:width",
        "group": "plant/line4",
    });
    let acknowledgement = json!({
        "acknowledged": is_answered, "ack_user": answer("ann"), "ack_reason": answer("Tool Change"),
        "ack_comment": null, "ack_timestamp": answer(answered),
    });
    let mut violation = json!({
        "id": 1, "violation_id": 1, "episode_id": 1, "sample_id": 37, "unit": "mm", "decimals": 3, "chart": "location",
        "rule_id": 1, "rule_name": "Outlier", "severity": "CRITICAL", "message": "1 point beyond the control limits",
        "side": "upper", "value": 74.035, "center_line": 74.00118, "ucl": 74.01458, "lcl": 73.98778, "sigma": 0.0099,
        "n": 5, "involved_sample_ids": [37], "timestamp": found, "created_at": found, "rejudged": false,
        "status": "open", "requires_acknowledgement": true, "source": null, "external_id": null,
        "external_sample_id": null,
    });
    let mut notice = json!({
        "change": change, "timestamp": if is_over { over } else if is_answered { answered } else { found },
        "id": 1, "episode_id": 1, "status": if is_over { "closed" } else { "open" }, "severity": "CRITICAL",
        "rules": [{"chart": "location", "rule_id": 1, "rule_name": "Outlier"}], "violation_total": 1,
        "unacknowledged": u8::from(!is_answered), "first_violation_id": 1, "newest_violation_id": 1,
        "opened_at": found, "lapsed_at": null, "closed_at": is_over.then_some(over),
        "closing_reason": is_over.then_some("in_control"),
    });
    for more in [&subject, &acknowledgement] {
        for (key, value) in more.as_object().expect("an object") {
            violation[key] = value.clone();
            notice[key] = value.clone();
        }
    }
    notice["violation"] = violation;
    notice["pattern_began_at"] = json!(found);
    notice["reaction_plan"] = json!("Stop the press. Measure five rings of the last box.");
    let notice: Notice = serde_json::from_value(notice).expect("all that a notice has");
    Alert {
        delivery_id: delivery_id.to_owned(),
        attempt: 1,
        recipient: recipient.to_owned(),
        step: 0,
        reminder: 0,
        notice: Arc::new(notice),
        others: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_of_each_change() {
        for change in EpisodeChange::ALL {
            let alert = sample_alert("d", "", change, "Bore");
            assert_eq!(alert.notice.update.change, change);
            let text = serde_json::to_string(&*alert.notice).expect("encodes");
            assert_eq!(serde_json::from_str::<Notice>(&text).expect("decodes"), *alert.notice);
        }
    }
}
