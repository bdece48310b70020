//! Limits that another system has in force are put in force here, as if an operator had given them.

use crate::services::control_limits::{LimitsRefusal, set_given};
use crate::services::foreign_events::{EventAnswer, ForeignEventError, TakeEvent, TakenEvent, ToldLimits};
use crate::services::spc_engine::CharacteristicRef;
use crate::services::work::Work;
use crate::store::{StoreError, Taken};

/// Puts limits in force; those that are in force already start no phase.
pub(super) async fn take(
    command: &TakeEvent,
    named: &CharacteristicRef,
    told: &ToldLimits,
    work: &mut Work<'_>,
) -> Result<EventAnswer, StoreError> {
    let ToldLimits { given, signed } = told;
    if let Err(error) = given.check() {
        return Ok(Err(error.into())); // before a characteristic is created for nothing
    }
    let state = match command.whose(named, work).await? {
        Ok(state) => state,
        Err(error) => return Ok(Err(error)),
    };
    Ok(match set_given(*given, state, signed, work).await? {
        Ok(change) => {
            let seq = change.changed.then(|| work.transaction.seq());
            let taken = Taken { limits_id: Some(change.after.id), seq, ..Taken::default() };
            Ok(TakenEvent { taken, is_duplicate: false })
        }
        Err(LimitsRefusal::Limits(error)) => Err(error.into()),
        Err(_) => Err(ForeignEventError::UnknownCharacteristic(named.clone())),
    })
}
