//! The push side: async handlers, each in its own tracked task with its own cursor.
//!
//! One call at a time per handler, in order. A handler that is slow only falls behind itself; one that panics
//! loses that event, is logged and counted, and goes on with the next. The task ends on unsubscribing, when the
//! bus is closed and drained, or at the cut after a shutdown's grace.

use std::any::Any;
use std::collections::HashSet;
use std::fmt::Debug;
use std::future::poll_fn;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info_span, warn};

use super::BusEvent;
use super::cursor::{Cursor, Lagged, Pulled};
use super::event_bus::EventBus;
use super::stats::BusStats;
use super::subscriber::{Filter, Role};

/// The kinds of event a handler is called for. Built from an array, an iterator, or [`Kinds::Every`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kinds<K: Eq + Hash> {
    Every,
    Only(HashSet<K>),
}

/// What a durable handler is called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery<E> {
    Event {
        position: u64,
        event: E,
    },
    /// The [`Lagged::missed_positions`] are no longer in the ring; the handler reads them where they are kept.
    /// Its next call is for an event from [`Lagged::resume_at`] on, or says that it lagged again meanwhile.
    Lagged(Lagged),
}

/// A handler's place on the bus.
///
/// Dropping it changes nothing: the handler then stays for as long as the bus does.
#[derive(Debug)]
pub struct HandlerSubscription {
    start: u64,
    stop: CancellationToken,
    ended: CancellationToken,
}

impl HandlerSubscription {
    /// The position from which the handler sees events; what was published before is not for it.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Ends the handler: a call in progress runs to its end, none comes after it. Returns at once, so a handler
    /// may end itself; [`ended`](Self::ended) waits.
    pub fn unsubscribe(&self) {
        self.stop.cancel();
    }

    /// Waits until the handler's task is over, for whatever reason.
    ///
    /// # Cancel safety
    /// Only waits.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl<E: BusEvent + Clone + Send + Sync + 'static> EventBus<E> {
    /// Calls `handler` with every event of `kinds` published from now on, in order, one at a time.
    ///
    /// If the handler falls off the ring, the loss is logged, counted in [`SubscriberStats::lost`], and it goes on
    /// with the oldest event there is.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    ///
    /// [`SubscriberStats::lost`]: super::SubscriberStats::lost
    pub fn subscribe<H, F>(
        &self,
        name: impl Into<Arc<str>>,
        kinds: impl Into<Kinds<E::Kind>>,
        mut handler: H,
    ) -> HandlerSubscription
    where
        H: FnMut(E) -> F + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let name = name.into();
        let subscriber = Arc::clone(&name);
        self.subscribe_durable(name, kinds, move |delivery| {
            let call = match delivery {
                Delivery::Event { event, .. } => Some(handler(event)),
                Delivery::Lagged(Lagged { missed, resume_at }) => {
                    warn!(
                        subscriber.name = %subscriber, bus.missed = missed, bus.position = resume_at,
                        "bus handler {subscriber} fell behind and lost {missed} events, goes on at {resume_at}"
                    );
                    None
                }
            };
            async move {
                if let Some(call) = call {
                    call.await;
                }
            }
        })
    }

    /// Like [`subscribe`](Self::subscribe), for a handler that must miss nothing: when it falls off the ring it is
    /// called with [`Delivery::Lagged`] and reads what it missed from a log.
    ///
    /// No call is repeated, not even after a panic: the handler keeps the position up to which it is really done.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn subscribe_durable<H, F>(
        &self,
        name: impl Into<Arc<str>>,
        kinds: impl Into<Kinds<E::Kind>>,
        handler: H,
    ) -> HandlerSubscription
    where
        H: FnMut(Delivery<E>) -> F + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let (shared, name) = (self.shared(), name.into());
        let span = info_span!("bus_handler", subscriber.name = %name);
        let cursor = Cursor::at_head(shared, name, Role::Handler(kinds.into().into_filter()));
        let (stop, ended) = (shared.cut.child_token(), CancellationToken::new());
        let subscription =
            HandlerSubscription { start: cursor.position(), stop: stop.clone(), ended: ended.clone() };
        let ended = ended.drop_guard();
        let task = async move {
            run(cursor, handler, stop).await;
            drop(ended);
        };
        shared.handlers.spawn(task.instrument(span));
        subscription
    }
}

async fn run<E, H, F>(mut cursor: Cursor<E>, mut handler: H, stop: CancellationToken)
where
    E: Clone,
    H: FnMut(Delivery<E>) -> F,
    F: Future<Output = ()>,
{
    let subscriber = Arc::clone(cursor.subscriber());
    let cut = cursor.shared().cut.clone();
    loop {
        let pulled = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            pulled = cursor.pull() => pulled,
        };
        // All code that is not ours runs in here: the event's kind and clone, and the handler.
        let call = async {
            let delivery = match pulled {
                Pulled::Events((_, event)) if !subscriber.wants(&event) => return Call::NotWanted,
                Pulled::Events((position, event)) => {
                    Delivery::Event { position, event: Arc::unwrap_or_clone(event) }
                }
                Pulled::Lagged(lagged) => Delivery::Lagged(lagged),
                Pulled::Closed => return Call::Over,
            };
            let events = u64::from(matches!(delivery, Delivery::Event { .. }));
            subscriber.set_running(true);
            if cut.is_cancelled() {
                return Call::Over; // asked after saying so: a shutdown either sees the call or prevents it
            }
            handler(delivery).await;
            Call::Completed { events }
        };
        let outcome = tokio::select! {
            biased;
            outcome = catching_panics(call) => outcome,
            () = cut.cancelled() => return, // still marked as running, for the report
        };
        match outcome {
            Ok(Call::Completed { events }) => subscriber.has_handled(events),
            Ok(Call::NotWanted) => {}
            Ok(Call::Over) => return,
            Err(panic) => {
                subscriber.has_panicked();
                error!(
                    subscriber.name = %subscriber.name, bus.position = cursor.position(),
                    panic.message = message_of(panic.as_ref()),
                    "bus handler {} panicked, goes on at {}", subscriber.name, cursor.position()
                );
            }
        }
        subscriber.set_running(false);
        subscriber.moved_to(cursor.position());
    }
}

enum Call {
    Completed { events: u64 },
    NotWanted,
    Over,
}

/// The future's output, or what it panicked with. Never polls it again after a panic.
async fn catching_panics<F: Future>(future: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    poll_fn(|context| {
        // Unwind safe as far as the bus goes: what the call shares with it are atomics and a whole event.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(not a text)")
}

impl<K: Copy + Eq + Hash + Debug + Send + Sync + 'static> Kinds<K> {
    fn into_filter<E: BusEvent<Kind = K>>(self) -> Filter<E> {
        match self {
            Self::Every => Filter { wants: Box::new(|_| true), kinds: vec![BusStats::EVERY_KIND.to_owned()] },
            Self::Only(only) => {
                let kinds = only.iter().map(|kind| format!("{kind:?}")).collect();
                Filter { wants: Box::new(move |event| only.contains(&event.kind())), kinds }
            }
        }
    }
}

impl<K: Eq + Hash> FromIterator<K> for Kinds<K> {
    fn from_iter<I: IntoIterator<Item = K>>(kinds: I) -> Self {
        Self::Only(kinds.into_iter().collect())
    }
}

impl<K: Eq + Hash, const N: usize> From<[K; N]> for Kinds<K> {
    fn from(kinds: [K; N]) -> Self {
        kinds.into_iter().collect()
    }
}
