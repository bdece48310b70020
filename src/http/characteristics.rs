//! `/characteristics` and their rules.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path};

use crate::domain::characteristic::{CharacteristicKey, Definition};
use crate::domain::chart::ChartKind;
use crate::domain::ids::CharacteristicId;
use crate::domain::rules::RuleSet;
use crate::http::auth::{Admin, Authorized, Read};
use crate::http::body::Json;
use crate::http::error::{ApiError, Kind, rules_error};
use crate::http::input::{NoQuery, Query, page, page_of};
use crate::protocol::payload::{ControlLimitsView, SamplePayload, ViolationSummary};
use crate::protocol::rest::{
    CharacteristicQuery, CharacteristicView, CreateCharacteristic, RulesRequest, RulesView, Standing,
};
use crate::services::{Catalog, CreateError};
use crate::store::{CharacteristicFilter, CharacteristicRecord, Store};

/// `POST /characteristics`.
pub async fn create(
    _: Authorized<Admin>,
    catalog: Data<Catalog>,
    body: Json<CreateCharacteristic>,
    _: NoQuery,
) -> Result<HttpResponse, ApiError> {
    let (definition, rules) = definition(body.0)?;
    let created = catalog.create(definition, rules).await??;
    let location = format!("/api/v1/characteristics/{}", created.id);
    let view = CharacteristicView::new(&created, Standing::default());
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).json(view))
}

fn definition(body: CreateCharacteristic) -> Result<(Definition, RuleSet), ApiError> {
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
    };
    Ok((definition, rules))
}

/// `GET /characteristics`.
pub async fn list(
    _: Authorized<Read>,
    store: Data<Store>,
    query: Query<CharacteristicQuery>,
) -> Result<HttpResponse, ApiError> {
    let CharacteristicQuery { group, q, tag, key, offset, limit } = query.0;
    let page = page(offset, limit)?;
    let found = store.characteristics(&CharacteristicFilter { group, q, tag, key }, page).await?;
    let items = views(&store, found.items).await?;
    Ok(page_of(items, found.total, page))
}

/// `GET /characteristics/{id}`.
pub async fn one(
    _: Authorized<Read>,
    store: Data<Store>,
    id: Path<CharacteristicId>,
    _: NoQuery,
) -> Result<HttpResponse, ApiError> {
    let record = existing(&store, *id).await?;
    Ok(HttpResponse::Ok().json(views(&store, vec![record]).await?.remove(0)))
}

/// The characteristic that a path names.
///
/// # Errors
/// 404, if there is none.
pub async fn existing(store: &Store, id: CharacteristicId) -> Result<CharacteristicRecord, ApiError> {
    let unknown =
        || ApiError::new(Kind::UnknownCharacteristic, format!("characteristic {id} does not exist"));
    store.characteristic(id).await?.ok_or_else(unknown)
}

async fn views(
    store: &Store,
    records: Vec<CharacteristicRecord>,
) -> Result<Vec<CharacteristicView>, ApiError> {
    let ids: Vec<_> = records.iter().map(|record| record.characteristic.id).collect();
    let open = store.open_violations(&ids).await?;
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
        let standing = Standing {
            open_violations: open.get(&id).copied().unwrap_or(0),
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
    store: Data<Store>,
    id: Path<CharacteristicId>,
    _: NoQuery,
) -> Result<HttpResponse, ApiError> {
    let record = existing(&store, *id).await?;
    Ok(HttpResponse::Ok().json(RulesView::from(&record.characteristic.rules)))
}

/// `PUT /characteristics/{id}/rules`.
pub async fn set_rules(
    _: Authorized<Admin>,
    catalog: Data<Catalog>,
    id: Path<CharacteristicId>,
    body: Json<RulesRequest, true>,
    _: NoQuery,
) -> Result<HttpResponse, ApiError> {
    let rules = body.0.rule_set().map_err(|error| rules_error("", error))?;
    catalog.set_rules(*id, rules).await??;
    Ok(HttpResponse::Ok().json(RulesView::from(&rules)))
}
