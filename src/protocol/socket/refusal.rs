//! Why a client's message was refused; the connection stays open.

use serde::{Deserialize, Serialize};

use crate::protocol::problem::in_words_of_json;

/// The contract's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Not a JSON object.
    InvalidJson,
    /// No type, or one that is not known.
    UnknownType,
    /// A field that is missing, wrong, unknown or not built yet; the message names it.
    InvalidField,
    /// More subscriptions than one client may have.
    TooManySubscriptions,
    /// Not for this client.
    Forbidden,
    /// Messages come faster than they may; who goes on is sent away (1008).
    RateLimited,
    /// More than one message may ask for. Reserved: today a message that is too big ends the connection.
    TooLarge,
}

impl ErrorCode {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::UnknownType => "unknown_type",
            Self::InvalidField => "invalid_field",
            Self::TooManySubscriptions => "too_many_subscriptions",
            Self::Forbidden => "forbidden",
            Self::RateLimited => "rate_limited",
            Self::TooLarge => "too_large",
        }
    }
}

/// A message that is not understood, or not granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The contract's code.
    pub code: ErrorCode,
    /// What was wrong and what would be right.
    pub message: String,
    /// The `type` of the refused message, where it could be read.
    pub request: Option<String>,
}

impl Refusal {
    pub(super) fn unreadable(error: &serde_json::Error) -> Self {
        if error.classify() == serde_json::error::Category::Data {
            let message = in_words_of_json(error);
            return Self { code: ErrorCode::InvalidField, message, request: None };
        }
        Self::not_json(in_words_of_json(error))
    }

    pub(super) fn not_json(message: String) -> Self {
        Self { code: ErrorCode::InvalidJson, message, request: None }
    }
}
