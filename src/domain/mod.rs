//! What the words mean. No I/O, no async, nothing of the wire.

pub mod chart;
pub mod ids;
pub mod limits;
pub mod rules;
pub mod sample;
