//! What the words mean. No I/O, no async, nothing of the wire.

pub mod alarm;
pub mod characteristic;
pub mod chart;
pub mod definition_change;
pub mod delivery;
pub mod episode;
pub mod event;
pub mod foreign;
pub mod ids;
pub mod limits;
pub mod phase;
pub mod rules;
pub mod run_length;
pub mod sample;
pub mod silence;
pub mod violation;
