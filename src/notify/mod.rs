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
mod log;
pub mod mqtt;
mod notifier;
mod rate;
mod receivers;
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

use std::sync::Arc;
use std::time::Duration;

pub use adapter::{Adapted, ViolationNotifier};
pub use deliverer::Deliverer;
pub use dispatcher::Dispatcher;
pub use log::LogNotifier;
pub use notifier::{Alert, AlertNotifier, Failure, NotifyError, Receipt};
pub use receivers::{OwnNotifiers, Receiver, Receivers};
pub use routes::{Decision, RouteVerdict, Routes, Subject, Told};
pub use sample::sample_alert;
pub use secret::{LoginError, SecretError};
pub use settings::{ReceiverSettings, RouteSettings, Settings, SettingsError, StepSettings};
pub use silencing::SilenceError;
pub use surroundings::{NoPictures, Pictures, Surroundings};
pub use windows::{Day, NoTime, WindowSettings};

use self::heartbeat::Heartbeat;
use crate::domain::ids::DeliveryId;
use crate::metrics::Metrics;
use crate::store::{Replay, Retried, Store, StoreError};

/// Deliveries that are told anew by one request, at most.
pub const MOST_REPLAYED: u32 = 10_000;

/// Receivers and the routes to them, checked.
#[derive(Debug, Clone)]
pub struct Plan {
    receivers: Arc<Receivers>,
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
        Ok(Self { receivers: Arc::new(receivers), routes, heartbeat, settings })
    }

    /// Who can be told.
    pub fn receivers(&self) -> &Receivers {
        &self.receivers
    }

    /// What goes to whom.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// The two tasks that carry it out.
    pub fn tasks(&self, store: &Store, metrics: &Metrics) -> (Dispatcher, Deliverer) {
        let Self { receivers, routes, heartbeat, settings } = self.clone();
        let poll_interval = Duration::from_millis(settings.poll_interval_ms.max(1));
        let paging = (poll_interval, settings.page_notices);
        let dispatcher =
            Dispatcher::new(store.clone(), Arc::clone(&receivers), routes, metrics.clone(), paging);
        (dispatcher, Deliverer::new(store.clone(), receivers, heartbeat, metrics.clone(), settings))
    }

    /// Tries a delivery again, whether it is over or waits.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn retry(&self, store: &Store, id: DeliveryId) -> Result<Retried, StoreError> {
        let Some((delivery, _)) = store.delivery(id).await? else { return Ok(Retried::Unknown) };
        let retried = store.retry_delivery(id, self.useful_for(&delivery.receiver)).await?;
        self.wake(&delivery.receiver);
        Ok(retried)
    }

    /// Tells anew what has ended in a stretch of time; says how much that is. `None`: it is more than [`MOST_REPLAYED`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn replay(&self, store: &Store, replay: Replay) -> Result<Option<u64>, StoreError> {
        let (name, useful_for) = (replay.receiver.clone(), self.useful_for(&replay.receiver));
        let replayed = store.replay_deliveries(replay, useful_for, MOST_REPLAYED).await?;
        self.wake(&name);
        Ok(replayed)
    }

    fn useful_for(&self, receiver: &str) -> Duration {
        let known = self.receivers.named(receiver).map(|known| known.settings.useful_minutes);
        let minutes = known.unwrap_or_else(|| ReceiverSettings::default().useful_minutes);
        Duration::from_secs(60 * u64::from(minutes))
    }

    fn wake(&self, receiver: &str) {
        if let Some(receiver) = self.receivers.named(receiver) {
            receiver.wake.notify_one();
        }
    }
}

/// The name of a delivery for its receiver, the same with every attempt. A restored database counts on from where it was:
/// the name of its log keeps the ones of before apart.
pub fn delivery_name(epoch: &str, id: DeliveryId) -> String {
    format!("{epoch}-{id}")
}
