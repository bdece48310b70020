//! What publishing costs the publisher, and what it takes until everybody has read.
//!
//! `tokio::sync::broadcast` runs beside the bus in the same process, as the floor to compare with: a ratio says
//! more than nanoseconds of one machine. The publisher is a plain thread; readers are tasks of a runtime, always
//! awake and reading. Both rings have the same capacity, both readers carry on when they lag.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use andon::bus::{EventBus, Next, Settings};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

const CAPACITY: NonZeroUsize = NonZeroUsize::new(65_536).expect("65,536 is not zero");
/// Few enough for the ring, so that every reader sees every event of a round.
const ROUND: u64 = 10_000;

type Event = Arc<str>;

fn bus() -> EventBus<Event> {
    EventBus::new(Settings { capacity: CAPACITY }, 0)
}

fn runtime() -> Runtime {
    Runtime::new().expect("a runtime starts")
}

/// Reads until the bus closes; counts what it read.
fn read_bus(runtime: &Runtime, bus: &EventBus<Event>, read: &Arc<AtomicU64>) {
    let (mut subscription, read) = (bus.subscribe_cursor("bench"), Arc::clone(read));
    runtime.spawn(async move {
        loop {
            match subscription.next().await {
                Next::Event { event, .. } => drop(black_box(event)),
                Next::Lagged(_) => continue,
                Next::Closed => return,
            }
            read.fetch_add(1, Relaxed);
        }
    });
}

fn read_broadcast(runtime: &Runtime, sender: &broadcast::Sender<Event>, read: &Arc<AtomicU64>) {
    let (mut receiver, read) = (sender.subscribe(), Arc::clone(read));
    runtime.spawn(async move {
        loop {
            match receiver.recv().await {
                Ok(event) => drop(black_box(event)),
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            }
            read.fetch_add(1, Relaxed);
        }
    });
}

fn publish(c: &mut Criterion) {
    let event: Event = Arc::from("a violation");
    let read = Arc::new(AtomicU64::new(0));
    let mut group = c.benchmark_group("publish");
    for subscribers in [0, 1, 8, 64] {
        group.bench_function(BenchmarkId::new("bus", subscribers), |b| {
            let (runtime, bus) = (runtime(), bus());
            (0..subscribers).for_each(|_| read_bus(&runtime, &bus, &read));
            b.iter(|| bus.publish(Arc::clone(&event)));
        });
        group.bench_function(BenchmarkId::new("broadcast", subscribers), |b| {
            let (runtime, (sender, first)) = (runtime(), broadcast::channel(CAPACITY.get()));
            (0..subscribers).for_each(|_| read_broadcast(&runtime, &sender, &read));
            // With no receiver at all, `send` returns without storing; the unread one keeps it honest.
            let _unread = (subscribers == 0).then_some(first);
            b.iter(|| sender.send(Arc::clone(&event)));
        });
    }
    group.finish();
}

fn publish_all(c: &mut Criterion) {
    let event: Event = Arc::from("a violation");
    let mut group = c.benchmark_group("publish_all");
    for events in [64_usize, 512] {
        group.throughput(Throughput::Elements(events as u64));
        group.bench_function(BenchmarkId::new("bus", events), |b| {
            let bus = bus();
            b.iter(|| bus.publish_all(std::iter::repeat_n(&event, events).cloned()));
        });
    }
    group.finish();
}

/// From the first event of a round until every reader has read the last.
fn fan_out(c: &mut Criterion) {
    let event: Event = Arc::from("a violation");
    let mut group = c.benchmark_group("fan_out");
    group.sample_size(20);
    for subscribers in [1, 8, 64] {
        group.throughput(Throughput::Elements(ROUND * subscribers));
        group.bench_function(BenchmarkId::new("bus", subscribers), |b| {
            let (runtime, bus, read) = (runtime(), bus(), Arc::new(AtomicU64::new(0)));
            (0..subscribers).for_each(|_| read_bus(&runtime, &bus, &read));
            b.iter(|| {
                (0..ROUND).for_each(|_| {
                    black_box(bus.publish(Arc::clone(&event))).ok();
                });
                wait_until_read(&read, ROUND * subscribers);
            });
        });
        group.bench_function(BenchmarkId::new("broadcast", subscribers), |b| {
            let (runtime, (sender, _)) = (runtime(), broadcast::channel(CAPACITY.get()));
            let read = Arc::new(AtomicU64::new(0));
            (0..subscribers).for_each(|_| read_broadcast(&runtime, &sender, &read));
            b.iter(|| {
                (0..ROUND).for_each(|_| {
                    black_box(sender.send(Arc::clone(&event))).ok();
                });
                wait_until_read(&read, ROUND * subscribers);
            });
        });
    }
    group.finish();
}

/// What it takes to read a full ring, 256 events at a time: with a cursor, and page by page.
fn read(c: &mut Criterion) {
    const MOST: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not zero");
    let bus = bus();
    bus.publish_all(std::iter::repeat_n(Arc::from("a violation"), CAPACITY.get())).expect("open");
    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Elements(CAPACITY.get() as u64));
    group.bench_function("cursor", |b| {
        let (mut cursor, mut out) = (bus.subscribe_from("bench", 0).expect("in the ring"), Vec::new());
        b.iter(|| {
            cursor.seek(0).expect("in the ring");
            while cursor.try_next_batch(MOST, &mut out).is_some() {
                black_box(&out);
                out.clear();
            }
        });
    });
    group.bench_function("page", |b| {
        let mut out = Vec::new();
        b.iter(|| {
            let mut position = 0;
            while bus.page(position, MOST, &mut out).is_ok() && !out.is_empty() {
                position += black_box(&out).len() as u64;
                out.clear();
            }
        });
    });
    group.finish();
}

fn wait_until_read(read: &AtomicU64, events: u64) {
    while read.load(Relaxed) < events {
        std::thread::yield_now();
    }
    read.store(0, Relaxed);
}

criterion_group!(benches, publish, publish_all, fan_out, read);
criterion_main!(benches);
