//! Looking through the event log for some of its events, a bounded stretch at a time.
//!
//! Reads page by page and keeps only what is wanted, so that a search costs no more memory than a page and its finds.
//! Where retention overtakes it, it ends with what it has: whoever goes on from there is told.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::ids::CharacteristicId;
use crate::protocol::event::{EventKind, LoggedEvent};
use crate::store::{Store, StoreError};

/// Events that one search looks at, at most: some 40 ms of reading.
const LOOKED_AT: u64 = 10_000;

/// Events read at once.
const PAGE: u64 = 500;

/// Which events are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Those of these characteristics, and acknowledgements, which concern everybody; `None`: of all.
    pub of: Option<HashSet<CharacteristicId>>,
    /// Those of these kinds; `None`: of all that are told unasked.
    pub kinds: Option<Vec<EventKind>>,
    /// Those of the past, too.
    pub history: bool,
}

impl EventFilter {
    /// Whether this is one of them.
    pub fn wants(&self, event: &LoggedEvent) -> bool {
        let is_of = |of: &HashSet<_>| event.kind.goes_to_all() || of.contains(&event.characteristic_id);
        let is_of_kind =
            self.kinds.as_ref().map_or(!event.kind.is_asked_for(), |kinds| kinds.contains(&event.kind));
        is_of_kind && self.of.as_ref().is_none_or(is_of) && (self.history || !event.is_history)
    }
}

/// What a search has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEvents {
    /// In order.
    pub events: Vec<Arc<LoggedEvent>>,
    /// Everything up to this position was looked at; not below the one that was asked for.
    pub up_to: u64,
}

impl Store {
    /// Looks through the log after a position, or from where it begins, for up to `most` events. Nothing found does not
    /// mean that there is nothing: it goes on after [`FoundEvents::up_to`].
    ///
    /// # Errors
    /// As [`Store::log_page`].
    pub async fn search_log(
        &self,
        after: Option<u64>,
        filter: &EventFilter,
        most: u32,
    ) -> Result<FoundEvents, StoreError> {
        let mut up_to = match after {
            Some(after) => after,
            None => self.head().await?.floor,
        };
        let (mut events, mut looked_at, most) = (Vec::new(), 0, most as usize);
        let is_choosy = filter.of.is_some() || filter.kinds.is_some();
        while events.len() < most && looked_at < LOOKED_AT {
            let room = if is_choosy { PAGE } else { (most - events.len()) as u64 };
            let wanted = room.min(PAGE).min(LOOKED_AT - looked_at) as u32;
            let page = match self.log_page(up_to, wanted).await {
                Ok(page) => page,
                Err(StoreError::Removed { floor }) if after.is_none() && looked_at == 0 => {
                    up_to = floor;
                    continue;
                }
                Err(StoreError::Removed { .. }) if looked_at > 0 => break,
                Err(error) => return Err(error),
            };
            let is_end = page.len() < wanted as usize;
            for event in page {
                if events.len() == most {
                    break;
                }
                (up_to, looked_at) = (event.seq, looked_at + 1);
                if filter.wants(&event) {
                    events.push(event);
                }
            }
            if is_end {
                break;
            }
        }
        Ok(FoundEvents { events, up_to })
    }
}
