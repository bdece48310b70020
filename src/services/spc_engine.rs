//! Takes samples in: judges each against the limits in force and stores it with what fired on it.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::event::Event;
use crate::domain::ids::CharacteristicId;
use crate::domain::phase::LimitsState;
use crate::domain::sample::{Judgement, Mode, Sample, SampleKey, Subgroup, SubgroupError};
use crate::domain::violation::Violation;
use crate::services::alert_manager::violations_of;
use crate::services::auto_limits::set_if_due;
use crate::services::episodes;
use crate::services::lookups::{Lookups, Stored};
use crate::services::once::{Claim, Keep, Kept, Once, Request};
use crate::services::queue::{Command, CommitError, CommitQueue, Promise};
use crate::services::warm::WarmState;
use crate::services::work::Work;
use crate::spc::{Point, Verdict};
use crate::store::{KeyedSample, StoreError};

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
    /// How it is meant.
    pub mode: Mode,
    /// The sender's own name of it: a repeat is answered as the first was.
    pub key: Option<SampleKey>,
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
    #[error("{0}")]
    UnknownCharacteristic(CharacteristicRef),
    /// It takes no samples any more.
    #[error("characteristic {0} is retired and takes no samples")]
    Retired(CharacteristicId),
    /// Another sample of the characteristic has its key.
    #[error("the key {} belongs to another sample, with other measurements", .0.as_str())]
    KeyTaken(SampleKey),
    /// Its measurements make no subgroup of this characteristic.
    #[error(transparent)]
    Subgroup(#[from] SubgroupError),
}

/// Says that there is no such characteristic.
impl std::fmt::Display for CharacteristicRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => write!(f, "characteristic {id} does not exist"),
            Self::Key(key) => write!(f, "no characteristic has the key {key:?}"),
        }
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
    /// What kind of limits judged it.
    pub limits_state: LimitsState,
    /// It was stored before: this is what it was answered then.
    pub is_duplicate: bool,
}

/// What became of a sample.
pub type SampleAnswer = Result<RecordedSample, SampleError>;

/// Judges and records samples. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SpcEngine {
    pub(super) queue: CommitQueue,
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
    pub async fn submit(&self, sample: NewSample) -> Result<SampleAnswer, CommitError> {
        self.queue.run(RecordSample(sample)).await
    }

    /// The same for a request that may be a repeat.
    ///
    /// # Errors
    /// As [`SpcEngine::submit`].
    pub async fn submit_once(
        &self,
        sample: NewSample,
        keep: Keep<SampleAnswer>,
    ) -> Result<Once<SampleAnswer>, CommitError> {
        self.queue.run(Kept { command: RecordSample(sample), keep }).await
    }

    /// Queues one sample, in the order of calls, so that several can share a transaction.
    ///
    /// # Errors
    /// [`CommitError`], if there is no place in the queue.
    pub async fn queue(&self, sample: NewSample) -> Result<Queued<SampleAnswer>, CommitError> {
        self.queue.submit(RecordSample(sample)).await.map(Queued)
    }

    /// The same for an item of a batch that may be a repeat.
    ///
    /// # Errors
    /// As [`SpcEngine::queue`].
    pub async fn queue_once(
        &self,
        sample: NewSample,
        keep: Keep<SampleAnswer>,
    ) -> Result<Queued<Once<SampleAnswer>>, CommitError> {
        self.queue.submit(Kept { command: RecordSample(sample), keep }).await.map(Queued)
    }

    /// Keeps what body a batch has that may be a repeat; before its first item.
    ///
    /// # Errors
    /// [`CommitError`], if nothing could be stored.
    pub async fn claim_batch(&self, request: Request) -> Result<Once<()>, CommitError> {
        self.queue.run(Claim(request)).await
    }
}

/// A sample that waits for its commit.
pub struct Queued<A>(Promise<A>);

impl<A> Queued<A> {
    /// Waits for the commit.
    ///
    /// # Errors
    /// As [`SpcEngine::submit`].
    pub async fn recorded(self) -> Result<A, CommitError> {
        self.0.answer().await
    }
}

struct RecordSample(NewSample);

impl Command for RecordSample {
    type Answer = SampleAnswer;

    fn bytes(&self) -> usize {
        let NewSample { measurements, batch, operator, metadata, .. } = &self.0;
        let texts = [batch, operator, metadata];
        900 + 8 * measurements.len() + texts.iter().filter_map(|t| t.as_ref().map(String::len)).sum::<usize>()
    }

    fn look_up(&self, lookups: &mut Lookups) {
        lookups.sample(&self.0.characteristic, self.0.key.as_ref());
    }

    async fn apply(&self, work: &mut Work<'_>) -> Result<Self::Answer, StoreError> {
        let named = &self.0.characteristic;
        let Some(mut state) = work.take_named(named).await? else {
            return Ok(Err(SampleError::UnknownCharacteristic(named.clone())));
        };
        let answer = self.record(&mut state, work).await?;
        match &answer {
            Ok(recorded) if !recorded.is_duplicate => {
                set_if_due(&mut state, work).await?;
                work.put(state);
            }
            _ => work.give_back(state),
        }
        Ok(answer)
    }
}

impl RecordSample {
    async fn record(
        &self,
        state: &mut WarmState,
        work: &mut Work<'_>,
    ) -> Result<Result<RecordedSample, SampleError>, StoreError> {
        let Self(new) = self;
        let characteristic_id = state.characteristic.id;
        let keyed = new.key.clone().map(|key| KeyedSample { characteristic_id, key });
        if let Some(keyed) = &keyed
            && let Some(stored) = work.stored(keyed).await?
        {
            return if stored.sample.measurements == new.measurements {
                repeat(&stored, state, work).await.map(Ok)
            } else {
                Ok(Err(SampleError::KeyTaken(keyed.key.clone())))
            };
        }
        if state.characteristic.is_retired {
            return Ok(Err(SampleError::Retired(characteristic_id)));
        }
        let definition = &state.characteristic.definition;
        let sizes = (definition.min_measurements, definition.subgroup_size);
        let subgroup = match Subgroup::of(&new.measurements, sizes.0, sizes.1) {
            Ok(subgroup) => subgroup,
            Err(error) => return Ok(Err(error.into())),
        };
        let recorded = judge_and_append(new, subgroup, state, work)?;
        if let Some(keyed) = keyed {
            let RecordedSample { sample, seq, violations, .. } = recorded.clone();
            work.remember(keyed, Stored { sample, seq, violations });
        }
        Ok(Ok(recorded))
    }
}

/// Judges one sample against the state of its characteristic and adds what follows to the transaction.
fn judge_and_append(
    new: &NewSample,
    subgroup: Subgroup,
    state: &mut WarmState,
    work: &mut Work<'_>,
) -> Result<RecordedSample, StoreError> {
    let id = work.transaction.next_sample_id();
    let is_judged = new.mode != Mode::Store;
    let verdict = match is_judged {
        true => {
            let point = Point { sample_id: id, subgroup };
            state.points.judge(&point, state.limits.as_ref(), &state.judging)
        }
        false => Verdict { dispersion_value: None, judged: None },
    };
    let judgement = verdict.judged.zip(state.phase.as_ref()).map(|(judged, phase)| Judgement {
        limits_id: Some(phase.id),
        zone: Some(judged.zone),
        in_control: judged.signals.is_empty(),
        ucl: Some(judged.lines.ucl),
        center_line: Some(judged.lines.center_line),
        lcl: Some(judged.lines.lcl),
    });
    let sample = Arc::new(Sample {
        id,
        characteristic_id: state.characteristic.id,
        measurements: new.measurements.clone(),
        subgroup,
        dispersion_value: verdict.dispersion_value,
        timestamp: new.timestamp.unwrap_or(work.now),
        received_at: work.now,
        judgement,
        out_of_spec: state.characteristic.definition.out_of_spec(&new.measurements),
        is_excluded: false,
        mode: new.mode,
        key: new.key.clone(),
        origin: None,
        batch: new.batch.clone(),
        operator: new.operator.clone(),
        metadata: new.metadata.clone(),
    });
    let violations = violations_of(&sample, &verdict, state, work);
    state.standing.samples_collected += u64::from(is_judged);
    if let Some(judgement) = judgement {
        state.standing.is_signalling = Some(!judgement.in_control);
    }
    let processed = Event::SampleProcessed { sample: Arc::clone(&sample), violations: violations.clone() };
    let seq = work.append(state, &processed)?;
    for violation in &violations {
        if violation.is_open() {
            state.standing.open(violation.requires_acknowledgement);
        }
        let violation = Arc::clone(violation);
        let characteristic = Arc::clone(&state.characteristic);
        work.append(state, &Event::ViolationCreated { violation, characteristic })?;
    }
    if let Some(judgement) = judgement.filter(|_| new.mode == Mode::Live) {
        episodes::point(judgement.in_control, &violations, state, work)?;
    }
    let judged_by = state.phase.as_deref().filter(|_| judgement.is_some());
    let limits_state = LimitsState::of(judged_by);
    Ok(RecordedSample { sample, seq, violations, limits_state, is_duplicate: false })
}

/// What a sample was answered when it came first.
async fn repeat(
    stored: &Stored,
    state: &WarmState,
    work: &mut Work<'_>,
) -> Result<RecordedSample, StoreError> {
    let Stored { sample, seq, violations } = stored.clone();
    let limits_state = match sample.judgement.and_then(|judgement| judgement.limits_id) {
        None => LimitsState::None,
        Some(id) => match state.phase.as_deref().filter(|phase| phase.id == id) {
            Some(phase) => LimitsState::of(Some(phase)),
            None => LimitsState::of(work.transaction.phase(id).await?.as_ref()),
        },
    };
    Ok(RecordedSample { sample, seq, violations, limits_state, is_duplicate: true })
}
