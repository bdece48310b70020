//! What is kept warm of a characteristic: enough to judge its next sample without reading anything.
//!
//! Bounded twice: a fixed size per characteristic, and a number of characteristics, of which the one not used
//! for longest is forgotten. Forgetting loses nothing: the same state is read back from the stored samples,
//! and gives the same verdicts.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use crate::domain::alarm::{AlarmState, Standing};
use crate::domain::characteristic::Characteristic;
use crate::domain::episode::Episode;
use crate::domain::ids::{CharacteristicId, SampleId};
use crate::domain::phase::Phase;
use crate::domain::rules::MAX_WINDOW;
use crate::spc::{Judging, PhaseLimits, PhaseState, Point};
use crate::store::{CharacteristicRecord, Elsewhere, RecentFilter, RecentSample, StoreError, Transaction};

/// A characteristic as the next command finds it.
#[derive(Debug, Clone)]
pub(super) struct WarmState {
    pub(super) characteristic: Arc<Characteristic>,
    /// What is counted of it; its revision is that of its newest event.
    pub(super) standing: Standing,
    /// The open one.
    pub(super) episode: Option<Arc<Episode>>,
    pub(super) phase: Option<Arc<Phase>>,
    /// Samples from this id on belong to the present phase.
    pub(super) phase_from: SampleId,
    pub(super) limits: Option<PhaseLimits>,
    pub(super) judging: Judging,
    pub(super) points: PhaseState,
}

impl WarmState {
    fn new(record: CharacteristicRecord, episode: Option<Episode>) -> Self {
        let CharacteristicRecord { characteristic, standing, phase, phase_from } = record;
        Self {
            judging: Judging::new(characteristic.definition.chart, characteristic.rules),
            characteristic: Arc::new(characteristic),
            standing,
            episode: episode.map(Arc::new),
            limits: phase.as_ref().map(|phase| PhaseLimits::new(phase.limits, phase.dispersion)),
            phase: phase.map(Arc::new),
            phase_from,
            points: PhaseState::new(),
        }
    }

    /// Puts limits in force; the next sample is the first of their phase.
    pub(super) fn start_phase(&mut self, phase: Arc<Phase>) {
        self.limits = Some(PhaseLimits::new(phase.limits, phase.dispersion));
        self.phase_from = phase.from_sample_id;
        self.phase = Some(phase);
        self.points = PhaseState::new();
        self.standing.start_phase();
    }

    /// Begins a phase that has no limits yet.
    pub(super) fn start_phase_without_limits(&mut self, phase_from: SampleId) {
        (self.phase, self.limits) = (None, None);
        self.phase_from = phase_from;
        self.points = PhaseState::new();
        self.standing.start_phase();
        // Nothing was judged by what the characteristic is now.
        self.standing.is_signalling = None;
    }

    /// Changes what the owner says; rules act from the next sample and count the points already in the phase.
    pub(super) fn redefine(&mut self, characteristic: Characteristic) {
        self.judging = Judging::new(characteristic.definition.chart, characteristic.rules);
        self.characteristic = Arc::new(characteristic);
    }

    /// How it stands with its operators.
    pub(super) fn alarm_state(&self) -> AlarmState {
        self.standing.alarm_state(self.characteristic.is_retired, self.phase.is_some())
    }

    /// Reads a characteristic and the points of its phase that its next verdict may depend on.
    pub(super) async fn load(
        transaction: &mut Transaction,
        id: CharacteristicId,
    ) -> Result<Option<Self>, StoreError> {
        let Some(record) = transaction.characteristic(id).await? else { return Ok(None) };
        let episode = transaction.open_episode(id).await?;
        let mut state = Self::new(record, episode);
        for past in window(transaction, id, state.phase_from).await? {
            if past.is_excluded {
                state.points.break_moving_range();
            } else {
                let point = Point { sample_id: past.id, subgroup: past.subgroup };
                state.points.judge(&point, state.limits.as_ref(), &state.judging);
            }
        }
        Ok(Some(state))
    }
}

/// The newest samples of a phase that hold at least the longest window of points not excluded.
async fn window(
    transaction: &mut Transaction,
    characteristic_id: CharacteristicId,
    phase_from: SampleId,
) -> Result<Vec<RecentSample>, StoreError> {
    let wanted = MAX_WINDOW as usize;
    let mut newest = MAX_WINDOW;
    loop {
        let filter =
            RecentFilter { characteristic_id, since: Some(phase_from), from: None, to: None, newest };
        let samples = transaction.recent_samples(&filter).await?;
        let counting = samples.iter().filter(|sample| !sample.is_excluded).count();
        if counting >= wanted || samples.len() < newest as usize {
            return Ok(samples);
        }
        newest *= 2;
    }
}

/// The warm states by characteristic; owned by the commit loop alone.
#[derive(Debug)]
pub(super) struct Warm(LruCache<CharacteristicId, WarmState>);

impl Warm {
    pub(super) fn new(capacity: usize) -> Self {
        Self(LruCache::new(NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN)))
    }

    /// A copy to work on.
    pub(super) fn copy(&mut self, id: CharacteristicId) -> Option<WarmState> {
        self.0.get(&id).cloned()
    }

    /// Makes committed copies the state.
    pub(super) fn accept(&mut self, copies: impl IntoIterator<Item = (CharacteristicId, WarmState)>) {
        for (id, state) in copies {
            self.0.put(id, state);
        }
    }

    /// Forgets a characteristic that is no more.
    pub(super) fn drop_one(&mut self, id: CharacteristicId) {
        self.0.pop(&id);
    }

    /// Forgets what other processes have changed meanwhile.
    pub(super) fn forget(&mut self, elsewhere: &Elsewhere) {
        match elsewhere {
            Elsewhere::Nothing => {}
            Elsewhere::Changed(ids) => ids.iter().for_each(|id| drop(self.0.pop(id))),
            Elsewhere::Unknown => self.clear(),
        }
    }

    /// Forgets everything: what was committed may not be what was thought.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
