//! Who else is told as long as nobody answers.

use andon::domain::episode::EpisodeChange::{self, Acknowledged, Closed, Opened, Worsened};
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

/// The dispatcher has looked for steps that begin: it does so behind each notice, and has come to another one since.
async fn is_looked_at(app: &TestApp) {
    for name in ["Height", "Width"] {
        let before = of_chief(app).await.len();
        let chart = app.given_a_chart(name).await;
        app.given_a_violation_on(chart).await;
        eventually("its step is stored", async || (of_chief(app).await.len() > before).then_some(())).await;
    }
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
    let steps = of_chief(&app).await;
    let told = |item: &Value| (item["change"].clone(), item["state"].clone(), item["reason"].clone());
    assert_eq!(
        steps.iter().map(told).collect::<Vec<_>>(),
        [
            (json!("opened"), json!("superseded"), json!("a newer notice")),
            (json!("worsened"), json!("scheduled"), Value::Null),
        ]
    );
    let an_hour_after = |at: &Value| {
        let at: chrono::DateTime<chrono::Utc> = at.as_str().expect("a time").parse().expect("a time");
        at + chrono::TimeDelta::seconds(NEVER as i64)
    };
    let due_at = steps[1]["due_at"].as_str().expect("a time").parse::<chrono::DateTime<chrono::Utc>>();
    assert!(
        due_at.expect("a time") <= an_hour_after(&steps[0]["created_at"]) + chrono::TimeDelta::seconds(1)
    );
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
async fn nobody_else_is_called_while_somebody_of_the_step_may_still_be_told() {
    let (gone, chief) = (TestReceiver::always(Treatment::Fails), TestReceiver::new());
    let slow = TestReceiver::always(Treatment::Hangs);
    let app = escalating(&gone, &chief, NEVER)
        .with(|s| {
            s.notify
                .receivers
                .push(ReceiverSettings { name: "slow".to_owned(), ..ReceiverSettings::default() });
            s.notify.routes[0].receivers.push("slow".to_owned());
        })
        .notifier("slow", slow)
        .spawn()
        .await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    eventually("one of them is out of reach", async || (!gone.attempts().is_empty()).then_some(())).await;
    is_looked_at(&app).await;
    let steps = of_chief(&app).await;
    assert!(steps.iter().all(|step| step["state"] == "scheduled"), "{steps:?}");
}

#[tokio::test]
async fn whoever_was_called_hears_of_the_answer_and_of_the_end() {
    let (operator, chief) = (TestReceiver::always(Treatment::Refuses), TestReceiver::new());
    let app = escalating(&operator, &chief, NEVER).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    chief.has_taken(1).await;
    assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
    app.measure_all(bore, &[10.0; 8]).await;
    chief.has_taken(3).await;
    assert_eq!(chief.changes(), [Opened, Acknowledged, Closed]);
    is_sound(&app).await;
}

#[tokio::test]
async fn an_attempt_that_fails_after_the_answer_was_the_last() {
    let (operator, chief) =
        (TestReceiver::always(Treatment::Refuses), TestReceiver::always(Treatment::Hangs));
    let app =
        escalating(&operator, &chief, NEVER).with(|s| s.notify.receivers[1].timeout_ms = 1_500).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    eventually("the chief is being called", async || (!chief.attempts().is_empty()).then_some(())).await;
    assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
    let called = eventually("it is over", async || {
        let called = of_chief(&app).await.remove(0);
        (!called["ended_at"].is_null()).then_some(called)
    })
    .await;
    assert_eq!((&called["state"], &called["attempt_total"]), (&json!("superseded"), &json!(1)));
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
    is_looked_at(&app).await;
    assert_eq!(chief.changes(), [] as [EpisodeChange; 0]);
    let id = &scheduled[0]["id"];
    let (status, _) = app.post(&format!("/deliveries/{id}/retry"), &json!({})).await;
    assert_eq!(status, 200);
    chief.has_taken(1).await;
}
