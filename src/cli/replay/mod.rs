//! `andon replay`: sends the rows of a CSV file as samples, over the network, in the order of the file.
//!
//! Each row carries a key made of the file's name and its line, so that whatever was sent before is a duplicate: a
//! replay that was cut off, however it ended, is simply started again.

mod columns;
mod rows;
mod sender;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use self::columns::{Assignment, Columns};
use self::rows::{Place, Rows};
use self::sender::Sender;
use super::lines::{note, printable};
use super::token::token;
use crate::client::Rest;
use crate::domain::sample::Mode;

/// The lowest `--rate`, in rows per second.
const SLOWEST: f64 = 0.001;
/// Samples of one request.
const BATCH: usize = 1_000;
/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Wrong lines that are told one by one; the others are counted.
const LINES_TOLD: u64 = 20;

/// Send the rows of a CSV file as samples
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The CSV file, with a line of names at its head
    file: PathBuf,
    /// Where the server is, such as http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    server: String,
    /// How the samples are meant: history alarms nobody, store is not even judged
    #[arg(long, value_enum, default_value_t = ModeArgument::Live)]
    mode: ModeArgument,
    /// Whose samples they are, by key or name, where no column says so
    #[arg(long, value_name = "NAME")]
    characteristic: Option<String>,
    /// What a column holds: timestamp, characteristic, value, key, batch, operator, ignore, or @KEY for values of
    /// the characteristic with that key; may be given more than once
    #[arg(long = "map", value_name = "COLUMN=WHAT")]
    map: Vec<Assignment>,
    /// Samples in a second, at most [default: as fast as they are taken]
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// Create characteristics that the server does not know yet
    #[arg(long)]
    create: bool,
    /// What stands between two columns
    #[arg(long, value_name = "CHARACTER", default_value_t = ',')]
    delimiter: char,
    /// What row keys begin with [default: the file's name]
    #[arg(long, value_name = "PREFIX")]
    key_prefix: Option<String>,
    /// How long a server that does not answer is tried again
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
    /// The token to show; others on this machine can see it, so prefer --token-file
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    token: Option<String>,
    /// A file that holds the token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModeArgument {
    Live,
    History,
    Store,
}

impl From<ModeArgument> for Mode {
    fn from(mode: ModeArgument) -> Self {
        match mode {
            ModeArgument::Live => Self::Live,
            ModeArgument::History => Self::History,
            ModeArgument::Store => Self::Store,
        }
    }
}

/// What has become of the rows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    stored: u64,
    duplicates: u64,
    wrong: u64,
}

impl Tally {
    /// Tells what is wrong with a place of the file, or only counts it.
    fn complain(&mut self, bar: &ProgressBar, place: &Place, what: &str) {
        self.wrong += 1;
        match self.wrong {
            told if told <= LINES_TOLD => bar.suspend(|| note(&format!("{place}: {}", printable(what)))),
            next if next == LINES_TOLD + 1 => {
                bar.suspend(|| note("further lines that are wrong are only counted"))
            }
            _ => {}
        }
    }
}

/// Sends the file to its end, or until `stop`.
///
/// # Errors
/// If the file or the server cannot be used; and at the end, if rows were refused.
pub async fn run(arguments: ReplayArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let file = arguments.file.display().to_string();
    let server =
        arguments.server.parse().with_context(|| format!("--server {}", printable(&arguments.server)))?;
    let token = token(arguments.token, arguments.token_file.as_deref()).await?;
    let pause = match arguments.rate {
        Some(rate) if rate.is_finite() && rate >= SLOWEST => Some(Duration::from_secs_f64(1.0 / rate)),
        Some(_) => bail!("--rate must be at least {SLOWEST}"),
        None => None,
    };
    let delimiter =
        u8::try_from(arguments.delimiter).ok().context("--delimiter must be an ASCII character")?;
    let prefix = match arguments.key_prefix {
        Some(prefix) => prefix,
        None => {
            arguments.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        }
    };

    let bytes = std::fs::metadata(&arguments.file).with_context(|| format!("cannot read {file}"))?.len();
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_path(&arguments.file)
        .with_context(|| format!("cannot read {file}"))?;
    let headers = reader.headers().with_context(|| format!("cannot read {file}"))?.clone();
    let columns = Columns::new(&headers, &arguments.map, arguments.characteristic.as_deref())?;
    let mut rows = Rows::new(reader, columns, prefix, arguments.mode.into());

    let rest = Rest::new(server, token, REQUEST_TIMEOUT).await?;
    let mut sender = Sender::new(rest, Duration::from_secs(arguments.patience), arguments.create);
    let bar = bar(bytes);
    let mut tally = Tally::default();
    // With a rate, batches are small enough to come several times in a second.
    let batch_size = arguments.rate.map_or(BATCH, |rate| ((rate / 4.0) as usize).clamp(1, BATCH));
    let sent = async {
        loop {
            let batch = rows.next_batch(batch_size, |place, what| tally.complain(&bar, place, what))?;
            if batch.is_empty() || stop.is_cancelled() {
                return Ok::<bool, anyhow::Error>(batch.is_empty());
            }
            let started = tokio::time::Instant::now();
            let total = batch.len();
            sender.send(&batch, &mut tally, &bar, &stop).await?;
            bar.set_position(rows.bytes_read());
            bar.set_message(format!("{} stored, {} there already", tally.stored, tally.duplicates));
            if let Some(pause) = pause {
                tokio::select! {
                    () = tokio::time::sleep_until(started + pause * u32::try_from(total).unwrap_or(u32::MAX)) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    };
    let sent = sent.await;
    bar.finish_and_clear();
    let Tally { stored, duplicates, wrong } = tally;
    note(&format!("{file}: {stored} samples stored, {duplicates} were there already, {wrong} refused"));
    let is_complete = sent?;
    if !is_complete {
        bail!("stopped before the end; start it again to go on");
    }
    if wrong > 0 {
        bail!("{wrong} rows were refused");
    }
    Ok(())
}

/// Drawn where standard error is a terminal.
fn bar(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} % {msg} ({eta} left)");
    ProgressBar::new(bytes).with_style(style.expect("the template is well formed"))
}
