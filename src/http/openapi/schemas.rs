//! The schemas of the document: those that the operations name, said as exactly as the wire is.
//!
//! What the derives cannot know is put right here: an answer always has its nullable members, and a query has no
//! null.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use utoipa::openapi::path::Parameter;
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::http::error::Kind;
use crate::http::openapi::contract::reference;
use crate::http::openapi::operation::Operation;
use crate::protocol::problem::{Problem, TYPE_PREFIX};
use crate::protocol::schema::{choices, vocabulary};

type Schemas = BTreeMap<String, Value>;

/// All schemas that the document refers to, by name.
pub fn schemas(operations: &[Operation], document: &Value) -> Value {
    let mut named = vocabulary();
    named.push((Problem::name().into_owned(), Problem::schema()));
    Problem::schemas(&mut named);
    for operation in operations {
        named.extend(operation.contract.schemas.iter().cloned());
        named.extend(operation.contract.successes.iter().flat_map(|success| success.schemas.iter().cloned()));
    }
    let json = |schema| serde_json::to_value(schema).expect("schemas are JSON");
    let mut schemas: Schemas = named.into_iter().map(|(name, schema)| (name, json(schema))).collect();
    close_types(&mut schemas);
    join_choices(&mut schemas);
    for schema in schemas.values_mut() {
        widen_integers(schema);
        forget_null_defaults(schema);
    }

    let mut asked = BTreeSet::new();
    for operation in operations {
        if let Some(body) = &operation.contract.body {
            reach(&reference("schemas", &body.schema), &schemas, &mut asked);
        }
    }
    let mut reached = BTreeSet::new();
    reach(document, &schemas, &mut reached);
    schemas.retain(|name, _| reached.contains(name));
    for (name, schema) in &mut schemas {
        if !asked.contains(name) {
            require_nullable(schema);
        }
    }
    json!(schemas)
}

/// A parameter as it is told: a query has no null, only what is not there.
pub fn of_parameter(parameter: &Parameter) -> Value {
    let mut told = serde_json::to_value(parameter).expect("parameters are JSON");
    widen_integers(&mut told);
    let schema = &mut told["schema"];
    if let Some(types) = schema["type"].as_array() {
        let left: Vec<_> = types.iter().filter(|name| **name != "null").cloned().collect();
        schema["type"] = left.into_iter().next().unwrap_or(Value::Null);
    }
    if let Some(of) = schema["oneOf"].as_array() {
        let left = of.iter().find(|schema| schema["type"] != "null").cloned();
        *schema = left.unwrap_or(Value::Null);
    }
    // Indexing has made it, where it was not there.
    if let Some(members) = schema.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
    told
}

/// The types of problems are a closed list.
fn close_types(schemas: &mut Schemas) {
    if let Some(schema) = schemas.get_mut("ProblemType") {
        let types: Vec<_> = Kind::NAMES.iter().map(|name| format!("{TYPE_PREFIX}{name}")).collect();
        *schema = json!({"type": "string", "enum": types, "description": "What kind of problem it is: a closed list."});
    }
}

/// Which members go together is said beside them.
fn join_choices(schemas: &mut Schemas) {
    for (name, choice) in choices() {
        let schema = schemas.get_mut(&*name).and_then(Value::as_object_mut);
        let choice = choice.as_object().cloned().unwrap_or_default();
        schema.unwrap_or_else(|| panic!("no operation takes a {name}")).extend(choice);
    }
}

/// A format that is derived from `u32` would be that of `i32`, which holds only half of its numbers.
fn widen_integers(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.get("format").is_some_and(|format| format == "int32") {
                members.insert("format".to_owned(), json!("int64"));
            }
            members.values_mut().for_each(widen_integers);
        }
        Value::Array(items) => items.iter_mut().for_each(widen_integers),
        _ => {}
    }
}

/// That a member which may be left out is then null goes without saying, and of some it is not true.
fn forget_null_defaults(schema: &mut Value) {
    let members = schema.get_mut("properties").and_then(Value::as_object_mut);
    for member in members.into_iter().flat_map(|members| members.values_mut()) {
        if let Some(member) = member.as_object_mut().filter(|it| it.get("default") == Some(&Value::Null)) {
            member.remove("default");
        }
    }
}

/// Answers tell null for what is not known, rather than nothing; what they may leave out is never null.
fn require_nullable(schema: &mut Value) {
    if let Some(properties) = schema["properties"].as_object() {
        let nullable: Vec<_> = properties
            .iter()
            .filter(|(_, schema)| is_nullable(schema))
            .map(|(name, _)| json!(name))
            .collect();
        if !nullable.is_empty() {
            let mut required = schema["required"].as_array().cloned().unwrap_or_default();
            required.extend(nullable.into_iter().filter(|name| !required.contains(name)).collect::<Vec<_>>());
            schema["required"] = required.into();
        }
    }
    if let Some(members) = schema.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
    for parts in ["allOf", "oneOf", "anyOf"] {
        if let Some(parts) = schema.get_mut(parts).and_then(Value::as_array_mut) {
            parts.iter_mut().for_each(require_nullable);
        }
    }
    if let Some(items) = schema.get_mut("items") {
        require_nullable(items);
    }
}

fn is_nullable(schema: &Value) -> bool {
    let is_null = |schema: &Value| schema["type"] == "null";
    let by_type = schema["type"].as_array().is_some_and(|types| types.iter().any(|name| name == "null"));
    by_type || schema["oneOf"].as_array().is_some_and(|of| of.iter().any(is_null))
}

/// Collects the names of all schemas that `value` refers to, directly or through others.
fn reach(value: &Value, schemas: &Schemas, reached: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let target = member.as_str().and_then(|text| text.strip_prefix("#/components/schemas/"));
                match target.filter(|_| name == "$ref") {
                    Some(target) if reached.insert(target.to_owned()) => {
                        let schema = schemas.get(target);
                        reach(schema.unwrap_or_else(|| panic!("{target} has no schema")), schemas, reached);
                    }
                    Some(_) => {}
                    None => reach(member, schemas, reached),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| reach(item, schemas, reached)),
        _ => {}
    }
}
