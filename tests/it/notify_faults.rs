//! Receivers in trouble: what fails is tried again, and nobody else notices.

use std::time::Duration;

use andon::domain::episode::EpisodeChange::{Acknowledged, Opened};
use andon::notify::ReceiverSettings;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{TestApp, TestAppBuilder, TestReceiver, Treatment, eventually};

fn impatient(name: &str) -> ReceiverSettings {
    ReceiverSettings {
        name: name.to_owned(),
        timeout_ms: 300,
        backoff_ms: 20,
        breaker_failures: 1_000,
        ..ReceiverSettings::default()
    }
}

fn with_receivers(receivers: Vec<ReceiverSettings>) -> TestAppBuilder {
    TestApp::builder().with(|s| {
        s.notify.receivers = receivers;
        (s.notify.poll_interval_ms, s.notify.sweep_interval_ms, s.notify.stop_grace_ms) = (50, 50, 50);
    })
}

async fn delivery(app: &TestApp, receiver: &str, state: &str) -> Value {
    let path = format!("/deliveries?receiver={receiver}&state={state}");
    eventually(state, async || {
        let found = app.get(&path).await["items"].as_array().expect("items").last().cloned()?;
        Some(app.get(&format!("/deliveries/{}", found["id"])).await)
    })
    .await
}

fn outcomes(delivery: &Value) -> Vec<&str> {
    let attempts = delivery["attempts"].as_array().expect("attempts").iter();
    attempts.map(|attempt| attempt["outcome"].as_str().expect("it is over")).collect()
}

/// When an attempt began, by its place.
fn began(delivery: &Value, place: usize) -> DateTime<Utc> {
    delivery["attempts"][place]["started_at"].as_str().expect("a time").parse().expect("a time")
}

#[tokio::test]
async fn a_failure_is_tried_again_until_it_is_taken() {
    use Treatment::{Fails, Hangs, LeavesUncertain, Panics};
    let scada = TestReceiver::treating([Fails, Panics, LeavesUncertain, Hangs]);
    let app = with_receivers(vec![impatient("scada")]).notifier("scada", scada.clone()).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    scada.has_taken(1).await;
    let delivered = delivery(&app, "scada", "delivered").await;
    assert_eq!(outcomes(&delivered), ["transient", "transient", "uncertain", "uncertain", "delivered"]);
    let details: Vec<_> =
        delivered["attempts"].as_array().expect("attempts").iter().map(|a| &a["detail"]).collect();
    assert_eq!(
        details,
        [
            "the line is busy",
            "the notifier panicked",
            "the line went dead",
            "no answer within 300ms",
            "number 1"
        ]
    );
    let names: Vec<_> =
        scada.attempts().iter().map(|alert| (alert.delivery_id.clone(), alert.attempt)).collect();
    let name = delivered["name"].as_str().expect("a name");
    assert_eq!(names, (1..=5).map(|number| (name.to_owned(), number)).collect::<Vec<_>>());
    let counted =
        |outcome: &str| format!("andon_notify_attempts_total{{receiver=\"scada\",outcome=\"{outcome}\"}}");
    assert_eq!(app.metric(&counted("transient")).await, 2.0);
    assert_eq!(app.metric(&counted("uncertain")).await, 2.0);
    assert_eq!(app.metric(&counted("delivered")).await, 1.0);
}

#[tokio::test]
async fn people_hear_of_an_episode_in_order_although_attempts_fail() {
    let scada = TestReceiver::treating([Treatment::Fails, Treatment::Fails, Treatment::Fails]);
    let app = with_receivers(vec![impatient("scada")]).notifier("scada", scada.clone()).spawn().await;
    let (bore, flow) = (app.given_a_chart("Bore").await, app.given_a_chart("Flow").await);
    let violation = app.given_a_violation_on(bore).await;
    assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
    app.given_a_violation_on(flow).await;
    let taken = scada.has_taken(3).await;
    let of_bore = taken.iter().filter(|alert| alert.notice.update.episode.characteristic_id.get() == bore);
    assert_eq!(of_bore.map(|alert| alert.notice.update.change).collect::<Vec<_>>(), [Opened, Acknowledged]);
}

#[tokio::test]
async fn a_receiver_that_hangs_takes_nothing_from_the_others() {
    let (dead, alive) = (TestReceiver::always(Treatment::Hangs), TestReceiver::new());
    let patient = ReceiverSettings { timeout_ms: 60_000, ..impatient("dead") };
    let app = with_receivers(vec![patient, impatient("alive")])
        .notifier("dead", dead.clone())
        .notifier("alive", alive.clone())
        .spawn()
        .await;
    for number in 0..20 {
        let chart = app.given_a_chart(&format!("Bore {number}")).await;
        let violation = app.given_a_violation_on(chart).await;
        assert_eq!(app.acknowledge(violation, "ann").await.0, 200, "acknowledging waits for no receiver");
    }
    alive.has_taken(40).await;
    assert_eq!(dead.attempts().len(), 4, "as many as its concurrency");
    assert_eq!(
        app.get("/health/ready").await["status"],
        "ready",
        "a dead receiver is no reason to be replaced"
    );
    eventually("what waits is measured", async || {
        (app.metric("andon_notify_waiting{receiver=\"dead\"}").await == 40.0).then_some(())
    })
    .await;
    assert!(app.metric("andon_notify_oldest_waiting_seconds{receiver=\"dead\"}").await > 0.0);
}

#[tokio::test]
async fn what_is_of_no_use_any_more_is_given_up() {
    let scada = TestReceiver::always(Treatment::Fails);
    // The ledger's shortest use is a minute: the wait after the first failure goes beyond it.
    let hurried = ReceiverSettings {
        useful_minutes: 1,
        backoff_ms: 86_400_000_000,
        max_backoff_ms: 86_400_000_000,
        ..impatient("scada")
    };
    let app = with_receivers(vec![hurried]).notifier("scada", scada.clone()).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    let expired = delivery(&app, "scada", "expired").await;
    assert_eq!((outcomes(&expired), &expired["reason"]), (vec!["transient"], &json!(null)));
    assert_eq!((&expired["due_at"], expired["ended_at"].is_string()), (&Value::Null, true));
}

#[tokio::test]
async fn a_receiver_that_fails_again_and_again_is_left_alone() {
    let (dead, alive) = (TestReceiver::always(Treatment::Fails), TestReceiver::new());
    let breaking = ReceiverSettings {
        concurrency: 1,
        breaker_failures: 3,
        breaker_pause_ms: 600_000,
        ..impatient("dead")
    };
    let app = with_receivers(vec![breaking, impatient("alive")])
        .notifier("dead", dead.clone())
        .notifier("alive", alive.clone())
        .spawn()
        .await;
    for number in 0..20 {
        let chart = app.given_a_chart(&format!("Bore {number}")).await;
        app.given_a_violation_on(chart).await;
    }
    alive.has_taken(20).await;
    eventually("it is left alone", async || {
        (app.metric("andon_notify_breaker_open{receiver=\"dead\"}").await == 1.0).then_some(())
    })
    .await;
    assert_eq!(dead.attempts().len(), 3);
}

#[tokio::test]
async fn one_attempt_finds_out_whether_a_receiver_is_back() {
    let scada = TestReceiver::treating([Treatment::Fails; 3]);
    let breaking =
        ReceiverSettings { concurrency: 1, breaker_failures: 3, breaker_pause_ms: 700, ..impatient("scada") };
    let app = with_receivers(vec![breaking]).notifier("scada", scada.clone()).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    scada.has_taken(1).await;
    let delivered = delivery(&app, "scada", "delivered").await;
    assert_eq!(outcomes(&delivered), ["transient", "transient", "transient", "delivered"]);
    assert!(began(&delivered, 3) - began(&delivered, 2) >= TimeDelta::milliseconds(695), "{delivered}");
    eventually("it is told again", async || {
        (app.metric("andon_notify_breaker_open{receiver=\"scada\"}").await == 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_asks_for_patience_gets_it() {
    let wait = Duration::from_millis(700);
    let scada = TestReceiver::treating([Treatment::IsBusy(wait)]);
    let app = with_receivers(vec![ReceiverSettings { concurrency: 1, ..impatient("scada") }])
        .notifier("scada", scada.clone())
        .spawn()
        .await;
    let (bore, flow) = (app.given_a_chart("Bore").await, app.given_a_chart("Flow").await);
    app.given_a_violation_on(bore).await;
    scada.has_seen(1).await;
    app.given_a_violation_on(flow).await;
    scada.has_taken(2).await;
    let first = eventually("both are recorded", async || {
        let first = app.get("/deliveries/1").await;
        (first["state"] == "delivered").then_some(first)
    })
    .await;
    assert!(began(&first, 1) - began(&first, 0) >= TimeDelta::milliseconds(695), "{first}");
}

#[tokio::test]
async fn a_receiver_that_wants_nothing_any_more_is_told_nothing_until_the_next_start() {
    let scada = TestReceiver::treating([Treatment::IsGone]);
    let app = with_receivers(vec![impatient("scada")]).notifier("scada", scada.clone()).spawn().await;
    let (bore, flow) = (app.given_a_chart("Bore").await, app.given_a_chart("Flow").await);
    app.given_a_violation_on(bore).await;
    let dead = delivery(&app, "scada", "dead").await;
    assert_eq!((&dead["reason"], outcomes(&dead)), (&json!("moved away"), vec!["permanent"]));
    app.given_a_violation_on(flow).await;
    delivery(&app, "scada", "pending").await;
    let directory = app.directory().clone();
    app.stop().await.expect("stops");
    assert_eq!(scada.attempts().len(), 1);
    let _app = with_receivers(vec![impatient("scada")])
        .notifier("scada", scada.clone())
        .on_database_of(&directory)
        .spawn()
        .await;
    scada.has_taken(1).await;
}

#[tokio::test]
async fn what_was_under_way_when_the_process_stopped_is_uncertain_and_tried_again() {
    let scada = TestReceiver::treating([Treatment::Hangs]);
    // What a stop cuts short waits for nothing.
    let patient = || ReceiverSettings {
        timeout_ms: 60_000,
        backoff_ms: 86_400_000,
        max_backoff_ms: 86_400_000,
        ..impatient("scada")
    };
    let app = with_receivers(vec![patient()]).notifier("scada", scada.clone()).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    scada.has_seen(1).await;
    let directory = app.directory().clone();
    app.stop().await.expect("stops");
    let app = with_receivers(vec![patient()])
        .notifier("scada", scada.clone())
        .on_database_of(&directory)
        .spawn()
        .await;
    scada.has_taken(1).await;
    let delivered = delivery(&app, "scada", "delivered").await;
    assert_eq!(outcomes(&delivered), ["uncertain", "delivered"]);
    assert_eq!(
        delivered["attempts"][0]["detail"],
        "cut short: the process stopped, or its settings were reloaded"
    );
}
