//! Definitions that change: `PATCH` and `DELETE /characteristics/{id}`, `PUT /characteristics/by-key/{key}`.

use actix_web::web::{Data, Path};

use crate::domain::characteristic::{CharacteristicKey, DefinitionError};
use crate::domain::definition_change::DefinitionChange;
use crate::domain::ids::CharacteristicId;
use crate::domain::rules::RuleSet;
use crate::http::answer::{Defined, Deleted, Done};
use crate::http::auth::{Admin, Authorized};
use crate::http::body::Json;
use crate::http::characteristics::{definition, location, view};
use crate::http::error::{ApiError, Kind, rules_error};
use crate::http::input::{NoQuery, Query};
use crate::protocol::rest::{
    CharacteristicView, DeleteQuery, PatchCharacteristic, PutCharacteristic, RulesRequest,
};
use crate::services::{Catalog, CreateError, Deletion, Redefinition};
use crate::store::Store;

/// `PATCH /characteristics/{id}`.
pub async fn change(
    caller: Authorized<Admin>,
    catalog: Data<Catalog>,
    store: Data<Store>,
    id: Path<CharacteristicId>,
    body: Json<PatchCharacteristic>,
    _: NoQuery,
) -> Result<Done<CharacteristicView>, ApiError> {
    let body = body.0;
    let to = Redefinition {
        rules: rule_set(body.rules.as_ref())?,
        is_retired: body.retired,
        may_begin_phase: body.new_phase,
        user: caller.0.name,
        definition: DefinitionChange {
            name: body.name,
            key: body.key.map(|key| key.map(checked_key).transpose()).transpose()?,
            description: body.description,
            chart: body.chart,
            subgroup_size: body.subgroup_size,
            min_measurements: body.min_measurements,
            unit: body.unit,
            decimals: body.decimals,
            target: body.target,
            usl: body.usl,
            lsl: body.lsl,
            group: body.group,
            tags: body.tags,
            reaction_plan: body.reaction_plan,
            auto_limits_after: body.auto_limits_after,
        },
    };
    catalog.change(*id, to).await??;
    Ok(Done(view(&store, *id).await?))
}

/// `PUT /characteristics/by-key/{key}`.
pub async fn define(
    caller: Authorized<Admin>,
    catalog: Data<Catalog>,
    store: Data<Store>,
    key: Path<String>,
    body: Json<PutCharacteristic>,
    _: NoQuery,
) -> Result<Defined<CharacteristicView>, ApiError> {
    let key = checked_key(key.into_inner())?;
    if body.0.key.as_ref().is_some_and(|named| named != key.as_str()) {
        let detail = format!("must be the key of the path, {:?}, or left out", key.as_str());
        return Err(ApiError::field(Kind::InvalidField, "/key", detail));
    }
    let rules = rule_set(body.0.rules.as_ref())?;
    let (is_retired, may_begin_phase) = (body.0.retired, body.0.new_phase);
    let (definition, _) = definition(body.0.definition())?;
    let to = Redefinition { definition, rules, is_retired, may_begin_phase, user: caller.0.name };
    let defined = catalog.define(key, to).await??;
    let view = view(&store, defined.id).await?;
    Ok(Defined { new_location: defined.is_new.then(|| location(defined.id)), view })
}

/// `DELETE /characteristics/{id}`.
pub async fn delete(
    caller: Authorized<Admin>,
    catalog: Data<Catalog>,
    id: Path<CharacteristicId>,
    query: Query<DeleteQuery>,
) -> Result<Deleted, ApiError> {
    let with_history = query.0.with_history.unwrap_or(false);
    catalog.delete(Deletion { id: *id, with_history, user: caller.0.name }).await??;
    Ok(Deleted)
}

fn rule_set(rules: Option<&RulesRequest>) -> Result<Option<RuleSet>, ApiError> {
    rules.map(RulesRequest::rule_set).transpose().map_err(|error| rules_error("/rules", error))
}

fn checked_key(key: String) -> Result<CharacteristicKey, ApiError> {
    CharacteristicKey::new(key).map_err(|error: DefinitionError| CreateError::from(error).into())
}
