//! What is kept warm of a characteristic: enough to judge its next sample without reading anything.
//!
//! Bounded twice: a fixed size per characteristic, and a number of characteristics, of which the one not used
//! for longest is forgotten. Forgetting loses nothing: the same state is read back from the stored samples,
//! and gives the same verdicts.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use crate::domain::characteristic::Characteristic;
use crate::domain::ids::{CharacteristicId, LimitsId};
use crate::domain::phase::Phase;
use crate::domain::rules::MAX_WINDOW;
use crate::spc::{Judging, PhaseLimits, PhaseState, Point};
use crate::store::{CharacteristicRecord, RecentFilter, RecentSample, StoreError, Transaction};

/// A characteristic as the next command finds it.
#[derive(Debug, Clone)]
pub(super) struct WarmState {
    pub(super) characteristic: Arc<Characteristic>,
    /// Of its newest event.
    pub(super) revision: u64,
    pub(super) phase: Option<Arc<Phase>>,
    pub(super) limits: Option<PhaseLimits>,
    pub(super) judging: Judging,
    pub(super) points: PhaseState,
}

impl WarmState {
    fn new(record: CharacteristicRecord) -> Self {
        let CharacteristicRecord { characteristic, revision, phase } = record;
        let judging = Judging::new(characteristic.definition.chart, characteristic.rules);
        let mut state = Self {
            characteristic: Arc::new(characteristic),
            revision,
            phase: None,
            limits: None,
            judging,
            points: PhaseState::new(),
        };
        if let Some(phase) = phase {
            state.start_phase(Arc::new(phase));
        }
        state
    }

    /// Puts limits in force; the next sample is the first of their phase.
    pub(super) fn start_phase(&mut self, phase: Arc<Phase>) {
        self.limits = Some(PhaseLimits::new(phase.limits, phase.dispersion));
        self.phase = Some(phase);
        self.points = PhaseState::new();
    }

    /// Sets the rules; they act from the next sample and count the points already in the phase.
    pub(super) fn set_rules(&mut self, characteristic: Characteristic) {
        self.judging = Judging::new(characteristic.definition.chart, characteristic.rules);
        self.characteristic = Arc::new(characteristic);
    }

    /// Reads a characteristic and the points of its phase that its next verdict may depend on.
    pub(super) async fn load(
        transaction: &mut Transaction,
        id: CharacteristicId,
    ) -> Result<Option<Self>, StoreError> {
        let Some(record) = transaction.characteristic(id).await? else { return Ok(None) };
        let mut state = Self::new(record);
        let limits_id = state.phase.as_ref().map(|phase| phase.id);
        for past in window(transaction, id, limits_id).await? {
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
    limits_id: Option<LimitsId>,
) -> Result<Vec<RecentSample>, StoreError> {
    let wanted = MAX_WINDOW as usize;
    let mut newest = MAX_WINDOW;
    loop {
        let filter = RecentFilter { characteristic_id, phase: Some(limits_id), from: None, to: None, newest };
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

    /// Forgets everything: what was committed may not be what was thought.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
