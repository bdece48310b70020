//! `andon tail`: prints events as they happen, over the network, until told to stop.
//!
//! Events go to the output, everything about the connection goes beside it (standard error). After a break it goes on
//! where it was; what it ends with, `--since` begins with.

mod notes;
mod view;

use std::env;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use clap::ValueEnum;
use tokio::io::{AsyncWrite, AsyncWriteExt, stderr, stdout};
use tokio_util::sync::CancellationToken;

use self::notes::{
    of_beginning, of_error, of_gap, of_repeated, of_resumed, of_resumption, of_start, of_test,
};
use self::view::{Format, View};
use super::lines::{Style, printable};
use super::token::token;
use crate::client::{Backoff, Incoming, Options, Reconnecting, Resumption, Update};
use crate::clock;
use crate::domain::ids::CharacteristicId;
use crate::domain::rules::Severity;
use crate::protocol::client_side::ServerText;
use crate::protocol::event::EventKind;
use crate::protocol::socket::{Filter, Position, ServerMessage, Subscription};

/// Print events as they happen
#[derive(clap::Args)]
pub struct TailArgs {
    /// Where the server is, such as http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    server: String,
    /// Only this characteristic; may be given more than once [default: all]
    #[arg(long = "characteristic", value_name = "ID", value_parser = characteristic_id)]
    characteristics: Vec<CharacteristicId>,
    /// Only characteristics of this group and of those below it; may be given more than once
    #[arg(long = "group", value_name = "PATH")]
    groups: Vec<String>,
    /// Begin after this position of the log: what was missed first, then what happens
    #[arg(long, value_name = "EPOCH.SEQ")]
    since: Option<Position>,
    /// Begin with the present state of each characteristic
    #[arg(long)]
    snapshot: bool,
    /// Only violations of this severity or a higher one
    #[arg(long, value_name = "SEVERITY")]
    min_severity: Option<MinSeverity>,
    /// Only violations of this rule; may be given more than once
    #[arg(long = "rule", value_name = "NUMBER")]
    rules: Vec<u32>,
    /// Only events of this type, such as violation; may be given more than once
    #[arg(long = "type", value_name = "TYPE", value_parser = event_kind)]
    types: Vec<EventKind>,
    /// At most so many samples of each characteristic in a second
    #[arg(long, value_name = "HERTZ")]
    sample_max_hz: Option<f64>,
    /// Print each message as it arrived (heartbeats left out), one JSON object per line
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MinSeverity {
    Info,
    Warning,
    Critical,
}

impl TailArgs {
    /// All events of a server that wants no token.
    pub(super) fn everything(server: String, quiet_samples: bool) -> Self {
        Self {
            server,
            characteristics: Vec::new(),
            groups: Vec::new(),
            since: None,
            snapshot: false,
            min_severity: None,
            rules: Vec::new(),
            types: Vec::new(),
            sample_max_hz: None,
            json: false,
            quiet_samples,
            token: None,
            token_file: None,
        }
    }

    /// What to ask the server for.
    fn subscription(&self) -> Result<Subscription, String> {
        let mut chosen = match (self.characteristics.as_slice(), self.groups.as_slice()) {
            ([], []) => Subscription::all(),
            (these, groups) => {
                Subscription { groups: groups.to_vec(), ..Subscription::these(these.to_vec()) }
            }
        };
        chosen.since.clone_from(&self.since);
        chosen.snapshot = self.snapshot;
        let some = |rules: &[u32]| (!rules.is_empty()).then(|| rules.to_vec());
        let filter = Filter {
            types: match self.types.as_slice() {
                // Everything: also what only they are told who ask for it.
                [] if self.min_severity.is_none() && self.rules.is_empty() => Some(EventKind::ALL.to_vec()),
                [] => None,
                types => Some(types.to_vec()),
            },
            min_severity: self.min_severity.map(|severity| match severity {
                MinSeverity::Info => Severity::Info,
                MinSeverity::Warning => Severity::Warning,
                MinSeverity::Critical => Severity::Critical,
            }),
            rule_ids: some(&self.rules),
            sample_max_hz: self.sample_max_hz,
        };
        chosen.filter = (filter != Filter::default()).then_some(filter);
        chosen.check()?;
        Ok(chosen)
    }
}

/// Runs until `stop`, or until whoever reads the output has gone.
///
/// # Errors
/// If the first connection fails, or the server no longer wants this client.
pub async fn run(args: TailArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let server = args.server.parse().with_context(|| format!("--server {}", printable(&args.server)))?;
    let subscription = args.subscription().map_err(|what| anyhow!(printable(&what)))?;
    let mut options = Options::new(server);
    options.token = token(args.token, args.token_file.as_deref()).await?;
    let format = if args.json { Format::Json } else { Format::Lines(style()) };
    let view = View::new(format, &subscription, args.quiet_samples);
    let tail = Tail::new(view, stdout(), stderr(), printable(&args.server));
    tail.follow(options, subscription, Backoff::usual(clock::nonce() as u64), stop).await
}

fn characteristic_id(text: &str) -> Result<CharacteristicId, String> {
    let id: i64 = text.parse().map_err(|_| "an id is a positive integer".to_owned())?;
    CharacteristicId::try_from(id).map_err(|error| error.to_string())
}

fn event_kind(text: &str) -> Result<EventKind, String> {
    let known = || EventKind::ALL.map(EventKind::as_str).join(", ");
    EventKind::from_name(text).ok_or_else(|| format!("types are: {}", known()))
}

fn style() -> Style {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()); // no-color.org
    if !unwanted && io::stdout().is_terminal() { Style::Colour } else { Style::Plain }
}

struct Tail<O, N> {
    view: View,
    output: O,
    notes: N,
    /// As it was given.
    server: String,
    /// What is connected for the first time is told otherwise than what comes back.
    was_connected: bool,
    /// Told behind the connection that it is about.
    resumption: Option<Resumption>,
    /// Everything up to here was printed.
    position: Option<Position>,
}

/// Whether to go on.
#[derive(PartialEq, Eq)]
enum Reader {
    Listens,
    Gone,
}

impl<O: AsyncWrite + Unpin, N: AsyncWrite + Unpin> Tail<O, N> {
    fn new(view: View, output: O, notes: N, server: String) -> Self {
        Self { view, output, notes, server, was_connected: false, resumption: None, position: None }
    }

    async fn follow(
        mut self,
        options: Options,
        subscription: Subscription,
        backoff: Backoff,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let connecting = Reconnecting::connect(options, subscription, backoff);
        let Some(connected) = stop.run_until_cancelled(connecting).await else { return Ok(()) };
        let mut client =
            connected.map_err(of_error).with_context(|| format!("no connection to {}", self.server))?;
        let ended = stop.run_until_cancelled(self.print_all(&mut client)).await;
        if let Some(position) = self.position.take() {
            self.note(&format!("to go on from here: --since {position}")).await;
        }
        client.close().await;
        ended.unwrap_or(Ok(()))
    }

    /// Until nobody reads the output any more, or the server no longer wants this client.
    async fn print_all(&mut self, client: &mut Reconnecting) -> anyhow::Result<()> {
        let mut reader = Reader::Listens;
        while reader == Reader::Listens {
            reader = self.show(client.next().await.map_err(of_error)?).await?;
            if reader == Reader::Listens {
                self.position = client.position();
            }
        }
        Ok(())
    }

    async fn show(&mut self, update: Update) -> anyhow::Result<Reader> {
        match update {
            Update::Disconnected { error, retry_in } => {
                let error = of_error(error);
                self.note(&format!("{error:#}; trying again in {:.1} s", retry_in.as_secs_f64())).await;
            }
            Update::Incoming(Incoming::Gap(gap)) => self.note(&of_gap(gap)).await,
            Update::Incoming(Incoming::Repeated(repeated)) => self.note(&of_repeated(repeated)).await,
            Update::Incoming(Incoming::Resumption(resumption)) => self.resumption = Some(resumption),
            Update::Incoming(Incoming::Server(said)) => return self.show_said(&said).await,
            Update::Incoming(incoming) => {
                let text = self.view.text(&incoming);
                return self.print(text).await;
            }
        }
        Ok(Reader::Listens)
    }

    async fn show_said(&mut self, said: &ServerText) -> anyhow::Result<Reader> {
        match &said.message {
            // It asks for nothing but its subscription: without that nothing would ever come.
            ServerMessage::Error { message, .. } => bail!("the server refused: {}", printable(message)),
            ServerMessage::Subscribed { characteristic_ids, seq, .. } => {
                self.view.listens_to(characteristic_ids);
                let connected = match std::mem::replace(&mut self.was_connected, true) {
                    true => "connected again".to_owned(),
                    false => of_beginning(&self.server, &self.view),
                };
                let what = match self.resumption.take() {
                    Some(resumption) => of_resumption(&resumption),
                    None => of_start(*seq),
                };
                self.note(&format!("{connected}; {what}")).await;
            }
            ServerMessage::Resumed { replayed, .. } => self.note(&of_resumed(*replayed)).await,
            ServerMessage::Test { payload } => self.note(&of_test(payload)).await,
            _ => {}
        }
        self.print(self.view.text_said(said)).await
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

#[cfg(test)]
mod tests;
