//! The labels of metrics: words of closed sets, never ids.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;

/// Why something ended or was dropped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    /// A word of a closed set.
    pub reason: &'static str,
}

/// What kind of event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Kind {
    /// The event's type on the wire.
    pub kind: &'static str,
}

/// Which way an event went to a client.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Written {
    /// The event's type on the wire.
    pub kind: &'static str,
    /// A word of a closed set.
    pub lane: &'static str,
}

/// Why an event did not go to a client.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Skipped {
    /// A word of a closed set.
    pub reason: &'static str,
}

/// Whose clients.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Shard {
    /// The shard's name: there is one for each worker thread.
    pub shard: Arc<str>,
}

/// What was asked for over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Route {
    /// The pattern of the path, such as `/api/v1/samples/{id}`; `none` where nothing is.
    pub route: String,
    /// The method; `OTHER`, if it is none of the usual ones.
    pub method: &'static str,
}

/// What was asked for over HTTP, and how that ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Answered {
    /// The pattern of the path.
    pub route: String,
    /// The method.
    pub method: &'static str,
    /// The class of the status, such as `2xx`.
    pub status: &'static str,
}

/// Which program this is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Build {
    pub(super) version: &'static str,
}

/// Whom the bus serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Subscriber {
    pub(super) subscriber: Arc<str>,
}
