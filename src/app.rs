//! The composition root: builds the parts in order, runs them, and stops them.
//!
//! ```text
//! http ──► services ──► commit loop ──► store ──► relay ──► bus ──► shards ──► sockets
//!                                         └──► dispatcher ──► ledger ──► deliverer ──► receivers
//! ```
//!
//! * **Owns** every task: a part that ends early stops the whole process with an error, since none is
//!   dispensable.
//! * **Stops** along the same way: nothing new is taken, requests under way end, the commit loop commits what
//!   waits, the relay publishes it, the shards hand it to their clients and then send them away, the store
//!   closes. What does not end within the grace is left and told.

mod explanation;
mod inspection;
mod maintenance;
mod ports;
mod preload;
mod reread;
mod seen;
mod trial;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, info, info_span, warn};

pub use explanation::{Asked, ExplainError, Explained, WouldBeTold, explain};
pub use inspection::inspect;
pub use maintenance::{Renewal, renew_epoch};
pub use trial::{Tried, try_receiver};

use self::ports::{LogHistory, StoredCatalog, StoredPictures};
use self::reread::{Reader, of_notify, source};
use self::seen::Seen;
use crate::backplane::Relay;
use crate::broadcast::{self, Broadcaster};
use crate::bus::{self, EventBus};
use crate::clock::Clock;
use crate::health::{Health, Stage};
use crate::http::auth::{Authorizer, TokenAuthorizer, TokenError};
use crate::http::{self, Access, BindError, Server, ServerParts};
use crate::metrics::{Exposition, Metrics};
use crate::notify::{
    self, AlertNotifier, Deliverer, Dispatcher, Ingredients, OwnNotifiers, Plan, PlanInForce, ReadError,
    Reloader, Reloading, Surroundings,
};
use crate::protocol::event::LoggedEvent;
use crate::services::{
    AlertManager, Catalog, CommitLoop, ControlLimitService, ForeignEvents, Painter, Retention,
    RunLengthSimulator, SpcEngine, retention,
};
use crate::settings::Settings;
use crate::store::{Store, StoreError};

/// Why the process could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// It cannot listen.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Settings that cannot work together.
    #[error(transparent)]
    Settings(#[from] broadcast::SettingsError),
    /// Settings that cannot work.
    #[error(transparent)]
    HttpSettings(#[from] http::SettingsError),
    /// Receivers or routes that cannot work.
    #[error(transparent)]
    NotifySettings(#[from] notify::SettingsError),
    /// The database cannot be used.
    #[error("could not open the database")]
    Store(#[from] StoreError),
    /// The tokens cannot be used.
    #[error("the setting auth.tokens cannot be used")]
    Tokens(#[from] TokenError),
    /// A part of the process ended although nobody stopped it.
    #[error("{0} ended early")]
    EndedEarly(&'static str),
    /// A part of the process cannot go on.
    #[error("{part} cannot go on")]
    CannotGoOn {
        /// Which.
        part: &'static str,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// A part of the process panicked.
    #[error("{part} failed")]
    Failed {
        /// Which.
        part: &'static str,
        /// How.
        #[source]
        source: JoinError,
    },
    /// The server failed.
    #[error("the server failed")]
    Server(#[source] std::io::Error),
}

/// What an embedding program may bring itself.
#[derive(Default)]
pub struct AppBuilder {
    settings: Settings,
    clock: Option<Clock>,
    authorizer: Option<Arc<dyn Authorizer>>,
    notifiers: OwnNotifiers,
    reread: Option<Reader>,
}

impl AppBuilder {
    /// Another clock than the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Another way to find out who calls than the tokens of the settings.
    #[must_use]
    pub fn authorizer(mut self, authorizer: Arc<dyn Authorizer>) -> Self {
        self.authorizer = Some(authorizer);
        self
    }

    /// A receiver of this name, told by a notifier of the program's own. An entry of that name in `notify.receivers` says
    /// how patiently; routes name it like any other. A second one of the same name takes the place of the first.
    #[must_use]
    pub fn notifier(mut self, name: impl Into<String>, notifier: Arc<dyn AlertNotifier>) -> Self {
        self.notifiers.insert(name.into(), notifier);
        self
    }

    /// Where receivers and routes are read again for a [reload](Reloader::reload), which `POST /reload` asks for, too. It
    /// may block. The text of its error is logged and answered: nothing secret may stand in it.
    #[must_use]
    pub fn reload_from(
        mut self,
        read: impl Fn() -> Result<Settings, ReadError> + Send + Sync + 'static,
    ) -> Self {
        self.reread = Some(Box::new(read));
        self
    }

    /// Binds the address and opens the database; nothing runs yet.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn build(self) -> Result<App, AppError> {
        let Self { settings, clock, authorizer, notifiers, reread } = self;
        settings.broadcast.check()?;
        settings.http.check()?;
        let clock = clock.unwrap_or_else(Clock::system);
        let (tracker, pictures) = (TaskTracker::new(), Arc::new(StoredPictures::default()));
        let painter = Painter::new(settings.site.time_zone, tracker.clone());
        let ingredients = Ingredients {
            own: notifiers,
            surroundings: Surroundings {
                clock: clock.clone(),
                site: settings.site.clone(),
                pictures: Arc::clone(&pictures) as _,
            },
            source: reread.map(|read| source(read, settings.clone())),
        };
        let plan = {
            let (notify, Ingredients { own, surroundings, .. }) =
                (of_notify(&settings, &settings), ingredients.clone());
            // It reads files.
            let planned = spawn_blocking(move || Plan::new(notify, own, &surroundings)).await;
            PlanInForce::new(
                planned.map_err(|source| AppError::Failed { part: "the plan of receivers", source })??,
            )
        };
        let tokens = TokenAuthorizer::new(&settings.auth)?;
        let access = match () {
            () if authorizer.is_some() || !tokens.is_open() => Access::Tokens,
            () if settings.auth.allow_anonymous => Access::Anybody,
            () => Access::Loopback,
        };
        let authorizer = authorizer.unwrap_or_else(|| Arc::new(tokens));
        let server = Server::bind(settings.http.clone(), access)?;

        // Not before all else that could be refused: an older program could not use what this one has migrated.
        let (store, handover) = Store::open(&settings.store).await?;
        pictures.draw_from(store.clone(), painter.clone());
        let (seq, revisions) = store.revisions().await?;
        let metrics = Metrics::default();
        let ring = bus::Settings { capacity: settings.bus.capacity_events };
        let most = settings.bus.preload_events.min(ring.capacity.get());
        let newest =
            preload::newest_events(seq, most, async |after, limit| store.log_page(after, limit).await);
        let newest = newest.await?;
        // The bus counts as the log does: the next event is the one after the head.
        let bus = EventBus::new(ring, newest.first().map_or(seq + 1, |oldest| oldest.seq));
        bus.publish_all(newest).expect("nobody has closed it");
        let relay =
            Relay::new((store.clone(), handover), bus.clone(), metrics.clone(), settings.relay.clone(), seq);
        let (commit_loop, queue) =
            CommitLoop::new(store.clone(), clock.clone(), metrics.clone(), settings.services.clone());
        let (simulator, run_lengths) = RunLengthSimulator::new(&settings.services, metrics.clone());
        let groups = store.groups().await?.into_iter().collect();
        let start = broadcast::Start { epoch: store.epoch().to_owned(), seq, revisions, groups };
        let broadcaster = Broadcaster::new(
            settings.broadcast.clone(),
            broadcast::Parts {
                bus: bus.clone(),
                history: Arc::new(LogHistory(store.clone())),
                catalog: Arc::new(StoredCatalog(store.clone())),
                head: store.committed(),
                clock: clock.clone(),
                metrics: metrics.clone(),
                start,
            },
        );
        let requests = TaskTracker::new();
        let seen = Seen {
            started_at_unix_seconds: clock.now().timestamp_micros() as f64 / 1e6,
            store: store.clone(),
            requests: requests.clone(),
            queue: queue.clone(),
            bus: bus.clone(),
            broadcaster: broadcaster.clone(),
            settings: settings.clone(),
        };
        let exposition = Arc::new(Exposition::new(&metrics, move || seen.read()));
        let health = Health::default();
        let retention = Retention::new(
            retention::Parts {
                store: store.clone(),
                queue: queue.clone(),
                clock: clock.clone(),
                metrics: metrics.clone(),
                health: health.clone(),
                min_free_bytes: settings.store.min_free_bytes,
            },
            settings.retention.clone(),
        );
        let (dispatcher, deliverer) = plan.tasks(&store, &metrics);
        let (reloading, reloader) = Reloading::new(ingredients, plan.clone(), metrics.notifying.clone());
        let parts = ServerParts {
            engine: SpcEngine::new(queue.clone()),
            alerts: AlertManager::new(queue.clone()),
            limits: ControlLimitService::new(
                queue.clone(),
                store.clone(),
                settings.services.baseline_samples,
            ),
            foreign: ForeignEvents::new(queue.clone(), settings.events.clone(), metrics.clone()),
            catalog: Catalog::new(queue),
            run_lengths,
            plan,
            reloader,
            store,
            broadcaster,
            authorizer,
            access,
            input: settings.input.clone(),
            painter,
            clock,
            metrics,
            exposition,
            health,
            tracker,
            requests,
            stop: CancellationToken::new(),
            shard_ended: CancellationToken::new(),
            stop_shards: CancellationToken::new(),
        };
        let grace = Duration::from_millis(settings.stop.grace_ms);
        Ok(App {
            server,
            parts,
            bus,
            commit_loop,
            simulator,
            relay,
            retention,
            dispatcher,
            deliverer,
            reloading,
            grace,
        })
    }
}

/// Andon, built and bound, ready to [run](App::run).
pub struct App {
    server: Server,
    parts: ServerParts,
    bus: EventBus<Arc<LoggedEvent>>,
    commit_loop: CommitLoop,
    simulator: RunLengthSimulator,
    relay: Relay,
    retention: Retention,
    dispatcher: Dispatcher,
    deliverer: Deliverer,
    reloading: Reloading,
    grace: Duration,
}

impl App {
    /// Begins to build.
    pub fn builder(settings: Settings) -> AppBuilder {
        AppBuilder { settings, ..AppBuilder::default() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Takes samples in.
    pub fn engine(&self) -> SpcEngine {
        self.parts.engine.clone()
    }

    /// Answers violations.
    pub fn alerts(&self) -> AlertManager {
        self.parts.alerts.clone()
    }

    /// Sets control limits.
    pub fn limits(&self) -> ControlLimitService {
        self.parts.limits.clone()
    }

    /// Takes what other systems have judged.
    pub fn foreign_events(&self) -> ForeignEvents {
        self.parts.foreign.clone()
    }

    /// Defines characteristics.
    pub fn catalog(&self) -> Catalog {
        self.parts.catalog.clone()
    }

    /// The committed events, as they are published; subscribe before [`App::run`] to miss none.
    pub fn bus(&self) -> EventBus<Arc<LoggedEvent>> {
        self.bus.clone()
    }

    /// Has receivers and routes reloaded.
    pub fn reloader(&self) -> Reloader {
        self.parts.reloader.clone()
    }

    /// How far this process is.
    pub fn health(&self) -> Health {
        self.parts.health.clone()
    }

    /// Runs until `stop` is cancelled, then stops in order.
    ///
    /// # Errors
    /// [`AppError`], if a part could not start or ended although nobody stopped it.
    pub async fn run(self, stop: CancellationToken) -> Result<(), AppError> {
        let Self {
            server,
            parts,
            bus,
            commit_loop,
            simulator,
            relay,
            retention,
            dispatcher,
            deliverer,
            reloading,
            grace,
        } = self;
        let (store, health, tracker) = (parts.store.clone(), parts.health.clone(), parts.tracker.clone());
        let (stop_requests, requests) = (parts.stop.clone(), parts.requests.clone());
        let (stop_shards, shard_ended) = (parts.stop_shards.clone(), parts.shard_ended.clone());
        let (stop_commits, stop_relay) = (CancellationToken::new(), CancellationToken::new());
        let address = server.address();
        let (server, serving) = server.start(parts)?;
        let mut serving = tokio::spawn(serving);
        let commits = commit_loop.run(stop_commits.clone()).instrument(info_span!("commit_loop"));
        let relay = relay.run(stop_relay.clone()).instrument(info_span!("relay"));
        let (mut commits, mut relay) = (tokio::spawn(commits), tokio::spawn(relay));
        let (follower, stop_relay_too) = (store.clone(), stop_relay.clone());
        let follow = async move { follower.follow(stop_relay_too).await }.instrument(info_span!("follow"));
        let mut follow = tokio::spawn(follow);
        let stop_retention = CancellationToken::new();
        let retention = retention.run(stop_retention.clone()).instrument(info_span!("retention"));
        let mut retention = tokio::spawn(retention);
        let stop_notify = CancellationToken::new();
        let dispatcher = dispatcher.run(stop_notify.clone()).instrument(info_span!("dispatcher"));
        let deliverer = deliverer.run(stop_notify.clone()).instrument(info_span!("deliverer"));
        let reloading = reloading.run(stop_notify.clone()).instrument(info_span!("reloading"));
        let (mut dispatcher, mut deliverer) = (tokio::spawn(dispatcher), tokio::spawn(deliverer));
        let mut reloading = tokio::spawn(reloading);
        // Answers requests: it ends with them.
        let simulator = simulator.run(stop_requests.clone()).instrument(info_span!("run_lengths"));
        let mut simulator = tracker.spawn(simulator);
        health.enter(Stage::Running);
        info!("listening on http://{address}");

        let failure = tokio::select! {
            () = stop.cancelled() => None,
            ended = &mut serving => Some(match ended {
                Ok(Ok(())) => AppError::EndedEarly("the server"),
                Ok(Err(error)) => AppError::Server(error),
                Err(source) => AppError::Failed { part: "the server", source },
            }),
            ended = &mut commits => Some(could_not_go_on("the commit loop", ended)),
            ended = &mut relay => Some(could_not_go_on("the relay", ended)),
            ended = &mut retention => Some(ended_early("retention", ended)),
            ended = &mut dispatcher => Some(ended_early("the dispatcher", ended)),
            ended = &mut deliverer => Some(ended_early("the deliverer", ended)),
            ended = &mut reloading => Some(ended_early("the reloading of receivers", ended)),
            ended = &mut follow => Some(ended_early("the follower of other processes", ended)),
            ended = &mut simulator => Some(ended_early("the simulator of run lengths", ended)),
            () = shard_ended.cancelled() => Some(AppError::EndedEarly("a shard")),
        };

        health.enter(Stage::Stopping);
        info!("stopping");
        stop_retention.cancel();
        stop_notify.cancel(); // what is not delivered is in the log or the ledger
        server.pause().await;
        stop_requests.cancel();
        requests.close();
        finish("requests under way", grace, requests.wait()).await;
        end("retention", grace, retention).await;
        stop_commits.cancel();
        end("the commit loop", grace, commits).await;
        stop_relay.cancel();
        end("the relay", grace, relay).await;
        end("the follower of other processes", grace, follow).await;
        // Shards read the bus to its end, and then tell their clients to go.
        let report = bus.shutdown(grace).await;
        if !report.is_clean() {
            warn!(left_behind = ?report.left_behind, "subscribers of the bus did not finish");
        }
        stop_shards.cancel();
        tracker.close();
        finish("connected clients", grace, tracker.wait()).await;
        if !serving.is_finished() {
            finish("connections", grace, server.stop(true)).await;
        }
        end("the reloading of receivers", grace, reloading).await;
        end("the dispatcher", grace, dispatcher).await;
        end("the deliverer", grace, deliverer).await;
        finish("the database", grace, store.close()).await;
        match failure {
            Some(error) => Err(error),
            None => {
                info!("stopped");
                Ok(())
            }
        }
    }
}

fn ended_early(part: &'static str, ended: Result<(), JoinError>) -> AppError {
    match ended {
        Ok(()) => AppError::EndedEarly(part),
        Err(source) => AppError::Failed { part, source },
    }
}

fn could_not_go_on(part: &'static str, ended: Result<Result<(), StoreError>, JoinError>) -> AppError {
    match ended {
        Ok(Ok(())) => AppError::EndedEarly(part),
        Ok(Err(source)) => AppError::CannotGoOn { part, source },
        Err(source) => AppError::Failed { part, source },
    }
}

async fn end<T>(part: &'static str, grace: Duration, task: JoinHandle<T>) {
    if !task.is_finished() {
        finish(part, grace, async { drop(task.await) }).await;
    }
}

async fn finish(what: &'static str, grace: Duration, work: impl Future<Output = ()>) {
    if timeout(grace, work).await.is_err() {
        warn!("{what} did not end within the grace");
    }
}
