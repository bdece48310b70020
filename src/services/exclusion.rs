//! Excludes samples, and includes them again: an excluded sample counts as never taken.
//!
//! The decision, its event and what follows from it are one transaction. Limits are not recalculated by it.

use crate::domain::event::{Event, SampleExclusion};
use crate::domain::ids::SampleId;
use crate::domain::sample::{Mode, Sample};
use crate::domain::violation::{Violation, ViolationStatus};
use crate::services::auto_limits::set_if_due;
use crate::services::queue::{Command, CommitError};
use crate::services::rejudging::rejudge_around;
use crate::services::spc_engine::SpcEngine;
use crate::services::work::Work;
use crate::store::StoreError;

/// What somebody decides about a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The sample.
    pub sample_id: SampleId,
    /// Whether it counts as never taken from now on, or counts again.
    pub is_excluded: bool,
    /// Why: 1 to 200 characters on one line.
    pub reason: String,
    /// Who says so.
    pub user: Option<String>,
}

/// A sample after a decision about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The sample.
    pub sample: Sample,
    /// What holds on it.
    pub violations: Vec<Violation>,
}

/// Why nothing was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExclusionError {
    /// No such sample.
    #[error("sample {0} does not exist")]
    Unknown(SampleId),
}

impl SpcEngine {
    /// Excludes a sample or includes it again, and judges the points again that share a window with it. A decision
    /// that was made before changes nothing, and nobody is told.
    ///
    /// # Errors
    /// [`CommitError`], if nothing could be stored; the inner [`ExclusionError`], if there is no such sample.
    pub async fn decide(&self, decision: Decision) -> Result<Result<Decided, ExclusionError>, CommitError> {
        self.queue.run(Decide(decision)).await
    }
}

struct Decide(Decision);

impl Command for Decide {
    type Answer = Result<Decided, ExclusionError>;

    fn bytes(&self) -> usize {
        8_000 // log rows of a withdrawal or two, and room for more
    }

    async fn apply(&self, work: &mut Work<'_>) -> Result<Self::Answer, StoreError> {
        let id = self.0.sample_id;
        if let Err(error) = decide(&self.0, work).await? {
            return Ok(Err(error));
        }
        work.transaction.flush().await?;
        let Some(record) = work.transaction.sample(id).await? else {
            return Ok(Err(ExclusionError::Unknown(id)));
        };
        let mut fired = work.transaction.violations_of_samples(vec![id]).await?;
        let mut violations = fired.remove(&id).unwrap_or_default();
        violations.retain(|violation| violation.status == ViolationStatus::Open);
        Ok(Ok(Decided { sample: record.sample, violations }))
    }
}

/// Does what a decision says, unless it was done before.
pub(super) async fn decide(
    decision: &Decision,
    work: &mut Work<'_>,
) -> Result<Result<(), ExclusionError>, StoreError> {
    let Decision { sample_id, is_excluded, reason, user } = decision;
    let unknown = Ok(Err(ExclusionError::Unknown(*sample_id)));
    work.transaction.flush().await?; // the sample may have come in this very transaction
    let Some(record) = work.transaction.sample(*sample_id).await? else { return unknown };
    let mut sample = record.sample;
    let Some(mut state) = work.take(sample.characteristic_id).await? else { return unknown };
    if sample.is_excluded == *is_excluded {
        work.give_back(state);
        return Ok(Ok(()));
    }
    let id = sample.characteristic_id;
    let before = work.transaction.is_signalling(id).await?;
    work.transaction.set_excluded(sample.id, *is_excluded).await?;
    sample.is_excluded = *is_excluded;
    let decided = Event::SampleExclusionChanged(SampleExclusion {
        sample_id: sample.id,
        characteristic_id: id,
        is_excluded: *is_excluded,
        reason: reason.clone(),
        user: user.clone(),
        at: work.now,
    });
    work.append(&mut state, &decided)?;
    // What was only stored, or judged elsewhere, is part of no pattern.
    let counts = sample.mode != Mode::Store && sample.origin.is_none();
    if counts {
        rejudge_around(&sample, &mut state, work).await?;
    }
    let after = work.transaction.is_signalling(id).await?;
    // Unless the chart began anew since the newest judged sample: then it says nothing any more.
    if state.standing.is_signalling == before {
        state.standing.is_signalling = after;
    }
    if counts && sample.id >= state.phase_from {
        let collected = &mut state.standing.samples_collected;
        *collected = if *is_excluded { collected.saturating_sub(1) } else { *collected + 1 };
        state = work.reload(state).await?;
        if !is_excluded {
            set_if_due(&mut state, work).await?;
        }
    }
    work.put(state);
    Ok(Ok(()))
}
