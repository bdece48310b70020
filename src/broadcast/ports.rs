//! What the broadcaster needs from above it: the event log with what follows from it, and the catalog. Stated as
//! traits, since it knows no store; `app` fills them.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::ids::CharacteristicId;
use crate::protocol::event::LoggedEvent;
use crate::protocol::snapshot::Snapshot;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why events could not be read from the log.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// They are not there any more: retention has passed the position.
    #[error("events up to position {floor} were removed from the log")]
    Removed {
        /// Events up to here are gone.
        floor: u64,
    },
    /// The log was given a new epoch: positions of this process mean nothing any more.
    #[error("the log has another epoch now")]
    Renewed,
    /// Not now.
    #[error("could not read the event log")]
    Unreadable(#[source] Cause),
}

/// Where the characteristics stood at a position of the log, told by what came after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Base {
    /// The newest position when this was read.
    pub head: u64,
    /// Of each characteristic that has events after the position: the revision of the first of them.
    pub first_after: HashMap<CharacteristicId, u64>,
}

/// The event log, and the present state that its events have led to.
#[async_trait]
pub trait History: Send + Sync {
    /// Up to `limit` events after a position, in order; empty at the end of the log.
    ///
    /// # Errors
    /// [`HistoryError`].
    async fn page(&self, after: u64, limit: u32) -> Result<Vec<Arc<LoggedEvent>>, HistoryError>;

    /// What came first after a position, of each characteristic.
    ///
    /// # Errors
    /// [`HistoryError`]; [`HistoryError::Removed`], if the log does not reach back to `after`.
    async fn base(&self, after: u64) -> Result<Base, HistoryError>;

    /// The newest revision of every characteristic, as of a position of the log.
    ///
    /// # Errors
    /// [`HistoryError`].
    async fn revisions(&self) -> Result<(u64, Vec<(CharacteristicId, u64)>), HistoryError>;

    /// The present state of a characteristic, if there is such a one: read within one transaction, so that its
    /// position, its revision and what it tells belong together.
    ///
    /// # Errors
    /// [`HistoryError`].
    async fn snapshot(&self, id: CharacteristicId) -> Result<Option<Snapshot>, HistoryError>;
}

/// Why the catalog could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("could not look into the catalog")]
pub struct CatalogError(#[source] pub Cause);

/// Which characteristics there are, by key and by group.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// The ids of those keys that there are.
    ///
    /// # Errors
    /// [`CatalogError`], if they cannot be looked up now.
    async fn ids(&self, keys: &[String]) -> Result<HashMap<String, CharacteristicId>, CatalogError>;

    /// The groups of these characteristics, as far as those exist; an entry without a group belongs to none.
    ///
    /// # Errors
    /// [`CatalogError`], if they cannot be looked up now.
    async fn groups_of(
        &self,
        ids: &[CharacteristicId],
    ) -> Result<HashMap<CharacteristicId, Option<String>>, CatalogError>;

    /// The groups of all characteristics that are not deleted.
    ///
    /// # Errors
    /// [`CatalogError`], if they cannot be looked up now.
    async fn groups(&self) -> Result<HashMap<CharacteristicId, Option<String>>, CatalogError>;
}
