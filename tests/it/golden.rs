//! The wire as it stands: one golden file for each WebSocket message and each REST answer.
//!
//! Clients depend on these shapes: a change here is a change of the contract. Write them anew with
//! `UPDATE_GOLDEN=1`. Times, the epoch and rounding noise are taken out; ids and positions are the same in
//! every run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::{env, fs};

use andon::notify::{ReceiverSettings, webhook};
use andon::settings::Settings;
use serde_json::{Value, json};

use crate::auth::with_tokens;
use crate::support::{TestApp, TestSocket, TestWebhook, eventually};

const MOMENT: &str = "2026-01-31T12:00:00.000000Z";

/// Examples by the names of their files.
#[derive(Default)]
struct Golden(BTreeMap<&'static str, Value>);

impl Golden {
    fn add(&mut self, name: &'static str, mut example: Value) {
        normalise(&mut example);
        assert!(self.0.insert(name, example).is_none(), "{name} twice");
    }

    /// Compares with `tests/golden/<folder>`: every example has its file, and every file its example.
    fn compare(self, folder: &str) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
        if env::var_os("UPDATE_GOLDEN").is_some() {
            let _ = fs::remove_dir_all(&folder); // it may not be there yet
            fs::create_dir_all(&folder).expect("a folder");
            for (name, example) in &self.0 {
                fs::write(folder.join(format!("{name}.json")), pretty(example)).expect("written");
            }
        }
        for (name, example) in &self.0 {
            let path = folder.join(format!("{name}.json"));
            let golden = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert_eq!(pretty(example), golden, "{name} differs from its golden file");
        }
        let files = fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let names: BTreeSet<_> =
            files.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
        assert_eq!(names, self.0.keys().map(|name| (*name).to_owned()).collect());
    }
}

fn pretty(example: &Value) -> String {
    serde_json::to_string_pretty(example).expect("JSON") + "\n"
}

fn normalise(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), &*member) {
                    ("epoch", Value::String(_)) => *member = json!("<epoch>"),
                    ("latency_ms" | "jitter_ms" | "age_seconds" | "duration_ms", Value::Number(_)) => {
                        *member = json!("<time>");
                    }
                    ("quality", Value::String(_)) => *member = json!("<quality>"),
                    ("queued_frames" | "queued_bytes" | "stalled_ms", _) => *member = json!("<momentary>"),
                    ("name", Value::String(name)) if name.get(16..17) == Some("-") => {
                        *member = json!(format!("<epoch>{}", &name[16..])); // a delivery's
                    }
                    ("next", Value::String(position)) => {
                        let (_, seq) = position.split_once('.').expect("epoch and position");
                        *member = json!(format!("<epoch>.{seq}"));
                    }
                    (
                        "server_time" | "received_at" | "connected_at" | "created_at" | "ack_timestamp"
                        | "timestamp" | "opened_at" | "lapsed_at" | "closed_at" | "useful_until" | "ended_at"
                        | "started_at",
                        Value::String(time),
                    ) if time != MOMENT => {
                        assert!(time.len() == MOMENT.len() && time.ends_with('Z'), "{name}: {time}");
                        *member = json!("<time>");
                    }
                    _ => normalise(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|_| number.is_f64()) {
                *value = json!((float * 1e9).round() / 1e9);
            }
        }
        _ => {}
    }
}

/// A characteristic with everything that one can have, and limits.
async fn given_a_bore(app: &TestApp) -> (Value, Value) {
    let definition = json!({
        "name": "Bore diameter", "key": "P7:bore", "description": "inner", "chart": "xbar_r", "subgroup_size": 2,
        "min_measurements": 1, "unit": "mm", "decimals": 3, "target": 10, "usl": 14, "lsl": 6,
        "group": "plant/line4", "tags": ["safety"], "rules": {"preset": "outlier"}, "reaction_plan": "stop",
    });
    let (status, created) = app.post("/characteristics", &definition).await;
    assert_eq!((status, &created["id"]), (201, &json!(1)), "{created}");
    let limits = json!({"center_line": 10, "sigma": 1, "reason": "study", "user": "ann"});
    (created, app.set("/characteristics/1/control-limits", &limits).await)
}

fn subgroup(measurements: [f64; 2]) -> Value {
    json!({
        "characteristic_key": "P7:bore", "measurements": measurements, "timestamp": MOMENT, "batch": "B7",
        "operator": "ann", "metadata": {"machine": 7},
    })
}

fn another_chart() -> Value {
    json!({"name": "Bore", "unit": null, "subgroup_size": 3, "new_phase": true, "retired": true})
}

fn acknowledgement() -> Value {
    json!({"reason": "Tool Change", "comment": "new insert", "user": "ann"})
}

#[tokio::test]
async fn messages_look_as_their_golden_files_say() {
    let mut golden = Golden::default();
    let app = TestApp::builder().with(|s| s.broadcast.heartbeat_seconds = 0.2).spawn().await;
    let mut socket = app.socket().await;
    golden.add("welcome", socket.welcome.clone());
    let mut asking = app.socket().await;
    let filter = json!({"types": ["episode"]});
    asking.send(&json!({"type": "subscribe", "characteristic_ids": [1], "filter": filter})).await;
    asking.next_of_type("subscribed").await;
    socket.send(&json!({"type": "subscribe", "characteristic_ids": [1, 2]})).await;
    golden.add("subscribed", socket.next_of_type("subscribed").await);
    given_a_bore(&app).await;
    golden.add("control_limits", socket.next_of_type("control_limits").await);
    assert_eq!(app.post("/samples", &subgroup([14.5, 15.5])).await.0, 201);
    golden.add("sample", socket.next_of_type("sample").await);
    golden.add("violation", socket.next_of_type("violation").await);
    golden.add("episode", asking.next_of_type("episode").await);
    assert_eq!(app.post("/violations/1/acknowledge", &acknowledgement()).await.0, 200);
    golden.add("ack_update", socket.next_of_type("ack_update").await);
    let heartbeat = loop {
        let heartbeat = socket.next_of_type("heartbeat").await;
        if heartbeat["last_sent_seq"] == 5 {
            break heartbeat; // one may have been on its way before
        }
    };
    golden.add("heartbeat", heartbeat);
    let unjudged = app.given_a_characteristic(&json!({"name": "Flow"})).await;
    let body = json!({"characteristic_id": unjudged, "measurements": [1.5], "timestamp": MOMENT});
    assert_eq!(app.post("/samples", &body).await.0, 201);
    golden.add("sample_not_judged", socket.next_of_type("sample").await);
    socket.send(&json!({"type": "unsubscribe", "characteristic_ids": [2]})).await;
    golden.add("unsubscribed", socket.next_of_type("unsubscribed").await);
    socket.send(&json!({"type": "subscribe", "all": true})).await;
    golden.add("subscribed_all", socket.next_of_type("subscribed").await);
    socket.send(&json!({"type": "ping", "t": {"sent": 1.5}})).await;
    golden.add("pong", socket.next_of_type("pong").await);
    socket.send(&json!({"type": "subscribe", "characteristic_ids": [1], "mood": true})).await;
    golden.add("error", socket.next_of_type("error").await);
    socket.send(&json!({"type": "subscribe", "characteristic_ids": [1], "snapshot": true})).await;
    socket.next_of_type("subscribed").await;
    golden.add("snapshot", socket.next_of_type("snapshot").await);
    let mut again = app.socket().await;
    let since = json!({"epoch": again.welcome["payload"]["epoch"], "seq": 3});
    again.send(&json!({"type": "subscribe", "characteristic_ids": [1], "since": since})).await;
    golden.add("subscribed_recovered", again.next_of_type("subscribed").await);
    let resumed = loop {
        let message = again.next().await;
        if message["type"] == "resumed" {
            break message; // the missed events stand before it
        }
    };
    golden.add("resumed", resumed);
    again.send(&json!({"type": "status"})).await;
    let mut status = again.next_of_type("status").await;
    (status["payload"]["latency_ms"], status["payload"]["quality"]) = (Value::Null, Value::Null);
    golden.add("status", status);
    assert_eq!(app.call("PATCH", "/characteristics/1", Some(&another_chart())).await.0, 200);
    golden.add("characteristic_update", socket.next_of_type("characteristic_update").await);
    assert_eq!(app.call("DELETE", "/characteristics/2?with_history=true", None).await.0, 204);
    golden.add("characteristic_update_deleted", socket.next_of_type("characteristic_update").await);

    let app = with_tokens().spawn().await;
    for (token, names) in
        [(crate::auth::READ, &["auth_ok", "welcome_with_user"][..]), ("wrong", &["auth_error"])]
    {
        let mut socket = TestSocket::handshake(app.address, &[]).await.expect("a handshake");
        socket.send(&json!({"type": "auth", "token": token})).await;
        for name in names {
            golden.add(name, socket.next().await);
        }
    }
    golden.compare("socket");
}

#[tokio::test]
async fn answers_look_as_their_golden_files_say() {
    let mut golden = Golden::default();
    let far_end = TestWebhook::start().await;
    let webhook = webhook::Settings { url: Some(far_end.url()), allow_private: true, ..Default::default() };
    let mes = ReceiverSettings { name: "mes".to_owned(), webhook: Some(webhook), ..Default::default() };
    let app = TestApp::builder().with(|s| s.notify.receivers = vec![mes]);
    let rewritten = |s: &mut Settings| {
        s.log.filter = "warn".to_owned();
        Ok(())
    };
    let app = app.reload_from(rewritten).spawn().await;
    let (created, limits) = given_a_bore(&app).await;
    golden.add("characteristic_created", created);
    golden.add("control_limits", limits);
    golden.add("sample_recorded", app.post("/samples", &subgroup([14.5, 15.5])).await.1);
    let batch = json!({"samples": [subgroup([10.5, 9.5]), {"characteristic_id": 9, "measurements": [1]}]});
    golden.add("sample_batch", app.post("/samples/batch", &batch).await.1);
    golden.add("sample", app.get("/samples/1").await);
    golden.add("sample_list", app.get("/samples?limit=1").await);
    golden.add("violation", app.get("/violations/1").await);
    golden.add("violation_list", app.get("/violations").await);
    golden.add("violation_stats", app.get("/violations/stats").await);
    golden.add("violation_acknowledged", app.post("/violations/1/acknowledge", &acknowledgement()).await.1);
    assert_eq!(app.post("/samples", &subgroup([4.5, 5.5])).await.0, 201);
    eventually("it was told", async || {
        (app.get("/deliveries?state=delivered").await["total"] == 2).then_some(())
    })
    .await;
    let newest = far_end.requests().pop().expect("it was told");
    golden.add("webhook", serde_json::from_str(&newest.body).expect("JSON"));
    golden.add("delivery", app.get("/deliveries/1").await);
    golden.add("delivery_list", app.get("/violations/1/deliveries").await);
    golden.add("violation_why", app.get("/violations/1/why").await);
    golden.add("episode", app.get("/episodes/1").await);
    golden.add("episode_list", app.get("/episodes").await);
    let body = json!({"violation_ids": [2, 9], "reason": "Other", "user": "ann"});
    golden.add("violation_batch_acknowledged", app.post("/violations/batch-acknowledge", &body).await.1);
    golden.add("reason_codes", app.get("/violations/reason-codes").await);
    golden.add("rules", app.get("/characteristics/1/rules").await);
    golden.add("chart_data", app.get("/characteristics/1/chart-data").await);
    let recalculation = json!({"min_samples": 3, "last_n": 3, "reason": "drift", "user": "ann"});
    let path = "/characteristics/1/control-limits/recalculate";
    golden.add("control_limits_recalculated", app.post(path, &recalculation).await.1);
    golden.add("control_limits_list", app.get("/characteristics/1/control-limits").await);
    golden.add("characteristic", app.get("/characteristics/1").await);
    golden.add("characteristic_list", app.get("/characteristics").await);
    golden.add("health_live", app.get("/health/live").await);
    golden.add("health_ready", app.get("/health/ready").await);
    let (_, not_found) = app.call("GET", "/characteristics/9", None).await;
    golden.add("problem", not_found);
    golden.add("problem_with_pointer", app.post("/samples", &json!({"measurements": ["x"]})).await.1);
    let (_, mut late) = app.post("/violations/1/acknowledge", &acknowledgement()).await;
    assert!(late["detail"].as_str().is_some_and(|detail| detail.contains("by ann at 20")), "{late}");
    late["detail"] = json!("<who and when>");
    golden.add("problem_with_acknowledgement", late);
    let told = json!({"source": "qms", "id": "1", "type": "violation", "characteristic_id": 1, "payload": {
        "rule_id": 1, "rule_name": "Outlier", "severity": "CRITICAL", "timestamp": MOMENT}});
    let events = json!([told, told, {"source": "qms", "id": "2", "type": "sample", "characteristic_key": "no",
        "payload": {"value": 1.5, "timestamp": MOMENT}}]);
    golden.add("foreign_events", app.post("/events", &events).await.1);
    let (path, rules) = ("/characteristics/1/rules", json!([{"rule_id": 1}, {"rule_id": 2}]));
    golden.add("rules_pending", app.set(path, &rules).await);
    golden.add("groups", app.get("/groups").await);
    golden.add("events", app.get("/events?types=violation,ack_update&limit=2").await);
    let (_, mut passed) = app.call("GET", "/events?after=0123456789abcdef.7", None).await;
    assert!(passed["detail"].as_str().is_some_and(|detail| detail.contains("another log")), "{passed}");
    passed["detail"] = json!("<where to go on>");
    golden.add("problem_with_log", passed);
    golden.add("reloaded", app.post("/reload", &json!({})).await.1);
    golden.add(
        "characteristic_changed",
        app.call("PATCH", "/characteristics/1", Some(&another_chart())).await.1,
    );
    golden.compare("rest");
}
