//! Answers to violations: one winner each, and everybody is told who it was.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Answer, TestApp};

#[tokio::test]
async fn an_acknowledged_violation_says_who_when_and_why() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    let mut socket = app.socket().await;
    let body = json!({"reason": "Tool Change", "comment": "new insert\nsecond shift", "user": "ann"});
    let (status, answered) = app.post(&format!("/violations/{violation}/acknowledge"), &body).await;
    assert_eq!((status, &answered["acknowledged"]), (200, &json!(true)), "{answered}");
    assert_eq!([&answered["ack_user"], &answered["ack_reason"]], ["ann", "Tool Change"]);
    assert_eq!(answered["ack_comment"], "new insert\nsecond shift");
    assert_eq!(answered["status"], "open");
    assert_eq!(app.get(&format!("/violations/{violation}")).await, answered);
    let told = socket.next_of_type("ack_update").await;
    let due = json!({
        "violation_id": violation, "characteristic_id": bore, "sample_id": answered["sample_id"], "acknowledged": true,
        "user": "ann", "reason": "Tool Change", "comment": "new insert\nsecond shift",
        "timestamp": answered["ack_timestamp"], "source": null, "external_id": null, "ack_source": null,
    });
    assert_eq!(told["payload"], due);
}

#[tokio::test]
async fn of_twenty_who_answer_at_once_one_wins_and_the_others_are_told_who() {
    let app = Arc::new(TestApp::spawn().await);
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    let mut racers = JoinSet::new();
    for number in 0..20 {
        let app = Arc::clone(&app);
        racers.spawn(async move {
            let body = json!({"reason": "Other", "user": format!("user {number:02}")});
            let path = format!("/violations/{violation}/acknowledge");
            Answer::to(app.request("POST", &path).json(&body)).await
        });
    }
    let answers = racers.join_all().await;
    let (winners, losers): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((winners.len(), losers.len()), (1, 19));
    let winner = &winners[0].body;
    let user = winner["ack_user"].as_str().expect("a name");
    // Told to the millisecond, stored to the microsecond.
    let second = &winner["ack_timestamp"].as_str().expect("a time")[..19];
    for loser in losers {
        loser.expect_problem(409, "already_acknowledged");
        let detail = loser.body["detail"].as_str().expect("text");
        assert!(detail.contains(user) && detail.contains(second), "{detail}");
        let first = &loser.body["acknowledgement"];
        assert_eq!((&first["user"], &first["timestamp"]), (&winner["ack_user"], &winner["ack_timestamp"]));
    }
    let stored = app.get(&format!("/violations/{violation}")).await;
    assert_eq!(&stored, winner);
}

#[tokio::test]
async fn an_answer_needs_a_reason_and_a_name() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    let path = format!("/violations/{violation}/acknowledge");
    for (body, pointer) in [
        (json!({"user": "ann"}), "/reason"),
        (json!({"reason": "", "user": "ann"}), "/reason"),
        (json!({"reason": " ", "user": "ann"}), "/reason"),
        (json!({"reason": "x".repeat(201), "user": "ann"}), "/reason"),
        (json!({"reason": "a\u{0}b", "user": "ann"}), "/reason"),
        (json!({"reason": null, "user": "ann"}), "/reason"),
        (json!({"reason": "Other"}), "/user"),
        (json!({"reason": "Other", "user": ""}), "/user"),
        (json!({"reason": "Other", "user": "a\nb"}), "/user"),
        (json!({"reason": "Other", "user": "x".repeat(201)}), "/user"),
        (json!({"reason": "Other", "user": "ann", "comment": "x".repeat(4001)}), "/comment"),
        (json!({"reason": "Other", "user": "ann", "comment": "a\u{0}b"}), "/comment"),
        (json!({"reason": "Other", "user": "ann", "exclude_sample": 1}), "/exclude_sample"),
    ] {
        let answer = Answer::to(app.request("POST", &path).json(&body)).await;
        answer.expect_problem(422, "invalid_field");
        let place = answer.body["errors"][0]["pointer"].as_str().expect("a pointer");
        // A field that is not there has no place of its own.
        assert!(place == pointer || place.is_empty(), "{pointer}: {}", answer.text);
        assert!(answer.text.contains(&pointer[1..]), "{}", answer.text);
    }
    assert_eq!(app.get(&format!("/violations/{violation}")).await["acknowledged"], false);
    let (status, _) = app.post(&path, &json!({"reason": "ø".repeat(200), "user": "ann"})).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn several_are_answered_each_on_its_own() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut ids = vec![];
    for _ in 0..3 {
        ids.push(app.given_a_violation_on(bore).await);
    }
    app.acknowledge(ids[1], "bob").await;
    let body =
        json!({"violation_ids": [ids[0], ids[1], 999, ids[2], ids[2]], "reason": "Other", "user": "ann"});
    let (status, answer) = app.post("/violations/batch-acknowledge", &body).await;
    assert_eq!(
        (status, [&answer["total"], &answer["successful"], &answer["failed"]]),
        (200, [&json!(5), &json!(2), &json!(3)])
    );
    let results = answer["results"].as_array().expect("results");
    let outcomes: Vec<_> =
        results.iter().map(|item| (item["success"].clone(), item["error"]["status"].as_u64())).collect();
    let failed = |status| (json!(false), Some(status));
    let done = (json!(true), None);
    assert_eq!(outcomes, [done.clone(), failed(409), failed(404), done, failed(409)]);
    assert!(results[1]["error"]["detail"].as_str().expect("text").contains("bob"));
    assert_eq!(results[0], json!({"violation_id": ids[0], "success": true}));
}

#[tokio::test]
async fn all_open_ones_up_to_a_position_are_answered() {
    let app = TestApp::spawn().await;
    let (bore, flow) = (app.given_a_chart("Bore").await, app.given_a_chart("Flow").await);
    let mut socket = app.socket().await.subscribed_to([bore]).await;
    let mut ids = vec![];
    for _ in 0..3 {
        ids.push(app.given_a_violation_on(bore).await);
    }
    let other = app.given_a_violation_on(flow).await;
    let seen: Vec<Value> =
        [socket.next().await, socket.next().await, socket.next().await, socket.next().await].into();
    assert_eq!((&seen[3]["type"], &seen[3]["payload"]["id"]), (&json!("violation"), &json!(ids[1])));
    let body =
        json!({"characteristic_id": bore, "up_to_seq": seen[3]["seq"], "reason": "Other", "user": "ann"});
    let (_, answer) = app.post("/violations/batch-acknowledge", &body).await;
    assert_eq!([&answer["total"], &answer["successful"]], [2, 2], "{answer}");
    let open = app.get("/violations?acknowledged=false").await;
    let open: Vec<_> = open["items"].as_array().expect("items").iter().map(|v| v["id"].clone()).collect();
    assert_eq!(json!(open), json!([other, ids[2]]));
    let (_, again) = app.post("/violations/batch-acknowledge", &body).await;
    assert_eq!(again["total"], 0);
}

#[tokio::test]
async fn a_batch_names_what_it_is_for() {
    let app = TestApp::spawn().await;
    let valid = json!({"reason": "Other", "user": "ann"});
    for extra in [
        json!({}),
        json!({"violation_ids": []}),
        json!({"violation_ids": vec![1; 1001]}),
        json!({"violation_ids": [1], "characteristic_id": 1, "up_to_seq": 1}),
        json!({"characteristic_id": 1}),
        json!({"up_to_seq": 1}),
        json!({"violation_ids": [0]}),
        json!({"violation_ids": [1], "reason": ""}),
        json!({"violation_ids": [1], "user": null}),
        json!({"violation_ids": [1], "exclude_sample": "yes"}),
        json!({"characteristic_id": 1, "up_to_seq": -1}),
    ] {
        let mut body = valid.clone();
        body.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        let answer = Answer::to(app.request("POST", "/violations/batch-acknowledge").json(&body)).await;
        answer.expect_problem(422, "invalid_field");
    }
}

#[tokio::test]
async fn reason_codes_come_in_the_order_of_the_field_and_can_be_replaced() {
    let app = TestApp::spawn().await;
    let due = json!([
        "Tool Change",
        "Raw Material Change",
        "Setup Adjustment",
        "Measurement Error",
        "Process Adjustment",
        "Environmental Factor",
        "Operator Error",
        "Equipment Malfunction",
        "False Alarm",
        "Under Investigation",
        "Other",
    ]);
    assert_eq!(app.get("/violations/reason-codes").await, json!({ "reason_codes": due }));
    let mine = json!({"reason_codes": ["Werkzeug", "Material", "Anderes"]});
    assert_eq!(app.set("/violations/reason-codes", &mine).await, mine);
    for (bad, pointer) in [
        (json!([]), "/reason_codes"),
        (json!(["a", ""]), "/reason_codes/1"),
        (json!(["a", "b", "a"]), "/reason_codes/2"),
        (json!(["a", "x".repeat(201)]), "/reason_codes/1"),
        (json!([7]), "/reason_codes/0"),
    ] {
        let answer =
            Answer::to(app.request("PUT", "/violations/reason-codes").json(&json!({"reason_codes": bad})))
                .await;
        answer.expect_problem(422, "invalid_field").expect_pointer(pointer);
    }
    assert_eq!(app.get("/violations/reason-codes").await, mine);
    // Free text is allowed all the same.
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
}
