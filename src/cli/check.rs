//! `andon check`: whether settings and database are fit to be served. Changes nothing; works beside a running server.

use std::io::{Write as _, stdout};

use anyhow::bail;

use super::epoch::DatabaseArgs;
use super::lines::printable;
use crate::app::inspect;
use crate::settings::Settings;

/// Prints a line for each check.
///
/// # Errors
/// If a check has failed, how many; if the output cannot be written.
pub async fn run(arguments: DatabaseArgs) -> anyhow::Result<()> {
    let settings = match Settings::load(arguments.config.as_deref(), arguments.overrides()) {
        Ok(settings) => settings,
        Err(error) => {
            say("settings", &Err(error.to_string()))?;
            bail!("1 check failed");
        }
    };
    let mut said = Ok(());
    let failed = inspect(&settings, |name, outcome| {
        if said.is_ok() {
            said = say(name, outcome);
        }
    })
    .await;
    said?;
    match failed {
        0 => Ok(()),
        1 => bail!("1 check failed"),
        failed => bail!("{failed} checks failed"),
    }
}

fn say(name: &str, outcome: &Result<String, String>) -> std::io::Result<()> {
    let (word, text) = match outcome {
        Ok(text) => ("ok", text),
        Err(text) => ("FAILED", text),
    };
    writeln!(stdout(), "{word:<6}  {name:<9}  {}", printable(text))
}
