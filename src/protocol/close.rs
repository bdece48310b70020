//! Why a WebSocket connection ends: the numbers of the contract, chosen here and nowhere else.

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
            Self::TooBig => "too_big",
            Self::NotAuthenticated => "not_authenticated",
            Self::Forbidden => "forbidden",
            Self::TooSlow => "too_slow",
            Self::NoPong => "no_pong",
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
            Self::TooBig => "message too big",
            Self::NotAuthenticated => "a valid token is required",
            Self::Forbidden => "this token may not listen",
            Self::TooSlow => "too slow: connect again",
            Self::NoPong => "no pong",
        }
    }
}
