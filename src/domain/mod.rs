//! What the words mean. No I/O, no async, nothing of the wire.

pub mod characteristic;
pub mod chart;
pub mod event;
pub mod ids;
pub mod limits;
pub mod phase;
pub mod rules;
pub mod sample;
pub mod violation;
