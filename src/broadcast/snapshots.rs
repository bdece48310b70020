//! The present state of characteristics, read once for everybody who asks.
//!
//! Thousands of clients that come back at once want the same snapshots. Each is read once and kept until an event of its
//! characteristic has made it old; who asks for one that is being read waits for that reading.
//!
//! * **Full**: the least recently used snapshot goes. * **Late**: only who asked waits, and no longer than the time
//!   limit of a read. * **Fails**: the next one who waits tries itself.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use tokio::sync::{OnceCell, Semaphore};

use super::hazards::{Hazard, is_planted};
use super::ports::{History, HistoryError};
use crate::domain::ids::CharacteristicId;
use crate::metrics::Metrics;
use crate::protocol::snapshot::Snapshot;

/// `None`: there is no such characteristic.
type Reading = Arc<OnceCell<Option<Arc<Snapshot>>>>;

/// Snapshots for all shards. A lock, held for a look and a move: shards on several threads share them.
pub(super) struct Snapshots {
    history: Arc<dyn History>,
    readers: Arc<Semaphore>,
    metrics: Metrics,
    shelf: Mutex<Shelf>,
}

struct Shelf {
    ready: LruCache<CharacteristicId, Arc<Snapshot>>,
    under_way: HashMap<CharacteristicId, Reading>,
}

impl Snapshots {
    pub(super) fn new(
        history: Arc<dyn History>,
        readers: Arc<Semaphore>,
        metrics: Metrics,
        kept: NonZeroUsize,
    ) -> Self {
        let shelf = Shelf { ready: LruCache::new(kept), under_way: HashMap::new() };
        Self { history, readers, metrics, shelf: Mutex::new(shelf) }
    }

    /// One that is ready and holds the revision.
    pub(super) fn ready(&self, id: CharacteristicId, at_least: u64) -> Option<Arc<Snapshot>> {
        let mut shelf = self.shelf();
        shelf.ready.get(&id).filter(|snapshot| snapshot.revision >= at_least).cloned()
    }

    /// One that holds the revision, read if it has to be.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub(super) async fn read(
        &self,
        id: CharacteristicId,
        at_least: u64,
    ) -> Result<Option<Arc<Snapshot>>, HistoryError> {
        loop {
            if let Some(ready) = self.ready(id, at_least) {
                return Ok(Some(ready));
            }
            let reading = Arc::clone(self.shelf().under_way.entry(id).or_default());
            let outcome = reading.get_or_try_init(|| self.read_anew(id)).await.cloned();
            self.put_away(id, &reading, outcome.as_ref().ok().and_then(Option::as_ref));
            match outcome? {
                // It was begun before the revision that is wanted was committed.
                Some(snapshot) if snapshot.revision < at_least && !is_planted(Hazard::StaleSnapshot) => {}
                outcome => return Ok(outcome),
            }
        }
    }

    async fn read_anew(&self, id: CharacteristicId) -> Result<Option<Arc<Snapshot>>, HistoryError> {
        let _turn = self.readers.acquire().await; // never closed
        self.metrics.snapshots_read.inc();
        Ok(self.history.snapshot(id).await?.map(Arc::new))
    }

    fn put_away(&self, id: CharacteristicId, reading: &Reading, snapshot: Option<&Arc<Snapshot>>) {
        let mut shelf = self.shelf();
        if shelf.under_way.get(&id).is_some_and(|known| Arc::ptr_eq(known, reading)) {
            shelf.under_way.remove(&id);
        }
        if let Some(snapshot) = snapshot {
            let is_newer = shelf.ready.peek(&id).is_none_or(|known| known.revision < snapshot.revision);
            if is_newer {
                shelf.ready.put(id, Arc::clone(snapshot));
            }
        }
    }

    // Poisoned or not, it holds whole values: every change under it is a few moves.
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
