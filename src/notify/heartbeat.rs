//! Tells somebody outside, again and again, that people can be told: a dead man's switch. Silence means that they cannot,
//! also where this process is gone and nobody here could say so.
//!
//! * **State**: when the ledger was last found well, given by the deliverer's sweeper. Well means that it can be used, and
//!   that nothing has been due to anybody for longer than `notify.overdue_seconds`.
//! * **Late**: a call ends with its `timeout_ms`; the next one is made at its time. Nothing waits for it.
//! * **Stops** at once: the silence after it is meant.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::select;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::error_chain::error_chain;
use crate::metrics::Notifying;
use crate::notify::webhook::{self, WebhookError};

/// A page that is called as long as people can be told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// `https://` or `http://`; left out: nobody is called.
    pub url: Option<String>,
    /// A file that holds it instead.
    pub url_file: Option<PathBuf>,
    /// The environment variable that holds it instead.
    pub url_env: Option<String>,
    /// Whether it may go to addresses that are not on the internet.
    pub allow_private: bool,
    /// How often it is called.
    pub interval_seconds: u32,
    /// How long a call may take.
    pub timeout_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            url_env: None,
            allow_private: false,
            interval_seconds: 60,
            timeout_ms: 10_000,
        }
    }
}

/// Whether people can be told, and since when that is known.
pub type Wellness = Option<Instant>;

/// Calls the page.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    url: Url,
    http: Client,
    pause: Duration,
    timeout: Duration,
}

impl Heartbeat {
    /// `None`, if nobody is to be called.
    ///
    /// # Errors
    /// [`WebhookError`], if it cannot be.
    pub fn new(settings: &Settings) -> Result<Option<Self>, WebhookError> {
        let Settings { url, url_file, url_env, allow_private, interval_seconds, timeout_ms } =
            settings.clone();
        if url.is_none() && url_file.is_none() && url_env.is_none() {
            return Ok(None);
        }
        let target =
            webhook::Settings { url, url_file, url_env, allow_private, ..webhook::Settings::default() };
        let (url, http) = webhook::connect(&target)?;
        let pause = Duration::from_secs(interval_seconds.max(1).into());
        Ok(Some(Self { url, http, pause, timeout: Duration::from_millis(timeout_ms.max(1)) }))
    }

    /// Calls until `stop`, as long as the ledger was found well within `fresh`.
    pub async fn run(
        self,
        wellness: watch::Receiver<Wellness>,
        fresh: Duration,
        metrics: Notifying,
        stop: CancellationToken,
    ) {
        let mut ticks = interval(self.pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_failing = false;
        loop {
            select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if wellness.borrow().is_none_or(|since| since.elapsed() > fresh) {
                metrics.heartbeat("held_back");
                continue;
            }
            let called = select! {
                () = stop.cancelled() => return,
                called = timeout(self.timeout, self.call()) => called.unwrap_or_else(|_| Err("no answer".to_owned())),
            };
            metrics.heartbeat(if called.is_ok() { "sent" } else { "failed" });
            match called {
                Ok(()) if std::mem::take(&mut is_failing) => info!("the heartbeat is heard again"),
                Err(error) if !std::mem::replace(&mut is_failing, true) => {
                    warn!(error, "the heartbeat could not be sent, trying again at its time");
                }
                _ => {}
            }
        }
    }

    async fn call(&self) -> Result<(), String> {
        let answer = self.http.get(self.url.clone()).send().await;
        // The address may be a secret.
        let status = answer.map_err(|error| error_chain(&error.without_url()).to_string())?.status();
        if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
    }
}
