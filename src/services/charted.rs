//! What a control chart shows, as it is stored: samples, what fired on them, and the limits of their time.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::domain::ids::{CharacteristicId, LimitsId, SampleId};
use crate::domain::limits::DispersionLimits;
use crate::domain::phase::Phase;
use crate::domain::sample::Sample;
use crate::domain::violation::Violation;
use crate::services::lines;
use crate::store::{CharacteristicRecord, Page, SampleFilter, Store, StoreError};

/// What a chart shows, as it is stored.
pub struct Charted {
    /// The characteristic with its limits in force.
    pub record: CharacteristicRecord,
    /// The newest samples of a range, oldest first.
    pub samples: Vec<Sample>,
    fired: HashMap<SampleId, Vec<Violation>>,
    phases: HashMap<LimitsId, Phase>,
}

impl Charted {
    /// Reads it; `page` says how many samples. `None`, if there is no such characteristic.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read(
        store: &Store,
        id: CharacteristicId,
        (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
        page: Page,
    ) -> Result<Option<Self>, StoreError> {
        let Some(record) = store.characteristic(id).await? else { return Ok(None) };
        let filter = SampleFilter { characteristic_id: Some(id), from, to };
        let mut samples = store.newest(&filter, page).await?;
        samples.reverse();
        let fired = store.violations_of_samples(samples.iter().map(|sample| sample.id)).await?;
        let judged_by = samples.iter().filter_map(|sample| sample.judgement.and_then(|j| j.limits_id));
        let phases = store.phases_by_id(judged_by).await?;
        Ok(Some(Self { record, samples, fired, phases }))
    }

    /// What fired on a sample and was not withdrawn.
    pub fn fired_on(&self, sample: &Sample) -> &[Violation] {
        self.fired.get(&sample.id).map_or(&[], Vec::as_slice)
    }

    /// The limits of the dispersion chart that a sample belongs to.
    pub fn dispersion_limits_of(&self, sample: &Sample) -> Option<DispersionLimits> {
        let phase = self.phases.get(&sample.judgement?.limits_id?)?;
        lines::dispersion_limits(phase, sample.subgroup.n)
    }
}
