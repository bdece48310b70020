//! Why there is no connection (any more), whether to try again, and when.

use std::io;
use std::time::Duration;

use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::http::HeaderMap;
use tokio_tungstenite::tungstenite::http::header::RETRY_AFTER;

use crate::protocol::close::{self, CloseCode};
use crate::protocol::problem::Problem;
use crate::protocol::socket::ErrorCode;

/// The longest time that a server can make a client wait: it may say what it likes, but an alert may be due.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// A connection could not be made, or it ended.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("could not reach the server")]
    Unreachable(#[source] io::Error),
    #[error("{}", refusal(*status, problem.as_deref()))]
    Refused { status: u16, problem: Option<Box<Problem>>, retry_after: Option<Duration> },
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
    #[error("the server sent position {sent} of the log, and only {received} arrived")]
    Deaf { sent: u64, received: u64 },
    #[error("the server tells more and more, but does not answer the subscription")]
    Unanswered,
    #[error("the server refused the subscription: {message}")]
    NotSubscribed { code: Option<ErrorCode>, message: String },
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
                [CloseCode::NotAuthenticated, CloseCode::Forbidden, CloseCode::Flood]
                    .iter()
                    .any(|final_one| final_one.code() == *code)
            }
            // Who says too much is told to wait; anything else is refused again.
            Self::NotSubscribed { code, .. } => *code != Some(ErrorCode::RateLimited),
            Self::OtherProtocol(_) => true,
            _ => false,
        }
    }

    /// How long the server asks to stay away: in the reason of a close frame, or with a refusal. Five minutes at most.
    pub fn retry_after(&self) -> Option<Duration> {
        let told = match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Closed { reason, .. } => close::told_to_return_in(reason),
            _ => None,
        };
        told.map(|told| told.min(LONGEST_WAIT))
    }

    pub(super) fn from_handshake(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::Io(error) => Self::Unreachable(error),
            tungstenite::Error::Http(answer) => {
                let problem = answer.body().as_ref().and_then(|body| serde_json::from_slice(body).ok());
                let (status, retry_after) = (answer.status().as_u16(), retry_after(answer.headers()));
                Self::Refused { status, problem, retry_after }
            }
            other => Self::NotWebSocket(other),
        }
    }
}

/// In seconds; a date would need two clocks that agree.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
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
