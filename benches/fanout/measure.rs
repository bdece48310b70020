//! One run: publishes a load to a process, reads until everything has come, and tells what it cost.

use std::time::Duration;

use crate::clients::{Clients, Listening};
use crate::exchange::{Command, Reply};
use crate::histogram::Histogram;
use crate::load::Load;
use crate::process::Process;

/// How long a run may take before what is missing counts as lost.
const MOST: Duration = Duration::from_secs(30);

/// A process with its clients.
pub struct Side {
    pub process: Process,
    pub clients: Clients,
}

impl Side {
    /// Connects `clients` clients, each to what `topic` says.
    pub fn connect(process: Process, clients: usize, topic: impl Fn(usize) -> u64) -> Self {
        let mut side = Self { process, clients: Clients::new() };
        for n in 0..clients {
            let listening = Listening { topics: vec![topic(n)], ..Listening::default() };
            side.clients.connect(side.process.address(), listening);
        }
        side
    }

    /// Publishes, and reads until every client that reads has everything.
    pub fn run(&mut self, load: &Load) -> Run {
        self.clients.latency = Histogram::default();
        let count = |clients: &Clients| {
            clients.all().iter().fold((0, 0), |(d, s), client| (d + client.delivered, s + client.skipped))
        };
        let (delivered, skipped) = count(&self.clients);
        let due = self.clients.expect(load);
        let before = self.process.usage();
        self.process.tell(&Command::Publish(*load));
        self.clients.read_until(MOST, Clients::are_complete);
        assert!(matches!(self.process.hear(), Reply::Done));
        let cost = self.process.usage().processor_ns - before.processor_ns;
        let (delivered, skipped) = (count(&self.clients).0 - delivered, count(&self.clients).1 - skipped);
        let latency = std::mem::take(&mut self.clients.latency);
        Run { due, delivered, skipped, processor_ns: cost, latency }
    }
}

/// What one run has cost.
#[derive(Debug, Clone)]
pub struct Run {
    pub due: u64,
    pub delivered: u64,
    pub skipped: u64,
    pub processor_ns: u64,
    pub latency: Histogram,
}

/// Several runs of the same: the median cost, with all latencies together.
pub struct Summary {
    pub due: u64,
    pub delivered: u64,
    pub skipped: u64,
    /// Processor time for each event that was due to a client, in microseconds.
    pub cost: Spread,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Summary {
    pub fn of(runs: &[Run]) -> Self {
        let mut latency = Histogram::default();
        runs.iter().for_each(|run| latency.add(&run.latency));
        Self {
            due: runs.iter().map(|run| run.due).sum(),
            delivered: runs.iter().map(|run| run.delivered).sum(),
            skipped: runs.iter().map(|run| run.skipped).sum(),
            cost: Spread::of(runs.iter().map(|run| run.processor_ns as f64 / 1e3 / run.due as f64)),
            p50_ms: latency.quantile_ms(0.5),
            p99_ms: latency.quantile_ms(0.99),
        }
    }
}

/// The middle and the ends of several figures.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub most: f64,
}

impl Spread {
    pub fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let at = |index: usize| figures.get(index).copied().unwrap_or(f64::NAN);
        let (last, half) = (figures.len().wrapping_sub(1), figures.len() / 2);
        let median =
            if figures.len() % 2 == 1 { at(half) } else { (at(half.wrapping_sub(1)) + at(half)) / 2.0 };
        Self { least: at(0), median, most: at(last) }
    }
}
