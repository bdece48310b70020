//! `andon tail`: prints events as they happen, over the network, until told to stop.
//!
//! Events go to the output, everything about the connection goes beside it (standard error).

use std::env;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncWrite, AsyncWriteExt, stderr, stdout};
use tokio_util::sync::CancellationToken;

use super::lines::{Style, line, printable};
use super::token::token;
use crate::client::{Backoff, ClientError, Gap, Incoming, Missed, Options, Reconnecting, Update};
use crate::clock;
use crate::domain::ids::CharacteristicId;
use crate::protocol::client_side::{EventMessage, EventPayload};
use crate::protocol::socket::{ServerMessage, Subscription};

/// Print events as they happen
#[derive(clap::Args)]
pub struct TailArgs {
    /// Where the server is, such as http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    server: String,
    /// Only this characteristic; may be given more than once [default: all]
    #[arg(long = "characteristic", value_name = "ID", value_parser = characteristic_id)]
    characteristics: Vec<CharacteristicId>,
    /// Print each message as it arrived, one JSON object per line
    #[arg(long)]
    json: bool,
    /// Leave out samples
    #[arg(long)]
    quiet_samples: bool,
    /// The token to show; others on this machine can see it, so prefer --token-file
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    token: Option<String>,
    /// A file that holds the token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl TailArgs {
    /// All events of a server that wants no token.
    pub(super) fn everything(server: String, quiet_samples: bool) -> Self {
        Self {
            server,
            characteristics: Vec::new(),
            json: false,
            quiet_samples,
            token: None,
            token_file: None,
        }
    }
}

/// Runs until `stop`, or until whoever reads the output has gone.
///
/// # Errors
/// If the first connection fails, or the server no longer wants this client.
pub async fn run(args: TailArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let server = args.server.parse().with_context(|| format!("--server {}", printable(&args.server)))?;
    let mut options = Options::new(server);
    options.token = token(args.token, args.token_file.as_deref()).await?;
    let view = View {
        format: if args.json { Format::Json } else { Format::Lines(style()) },
        characteristics: args.characteristics,
        quiet_samples: args.quiet_samples,
    };
    let tail = Tail { view, output: stdout(), notes: stderr(), server: printable(&args.server) };
    tail.follow(options, Backoff::usual(clock::nonce() as u64), stop).await
}

fn characteristic_id(text: &str) -> Result<CharacteristicId, String> {
    let id: i64 = text.parse().map_err(|_| "an id is a positive integer".to_owned())?;
    CharacteristicId::try_from(id).map_err(|error| error.to_string())
}

fn style() -> Style {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()); // no-color.org
    if !unwanted && io::stdout().is_terminal() { Style::Colour } else { Style::Plain }
}

enum Format {
    Json,
    Lines(Style),
}

/// What is shown, and how.
struct View {
    format: Format,
    /// None means all.
    characteristics: Vec<CharacteristicId>,
    quiet_samples: bool,
}

impl View {
    fn subscription(&self) -> Subscription {
        match self.characteristics.as_slice() {
            [] => Subscription::all(),
            these => Subscription::these(these.to_vec()),
        }
    }

    /// Acknowledgements come of every characteristic; those of others were not asked for.
    fn shows(&self, event: &EventMessage) -> bool {
        let asked_for =
            self.characteristics.is_empty() || self.characteristics.contains(&event.characteristic_id);
        asked_for && !(self.quiet_samples && matches!(event.payload, EventPayload::Sample(_)))
    }

    fn text(&self, event: &EventMessage) -> Option<String> {
        match self.format {
            _ if !self.shows(event) => None,
            Format::Json => Some(on_one_line(event.text())),
            Format::Lines(style) => line(event, style),
        }
    }
}

/// Line breaks can only stand between the parts of a JSON text, where a space means the same.
fn on_one_line(json: &str) -> String {
    json.trim().replace(['\r', '\n'], " ")
}

struct Tail<O, N> {
    view: View,
    output: O,
    notes: N,
    /// As it was given.
    server: String,
}

/// Whether to go on.
#[derive(PartialEq, Eq)]
enum Reader {
    Listens,
    Gone,
}

impl<O: AsyncWrite + Unpin, N: AsyncWrite + Unpin> Tail<O, N> {
    async fn follow(
        mut self,
        options: Options,
        backoff: Backoff,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let connecting = Reconnecting::connect(options, self.view.subscription(), backoff);
        let Some(connected) = stop.run_until_cancelled(connecting).await else { return Ok(()) };
        let mut client =
            connected.map_err(told).with_context(|| format!("no connection to {}", self.server))?;
        let ended = stop.run_until_cancelled(self.print_all(&mut client)).await;
        client.close().await;
        ended.unwrap_or(Ok(()))
    }

    /// Until nobody reads the output any more, or the server no longer wants this client.
    async fn print_all(&mut self, client: &mut Reconnecting) -> anyhow::Result<()> {
        let mut reader = Reader::Listens;
        while reader == Reader::Listens {
            reader = self.show(client.next().await.map_err(told)?).await?;
        }
        Ok(())
    }

    async fn show(&mut self, update: Update) -> anyhow::Result<Reader> {
        match update {
            Update::Incoming(Incoming::Event(event)) => return self.print(self.view.text(&event)).await,
            // The subscription is all that was asked for: without it nothing would ever come.
            Update::Incoming(Incoming::Other(other)) if other.name == "error" => {
                bail!("the server refused the subscription: {}", printable(other.text()));
            }
            Update::Incoming(Incoming::Other(other)) => {
                if let Format::Json = self.view.format {
                    return self.print(Some(on_one_line(other.text()))).await;
                }
            }
            Update::Incoming(Incoming::Gap(gap)) => self.note(&of_gap(gap)).await,
            Update::Incoming(Incoming::Server(ServerMessage::Error { message, .. })) => {
                bail!("the server refused the subscription: {}", printable(&message));
            }
            Update::Incoming(Incoming::Server(ServerMessage::Subscribed { seq, .. })) => {
                let told = of_beginning(&self.server, &self.view.characteristics, seq);
                self.note(&told).await;
            }
            Update::Incoming(Incoming::Server(_)) => {}
            Update::Disconnected { error, retry_in } => {
                let error = told(error);
                self.note(&format!("{error:#}; trying again in {:.1} s", retry_in.as_secs_f64())).await;
            }
            Update::Reconnected(missed) => self.note(&of_missed(&missed)).await,
        }
        Ok(Reader::Listens)
    }

    async fn print(&mut self, text: Option<String>) -> anyhow::Result<Reader> {
        let Some(text) = text else { return Ok(Reader::Listens) };
        let written = async {
            self.output.write_all(format!("{text}\n").as_bytes()).await?;
            self.output.flush().await
        };
        match written.await {
            Ok(()) => Ok(Reader::Listens),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
            Err(error) => Err(error).context("could not write"),
        }
    }

    async fn note(&mut self, text: &str) {
        let line = format!("andon: {}\n", printable(text));
        // Nowhere to say that nothing can be said.
        let _ = self.notes.write_all(line.as_bytes()).await;
        let _ = self.notes.flush().await;
    }
}

/// An error with its causes, safe to print: a close reason or a refusal is the server's text.
fn told(error: ClientError) -> anyhow::Error {
    let mut told = String::new();
    for cause in anyhow::Error::new(error).chain().map(ToString::to_string) {
        match told.as_str() {
            "" => told = cause,
            before if before.ends_with(&cause) => {} // some libraries repeat the cause in their own words
            _ => told += &format!(": {cause}"),
        }
    }
    anyhow::Error::msg(printable(&told))
}

fn of_beginning(server: &str, characteristics: &[CharacteristicId], seq: u64) -> String {
    let what = match characteristics {
        [] => "all characteristics".to_owned(),
        [one] => format!("characteristic {one}"),
        these => format!("{} characteristics", these.len()),
    };
    format!("connected to {server}; events of {what} after position {seq} of the log follow")
}

fn of_gap(Gap { characteristic_id, expected, got }: Gap) -> String {
    format!("characteristic {characteristic_id}: expected revision {expected}, got {got}")
}

fn of_missed(missed: &Missed) -> String {
    match missed {
        Missed::Nothing => "connected again, nothing was missed".to_owned(),
        Missed::Positions { from_seq, to_seq } => format!(
            "connected again; up to {} events may have been missed (positions {from_seq} to {to_seq} of the log)",
            to_seq - from_seq + 1
        ),
        Missed::AnotherLog { epoch } => {
            format!("connected again, but the log is another one ({epoch}): what was missed cannot be told")
        }
    }
}

#[cfg(test)]
mod tests;
