//! A sample that another system judged: stored and told as it said, judged by nothing of ours.

use std::sync::Arc;

use crate::domain::event::Event;
use crate::domain::foreign::Origin;
use crate::domain::sample::{Mode, Sample};
use crate::services::episodes;
use crate::services::foreign_events::{
    EventAnswer, ForeignEventError, TakeEvent, TakenEvent, ToldSample, is_named,
};
use crate::services::spc_engine::CharacteristicRef;
use crate::services::work::Work;
use crate::store::{StoreError, Taken};

/// Stores a sample. One that came before, under another event's name, is not stored again.
pub(super) async fn take(
    command: &TakeEvent,
    named: &CharacteristicRef,
    told: &ToldSample,
    work: &mut Work<'_>,
) -> Result<EventAnswer, StoreError> {
    let source = &command.event.id.source;
    if let Some(external_id) = &told.external_id {
        work.transaction.flush().await?; // it may have come in this very transaction
        if let Some(sample_id) = work.transaction.foreign_sample_id(source, external_id).await? {
            if let Some(record) = work.transaction.sample(sample_id).await? {
                let whose = record.sample.characteristic_id;
                if !is_named(named, whose, work).await? {
                    let what = format!("sample {external_id:?}");
                    return Ok(Err(ForeignEventError::OtherCharacteristic(what, whose)));
                }
                let taken = Taken { sample_id: Some(sample_id), seq: Some(record.seq), ..Taken::default() };
                return Ok(Ok(TakenEvent { taken, is_duplicate: true }));
            }
            work.transaction.release_foreign_sample(sample_id).await?;
        }
    }
    let mut state = match command.whose(named, work).await? {
        Ok(state) => state,
        Err(error) => return Ok(Err(error)),
    };
    let id = work.transaction.next_sample_id();
    let told = told.clone();
    let sample = Sample {
        id,
        characteristic_id: state.characteristic.id,
        measurements: told.measurements,
        subgroup: told.subgroup,
        dispersion_value: told.dispersion_value,
        timestamp: told.timestamp,
        received_at: work.now,
        judgement: told.judgement,
        out_of_spec: told.out_of_spec,
        is_excluded: false,
        mode: told.mode,
        key: None,
        origin: Some(Origin { source: source.clone(), external_id: told.external_id }),
        batch: told.batch,
        operator: told.operator,
        metadata: told.metadata,
    };
    let in_control = sample.judgement.map(|judgement| judgement.in_control);
    state.standing.is_signalling = in_control.map(|in_control| !in_control).or(state.standing.is_signalling);
    let is_live = sample.mode == Mode::Live;
    let processed = Event::SampleProcessed { sample: Arc::new(sample), violations: Vec::new() };
    let seq = work.append(&mut state, &processed)?;
    if let Some(in_control) = in_control.filter(|_| is_live) {
        episodes::point(in_control, [], &mut state, work)?;
    }
    work.put(state);
    let taken = Taken { sample_id: Some(id), seq: Some(seq), ..Taken::default() };
    Ok(Ok(TakenEvent { taken, is_duplicate: false }))
}
