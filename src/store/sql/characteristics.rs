//! Characteristics, with the limits in force and what is counted of them.

use std::collections::HashMap;

use sqlx::{QueryBuilder, Row as _};

use super::{Connection, Db, HAS_TAG, POSITION, Row, phases, push_group, push_ids, sought};
use crate::domain::alarm::Standing;
use crate::domain::characteristic::{Characteristic, CharacteristicKey, Definition};
use crate::domain::ids::{CharacteristicId, LimitsId, SampleId};
use crate::domain::rules::RuleSet;
use crate::protocol::rest::{RuleView, RulesRequest, RulesView};
use crate::store::characteristics::{CharacteristicFilter, CharacteristicRecord, GroupCount};
use crate::store::rows::{Cause, corrupt, count, from_name, id, name_of, optional_count, time};
use crate::store::{Page, Paged, StoreError};

const COLUMNS: &str = "c.id, c.key, c.name, c.description, c.chart, c.subgroup_size, c.min_measurements, c.unit, \
    c.decimals, c.target, c.usl, c.lsl, c.group_path, c.tags, c.reaction_plan, c.auto_limits_after, c.rules, \
    c.created_at, c.retired, c.limits_id, c.phase_from, c.revision, c.samples_collected, c.open_violations, \
    c.unacknowledged, c.signalling";

fn select() -> QueryBuilder<'static, Db> {
    let mut select = QueryBuilder::new("SELECT ");
    select.push(COLUMNS).push(" FROM characteristics c WHERE NOT c.deleted");
    select
}

pub async fn one(
    connection: &mut Connection,
    id: CharacteristicId,
) -> Result<Option<CharacteristicRecord>, StoreError> {
    let mut select = select();
    select.push(" AND c.id = ").push_bind(id.get());
    let Some(row) = select.build().fetch_optional(&mut *connection).await? else { return Ok(None) };
    let (mut record, limits_id) = record_from(&row)?;
    if let Some(limits_id) = limits_id {
        record.phase = phases::one(connection, limits_id).await?;
    }
    Ok(Some(record))
}

pub async fn page(
    connection: &mut Connection,
    filter: &CharacteristicFilter,
    page: Page,
) -> Result<Paged<CharacteristicRecord>, StoreError> {
    let mut count = QueryBuilder::<Db>::new("SELECT COUNT(*) FROM characteristics c WHERE NOT c.deleted");
    push_filter(&mut count, filter);
    let total: i64 = count.build_query_scalar().fetch_one(&mut *connection).await?;
    let mut select = select();
    push_filter(&mut select, filter);
    select.push(" ORDER BY c.id LIMIT ").push_bind(i64::from(page.limit));
    select.push(" OFFSET ").push_bind(page.offset as i64);
    let rows = select.build().fetch_all(&mut *connection).await?;
    let found = rows.iter().map(record_from).collect::<Result<Vec<_>, _>>()?;
    let in_force = found.iter().filter_map(|(_, limits_id)| *limits_id).collect();
    let mut phases = phases::by_id(connection, in_force).await?;
    let with_phase = |(mut record, limits_id): (CharacteristicRecord, Option<LimitsId>)| {
        record.phase = limits_id.and_then(|limits_id| phases.remove(&limits_id));
        record
    };
    Ok(Paged { items: found.into_iter().map(with_phase).collect(), total: total as u64 })
}

/// Deleted ones, too: what is still to be told of them needs their names.
pub async fn by_id(
    connection: &mut Connection,
    ids: Vec<CharacteristicId>,
) -> Result<HashMap<CharacteristicId, Characteristic>, StoreError> {
    let mut select = QueryBuilder::<Db>::new("SELECT ");
    select.push(COLUMNS).push(" FROM characteristics c");
    push_ids(&mut select, " WHERE c.id IN (", ids.into_iter().map(CharacteristicId::get));
    let rows = select.build().fetch_all(connection).await?;
    let known = rows.iter().map(|row| record_from(row).map(|(record, _)| record.characteristic));
    known.map(|known| known.map(|known| (known.id, known))).collect()
}

pub async fn ids_by_key(
    connection: &mut Connection,
    keys: &[String],
) -> Result<HashMap<String, CharacteristicId>, StoreError> {
    let mut found = HashMap::new();
    for keys in keys.chunks(1_000) {
        let mut select =
            QueryBuilder::<Db>::new("SELECT key, id FROM characteristics WHERE NOT deleted AND key IN (");
        let mut list = select.separated(", ");
        for key in keys {
            list.push_bind(sought(key));
        }
        select.push(")");
        let rows: Vec<(String, i64)> = select.build_query_as().fetch_all(&mut *connection).await?;
        for (key, raw) in rows {
            found.insert(key, corrupt("characteristics", raw, id(raw))?);
        }
    }
    Ok(found)
}

/// Those that are not deleted; of no group: `None`.
pub async fn groups(
    connection: &mut Connection,
) -> Result<HashMap<CharacteristicId, Option<String>>, StoreError> {
    let rows: Vec<(i64, Option<String>)> =
        sqlx::query_as("SELECT id, group_path FROM characteristics WHERE NOT deleted")
            .fetch_all(connection)
            .await?;
    rows.into_iter().map(|(raw, group)| Ok((corrupt("characteristics", raw, id(raw))?, group))).collect()
}

/// The same of some, as far as they exist.
pub async fn groups_of(
    connection: &mut Connection,
    ids: &[CharacteristicId],
) -> Result<HashMap<CharacteristicId, Option<String>>, StoreError> {
    let mut found = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(1_000) {
        let mut select =
            QueryBuilder::<Db>::new("SELECT id, group_path FROM characteristics WHERE NOT deleted");
        push_ids(&mut select, " AND id IN (", ids.iter().map(|id| id.get()));
        let rows: Vec<(i64, Option<String>)> = select.build_query_as().fetch_all(&mut *connection).await?;
        for (raw, group) in rows {
            found.insert(corrupt("characteristics", raw, id(raw))?, group);
        }
    }
    Ok(found)
}

/// How many characteristics of each group are in each state, without retired ones.
pub async fn group_counts(connection: &mut Connection) -> Result<Vec<GroupCount>, StoreError> {
    let rows: Vec<(Option<String>, String, i64)> = sqlx::query_as(
        "SELECT group_path, alarm_state, COUNT(*) FROM characteristics WHERE NOT deleted AND NOT retired \
         GROUP BY group_path, alarm_state ORDER BY group_path, alarm_state",
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(group, state, number)| {
            let alarm_state = corrupt("characteristics", 0, from_name(&state))?;
            Ok(GroupCount { group, alarm_state, characteristics: number as u64 })
        })
        .collect()
}

pub async fn insert(
    connection: &mut Connection,
    characteristic: &Characteristic,
    phase_from: SampleId,
) -> Result<(), StoreError> {
    let mut insert = QueryBuilder::<Db>::new(
        "INSERT INTO characteristics (id, key, name, description, chart, subgroup_size, min_measurements, unit, \
         decimals, target, usl, lsl, group_path, tags, reaction_plan, auto_limits_after, rules, created_at, retired, \
         phase_from, revision, samples_collected, open_violations, unacknowledged, alarm_state) VALUES (",
    );
    let definition = characteristic.definition.clone();
    let mut values = insert.separated(", ");
    values.push_bind(characteristic.id.get()).push_bind(definition.key.map(|key| key.as_str().to_owned()));
    values.push_bind(definition.name).push_bind(definition.description).push_bind(name_of(&definition.chart));
    values.push_bind(i64::from(definition.subgroup_size)).push_bind(i64::from(definition.min_measurements));
    values.push_bind(definition.unit).push_bind(definition.decimals.map(i64::from));
    values.push_bind(definition.target).push_bind(definition.usl).push_bind(definition.lsl);
    values
        .push_bind(definition.group)
        .push_bind(tags_text(&definition.tags))
        .push_bind(definition.reaction_plan);
    values
        .push_bind(definition.auto_limits_after.map(i64::from))
        .push_bind(rules_text(&characteristic.rules));
    values.push_bind(characteristic.created_at.timestamp_micros()).push_bind(characteristic.is_retired);
    values.push_bind(phase_from.get()).push_bind(0_i64).push_bind(0_i64).push_bind(0_i64).push_bind(0_i64);
    let alarm_state = Standing::default().alarm_state(characteristic.is_retired, false);
    values.push_bind(name_of(&alarm_state));
    insert.push(")");
    insert.build().execute(connection).await?;
    Ok(())
}

pub async fn update_definition(
    connection: &mut Connection,
    characteristic: &Characteristic,
) -> Result<(), StoreError> {
    let definition = characteristic.definition.clone();
    let mut update = QueryBuilder::<Db>::new("UPDATE characteristics SET key = ");
    update.push_bind(definition.key.map(|key| key.as_str().to_owned()));
    update.push(", name = ").push_bind(definition.name);
    update.push(", description = ").push_bind(definition.description);
    update.push(", chart = ").push_bind(name_of(&definition.chart));
    update.push(", subgroup_size = ").push_bind(i64::from(definition.subgroup_size));
    update.push(", min_measurements = ").push_bind(i64::from(definition.min_measurements));
    update.push(", unit = ").push_bind(definition.unit);
    update.push(", decimals = ").push_bind(definition.decimals.map(i64::from));
    update.push(", target = ").push_bind(definition.target);
    update.push(", usl = ").push_bind(definition.usl);
    update.push(", lsl = ").push_bind(definition.lsl);
    update.push(", group_path = ").push_bind(definition.group);
    update.push(", tags = ").push_bind(tags_text(&definition.tags));
    update.push(", reaction_plan = ").push_bind(definition.reaction_plan);
    update.push(", auto_limits_after = ").push_bind(definition.auto_limits_after.map(i64::from));
    update.push(", retired = ").push_bind(characteristic.is_retired);
    update.push(" WHERE id = ").push_bind(characteristic.id.get());
    update.build().execute(connection).await?;
    Ok(())
}

/// Begins a phase without limits.
pub async fn clear_phase(
    connection: &mut Connection,
    id: CharacteristicId,
    phase_from: SampleId,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE characteristics SET limits_id = NULL, phase_from = $1 WHERE id = $2")
        .bind(phase_from.get())
        .bind(id.get())
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn update_rules(
    connection: &mut Connection,
    id: CharacteristicId,
    rules: &RuleSet,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE characteristics SET rules = $1 WHERE id = $2")
        .bind(rules_text(rules))
        .bind(id.get())
        .execute(connection)
        .await?;
    Ok(())
}

/// Hides a characteristic from everybody and frees its key; its rows are removed later.
pub async fn mark_deleted(connection: &mut Connection, id: CharacteristicId) -> Result<(), StoreError> {
    sqlx::query("UPDATE characteristics SET deleted = TRUE, key = NULL WHERE id = $1")
        .bind(id.get())
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn has_samples(connection: &mut Connection, id: CharacteristicId) -> Result<bool, StoreError> {
    let found: Option<i64> =
        sqlx::query_scalar("SELECT id FROM samples WHERE characteristic_id = $1 LIMIT 1")
            .bind(id.get())
            .fetch_optional(connection)
            .await?;
    Ok(found.is_some())
}

fn push_filter(query: &mut QueryBuilder<Db>, filter: &CharacteristicFilter) {
    if let Some(is_retired) = filter.is_retired {
        query.push(" AND c.retired = ").push_bind(is_retired);
    }
    if let Some(state) = &filter.alarm_state {
        query.push(" AND c.alarm_state = ").push_bind(name_of(state));
    }
    if let Some(key) = &filter.key {
        query.push(" AND c.key = ").push_bind(sought(key));
    }
    if let Some(group) = &filter.group {
        query.push(" AND ");
        push_group(query, group);
    }
    if let Some(text) = &filter.q {
        for (start, column) in [(" AND (", "c.name"), (" OR ", "coalesce(c.key, '')")] {
            query.push(start).push(POSITION).push("(lower(").push(column).push("), lower(");
            query.push_bind(sought(text)).push(")) > 0");
        }
        query.push(")");
    }
    if let Some(tag) = &filter.tag {
        query.push(" AND EXISTS (SELECT 1 FROM ").push(HAS_TAG).push_bind(sought(tag)).push(")");
    }
}

fn tags_text(tags: &[String]) -> String {
    serde_json::to_string(tags).expect("words always encode")
}

fn rules_text(rules: &RuleSet) -> String {
    serde_json::to_string(&RulesView::from(rules).rules).expect("names and numbers always encode")
}

fn record_from(row: &Row) -> Result<(CharacteristicRecord, Option<LimitsId>), StoreError> {
    let row_id: i64 = row.try_get("id")?;
    let read = || -> Result<_, Cause> {
        let rules: Vec<RuleView> = serde_json::from_str(row.try_get("rules")?)?;
        let rules = RulesRequest::Rules(rules.into_iter().map(Into::into).collect());
        let definition = Definition {
            name: row.try_get("name")?,
            key: row.try_get::<Option<String>, _>("key")?.map(CharacteristicKey::new).transpose()?,
            description: row.try_get("description")?,
            chart: from_name(row.try_get("chart")?)?,
            subgroup_size: count(row.try_get("subgroup_size")?)?,
            min_measurements: count(row.try_get("min_measurements")?)?,
            unit: row.try_get("unit")?,
            decimals: optional_count(row.try_get("decimals")?)?,
            target: row.try_get("target")?,
            usl: row.try_get("usl")?,
            lsl: row.try_get("lsl")?,
            group: row.try_get("group_path")?,
            tags: serde_json::from_str(row.try_get("tags")?)?,
            reaction_plan: row.try_get("reaction_plan")?,
            auto_limits_after: optional_count(row.try_get("auto_limits_after")?)?,
        };
        let characteristic = Characteristic {
            id: id(row_id)?,
            definition: definition.checked()?,
            rules: rules.rule_set().map_err(|(_, error)| error)?,
            created_at: time(row.try_get("created_at")?)?,
            is_retired: row.try_get("retired")?,
        };
        let standing = Standing {
            revision: row.try_get::<i64, _>("revision")? as u64,
            samples_collected: row.try_get::<i64, _>("samples_collected")? as u64,
            open_violations: row.try_get::<i64, _>("open_violations")? as u64,
            unacknowledged: row.try_get::<i64, _>("unacknowledged")? as u64,
            is_signalling: row.try_get("signalling")?,
        };
        let phase_from = id(row.try_get("phase_from")?)?;
        let limits_id = row.try_get::<Option<i64>, _>("limits_id")?.map(id).transpose()?;
        Ok((CharacteristicRecord { characteristic, standing, phase: None, phase_from }, limits_id))
    };
    corrupt("characteristics", row_id, read())
}
