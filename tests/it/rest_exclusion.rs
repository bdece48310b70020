//! Samples that count as never taken: over REST, and what listeners are told of it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::{Answer, Ledger, TestApp};

/// An individuals chart around 10 with sigma 1, rule 1, and rule 2 after three points.
async fn given_a_short_shift(app: &TestApp) -> i64 {
    let rules = json!([{"rule_id": 1}, {"rule_id": 2, "parameters": {"m": 3}}]);
    let id = app.given_a_characteristic(&json!({"name": "Bore", "rules": rules})).await;
    let limits = json!({"center_line": 10.0, "sigma": 1.0});
    app.set(&format!("/characteristics/{id}/control-limits"), &limits).await;
    id
}

async fn decide(app: &TestApp, sample: i64, is_excluded: bool) -> (u16, Value) {
    let body = json!({"is_excluded": is_excluded, "reason": "slipped", "user": "ann"});
    app.call("PATCH", &format!("/samples/{sample}/exclude"), Some(&body)).await
}

async fn alarm_state(app: &TestApp, id: i64) -> Value {
    let characteristic = app.get(&format!("/characteristics/{id}")).await;
    json!([
        characteristic["alarm_state"],
        characteristic["open_violations"],
        characteristic["samples_collected"]
    ])
}

#[tokio::test]
async fn every_listener_hears_what_an_exclusion_changes_in_one_order() {
    let app = TestApp::spawn().await;
    let id = given_a_short_shift(&app).await;
    // Above, above, beyond the limit (rules 1 and 2), below, above, above.
    let ids = app.measure_all(id, &[10.5, 10.5, 99.0, 9.5, 10.5, 10.5]).await;
    let mut listeners = vec![];
    for _ in 0..2 {
        listeners.push(app.socket().await.subscribed_to([id]).await);
    }
    let (status, excluded) = decide(&app, ids[3], true).await;
    assert_eq!((status, &excluded["is_excluded"]), (200, &json!(true)), "{excluded}");
    assert_eq!(app.get(&format!("/samples/{}", ids[3])).await, excluded);
    let (status, excluded) = decide(&app, ids[2], true).await;
    assert_eq!((status, &excluded["violations"]), (200, &json!([])), "{excluded}");
    decide(&app, ids[3], false).await;
    let mut heard = vec![];
    for mut listener in listeners {
        let events = listener.all_up_to(18).await;
        let events: Vec<_> = events.into_iter().filter(|event| event["type"] != "heartbeat").collect();
        heard.push(events);
    }
    assert_eq!(heard[0], heard[1]);
    let told: Vec<_> = heard[0]
        .iter()
        .map(|event| {
            let payload = &event["payload"];
            let detail = match event["type"].as_str() {
                Some("sample_update") => payload["is_excluded"].clone(),
                Some("violation_update") => payload["status"].clone(),
                _ => json!([payload["rule_id"], payload["rejudged"]]),
            };
            json!([event["type"], payload["sample_id"], detail])
        })
        .collect();
    let due = json!([
        ["sample_update", ids[3], true],
        ["violation", ids[4], [2, true]],
        ["violation", ids[5], [2, true]],
        ["sample_update", ids[2], true],
        ["violation_update", ids[2], "withdrawn"],
        ["violation_update", ids[2], "withdrawn"],
        ["sample_update", ids[3], false],
        ["violation_update", ids[4], "withdrawn"],
        ["violation_update", ids[5], "withdrawn"],
    ]);
    assert_eq!(json!(told), due);
    for (place, event) in (0..).zip(&heard[0]) {
        let first = &heard[0][0];
        for number in ["seq", "revision"] {
            assert_eq!(event[number].as_i64(), first[number].as_i64().map(|first| first + place));
        }
    }
    let update = &heard[0][0]["payload"];
    assert_eq!([&update["reason"], &update["user"]], ["slipped", "ann"]);
    assert_eq!(heard[0][4]["payload"]["reason"], format!("sample {} was excluded", ids[2]));
    assert_eq!(heard[0][7]["payload"]["reason"], format!("sample {} was included again", ids[3]));
    let stats = app.get("/violations?status=open").await;
    assert_eq!(stats["total"], 0, "{stats}");
    let chart = app.get(&format!("/characteristics/{id}/chart-data")).await;
    let points = chart["points"].as_array().expect("points");
    let shown: Vec<_> =
        points.iter().map(|p| json!([p["is_excluded"], p["rules"].as_array().map(Vec::len)])).collect();
    assert_eq!(json!(shown), json!([[false, 0], [false, 0], [true, 0], [false, 0], [false, 0], [false, 0]]));
    let (_directory, database) = (Arc::clone(app.directory()), app.database());
    app.stop().await.expect("stopped");
    Ledger::read(&database).await.assert_sound();
}

#[tokio::test]
async fn the_same_decision_again_changes_nothing_and_tells_nobody() {
    let app = TestApp::spawn().await;
    let id = given_a_short_shift(&app).await;
    let ids = app.measure_all(id, &[10.5, 99.0]).await;
    let mut listener = app.socket().await.subscribed_to([id]).await;
    let (status, same) = decide(&app, ids[0], false).await;
    assert_eq!((status, &same["is_excluded"]), (200, &json!(false)));
    let (_, first) = decide(&app, ids[1], true).await;
    assert_eq!(decide(&app, ids[1], true).await, (200, first));
    let kinds = [listener.next().await["type"].clone(), listener.next().await["type"].clone()];
    assert_eq!(kinds, ["sample_update", "violation_update"]);
    listener.assert_nothing_came().await;
}

#[tokio::test]
async fn the_alarm_state_follows_and_so_does_the_next_sample() {
    let app = TestApp::spawn().await;
    let id = given_a_short_shift(&app).await;
    let ids = app.measure_all(id, &[10.5, 9.5, 99.0]).await;
    assert_eq!(alarm_state(&app, id).await, json!(["active_unacked", 1, 3]));
    decide(&app, ids[2], true).await;
    assert_eq!(alarm_state(&app, id).await, json!(["normal", 0, 2]));
    decide(&app, ids[2], false).await;
    assert_eq!(alarm_state(&app, id).await, json!(["active_unacked", 1, 3]));
    decide(&app, ids[1], true).await;
    // 10.5, 99 and this one are three in a row above: the warm state has forgotten what was excluded.
    let recorded = app.measure(id, 10.5).await;
    assert_eq!(recorded["violations"][0]["rule_id"], 2, "{recorded}");
    assert_eq!(alarm_state(&app, id).await, json!(["active_unacked", 2, 3]));
}

#[tokio::test]
async fn an_acknowledgement_may_exclude_the_sample_in_the_same_transaction() {
    let app = TestApp::spawn().await;
    let id = given_a_short_shift(&app).await;
    let recorded = app.measure(id, 99.0).await;
    let violation = &recorded["violations"][0]["violation_id"];
    let mut listener = app.socket().await.subscribed_to([id]).await;
    let body = json!({"reason": "Measurement Error", "user": "ann", "exclude_sample": true});
    let path = format!("/violations/{violation}/acknowledge");
    let (status, answered) = app.post(&path, &body).await;
    assert_eq!(status, 200, "{answered}");
    assert_eq!([&answered["acknowledged"], &answered["status"]], [&json!(true), &json!("withdrawn")]);
    assert_eq!(app.get(&format!("/violations/{violation}")).await, answered);
    let mut told = vec![];
    for _ in 0..3 {
        told.push(listener.next().await);
    }
    let kinds: Vec<_> = told.iter().map(|event| event["type"].clone()).collect();
    assert_eq!(kinds, ["ack_update", "sample_update", "violation_update"]);
    let update = &told[1]["payload"];
    assert_eq!([&update["reason"], &update["user"]], ["Measurement Error", "ann"]);
    assert_eq!(alarm_state(&app, id).await, json!(["normal", 0, 0]));
    let (status, _) = app.post(&path, &body).await;
    assert_eq!(status, 409);
    // It holds again, and stays answered.
    decide(&app, recorded["sample_id"].as_i64().expect("an id"), false).await;
    let again = app.get(&format!("/violations/{violation}")).await;
    assert_eq!([&again["acknowledged"], &again["status"]], [&json!(true), &json!("open")]);
    assert_eq!(alarm_state(&app, id).await, json!(["active_acked", 0, 1]));
}

#[tokio::test]
async fn several_violations_of_one_sample_exclude_it_once() {
    let app = TestApp::spawn().await;
    let id = given_a_short_shift(&app).await;
    app.measure_all(id, &[10.5, 10.5, 99.0, 10.5]).await;
    let body = json!({"violation_ids": [1, 2, 3], "reason": "Other", "user": "ann", "exclude_sample": true});
    let (status, answer) = app.post("/violations/batch-acknowledge", &body).await;
    assert_eq!((status, &answer["successful"]), (200, &json!(3)), "{answer}");
    let withdrawn = app.get("/violations?status=withdrawn").await;
    assert_eq!(withdrawn["total"], 3, "{withdrawn}");
    let (_directory, database) = (Arc::clone(app.directory()), app.database());
    app.stop().await.expect("stopped");
    let ledger = Ledger::read(&database).await;
    ledger.assert_sound();
    assert_eq!(ledger.events.iter().filter(|event| event.kind == "sample_update").count(), 2);
}

#[tokio::test]
async fn of_the_past_a_violation_found_again_waits_for_nobody() {
    let app = TestApp::spawn().await;
    let id = given_a_short_shift(&app).await;
    let sample = |value: f64| json!({"characteristic_id": id, "measurements": [value]});
    let samples: Vec<_> = [10.5, 10.5, 9.5, 10.5].map(sample).into();
    let (_, taken) = app.post("/samples/batch", &json!({"mode": "history", "samples": samples})).await;
    assert_eq!(taken["successful"], 4, "{taken}");
    decide(&app, 3, true).await;
    let found = app.get("/violations").await;
    let found = &found["items"][0];
    assert_eq!([&found["rejudged"], &found["acknowledged"]], [true, true], "{found}");
    assert_eq!([&found["ack_reason"], &found["sample_id"]], [&json!("history"), &json!(4)]);
    assert_eq!(alarm_state(&app, id).await[1], 0);
}

#[tokio::test]
async fn what_was_only_stored_is_marked_and_nothing_is_judged_again() {
    let app = TestApp::spawn().await;
    let id = given_a_short_shift(&app).await;
    app.measure_all(id, &[10.5]).await;
    let stored = json!({"characteristic_id": id, "measurements": [99.0], "mode": "store"});
    app.post("/samples", &stored).await;
    app.measure_all(id, &[10.6]).await;
    let mut listener = app.socket().await.subscribed_to([id]).await;
    let (status, excluded) = decide(&app, 2, true).await;
    assert_eq!((status, &excluded["is_excluded"]), (200, &json!(true)));
    assert_eq!(listener.next().await["type"], "sample_update");
    listener.assert_nothing_came().await;
    assert_eq!(alarm_state(&app, id).await, json!(["normal", 0, 2]));
}

/// Individuals without limits: three, then pairs, then two more. Gives the ids and what their moving ranges are.
async fn given_a_past_without_limits(app: &TestApp, pairs: &[[f64; 2]]) -> (Vec<i64>, Vec<Option<f64>>) {
    let id = app.given_a_characteristic(&json!({"name": "Bore"})).await;
    let mut ids = app.measure_all(id, &[10.0, 11.0, 13.0]).await;
    let path = format!("/characteristics/{id}");
    let of = |size: u32| json!({"chart": null, "subgroup_size": size, "min_measurements": size, "new_phase": true});
    assert_eq!(app.call("PATCH", &path, Some(&of(2))).await.0, 200);
    for pair in pairs {
        let (status, recorded) =
            app.post("/samples", &json!({"characteristic_id": id, "measurements": pair})).await;
        assert_eq!(status, 201, "{recorded}");
        ids.push(recorded["sample_id"].as_i64().expect("an id"));
    }
    assert_eq!(app.call("PATCH", &path, Some(&of(1))).await.0, 200);
    ids.extend(app.measure_all(id, &[20.0, 23.0]).await);
    let before = [None, Some(1.0), Some(2.0)];
    let ranges = pairs.iter().map(|[one, other]| Some(other - one));
    (ids, before.into_iter().chain(ranges).chain([None, Some(3.0)]).collect())
}

#[tokio::test]
async fn a_decision_about_a_past_without_limits_changes_moving_ranges_of_that_past_alone() {
    let app = TestApp::spawn().await;
    for pairs in [&[][..], &[[10.0, 12.0]]] {
        let (ids, before) = given_a_past_without_limits(&app, pairs).await;
        let ranges = async || {
            let mut ranges = vec![];
            for id in &ids {
                ranges.push(app.get(&format!("/samples/{id}")).await["dispersion_value"].as_f64());
            }
            ranges
        };
        assert_eq!(ranges().await, before);
        for (index, sample) in ids.iter().enumerate() {
            // No range spans an excluded one, which keeps its own.
            let mut during = before.clone();
            if [0, 1, ids.len() - 2].contains(&index) {
                during[index + 1] = None;
            }
            assert_eq!(decide(&app, *sample, true).await.0, 200);
            assert_eq!(ranges().await, during, "without {index} of {pairs:?}");
            assert_eq!(decide(&app, *sample, false).await.0, 200);
            assert_eq!(ranges().await, before, "{index} of {pairs:?} counts again");
        }
    }
}

#[tokio::test]
async fn a_decision_names_a_sample_and_a_reason() {
    let app = TestApp::spawn().await;
    let id = given_a_short_shift(&app).await;
    let sample = app.measure_all(id, &[10.5]).await[0];
    let path = format!("/samples/{sample}/exclude");
    for (body, pointer) in [
        (json!({"reason": "slipped"}), ""),
        (json!({"is_excluded": true}), ""),
        (json!({"is_excluded": "yes", "reason": "slipped"}), "/is_excluded"),
        (json!({"is_excluded": true, "reason": ""}), "/reason"),
        (json!({"is_excluded": true, "reason": "a\nb"}), "/reason"),
        (json!({"is_excluded": true, "reason": "x".repeat(201)}), "/reason"),
        (json!({"is_excluded": true, "reason": "slipped", "user": ""}), "/user"),
    ] {
        let answer = Answer::to(app.request("PATCH", &path).json(&body)).await;
        answer.expect_problem(422, "invalid_field").expect_pointer(pointer);
    }
    let valid = json!({"is_excluded": true, "reason": "slipped"});
    let unknown = Answer::to(app.request("PATCH", "/samples/999/exclude").json(&valid)).await;
    unknown.expect_problem(404, "unknown_sample");
    let wrong = Answer::to(app.request("POST", &path).json(&valid)).await;
    wrong.expect_problem(405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), "PATCH");
    assert_eq!(app.get(&format!("/samples/{sample}")).await["is_excluded"], false);
    // Nobody need be named.
    assert_eq!(app.call("PATCH", &path, Some(&valid)).await.0, 200);
}
