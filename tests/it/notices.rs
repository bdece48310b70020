//! Who is told what: from an episode to its receivers, through the ledger.

use andon::domain::episode::EpisodeChange::{Acknowledged, Closed, Opened};
use andon::domain::rules::Severity;
use andon::notify::{ReceiverSettings, RouteSettings};
use serde_json::{Value, json};

use crate::support::{Answer, TestApp, TestReceiver, Treatment, eventually};

/// The deliveries that a query finds, oldest first, once there are so many and all are over.
async fn over(app: &TestApp, query: &str, count: usize) -> Vec<Value> {
    eventually("deliveries are over", async || {
        let mut items =
            app.get(&format!("/deliveries?{query}")).await["items"].as_array().expect("items").clone();
        items.reverse();
        let are_over = items.len() >= count && items.iter().all(|item| !item["ended_at"].is_null());
        are_over.then_some(items)
    })
    .await
}

#[tokio::test]
async fn a_receiver_of_the_programs_own_is_told_of_the_whole_episode_in_order() {
    let scada = TestReceiver::new();
    let app = TestApp::builder().notifier("scada", scada.clone()).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
    app.measure_all(bore, &[10.0; 8]).await;
    let taken = scada.has_taken(3).await;
    assert_eq!(scada.changes(), [Opened, Acknowledged, Closed]);
    let told: Vec<_> = taken.iter().map(|alert| &alert.notice).collect();
    assert_eq!(told[0].update.episode.characteristic_name, "Bore");
    let newest = told[0].violation.as_ref().expect("it is there");
    assert_eq!((newest.id.get(), newest.value, newest.ucl), (violation, Some(99.0), Some(13.0)));
    assert_eq!(told[1].update.episode.ack_user.as_deref(), Some("ann"));

    let deliveries = over(&app, "receiver=scada", 3).await;
    for (delivery, alert) in deliveries.iter().zip(&taken) {
        assert_eq!((&delivery["state"], &delivery["attempt_total"]), (&json!("delivered"), &json!(1)));
        assert_eq!((&delivery["name"], alert.attempt), (&json!(alert.delivery_id), 1));
        assert_eq!((&delivery["recipient"], &delivery["due_at"]), (&Value::Null, &Value::Null));
        assert_eq!(delivery["change"], json!(alert.notice.update.change));
    }
    let id = &deliveries[0]["id"];
    let detail = app.get(&format!("/deliveries/{id}")).await;
    let attempt = &detail["attempts"][0];
    assert_eq!((&attempt["number"], &attempt["outcome"]), (&json!(1), &json!("delivered")));
    assert_eq!(attempt["detail"], "number 1", "what the receiver answered");
    assert!(attempt["duration_ms"].as_f64().expect("it is over") >= 0.0);

    // The log of a bare installation was told as well.
    let episode = app.get("/episodes/1").await;
    let notices = episode["notices"].as_array().expect("notices");
    let receivers = |notice: &Value| -> Vec<String> {
        let deliveries = notice["deliveries"].as_array().expect("deliveries").iter();
        deliveries.map(|delivery| delivery["receiver"].as_str().expect("a name").to_owned()).collect()
    };
    let changes: Vec<_> = notices.iter().map(|notice| notice["change"].clone()).collect();
    assert_eq!(changes, ["opened", "acknowledged", "closed"]);
    assert!(notices.iter().all(|notice| receivers(notice) == ["scada", "log"]), "{episode}");
    let of_violation = app.get(&format!("/violations/{violation}/deliveries")).await;
    assert_eq!(of_violation["total"], 6);
}

#[tokio::test]
async fn routes_say_who_is_told_of_what() {
    let receivers = ["night", "safety", "all"].map(|name| (name, TestReceiver::new()));
    let mut builder = TestApp::builder().with(|s| {
        let to = |receiver: &str| RouteSettings {
            receivers: vec![receiver.to_owned()],
            ..RouteSettings::default()
        };
        s.notify.routes = vec![
            RouteSettings { tags: vec!["safety".to_owned()], goes_on: true, ..to("safety") },
            RouteSettings { min_severity: Some(Severity::Critical), notices: vec![Opened], ..to("night") },
            RouteSettings { groups: vec!["plant".to_owned()], ..to("all") },
        ];
    });
    for (name, receiver) in &receivers {
        builder = builder.notifier(name, receiver.clone());
    }
    let app = builder.spawn().await;
    let mut charts = vec![];
    for (name, group, tags) in [
        ("Bore", "plant/line4", json!([])),
        ("Flow", "office", json!([])),
        ("Ring", "plant", json!(["safety"])),
    ] {
        let body = json!({"name": name, "group": group, "tags": tags, "rules": {"preset": "outlier"}});
        let id = app.given_a_characteristic(&body).await;
        let limits = json!({"center_line": 10.0, "sigma": 1.0});
        app.set(&format!("/characteristics/{id}/control-limits"), &limits).await;
        let violation = app.given_a_violation_on(id).await;
        assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
        charts.push(id);
    }
    // An acknowledgement is none of the night's business; that of the office is nobody's.
    let told = async |name: &str, count: usize| {
        let items = over(&app, &format!("receiver={name}"), count).await;
        let pairs = items.iter().map(|item| {
            let change = item["change"].as_str().expect("a change").to_owned();
            (item["characteristic_id"].as_i64().expect("an id"), change)
        });
        pairs.collect::<Vec<_>>()
    };
    let opened = |id: i64| (id, "opened".to_owned());
    let answered = |id: i64| (id, "acknowledged".to_owned());
    let [bore, flow, ring] = charts[..] else { panic!("three") };
    assert_eq!(told("safety", 2).await, [opened(ring), answered(ring)]);
    assert_eq!(told("night", 3).await, [opened(bore), opened(flow), opened(ring)]);
    assert_eq!(told("all", 2).await, [answered(bore), answered(ring)]);
    let silent = app.get("/episodes/2").await["notices"].clone();
    assert_eq!(silent[1]["deliveries"], json!([]), "the ledger says that nobody was to be told");
    assert_eq!(app.metric("andon_notices_total{kind=\"acknowledged\"}").await, 3.0);
}

#[tokio::test]
async fn each_recipient_has_a_delivery_of_its_own() {
    let post = TestReceiver::with_recipients(&["ann@example.com", "bob@example.com"]);
    let app = TestApp::builder().notifier("post", post.clone()).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    let deliveries = over(&app, "receiver=post", 2).await;
    let recipients: Vec<_> = deliveries.iter().map(|delivery| &delivery["recipient"]).collect();
    assert_eq!(recipients, ["ann@example.com", "bob@example.com"]);
    let names: Vec<_> = deliveries.iter().map(|delivery| &delivery["name"]).collect();
    assert_ne!(names[0], names[1]);
}

#[tokio::test]
async fn what_is_over_can_be_tried_again_under_the_same_name() {
    let scada = TestReceiver::treating([Treatment::Refuses]);
    let app = TestApp::builder().notifier("scada", scada.clone()).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    let dead = over(&app, "receiver=scada&state=dead", 1).await.remove(0);
    assert_eq!(dead["reason"], "no such address");
    let path = format!("/deliveries/{}", dead["id"]);
    let (status, retried) = app.post(&format!("{path}/retry"), &json!({})).await;
    assert_eq!((status, &retried["id"]), (200, &dead["id"]), "{retried}");
    let taken = scada.has_taken(1).await.remove(0);
    assert_eq!((json!(taken.delivery_id), taken.attempt), (dead["name"].clone(), 2));
    over(&app, "receiver=scada&state=delivered", 1).await;
    let attempts = app.get(&path).await["attempts"].clone();
    assert_eq!(
        [&attempts[0]["outcome"], &attempts[0]["detail"], &attempts[1]["outcome"]],
        ["permanent", "no such address", "delivered"]
    );
    Answer::to(app.request("POST", "/deliveries/99/retry")).await.expect_problem(404, "unknown_delivery");
    Answer::to(app.request("GET", "/deliveries/99")).await.expect_problem(404, "unknown_delivery");
    Answer::to(app.request("GET", "/deliveries?state=lost")).await.expect_problem(422, "invalid_query");
    Answer::to(app.request("GET", "/violations/99/deliveries"))
        .await
        .expect_problem(404, "unknown_violation");
}

#[tokio::test]
async fn what_is_being_tried_cannot_be_tried_again() {
    let scada = TestReceiver::always(Treatment::Hangs);
    let app = TestApp::builder()
        .with(|s| s.notify.stop_grace_ms = 10)
        .notifier("scada", scada.clone())
        .spawn()
        .await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    scada.has_seen(1).await;
    let delivery = app.get("/deliveries?receiver=scada").await["items"][0].clone();
    assert_eq!(delivery["state"], "leased");
    let request = app.request("POST", &format!("/deliveries/{}/retry", delivery["id"]));
    Answer::to(request).await.expect_problem(409, "delivery_under_way");
}

#[tokio::test]
async fn the_past_is_told_to_nobody() {
    let scada = TestReceiver::new();
    let app = TestApp::builder().notifier("scada", scada.clone()).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let sample = json!({"characteristic_id": bore, "measurements": [99.0], "mode": "history"});
    assert_eq!(app.post("/samples", &sample).await.0, 201);
    app.given_a_violation_on(bore).await;
    over(&app, "receiver=scada", 1).await;
    assert_eq!(scada.changes(), [Opened]);
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_the_start() {
    let refused = async |change: fn(&mut andon::settings::Settings)| {
        let started = TestApp::builder().with(change).try_spawn().await;
        started.err().expect("refused").to_string()
    };
    let told = refused(|s| s.notify.receivers = vec![ReceiverSettings::default()]).await;
    assert!(told.starts_with("the setting notify.receivers[0].name must be"), "{told}");
    let told = refused(|s| {
        let receivers = vec!["mail".to_owned()];
        s.notify.routes = vec![RouteSettings { receivers, ..RouteSettings::default() }];
    })
    .await;
    assert_eq!(told, "the setting notify.routes[0].receivers names \"mail\", which is none of: log");
}
