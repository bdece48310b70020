//! Reading the event log, a page at a time.

use std::sync::Arc;

use sqlx::Row as _;

use crate::protocol::event::{EventHeader, EventKind, LoggedEvent};
use crate::store::rows::{corrupt, id};
use crate::store::{LogHead, Store, StoreError};

impl Store {
    /// The head of the log as it is stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn head(&self) -> Result<LogHead, StoreError> {
        let mut connection = self.readers.acquire().await?;
        LogHead::read(&mut connection).await
    }

    /// Up to `limit` events after a position, in order. Empty at the end of the log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn log_page(&self, after: u64, limit: u32) -> Result<Vec<Arc<LoggedEvent>>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, characteristic_id, revision, type, payload FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
        )
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                let seq: i64 = row.try_get("seq")?;
                let read = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
                    let name: &str = row.try_get("type")?;
                    let header = EventHeader {
                        seq: seq as u64,
                        characteristic_id: id(row.try_get("characteristic_id")?)?,
                        revision: row.try_get::<i64, _>("revision")? as u64,
                        kind: EventKind::from_name(name).ok_or_else(|| format!("unknown type {name}"))?,
                    };
                    Ok(Arc::new(LoggedEvent::new(header, row.try_get("payload")?)))
                };
                corrupt("events", seq, read())
            })
            .collect()
    }
}
