//! The command line: one file for each command. Only here are arguments and signals read.

mod check;
mod demo;
mod epoch;
mod health;
pub mod lines;
mod notify;
mod replay;
mod routes;
mod serve;
pub mod tail;
mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Broadcasts statistical process control alerts: samples in, judged, stored, and every alert out.
#[derive(Parser)]
#[command(name = "andon", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve: take samples in, send alerts out.
    Serve(serve::ServeArgs),
    /// Show what Andon does: published data and a simulated process, on a throw-away database.
    Demo(demo::DemoArgs),
    /// Send the rows of a CSV file as samples.
    Replay(replay::ReplayArgs),
    /// Print a server's events as they happen.
    Tail(tail::TailArgs),
    /// Ask whether a server is ready: exit code 0 if it is, 1 if not.
    Health(health::HealthArgs),
    /// Check settings and database, also beside a running server; changes nothing.
    Check(epoch::DatabaseArgs),
    /// Try whether a receiver can be told.
    Notify(notify::NotifyArgs),
    /// Explain what goes to whom.
    Routes(routes::RoutesArgs),
    /// The name of the event log.
    Epoch(epoch::EpochArgs),
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a process without a runtime can do nothing");
    let ran = runtime.block_on(run(arguments.command));
    runtime.shutdown_background(); // a file on a disk that does not answer is not waited for
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    let stop = stop_on_signal()?;
    match command {
        Command::Serve(arguments) => serve::run(arguments, stop).await,
        Command::Demo(arguments) => demo::run(arguments, stop).await,
        Command::Replay(arguments) => replay::run(arguments, stop).await,
        Command::Tail(arguments) => tail::run(arguments, stop).await,
        Command::Health(arguments) => health::run(arguments).await,
        Command::Check(arguments) => check::run(arguments).await,
        Command::Notify(arguments) => notify::run(arguments).await,
        Command::Routes(arguments) => routes::run(arguments).await,
        Command::Epoch(arguments) => epoch::run(arguments).await,
    }
}

/// A token that SIGTERM or Ctrl-C cancels; a second one ends the process at once, as by default.
fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        token.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(130);
    });
    Ok(stop)
}

/// The error with all its causes, on standard error.
#[expect(clippy::print_stderr, reason = "a command's last words")]
fn complain(error: &anyhow::Error) {
    eprintln!("andon: {error:#}");
}
