//! The server to be measured, alone in its process: the whole application, fed through its bus.

use std::io::stdin;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use andon::app::App;
use andon::bus::EventBus;
use andon::domain::characteristic::Definition;
use andon::domain::chart::ChartKind;
use andon::domain::ids::CharacteristicId;
use andon::domain::rules::RuleSet;
use andon::domain::sample::Mode;
use andon::health::Stage;
use andon::protocol::event::LoggedEvent;
use andon::services::{Catalog, CharacteristicRef, NewSample, SpcEngine};
use andon::settings::Settings;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::exchange::{Command, Reply, Usage, say};
use crate::load::{Events, Load, Schedule, now};

/// Samples that wait for one commit.
const TOGETHER: u64 = 1_000;

/// What samples are recorded of, besides the one that `Record` records.
const FED: usize = 10;

/// More connections than any scenario makes, all at once and from one address.
const MANY: u32 = 100_000;

/// Everything as it is by default, except where it listens and how many it lets in.
fn settings(directory: &Path, ring_events: usize) -> Settings {
    let mut settings = Settings::default();
    settings.http.listen = "127.0.0.1:0".to_owned();
    settings.store.url = format!("sqlite://{}", directory.join("andon.db").display());
    settings.http.connections = MANY;
    settings.http.connections_per_address = MANY;
    settings.http.connects_per_second = MANY.into();
    settings.http.connect_burst = MANY;
    settings.http.connects_per_second_per_address = MANY.into();
    settings.http.connect_burst_per_address = MANY;
    settings.bus.capacity_events = NonZeroUsize::new(ring_events).expect("a ring holds something");
    settings
}

/// Serves and obeys until standard input ends.
pub fn main(directory: &Path, ring_events: usize) {
    let runtime = Runtime::new().unwrap();
    let app = runtime.block_on(App::builder(settings(directory, ring_events)).build()).unwrap();
    let mut driven = Driven {
        bus: app.bus(),
        events: Events::new(app.bus().retained().end),
        engine: app.engine(),
        catalog: app.catalog(),
        recorded: None,
        runtime,
    };
    let (address, health) = (app.address(), app.health());
    let running = driven.runtime.spawn(app.run(CancellationToken::new()));
    while health.stage() != Stage::Running {
        assert!(!running.is_finished(), "the application did not start");
        thread::sleep(Duration::from_millis(1));
    }
    say(&Reply::Listening { address });
    for line in stdin().lines().map_while(Result::ok) {
        assert!(!running.is_finished(), "the application has ended");
        say(&driven.obey(serde_json::from_str(&line).unwrap()));
    }
    driven.runtime.shutdown_background();
}

struct Driven {
    bus: EventBus<Arc<LoggedEvent>>,
    events: Events,
    engine: SpcEngine,
    catalog: Catalog,
    recorded: Option<CharacteristicId>,
    runtime: Runtime,
}

impl Driven {
    fn obey(&mut self, command: Command) -> Reply {
        match command {
            Command::Publish(load) => self.publish(load),
            Command::Usage => return Reply::Usage(Usage::of_this_process()),
            Command::Feed { samples } => return self.feed(samples),
            Command::Record { samples, every_us } => self.record(samples, every_us),
        }
        Reply::Done
    }

    fn publish(&mut self, load: Load) {
        self.events.rewind();
        let mut schedule = Schedule::new(load);
        while let Some(at) = schedule.next_at() {
            sleep_until(at);
            let due = schedule.take_due(now());
            let batch: Vec<_> = (0..due).map(|_| Arc::new(self.events.next(&load))).collect();
            self.bus.publish_all(batch).expect("the bus is open");
        }
    }

    fn feed(&mut self, samples: u64) -> Reply {
        let names = (0..FED).map(|n| format!("fed {n}")).chain(["recorded".to_owned()]);
        let ids: Vec<_> = names.map(|name| self.characteristic(name)).collect();
        let (fed, recorded) = (&ids[..FED], ids[FED]);
        self.recorded = Some(recorded);
        let (mut after, mut last) = (None, 0);
        let mut n = 0;
        while n < samples {
            let together = TOGETHER.min(samples - n);
            let batch = (n..n + together).map(|n| (fed[n as usize % FED], 10.0 + (n % 4_000) as f64 / 1e3));
            let seqs = self.runtime.block_on(async {
                let mut waiting = Vec::new();
                for (id, value) in batch {
                    waiting.push(self.engine.queue(sample(id, value)).await.unwrap());
                }
                let mut seqs = Vec::new();
                for sample in waiting {
                    seqs.push(sample.recorded().await.unwrap().unwrap().seq);
                }
                seqs
            });
            after.get_or_insert(seqs[0] - 1);
            last = *seqs.last().expect("a batch holds something");
            n += together;
        }
        while self.bus.retained().end <= last {
            thread::sleep(Duration::from_millis(1));
        }
        let recorded_id = u64::try_from(recorded.get()).expect("positive");
        Reply::Fed { after: after.expect("something was fed"), last, recorded_id }
    }

    fn record(&mut self, samples: u64, every_us: u64) {
        let recorded = self.recorded.expect("it is fed first");
        let started = now();
        for n in 0..samples {
            sleep_until(started + n * every_us * 1_000);
            let sample = sample(recorded, (now() / 1_000) as f64);
            self.runtime.block_on(self.engine.submit(sample)).unwrap().unwrap();
        }
    }

    fn characteristic(&self, name: String) -> CharacteristicId {
        let definition = Definition {
            name,
            key: None,
            description: None,
            chart: ChartKind::IMr,
            subgroup_size: 1,
            min_measurements: 1,
            unit: None,
            decimals: None,
            target: None,
            usl: None,
            lsl: None,
            group: None,
            tags: vec![],
            reaction_plan: None,
            auto_limits_after: None,
        };
        let created = self.runtime.block_on(self.catalog.create(definition, RuleSet::default()));
        created.unwrap().unwrap().id
    }
}

fn sample(id: CharacteristicId, value: f64) -> NewSample {
    NewSample {
        characteristic: CharacteristicRef::Id(id),
        measurements: vec![value],
        timestamp: None,
        mode: Mode::Live,
        key: None,
        batch: None,
        operator: None,
        metadata: None,
    }
}

fn sleep_until(at: u64) {
    thread::sleep(Duration::from_nanos(at.saturating_sub(now())));
}
