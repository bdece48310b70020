//! From the event log to people and systems: who is told what, until they have it.
//!
//! ```text
//! log ─► Dispatcher ─► ledger ─► Deliverer ─► AlertNotifier ─► receiver
//! ```
//!
//! What is told is what is new about an *episode* (see [`domain::episode`](crate::domain::episode)): dozens of violations
//! are one thing for people. The [`Dispatcher`] stores a delivery for each receiver that the [`Routes`] name; the
//! [`Deliverer`] tries each until it is over, and records every attempt. Nothing here can delay or fail a sample, an
//! acknowledgement, or another receiver.
//!
//! Receivers and routes make a [`Plan`]. One is [in force](PlanInForce) at a time, and another takes its place by a
//! [reload](Reloader).
//!
//! Knows the store, the wire and the domain; knows no sockets, no HTTP and no bus.
//!
//! An integrator adds a receiver with an [`AlertNotifier`], or with a [`ViolationNotifier`] made one by [`Adapted`], and
//! checks it with [`contract`].

mod adapter;
mod backoff;
mod breaker;
pub mod contract;
mod deliverer;
mod dispatcher;
pub mod email;
mod event;
mod evidence;
pub mod heartbeat;
mod in_force;
mod log;
pub mod mqtt;
mod notifier;
mod rate;
mod receivers;
mod reload;
mod routes;
mod sample;
mod secret;
mod settings;
mod silencing;
mod surroundings;
pub mod webhook;
mod windows;
mod wording;
mod worker;

use std::time::Duration;

pub use adapter::{Adapted, ViolationNotifier};
pub use deliverer::Deliverer;
pub use dispatcher::Dispatcher;
pub use in_force::PlanInForce;
pub use log::LogNotifier;
pub use notifier::{Alert, AlertNotifier, Failure, NotifyError, Part, Receipt};
pub use receivers::{OwnNotifiers, Receiver, Receivers};
pub use reload::{Ingredients, ReadError, ReloadError, Reloaded, Reloader, Reloading, Reread, Source};
pub use routes::{Decision, RouteVerdict, Routes, Subject, Told};
pub use sample::sample_alert;
pub use secret::{LoginError, SecretError};
pub use settings::{ReceiverSettings, RouteSettings, Settings, SettingsError, StepSettings};
pub use silencing::SilenceError;
pub use surroundings::{NoPictures, Pictures, Surroundings};
pub use windows::{Day, NoTime, WindowSettings};

use self::heartbeat::Heartbeat;
use crate::domain::ids::DeliveryId;

/// Deliveries that are told anew by one request, at most.
pub const MOST_REPLAYED: u32 = 10_000;

/// Receivers and the routes to them, checked.
#[derive(Debug)]
pub struct Plan {
    receivers: Receivers,
    routes: Routes,
    heartbeat: Option<Heartbeat>,
    settings: Settings,
}

impl Plan {
    /// What the settings and the embedding program say.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new(
        settings: Settings,
        own: OwnNotifiers,
        surroundings: &Surroundings,
    ) -> Result<Self, SettingsError> {
        let receivers = Receivers::new(&settings, own, surroundings)?;
        let routes = Routes::new(&settings.routes, &receivers, surroundings.site.time_zone)?;
        let heartbeat = Heartbeat::new(&settings.heartbeat).map_err(SettingsError::Heartbeat)?;
        Ok(Self { receivers, routes, heartbeat, settings })
    }

    /// Who can be told.
    pub fn receivers(&self) -> &Receivers {
        &self.receivers
    }

    /// What goes to whom.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    fn poll_interval(&self) -> Duration {
        Duration::from_millis(self.settings.poll_interval_ms.max(1))
    }
}

/// The name of a delivery for its receiver, the same with every attempt. A restored database counts on from where it was:
/// the name of its log keeps the ones of before apart.
pub fn delivery_name(epoch: &str, id: DeliveryId) -> String {
    format!("{epoch}-{id}")
}
