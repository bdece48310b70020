//! Keeps the episode of each characteristic, in the transaction of whatever changes it.
//!
//! [`Episode`] knows what happens; here it is kept with the state, stored with the batch, and announced when people have
//! to know. Only what happens as it happens counts: of the past, nobody is told.

mod acknowledgement;

use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use acknowledgement::{AcknowledgeEpisodeError, AcknowledgedEpisode, EpisodeAnswered};

use crate::domain::episode::{ClosingReason, Episode, EpisodeChange};
use crate::domain::event::Event;
use crate::domain::ids::EpisodeId;
use crate::domain::violation::{Acknowledgement, Violation};
use crate::services::warm::WarmState;
use crate::services::work::Work;
use crate::store::StoreError;

/// The episode that violations found now belong to: the open one, or the one that they open.
///
/// One that has heard nothing for too long is closed first: what was a year ago is another matter.
pub(super) fn of_news(state: &mut WarmState, work: &mut Work<'_>) -> Result<EpisodeId, StoreError> {
    if state.episode.as_ref().is_some_and(|episode| episode.is_stale(&work.policy, work.now)) {
        close(ClosingReason::Stale, state, work)?;
    }
    Ok(match &state.episode {
        Some(episode) => episode.id,
        None => work.transaction.next_episode_id(),
    })
}

/// A point was judged now, and this was found on it.
pub(super) fn point<'v>(
    in_control: bool,
    found: impl IntoIterator<Item = &'v Arc<Violation>>,
    state: &mut WarmState,
    work: &mut Work<'_>,
) -> Result<(), StoreError> {
    let (policy, now) = (work.policy, work.now);
    let mut change = take_in(found, state, now);
    let Some(episode) = &mut state.episode else { return Ok(()) };
    // What has just made it worse does not lapse besides.
    if change.is_none() {
        change = Arc::make_mut(episode).judged(in_control, &policy, now);
    }
    keep(change, state, work)
}

/// Another system has found a violation, of a sample that came before it, or of none that is known here: then it stands for
/// its point.
pub(super) fn found(
    violation: &Arc<Violation>,
    state: &mut WarmState,
    work: &mut Work<'_>,
) -> Result<(), StoreError> {
    if violation.sample_id.is_none() {
        return point(false, [violation], state, work);
    }
    let change = take_in([violation], state, work.now);
    keep(change, state, work)
}

/// Takes in what was found now; gives the first of what that changes.
pub(super) fn take_in<'v>(
    found: impl IntoIterator<Item = &'v Arc<Violation>>,
    state: &mut WarmState,
    now: DateTime<Utc>,
) -> Option<EpisodeChange> {
    let mut change = None;
    for violation in found {
        let Some(id) = violation.episode_id else { continue };
        match &mut state.episode {
            Some(episode) => {
                let joined = Arc::make_mut(episode).join(violation, now);
                change = change.or(joined);
            }
            None => {
                state.episode = Some(Arc::new(Episode::open(id, violation, now)));
                change = Some(EpisodeChange::Opened);
            }
        }
    }
    change
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
        episode.restore(violation, work.now);
        return Ok(None);
    }
    violation.episode_id = Some(of_news(state, work)?);
    work.transaction.move_to_episode(violation).await?;
    Ok(take_in([&Arc::new(violation.clone())], state, work.now))
}

/// A decision about a sample was carried out, which has changed this: people are told the outcome.
pub(super) fn settle(
    change: Option<EpisodeChange>,
    state: &mut WarmState,
    work: &mut Work<'_>,
) -> Result<(), StoreError> {
    let Some(episode) = &mut state.episode else { return Ok(()) };
    let closed = Arc::make_mut(episode).settle(work.now);
    keep(closed.or(change), state, work)
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
