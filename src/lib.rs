//! Andon broadcasts statistical process control (SPC) alerts.

pub mod domain;
pub mod protocol;
