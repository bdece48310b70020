//! Keeps the episode of each characteristic, in the transaction of whatever changes it.
//!
//! [`Episode`] knows what happens; here it is kept with the state, stored with the batch, and announced when people have
//! to know: after what has caused it. Only what happens as it happens counts: of the past, nobody is told.

mod acknowledgement;

use std::sync::Arc;

pub use acknowledgement::{AcknowledgeEpisodeError, AcknowledgedEpisode, EpisodeAnswered};

use crate::domain::episode::{ClosingReason, Episode, EpisodeChange};
use crate::domain::event::Event;
use crate::domain::ids::EpisodeId;
use crate::domain::sample::Mode;
use crate::domain::violation::{Acknowledgement, Violation};
use crate::services::warm::WarmState;
use crate::services::work::Work;
use crate::store::StoreError;

/// The episode that violations found now belong to: the open one, unless nothing was heard of it for too long, or the
/// one that they open; none, if their sample is of the past.
pub(super) fn of_news(mode: Mode, state: &WarmState, work: &mut Work<'_>) -> Option<EpisodeId> {
    if mode != Mode::Live {
        return None;
    }
    let is_alive = |episode: &&Arc<Episode>| !episode.is_stale(&work.policy, work.now);
    let open = state.episode.as_ref().filter(is_alive).map(|episode| episode.id);
    open.or_else(|| Some(work.transaction.next_episode_id()))
}

/// A point was judged now, and this was found on it.
pub(super) fn point<'v>(
    in_control: bool,
    found: impl IntoIterator<Item = &'v Arc<Violation>>,
    state: &mut WarmState,
    work: &mut Work<'_>,
) -> Result<(), StoreError> {
    let change = take_in(found, state, work)?;
    let (policy, now) = (work.policy, work.now);
    let Some(episode) = &mut state.episode else { return Ok(()) };
    if change.is_none() && episode.is_stale(&policy, now) {
        return close(ClosingReason::Stale, state, work);
    }
    let change = change.or(Arc::make_mut(episode).judged(in_control, &policy, now));
    keep(change, state, work)
}

/// Another system has found a violation on a point that was counted before.
pub(super) fn found(
    violation: &Arc<Violation>,
    state: &mut WarmState,
    work: &mut Work<'_>,
) -> Result<(), StoreError> {
    let change = take_in([violation], state, work)?;
    keep(change, state, work)
}

/// Takes in what was found now, which belongs to [`of_news`]; gives the first of what that changes.
pub(super) fn take_in<'v>(
    found: impl IntoIterator<Item = &'v Arc<Violation>>,
    state: &mut WarmState,
    work: &mut Work<'_>,
) -> Result<Option<EpisodeChange>, StoreError> {
    let mut change = None;
    for violation in found {
        let Some(id) = violation.episode_id else { continue };
        if let Some(episode) = open(id, state) {
            let joined = episode.join(violation);
            change = change.or(joined);
            continue;
        }
        close(ClosingReason::Stale, state, work)?; // or it would have joined that one
        state.episode = Some(Arc::new(Episode::open(id, violation, work.now)));
        change = Some(EpisodeChange::Opened);
    }
    Ok(change)
}

/// A violation, given as it was before, was answered.
pub(super) async fn answered(
    violation: &Violation,
    answer: &Acknowledgement,
    state: &mut WarmState,
    work: &mut Work<'_>,
) -> Result<(), StoreError> {
    let Some(id) = violation.episode_id else { return Ok(()) };
    if let Some(episode) = open(id, state) {
        let change = episode.answered(violation, answer);
        return keep(change, state, work);
    }
    let Some(mut past) = past(id, work).await? else { return Ok(()) };
    let change = past.answered(violation, answer);
    announce(Arc::new(past), change, state, work)
}

/// A violation, given as it was before, does not hold any more. To be followed by [`settle`].
pub(super) async fn withdraw(
    violation: &Violation,
    state: &mut WarmState,
    work: &mut Work<'_>,
) -> Result<(), StoreError> {
    let Some(id) = violation.episode_id else { return Ok(()) };
    if let Some(episode) = open(id, state) {
        episode.withdraw(violation);
    } else if let Some(mut past) = past(id, work).await? {
        past.withdraw(violation);
        work.transaction.keep_episode(Arc::new(past));
    }
    Ok(())
}

/// A violation, given as it is now, holds again. If its episode is over, it belongs to what happens now. To be followed
/// by [`settle`] with what has changed.
pub(super) async fn restore(
    violation: &mut Violation,
    state: &mut WarmState,
    work: &mut Work<'_>,
) -> Result<Option<EpisodeChange>, StoreError> {
    if violation.is_history {
        return Ok(None);
    }
    if let Some(episode) = violation.episode_id.and_then(|id| open(id, state)) {
        return Ok(episode.restore(violation));
    }
    violation.episode_id = of_news(Mode::Live, state, work);
    work.transaction.move_to_episode(violation).await?;
    take_in([&Arc::new(violation.clone())], state, work)
}

/// A decision about a sample was carried out, which has changed this: people are told the outcome.
pub(super) async fn settle(
    mut change: Option<EpisodeChange>,
    state: &mut WarmState,
    work: &mut Work<'_>,
) -> Result<(), StoreError> {
    let is_retired = state.characteristic.is_retired;
    let Some(episode) = state.episode.as_mut().map(Arc::make_mut) else { return Ok(()) };
    if episode.is_void() {
        change = Some(episode.close(ClosingReason::Withdrawn, work.now));
    } else if is_retired {
        // No point would ever close it.
        change = Some(episode.close(ClosingReason::Retired, work.now));
    } else if episode.is_answered_unnoticed() {
        work.transaction.flush().await?; // it may have been answered in this very transaction
        if let Some(answer) = work.transaction.newest_answer_in_episode(episode.id).await? {
            change = change.or(episode.acknowledge(&answer));
        }
    }
    keep(change, state, work)
}

/// Ends the open episode, if there is one.
pub(super) fn close(
    reason: ClosingReason,
    state: &mut WarmState,
    work: &mut Work<'_>,
) -> Result<(), StoreError> {
    let Some(episode) = &mut state.episode else { return Ok(()) };
    let change = Arc::make_mut(episode).close(reason, work.now);
    keep(Some(change), state, work)
}

/// The open episode, if it is this one.
fn open(id: EpisodeId, state: &mut WarmState) -> Option<&mut Episode> {
    state.episode.as_mut().filter(|episode| episode.id == id).map(Arc::make_mut)
}

/// An episode that is over.
async fn past(id: EpisodeId, work: &mut Work<'_>) -> Result<Option<Episode>, StoreError> {
    work.transaction.flush().await?; // it may have changed in this very transaction
    work.transaction.episode(id).await
}

/// Stores the open episode as it is now, and announces what is new.
fn keep(change: Option<EpisodeChange>, state: &mut WarmState, work: &mut Work<'_>) -> Result<(), StoreError> {
    let Some(episode) = state.episode.clone() else { return Ok(()) };
    if change == Some(EpisodeChange::Closed) {
        state.episode = None;
    }
    announce(episode, change, state, work)
}

fn announce(
    episode: Arc<Episode>,
    change: Option<EpisodeChange>,
    state: &mut WarmState,
    work: &mut Work<'_>,
) -> Result<(), StoreError> {
    work.transaction.keep_episode(Arc::clone(&episode));
    let Some(change) = change else { return Ok(()) };
    let characteristic = Arc::clone(&state.characteristic);
    let at = work.now;
    work.append(state, &Event::EpisodeChanged { episode, change, at, characteristic }).map(drop)
}
