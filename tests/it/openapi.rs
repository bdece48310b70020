//! The OpenAPI document: it is complete, it is valid, and the running server keeps to it.
//!
//! [`crate::support::contract`] holds every answer of every other test against it, too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use andon::http::Access;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::auth::{ADMIN, with_tokens};
use crate::interop::prepared;
use crate::support::contract::{DOCUMENT, resolved};
use crate::support::{Answer, TestApp, TestSocket};

/// The longest that the property-based client may take on a busy machine; see `max-examples` in its settings.
const LONGEST_RUN: Duration = Duration::from_secs(480);

/// Connections have small numbers, so that a client that knows none of them comes upon one.
const LISTENERS: usize = 20;

const METHODS: [&str; 8] = ["get", "head", "post", "put", "patch", "delete", "options", "trace"];

/// Each operation with its path and method.
fn operations() -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().expect("operations");
        item.iter().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

#[tokio::test]
async fn the_server_gives_its_document_to_everybody() {
    let app = with_tokens().spawn().await;
    for path in ["/openapi.json", "/api/v1/openapi.json"] {
        let answer = Answer::to(app.request_at("GET", path)).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
        assert_eq!(answer.body, *DOCUMENT);
    }
}

#[tokio::test]
async fn a_server_without_tokens_says_that_none_is_needed() {
    let app = TestApp::spawn().await;
    let document = Answer::to(app.request_at("GET", "/openapi.json")).await.body;
    let security = &document["paths"]["/api/v1/samples"]["post"]["security"];
    assert_eq!(*security, json!([{"bearer": ["ingest"]}, {}]));
    assert_eq!(DOCUMENT["paths"]["/api/v1/samples"]["post"]["security"], json!([{"bearer": ["ingest"]}]));
    assert_eq!(document, andon::http::openapi(Access::Loopback));
}

#[tokio::test]
async fn the_server_takes_on_each_path_what_the_document_tells_and_nothing_else() {
    let app = with_tokens().spawn().await.with_token(ADMIN);
    let mut told: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (path, method, _) in operations() {
        assert!(METHODS.contains(&method), "{method} {path}");
        told.entry(path).or_default().insert(method.to_uppercase());
    }
    for (path, methods) in told {
        let asked = path.replace("{id}", "1").replace("{key}", "P7:ring");
        let answer = Answer::to(app.request_at("TRACE", &asked)).await;
        answer.expect_problem(405, "method_not_allowed");
        let allowed = answer.header("allow").split(", ").map(str::to_owned).collect();
        assert_eq!(methods, allowed, "{path}");
    }
}

#[test]
fn every_operation_is_told_in_full() {
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations() {
        let told = |name: &str| operation[name].as_str().is_some_and(|text| !text.trim().is_empty());
        assert!(told("operationId") && told("summary"), "{method} {path}: {operation}");
        assert!(ids.insert(operation["operationId"].as_str()), "{method} {path}: an id that is another's");
        let tags = operation["tags"].as_array().expect("tags");
        let known = DOCUMENT["tags"].as_array().expect("tags");
        assert!(tags.iter().all(|tag| known.iter().any(|known| known["name"] == *tag)), "{method} {path}");
        let statuses = operation["responses"].as_object().expect("responses").keys();
        let good = statuses.filter(|status| status.starts_with('1') || status.starts_with('2')).count();
        assert!(good > 0, "{method} {path}");
        let is_open = operation["security"].as_array().expect("a list").is_empty();
        assert!(
            is_open || operation["description"].as_str().is_some_and(|text| text.contains("role")),
            "{path}"
        );
    }
}

#[test]
fn every_kind_of_problem_is_documented_where_it_is_answered() {
    let listed = DOCUMENT["components"]["schemas"]["ProblemType"]["enum"].as_array().expect("a closed list");
    let types = |response: &Value| {
        let schema = &resolved(response)["content"]["application/problem+json"]["schema"];
        schema["allOf"][1]["properties"]["type"]["enum"].as_array().cloned().unwrap_or_default()
    };
    let answers =
        operations().flat_map(|(.., operation)| operation["responses"].as_object().expect("responses"));
    let mut answered: Vec<Value> = answers.flat_map(|(_, response)| types(response)).collect();
    // The router's own: a path that takes other methods.
    answered.extend(types(&DOCUMENT["components"]["responses"]["method_not_allowed"]));
    for kind in listed {
        assert!(answered.contains(kind), "no operation answers {kind}");
    }
    assert!(answered.iter().all(|kind| listed.contains(kind)));
}

/// The names of all properties below a schema that are null for what is not there, and whether they always are there.
fn nullable(name: &str) -> Vec<(String, bool)> {
    let schema = &DOCUMENT["components"]["schemas"][name];
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let properties = schema["properties"].as_object().expect("an object");
    let is_nullable = |schema: &Value| {
        schema["type"].as_array().is_some_and(|types| types.contains(&json!("null")))
            || schema["oneOf"].as_array().is_some_and(|of| of.iter().any(|schema| schema["type"] == "null"))
    };
    let nullable = properties.iter().filter(|(_, schema)| is_nullable(schema));
    nullable.map(|(name, _)| (name.clone(), required.contains(&json!(name)))).collect()
}

#[test]
fn an_answer_tells_null_and_a_request_may_leave_out() {
    let answered = nullable("ViolationView");
    assert!(answered.contains(&("ack_user".to_owned(), true)), "{answered:?}");
    assert!(answered.iter().all(|(_, is_always_there)| *is_always_there), "{answered:?}");
    assert!(nullable("BatchItem").is_empty(), "what is left out of an answer is never null");
    let asked = nullable("SampleRequest");
    assert!(asked.contains(&("timestamp".to_owned(), false)), "{asked:?}");
    assert!(asked.iter().all(|(_, is_required)| !is_required), "{asked:?}");
    assert_eq!(DOCUMENT["components"]["schemas"]["SampleRequest"]["additionalProperties"], false);
}

/// A program of the environment that `.ci/test` prepared.
fn program(bin: &str, name: &str) -> Command {
    let mut command = Command::new(PathBuf::from(bin).join(name));
    command.kill_on_drop(true).stdin(Stdio::null());
    command
}

#[tokio::test]
async fn the_document_is_valid_openapi() {
    let Some(bin) = prepared("TEST_OPENAPI") else { return };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("openapi.json");
    std::fs::write(&file, DOCUMENT.to_string()).expect("written");
    let output = program(&bin, "openapi-spec-validator").args(["--schema", "3.1"]).arg(&file).output();
    let output = timeout(LONGEST_RUN, output).await.expect("in time").expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// Something of each kind for the client to find: charts with limits and without, samples, violations.
async fn given_a_plant(app: &TestApp) {
    for name in ["Bore", "Flow"] {
        let chart = app.given_a_chart(name).await;
        let values: Vec<f64> = (0..40).map(|i| 10.0 + f64::from(i % 5) / 4.0).collect();
        app.measure_all(chart, &values).await;
        for _ in 0..3 {
            app.given_a_violation_on(chart).await;
        }
    }
    let subgroups = json!({"name": "Ring", "key": "P7:ring", "subgroup_size": 5, "min_measurements": 2});
    let ring = app.given_a_characteristic(&subgroups).await;
    let sample = json!({"characteristic_id": ring, "measurements": [1.0, 2.0, 3.0]});
    assert_eq!(app.post("/samples", &sample).await.0, 201);
}

/// Listeners for the client to find, which come back whenever it sends one away.
fn given_listeners(app: &TestApp) -> JoinSet<()> {
    let (mut listeners, address) = (JoinSet::new(), app.address);
    for _ in 0..LISTENERS {
        listeners.spawn(async move {
            loop {
                let mut socket = TestSocket::connect(address, Some(ADMIN)).await;
                socket.send(&json!({"type": "subscribe", "characteristic_ids": [1]})).await;
                socket.close_code().await;
            }
        });
    }
    listeners
}

#[tokio::test]
async fn whatever_a_client_makes_of_the_document_the_server_keeps_to_it() {
    let Some(bin) = prepared("TEST_OPENAPI") else { return };
    // Who is named in an example may be anybody.
    let app = with_tokens().with(|settings| settings.auth.tokens[3].acts_for_users = true);
    let app = app.reload_from(|_| Ok(())).spawn().await.with_token(ADMIN);
    given_a_plant(&app).await;
    let _listeners = given_listeners(&app);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let report = directory.path().join("report.har");
    let settings = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi/schemathesis.toml");
    let mut client = program(&bin, "schemathesis");
    client.args(["--config-file", settings, "run", &app.url("/openapi.json")]);
    client.args(["--report", "har", "--report-har-path"]).arg(&report);
    client.current_dir(&directory).env("TOKEN", ADMIN);
    let output = timeout(LONGEST_RUN, client.output()).await.expect("ends in time").expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));

    let text = std::fs::read_to_string(&report).expect("a report");
    let reached = succeeded(&serde_json::from_str(&text).expect("JSON"), app.url("").len());
    // No handshake is shaken, nobody waits for the end of a stream, and the document itself was read before anything
    // was reported.
    let due = operations().filter(|(path, _, operation)| {
        operation["responses"].get("101").is_none()
            && operation["operationId"] != "stream_events"
            && *path != "/openapi.json"
    });
    let missing: Vec<_> =
        due.filter(|(path, method, _)| !reached(path, method)).map(|(path, ..)| path).collect();
    assert!(missing.is_empty(), "nothing ever succeeded on {missing:?}: the client tested its own mistakes");
    assert_eq!(Answer::to(app.request("GET", "/health/ready")).await.status, 200);
}

/// Which operations have done what they were asked for.
fn succeeded(report: &Value, base: usize) -> impl Fn(&str, &str) -> bool + use<> {
    let entries = report["log"]["entries"].as_array().expect("entries");
    let good =
        entries.iter().filter(|entry| entry["response"]["status"].as_u64().is_some_and(|s| s / 100 == 2));
    let good: BTreeSet<(String, String)> = good
        .map(|entry| {
            let (url, method) = (entry["request"]["url"].as_str(), entry["request"]["method"].as_str());
            let path = &url.expect("an address")[base..];
            let path = path.split(['?', '#']).next().expect("a path").to_owned();
            (path, method.expect("a method").to_lowercase())
        })
        .collect();
    move |template: &str, method: &str| {
        let is_like = |path: &str| {
            let (due, words): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
            due.len() == words.len()
                && due.iter().zip(&words).all(|(due, word)| {
                    due == word
                        || due.starts_with('{') && word.chars().all(|c| c.is_ascii_digit() || *due == "{key}")
                })
        };
        good.iter().any(|(path, sent)| sent == method && is_like(path))
    }
}
