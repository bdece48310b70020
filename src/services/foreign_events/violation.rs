//! A violation that another system found: an ordinary row from then on, that waits for an operator as ours do.

use std::sync::Arc;

use crate::domain::event::Event;
use crate::domain::foreign::Origin;
use crate::domain::ids::SampleId;
use crate::domain::sample::{Mode, Sample};
use crate::domain::violation::{Violation, ViolationStatus};
use crate::services::alert_manager::answered_by_history;
use crate::services::episodes;
use crate::services::foreign_events::{
    EventAnswer, ForeignEventError, TakeEvent, TakenEvent, ToldViolation, is_named,
};
use crate::services::spc_engine::CharacteristicRef;
use crate::services::warm::WarmState;
use crate::services::work::Work;
use crate::store::{StoreError, Taken};

/// Stores a violation. One that came before, under another event's name, is not stored again.
pub(super) async fn take(
    command: &TakeEvent,
    named: &CharacteristicRef,
    told: &ToldViolation,
    work: &mut Work<'_>,
) -> Result<EventAnswer, StoreError> {
    let source = &command.event.id.source;
    work.transaction.flush().await?; // it, or its sample, may have come in this very transaction
    if let Some(id) = work.transaction.foreign_violation_id(source, &told.external_id).await? {
        if let Some(record) = work.transaction.violation(id).await? {
            let whose = record.violation.characteristic_id;
            if !is_named(named, whose, work).await? {
                let what = format!("violation {:?}", told.external_id);
                return Ok(Err(ForeignEventError::OtherCharacteristic(what, whose)));
            }
            let (sample_id, seq) = (record.violation.sample_id, Some(record.seq));
            let taken = Taken { sample_id, violation_id: Some(id), limits_id: None, seq };
            return Ok(Ok(TakenEvent { taken, is_duplicate: true }));
        }
        work.transaction.release_foreign_violation(id).await?;
    }
    let sample = match &told.external_sample_id {
        Some(external_id) => known_sample(source, external_id, named, work).await?,
        None => None,
    };
    let mut has_others = false;
    if let Some(sample) = &sample {
        let mut fired = work.transaction.violations_of_samples(vec![sample.id]).await?;
        let fired = fired.remove(&sample.id).unwrap_or_default();
        has_others = !fired.is_empty();
        let same = fired.iter().find(|v| (v.chart, v.rule_id) == (told.chart, told.rule_id));
        if let Some(Violation { id, rule_id, .. }) = same {
            let (sample_id, violation_id, rule_id) = (sample.id, *id, *rule_id);
            return Ok(Err(ForeignEventError::SameRule { sample_id, violation_id, rule_id }));
        }
    }
    let found = work.transaction.foreign_samples(source, &told.involved).await?;
    let mut involved = Vec::with_capacity(found.len());
    for (sample_id, whose) in told.involved.iter().filter_map(|external_id| found.get(external_id)) {
        if is_named(named, *whose, work).await? {
            involved.push(*sample_id);
        }
    }
    let mut state = match command.whose(named, work).await? {
        Ok(state) => state,
        Err(error) => return Ok(Err(error)),
    };
    let is_new_point = is_first_of_point(told, sample.as_ref(), has_others, &state, work).await?;
    let violation = Arc::new(violation(command, told, (sample.as_ref(), involved), &state, work));
    count(&violation, sample.as_ref(), &mut state);
    let characteristic = Arc::clone(&state.characteristic);
    let created = Event::ViolationCreated { violation: Arc::clone(&violation), characteristic };
    let seq = work.append(&mut state, &created)?;
    match is_new_point && !violation.is_history {
        true => episodes::point(false, [&violation], &mut state, work)?,
        false => episodes::found(&violation, &mut state, work)?,
    }
    work.put(state);
    let (sample_id, violation_id) = (violation.sample_id, Some(violation.id));
    let taken = Taken { sample_id, violation_id, limits_id: None, seq: Some(seq) };
    Ok(Ok(TakenEvent { taken, is_duplicate: false }))
}

/// The sender's sample, if it is known here as one of the characteristic that was named.
async fn known_sample(
    source: &str,
    external_id: &str,
    named: &CharacteristicRef,
    work: &mut Work<'_>,
) -> Result<Option<Sample>, StoreError> {
    let Some(id) = work.transaction.foreign_sample_id(source, external_id).await? else { return Ok(None) };
    let Some(record) = work.transaction.sample(id).await? else { return Ok(None) };
    let is_of_it = is_named(named, record.sample.characteristic_id, work).await?;
    Ok(is_of_it.then_some(record.sample))
}

fn violation(
    command: &TakeEvent,
    told: &ToldViolation,
    (sample, involved_sample_ids): (Option<&Sample>, Vec<SampleId>),
    state: &WarmState,
    work: &mut Work<'_>,
) -> Violation {
    let source = command.event.id.source.clone();
    let mode = sample.map_or(Mode::Live, |sample| sample.mode);
    let is_history = mode != Mode::Live;
    let told = told.clone();
    let by_name = || format!("{} fired, as judged by {source}", told.rule_name);
    Violation {
        id: work.transaction.next_violation_id(),
        sample_id: sample.map(|sample| sample.id),
        characteristic_id: state.characteristic.id,
        episode_id: episodes::of_news(mode, state, work),
        chart: told.chart,
        rule_id: told.rule_id,
        severity: command.severity,
        message: told.message.unwrap_or_else(by_name),
        rule_name: told.rule_name,
        side: told.side,
        value: told.value,
        center_line: told.center_line,
        ucl: told.ucl,
        lcl: told.lcl,
        sigma: told.sigma,
        n: told.n,
        involved_sample_ids,
        timestamp: told.timestamp,
        created_at: work.now,
        requires_acknowledgement: told.requires_acknowledgement,
        rejudged: false,
        is_history,
        origin: Some(Origin { source, external_id: Some(told.external_id) }),
        external_sample_id: told.external_sample_id,
        status: ViolationStatus::Open,
        acknowledgement: is_history.then(|| answered_by_history(work.now)),
    }
}

/// Whether a violation tells of a point that was not counted yet: neither by its sample, which was not judged, nor by another
/// violation of it.
async fn is_first_of_point(
    told: &ToldViolation,
    sample: Option<&Sample>,
    has_others: bool,
    state: &WarmState,
    work: &mut Work<'_>,
) -> Result<bool, StoreError> {
    if let Some(sample) = sample {
        return Ok(sample.judgement.is_none() && !has_others);
    }
    let (Some(episode), Some(_)) = (&state.episode, &told.external_sample_id) else { return Ok(true) };
    let newest = work.transaction.violation(episode.newest_violation_id).await?;
    Ok(newest.is_none_or(|newest| newest.violation.external_sample_id != told.external_sample_id))
}

/// Counts an open violation; the characteristic signals, unless its sample has said so when it came: then newer
/// samples may have said otherwise since.
fn count(violation: &Violation, sample: Option<&Sample>, state: &mut WarmState) {
    if violation.is_open() {
        state.standing.open(violation.requires_acknowledgement);
    }
    let has_said_so = |sample: &Sample| sample.judgement.is_some_and(|judgement| !judgement.in_control);
    if !violation.is_history && !sample.is_some_and(has_said_so) {
        state.standing.is_signalling = Some(true);
    }
}
