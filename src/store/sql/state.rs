//! The present state of a characteristic: several statements, for a connection that is within a transaction.

use super::{Connection, characteristics, episodes, head, samples, violations};
use crate::domain::ids::CharacteristicId;
use crate::domain::violation::ViolationStatus;
use crate::store::state::CharacteristicState;
use crate::store::{LogHead, StoreError};

pub async fn of(
    connection: &mut Connection,
    id: CharacteristicId,
    newest_open: u32,
) -> Result<(LogHead, Option<CharacteristicState>), StoreError> {
    let head = head::read(&mut *connection).await?;
    let Some(record) = characteristics::one(&mut *connection, id).await? else { return Ok((head, None)) };
    let newest_sample = samples::newest_of_each(&mut *connection, &[id]).await?.remove(&id);
    let fired = match &newest_sample {
        Some(sample) => violations::of_samples(&mut *connection, vec![sample.id]).await?.remove(&sample.id),
        None => None,
    };
    let mut fired = fired.unwrap_or_default();
    fired.retain(|violation| violation.status == ViolationStatus::Open);
    let open_violations = violations::newest_open(&mut *connection, id, newest_open).await?;
    let open_episode = episodes::open_of(connection, id).await?;
    let state =
        CharacteristicState { seq: head.seq, record, newest_sample, fired, open_violations, open_episode };
    Ok((head, Some(state)))
}
