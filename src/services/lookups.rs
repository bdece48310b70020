//! What a batch of commands has to find before it is applied: looked up once for all of them, instead of once for
//! each sample.
//!
//! What the batch itself stores is remembered here, too, since its rows are written later.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::domain::ids::CharacteristicId;
use crate::domain::sample::{Sample, SampleKey};
use crate::domain::violation::Violation;
use crate::services::spc_engine::CharacteristicRef;
use crate::store::{KeyedSample, SampleRecord, StoreError, Transaction};

/// What commands ask for.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    keys: HashSet<String>,
    samples: Vec<(CharacteristicRef, SampleKey)>,
}

impl Lookups {
    /// A characteristic, by its key.
    pub(super) fn characteristic(&mut self, named: &CharacteristicRef) {
        if let CharacteristicRef::Key(key) = named {
            self.keys.insert(key.clone());
        }
    }

    /// A sample's characteristic, and whether the sample is there already.
    pub(super) fn sample(&mut self, named: &CharacteristicRef, key: Option<&SampleKey>) {
        self.characteristic(named);
        self.samples.extend(key.map(|key| (named.clone(), key.clone())));
    }
}

/// A sample that is there already.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) sample: Arc<Sample>,
    pub(super) seq: u64,
    pub(super) violations: Vec<Arc<Violation>>,
}

/// What was found within one transaction.
#[derive(Debug, Default)]
pub(super) struct Found {
    characteristics: HashMap<String, CharacteristicId>,
    /// `None`: it was looked for, and is not there.
    samples: HashMap<KeyedSample, Option<Stored>>,
}

impl Found {
    /// Looks everything up.
    pub(super) async fn look_up(lookups: Lookups, transaction: &mut Transaction) -> Result<Self, StoreError> {
        let Lookups { keys, samples } = lookups;
        let mut found = Self::default();
        if !keys.is_empty() {
            let keys: Vec<_> = keys.into_iter().collect();
            found.characteristics = transaction.characteristic_ids_by_key(&keys).await?;
        }
        let wanted: HashSet<_> = samples
            .into_iter()
            .filter_map(|(named, key)| {
                let characteristic_id = match named {
                    CharacteristicRef::Id(id) => id,
                    CharacteristicRef::Key(name) => *found.characteristics.get(&name)?,
                };
                Some(KeyedSample { characteristic_id, key })
            })
            .collect();
        found.find_samples(wanted.into_iter().collect(), transaction).await?;
        Ok(found)
    }

    async fn find_samples(
        &mut self,
        wanted: Vec<KeyedSample>,
        transaction: &mut Transaction,
    ) -> Result<(), StoreError> {
        if wanted.is_empty() {
            return Ok(());
        }
        let records = transaction.samples_by_key(&wanted).await?;
        self.samples.extend(wanted.into_iter().map(|keyed| (keyed, None)));
        let signalling = |record: &SampleRecord| record.sample.judgement.is_some_and(|j| !j.in_control);
        let signalled: Vec<_> = records.iter().filter(|r| signalling(r)).map(|r| r.sample.id).collect();
        let mut fired = match signalled.is_empty() {
            true => HashMap::new(),
            false => transaction.violations_of_samples(signalled).await?,
        };
        for SampleRecord { sample, seq } in records {
            let Some(key) = sample.key.clone() else { continue };
            let keyed = KeyedSample { characteristic_id: sample.characteristic_id, key };
            let violations = fired.remove(&sample.id).unwrap_or_default().into_iter().map(Arc::new).collect();
            self.samples.insert(keyed, Some(Stored { sample: Arc::new(sample), seq, violations }));
        }
        Ok(())
    }

    /// The characteristic with a key.
    pub(super) async fn id_of_key(
        &mut self,
        key: &str,
        transaction: &mut Transaction,
    ) -> Result<Option<CharacteristicId>, StoreError> {
        if let Some(id) = self.characteristics.get(key) {
            return Ok(Some(*id));
        }
        let found = transaction.characteristic_ids_by_key(&[key.to_owned()]).await?;
        let id = found.get(key).copied();
        self.characteristics.extend(found);
        Ok(id)
    }

    /// The sample with a key, if it is there.
    pub(super) async fn sample(
        &mut self,
        keyed: &KeyedSample,
        transaction: &mut Transaction,
    ) -> Result<Option<Stored>, StoreError> {
        if !self.samples.contains_key(keyed) {
            self.find_samples(vec![keyed.clone()], transaction).await?;
        }
        Ok(self.samples.get(keyed).cloned().flatten())
    }

    /// A sample that this transaction stores.
    pub(super) fn remember(&mut self, keyed: KeyedSample, stored: Stored) {
        self.samples.insert(keyed, Some(stored));
    }

    /// Keys may name other characteristics now.
    pub(super) fn forget_keys(&mut self) {
        self.characteristics.clear();
    }
}
