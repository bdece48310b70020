//! What clients that do not read cost the others: the same load in alternating pairs, with and without such clients.
//!
//! Before each run the same clients get so much of a characteristic of their own that, where they do not read, the
//! kernel's buffers are full and the server holds the rest. What they got of that is not measured.

use std::time::Duration;

use crate::Options;
use crate::clients::{Clients, Listening};
use crate::load::Load;
use crate::measure::{Run, Side, Spread, Summary};
use crate::process::{Process, RING};
use crate::report::Report;

const CLIENTS: u64 = 1_000;

/// Of these so many do not read.
const STALLED: u64 = 50;

const PAIRS: usize = 10;

/// 4.8 MB for each of them, more than the kernel takes for one connection (`tcp_wmem` ends at 4 MB). In steps: where
/// these clients read, nobody falls behind by more than one.
const PRESS: u64 = 16_000;
const STEP: u64 = 1_000;

/// 1,000 events a second to 1,000 clients: about half of what two processors do with server and clients on them.
const LOAD: (u64, u64, u64) = (1_000, 5, 5_000);

/// A small receive buffer fills soon.
const RECEIVE_BYTES: usize = 16 << 10;

/// How long those who stalled may take to get the rest.
const REST: Duration = Duration::from_secs(10);

/// What became of those who had stalled, over all runs.
#[derive(Default)]
struct Ends {
    complete: usize,
    incomplete: usize,
    let_go: usize,
}

pub fn stalled(options: &Options, report: &mut Report) {
    let mut process = Process::server(RING);
    let (mut with, mut without) = (Vec::new(), Vec::new());
    let mut ends = Ends::default();
    for pair in 0..if options.is_quick { 2 } else { PAIRS } {
        // Whatever drifts meets both alike.
        for is_with in if pair % 2 == 0 { [false, true] } else { [true, false] } {
            let run;
            (process, run) = one(options, process, is_with.then_some(&mut ends), report);
            if is_with { &mut with } else { &mut without }.push(run);
        }
    }
    let cost = |run: &Run| run.processor_ns as f64 / 1e3 / run.due as f64;
    let p99 = |run: &Run| run.latency.quantile_ms(0.99);
    let compare = |of: &dyn Fn(&Run) -> f64| {
        let ratio = Spread::of(with.iter().zip(&without).map(|(with, without)| of(with) / of(without)));
        let middle = |runs: &[Run]| Spread::of(runs.iter().map(of)).median;
        let (with, without) = (middle(&with), middle(&without));
        let Spread { least, median, most } = ratio;
        format!("{with:.3} with, {without:.3} without; ratio {median:.3} ({least:.3}..{most:.3})   goal 1.25")
    };
    report.line("stalled: us for a delivery", &compare(&cost));
    report.line("stalled: p99 ms of who reads", &compare(&p99));
    let (with, without) = (Summary::of(&with), Summary::of(&without));
    let text = format!(
        "p50 {:.2} ms with, {:.2} without; of those who stalled {} got everything, {} were let go",
        with.p50_ms, without.p50_ms, ends.complete, ends.let_go
    );
    report.line("stalled", &text);
    if ends.incomplete > 0 {
        report.faults("stalled", [format!("{} kept their connection and missed events", ends.incomplete)]);
    }
}

fn one(options: &Options, process: Process, ends: Option<&mut Ends>, report: &mut Report) -> (Process, Run) {
    let mut side = Side { process, clients: Clients::new() };
    let (clients, stalled) = (options.scaled(CLIENTS), options.scaled(STALLED));
    let indices: Vec<usize> = (0..stalled as usize).collect();
    for n in 0..clients {
        let listening = match n < stalled {
            true => Listening { topics: vec![1, 2], receive_bytes: RECEIVE_BYTES, is_untimed: true },
            false => Listening { topics: vec![1], ..Listening::default() },
        };
        side.clients.connect(side.process.address(), listening);
    }
    if ends.is_some() {
        side.clients.stall(&indices);
    }
    for _ in 0..options.scaled(PRESS) / STEP {
        side.run(&Load { first_topic: 2, ..Load::burst(STEP) });
    }
    side.process.settle();
    let (events, batch, every_us) = LOAD;
    let run = side.run(&Load::paced(options.scaled(events), batch, every_us));
    if let Some(ends) = ends {
        side.clients.unstall();
        side.clients.read_until(REST, Clients::are_complete);
        for client in &side.clients.all()[..indices.len()] {
            match client.closed {
                Some(_) => ends.let_go += 1,
                None if client.missing() == 0 => ends.complete += 1,
                None => ends.incomplete += 1,
            }
        }
        let readers = &side.clients.all()[indices.len()..];
        let gone = readers.iter().filter(|client| client.closed.is_some()).count();
        report.faults("stalled", (gone > 0).then(|| format!("{gone} clients that read were let go")));
        report.faults("stalled", side.clients.faults(true));
    } else {
        report.faults("all read", side.clients.faults(false));
    }
    let Side { mut process, clients } = side;
    drop(clients);
    process.settle();
    (process, run)
}
