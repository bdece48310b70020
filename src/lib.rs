//! Andon broadcasts statistical process control (SPC) alerts: samples come in at one end, are judged, are stored
//! together with their events in one transaction, and go out, in order, to whoever asked.
//!
//! # The house
//!
//! ```text
//! samples ─► http ─► services ─► store ─► backplane ─► bus ─► broadcast ─► http/ws ─► clients
//!                       │            │
//!                      spc           └─► notify ─► receivers
//! ```
//!
//! | room | what happens there |
//! |---|---|
//! | [`domain`] | what the words mean; values that are valid once built |
//! | [`spc`] | the statistics; pure |
//! | [`services`] | commands in one order; judged on copies, committed, then answered |
//! | [`store`] | the only SQL; the event log |
//! | [`backplane`] | from the log to this process's bus |
//! | [`bus`] | an in-process event bus for any event type |
//! | [`broadcast`] | from the bus to connected clients |
//! | [`notify`] | from the log to people and systems, through a ledger |
//! | [`chart`] | control charts as pictures |
//! | [`http`] | REST and the socket ends; translates, nothing else |
//! | [`protocol`] | everything that crosses the wire |
//! | [`client`] | the Rust client |
//! | [`app`] | builds the rooms in order, runs them, and stops them |
//!
//! # Ways to embed
//!
//! * **All of it**: [`app::App::builder`], then [`app::App::run`]; samples go in through [`services::SpcEngine`],
//!   events come out of [`app::App::bus`].
//! * **A receiver of your own**: an [`notify::AlertNotifier`], registered with [`app::AppBuilder::notifier`].
//! * **The bus alone**: [`bus::EventBus`] with events of your own.
//! * **The statistics alone**: [`spc::PhaseState`] and [`spc::estimate`].
//! * **A client**: [`client::Client`], or [`client::Reconnecting`] that comes back by itself and resumes.

pub mod app;
pub mod backplane;
pub mod broadcast;
pub mod bus;
pub mod chart;
pub mod cli;
pub mod client;
pub mod clock;
pub mod domain;
pub mod error_chain;
pub mod health;
pub mod http;
pub mod metrics;
pub mod notify;
pub mod protocol;
pub mod services;
pub mod settings;
pub mod site;
pub mod spc;
pub mod store;
pub mod telemetry;
pub mod tls;
