//! Andon broadcasts statistical process control (SPC) alerts.

pub mod backplane;
pub mod broadcast;
pub mod bus;
pub mod clock;
pub mod domain;
pub mod health;
pub mod http;
pub mod metrics;
pub mod protocol;
pub mod services;
pub mod spc;
pub mod store;
