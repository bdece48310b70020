//! Provisional limits: calculated once, from the first samples of a phase that has none, where the characteristic's
//! owner asked for it.
//!
//! Within the transaction of the sample that completes them, so that the next sample is judged already. They are
//! bounded ([`MOST_SAMPLES`]); the commit loop waits for no longer reading than that.

use std::sync::Arc;

use crate::domain::episode::ClosingReason;
use crate::domain::event::Event;
use crate::domain::phase::Phase;
use crate::services::episodes;
use crate::services::recalculation::{Basis, Estimated};
use crate::services::warm::WarmState;
use crate::services::work::Work;
use crate::store::{RecentFilter, StoreError};

/// Samples that are read at once, excluded ones included.
const MOST_SAMPLES: u32 = 5_000;

/// Puts provisional limits in force, if enough samples were collected. Samples that do not vary make no limits; it is
/// tried again whenever as many more have come.
pub(super) async fn set_if_due(state: &mut WarmState, work: &mut Work<'_>) -> Result<(), StoreError> {
    let Some(wanted) = state.characteristic.definition.auto_limits_after else { return Ok(()) };
    let collected = state.standing.samples_collected;
    if state.phase.is_some() || collected == 0 || !collected.is_multiple_of(u64::from(wanted)) {
        return Ok(());
    }
    work.transaction.flush().await?; // the newest of them may have come in this very transaction
    let filter = RecentFilter {
        characteristic_id: state.characteristic.id,
        since: Some(state.phase_from),
        from: None,
        to: None,
        newest: MOST_SAMPLES,
    };
    let samples = work.transaction.recent_samples(&filter).await?;
    let basis = Basis::new(samples, None, &state.characteristic);
    let Ok(Estimated { proposed, .. }) = basis.estimate(wanted) else { return Ok(()) };
    let phase = Arc::new(Phase {
        id: work.transaction.next_limits_id(),
        characteristic_id: state.characteristic.id,
        limits: proposed.limits,
        dispersion: proposed.dispersion,
        method: proposed.method,
        baseline: proposed.baseline,
        is_provisional: true,
        from_sample_id: work.transaction.coming_sample_id(),
        timestamp: work.now,
        reason: Some(format!("provisional, from the first {collected} samples")),
        user: None,
    });
    episodes::close(ClosingReason::NewLimits, state, work)?;
    work.transaction.insert_phase(&phase).await?;
    work.append(state, &Event::ControlLimitsUpdated(Arc::clone(&phase)))?;
    state.start_phase(phase);
    Ok(())
}
