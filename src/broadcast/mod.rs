//! From the bus to connected clients.
//!
//! Each worker thread has a shard that owns its connections and their subscriptions: one map, one owner, no lock. A
//! shard is one subscriber of the bus; it looks up who listens and queues the same event for each. It never waits for
//! a client: what a client cannot take now, it reads later, from the ring or the log.
//!
//! ```text
//! bus ─► ShardTask ─► Shard ─► Lanes of each connection ─► Outflow ─► socket
//!                       ▲  ▲                                  │
//!          Seat ────────┘  └── pages of the ring or the log ◄─┘ only when the socket has taken everything
//! ```
//!
//! Knows the bus and the wire; knows nothing of HTTP, of the store or of actix. What it needs from above it states in
//! [`ports`].

mod acknowledgements;
mod broadcaster;
mod connection;
mod encoding;
mod feed;
mod frame;
mod groups;
mod hazards;
mod interest;
mod keys;
mod lanes;
mod local;
pub mod ports;
mod pulse;
mod receipts;
mod recent;
mod seat;
mod session;
mod settings;
mod shard;
mod snapshots;
mod subscriptions;
mod tally;
#[cfg(test)]
mod tests;

pub use broadcaster::{Broadcaster, Parts, ShardHandle, Start};
pub use connection::About;
pub use encoding::Encoding;
pub use keys::KnownKeys;
pub use receipts::Unreceived;
pub use seat::{Outflow, Seat};
pub use session::{Session, Step};
pub use settings::{Settings, SettingsError};
pub use shard::{ConnectionState, OrderError, ShardTask};
pub use subscriptions::ConnectionId;
