//! An answer that somebody gave in another system counts here as if an operator had given it here.

use crate::domain::violation::Acknowledgement;
use crate::services::alert_manager::{AcknowledgeError, Acknowledged, acknowledge_as};
use crate::services::foreign_events::{
    EventAnswer, ForeignEventError, TakenEvent, ToldAcknowledgement, is_named,
};
use crate::services::spc_engine::CharacteristicRef;
use crate::services::work::Work;
use crate::store::{StoreError, Taken};

/// Answers a violation of the sender. One that is answered already stays as it is, and nobody is told: what is
/// mirrored from here to there and back would go round for ever.
pub(super) async fn take(
    source: &str,
    named: Option<&CharacteristicRef>,
    told: &ToldAcknowledgement,
    work: &mut Work<'_>,
) -> Result<EventAnswer, StoreError> {
    let ToldAcknowledgement { external_id, user, reason, comment, timestamp } = told.clone();
    let unknown = ForeignEventError::UnknownViolation { source_name: source.to_owned(), external_id };
    work.transaction.flush().await?; // the violation may have come in this very transaction
    let Some(id) = work.transaction.foreign_violation_id(source, &told.external_id).await? else {
        return Ok(Err(unknown));
    };
    let Some(record) = work.transaction.violation(id).await? else { return Ok(Err(unknown)) };
    if let Some(named) = named
        && !is_named(named, record.violation.characteristic_id, work).await?
    {
        return Ok(Err(unknown));
    }
    let (timestamp, source) = (timestamp.unwrap_or(work.now), Some(source.to_owned()));
    let acknowledgement = Acknowledgement { user, reason, comment, timestamp, source };
    let taken = Taken { sample_id: record.violation.sample_id, violation_id: Some(id), ..Taken::default() };
    Ok(match acknowledge_as(record.violation, acknowledgement, work).await? {
        Ok(Acknowledged { seq, .. }) => {
            Ok(TakenEvent { taken: Taken { seq: Some(seq), ..taken }, is_duplicate: false })
        }
        Err(AcknowledgeError::Already { .. }) => Ok(TakenEvent { taken, is_duplicate: true }),
        Err(AcknowledgeError::Unknown(_) | AcknowledgeError::NoSample(_)) => Err(unknown),
    })
}
