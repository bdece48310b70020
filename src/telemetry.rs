//! What is logged, and how: lines on standard error.

use std::env;
use std::io::{self, IsTerminal as _};

use serde::Deserialize;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Levels, such as `info` or `warn,andon::services=debug`.
    pub filter: String,
    /// How a line looks.
    pub format: Format,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// For people.
    Text,
    /// For log collectors: one JSON object each.
    Json,
}

impl Default for Settings {
    /// The HTTP library calls every broken request an error; whoever can connect could fill the disk with them.
    fn default() -> Self {
        Self { filter: "info,actix_server=warn,actix_http=off".to_owned(), format: Format::Text }
    }
}

/// Starts logging, once for the process.
///
/// # Errors
/// [`ParseError`], for a filter that is none.
pub fn start(settings: &Settings) -> Result<(), ParseError> {
    let filter: Targets = settings.filter.parse()?;
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()); // no-color.org
    let colours = !unwanted && io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(colours);
    let layer = match settings.format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().boxed(),
    };
    // A program that embeds us may have its own subscriber: then that one stands.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    Ok(())
}
