//! What is known of a connection beside its requests: its place among the listeners, since when it has asked for
//! nothing, and whether it has had its last answer.
//!
//! The library gives the head of a connection's first request so much time and no more, and closes a connection without
//! requests after a while; but whoever sends the first byte of a second request and no more holds its connection for ever.
//! So each worker watches its connections: one that has had its answer and has not asked for anything else by
//! the time is not read from any more, by which the library ends it, after what it still has to say.
//!
//! The library also reads requests ahead while it answers one, until so many wait; with more than that in its buffer, it
//! asks itself without a pause whether there is room, as long as the answer lasts. An answer without an end must not
//! begin so: it is the last of its connection, and nothing behind its request is read.
//!
//! And where a request is not read to its end, the library waits after the answer for the peer to close first, up to a
//! second. A WebSocket has no end, and its client waits for the server: it is told that the end has come.
//!
//! * **State**: of one worker thread, without a lock. A connection that listens is watched by its shard, and here
//!   no more.
//! * **Costs** a second descriptor for each connection; where they become scarce, only until it listens.

use std::cell::{Cell, RefCell};
use std::future::{Future as _, poll_fn};
use std::net::Shutdown;
use std::os::fd::AsRawFd as _;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::Poll;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use socket2::{SockRef, Socket};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::http::admission::Place;
use crate::http::descriptors::are_plentiful;

/// How often a worker looks at its connections.
const LOOK: Duration = Duration::from_secs(1);

/// A connection at rest is polled by nobody for so long.
const QUIET: Duration = Duration::from_millis(1);

/// A connection that is polled so often without a reason never comes to rest. The end of what is read takes one.
const RESTLESS: usize = 1_000;

/// More has been sent behind the request than the library reads ahead, or there is no descriptor left to stop it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this connection cannot be kept for a stream alone")]
pub struct NotAlone;

/// One connection; it lives as long as its socket.
#[derive(Default)]
pub struct Connection {
    /// Taken by a listener.
    place: RefCell<Option<Place>>,
    /// To end it by, as long as it is watched.
    socket: RefCell<Option<Socket>>,
    /// When its newest request was answered; `None` while one is under way.
    answered: Cell<Option<Instant>>,
    is_watched: Cell<bool>,
    /// What comes behind the answer under way is not answered any more.
    is_last_answer: Cell<bool>,
}

impl Connection {
    /// Begins when it is accepted.
    pub fn begin(socket: &SockRef<'_>, data: &mut Extensions) {
        // Where there is no descriptor left, it is not watched.
        let socket = RefCell::new(socket.try_clone().ok());
        data.insert(Rc::new(Self { socket, ..Self::default() }));
    }

    /// Of a request.
    pub fn of(request: &HttpRequest) -> Option<&Rc<Self>> {
        request.conn_data()
    }

    /// It listens from now on: it keeps its place as long as its socket, and no requests are expected.
    pub fn listens(&self, place: Place) -> Line {
        self.place.replace(Some(place));
        self.line()
    }

    /// From now on it is not watched here, but ended by who has this.
    pub fn line(&self) -> Line {
        Line(self.socket.take().filter(|socket| are_plentiful(socket.as_raw_fd())))
    }

    /// The answer that is about to begin is the last: nothing that comes behind its request is read any more, and the
    /// library closes the connection when it is over.
    ///
    /// # Errors
    /// [`NotAlone`]. Where the library does not come to rest, the connection is cut off: it would not in hours, either.
    pub async fn begin_last_answer(&self) -> Result<(), NotAlone> {
        let socket = self.socket.take().ok_or(NotAlone)?;
        self.is_last_answer.set(true);
        let _ = socket.shutdown(Shutdown::Read); // it fails where the peer has gone
        sleep(QUIET).await; // the library reads up to the end, or as much as it can hold
        let mut unasked = 0;
        loop {
            match polls_during(QUIET).await {
                0 => return Ok(()),
                polls => unasked += polls,
            }
            if unasked >= RESTLESS {
                debug!("too much was sent behind a request for a stream");
                let _ = socket.shutdown(Shutdown::Both);
                return Err(NotAlone);
            }
        }
    }

    /// Whether its last answer has begun.
    pub fn has_had_its_last_answer(&self) -> bool {
        self.is_last_answer.get()
    }

    /// A new request has come: requests of one connection are served one after the other, so an answer that held a
    /// place is over.
    pub fn give_up_place(&self) {
        self.place.take();
    }
}

/// By which a listener's connection is ended.
#[derive(Debug, Default)]
pub struct Line(Option<Socket>);

impl Line {
    /// Nothing more will come: the library need not wait for it, and closes the connection once all is written. Where
    /// descriptors are scarce, it waits.
    pub fn hang_up(self) {
        if let Some(socket) = self.0 {
            let _ = socket.shutdown(Shutdown::Read); // it fails where the peer has gone
        }
    }
}

/// Waits, and tells how often somebody looked meanwhile whether that is over.
async fn polls_during(time: Duration) -> usize {
    let (mut waiting, mut polls) = (pin!(sleep(time)), 0usize);
    poll_fn(|context| match waiting.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => {
            polls += 1;
            Poll::Pending
        }
    })
    .await;
    polls.saturating_sub(1) // the first one begins it
}

/// Watches the connections of one worker thread. Cheap to clone.
#[derive(Clone)]
pub struct Watch {
    connections: Rc<RefCell<Vec<Weak<Connection>>>>,
    patience: Duration,
}

impl Watch {
    /// A connection may take so long from an answer to the end of the next request's head.
    pub fn new(patience: Duration) -> Self {
        Self { connections: Rc::default(), patience }
    }

    /// A request's head has come.
    pub fn on_request(&self, request: &HttpRequest) -> Option<Rc<Connection>> {
        let connection = Connection::of(request)?;
        connection.answered.set(None);
        if !connection.is_watched.replace(true) {
            self.connections.borrow_mut().push(Rc::downgrade(connection));
        }
        Some(Rc::clone(connection))
    }

    /// The request is answered.
    pub fn on_answer(&self, connection: &Connection, now: Instant) {
        connection.answered.set(Some(now));
    }

    /// Looks at all connections every now and then, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut looks = interval(LOOK.min(self.patience));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                now = looks.tick() => self.look(now),
            }
        }
    }

    fn look(&self, now: Instant) {
        self.connections.borrow_mut().retain(|connection| {
            let Some(connection) = connection.upgrade() else { return false };
            let is_late = connection
                .answered
                .get()
                .is_some_and(|answered| now.saturating_duration_since(answered) >= self.patience);
            if is_late && let Some(socket) = connection.socket.take() {
                debug!("a connection has asked for nothing for too long");
                // It fails where the peer has gone: then the library has noticed, too.
                let _ = socket.shutdown(Shutdown::Read);
            }
            connection.socket.borrow().is_some()
        });
    }
}
