//! Who else is told as long as nobody answers.

use std::time::Duration;

use andon::domain::episode::EpisodeChange::{self, Acknowledged, Opened, Worsened};
use andon::notify::{ReceiverSettings, RouteSettings, StepSettings};
use serde_json::{Value, json};

use crate::check::check;
use crate::support::{TestApp, TestAppBuilder, TestReceiver, Treatment, eventually};

/// Longer than a test takes.
const NEVER: u64 = 3_600;

/// Everything to `operator`, and to `chief` after so many seconds without an answer.
fn escalating(
    operator: &std::sync::Arc<TestReceiver>,
    chief: &std::sync::Arc<TestReceiver>,
    after_seconds: u64,
) -> TestAppBuilder {
    let step = StepSettings { after_seconds, receivers: vec!["chief".to_owned()] };
    let route = RouteSettings {
        receivers: vec!["operator".to_owned()],
        escalate: vec![step],
        ..RouteSettings::default()
    };
    let receiver = |name: &str| ReceiverSettings {
        name: name.to_owned(),
        breaker_failures: 1,
        ..ReceiverSettings::default()
    };
    TestApp::builder()
        .with(move |s| {
            s.notify.routes = vec![route];
            s.notify.receivers = vec![receiver("operator"), receiver("chief")];
            s.notify.poll_interval_ms = 20;
        })
        .notifier("operator", operator.clone())
        .notifier("chief", chief.clone())
}

async fn of_chief(app: &TestApp) -> Vec<Value> {
    let mut items = app.get("/deliveries?receiver=chief").await["items"].as_array().expect("items").clone();
    items.reverse();
    items
}

/// What `andon check` says of the ledger.
async fn is_sound(app: &TestApp) {
    let (code, said) = check(&app.database()).await;
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test]
async fn who_is_next_is_told_when_nobody_has_answered_by_then() {
    let (operator, chief) = (TestReceiver::new(), TestReceiver::new());
    let app = escalating(&operator, &chief, 2).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    operator.has_taken(1).await;
    let scheduled = of_chief(&app).await;
    assert_eq!((&scheduled[0]["state"], &scheduled[0]["step"]), (&json!("scheduled"), &json!(1)));
    is_sound(&app).await;
    assert!(scheduled[0]["due_at"].as_str() > scheduled[0]["created_at"].as_str(), "{scheduled:?}");
    let taken = chief.has_taken(1).await;
    assert_eq!((taken[0].step, taken[0].notice.update.change), (1, Opened));
    eventually("it is recorded", async || (of_chief(&app).await[0]["state"] == "delivered").then_some(()))
        .await;
}

#[tokio::test]
async fn nobody_else_is_told_after_an_answer_and_what_waits_is_not_in_the_way() {
    let (operator, chief) = (TestReceiver::new(), TestReceiver::new());
    let app = escalating(&operator, &chief, NEVER).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    operator.has_taken(1).await;
    assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
    operator.has_taken(2).await;
    assert_eq!(operator.changes(), [Opened, Acknowledged]);
    let over = of_chief(&app).await;
    assert_eq!(
        (&over[0]["state"], &over[0]["reason"], &over[0]["due_at"]),
        (&json!("superseded"), &json!("acknowledged"), &Value::Null)
    );
    assert!(!over[0]["ended_at"].is_null());
    assert_eq!(over.len(), 1);
    assert_eq!(chief.changes(), [] as [EpisodeChange; 0]);
    is_sound(&app).await;
}

#[tokio::test]
async fn an_episode_has_each_step_once_however_much_worse_it_becomes() {
    let (operator, chief) = (TestReceiver::new(), TestReceiver::new());
    let app = escalating(&operator, &chief, NEVER).spawn().await;
    let bore = app.given_a_characteristic(&json!({"name": "Bore"})).await;
    let limits = json!({"center_line": 10.0, "sigma": 1.0});
    app.set(&format!("/characteristics/{bore}/control-limits"), &limits).await;
    // Two of three beyond two sigma, and then one beyond three.
    app.measure_all(bore, &[12.5, 12.5, 99.0]).await;
    operator.has_taken(2).await;
    assert_eq!(operator.changes(), [Opened, Worsened]);
    assert_eq!(of_chief(&app).await.len(), 1);
    is_sound(&app).await;
}

#[tokio::test]
async fn nobody_waits_for_a_receiver_that_cannot_be_told() {
    for treatment in [Treatment::Fails, Treatment::Refuses, Treatment::IsGone] {
        let (operator, chief) = (TestReceiver::always(treatment), TestReceiver::new());
        let app = escalating(&operator, &chief, NEVER).spawn().await;
        let bore = app.given_a_chart("Bore").await;
        app.given_a_violation_on(bore).await;
        let taken = chief.has_taken(1).await;
        assert_eq!((taken[0].step, taken[0].notice.update.change), (1, Opened), "{treatment:?}");
    }
}

#[tokio::test]
async fn a_step_is_remembered_through_a_restart_and_can_be_tried_before_its_time() {
    let (operator, chief) = (TestReceiver::new(), TestReceiver::new());
    let app = escalating(&operator, &chief, NEVER).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    operator.has_taken(1).await;
    let directory = app.directory().clone();
    app.stop().await.expect("in order");
    let app = escalating(&operator, &chief, NEVER).on_database_of(&directory).spawn().await;
    let scheduled = of_chief(&app).await;
    assert_eq!(scheduled[0]["state"], "scheduled");
    tokio::time::sleep(Duration::from_millis(100)).await; // several looks at the ledger
    assert_eq!(chief.changes(), [] as [EpisodeChange; 0]);
    let id = &scheduled[0]["id"];
    let (status, _) = app.post(&format!("/deliveries/{id}/retry"), &json!({})).await;
    assert_eq!(status, 200);
    chief.has_taken(1).await;
}
