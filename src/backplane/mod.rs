//! From the event log to this node's bus.
//!
//! One node for now: the [`Relay`]. A broker that carries the log to several nodes belongs here, too.

mod relay;

pub use relay::{Relay, Settings};
