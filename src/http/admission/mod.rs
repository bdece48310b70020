//! Lets in who wants to listen: so many at a time, and so many a second, in total and from each address.
//!
//! Asked before a WebSocket's upgrade or a stream of server-sent events begins, and before anybody looks at a token.
//! Who is let in counts until the socket is closed, which may be long after its session has ended: a peer that
//! takes nothing holds its socket until the kernel gives it up.
//!
//! * **Owner**: one [`Admission`] for all worker threads. Its [`Book`] is behind a lock, which is held for the few
//!   microseconds of a look into two maps, once when a connection begins and once when it ends; never across an await.
//! * **Full**: who comes is told 429 and when to come back, spread a little, so that those who were refused together do not
//!   come back together.
//! * **Starting or stopping**: 503. Not while only the database is away: who listens then gets on when it is back.
//! * Memory is bounded: an entry for each address with a connection, and for so many that had one.

mod address;
mod book;

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use tokio::time::Instant;
use tracing::warn;

pub use self::address::TrustedProxy;
use self::address::{Prefix, address_of};
use self::book::{Book, Refusal};
pub use self::book::{Rate, Room};
use crate::clock;
use crate::health::{Health, Stage};
use crate::http::error::{ApiError, Kind};
use crate::http::tcp::{Connection, Line, NotAlone};
use crate::metrics::Metrics;

/// Who is refused because all places are taken comes back after so long: places become free one by one.
const FULL: Duration = Duration::from_secs(5);

/// Who comes before everything runs, or after the stop has begun.
const NOT_READY: Duration = Duration::from_secs(1);

/// Over so long are those spread that are refused together.
const SPREAD: Duration = Duration::from_secs(4);

/// The log is told at most once in so long that connections are refused.
const QUIET: Duration = Duration::from_secs(60);

/// Lets connections in. Cheap to clone, one for all worker threads.
#[derive(Clone)]
pub struct Admission(Arc<Inner>);

struct Inner {
    proxies: Vec<TrustedProxy>,
    health: Health,
    metrics: Metrics,
    state: Mutex<State>,
}

struct State {
    book: Book,
    /// When the log was told that connections are refused.
    told: Option<Instant>,
}

/// A place of a connection, until it is dropped.
pub struct Place {
    admission: Admission,
    prefix: Option<Prefix>,
}

/// Somebody who may begin to listen; dropped, its place is free again.
#[must_use]
pub struct Admitted {
    address: Option<IpAddr>,
    place: Place,
    connection: Rc<Connection>,
}

impl Admission {
    /// Nobody is in yet.
    pub fn new(room: Room, proxies: Vec<TrustedProxy>, health: Health, metrics: Metrics) -> Self {
        let state = Mutex::new(State { book: Book::new(room, Instant::now()), told: None });
        Self(Arc::new(Inner { proxies, health, metrics, state }))
    }

    /// A place for who sends this request, and from where it comes.
    fn place(&self, request: &HttpRequest) -> Result<(Place, Option<IpAddr>), ApiError> {
        let inner = &*self.0;
        let detail = match inner.health.stage() {
            Stage::Running => None,
            Stage::Starting => Some("the server is starting; try again"),
            Stage::Stopping => Some("the server is stopping; try again"),
        };
        if let Some(detail) = detail {
            inner.metrics.connection_refused("not_ready");
            return Err(ApiError::new(Kind::Unavailable, detail).retry_after(spread(NOT_READY)));
        }
        let address = address_of(request, &inner.proxies);
        let prefix = address.map(Prefix::of);
        let mut state = inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match state.book.enter(prefix, now) {
            Ok(()) => Ok((Place { admission: self.clone(), prefix }, address)),
            Err(refusal) => {
                let is_news = state.told.is_none_or(|told| now.saturating_duration_since(told) >= QUIET);
                if is_news {
                    state.told = Some(now);
                }
                drop(state);
                inner.metrics.connection_refused(refusal.name());
                if is_news {
                    warn!(refusal.reason = refusal.name(), "connections are refused: {refusal}");
                }
                Err(refuse(refusal))
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.admission.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.book.leave(self.prefix);
    }
}

impl Admitted {
    /// What is answered now is the last on this connection, and has no end of its own.
    ///
    /// # Errors
    /// 503, if the connection cannot be kept for it.
    pub async fn stay_alone(self) -> Result<Option<IpAddr>, ApiError> {
        let refuse = |error: NotAlone| {
            let detail = format!("{error}: send nothing behind the request, and try again");
            ApiError::new(Kind::Unavailable, detail)
        };
        self.connection.begin_last_answer().await.map_err(refuse)?;
        Ok(self.stay().0)
    }

    /// From here on the place is the connection's, until its socket is closed. Gives the address it comes from, and the
    /// way to end it.
    pub fn stay(self) -> (Option<IpAddr>, Line) {
        (self.address, self.connection.listens(self.place))
    }
}

impl FromRequest for Admitted {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let admission = request.app_data::<Data<Admission>>().expect("app_data names one");
        let connection = Connection::of(request).expect("it was begun when it was accepted");
        let connection = Rc::clone(connection);
        connection.give_up_place();
        ready(admission.place(request).map(|(place, address)| Self { address, place, connection }))
    }
}

fn refuse(refusal: Refusal) -> ApiError {
    let wait = match refusal {
        Refusal::Full | Refusal::FullFromThere => FULL,
        Refusal::TooFast(wait) | Refusal::TooFastFromThere(wait) => wait,
    };
    ApiError::new(Kind::TooManyConnections, format!("{refusal}; try again later")).retry_after(spread(wait))
}

/// Not all at the same time.
fn spread(wait: Duration) -> Duration {
    wait + SPREAD.mul_f64(clock::fraction())
}
