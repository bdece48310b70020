//! Why a WebSocket connection ends: the numbers of the contract, chosen here and nowhere else.

use std::time::Duration;

use serde_json::Value;

/// A close code with its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The client said goodbye.
    Normal = 1000,
    /// The server stops.
    GoingAway = 1001,
    /// Not WebSocket: a broken frame.
    ProtocolError = 1002,
    /// A binary frame: only text is spoken here.
    BinaryFrame = 1003,
    /// The peer vanished without a goodbye. Never written: there is nobody to read it.
    Gone = 1006,
    /// Text that is not UTF-8.
    InvalidUtf8 = 1007,
    /// Messages come faster than they may, although it was warned.
    Flood = 1008,
    /// A message over the size limit.
    TooBig = 1009,
    /// No valid token in time.
    NotAuthenticated = 4001,
    /// The token may not listen.
    Forbidden = 4003,
    /// The client reads too slowly.
    TooSlow = 4008,
    /// Pings stayed unanswered.
    NoPong = 4009,
    /// The log is another one from now on.
    NewEpoch = 4010,
    /// More connections than are allowed. Reserved: today they are refused over HTTP, before the upgrade.
    TooManyConnections = 4029,
}

impl CloseCode {
    /// The number on the wire.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The name it is counted under.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::GoingAway => "going_away",
            Self::ProtocolError => "protocol_error",
            Self::BinaryFrame => "binary_frame",
            Self::Gone => "gone",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::Flood => "flood",
            Self::TooBig => "too_big",
            Self::NotAuthenticated => "not_authenticated",
            Self::Forbidden => "forbidden",
            Self::TooSlow => "too_slow",
            Self::NoPong => "no_pong",
            Self::NewEpoch => "new_epoch",
            Self::TooManyConnections => "too_many_connections",
        }
    }

    /// The reason told with it (at most 123 bytes).
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Normal => "goodbye",
            Self::GoingAway => "server is stopping, reconnect",
            Self::ProtocolError => "not a WebSocket frame",
            Self::BinaryFrame => "only text frames are spoken here",
            Self::Gone => "gone",
            Self::InvalidUtf8 => "text frames must be UTF-8",
            Self::Flood => "too many messages",
            Self::TooBig => "message too big",
            Self::NotAuthenticated => "a valid token is required",
            Self::Forbidden => "this token may not listen",
            Self::TooSlow => "too slow: connect again and resume",
            Self::NoPong => "no pong",
            Self::NewEpoch => "the log is another one: subscribe afresh",
            Self::TooManyConnections => "too many connections",
        }
    }
}

/// The time to stay away that the reason of a close frame gives, such as `{"retry_after_ms":1234}`.
pub fn told_to_return_in(reason: &str) -> Option<Duration> {
    let reason: Value = serde_json::from_str(reason).ok()?;
    reason["retry_after_ms"].as_u64().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_may_give_a_time_to_stay_away() {
        for (reason, told) in [
            (r#"{"retry_after_ms":1234}"#, Some(1_234)),
            (r#"{"retry_after_ms":0,"mood":"calm"}"#, Some(0)),
            (r#"{"retry_after_ms":-1}"#, None),
            (r#"{"retry_after_ms":"soon"}"#, None),
            ("[]", None),
            (CloseCode::GoingAway.reason(), None),
        ] {
            assert_eq!(told_to_return_in(reason), told.map(Duration::from_millis), "{reason}");
        }
    }
}
