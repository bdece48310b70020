//! Characteristics, with the limits in force.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteExecutor};

use crate::domain::characteristic::{Characteristic, CharacteristicKey, Definition};
use crate::domain::ids::{CharacteristicId, LimitsId};
use crate::domain::phase::Phase;
use crate::domain::rules::RuleSet;
use crate::protocol::rest::{RuleView, RulesRequest, RulesView};
use crate::store::phases::read_phase;
use crate::store::rows::{corrupt, from_name, id, name_of, push_ids, time};
use crate::store::{Page, Paged, Store, StoreError, Transaction};

/// A characteristic with what is needed to judge its next sample.
#[derive(Debug, Clone, PartialEq)]
pub struct CharacteristicRecord {
    /// The characteristic.
    pub characteristic: Characteristic,
    /// The revision of its newest event; 0 before the first.
    pub revision: u64,
    /// The limits in force.
    pub phase: Option<Phase>,
}

/// Which characteristics a list holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CharacteristicFilter {
    /// Those in this group or below it.
    pub group: Option<String>,
    /// Those whose name or key holds this text.
    pub q: Option<String>,
    /// Those with this tag.
    pub tag: Option<String>,
    /// The one with this key.
    pub key: Option<String>,
}

const COLUMNS: &str = "c.id, c.key, c.name, c.description, c.chart, c.subgroup_size, c.min_measurements, c.unit, \
    c.decimals, c.target, c.usl, c.lsl, c.group_path, c.tags, c.reaction_plan, c.rules, c.created_at, c.limits_id, \
    c.revision";

impl Store {
    /// One characteristic.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn characteristic(
        &self,
        id: CharacteristicId,
    ) -> Result<Option<CharacteristicRecord>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        read_characteristic(&mut connection, id).await
    }

    /// A page of characteristics by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn characteristics(
        &self,
        filter: &CharacteristicFilter,
        page: Page,
    ) -> Result<Paged<CharacteristicRecord>, StoreError> {
        let mut count = QueryBuilder::new("SELECT COUNT(*) FROM characteristics c WHERE TRUE");
        push_filter(&mut count, filter);
        let total: i64 = count.build_query_scalar().fetch_one(&self.readers).await?;

        let mut select = QueryBuilder::new("SELECT ");
        select.push(COLUMNS).push(" FROM characteristics c WHERE TRUE");
        push_filter(&mut select, filter);
        select
            .push(" ORDER BY c.id LIMIT ")
            .push_bind(page.limit)
            .push(" OFFSET ")
            .push_bind(page.offset as i64);
        let rows = select.build().fetch_all(&self.readers).await?;

        let found = rows.iter().map(characteristic_from).collect::<Result<Vec<_>, _>>()?;
        let mut phases = self.phases_by_id(found.iter().filter_map(|(.., limits_id)| *limits_id)).await?;
        let record = |(characteristic, revision, limits_id): (Characteristic, u64, Option<LimitsId>)| {
            let phase = limits_id.and_then(|limits_id| phases.remove(&limits_id));
            CharacteristicRecord { characteristic, revision, phase }
        };
        let items = found.into_iter().map(record).collect();
        Ok(Paged { items, total: total as u64 })
    }

    /// These characteristics, as far as they exist.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn characteristics_by_id(
        &self,
        ids: impl IntoIterator<Item = CharacteristicId>,
    ) -> Result<HashMap<CharacteristicId, Characteristic>, StoreError> {
        let mut select = QueryBuilder::<Sqlite>::new("SELECT ");
        select.push(COLUMNS).push(" FROM characteristics c");
        push_ids(&mut select, " WHERE c.id IN (", ids.into_iter().map(CharacteristicId::get));
        let rows = select.build().fetch_all(&self.readers).await?;
        rows.iter().map(|row| characteristic_from(row).map(|(known, ..)| (known.id, known))).collect()
    }

    /// The characteristic with a key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn characteristic_id_by_key(&self, key: &str) -> Result<Option<CharacteristicId>, StoreError> {
        id_by_key(&self.readers, key).await
    }

    /// The newest revision of every characteristic, as of a position of the log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revisions(&self) -> Result<(u64, Vec<(CharacteristicId, u64)>), StoreError> {
        // One statement, so that position and revisions belong together.
        let rows: Vec<(i64, Option<i64>, Option<i64>)> = sqlx::query_as(
            "SELECT h.seq, c.id, c.revision FROM log_head h LEFT JOIN characteristics c ON TRUE",
        )
        .fetch_all(&self.readers)
        .await?;
        let seq = rows.first().map_or(0, |row| row.0 as u64);
        let known = rows
            .into_iter()
            .filter_map(|(_, id, revision)| Some((CharacteristicId::try_from(id?).ok()?, revision? as u64)));
        Ok((seq, known.collect()))
    }
}

impl Transaction {
    /// One characteristic, as this transaction sees it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn characteristic(
        &mut self,
        id: CharacteristicId,
    ) -> Result<Option<CharacteristicRecord>, StoreError> {
        let read = read_characteristic(self.connection(), id).await;
        self.note(read)
    }

    /// The characteristic with a key, as this transaction sees it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn characteristic_id_by_key(
        &mut self,
        key: &str,
    ) -> Result<Option<CharacteristicId>, StoreError> {
        let read = id_by_key(self.connection(), key).await;
        self.note(read)
    }

    /// Adds a characteristic.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert_characteristic(&mut self, characteristic: &Characteristic) -> Result<(), StoreError> {
        self.touch();
        let definition = &characteristic.definition;
        let written = sqlx::query(
            "INSERT INTO characteristics (id, key, name, description, chart, subgroup_size, min_measurements, unit, \
             decimals, target, usl, lsl, group_path, tags, reaction_plan, rules, created_at, revision) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        )
        .bind(characteristic.id.get())
        .bind(definition.key.as_ref().map(CharacteristicKey::as_str))
        .bind(&definition.name)
        .bind(&definition.description)
        .bind(name_of(&definition.chart))
        .bind(definition.subgroup_size)
        .bind(definition.min_measurements)
        .bind(&definition.unit)
        .bind(definition.decimals)
        .bind(definition.target)
        .bind(definition.usl)
        .bind(definition.lsl)
        .bind(&definition.group)
        .bind(serde_json::to_string(&definition.tags).expect("words always encode"))
        .bind(&definition.reaction_plan)
        .bind(rules_text(&characteristic.rules))
        .bind(characteristic.created_at.timestamp_micros())
        .execute(self.connection())
        .await;
        self.note(written.map(drop).map_err(StoreError::from))
    }

    /// Sets the run rules of a characteristic.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn update_rules(&mut self, id: CharacteristicId, rules: &RuleSet) -> Result<(), StoreError> {
        self.touch();
        let written = sqlx::query("UPDATE characteristics SET rules = ? WHERE id = ?")
            .bind(rules_text(rules))
            .bind(id.get())
            .execute(self.connection())
            .await;
        self.note(written.map(drop).map_err(StoreError::from))
    }
}

fn push_filter(query: &mut QueryBuilder<Sqlite>, filter: &CharacteristicFilter) {
    if let Some(key) = &filter.key {
        query.push(" AND c.key = ").push_bind(key.clone());
    }
    if let Some(group) = &filter.group {
        query.push(" AND (c.group_path = ").push_bind(group.clone());
        query.push(" OR substr(c.group_path, 1, ").push_bind(group.chars().count() as i64 + 1);
        query.push(") = ").push_bind(format!("{group}/")).push(")");
    }
    if let Some(text) = &filter.q {
        query.push(" AND (instr(lower(c.name), lower(").push_bind(text.clone());
        query
            .push(")) > 0 OR instr(lower(coalesce(c.key, '')), lower(")
            .push_bind(text.clone())
            .push(")) > 0)");
    }
    if let Some(tag) = &filter.tag {
        query.push(" AND EXISTS (SELECT 1 FROM json_each(c.tags) t WHERE t.value = ");
        query.push_bind(tag.clone()).push(")");
    }
}

async fn read_characteristic(
    connection: &mut sqlx::SqliteConnection,
    id: CharacteristicId,
) -> Result<Option<CharacteristicRecord>, StoreError> {
    let mut select = QueryBuilder::<Sqlite>::new("SELECT ");
    select.push(COLUMNS).push(" FROM characteristics c WHERE c.id = ").push_bind(id.get());
    let Some(row) = select.build().fetch_optional(&mut *connection).await? else { return Ok(None) };
    let (characteristic, revision, limits_id) = characteristic_from(&row)?;
    let phase = match limits_id {
        Some(limits_id) => read_phase(connection, limits_id).await?,
        None => None,
    };
    Ok(Some(CharacteristicRecord { characteristic, revision, phase }))
}

async fn id_by_key(
    executor: impl SqliteExecutor<'_>,
    key: &str,
) -> Result<Option<CharacteristicId>, StoreError> {
    let found: Option<i64> = sqlx::query_scalar("SELECT id FROM characteristics WHERE key = ?")
        .bind(key)
        .fetch_optional(executor)
        .await?;
    found.map(|raw| corrupt("characteristics", raw, id(raw))).transpose()
}

fn rules_text(rules: &RuleSet) -> String {
    serde_json::to_string(&RulesView::from(rules).rules).expect("names and numbers always encode")
}

fn characteristic_from(row: &SqliteRow) -> Result<(Characteristic, u64, Option<LimitsId>), StoreError> {
    let row_id: i64 = row.try_get("id")?;
    let read = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
        let rules: Vec<RuleView> = serde_json::from_str(row.try_get("rules")?)?;
        let rules = RulesRequest::Rules(rules.into_iter().map(Into::into).collect());
        let definition = Definition {
            name: row.try_get("name")?,
            key: row.try_get::<Option<String>, _>("key")?.map(CharacteristicKey::new).transpose()?,
            description: row.try_get("description")?,
            chart: from_name(row.try_get("chart")?)?,
            subgroup_size: row.try_get("subgroup_size")?,
            min_measurements: row.try_get("min_measurements")?,
            unit: row.try_get("unit")?,
            decimals: row.try_get("decimals")?,
            target: row.try_get("target")?,
            usl: row.try_get("usl")?,
            lsl: row.try_get("lsl")?,
            group: row.try_get("group_path")?,
            tags: serde_json::from_str(row.try_get("tags")?)?,
            reaction_plan: row.try_get("reaction_plan")?,
        };
        let characteristic = Characteristic {
            id: id(row_id)?,
            definition: definition.checked()?,
            rules: rules.rule_set().map_err(|(_, error)| error)?,
            created_at: time(row.try_get("created_at")?)?,
        };
        let limits_id = row.try_get::<Option<i64>, _>("limits_id")?.map(id).transpose()?;
        Ok((characteristic, row.try_get::<i64, _>("revision")? as u64, limits_id))
    };
    corrupt("characteristics", row_id, read())
}
