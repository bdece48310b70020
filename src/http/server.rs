//! Binds first, then serves: one worker thread for each processor, each with its own shard.

use std::future::Future;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::dev::{ServerHandle, Service as _};
use actix_web::middleware::{Condition, NormalizePath, TrailingSlash, from_fn};
use actix_web::web::Data;
use actix_web::{App, HttpServer, ResponseError as _, rt};
use futures_util::future::{Either, ready};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::broadcast::Broadcaster;
use crate::clock::Clock;
use crate::health::Health;
use crate::http::admission::Admission;
use crate::http::compression;
use crate::http::dashboard;
use crate::http::descriptors;
use crate::http::event_stream::StreamParts;
use crate::http::gate::Gate;
use crate::http::measured::Measured;
use crate::http::openapi::Document;
use crate::http::routes::routes;
use crate::http::tcp::{Connection, Watch};
use crate::http::ws::SocketParts;
use crate::http::{Access, InputSettings, Settings, SharedAuthorizer, origin};
use crate::metrics::{Exposition, Metrics};
use crate::notify::{PlanInForce, Reloader};
use crate::services::{
    AlertManager, Catalog, ControlLimitService, ForeignEvents, Painter, RunLengths, SpcEngine,
};
use crate::store::Store;

/// How long connections may take to send their last bytes once no request is under way any more. A client that
/// does not read keeps its connection in flight for as long as it likes, so this is all it gets.
const LAST_BYTES: u64 = 1;

/// While less than this waits for a socket, a body is asked for more, so that it leaves together: the head of an answer
/// and a short body at least. A client's body is asked until as much waits as it gives at once.
const HEADS: usize = 4 << 10;

/// Why the server does not listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Not `host:port`.
    #[error("{0:?} is no address to listen on: say HOST:PORT")]
    Address(String),
    /// Not `scheme://host`.
    #[error(
        "http.allowed_origins: {0:?} is no origin; say for example https://spc.example, without a slash at the end"
    )]
    Origin(String),
    /// Reachable by others, and open to everybody.
    #[error("{0} is not a loopback address and no tokens are set: set auth.tokens, or say --allow-anonymous")]
    Open(SocketAddr),
    /// The port is in use, or may not be used.
    #[error("could not listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What the handlers work with.
#[derive(Clone)]
pub struct ServerParts {
    pub engine: SpcEngine,
    pub alerts: AlertManager,
    pub limits: ControlLimitService,
    pub foreign: ForeignEvents,
    pub catalog: Catalog,
    pub run_lengths: RunLengths,
    pub plan: PlanInForce,
    pub reloader: Reloader,
    pub store: Store,
    pub broadcaster: Broadcaster,
    pub authorizer: SharedAuthorizer,
    pub access: Access,
    pub input: InputSettings,
    pub painter: Painter,
    pub clock: Clock,
    pub metrics: Metrics,
    /// What `/metrics` answers with.
    pub exposition: Arc<Exposition>,
    pub health: Health,
    pub tracker: TaskTracker,
    /// Holds the requests under way.
    pub requests: TaskTracker,
    /// Cancelled when no new requests are taken.
    pub stop: CancellationToken,
    /// Cancelled by a shard that ends although nobody stopped it.
    pub shard_ended: CancellationToken,
    /// Cancelled when shards shall end, whatever is left.
    pub stop_shards: CancellationToken,
}

/// A server that has its address, but does not serve yet.
pub struct Server {
    settings: Settings,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Binds the address; where only this machine may call, it has to be a loopback address.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(settings: Settings, access: Access) -> Result<Self, BindError> {
        let address = Self::check(&settings, access)?;
        let listen = || {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            socket.bind(&address.into())?;
            socket.listen(i32::try_from(settings.backlog).unwrap_or(i32::MAX))?;
            socket.set_nonblocking(true)?;
            let listener = TcpListener::from(socket);
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = listen().map_err(|source| BindError::Listen { address, source })?;
        Ok(Self { settings, listener, address })
    }

    /// Where these settings would listen, without listening.
    ///
    /// # Errors
    /// [`BindError`], for settings that [`Server::bind`] would refuse.
    pub fn check(settings: &Settings, access: Access) -> Result<SocketAddr, BindError> {
        if let Some(origin) = settings.allowed_origins.iter().find(|origin| !origin::is_origin(origin)) {
            return Err(BindError::Origin(origin.clone()));
        }
        let no_address = || BindError::Address(settings.listen.clone());
        let mut addresses = settings.listen.to_socket_addrs().map_err(|_| no_address())?;
        let address = addresses.next().ok_or_else(no_address)?;
        if access == Access::Loopback && !address.ip().is_loopback() {
            return Err(BindError::Open(address));
        }
        Ok(address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts the workers; the future serves until the handle stops it.
    ///
    /// # Errors
    /// [`BindError::Listen`], if the workers cannot be started.
    pub fn start(
        self,
        parts: ServerParts,
    ) -> Result<(ServerHandle, impl Future<Output = std::io::Result<()>> + Send), BindError> {
        let Self { settings, listener, address } = self;
        let millis = Duration::from_millis;
        descriptors::raise_limit(settings.connections);
        let app_settings = settings.clone();
        let socket = SocketOptions {
            peer_timeout: millis(settings.peer_timeout_ms),
            send_buffer: NonZeroUsize::new(settings.send_buffer_bytes),
        };
        let proxies = settings.trusted_proxies.clone();
        let admission = Admission::new(settings.room(), proxies, parts.health.clone(), parts.metrics.clone());
        let admission = Data::new(admission);
        let shards = Arc::new(AtomicUsize::new(0));
        let document = Data::new(Document::new(parts.access));
        let gathered = parts.broadcaster.settings().write_bytes.max(HEADS);
        let mut server = HttpServer::new(move || {
            // Called once on every worker thread: its shard runs there, too.
            let name = format!("shard-{}", shards.fetch_add(1, Ordering::Relaxed));
            let (shard, handle) = parts.broadcaster.shard(name);
            let (stop, guard) = (parts.stop.clone(), parts.shard_ended.clone().drop_guard());
            let serving = shard.run(parts.stop_shards.clone());
            parts.tracker.spawn_local(async move {
                serving.await;
                if stop.is_cancelled() {
                    guard.disarm(); // as it should; otherwise, and when it panics, everybody hears of it
                }
            });
            let sockets = SocketParts {
                broadcaster: parts.broadcaster.clone(),
                shard: handle,
                clock: parts.clock.clone(),
                authorizer: Arc::clone(&parts.authorizer),
                tracker: parts.tracker.clone(),
                goodbye_timeout: millis(settings.disconnect_timeout_ms),
                stop: parts.stop.clone(),
            };
            let streams = StreamParts {
                broadcaster: sockets.broadcaster.clone(),
                shard: sockets.shard.clone(),
                clock: sockets.clock.clone(),
                tracker: sockets.tracker.clone(),
            };
            let gate = Gate {
                settings: app_settings.clone(),
                access: parts.access,
                requests: parts.requests.clone(),
                stop: parts.stop.clone(),
            };
            let metrics = parts.metrics.clone();
            let watch = Watch::new(millis(
                app_settings.keep_alive_ms.saturating_add(app_settings.request_timeout_ms),
            ));
            parts.tracker.spawn_local(watch.clone().run(parts.stop.clone()));
            App::new()
                .wrap(from_fn(compression::large_answers))
                .wrap_fn(move |request, service| {
                    let (watch, connection) = (watch.clone(), watch.on_request(request.request()));
                    let measured = Measured::begin(&request, metrics.clone());
                    let admitted = gate.admit(request.request());
                    let answer = match &admitted {
                        Ok(_) => Either::Left(service.call(request)),
                        Err(error) => Either::Right(ready(Ok(request.into_response(error.error_response())))),
                    };
                    async move {
                        let answer = answer.await;
                        measured.end(&answer);
                        if let Some(connection) = connection {
                            watch.on_answer(&connection, Instant::now());
                        }
                        drop(admitted); // no longer under way
                        answer
                    }
                })
                .wrap(origin::cors(&app_settings))
                .wrap(NormalizePath::new(TrailingSlash::Trim))
                .wrap(Condition::new(app_settings.dashboard, from_fn(dashboard::without_slash)))
                .app_data(Data::new(app_settings.clone()))
                .app_data(Data::new(parts.input.clone()))
                .app_data(Data::new(parts.painter.clone()))
                .app_data(Data::new(parts.engine.clone()))
                .app_data(Data::new(parts.alerts.clone()))
                .app_data(Data::new(parts.limits.clone()))
                .app_data(Data::new(parts.foreign.clone()))
                .app_data(Data::new(parts.catalog.clone()))
                .app_data(Data::new(parts.run_lengths.clone()))
                .app_data(Data::new(parts.plan.clone()))
                .app_data(Data::new(parts.reloader.clone()))
                .app_data(Data::new(parts.store.clone()))
                .app_data(Data::new(parts.broadcaster.clone()))
                .app_data(Data::new(Arc::clone(&parts.authorizer)))
                .app_data(Data::new(parts.clock.clone()))
                .app_data(Data::from(Arc::clone(&parts.exposition)))
                .app_data(Data::new(parts.health.clone()))
                .app_data(Data::new(sockets))
                .app_data(Data::new(streams))
                .app_data(admission.clone())
                .app_data(document.clone())
                .configure(|config| {
                    if app_settings.dashboard {
                        dashboard::routes(config);
                    }
                })
                .configure(routes)
        })
        .on_connect(move |connection, data| {
            let stream =
                connection.downcast_ref::<rt::net::TcpStream>().expect("it listens on TCP, without TLS");
            let stream = SockRef::from(stream);
            socket.prepare(&stream);
            Connection::begin(&stream, data);
        })
        .h1_write_buffer_size(gathered)
        .keep_alive(millis(settings.keep_alive_ms))
        .client_request_timeout(millis(settings.request_timeout_ms))
        .client_disconnect_timeout(millis(settings.disconnect_timeout_ms))
        .shutdown_timeout(LAST_BYTES)
        .disable_signals();
        if settings.workers > 0 {
            server = server.workers(settings.workers);
        }
        let server = server.listen(listener).map_err(|source| BindError::Listen { address, source })?.run();
        Ok((server.handle(), server))
    }
}

/// How each connection is set up.
#[derive(Debug, Clone, Copy)]
struct SocketOptions {
    peer_timeout: Duration,
    /// `None`: as large as the kernel likes.
    send_buffer: Option<NonZeroUsize>,
}

impl SocketOptions {
    /// Frames leave at once, and not much waits in the kernel, where nothing newer can overtake it. A peer that takes
    /// nothing any more is really cut off: dropping our handle alone would leave the connection standing for as long
    /// as its window is closed.
    fn prepare(self, socket: &SockRef<'_>) {
        let buffer = |bytes: NonZeroUsize| socket.set_send_buffer_size(bytes.get());
        let prepared = socket
            .set_tcp_nodelay(true)
            .and_then(|()| socket.set_tcp_user_timeout(Some(self.peer_timeout)))
            .and_then(|()| self.send_buffer.map_or(Ok(()), buffer));
        if let Err(error) = prepared {
            warn!(error = %error, "could not prepare a connection");
        }
    }
}
