//! The server beside its floor: one characteristic at once and at a pace, many characteristics, many clients.

use andon::protocol::event::EventKind;

use crate::Options;
use crate::load::Load;
use crate::measure::{Run, Side, Summary};
use crate::process::{Process, RING};
use crate::report::Report;

/// Clients of all but the widest run.
const CLIENTS: usize = 1_000;

/// Characteristics of `topics`.
const TOPICS: u64 = 100;

/// Events of `topics` each millisecond, with many and with few of them.
///
/// A write alone costs 4 to 7 us here, so 2.5 us for a delivery supposes that two or three share one. At 50,000 events/s
/// each client is due 2.5 within the 5 ms that a busy server waits, and two processors are nearly taken; publishing
/// itself is less than a tenth of that. At 10,000 events/s nothing can be shared: what matters there is the delay.
const MANY_EACH_MS: u64 = 50;
const FEW_EACH_MS: u64 = 10;

/// What a run is called, who listens, and what is published.
struct Case {
    name: &'static str,
    goal: &'static str,
    clients: usize,
    load: Load,
    /// Runs of each, in turn.
    rounds: usize,
}

pub fn burst(options: &Options, report: &mut Report) {
    let load = Load::burst(options.scaled(2_000));
    let clients = options.scaled(CLIENTS as u64) as usize;
    let goal = "0.35 us, 2 x floor";
    let case = Case { name: "burst of alerts", goal, clients, load, rounds: options.rounds };
    beside(&case, report);
    let load = Load { kind: EventKind::Sample, ..load };
    beside(&Case { name: "burst of samples", goal: "adds up", load, ..case }, report);
}

pub fn paced(options: &Options, report: &mut Report) {
    // 20 events a second for ten seconds: every one is alone.
    let load = Load::paced(options.scaled(200), 1, 50_000);
    let clients = options.scaled(CLIENTS as u64) as usize;
    let goal = "1.7 x floor, p99 15 ms";
    beside(&Case { name: "20 events/s", goal, clients, load, rounds: 1 }, report);
}

pub fn topics(options: &Options, report: &mut Report) {
    let clients = options.scaled(CLIENTS as u64) as usize;
    let load = |each_ms| Load { topics: TOPICS, ..Load::paced(options.scaled(20_000), each_ms, 1_000) };
    let goal = "2.5 us, p50 15 ms, p99 30 ms";
    let many = load(options.each_ms.unwrap_or(MANY_EACH_MS));
    let case =
        Case { name: "100 characteristics, 50,000/s", goal, clients, load: many, rounds: options.rounds };
    beside(&case, report);
    if options.each_ms.is_none() {
        let (name, load) = ("100 characteristics, 10,000/s", load(FEW_EACH_MS));
        beside(&Case { name, goal: "nothing to share", load, rounds: 1, ..case }, report);
    }
}

pub fn wide(options: &Options, report: &mut Report) {
    let wanted = options.scaled(10_000) as usize;
    let clients = wanted.min(options.most_clients);
    if clients < wanted {
        report.line("10,000 clients", &format!("only {clients}: more descriptors are not allowed here"));
    }
    let load = Load::burst(100);
    let goal = "0.65 us, all get all";
    let case = Case { name: "10,000 clients, 100 events", goal, clients, load, rounds: options.rounds };
    // Both at once would be more descriptors than a process may have.
    let floor = alone(&case, Process::floor(), report);
    let server = alone(&case, Process::server(RING), report);
    report.figures(case.name, &server, &floor, case.goal);
}

/// Memory of a server whose clients are connected and hear nothing.
pub fn idle(options: &Options, report: &mut Report) {
    let clients = (options.scaled(9_000) as usize).min(options.most_clients);
    let mut process = Process::server(RING);
    process.settle();
    let before = process.usage().resident_bytes;
    let mut side = Side::connect(process, clients, |_| 1);
    side.process.settle();
    let after = side.process.usage().resident_bytes;
    let each = (after - before) as f64 / clients as f64 / 1_024.0;
    let text = format!(
        "{each:.1} KB each of {clients} open at once; {:.1} MB before, {:.1} MB after   goal 16 KB",
        before as f64 / 1e6,
        after as f64 / 1e6
    );
    report.line("idle connections", &text);
    report.faults("idle connections", side.clients.faults(false));
}

impl Case {
    fn connect(&self, process: Process) -> Side {
        let Load { first_topic, topics, .. } = self.load;
        let mut side = Side::connect(process, self.clients, |n| first_topic + n as u64 % topics);
        side.run(&Load::burst(20)); // buffers are grown, pages are there
        side
    }
}

/// The floor and the server in turn, both connected.
fn beside(case: &Case, report: &mut Report) {
    let mut floor = case.connect(Process::floor());
    let mut server = case.connect(Process::server(RING));
    let (mut of_floor, mut of_server) = (Vec::new(), Vec::new());
    for _ in 0..case.rounds {
        of_floor.push(floor.run(&case.load));
        of_server.push(server.run(&case.load));
    }
    report.figures(case.name, &Summary::of(&of_server), &Summary::of(&of_floor), case.goal);
    report.faults("floor", floor.clients.faults(false));
    report.faults(case.name, server.clients.faults(false));
}

fn alone(case: &Case, process: Process, report: &mut Report) -> Summary {
    let mut side = case.connect(process);
    let runs: Vec<Run> = (0..case.rounds).map(|_| side.run(&case.load)).collect();
    report.faults(case.name, side.clients.faults(false));
    Summary::of(&runs)
}
