//! What crosses the wire, version 1: the only place that derives it.
//!
//! Knows the domain; knows nothing of sockets, HTTP servers or databases. Golden files in `tests/golden/`
//! hold one example of every message.

pub mod client_side;
pub mod close;
pub mod deflate;
pub mod episode;
pub mod event;
pub mod frame;
pub mod json;
pub mod notice;
pub mod payload;
pub mod problem;
pub mod rest;
pub mod schema;
pub mod snapshot;
pub mod socket;
pub mod time;
pub mod update;

/// The version that `welcome` tells.
pub const PROTOCOL_VERSION: u32 = 1;
