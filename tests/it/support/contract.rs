//! The OpenAPI document as a measure: every answer of every test is held against it.

use std::sync::LazyLock;

use andon::http::Access;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// The document of a server with tokens.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| andon::http::openapi(Access::Tokens));

/// What was asked, and what came back.
pub struct Exchange<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub status: u16,
    pub headers: &'a HeaderMap,
    pub body: &'a Value,
}

/// Checks that the document tells of such an answer. What it tells nothing of, a path or a method that is not there,
/// has to be refused as such.
#[track_caller]
pub fn check(exchange: &Exchange) {
    let Exchange { method, path, status, headers, body } = exchange;
    if *method == "OPTIONS" {
        return; // what browsers ask before they call
    }
    let Some(operation) = operation(method, path) else {
        // 400 is a request that is no HTTP; 503 comes before anything is looked up, and so does a foreign origin.
        assert!([400, 403, 404, 405, 503].contains(status), "{method} {path} answered {status}: {body}");
        return;
    };
    let id = operation["operationId"].as_str().expect("an id");
    let answer = resolved(&operation["responses"][status.to_string()]);
    assert!(!answer.is_null(), "{id} answered {status}, which is not documented: {body}");
    for name in answer["headers"].as_object().into_iter().flatten().map(|(name, _)| name) {
        assert!(headers.contains_key(name), "{id} answered {status} without {name}: {body}");
    }
    let Some(content) = answer["content"].as_object() else { return };
    let media_type = headers.get("content-type").map_or("", |value| value.to_str().expect("text"));
    let Some(content) = content.get(media_type) else {
        panic!("{id} answered {status} as {media_type:?}, which is not documented: {body}")
    };
    let types = &content["schema"]["allOf"][1]["properties"]["type"]["enum"];
    if let Some(types) = types.as_array() {
        assert!(
            types.contains(&body["type"]),
            "{id} answered {status} with a type that is not documented: {body}"
        );
    }
}

/// A value of the document, or what it refers to.
pub fn resolved(value: &Value) -> &Value {
    match value["$ref"].as_str() {
        Some(reference) => resolved(DOCUMENT.pointer(&reference[1..]).expect("references lead somewhere")),
        None => value,
    }
}

/// The operation that a request asks for: a fixed path goes before one with a parameter.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let item = paths
        .get(path)
        .or_else(|| paths.iter().find(|(template, _)| is_like(template, path)).map(|(_, item)| item))?;
    item.get(method.to_lowercase())
}

fn is_like(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template.zip(path).all(|(due, word)| due.starts_with('{') && !word.is_empty() || due == word)
}
