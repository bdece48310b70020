//! Episodes: what violations that belong together make, whom it is told, and what people answer.

use std::sync::Arc;

use andon::settings::Settings;
use serde_json::{Value, json};

use crate::support::{Answer, TestApp, TestSocket};

/// Three points in control close an episode, and two violating ones after an answer let that lapse.
pub fn quick(settings: &mut Settings) {
    settings.services.episode_close_points = 3.try_into().expect("not zero");
    settings.services.episode_lapse_points = 2.try_into().expect("not zero");
}

pub async fn app() -> TestApp {
    TestApp::builder().with(quick).spawn().await
}

/// Somebody who asks for episodes alone.
pub async fn asking(app: &TestApp, characteristic: i64) -> TestSocket {
    let mut socket = app.socket().await;
    let filter = json!({"types": ["episode"]});
    let subscribe = json!({"type": "subscribe", "characteristic_ids": [characteristic], "filter": filter});
    socket.send(&subscribe).await;
    socket.next_of_type("subscribed").await;
    socket
}

/// What is new of the episode that is told next; acknowledgements, which go to everybody, are passed over.
pub async fn told(socket: &mut TestSocket) -> (String, Value) {
    let mut event = socket.next().await;
    while event["type"] != "episode" {
        assert!(["ack_update", "heartbeat"].contains(&event["type"].as_str().expect("a type")), "{event}");
        event = socket.next().await;
    }
    let payload = event["payload"].take();
    (payload["change"].as_str().expect("a change").to_owned(), payload)
}

async fn acknowledge(app: &TestApp, episode: i64, user: &str) -> (u16, Value) {
    let body = json!({"reason": "Tool Change", "user": user});
    app.post(&format!("/episodes/{episode}/acknowledge"), &body).await
}

/// The newest episode.
pub async fn newest(app: &TestApp) -> Value {
    app.get("/episodes?limit=1").await["items"][0].take()
}

#[tokio::test]
async fn what_belongs_together_is_told_once_until_something_is_new() {
    let app = app().await;
    let bore = app.given_a_chart("Bore").await;
    let mut socket = asking(&app, bore).await;
    let first = app.given_a_violation_on(bore).await;
    let second = app.given_a_violation_on(bore).await;
    let (change, opened) = told(&mut socket).await;
    assert_eq!(
        (&*change, &opened["status"], &opened["violation_total"]),
        ("opened", &json!("open"), &json!(1))
    );
    assert_eq!((&opened["severity"], &opened["characteristic_name"]), (&json!("CRITICAL"), &json!("Bore")));
    assert_eq!(opened["rules"], json!([{"chart": "location", "rule_id": 1, "rule_name": "Outlier"}]));

    assert_eq!(app.acknowledge(first, "ann").await.0, 200);
    assert_eq!(newest(&app).await["unacknowledged"], 1);
    assert_eq!(app.acknowledge(second, "ben").await.0, 200);
    let (change, answered) = told(&mut socket).await;
    assert_eq!(
        (&*change, &answered["acknowledged"], &answered["ack_user"]),
        ("acknowledged", &json!(true), &json!("ben"))
    );

    app.measure_all(bore, &[99.0, 99.0]).await;
    let (change, lapsed) = told(&mut socket).await;
    assert_eq!(
        (&*change, &lapsed["acknowledged"], &lapsed["lapsed_at"]),
        ("lapsed", &json!(false), &lapsed["timestamp"])
    );

    let id = opened["id"].as_i64().expect("an id");
    assert_eq!(acknowledge(&app, id, "cid").await.0, 200);
    assert_eq!(told(&mut socket).await.0, "acknowledged");
    app.measure_all(bore, &[10.0, 10.0, 99.0, 10.0, 10.0, 10.0]).await;
    let (change, closed) = told(&mut socket).await;
    assert_eq!(
        (&*change, &closed["status"], &closed["closing_reason"]),
        ("closed", &json!("closed"), &json!("in_control"))
    );
    assert_eq!((&closed["violation_total"], &closed["unacknowledged"]), (&json!(5), &json!(1)));

    let of_it = app.get(&format!("/violations?episode_id={id}")).await;
    assert_eq!(of_it["total"], 5);
    let mut detail = app.get(&format!("/episodes/{id}")).await;
    assert_eq!(detail["violations"].take(), of_it["items"]);
    let list = app.get("/episodes").await;
    assert_eq!((&list["total"], &list["items"][0]["closed_at"]), (&json!(1), &detail["closed_at"]));

    app.given_a_violation_on(bore).await;
    let (change, next) = told(&mut socket).await;
    assert_eq!((&*change, next["id"].as_i64()), ("opened", Some(id + 1)));
}

#[tokio::test]
async fn who_does_not_ask_for_episodes_is_told_of_none_and_misses_nothing() {
    let app = app().await;
    let bore = app.given_a_chart("Bore").await;
    let mut socket = app.socket().await.subscribed_to([bore]).await;
    let mut source = app.event_source(&format!("characteristic_ids={bore}&types=episode,violation")).await;
    app.given_a_violation_on(bore).await;
    app.measure(bore, 10.0).await;
    let events = [socket.next().await, socket.next().await, socket.next().await];
    let kinds = events.each_ref().map(|event| event["type"].as_str().expect("a type"));
    assert_eq!(kinds, ["sample", "violation", "sample"]);
    assert_eq!((events[1].get("skipped"), &events[2]["skipped"]), (None, &json!(1)));
    let due = events[1]["revision"].as_u64().expect("a number") + 2;
    assert_eq!(events[2]["revision"], due, "previous + 1 + skipped");
    let heard = [source.next_event().await.event, source.next_event().await.event];
    assert_eq!(heard, ["violation", "episode"]);

    let missed = app.get("/events").await;
    let told = missed["items"].as_array().expect("events");
    assert!(told.iter().all(|event| event["type"] != "episode"), "{missed}");
    let missed = app.get("/events?types=episode").await;
    assert_eq!(missed["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(missed["items"][0]["payload"]["change"], "opened");
}

#[tokio::test]
async fn another_pattern_or_a_more_severe_one_makes_it_worse_and_wants_another_answer() {
    let app = app().await;
    let rules = json!([
        {"rule_id": 1, "enabled": true}, {"rule_id": 2, "enabled": true, "parameters": {"m": 3}, "severity": "INFO"},
        {"rule_id": 3, "enabled": true, "parameters": {"m": 4}, "severity": "INFO"},
    ]);
    let bore = app.given_a_characteristic(&json!({"name": "Bore", "rules": rules})).await;
    app.set(&format!("/characteristics/{bore}/control-limits"), &json!({"center_line": 10, "sigma": 1}))
        .await;
    let mut socket = asking(&app, bore).await;
    app.measure_all(bore, &[10.5, 10.2, 10.5]).await; // three above
    let (change, opened) = told(&mut socket).await;
    assert_eq!((&*change, &opened["severity"]), ("opened", &json!("INFO")));
    let id = opened["id"].as_i64().expect("an id");
    assert_eq!(acknowledge(&app, id, "ann").await.0, 200);
    assert_eq!(told(&mut socket).await.0, "acknowledged");
    app.measure_all(bore, &[10.6, 10.7]).await; // four that rise: 10.2, 10.5, 10.6, 10.7
    let (change, worse) = told(&mut socket).await;
    assert_eq!(
        (&*change, &worse["acknowledged"], &worse["severity"]),
        ("worsened", &json!(false), &json!("INFO"))
    );
    app.measure(bore, 99.0).await;
    let (change, worse) = told(&mut socket).await;
    assert_eq!((&*change, &worse["severity"]), ("worsened", &json!("CRITICAL")));
    let rules: Vec<_> =
        worse["rules"].as_array().expect("rules").iter().map(|rule| &rule["rule_id"]).collect();
    assert_eq!(rules, [2, 3, 1]);
}

#[tokio::test]
async fn the_past_makes_no_episode() {
    let app = app().await;
    let bore = app.given_a_chart("Bore").await;
    let sample = json!({"characteristic_id": bore, "measurements": [99.0], "mode": "history"});
    let (status, answer) = app.post("/samples", &sample).await;
    assert_eq!(status, 201, "{answer}");
    let violation = app.get(&format!("/violations/{}", answer["violations"][0]["violation_id"])).await;
    assert_eq!(violation["episode_id"], Value::Null);
    assert_eq!(app.get("/episodes").await["total"], 0);
    // Nor does it end one.
    app.given_a_violation_on(bore).await;
    let calm = json!({"characteristic_id": bore, "measurements": [10.0], "mode": "history"});
    for _ in 0..4 {
        assert_eq!(app.post("/samples", &calm).await.0, 201);
    }
    assert_eq!(newest(&app).await["status"], "open");
}

#[tokio::test]
async fn a_restart_forgets_nothing_of_it() {
    let app = app().await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    app.measure_all(bore, &[10.0, 10.0]).await;
    let before = newest(&app).await;
    let database = Arc::clone(app.directory());
    app.stop().await.expect("stops");
    let app = TestApp::builder().on_database_of(&database).with(quick).spawn().await;
    assert_eq!(newest(&app).await, before);
    app.measure(bore, 10.0).await;
    assert_eq!(newest(&app).await["closing_reason"], "in_control", "the third in a row");
}

#[tokio::test]
async fn an_answer_to_an_episode_answers_each_of_its_violations() {
    let app = app().await;
    let bore = app.given_a_chart("Bore").await;
    app.measure_all(bore, &[99.0; 120]).await;
    let mut socket = app.socket().await;
    let (status, answered) = acknowledge(&app, 1, "ann").await;
    assert_eq!((status, &answered["unacknowledged"], &answered["ack_user"]), (200, &json!(0), &json!("ann")));
    for _ in 0..120 {
        assert_eq!(socket.next_of_type("ack_update").await["payload"]["user"], "ann");
    }
    assert_eq!(app.get("/violations?acknowledged=false").await["total"], 0);
    let characteristic = app.get(&format!("/characteristics/{bore}")).await;
    assert_eq!(characteristic["alarm_state"], "active_acked");
    let detail = app.get("/episodes/1").await;
    assert_eq!(detail["violations"].as_array().map(Vec::len), Some(100), "the newest");

    let (status, problem) = acknowledge(&app, 1, "ben").await;
    assert_eq!((status, &problem["acknowledgement"]["user"]), (409, &json!("ann")), "{problem}");
    // What has joined it since may be answered, and the first answer stands.
    app.given_a_violation_on(bore).await;
    let (status, answered) = acknowledge(&app, 1, "ben").await;
    assert_eq!((status, &answered["unacknowledged"], &answered["ack_user"]), (200, &json!(0), &json!("ann")));
    assert_eq!(app.get("/violations?limit=1").await["items"][0]["ack_user"], "ben");
}

#[tokio::test]
async fn one_that_is_over_can_be_answered_still() {
    let app = app().await;
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    app.measure_all(bore, &[10.0, 10.0, 10.0]).await;
    let mut socket = asking(&app, bore).await;
    assert_eq!(app.get("/episodes?status=closed&acknowledged=false").await["total"], 1);
    assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
    let (change, answered) = told(&mut socket).await;
    assert_eq!((&*change, &answered["status"]), ("acknowledged", &json!("closed")));
    assert_eq!(app.get("/episodes?status=closed&acknowledged=true").await["total"], 1);
}

#[tokio::test]
async fn what_other_systems_found_makes_episodes_too() {
    let app = app().await;
    let flow = app.given_a_characteristic(&json!({"name": "Flow", "key": "P7:flow"})).await;
    let mut socket = asking(&app, flow).await;
    let event = |id: u32, kind: &str, payload: Value| json!({"source": "qdas", "id": id.to_string(), "type": kind, "characteristic_key": "P7:flow", "payload": payload});
    let fired = |id: u32, rule: u32| {
        let at = "2026-01-01T00:00:00Z";
        event(
            id,
            "violation",
            json!({"violation_id": id.to_string(), "rule_id": rule, "rule_name": format!("R{rule}"), "severity": "WARNING", "timestamp": at}),
        )
    };
    let (status, answer) = app.post("/events", &json!([fired(1, 2), fired(2, 2), fired(3, 900)])).await;
    assert_eq!((status, &answer["accepted"]), (202, &json!(3)), "{answer}");
    assert_eq!(told(&mut socket).await.0, "opened");
    let (change, worse) = told(&mut socket).await;
    assert_eq!((&*change, &worse["rules"][1]["rule_name"]), ("worsened", &json!("R900")));
    let acknowledged = event(4, "ack_update", json!({"violation_id": "1", "user": "ann", "reason": "Other"}));
    assert_eq!(app.post("/events", &acknowledged).await.0, 202);
    assert_eq!(newest(&app).await["unacknowledged"], 2);
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_name() {
    let app = app().await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    for path in ["/episodes/7", "/episodes/7/acknowledge"] {
        let method = if path.ends_with("acknowledge") { "POST" } else { "GET" };
        let body = json!({"reason": "Other", "user": "ann"});
        let (status, problem) = app.call(method, path, (method == "POST").then_some(&body)).await;
        assert_eq!((status, &problem["detail"]), (404, &json!("episode 7 does not exist")), "{problem}");
    }
    for (body, pointer) in [
        (json!({"reason": "", "user": "ann"}), "/reason"),
        (json!({"reason": "Other"}), "/user"),
        (json!({"reason": "Other", "user": "ann", "exclude_sample": true}), "/exclude_sample"),
    ] {
        let (status, problem) = app.post("/episodes/1/acknowledge", &body).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!(pointer)), "{problem}");
    }
    for query in
        ["status=over", "acknowledged=maybe", "from=yesterday", "limit=0", "mood=calm", "characteristic_id=0"]
    {
        let (status, problem) = app.call("GET", &format!("/episodes?{query}"), None).await;
        assert_eq!(status, 422, "{query}: {problem}");
    }
    assert_eq!(app.get("/episodes?characteristic_id=99").await["total"], 0);
    assert_eq!(app.get("/episodes?severity=CRITICAL&status=open").await["total"], 1);
    assert_eq!(app.get("/episodes?severity=INFO").await["total"], 0);
}

#[tokio::test]
async fn a_request_that_is_repeated_is_answered_as_before() {
    let app = app().await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    let mut answers = vec![];
    for _ in 0..2 {
        let body = json!({"reason": "Other", "user": "ann"});
        let request =
            app.request("POST", "/episodes/1/acknowledge").header("Idempotency-Key", "k1").json(&body);
        let answer = Answer::to(request).await;
        answers.push((answer.status, answer.text));
    }
    assert_eq!((answers[0].0, &answers[0]), (200, &answers[1]));
}

#[tokio::test]
async fn the_last_answer_counts_whichever_way_the_others_went() {
    let app = app().await;
    let rules = json!([{"rule_id": 1}, {"rule_id": 2, "parameters": {"m": 2}}]);
    let bore = app.given_a_characteristic(&json!({"name": "Bore", "rules": rules})).await;
    app.set(&format!("/characteristics/{bore}/control-limits"), &json!({"center_line": 10, "sigma": 1}))
        .await;
    app.measure(bore, 10.5).await;
    app.measure(bore, 10.5).await; // two above: 1
    let outlier = app.measure(bore, 99.0).await; // beyond: 2, and above: 3
    assert_eq!(outlier["violations"].as_array().map(Vec::len), Some(2), "{outlier}");
    let mut socket = asking(&app, bore).await;
    assert_eq!(app.acknowledge(1, "ann").await.0, 200);
    let body = json!({"reason": "Measurement Error", "user": "ben", "exclude_sample": true});
    assert_eq!(app.post("/violations/2/acknowledge", &body).await.0, 200);
    // What is left of it was answered by ann; the outlier counts as never taken.
    let (change, answered) = told(&mut socket).await;
    assert_eq!((&*change, &answered["ack_user"]), ("acknowledged", &json!("ann")));
    assert_eq!(
        (&answered["severity"], answered["rules"].as_array().map(Vec::len)),
        (&json!("WARNING"), Some(1))
    );
    app.given_a_violation_on(bore).await;
    assert_eq!(told(&mut socket).await.0, "worsened", "a real outlier is news");
}

#[tokio::test]
async fn a_snapshot_has_the_open_one() {
    let app = app().await;
    let bore = app.given_a_chart("Bore").await;
    for open in [json!(null), json!(1), json!(null)] {
        let mut socket = app.socket().await;
        let subscribe = json!({"type": "subscribe", "characteristic_ids": [bore], "snapshot": true});
        socket.send(&subscribe).await;
        socket.next_of_type("subscribed").await;
        let snapshot = socket.next_of_type("snapshot").await;
        assert_eq!(snapshot["payload"]["open_episode"].get("id").cloned().unwrap_or_default(), open);
        match open {
            Value::Null => drop(app.given_a_violation_on(bore).await),
            _ => drop(app.measure_all(bore, &[10.0, 10.0, 10.0]).await),
        }
    }
}

/// Each point of another system counts once, however much is told of it.
#[tokio::test]
async fn points_of_other_systems_let_an_answer_lapse() {
    let app = app().await;
    app.given_a_characteristic(&json!({"name": "Flow", "key": "P7:flow"})).await;
    let mut number = 0;
    let mut tell = async |kind: &str, payload: Value| {
        number += 1;
        let event = json!({"source": "qdas", "id": number.to_string(), "type": kind, "characteristic_key": "P7:flow",
            "payload": payload});
        let (status, answer) = app.post("/events", &event).await;
        assert_eq!((status, &answer["accepted"]), (202, &json!(1)), "{answer}");
    };
    let at = "2026-01-01T00:00:00Z";
    let fired = |id: &str, sample: &str, rule: u32| {
        json!({"violation_id": id, "sample_id": sample, "rule_id": rule, "rule_name": "R", "severity": "WARNING",
            "timestamp": at})
    };
    tell("violation", fired("v1", "s1", 2)).await;
    assert_eq!(acknowledge(&app, 1, "ann").await.0, 200);
    // One point that was told of by two violations, and one by a sample that was not judged and its violation.
    tell("violation", fired("v2", "s2", 2)).await;
    tell("violation", fired("v3", "s2", 2)).await;
    assert_eq!(newest(&app).await["acknowledged"], true);
    tell("sample", json!({"sample_id": "s3", "value": 1.5, "timestamp": at})).await;
    assert_eq!(newest(&app).await["acknowledged"], true);
    tell("violation", fired("v4", "s3", 2)).await;
    assert_eq!(newest(&app).await["acknowledged"], false, "the second violating point");
    for sample in ["s4", "s5", "s6"] {
        tell("sample", json!({"sample_id": sample, "value": 1.5, "timestamp": at, "in_control": true})).await;
    }
    assert_eq!(newest(&app).await["closing_reason"], "in_control");
}
