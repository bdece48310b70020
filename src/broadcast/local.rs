//! What everything of one shard shares: on one thread, so without a lock.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::watch;

use super::connection::Shared;
use super::pulse::Rhythm;
use super::settings::Settings;
use super::tally::Tally;
use crate::clock::Clock;
use crate::metrics::{Metrics, Waiting};
use crate::protocol::socket::ServerMessage;

/// Shared by a shard, its connections and their sockets.
pub(super) struct Local {
    pub(super) settings: Arc<Settings>,
    pub(super) epoch: Arc<str>,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    /// How the clients of this shard are.
    pub(super) waiting: Waiting,
    /// The position of the newest event in the log.
    pub(super) head: watch::Receiver<u64>,
    /// Every event up to here stands in its receivers' queues.
    pub(super) processed: Cell<u64>,
    pub(super) tally: RefCell<Tally>,
    /// Connections with something new to write, to be woken together.
    pub(super) dirty: RefCell<Vec<Rc<Shared>>>,
    /// Some client's samples take half of their room: it gets a chance to take them before more are queued.
    pub(super) is_pressed: Cell<bool>,
    /// Where chunks are put together. Its memory comes back when a chunk has been copied to its socket.
    pub(super) scratch: RefCell<BytesMut>,
}

impl Local {
    /// Puts a connection on the list of those to be woken.
    pub(super) fn mark(&self, connection: &Rc<Shared>) {
        if !connection.is_dirty.replace(true) {
            self.dirty.borrow_mut().push(Rc::clone(connection));
        }
    }

    /// Wakes every connection on the list.
    pub(super) fn flush(&self) {
        for connection in self.dirty.take() {
            connection.is_dirty.set(false);
            connection.state.borrow_mut().wake();
        }
    }

    /// The end of the log as this node knows it.
    pub(super) fn head_seq(&self) -> u64 {
        *self.head.borrow()
    }

    pub(super) fn rhythm(&self) -> Rhythm {
        Rhythm {
            ping: Duration::from_millis(self.settings.ping_interval_ms.max(1)),
            heartbeat: Duration::from_secs_f64(self.settings.heartbeat_seconds.max(0.01)),
        }
    }

    pub(super) fn heartbeat(&self, last_sent_seq: u64) -> ServerMessage {
        ServerMessage::Heartbeat {
            epoch: self.epoch.to_string(),
            seq: self.processed.get(),
            last_sent_seq,
            head_seq: self.head_seq(),
            server_time: self.clock.now(),
        }
    }
}
