//! What the broadcaster and the notifiers want of the store, given by the store.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use tracing::warn;

use crate::broadcast::ports::{Base, Catalog, CatalogError, History, HistoryError};
use crate::domain::ids::CharacteristicId;
use crate::error_chain::error_chain;
use crate::notify::Pictures;
use crate::protocol::event::LoggedEvent;
use crate::protocol::snapshot::{NEWEST_OPEN, PresentState, Snapshot};
use crate::services::{Charted, PICTURED, Painter};
use crate::store::{CharacteristicState, FirstRevisions, Page, Store, StoreError};

/// The event log, as shards want to read it.
pub struct LogHistory(pub Store);

#[async_trait]
impl History for LogHistory {
    async fn page(&self, after: u64, limit: u32) -> Result<Vec<Arc<LoggedEvent>>, HistoryError> {
        self.0.log_page(after, limit).await.map_err(history_error)
    }

    async fn base(&self, after: u64) -> Result<Base, HistoryError> {
        let told = self.0.first_revisions_after(after).await.map_err(history_error)?;
        let FirstRevisions { head, first_after } = told;
        Ok(Base { head, first_after })
    }

    async fn revisions(&self) -> Result<(u64, Vec<(CharacteristicId, u64)>), HistoryError> {
        self.0.revisions().await.map_err(history_error)
    }

    async fn snapshot(&self, id: CharacteristicId) -> Result<Option<Snapshot>, HistoryError> {
        let state = self.0.state_of(id, NEWEST_OPEN).await.map_err(history_error)?;
        Ok(state.as_ref().map(snapshot))
    }
}

fn history_error(error: StoreError) -> HistoryError {
    match error {
        StoreError::Removed { floor } => HistoryError::Removed { floor },
        StoreError::Renewed => HistoryError::Renewed,
        other => HistoryError::Unreadable(other.into()),
    }
}

fn snapshot(state: &CharacteristicState) -> Snapshot {
    let CharacteristicState { seq, record, newest_sample, fired, open_violations, open_episode } = state;
    Snapshot::new(PresentState {
        seq: *seq,
        revision: record.standing.revision,
        characteristic: &record.characteristic,
        alarm_state: record.alarm_state(),
        phase: record.phase.as_ref(),
        newest_sample: newest_sample.as_ref(),
        fired,
        open_violations,
        open_episode: open_episode.as_ref(),
        open_total: record.standing.open_violations,
    })
}

/// The catalog, as sessions and shards want to look into it.
pub struct StoredCatalog(pub Store);

type Groups = HashMap<CharacteristicId, Option<String>>;

#[async_trait]
impl Catalog for StoredCatalog {
    async fn ids(&self, keys: &[String]) -> Result<HashMap<String, CharacteristicId>, CatalogError> {
        self.0.characteristic_ids_by_key(keys).await.map_err(catalog_error)
    }

    async fn groups_of(&self, ids: &[CharacteristicId]) -> Result<Groups, CatalogError> {
        self.0.groups_of(ids).await.map_err(catalog_error)
    }

    async fn groups(&self) -> Result<Groups, CatalogError> {
        self.0.groups().await.map_err(catalog_error)
    }
}

fn catalog_error(error: StoreError) -> CatalogError {
    CatalogError(error.into())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::app::App;
    use crate::domain::alarm::AlarmState;
    use crate::domain::characteristic::{CharacteristicKey, Definition};
    use crate::domain::chart::ChartKind;
    use crate::domain::rules::RuleSet;
    use crate::domain::sample::Mode;
    use crate::protocol::event::EventKind;
    use crate::protocol::snapshot::SnapshotMessage;
    use crate::services::{CharacteristicRef, GivenLimits, NewSample, Signed};
    use crate::settings::Settings;

    fn bore() -> Definition {
        Definition {
            name: "Bore".to_owned(),
            key: Some(CharacteristicKey::new("bore".to_owned()).expect("visible")),
            description: None,
            chart: ChartKind::IMr,
            subgroup_size: 1,
            min_measurements: 1,
            unit: None,
            decimals: None,
            target: None,
            usl: None,
            lsl: None,
            group: Some("plant".to_owned()),
            tags: vec![],
            reaction_plan: None,
            auto_limits_after: None,
        }
    }

    fn outlier(of: CharacteristicId) -> NewSample {
        NewSample {
            characteristic: CharacteristicRef::Id(of),
            measurements: vec![99.0],
            timestamp: None,
            mode: Mode::Live,
            key: None,
            batch: None,
            operator: None,
            metadata: None,
        }
    }

    /// A database with one characteristic that signals: limits, a sample, its violation.
    async fn signalling(settings: &Settings) -> CharacteristicId {
        let app = App::builder(settings.clone()).build().await.expect("built");
        let (engine, limits, catalog, stop) =
            (app.engine(), app.limits(), app.catalog(), CancellationToken::new());
        let running = tokio::spawn(app.run(stop.clone()));
        let created = catalog.create(bore(), RuleSet::default()).await.expect("committed").expect("valid");
        let given = GivenLimits::Sigma { center_line: 10.0, sigma: 1.0 };
        limits.set(created.id, given, Signed::default()).await.expect("committed").expect("valid");
        let queued = engine.queue(outlier(created.id)).await.expect("queued");
        queued.recorded().await.expect("committed").expect("taken");
        stop.cancel();
        running.await.expect("does not panic").expect("stops");
        created.id
    }

    #[tokio::test]
    async fn the_store_gives_what_the_broadcaster_asks_for() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut settings = Settings::default();
        settings.http.listen = "127.0.0.1:0".to_owned();
        settings.store.url = format!("sqlite://{}", directory.path().join("andon.db").display());
        let id = signalling(&settings).await;
        let (store, _handover) = Store::open(&settings.store).await.expect("opens");
        let (history, catalog) = (LogHistory(store.clone()), StoredCatalog(store.clone()));

        let page = history.page(0, 10).await.expect("the log");
        let kinds: Vec<_> = page.iter().map(|event| event.kind).collect();
        assert_eq!(
            kinds,
            [EventKind::ControlLimits, EventKind::Sample, EventKind::Violation, EventKind::Episode]
        );
        let base = history.base(1).await.expect("told");
        assert_eq!(base, Base { head: 4, first_after: HashMap::from([(id, 2)]) });
        assert_eq!(history.revisions().await.expect("told"), (4, vec![(id, 4)]));

        let snapshot = history.snapshot(id).await.expect("read").expect("it is there");
        assert_eq!((snapshot.characteristic_id, snapshot.seq, snapshot.revision), (id, 4, 4));
        let message: SnapshotMessage = serde_json::from_slice(&snapshot.message).expect("a snapshot");
        let payload = message.payload;
        assert_eq!((payload.alarm_state, payload.open_total), (AlarmState::ActiveUnacked, 1));
        assert_eq!(payload.open_episode.map(|episode| episode.violation_total), Some(1));
        assert_eq!(payload.characteristic.definition.name, "Bore");
        // What the events told, the snapshot repeats.
        let told: Vec<Value> = page
            .iter()
            .map(|event| serde_json::from_slice::<Value>(&event.message()).expect("JSON")["payload"].clone())
            .collect();
        assert_eq!(json!(payload.control_limits), told[0]);
        assert_eq!(json!(payload.newest_sample), told[1]);
        assert_eq!(json!(payload.open_violations), json!([told[2]]));
        let nobody = CharacteristicId::try_from(99).expect("positive");
        assert_eq!(history.snapshot(nobody).await.expect("read"), None);

        let groups = HashMap::from([(id, Some("plant".to_owned()))]);
        assert_eq!(catalog.groups().await.expect("told"), groups);
        assert_eq!(catalog.groups_of(&[id, nobody]).await.expect("told"), groups);
        let keys = ["bore".to_owned(), "nobody".to_owned()];
        assert_eq!(catalog.ids(&keys).await.expect("told"), HashMap::from([("bore".to_owned(), id)]));

        let mut transaction = store.begin().await.expect("free");
        let removed = transaction.remove_log(chrono::DateTime::<chrono::Utc>::MAX_UTC, 2).await;
        assert_eq!(removed.expect("removed"), 2);
        transaction.commit().await.expect("committed");
        assert!(matches!(history.base(1).await, Err(HistoryError::Removed { floor: 2 })));
        assert!(matches!(history.page(0, 10).await, Err(HistoryError::Removed { floor: 2 })));
        let mut transaction = store.begin().await.expect("free");
        transaction.renew_epoch();
        transaction.commit().await.expect("committed");
        assert!(matches!(history.base(3).await, Err(HistoryError::Renewed)));
        assert!(matches!(history.snapshot(id).await, Err(HistoryError::Renewed)));
        store.close().await;
        assert!(matches!(history.base(3).await, Err(HistoryError::Unreadable(_))));
        catalog.groups().await.expect_err("closed");
    }
}

/// Draws control charts for mails, once there is a database to draw from: receivers are checked before it is opened.
#[derive(Default)]
pub struct StoredPictures(OnceLock<(Store, Painter)>);

impl StoredPictures {
    /// From now on there is.
    pub fn draw_from(&self, store: Store, painter: Painter) {
        let _ = self.0.set((store, painter)); // there is but one
    }

    async fn draw(&self, id: CharacteristicId) -> Result<Option<Vec<u8>>, String> {
        let Some((store, painter)) = self.0.get() else { return Ok(None) };
        let page = Page { offset: 0, limit: PICTURED };
        let charted = Charted::read(store, id, (None, None), page).await;
        let Some(charted) = charted.map_err(|error| error_chain(&error).to_string())? else {
            return Ok(None);
        };
        painter.png(&charted).await.map(Some).map_err(|error| error_chain(&error).to_string())
    }
}

#[async_trait]
impl Pictures for StoredPictures {
    async fn control_chart(&self, id: CharacteristicId) -> Option<Vec<u8>> {
        self.draw(id).await.unwrap_or_else(|error| {
            warn!(characteristic.id = id.get(), error, "a chart could not be drawn for a mail");
            None
        })
    }
}
