//! The WebSocket fan-out: what a delivery costs the server, beside a bare loop that writes the same bytes.
//!
//! `cargo bench --bench fanout` runs everything; `-- burst topics` only these, `-- --quick` with a tenth of the work,
//! `-- --rounds 3` with other repetitions, `-- --each-ms 20 topics` at another pace. The server and its floor are processes of their own, so that their
//! processor time and memory are theirs alone; the driver holds all clients and is on the same processors. Latencies
//! are from publishing to the client's read, and so hold the clients' own time, too; the floor's stand beside them.
//!
//! Prints a table. Fails only if an event was lost, repeated or out of order; never because of a time.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a benchmark prints and times"
)]

mod beside;
mod clients;
mod exchange;
mod floor;
mod histogram;
mod load;
mod measure;
mod process;
mod report;
mod resume;
mod server;
mod stalled;
mod wire;

use std::env;
use std::path::Path;
use std::process::ExitCode;

use report::Report;

/// Descriptors that the driver needs besides those of its clients.
const OTHER_DESCRIPTORS: u64 = 64;

type Scenario = fn(&Options, &mut Report);

const SCENARIOS: [(&str, Scenario); 7] = [
    ("burst", beside::burst),
    ("paced", beside::paced),
    ("topics", beside::topics),
    ("wide", beside::wide),
    ("idle", beside::idle),
    ("stalled", stalled::stalled),
    ("resume", resume::resume),
];

/// What the command line says.
struct Options {
    is_quick: bool,
    rounds: usize,
    /// Events that `topics` publishes each millisecond, if not as it likes.
    each_ms: Option<u64>,
    /// As many as descriptors allow.
    most_clients: usize,
}

impl Options {
    /// The whole number, or a tenth of it for a quick look.
    fn scaled(&self, whole: u64) -> u64 {
        if self.is_quick { (whole / 10).max(1) } else { whole }
    }
}

fn main() -> ExitCode {
    let descriptors = exchange::raise_descriptor_limit();
    // Cargo itself says `--bench`.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--as-floor"] => floor::main(),
        ["--as-server", directory, ring] => server::main(Path::new(directory), ring.parse().unwrap()),
        _ => return drive(&words, descriptors),
    }
    ExitCode::SUCCESS
}

fn drive(words: &[&str], descriptors: u64) -> ExitCode {
    let most_clients = usize::try_from(descriptors.saturating_sub(OTHER_DESCRIPTORS)).unwrap_or(usize::MAX);
    let mut options = Options { is_quick: false, rounds: 5, each_ms: None, most_clients };
    let mut chosen = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match (*word, SCENARIOS.iter().find(|(name, _)| name == word)) {
            ("--quick", _) => options.is_quick = true,
            ("--rounds", _) => match words.next().and_then(|rounds| rounds.parse().ok()) {
                Some(rounds @ 1..) => options.rounds = rounds,
                _ => return usage(),
            },
            ("--each-ms", _) => match words.next().and_then(|events| events.parse().ok()) {
                Some(events @ 1..) => options.each_ms = Some(events),
                _ => return usage(),
            },
            (_, Some((_, scenario))) => chosen.push(*scenario),
            _ => return usage(),
        }
    }
    if chosen.is_empty() {
        chosen.extend(SCENARIOS.map(|(_, scenario)| scenario));
    }
    let mut report = Report::default();
    report.heading();
    chosen.into_iter().for_each(|scenario| scenario(&options, &mut report));
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage() -> ExitCode {
    let names = SCENARIOS.map(|(name, _)| name).join(" ");
    eprintln!(
        "usage: cargo bench --bench fanout -- [--quick] [--rounds N] [--each-ms N] [SCENARIO]...; scenarios: {names}"
    );
    ExitCode::from(2)
}
