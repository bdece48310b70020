//! What the bus promises, as tests; and the few words they share.
//!
//! Nothing here sleeps to synchronise: a test waits for a state, and fails when the deadline passes first.

mod cursors;
mod handlers;
mod pages;
mod properties;
mod shutdowns;
mod threads;

use std::num::NonZeroUsize;
use std::sync::mpsc;
use std::time::Duration;

use tokio::time::timeout;

use super::{BusEvent, EventBus, Lagged, Next, Settings, SubscriberStats, Subscription};

/// Far beyond what any step takes, even on a busy machine; only a broken test waits for it.
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Sample(u64),
    Alert(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Sample,
    Alert,
}

impl BusEvent for Signal {
    type Kind = Kind;

    fn kind(&self) -> Kind {
        match self {
            Self::Sample(_) => Kind::Sample,
            Self::Alert(_) => Kind::Alert,
        }
    }
}

fn bus_of<E: Clone + Send + Sync + 'static>(capacity: usize) -> EventBus<E> {
    EventBus::new(Settings { capacity: at_most(capacity) }, 0)
}

fn at_most(events: usize) -> NonZeroUsize {
    NonZeroUsize::new(events).unwrap()
}

fn event<E>(position: u64, event: E) -> Next<E> {
    Next::Event { position, event }
}

fn lagged<E>(missed: u64, resume_at: u64) -> Next<E> {
    Next::Lagged(Lagged { missed, resume_at })
}

fn drain<E: Clone>(subscription: &mut Subscription<E>) -> Vec<Next<E>> {
    std::iter::from_fn(|| subscription.try_next().filter(|next| !matches!(next, Next::Closed))).collect()
}

fn stats_of<E: Clone + Send + Sync + 'static>(bus: &EventBus<E>, name: &str) -> SubscriberStats {
    let subscribers = bus.stats().subscribers;
    subscribers.into_iter().find(|subscriber| &*subscriber.name == name).unwrap()
}

async fn soon<F: Future>(future: F) -> F::Output {
    timeout(DEADLINE, future).await.expect("it happens before the deadline")
}

async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn finishes(work: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        work();
        done.send(()).unwrap();
    });
    finished.recv_timeout(DEADLINE).expect("it finishes before the deadline");
}
