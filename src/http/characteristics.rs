//! `/characteristics` and their rules.

use std::collections::HashMap;

use actix_web::web::{Data, Path};

use crate::domain::alarm::AlarmState;
use crate::domain::characteristic::{CharacteristicKey, Definition};
use crate::domain::chart::ChartKind;
use crate::domain::ids::CharacteristicId;
use crate::domain::phase::LimitsState;
use crate::domain::rules::RuleSet;
use crate::http::answer::{Created, Done};
use crate::http::auth::{Admin, Authorized, Read};
use crate::http::body::Json;
use crate::http::control_limits::MIN_SAMPLES;
use crate::http::error::{ApiError, Kind, rules_error};
use crate::http::input::{NoQuery, Query, page, page_of};
use crate::protocol::payload::{ControlLimitsView, SamplePayload, ViolationSummary};
use crate::protocol::rest::{
    CharacteristicQuery, CharacteristicView, CreateCharacteristic, PageView, RulesAnswer, RulesRequest,
    StandingView,
};
use crate::services::{Catalog, CreateError, RunLengths};
use crate::store::{CharacteristicFilter, CharacteristicRecord, Store};

/// `POST /characteristics`.
pub async fn create(
    _: Authorized<Admin>,
    catalog: Data<Catalog>,
    store: Data<Store>,
    body: Json<CreateCharacteristic>,
    _: NoQuery,
) -> Result<Created<CharacteristicView>, ApiError> {
    let (definition, rules) = definition(body.0)?;
    let created = catalog.create(definition, rules).await??;
    let view = view(&store, created.id).await?;
    Ok(Created { location: location(created.id), view })
}

/// Where a characteristic is found.
pub fn location(id: CharacteristicId) -> String {
    format!("/api/v1/characteristics/{id}")
}

/// The definition and rules of a new characteristic; what is left out has its default.
///
/// # Errors
/// 422, for rules or a key that cannot be.
pub fn definition(body: CreateCharacteristic) -> Result<(Definition, RuleSet), ApiError> {
    let rules = match &body.rules {
        Some(rules) => rules.rule_set().map_err(|error| rules_error("/rules", error))?,
        None => RuleSet::default(),
    };
    let subgroup_size = body.subgroup_size.unwrap_or(1);
    let definition = Definition {
        name: body.name,
        key: body.key.map(CharacteristicKey::new).transpose().map_err(CreateError::from)?,
        description: body.description,
        chart: body.chart.unwrap_or(ChartKind::default_for(subgroup_size)),
        subgroup_size,
        min_measurements: body.min_measurements.unwrap_or(subgroup_size),
        unit: body.unit,
        decimals: body.decimals,
        target: body.target,
        usl: body.usl,
        lsl: body.lsl,
        group: body.group,
        tags: body.tags,
        reaction_plan: body.reaction_plan,
        auto_limits_after: body.auto_limits_after,
    };
    Ok((definition, rules))
}

/// `GET /characteristics`.
pub async fn list(
    _: Authorized<Read>,
    store: Data<Store>,
    query: Query<CharacteristicQuery>,
) -> Result<Done<PageView<CharacteristicView>>, ApiError> {
    let CharacteristicQuery { group, q, tag, key, retired, alarm_state, offset, limit } = query.0;
    let page = page(offset, limit)?;
    let is_retired = Some(retired.unwrap_or(alarm_state == Some(AlarmState::Retired)));
    let filter = CharacteristicFilter { group, q, tag, key, is_retired, alarm_state };
    let found = store.characteristics(&filter, page).await?;
    let items = views(&store, found.items).await?;
    Ok(Done(page_of(items, found.total, page)))
}

/// `GET /characteristics/{id}`.
pub async fn one(
    _: Authorized<Read>,
    store: Data<Store>,
    id: Path<CharacteristicId>,
    _: NoQuery,
) -> Result<Done<CharacteristicView>, ApiError> {
    Ok(Done(view(&store, *id).await?))
}

/// A characteristic with what stands about it.
///
/// # Errors
/// 404, if there is none.
pub async fn view(store: &Store, id: CharacteristicId) -> Result<CharacteristicView, ApiError> {
    let record = existing(store, id).await?;
    Ok(views(store, vec![record]).await?.remove(0))
}

/// The characteristic that a path names.
///
/// # Errors
/// 404, if there is none.
pub async fn existing(store: &Store, id: CharacteristicId) -> Result<CharacteristicRecord, ApiError> {
    store.characteristic(id).await?.ok_or_else(|| unknown(id))
}

/// 404 for a characteristic that is not there.
pub fn unknown(id: CharacteristicId) -> ApiError {
    ApiError::new(Kind::UnknownCharacteristic, format!("characteristic {id} does not exist"))
}

async fn views(
    store: &Store,
    records: Vec<CharacteristicRecord>,
) -> Result<Vec<CharacteristicView>, ApiError> {
    let ids: Vec<_> = records.iter().map(|record| record.characteristic.id).collect();
    let newest = store.newest_samples(&ids).await?;
    let mut fired = store.violations_of_samples(newest.values().map(|sample| sample.id)).await?;
    let mut newest: HashMap<_, SamplePayload> = newest
        .into_iter()
        .map(|(id, sample)| {
            let mut payload = SamplePayload::new(&sample, &[]);
            let violations = fired.remove(&sample.id).unwrap_or_default();
            payload.violations = violations.iter().map(ViolationSummary::new).collect();
            (id, payload)
        })
        .collect();
    let view = |record: CharacteristicRecord| {
        let id = record.characteristic.id;
        let wanted = record.characteristic.definition.auto_limits_after;
        let standing = StandingView {
            alarm_state: record.alarm_state(),
            limits_state: LimitsState::of(record.phase.as_ref()),
            samples_collected: record.standing.samples_collected,
            samples_needed: wanted.unwrap_or(MIN_SAMPLES),
            open_violations: record.standing.open_violations,
            newest_sample: newest.remove(&id),
            control_limits: record.phase.as_ref().map(ControlLimitsView::new),
        };
        CharacteristicView::new(&record.characteristic, standing)
    };
    Ok(records.into_iter().map(view).collect())
}

/// `GET /characteristics/{id}/rules`.
pub async fn rules(
    _: Authorized<Read>,
    (store, run_lengths): (Data<Store>, Data<RunLengths>),
    id: Path<CharacteristicId>,
    _: NoQuery,
) -> Result<Done<RulesAnswer>, ApiError> {
    let rules = existing(&store, *id).await?.characteristic.rules;
    Ok(Done(RulesAnswer::new(&rules, run_lengths.in_control(&rules).await)))
}

/// `PUT /characteristics/{id}/rules`.
pub async fn set_rules(
    caller: Authorized<Admin>,
    (catalog, run_lengths): (Data<Catalog>, Data<RunLengths>),
    id: Path<CharacteristicId>,
    body: Json<RulesRequest, true>,
    _: NoQuery,
) -> Result<Done<RulesAnswer>, ApiError> {
    let rules = body.0.rule_set().map_err(|error| rules_error("", error))?;
    catalog.set_rules(*id, rules, caller.0.name.clone()).await??;
    Ok(Done(RulesAnswer::new(&rules, run_lengths.in_control(&rules).await)))
}
