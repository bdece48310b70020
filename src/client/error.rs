//! Why there is no connection (any more).

use std::io;
use std::time::Duration;

use tokio_tungstenite::tungstenite;

use crate::protocol::close::CloseCode;
use crate::protocol::problem::Problem;

/// A connection could not be made, or it ended.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("could not reach the server")]
    Unreachable(#[source] io::Error),
    #[error("{}", refusal(*status, problem.as_deref()))]
    Refused { status: u16, problem: Option<Box<Problem>> },
    #[error("what answers there does not speak WebSocket")]
    NotWebSocket(#[source] tungstenite::Error),
    #[error("what answers there is not Andon: it began without a welcome")]
    NotAndon,
    #[error("the server speaks version {0} of the protocol, which this client does not")]
    OtherProtocol(u32),
    #[error("no welcome within {0:?}")]
    NoWelcome(Duration),
    #[error("the server has been silent for {0:?}")]
    Silent(Duration),
    #[error("the server closed the connection: {reason} ({code})")]
    Closed { code: u16, reason: String },
    #[error("the connection broke")]
    Broken(#[source] tungstenite::Error),
    #[error("the server sent something that is not a message")]
    Unreadable(#[source] serde_json::Error),
}

impl ClientError {
    /// Whether trying again is pointless: who asks is not wanted, or not understood.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status, 401 | 403),
            Self::Closed { code, .. } => {
                [CloseCode::NotAuthenticated, CloseCode::Forbidden].iter().any(|c| c.code() == *code)
            }
            Self::OtherProtocol(_) => true,
            _ => false,
        }
    }

    pub(super) fn from_handshake(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Io(error) => Self::Unreachable(error),
            tungstenite::Error::Http(answer) => {
                let problem = answer.body().as_ref().and_then(|body| serde_json::from_slice(body).ok());
                Self::Refused { status: answer.status().as_u16(), problem }
            }
            other => Self::NotWebSocket(other),
        }
    }
}

fn refusal(status: u16, problem: Option<&Problem>) -> String {
    let said = match status {
        401 => "the server wants a valid token".to_owned(),
        403 => "the server does not let this client listen".to_owned(),
        404 => "nothing at that address is Andon".to_owned(),
        _ => "the server refused the connection".to_owned(),
    };
    match problem {
        Some(problem) => format!("{said}: {} (HTTP {status})", problem.detail),
        None => format!("{said} (HTTP {status})"),
    }
}
