//! One client that resumes a long stretch of the log, while ten others listen to what happens meanwhile.
//!
//! Real rows: samples that went through the services. Once the whole stretch still is in the ring, once the ring is so
//! small that it has to come from the store.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Options;
use crate::clients::{Clients, Listening};
use crate::exchange::{Command, Reply};
use crate::histogram::Histogram;
use crate::load::Load;
use crate::measure::{Side, Spread};
use crate::process::Process;
use crate::report::Report;

const EVENTS: u64 = 100_000;

/// Those who listen to what is recorded meanwhile.
const OTHERS: usize = 10;

/// One sample every 5 ms: a durable commit takes less.
const EVERY_US: u64 = 5_000;

/// Samples recorded before anybody resumes, and while somebody does.
const BEFORE: u64 = 400;
const MEANWHILE: u64 = 600;

/// How often the stretch is resumed while those are recorded, at most.
const RESUMES: usize = 10;

/// How long one resume may take.
const MOST: Duration = Duration::from_secs(20);

pub fn resume(options: &Options, report: &mut Report) {
    let events = options.scaled(EVENTS);
    // With what is recorded besides, everything fits.
    one("resume from the ring", (events as usize * 2).max(65_536), "200,000 events/s", options, report);
    one("resume from the store", 1_024, "100,000 events/s", options, report);
}

fn one(name: &str, ring_events: usize, goal: &str, options: &Options, report: &mut Report) {
    let mut process = Process::server(ring_events);
    process.tell(&Command::Feed { samples: options.scaled(EVENTS) });
    let Reply::Fed { after, last, recorded_id } = process.hear() else { panic!("it is fed") };
    let mut side = Side { process, clients: Clients::new() };
    let listening = Listening { topics: vec![recorded_id], ..Listening::default() };
    for _ in 0..OTHERS {
        side.clients.connect(side.process.address(), listening.clone());
    }

    record(&mut side, options.scaled(BEFORE), recorded_id);
    side.clients.read_until(MOST, Clients::are_complete);
    assert!(matches!(side.process.hear(), Reply::Done));
    let undisturbed = std::mem::take(&mut side.clients.latency);

    record(&mut side, options.scaled(MEANWHILE), recorded_id);
    let (mut rates, mut is_recording) = (Vec::new(), true);
    while is_recording && rates.len() < RESUMES {
        match once(&mut side, after, last) {
            Ok(rate) => rates.push(rate),
            Err(Refused(why)) => {
                report.line(name, &format!("refused: {}", why.split(',').next().unwrap_or_default()));
                break;
            }
        }
        is_recording = side.process.try_hear().is_none();
    }
    let disturbed = side.clients.latency.clone();
    side.clients.read_until(MOST, Clients::are_complete);
    if is_recording {
        assert!(matches!(side.process.hear(), Reply::Done));
    }
    if !rates.is_empty() {
        let Spread { least, median, most } = Spread::of(rates.iter().copied());
        let told = |latency: &Histogram| {
            format!("p50 {:.2} p99 {:.2} ms", latency.quantile_ms(0.5), latency.quantile_ms(0.99))
        };
        let text = format!(
            "{median:.0} events/s ({least:.0}..{most:.0} in {}); others {}, undisturbed {}   goal {goal}",
            rates.len(),
            told(&disturbed),
            told(&undisturbed)
        );
        report.line(name, &text);
    }
    report.faults(name, side.clients.faults(false));
}

struct Refused(String);

/// A client that connects and resumes everything after a position; gives events for each second.
fn once(side: &mut Side, after: u64, last: u64) -> Result<f64, Refused> {
    let listening = Listening { is_untimed: true, ..Listening::default() };
    let resumer = side.clients.connect(side.process.address(), listening);
    let (welcome, _) = side.clients.all()[resumer].answer.as_ref().expect("it was welcomed");
    let since = serde_json::json!({ "epoch": welcome["payload"]["epoch"], "seq": after });
    let subscribe = serde_json::json!({ "type": "subscribe", "all": true, "since": since });
    side.clients.say(resumer, &subscribe.to_string());
    let started = Instant::now();
    let says = |clients: &Clients, kind: &str| {
        clients.all()[resumer].answer.as_ref().is_some_and(|(answer, _)| answer["type"] == kind)
    };
    let is_over = |clients: &Clients| {
        says(clients, "resumed") || says(clients, "error") || clients.all()[resumer].closed.is_some()
    };
    side.clients.read_until(MOST, is_over);
    let took = started.elapsed();
    let client = &side.clients.all()[resumer];
    let (got, answer) = (client.delivered + client.skipped, client.answer.clone());
    if says(&side.clients, "error") {
        let message = answer.map_or(Value::Null, |(answer, _)| answer["message"].clone());
        side.clients.leave(resumer);
        return Err(Refused(message.as_str().unwrap_or_default().to_owned()));
    }
    if got < last - after || !says(&side.clients, "resumed") {
        let fault = format!("got {got} of {} events, then {answer:?}", last - after);
        side.clients.fault(fault);
    }
    side.clients.leave(resumer);
    Ok(got as f64 / took.as_secs_f64())
}

fn record(side: &mut Side, samples: u64, recorded_id: u64) {
    side.clients.latency = Histogram::default();
    side.clients.expect(&Load { first_topic: recorded_id, ..Load::burst(samples) });
    side.process.tell(&Command::Record { samples, every_us: EVERY_US });
}
