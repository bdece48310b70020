//! Takes samples in: judges each against the limits in force and stores it with what fired on it.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::event::Event;
use crate::domain::ids::CharacteristicId;
use crate::domain::sample::{Judgement, Sample, Subgroup, SubgroupError};
use crate::domain::violation::Violation;
use crate::services::alert_manager::violations_of;
use crate::services::queue::{Command, CommitError, CommitQueue, Promise};
use crate::services::warm::WarmState;
use crate::services::work::Work;
use crate::spc::Point;
use crate::store::StoreError;

/// A characteristic by one of its two names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CharacteristicRef {
    /// Andon's own id.
    Id(CharacteristicId),
    /// The integrator's.
    Key(String),
}

/// A sample as it comes in.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSample {
    /// What was measured.
    pub characteristic: CharacteristicRef,
    /// The values, in the characteristic's unit.
    pub measurements: Vec<f64>,
    /// When; `None`: now.
    pub timestamp: Option<DateTime<Utc>>,
    /// The production batch.
    pub batch: Option<String>,
    /// Who measured.
    pub operator: Option<String>,
    /// A JSON object, kept as it is.
    pub metadata: Option<String>,
}

/// Why a sample was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// No such characteristic.
    #[error("{}", unknown(.0))]
    UnknownCharacteristic(CharacteristicRef),
    /// Its measurements make no subgroup of this characteristic.
    #[error(transparent)]
    Subgroup(#[from] SubgroupError),
}

fn unknown(characteristic: &CharacteristicRef) -> String {
    match characteristic {
        CharacteristicRef::Id(id) => format!("characteristic {id} does not exist"),
        CharacteristicRef::Key(key) => format!("no characteristic has the key {key:?}"),
    }
}

/// A sample that is stored, with what fired on it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedSample {
    /// The sample.
    pub sample: Arc<Sample>,
    /// The position of its event.
    pub seq: u64,
    /// Location chart in rule order, then dispersion.
    pub violations: Vec<Arc<Violation>>,
}

/// Judges and records samples. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SpcEngine {
    queue: CommitQueue,
}

impl SpcEngine {
    /// An engine that commits through `queue`.
    pub fn new(queue: CommitQueue) -> Self {
        Self { queue }
    }

    /// Judges and stores one sample; returns after its commit.
    ///
    /// # Errors
    /// [`CommitError`], if nothing could be stored; the inner [`SampleError`], if the sample cannot be taken.
    pub async fn submit(
        &self,
        sample: NewSample,
    ) -> Result<Result<RecordedSample, SampleError>, CommitError> {
        self.queue.run(RecordSample(sample)).await
    }

    /// Queues one sample, in the order of calls, so that several can share a transaction.
    ///
    /// # Errors
    /// [`CommitError`], if there is no place in the queue.
    pub async fn queue(&self, sample: NewSample) -> Result<QueuedSample, CommitError> {
        self.queue.submit(RecordSample(sample)).await.map(QueuedSample)
    }
}

/// A sample that waits for its commit.
pub struct QueuedSample(Promise<Result<RecordedSample, SampleError>>);

impl QueuedSample {
    /// Waits for the commit.
    ///
    /// # Errors
    /// As [`SpcEngine::submit`].
    pub async fn recorded(self) -> Result<Result<RecordedSample, SampleError>, CommitError> {
        self.0.answer().await
    }
}

struct RecordSample(NewSample);

impl Command for RecordSample {
    type Answer = Result<RecordedSample, SampleError>;

    fn bytes(&self) -> usize {
        let NewSample { measurements, batch, operator, metadata, .. } = &self.0;
        let texts = [batch, operator, metadata];
        // About 900 bytes of log row and columns, besides what the sender wrote.
        900 + 8 * measurements.len() + texts.iter().filter_map(|t| t.as_ref().map(String::len)).sum::<usize>()
    }

    async fn apply(&self, work: &mut Work<'_>) -> Result<Self::Answer, StoreError> {
        let named = &self.0.characteristic;
        let id = match named {
            CharacteristicRef::Id(id) => Some(*id),
            CharacteristicRef::Key(key) => work.transaction.characteristic_id_by_key(key).await?,
        };
        let state = match id {
            Some(id) => work.take(id).await?,
            None => None,
        };
        let Some(mut state) = state else {
            return Ok(Err(SampleError::UnknownCharacteristic(named.clone())));
        };
        let recorded = record(&self.0, &mut state, work);
        work.put(state);
        recorded
    }
}

/// Judges one sample against the state of its characteristic and adds what follows to the transaction.
fn record(
    new: &NewSample,
    state: &mut WarmState,
    work: &mut Work<'_>,
) -> Result<Result<RecordedSample, SampleError>, StoreError> {
    let definition = &state.characteristic.definition;
    let sizes = (definition.min_measurements, definition.subgroup_size);
    let subgroup = match Subgroup::of(&new.measurements, sizes.0, sizes.1) {
        Ok(subgroup) => subgroup,
        Err(error) => return Ok(Err(error.into())),
    };
    let out_of_spec = definition.out_of_spec(&new.measurements);
    let sample_id = work.transaction.next_sample_id();
    let verdict = state.points.judge(&Point { sample_id, subgroup }, state.limits.as_ref(), &state.judging);
    let judgement = verdict.judged.zip(state.phase.as_ref()).map(|(judged, phase)| Judgement {
        limits_id: phase.id,
        zone: judged.zone,
        in_control: judged.signals.is_empty(),
        ucl: judged.lines.ucl,
        center_line: judged.lines.center_line,
        lcl: judged.lines.lcl,
    });
    let sample = Arc::new(Sample {
        id: sample_id,
        characteristic_id: state.characteristic.id,
        measurements: new.measurements.clone(),
        subgroup,
        dispersion_value: verdict.dispersion_value,
        timestamp: new.timestamp.unwrap_or(work.now),
        received_at: work.now,
        judgement,
        out_of_spec,
        is_excluded: false,
        batch: new.batch.clone(),
        operator: new.operator.clone(),
        metadata: new.metadata.clone(),
    });
    let violations = violations_of(&sample, &verdict, state, work);
    let processed = Event::SampleProcessed { sample: Arc::clone(&sample), violations: violations.clone() };
    let seq = work.append(state, &processed)?;
    for violation in &violations {
        let violation = Arc::clone(violation);
        let characteristic = Arc::clone(&state.characteristic);
        work.append(state, &Event::ViolationCreated { violation, characteristic })?;
    }
    Ok(Ok(RecordedSample { sample, seq, violations }))
}
