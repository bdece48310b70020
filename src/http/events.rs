//! `GET /events`: what has happened, for those who were away.

use std::collections::HashSet;

use actix_web::web::Data;
use serde_json::value::RawValue;

use crate::domain::ids::{CharacteristicId, MAX_ID};
use crate::http::answer::Done;
use crate::http::auth::{Authorized, Read};
use crate::http::error::{ApiError, Kind};
use crate::http::input::{Query, page};
use crate::http::named::unknown_key;
use crate::protocol::event::{EventKind, LoggedEvent};
use crate::protocol::problem::LogView;
use crate::protocol::rest::{EventsQuery, EventsView};
use crate::protocol::socket::Position;
use crate::store::{EventFilter, FoundEvents, LogHead, Store, StoreError};

/// The most that a query may name: whatever they are, all of them fit into an address, which has at most 64 KiB.
const MAX_IDS: usize = 1_000;
const MAX_KEYS: usize = 25;

/// `GET /events`, oldest first.
pub async fn list(
    _: Authorized<Read>,
    store: Data<Store>,
    query: Query<EventsQuery>,
) -> Result<Done<EventsView>, ApiError> {
    let EventsQuery { after, characteristic_ids, characteristic_keys, types, history, limit } = query.0;
    let most = page(None, limit)?.limit;
    let after: Option<Position> = after.map(|after| after.parse()).transpose().map_err(|error| {
        let detail = format!("after: {error}");
        ApiError::new(Kind::InvalidQuery, detail)
    })?;
    let filter = EventFilter {
        of: chosen(&store, characteristic_ids.as_deref(), characteristic_keys.as_deref()).await?,
        kinds: types
            .as_deref()
            .map(|types| listed(("types", EventKind::ALL.len()), types, kind))
            .transpose()?,
        history: history.unwrap_or(false),
    };
    if let Some(after) = &after {
        check(after, &store.head().await?)?;
    }
    let found = store.search_log(after.map(|after| after.seq), &filter, most).await;
    let FoundEvents { events, up_to } = match found {
        Err(StoreError::Removed { .. }) => return Err(removed(&store.head().await?)),
        found => found?,
    };
    let head = store.head().await?; // now, so that nobody is told to be further than the end
    let items = events.iter().map(|event| verbatim(event)).collect();
    let next = Position { epoch: head.epoch.clone(), seq: up_to }.to_string();
    Ok(Done(EventsView { epoch: head.epoch, items, next, head_seq: head.seq }))
}

fn verbatim(event: &LoggedEvent) -> Box<RawValue> {
    serde_json::from_slice(&event.message()).expect("a logged event is JSON")
}

/// Whether the log holds everything after a position.
fn check(after: &Position, head: &LogHead) -> Result<(), ApiError> {
    let from_here = format!("{}.{}", head.epoch, head.seq);
    let lost = "look up how things stand, and go on after";
    if after.epoch != head.epoch {
        return Err(passed(head, format!("after: {after} is of another log; {lost} {from_here}")));
    }
    if after.seq > head.seq {
        return Err(passed(head, format!("after: the log ends before {after}; {lost} {from_here}")));
    }
    if after.seq < head.floor { Err(removed(head)) } else { Ok(()) }
}

fn removed(head: &LogHead) -> ApiError {
    let LogHead { epoch, floor, .. } = head;
    passed(
        head,
        format!("after: events up to {floor} were removed; what is left comes after {epoch}.{floor}"),
    )
}

fn passed(head: &LogHead, detail: String) -> ApiError {
    let LogHead { epoch, floor, seq, .. } = head.clone();
    ApiError::log_passed(detail, LogView { epoch, floor_seq: floor, head_seq: seq })
}

/// The characteristics that a query names, if it names any.
async fn chosen(
    store: &Store,
    ids: Option<&str>,
    keys: Option<&str>,
) -> Result<Option<HashSet<CharacteristicId>>, ApiError> {
    if ids.is_none() && keys.is_none() {
        return Ok(None);
    }
    let ids = ids.map(|ids| listed(("characteristic_ids", MAX_IDS), ids, id)).transpose()?;
    let mut chosen: HashSet<_> = ids.unwrap_or_default().into_iter().collect();
    if let Some(keys) = keys {
        let keys = listed(("characteristic_keys", MAX_KEYS), keys, |key| Ok(key.to_owned()))?;
        let found = store.characteristic_ids_by_key(&keys).await?;
        for key in keys {
            chosen.insert(found.get(&key).copied().ok_or_else(|| unknown_key(key))?);
        }
    }
    Ok(Some(chosen))
}

/// What a query names one after the other with commas in between: so many at most.
fn listed<T>(
    (name, most): (&str, usize),
    text: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, ApiError> {
    let refuse = |detail: String| ApiError::new(Kind::InvalidQuery, format!("{name}: {detail}"));
    if text.split(',').nth(most).is_some() {
        return Err(refuse(format!("may name at most {most}")));
    }
    text.split(',').map(|word| read(word).map_err(refuse)).collect()
}

fn id(word: &str) -> Result<CharacteristicId, String> {
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| word.parse::<i64>().ok()).flatten();
    let id = number.and_then(|number| CharacteristicId::try_from(number).ok());
    id.ok_or_else(|| format!("{word:?} is no id: say integers from 1 to {MAX_ID}, separated by commas"))
}

fn kind(word: &str) -> Result<EventKind, String> {
    let names = || EventKind::ALL.map(EventKind::as_str).join(", ");
    EventKind::from_name(word).ok_or_else(|| format!("{word:?} is no type: there are {}", names()))
}
