//! `andon routes test`: who would be told of something, and why.

use std::io::{Write as _, stdout};

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};

use super::epoch::DatabaseArgs;
use super::lines::printable;
use crate::app::{Asked, WouldBeTold, explain};
use crate::domain::episode::EpisodeChange;
use crate::domain::rules::Severity;
use crate::domain::silence::Silence;
use crate::settings::Settings;

/// What `andon routes` takes.
#[derive(Debug, Args)]
pub struct RoutesArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Tell who would be told of something, and which routes match; sends nothing.
    Test(TestArgs),
}

#[derive(Debug, Args)]
struct TestArgs {
    /// The characteristic's id or key.
    #[arg(long, value_name = "ID|KEY")]
    characteristic: String,
    /// How severe the episode is.
    #[arg(long, value_enum, ignore_case = true, default_value = "warning")]
    severity: SeverityArg,
    /// A rule that has fired in it; may be given several times.
    #[arg(long = "rule", value_name = "ID")]
    rules: Vec<u32>,
    /// What is new about it.
    #[arg(long, value_enum, default_value = "opened")]
    notice: NoticeArg,
    /// When (RFC 3339) [default: now].
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SeverityArg {
    Info,
    Warning,
    Critical,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum NoticeArg {
    Opened,
    Worsened,
    Acknowledged,
    Lapsed,
    Closed,
}

/// Prints a line for each route, and one for each receiver that is told.
///
/// # Errors
/// Settings that cannot be, a database that cannot be read, a characteristic that is not there.
pub async fn run(arguments: RoutesArgs) -> anyhow::Result<()> {
    let Action::Test(arguments) = arguments.action;
    let database = &arguments.database;
    let settings = Settings::load(database.config.as_deref(), database.overrides())?;
    let asked = Asked {
        characteristic: arguments.characteristic,
        severity: match arguments.severity {
            SeverityArg::Info => Severity::Info,
            SeverityArg::Warning => Severity::Warning,
            SeverityArg::Critical => Severity::Critical,
        },
        rules: arguments.rules.into_iter().collect(),
        change: match arguments.notice {
            NoticeArg::Opened => EpisodeChange::Opened,
            NoticeArg::Worsened => EpisodeChange::Worsened,
            NoticeArg::Acknowledged => EpisodeChange::Acknowledged,
            NoticeArg::Lapsed => EpisodeChange::Lapsed,
            NoticeArg::Closed => EpisodeChange::Closed,
        },
        at: arguments.at,
    };
    let explained = explain(&settings, asked).await?;
    let mut out = stdout();
    writeln!(out, "{}", printable(&explained.name))?;
    for (place, (verdict, receivers)) in explained.routes.iter().enumerate() {
        writeln!(out, "route {place} to {}: {verdict}", receivers.join(", "))?;
    }
    if explained.told.is_empty() {
        writeln!(out, "nobody is told")?;
    }
    for WouldBeTold { receiver, step, after, remind_after, silence } in &explained.told {
        match after {
            None => write!(out, "{receiver} is told at once")?,
            Some(after) => {
                let seconds = after.as_secs();
                write!(out, "{receiver} is told after {seconds} s without an answer (step {step})")?;
            }
        }
        if let Some(wait) = remind_after {
            write!(out, ", and again every {} s until somebody answers", wait.as_secs())?;
        }
        if let Some(Silence { id, author, reason, ends_at, .. }) = silence {
            let why = printable(reason);
            write!(out, "; held back until {ends_at} by silence {id} of {}: {why}", printable(author))?;
        }
        writeln!(out)?;
    }
    Ok(())
}
