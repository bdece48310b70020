//! Puts the document together: OpenAPI 3.1, from the operations that the router serves.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::web::Data;
use serde_json::{Map, Value, json};

use crate::http::Access;
use crate::http::answer::JsonText;
use crate::http::auth::Role;
use crate::http::error::Kind;
use crate::http::openapi::contract::{Caller, Success, reference};
use crate::http::openapi::operation::Operation;
use crate::http::openapi::schemas::{of_parameter, schemas};
use crate::http::routes::{OPERATIONS, TAGS};
use crate::protocol::problem;

const ABOUT: &str = "Samples in, judged by control charts, stored with their events in one transaction, and every event \
    out over WebSocket, exactly once per real signal.\n\n\
    Errors are `application/problem+json` (RFC 9457); `type` is one of a closed list. Paths work with and without a \
    trailing slash. Unknown fields and query names are refused by name. A path that is there but does not take the \
    method answers 405 with `Allow`; one that is not there answers 404.";

/// The document as text, made once at start.
pub struct Document(String);

impl Document {
    /// The document of a server that is reached like this.
    pub fn new(access: Access) -> Self {
        Self(document(access).to_string())
    }
}

/// `GET /openapi.json`.
pub async fn serve(document: Data<Document>) -> JsonText {
    JsonText(document.0.clone())
}

/// The OpenAPI document of a server that is reached like this.
pub fn document(access: Access) -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut responses = BTreeMap::new();
    for operation in OPERATIONS.iter() {
        let method = operation.method.as_str().to_lowercase();
        let told = describe(operation, access, &mut responses);
        paths.entry(operation.path()).or_default().insert(method, told);
    }
    let tags = TAGS.iter().map(|(name, description)| json!({"name": name, "description": description}));
    for kind in [Kind::MethodNotAllowed(""), Kind::NotFound] {
        problems(&[kind], &mut responses);
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Andon",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
        },
        "servers": [{"url": "/"}],
        "tags": tags.collect::<Value>(),
        "paths": paths,
        "components": {
            "responses": responses,
            "securitySchemes": {"bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "A token of the server's setting `auth.tokens`. Its roles say what it may do: `read`, \
                    `ingest`, `operate` (which reads, too) and `admin` (which may do everything).",
            }},
        },
    });
    document["components"]["schemas"] = schemas(&OPERATIONS, &document);
    document
}

type Responses = BTreeMap<String, Value>;

fn describe(operation: &Operation, access: Access, responses: &mut Responses) -> Value {
    let contract = &operation.contract;
    let (security, role) = security(contract.caller, access);
    let description = [operation.description, &role].map(str::trim).join("\n\n");
    let mut told = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": description.trim(),
        "security": security,
        "responses": answers(operation, responses),
    });
    if !contract.parameters.is_empty() {
        told["parameters"] = contract.parameters.iter().map(of_parameter).collect();
    }
    if let Some(body) = &contract.body {
        let mut content = json!({"application/json": {"schema": reference("schemas", &body.schema)}});
        for (media_type, description) in &body.texts {
            content[media_type] = json!({"schema": {"type": "string", "description": description}});
        }
        told["requestBody"] = json!({"required": body.is_required, "content": content});
    }
    told
}

/// Who may call: the requirement, in which OpenAPI 3.1 lets roles be named, and the same in words.
fn security(caller: Caller, access: Access) -> (Value, String) {
    let name = |role: Role| format!("{role:?}").to_lowercase();
    let (role, is_optional) = match caller {
        Caller::Anybody => return (json!([]), String::new()),
        Caller::With(role) => (role, access != Access::Tokens),
        Caller::WithLater(role) => (role, true),
    };
    let needed = json!({"bearer": [name(role)]});
    let security = if is_optional { json!([needed, {}]) } else { json!([needed]) };
    (security, format!("Needs the role `{}`, where tokens are required.", name(role)))
}

fn answers(operation: &Operation, responses: &mut Responses) -> Value {
    let contract = &operation.contract;
    let mut answers = Map::new();
    for success in &contract.successes {
        answers.insert(success.status.as_str().to_owned(), of_success(success));
    }
    if let Some(first) = contract.successes.first() {
        let links = operation.links.iter().map(|link| {
            let parameters = BTreeMap::from([(link.parameter, link.value)]);
            (link.to.to_owned(), json!({"operationId": link.to, "parameters": parameters}))
        });
        let links: Map<_, _> = links.collect();
        if !links.is_empty() {
            answers[first.status.as_str()]["links"] = links.into();
        }
    }
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in contract.kinds() {
        by_status.entry(kind.status().as_u16()).or_default().push(*kind);
    }
    for (status, mut kinds) in by_status {
        kinds.sort_by_key(|kind| kind.name());
        let problem = reference("responses", &problems(&kinds, responses));
        answers.insert(status.to_string(), problem);
    }
    answers.into()
}

fn of_success(success: &Success) -> Value {
    let mut told = json!({"description": success.description});
    if let Some((media_type, schema)) = &success.content {
        told["content"] = json!({*media_type: {"schema": schema}});
    }
    for (name, description) in &success.headers {
        told["headers"][name] = header(description, "string");
    }
    told
}

fn header(description: &str, kind: &str) -> Value {
    json!({"description": description, "required": true, "schema": {"type": kind}})
}

/// The response that holds one of these kinds, all of one status; gives its name among the components.
fn problems(kinds: &[Kind], responses: &mut Responses) -> String {
    let name = kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(".");
    let types: Vec<_> = kinds.iter().map(|kind| format!("{}{}", problem::TYPE_PREFIX, kind.name())).collect();
    let status = kinds[0].status().as_u16();
    let titles: BTreeSet<_> =
        kinds.iter().map(|kind| format!("{} (`{}`).", kind.title(), kind.name())).collect();
    let schema = json!({"allOf": [
        reference("schemas", "Problem"),
        {"properties": {"type": {"enum": types}, "status": {"const": status}}},
    ]});
    let mut told = json!({
        "description": titles.into_iter().collect::<Vec<_>>().join(" "),
        "content": {problem::CONTENT_TYPE: {"schema": schema}},
    });
    if let Some((header_name, _)) = kinds[0].header() {
        told["headers"][canonical(header_name.as_str())] = match kinds[0] {
            Kind::MethodNotAllowed(_) => header("The methods that this path takes.", "string"),
            Kind::NotAuthenticated => header("How to authenticate.", "string"),
            _ => header("Seconds after which it may be tried again.", "integer"),
        };
    }
    responses.insert(name.clone(), told);
    name
}

/// A header's name as people write it.
fn canonical(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(1);
        if word == "www" { word.to_uppercase() } else { first.to_uppercase() + rest }
    });
    words.collect::<Vec<_>>().join("-")
}
