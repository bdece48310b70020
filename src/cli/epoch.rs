//! `andon epoch renew`: after a restore from a backup, so that every client subscribes afresh.

use std::io::{Write as _, stdout};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::app::{Renewal, renew_epoch};
use crate::settings::{Overrides, Settings};

/// What `andon epoch` takes.
#[derive(Debug, Args)]
pub struct EpochArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Give the event log a new epoch: clients subscribe afresh instead of resuming.
    Renew(DatabaseArgs),
}

/// Which database, and with which settings.
#[derive(Debug, Args)]
pub struct DatabaseArgs {
    /// The settings file (TOML).
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The database [default: sqlite://andon.db].
    #[arg(long, value_name = "URL")]
    pub(super) database: Option<String>,
}

impl DatabaseArgs {
    /// What the command line says over the settings file.
    pub(super) fn overrides(&self) -> Overrides {
        self.database.clone().map(|url| ("store.url", url)).into_iter().collect()
    }
}

/// Renews the epoch and prints the old one and the new one.
///
/// # Errors
/// Settings that cannot be, a database that is in use or cannot be written.
pub async fn run(arguments: EpochArgs) -> anyhow::Result<()> {
    let Action::Renew(database) = arguments.action;
    let settings = Settings::load(database.config.as_deref(), database.overrides())?;
    let Renewal { old, new } = renew_epoch(&settings.store).await?;
    writeln!(stdout(), "old epoch {old}\nnew epoch {new}")?;
    Ok(())
}
