//! From the event log to this node's bus.
//!
//! One node for now: the [`Relay`]. A broker that carries the log to several nodes belongs here, too.

mod relay;

use std::sync::Arc;

pub use relay::{Relay, Settings};

use crate::bus::BusEvent;
use crate::protocol::event::{EventKind, LoggedEvent};

/// Handlers can subscribe to kinds of logged events.
impl BusEvent for Arc<LoggedEvent> {
    type Kind = EventKind;

    fn kind(&self) -> EventKind {
        self.kind
    }
}
