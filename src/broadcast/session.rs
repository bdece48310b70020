//! What a client's messages mean: turns each into replies and requests to the shard. No socket, no await.

use chrono::{DateTime, Utc};

use crate::protocol::socket::{
    ClientMessage, ErrorCode, Refusal, ServerMessage, Subscription, Unsubscription,
};

/// What has to be done about a message.
#[derive(Debug)]
pub enum Step {
    /// Say this.
    Reply(ServerMessage),
    /// Ask the shard to add these.
    Subscribe(Subscription),
    /// Ask the shard to take these away.
    Unsubscribe(Unsubscription),
    /// The client has processed everything up to here.
    Received(u64),
    /// Say how the connection is.
    Status,
    /// Find the characteristics with these keys, and then take the message with them.
    Find(ClientMessage, Vec<String>),
    /// Find out whose token this is.
    Authenticate(String),
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// Nobody knows yet who it is.
    Unknown,
    /// It may listen.
    Listening,
}

impl Session {
    /// What one text frame asks for. `seq` is what the shard has processed.
    pub fn on_text(self, text: &str, seq: u64, now: DateTime<Utc>) -> Step {
        match ClientMessage::parse(text) {
            Err(refusal) => Step::Reply(refusal.into()),
            Ok(message) => self.on_message(message, seq, now),
        }
    }

    /// What a message asks for.
    pub fn on_message(self, message: ClientMessage, seq: u64, now: DateTime<Utc>) -> Step {
        match (self, message) {
            (Self::Unknown, ClientMessage::Auth(token)) => Step::Authenticate(token),
            (Self::Unknown, message) => {
                refuse(&message, ErrorCode::Forbidden, "the first message must be `auth` with a token")
            }
            (Self::Listening, message @ ClientMessage::Auth(_)) => {
                refuse(&message, ErrorCode::InvalidField, "this connection needs no `auth`")
            }
            (Self::Listening, ClientMessage::Subscribe(subscription)) => Step::Subscribe(subscription),
            (Self::Listening, ClientMessage::Unsubscribe(leaving)) => Step::Unsubscribe(leaving),
            (Self::Listening, ClientMessage::Received(seq)) => Step::Received(seq),
            (Self::Listening, ClientMessage::Status) => Step::Status,
            (Self::Listening, ClientMessage::ByKey(message, keys)) => Step::Find(*message, keys),
            (Self::Listening, ClientMessage::Ping(ping)) => {
                Step::Reply(ServerMessage::Pong { t: ping.t, server_time: now, seq })
            }
        }
    }
}

fn refuse(refused: &ClientMessage, code: ErrorCode, message: &str) -> Step {
    let request = Some(refused.name().to_owned());
    Step::Reply(Refusal { code, message: message.to_owned(), request }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_it_is_known_a_client_can_only_say_who_it_is() {
        let subscribe = r#"{"type":"subscribe","characteristic_ids":[1]}"#;
        let refused = Session::Unknown.on_text(subscribe, 0, DateTime::UNIX_EPOCH);
        assert!(matches!(refused, Step::Reply(ServerMessage::Error { code: ErrorCode::Forbidden, .. })));
        let auth = Session::Unknown.on_text(r#"{"type":"auth","token":"t"}"#, 0, DateTime::UNIX_EPOCH);
        assert!(matches!(auth, Step::Authenticate(token) if token == "t"));
    }

    #[test]
    fn a_ping_gets_its_own_words_back() {
        let step = Session::Listening.on_text(r#"{"type":"ping","t":{"a":1.50}}"#, 9, DateTime::UNIX_EPOCH);
        let Step::Reply(pong) = step else { panic!("{step:?}") };
        let text = r#"{"type":"pong","t":{"a":1.50},"server_time":"1970-01-01T00:00:00.000000Z","seq":9}"#;
        assert_eq!(pong.text(), text);
    }
}
