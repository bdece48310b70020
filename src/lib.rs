//! Andon broadcasts statistical process control (SPC) alerts.

pub mod app;
pub mod backplane;
pub mod broadcast;
pub mod bus;
pub mod cli;
pub mod client;
pub mod clock;
pub mod domain;
pub mod health;
pub mod http;
pub mod metrics;
pub mod protocol;
pub mod services;
pub mod settings;
pub mod spc;
pub mod store;
pub mod telemetry;
