//! Creates violations from what fired, and keeps what operators answer to them: one winner for each.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::characteristic::Characteristic;
use crate::domain::chart::{Chart, ChartKind};
use crate::domain::event::Event;
use crate::domain::ids::{CharacteristicId, EpisodeId, ViolationId};
use crate::domain::phase::Phase;
use crate::domain::sample::{Mode, Sample};
use crate::domain::violation::{Acknowledgement, Violation, ViolationStatus};
use crate::services::episodes;
use crate::services::exclusion::{Decision, decide};
use crate::services::once::{Keep, Kept, Once};
use crate::services::queue::{Command, CommitError, CommitQueue};
use crate::services::warm::WarmState;
use crate::services::work::Work;
use crate::spc::{PhaseLimits, Signal, Verdict};
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
    /// Whether its sample shall count as never taken from now on.
    pub exclude_sample: bool,
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
    /// Its sample cannot be excluded, for there is none here.
    #[error("violation {0} has no sample that could be excluded")]
    NoSample(ViolationId),
}

/// A violation with its answer, and the characteristic it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Acknowledged {
    /// The violation.
    pub violation: Arc<Violation>,
    /// Whose.
    pub characteristic: Arc<Characteristic>,
    /// The position of the answer's event.
    pub seq: u64,
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

/// What became of one violation.
pub type OneAnswered = Result<Acknowledged, AcknowledgeError>;

/// What became of several violations, each on its own.
pub type ManyAnswered = Vec<(ViolationId, Result<(), AcknowledgeError>)>;

/// Keeps violations and their acknowledgements. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AlertManager {
    pub(super) queue: CommitQueue,
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
    pub async fn acknowledge(&self, id: ViolationId, answer: Answer) -> Result<OneAnswered, CommitError> {
        self.queue.run(AcknowledgeOne { id, answer }).await
    }

    /// The same for a request that may be a repeat.
    ///
    /// # Errors
    /// As [`AlertManager::acknowledge`].
    pub async fn acknowledge_once(
        &self,
        id: ViolationId,
        answer: Answer,
        keep: Keep<OneAnswered>,
    ) -> Result<Once<OneAnswered>, CommitError> {
        self.queue.run(Kept { command: AcknowledgeOne { id, answer }, keep }).await
    }

    /// Answers several violations in one transaction, each on its own: one that cannot be answered stops no other.
    ///
    /// # Errors
    /// [`CommitError`], if nothing could be stored.
    pub async fn acknowledge_many(
        &self,
        chosen: Chosen,
        answer: Answer,
    ) -> Result<ManyAnswered, CommitError> {
        self.queue.run(AcknowledgeMany { chosen, answer }).await
    }

    /// The same for a request that may be a repeat.
    ///
    /// # Errors
    /// [`CommitError`], if nothing could be stored.
    pub async fn acknowledge_many_once(
        &self,
        chosen: Chosen,
        answer: Answer,
        keep: Keep<ManyAnswered>,
    ) -> Result<Once<ManyAnswered>, CommitError> {
        self.queue.run(Kept { command: AcknowledgeMany { chosen, answer }, keep }).await
    }
}

/// What fired on a sample, as violations: location chart in rule order, then dispersion.
pub(super) fn violations_of(
    sample: &Sample,
    verdict: &Verdict,
    state: &WarmState,
    work: &mut Work<'_>,
) -> Vec<Arc<Violation>> {
    let Some(judged) = verdict.judged.filter(|judged| !judged.signals.is_empty()) else {
        return Vec::new();
    };
    let grounds = Grounds {
        characteristic: &state.characteristic,
        chart: state.judging.chart,
        phase: state.phase.as_ref().expect("only limits make a signal"),
        limits: state.limits.as_ref().expect("a phase has limits"),
        episode_id: episodes::of_news(sample.mode, state, work),
    };
    let found = |signal: &Signal| {
        let involved_sample_ids = state.points.involved(signal);
        Arc::new(Violation { involved_sample_ids, ..violation_of(signal, sample, &grounds, work) })
    };
    judged.signals.iter().map(found).collect()
}

/// By what a sample is judged.
pub(super) struct Grounds<'a> {
    pub(super) characteristic: &'a Characteristic,
    pub(super) chart: ChartKind,
    pub(super) phase: &'a Phase,
    pub(super) limits: &'a PhaseLimits,
    /// What it belongs to; `None`: of the past.
    pub(super) episode_id: Option<EpisodeId>,
}

/// A new violation; the members of its pattern are for the caller to add.
pub(super) fn violation_of(
    signal: &Signal,
    sample: &Sample,
    grounds: &Grounds<'_>,
    work: &mut Work<'_>,
) -> Violation {
    let Grounds { characteristic, chart, phase, limits, episode_id } = grounds;
    let n = sample.subgroup.n;
    let is_history = sample.mode != Mode::Live;
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
    let setting = characteristic.rules.get(signal.rule);
    Violation {
        id: work.transaction.next_violation_id(),
        sample_id: Some(sample.id),
        characteristic_id: sample.characteristic_id,
        episode_id: *episode_id,
        chart: signal.chart,
        rule_id: signal.rule.id(),
        rule_name: signal.rule.name().to_owned(),
        severity: setting.severity,
        message: signal.message(*chart),
        side: signal.side,
        value: Some(value),
        center_line: Some(center_line),
        ucl: Some(ucl),
        lcl: Some(lcl),
        sigma: Some(phase.limits.sigma()),
        n: Some(n),
        involved_sample_ids: Vec::new(),
        timestamp: sample.timestamp,
        created_at: work.now,
        requires_acknowledgement: setting.requires_acknowledgement,
        rejudged: false,
        is_history,
        origin: None,
        external_sample_id: None,
        status: ViolationStatus::Open,
        acknowledgement: is_history.then(|| answered_by_history(work.now)),
    }
}

/// What is told of the past waits for nobody.
pub(super) fn answered_by_history(now: DateTime<Utc>) -> Acknowledgement {
    let (user, reason) = ("andon".to_owned(), "history".to_owned());
    Acknowledgement { user, reason, comment: None, timestamp: now, source: None }
}

struct AcknowledgeOne {
    id: ViolationId,
    answer: Answer,
}

impl Command for AcknowledgeOne {
    type Answer = OneAnswered;

    async fn apply(&self, work: &mut Work<'_>) -> Result<Self::Answer, StoreError> {
        acknowledge(self.id, &self.answer, work).await
    }
}

struct AcknowledgeMany {
    chosen: Chosen,
    answer: Answer,
}

impl Command for AcknowledgeMany {
    type Answer = ManyAnswered;

    fn bytes(&self) -> usize {
        let most = match &self.chosen {
            Chosen::These(ids) => ids.len(),
            Chosen::OpenOf { limit, .. } => *limit as usize,
        };
        // About one log row each; judging again may add as many as a window is long.
        let each = if self.answer.exclude_sample { 8_000 } else { 400 };
        each * most
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
    let excluded = record.violation.sample_id.filter(|_| answer.exclude_sample);
    if answer.exclude_sample && excluded.is_none() {
        return Ok(Err(AcknowledgeError::NoSample(id)));
    }
    let Answer { user, reason, comment, .. } = answer.clone();
    let acknowledgement = Acknowledgement { user, reason, comment, timestamp: work.now, source: None };
    let acknowledged = acknowledge_as(record.violation, acknowledgement, work).await?;
    let (Ok(Acknowledged { characteristic, seq, .. }), Some(sample_id)) = (&acknowledged, excluded) else {
        return Ok(acknowledged);
    };
    let (reason, user) = (answer.reason.clone(), Some(answer.user.clone()));
    // An excluded sample stays so, and one that is gone needs no excluding.
    let _ = decide(&Decision { sample_id, is_excluded: true, reason, user }, work).await?;
    let withdrawn = work.transaction.violation(id).await?.expect("it was acknowledged in this transaction");
    let (violation, characteristic) = (Arc::new(withdrawn.violation), Arc::clone(characteristic));
    Ok(Ok(Acknowledged { violation, characteristic, seq: *seq }))
}

/// Stores an answer, wherever and whenever it was given.
pub(super) async fn acknowledge_as(
    mut violation: Violation,
    acknowledgement: Acknowledgement,
    work: &mut Work<'_>,
) -> Result<Result<Acknowledged, AcknowledgeError>, StoreError> {
    let id = violation.id;
    if let Some(first) = violation.acknowledgement {
        return Ok(Err(AcknowledgeError::Already { id, first: Box::new(first) }));
    }
    let Some(mut state) = work.take(violation.characteristic_id).await? else {
        return Ok(Err(AcknowledgeError::Unknown(id)));
    };
    work.transaction.update_acknowledgement(id, &acknowledgement).await?;
    let before = violation.clone();
    violation.acknowledgement = Some(acknowledgement.clone());
    let violation = Arc::new(violation);
    let seq = work.append(&mut state, &Event::ViolationAcknowledged(Arc::clone(&violation)))?;
    if before.is_open() {
        state.standing.close(before.requires_acknowledgement);
        episodes::answered(&before, &acknowledgement, &mut state, work).await?;
    }
    let characteristic = Arc::clone(&state.characteristic);
    work.put(state);
    Ok(Ok(Acknowledged { violation, characteristic, seq }))
}
