//! What `docs/OPERATING.md` lists is what there is: every metric and every setting, and none besides; and
//! `docs/PROTOCOL.md` leaves nothing out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use andon::settings::{Settings, SettingsError};
use serde_json::json;

use crate::support::contract::DOCUMENT;
use crate::support::{Answer, TestApp, eventually, on_postgres};

fn document(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(path).expect("the document is there")
}

/// The rows of the table under a heading of `docs/OPERATING.md`, cell by cell, without its head.
fn table(heading: &str) -> Vec<Vec<String>> {
    let text = document("docs/OPERATING.md");
    let (_, section) = text.split_once(&format!("## {heading}\n")).expect("the heading is there");
    let section = section.split("\n## ").next().expect("a section");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.skip(1).map(|row| row.split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// A metric as the table lists it.
#[derive(Default)]
struct Metric {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

/// The metrics in an answer of `/metrics`, by name.
fn metrics(text: &str) -> BTreeMap<String, Metric> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, help] => metrics.entry(name.to_owned()).or_default().help = help.to_owned(),
            ["#", "TYPE", name, kind] => metrics.entry(name.to_owned()).or_default().kind = kind.to_owned(),
            ["#", ..] => {}
            _ => {
                let Some((name, labels)) = line.split_once('{') else { continue };
                let (labels, _) = labels.split_once('}').expect("labels end");
                let labels =
                    labels.split("\",").map(|label| label.split('=').next().expect("a name").to_owned());
                let families = metrics.iter_mut().filter(|(family, _)| name.starts_with(family.as_str()));
                let (_, family) =
                    families.max_by_key(|(family, _)| family.len()).expect("its type came first");
                family.labels.extend(labels.filter(|label| label != "le"));
            }
        }
    }
    metrics
}

/// The row that a metric has in the table.
fn row(name: &str, metric: &Metric) -> String {
    let suffix = match metric.kind.as_str() {
        "counter" => "_total",
        "info" => "_info",
        _ => "",
    };
    let labels: Vec<_> = metric.labels.iter().map(String::as_str).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    format!("| `{name}{suffix}{labels}` | {} | {} |", metric.kind, metric.help.trim_end_matches('.'))
}

#[tokio::test]
async fn every_metric_is_documented_and_nothing_else() {
    let app = TestApp::spawn().await;
    let mut client = app.socket().await;
    client.refusal_of(&json!({"type": "no such thing"})).await;
    client.send(&json!({"type": "subscribe", "all": true})).await;
    client.next_of_type("subscribed").await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    drop(client);
    let text = eventually("all of that is counted", async || {
        let Answer { text, .. } = Answer::to(app.request_at("GET", "/metrics")).await;
        let counted = [
            "_closed_total{",
            "_refused_total{",
            "_published_total{kind=\"violation\"}",
            "_notify_attempts_total{",
        ];
        counted.iter().all(|metric| text.contains(metric)).then_some(text)
    })
    .await;
    let rendered: BTreeSet<_> = metrics(&text).iter().map(|(name, metric)| row(name, metric)).collect();
    let mut listed: BTreeSet<_> =
        table("Metrics").iter().map(|cells| format!("| {} |", cells.join(" | "))).collect();
    // Whose disk it is, only the process beside it can ask.
    listed.retain(|row| !on_postgres() || !row.contains("andon_disk_free_bytes"));
    let missing: Vec<_> = rendered.difference(&listed).map(String::as_str).collect();
    let invented: Vec<_> = listed.difference(&rendered).map(String::as_str).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "docs/OPERATING.md does not list:\n{}\nand lists, although there is no such metric:\n{}",
        missing.join("\n"),
        invented.join("\n")
    );
}

/// What the OpenAPI document and the log name stands in the description of the wire, too.
#[test]
fn the_wire_is_described_in_full() {
    let text = document("docs/PROTOCOL.md");
    let schemas = &DOCUMENT["components"]["schemas"];
    let types = schemas["ProblemType"]["enum"].as_array().expect("a closed list");
    let problems = types.iter().filter_map(|name| name.as_str()?.rsplit(':').next());
    let paths = DOCUMENT["paths"].as_object().expect("paths").keys();
    let paths = paths.filter_map(|path| path.strip_prefix("/api/v1")).filter(|path| *path != "/ws");
    let asked = ["SampleRequest", "Recalculate", "SetLimits", "CreateCharacteristic", "BatchAcknowledge"];
    let fields = asked.iter().flat_map(|name| {
        let properties = schemas[*name]["properties"].as_object();
        properties.unwrap_or_else(|| panic!("no schema {name}")).keys().map(String::as_str)
    });
    let words: BTreeSet<&str> =
        text.split(|c: char| !(c.is_ascii_alphanumeric() || "_/-{}.".contains(c))).collect();
    // Below a characteristic, paths begin with three dots.
    let short = |name: &str| name.replace("/characteristics/{id}", "...");
    let is_told = |name: &&str| words.contains(name) || words.contains(short(name).as_str());
    let missing: Vec<_> = problems.chain(paths).chain(fields).filter(|name| !is_told(name)).collect();
    assert!(missing.is_empty(), "docs/PROTOCOL.md does not tell of {missing:?}");
}

#[tokio::test]
async fn metrics_are_named_as_prometheus_names_things() {
    let app = TestApp::spawn().await;
    app.given_a_chart("Bore").await;
    let Answer { text, .. } = Answer::to(app.request_at("GET", "/metrics")).await;
    for (name, Metric { kind, help, .. }) in metrics(&text) {
        assert!(name.starts_with("andon_") || name.starts_with("process_"), "{name}: whose is it?");
        assert!(!help.is_empty(), "{name} says what it is");
        assert!(!["_total", "_count", "_ms", "_millis"].iter().any(|end| name.ends_with(end)), "{name}");
        if kind == "histogram" {
            let has_unit = ["_seconds", "_bytes", "_commands"].iter().any(|unit| name.ends_with(unit));
            assert!(has_unit, "{name}: in what unit?");
            let buckets = text.lines().filter(|line| line.starts_with(&format!("{name}_bucket")));
            let bounds = buckets.filter_map(|line| line.split("le=\"").nth(1)?.split('"').next());
            assert!(
                bounds.clone().next().is_none() || bounds.clone().any(|le| le == "+Inf"),
                "{name}: for ever"
            );
            assert!(bounds.filter(|le| *le != "+Inf").all(|le| le.len() < 10), "{name}: what bound is that?");
        }
    }
    assert!(!text.contains("/characteristics/1"), "a route is a pattern, never an id");
    let route = "route=\"/api/v1/characteristics/{id}/control-limits\",method=\"PUT\",status=\"2xx\"";
    assert!(text.contains(&format!("andon_http_requests_total{{{route}}} 1")), "{text}");
}

/// The settings as this text in a file gives them.
fn settings(text: &str) -> Result<Settings, SettingsError> {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), text).expect("written");
    Settings::load(Some(file.path()), vec![])
}

/// All settings below a table, found by asking for one that does not exist: the refusal names those that do.
fn keys_below(table: &str, found: &mut BTreeSet<String>) {
    let below = |name: &str| if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") };
    let refusal = settings(&format!("{} = 1", below("no_such_key"))).expect_err("no such key").to_string();
    match refusal.split_once("no such setting; there are ") {
        Some((_, expected)) => {
            let quoted = expected.split('`').skip(1).step_by(2);
            quoted.for_each(|name| keys_below(&below(name), found));
        }
        None => drop(found.insert(table.to_owned())), // no table, but a setting
    }
}

#[test]
fn every_setting_is_documented_and_nothing_else() {
    let mut there_are = BTreeSet::new();
    keys_below("", &mut there_are);
    assert!(there_are.len() > 20, "{there_are:?}");
    let listed = table("Settings").into_iter().map(|cells| cells[0].trim_matches('`').to_owned());
    assert_eq!(there_are, listed.collect(), "left: what there is; right: what docs/OPERATING.md lists");
}

#[test]
fn every_default_that_is_documented_is_the_default() {
    let debug = format!("{:?}", Settings::default());
    for cells in table("Settings") {
        let (key, default) = (cells[0].trim_matches('`'), cells[1].trim_matches('`'));
        let name = key.rsplit('.').next().expect("a name");
        if default == "none" {
            let is_none = [format!("{name}: None"), format!("{name}: []"), format!("{name}: {{}}")]
                .iter()
                .any(|none| debug.contains(none));
            assert!(is_none, "{key} has a default");
            continue;
        }
        let is_bare = default.parse::<f64>().is_ok() || default.parse::<bool>().is_ok();
        let value = if is_bare { default.to_owned() } else { format!("{default:?}") };
        let said = settings(&format!("{key} = {value}")).unwrap_or_else(|e| panic!("{key} = {value}: {e}"));
        assert_eq!(said, Settings::default(), "{key} = {value} is not the default");
    }
}
