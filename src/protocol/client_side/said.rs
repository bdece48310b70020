//! The text of what a client says.

use serde_json::{Value, json};

use crate::protocol::socket::{Chosen, ClientMessage, Subscription, Unsubscription};

impl ClientMessage {
    /// The message as JSON text: what [`ClientMessage::parse`] reads.
    pub fn text(&self) -> String {
        let message = match self {
            Self::Subscribe(subscription) => subscribe(subscription),
            Self::Unsubscribe(Unsubscription { ids, groups }) => {
                let mut message = json!({"type": "unsubscribe", "characteristic_ids": ids});
                if !groups.is_empty() {
                    message["groups"] = json!(groups);
                }
                message
            }
            Self::Received(seq) => json!({"type": "received", "seq": seq}),
            Self::Status => json!({"type": "status"}),
            Self::ByKey(message, keys) => {
                let mut message: Value =
                    serde_json::from_str(&message.text()).expect("a message's own text is JSON");
                message["characteristic_keys"] = json!(keys);
                message
            }
            Self::Ping(ping) => match &ping.t {
                Some(t) => json!({"type": "ping", "t": t}),
                None => json!({"type": "ping"}),
            },
            Self::Auth(token) => json!({"type": "auth", "token": token}),
        };
        message.to_string()
    }
}

fn subscribe(subscription: &Subscription) -> Value {
    let Subscription { chosen, groups, since, snapshot, history, filter } = subscription;
    let mut message = match chosen {
        Chosen::All => json!({"type": "subscribe", "all": true}),
        Chosen::These(ids) => json!({"type": "subscribe", "characteristic_ids": ids}),
    };
    let mut put = |name: &str, is_said: bool, value: Value| {
        if is_said {
            message[name] = value;
        }
    };
    put("groups", !groups.is_empty(), json!(groups));
    put("since", since.is_some(), json!(since));
    put("snapshot", *snapshot, json!(true));
    put("history", *history, json!(true));
    put("filter", filter.is_some(), json!(filter));
    message
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::domain::ids::CharacteristicId;
    use crate::domain::rules::Severity;
    use crate::protocol::event::EventKind;
    use crate::protocol::socket::{Filter, Ping, Position};

    #[test]
    fn what_a_client_says_is_what_the_server_reads() {
        let id = |id| CharacteristicId::try_from(id).expect("positive");
        let t = RawValue::from_string(r#"{"a":1.5}"#.to_owned()).expect("JSON");
        let filter = Filter {
            types: Some(vec![EventKind::Violation]),
            min_severity: Some(Severity::Critical),
            rule_ids: Some(vec![1]),
            sample_max_hz: Some(0.5),
        };
        let position = Position { epoch: "e".to_owned(), seq: 9 };
        let full =
            Subscription::groups(vec!["plant".to_owned()]).since(position).with_snapshot().filtered(filter);
        let leave = ClientMessage::Unsubscribe(Unsubscription { ids: vec![id(2)], groups: vec![] });
        for message in [
            ClientMessage::Subscribe(Subscription::all()),
            ClientMessage::Subscribe(Subscription::these(vec![id(1), id(2)]).with_history()),
            ClientMessage::Subscribe(full),
            leave.clone(),
            ClientMessage::ByKey(Box::new(leave), vec!["k".to_owned()]),
            ClientMessage::Received(7),
            ClientMessage::Status,
            ClientMessage::Ping(Ping::default()),
            ClientMessage::Ping(Ping { t: Some(t) }),
            ClientMessage::Auth("a \"token\"".to_owned()),
        ] {
            assert_eq!(ClientMessage::parse(&message.text()), Ok(message));
        }
    }
}
