//! `andon serve`.

use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::app::App;
use crate::settings::{self, Overrides, Settings};
use crate::telemetry;

/// What `andon serve` takes.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The settings file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:8080].
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// The database [default: sqlite://andon.db].
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Listen on other than loopback addresses without tokens: everybody may do everything.
    #[arg(long)]
    allow_anonymous: bool,
}

impl ServeArgs {
    fn overrides(&self) -> Overrides {
        let mut overrides = Overrides::new();
        overrides.extend(self.listen.clone().map(|listen| ("http.listen", listen)));
        overrides.extend(self.database.clone().map(|url| ("store.url", url)));
        if self.allow_anonymous {
            overrides.push(("auth.allow_anonymous", "true".to_owned()));
        }
        overrides
    }
}

/// Serves until `stop`. SIGHUP has receivers and routes reloaded from where the settings came from.
///
/// # Errors
/// Settings that cannot be, a port or database that cannot be had, a part that failed.
pub async fn run(arguments: ServeArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let mut hang_ups = signal(SignalKind::hangup())?; // from now on, it does not end the process
    let load = move || Settings::load(arguments.config.as_deref(), arguments.overrides());
    let settings = load()?;
    telemetry::start(&settings.log)?;
    let ignored = settings::ignored_variables();
    if !ignored.is_empty() {
        warn!(variables = ?ignored, "left alone: Kubernetes sets these for a service of this name, they are no settings");
    }
    let reread = move || load().map_err(|error| error.without_values().into());
    let app = App::builder(settings).reload_from(reread).build().await?;
    let reloader = app.reloader();
    let _reloading = AbortOnDropHandle::new(tokio::spawn(async move {
        while hang_ups.recv().await.is_some() {
            let _ = reloader.reload().await; // the log tells how it went
        }
    }));
    app.run(stop).await?;
    Ok(())
}
