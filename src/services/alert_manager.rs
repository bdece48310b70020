//! Creates violations from what fired, and keeps what operators answer to them: one winner for each.

use std::sync::Arc;

use crate::domain::characteristic::Characteristic;
use crate::domain::chart::Chart;
use crate::domain::event::Event;
use crate::domain::ids::{CharacteristicId, ViolationId};
use crate::domain::sample::Sample;
use crate::domain::violation::{Acknowledgement, Violation, ViolationStatus};
use crate::services::queue::{Command, CommitError, CommitQueue};
use crate::services::warm::WarmState;
use crate::services::work::Work;
use crate::spc::{Signal, Verdict};
use crate::store::StoreError;

/// What an operator says to a violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The operator.
    pub user: String,
    /// Usually one of the reason codes.
    pub reason: String,
    /// Free text.
    pub comment: Option<String>,
}

/// Why an acknowledgement was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcknowledgeError {
    /// No such violation.
    #[error("violation {0} does not exist")]
    Unknown(ViolationId),
    /// Somebody was first.
    #[error("violation {id} was acknowledged by {} at {}", first.user, first.timestamp.format("%Y-%m-%dT%H:%M:%S%.3fZ"))]
    Already {
        /// Which.
        id: ViolationId,
        /// Who was first, when and why.
        first: Box<Acknowledgement>,
    },
}

/// A violation with its answer, and the characteristic it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Acknowledged {
    /// The violation.
    pub violation: Arc<Violation>,
    /// Whose.
    pub characteristic: Arc<Characteristic>,
}

/// Which violations an answer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// These.
    These(Vec<ViolationId>),
    /// The open ones of a characteristic, as far as somebody has seen the log.
    OpenOf {
        /// Whose.
        characteristic_id: CharacteristicId,
        /// Announced at or before this position.
        up_to_seq: u64,
        /// At most so many, oldest first.
        limit: u32,
    },
}

/// Keeps violations and their acknowledgements. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AlertManager {
    queue: CommitQueue,
}

impl AlertManager {
    /// A manager that commits through `queue`.
    pub fn new(queue: CommitQueue) -> Self {
        Self { queue }
    }

    /// Answers one violation.
    ///
    /// # Errors
    /// [`CommitError`], if nothing could be stored; the inner [`AcknowledgeError`], if there is nothing to answer.
    pub async fn acknowledge(
        &self,
        id: ViolationId,
        answer: Answer,
    ) -> Result<Result<Acknowledged, AcknowledgeError>, CommitError> {
        self.queue.run(AcknowledgeOne { id, answer }).await
    }

    /// Answers several violations in one transaction, each on its own: one that cannot be answered stops no other.
    ///
    /// # Errors
    /// [`CommitError`], if nothing could be stored.
    pub async fn acknowledge_many(
        &self,
        chosen: Chosen,
        answer: Answer,
    ) -> Result<Vec<(ViolationId, Result<(), AcknowledgeError>)>, CommitError> {
        self.queue.run(AcknowledgeMany { chosen, answer }).await
    }
}

/// What fired on a sample, as violations: location chart in rule order, then dispersion.
pub(super) fn violations_of(
    sample: &Sample,
    verdict: &Verdict,
    state: &WarmState,
    work: &mut Work<'_>,
) -> Vec<Arc<Violation>> {
    let Some(judged) = verdict.judged else { return Vec::new() };
    let signals = judged.signals;
    signals.iter().map(|signal| Arc::new(violation_of(signal, sample, state, work))).collect()
}

fn violation_of(signal: &Signal, sample: &Sample, state: &WarmState, work: &mut Work<'_>) -> Violation {
    let limits = state.limits.as_ref().expect("only limits make a signal");
    let n = sample.subgroup.n;
    let (value, center_line, ucl, lcl) = match signal.chart {
        Chart::Location => {
            let lines = limits.lines(n);
            (sample.subgroup.mean, lines.center_line, lines.ucl, lines.lcl)
        }
        Chart::Dispersion => {
            let lines = limits.dispersion_lines(n).expect("only dispersion limits make a dispersion signal");
            let value = sample.dispersion_value.expect("only a plotted value makes a signal");
            (value, lines.center_line, lines.ucl, lines.lcl)
        }
    };
    let setting = state.characteristic.rules.get(signal.rule);
    let phase = state.phase.as_ref().expect("limits belong to a phase");
    Violation {
        id: work.transaction.next_violation_id(),
        sample_id: sample.id,
        characteristic_id: sample.characteristic_id,
        chart: signal.chart,
        rule_id: signal.rule.id(),
        rule_name: signal.rule.name().to_owned(),
        severity: setting.severity,
        message: signal.message(state.characteristic.definition.chart),
        side: signal.side,
        value,
        center_line,
        ucl,
        lcl,
        sigma: phase.limits.sigma(),
        n,
        involved_sample_ids: state.points.involved(signal),
        timestamp: sample.timestamp,
        created_at: work.now,
        requires_acknowledgement: setting.requires_acknowledgement,
        status: ViolationStatus::Open,
        acknowledgement: None,
    }
}

struct AcknowledgeOne {
    id: ViolationId,
    answer: Answer,
}

impl Command for AcknowledgeOne {
    type Answer = Result<Acknowledged, AcknowledgeError>;

    async fn apply(&self, work: &mut Work<'_>) -> Result<Self::Answer, StoreError> {
        acknowledge(self.id, &self.answer, work).await
    }
}

struct AcknowledgeMany {
    chosen: Chosen,
    answer: Answer,
}

impl Command for AcknowledgeMany {
    type Answer = Vec<(ViolationId, Result<(), AcknowledgeError>)>;

    fn bytes(&self) -> usize {
        let most = match &self.chosen {
            Chosen::These(ids) => ids.len(),
            Chosen::OpenOf { limit, .. } => *limit as usize,
        };
        400 * most // about one log row each
    }

    async fn apply(&self, work: &mut Work<'_>) -> Result<Self::Answer, StoreError> {
        let ids = match &self.chosen {
            Chosen::These(ids) => ids.clone(),
            Chosen::OpenOf { characteristic_id, up_to_seq, limit } => {
                work.transaction.flush().await?;
                work.transaction.open_violation_ids(*characteristic_id, *up_to_seq, *limit).await?
            }
        };
        let mut outcomes = Vec::with_capacity(ids.len());
        for id in ids {
            outcomes.push((id, acknowledge(id, &self.answer, work).await?.map(drop)));
        }
        Ok(outcomes)
    }
}

async fn acknowledge(
    id: ViolationId,
    answer: &Answer,
    work: &mut Work<'_>,
) -> Result<Result<Acknowledged, AcknowledgeError>, StoreError> {
    work.transaction.flush().await?; // the violation may have been created in this very transaction
    let Some(record) = work.transaction.violation(id).await? else {
        return Ok(Err(AcknowledgeError::Unknown(id)));
    };
    let mut violation = record.violation;
    if let Some(first) = violation.acknowledgement {
        return Ok(Err(AcknowledgeError::Already { id, first: Box::new(first) }));
    }
    let Some(mut state) = work.take(violation.characteristic_id).await? else {
        return Ok(Err(AcknowledgeError::Unknown(id)));
    };
    let Answer { user, reason, comment } = answer.clone();
    let acknowledgement = Acknowledgement { user, reason, comment, timestamp: work.now };
    work.transaction.update_acknowledgement(id, &acknowledgement).await?;
    violation.acknowledgement = Some(acknowledgement);
    let violation = Arc::new(violation);
    work.append(&mut state, &Event::ViolationAcknowledged(Arc::clone(&violation)))?;
    let characteristic = Arc::clone(&state.characteristic);
    work.put(state);
    Ok(Ok(Acknowledged { violation, characteristic }))
}
