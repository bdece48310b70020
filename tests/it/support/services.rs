//! The domain services on a real store, without HTTP.

use std::path::Path;

use andon::clock::Clock;
use andon::domain::characteristic::Definition;
use andon::domain::chart::ChartKind;
use andon::domain::ids::CharacteristicId;
use andon::domain::rules::RuleSet;
use andon::domain::sample::Mode;
use andon::metrics::Metrics;
use andon::services::{
    AlertManager, Catalog, CharacteristicRef, CommitLoop, CommitQueue, ControlLimitService, NewSample,
    SpcEngine,
};
use andon::settings::Settings;
use andon::store::{Handover, Store};
use chrono::DateTime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{DEADLINE, address_of};

/// The four services, wherever they come from.
#[derive(Clone)]
pub struct Services {
    pub engine: SpcEngine,
    pub alerts: AlertManager,
    pub limits: ControlLimitService,
    pub catalog: Catalog,
}

/// A commit loop that runs until it is stopped.
pub struct TestServices {
    pub services: Services,
    pub store: Store,
    pub handover: Handover,
    pub queue: CommitQueue,
    pub stop: CancellationToken,
    running: JoinHandle<()>,
}

impl TestServices {
    /// Opens the database in `directory`. The clock stands still, so that two runs can be compared whole.
    pub async fn open(directory: &Path, settings: &Settings) -> Self {
        let mut settings = settings.clone();
        settings.store.url = address_of(&directory.join("andon.db"));
        Self::open_at(&settings).await
    }

    /// Opens the database that the settings name.
    pub async fn open_at(settings: &Settings) -> Self {
        let (store, handover) = Store::open(&settings.store).await.expect("the store opens");
        let clock = Clock::new(|| DateTime::UNIX_EPOCH);
        let (commit_loop, queue) =
            CommitLoop::new(store.clone(), clock, Metrics::default(), settings.services.clone());
        let stop = CancellationToken::new();
        let run = commit_loop.run(stop.clone());
        let running = tokio::spawn(async { run.await.expect("nobody renews the log") });
        let services = Services {
            engine: SpcEngine::new(queue.clone()),
            alerts: AlertManager::new(queue.clone()),
            limits: ControlLimitService::new(queue.clone(), store.clone(), 50_000),
            catalog: Catalog::new(queue.clone()),
        };
        Self { services, store, handover, queue, stop, running }
    }

    /// Commits what waits and closes the database.
    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.running).await.expect("stops in time").expect("does not panic");
        self.store.close().await;
    }
}

/// Passes over all notices, as a dispatcher without receivers would: only then the log may forget them.
pub async fn tell_nobody(store: &Store) {
    let (from, to) =
        (store.notify_cursor().await.expect("a cursor"), store.head().await.expect("a head").seq);
    assert!(
        store.take_notices((from, to), &[]).await.expect("the ledger takes them").is_some(),
        "nobody else does"
    );
}

impl Services {
    /// A characteristic with all eight rules, without limits yet.
    pub async fn given(&self, chart: ChartKind, sizes: std::ops::RangeInclusive<u32>) -> CharacteristicId {
        let definition = Definition {
            name: format!("{chart:?} of {sizes:?}"),
            key: None,
            description: None,
            chart,
            subgroup_size: *sizes.end(),
            min_measurements: *sizes.start(),
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
        let rules = RuleSet::preset(andon::domain::rules::Preset::Nelson);
        self.catalog.create(definition, rules).await.expect("committed").expect("valid").id
    }
}

/// A sample of `operator`.
pub fn sample(of: CharacteristicId, measurements: Vec<f64>, operator: Option<&str>) -> NewSample {
    NewSample {
        characteristic: CharacteristicRef::Id(of),
        measurements,
        timestamp: None,
        mode: Mode::Live,
        key: None,
        batch: None,
        operator: operator.map(str::to_owned),
        metadata: None,
    }
}
