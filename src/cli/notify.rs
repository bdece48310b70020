//! `andon notify test`: whether a receiver of the settings can be told.

use std::io::{Write as _, stdout};
use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};

use super::lines::printable;
use crate::app::{Tried, try_receiver};
use crate::settings::{Overrides, Settings};
use crate::telemetry;

/// What `andon notify` takes.
#[derive(Debug, Args)]
pub struct NotifyArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Send a receiver an alert about a process that does not exist, and tell how it went.
    Test(TestArgs),
}

#[derive(Debug, Args)]
struct TestArgs {
    /// The receiver's name in the settings.
    receiver: String,
    /// The settings file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Prints a line for each recipient.
///
/// # Errors
/// Settings that cannot be, a receiver that is not there, or one that could not be told.
pub async fn run(arguments: NotifyArgs) -> anyhow::Result<()> {
    let Action::Test(TestArgs { receiver, config }) = arguments.action;
    let settings = Settings::load(config.as_deref(), Overrides::new())?;
    telemetry::start(&settings.log)?;
    let Some(tried) = try_receiver(&settings, &receiver).await? else {
        bail!("the settings have no receiver {receiver:?}");
    };
    let failed = tried.iter().filter(|tried| tried.outcome.is_err()).count();
    for Tried { recipient, outcome } in &tried {
        let to = if recipient.is_empty() { &receiver } else { recipient };
        match outcome {
            Ok(answer) if answer.is_empty() => writeln!(stdout(), "{} was told", printable(to))?,
            Ok(answer) => writeln!(stdout(), "{} was told: {}", printable(to), printable(answer))?,
            Err(error) => writeln!(stdout(), "{} was NOT told: {}", printable(to), printable(error))?,
        }
    }
    if failed > 0 {
        bail!("{failed} of {} could not be told", tried.len());
    }
    Ok(())
}
