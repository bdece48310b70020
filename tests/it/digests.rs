//! Several things in one message: because they come together, or because there may not be more messages.

use std::collections::BTreeSet;
use std::sync::Arc;

use andon::notify::{Alert, ReceiverSettings};
use serde_json::{Value, json};

use crate::check::check;
use crate::support::{TestApp, TestAppBuilder, TestReceiver, Treatment, eventually};

fn telling(phone: &Arc<TestReceiver>, settings: ReceiverSettings) -> TestAppBuilder {
    TestApp::builder()
        .with(|s| {
            s.notify.receivers =
                vec![ReceiverSettings { name: "phone".to_owned(), backoff_ms: 1, ..settings }];
            s.notify.poll_interval_ms = 20;
        })
        .notifier("phone", phone.clone())
}

/// Together what comes within a second.
fn grouping() -> ReceiverSettings {
    ReceiverSettings { group_seconds: 1, ..ReceiverSettings::default() }
}

/// One message in two seconds.
fn limited() -> ReceiverSettings {
    ReceiverSettings { rate_messages: 1, rate_seconds: 2, ..ReceiverSettings::default() }
}

async fn given_violations(app: &TestApp, names: &[&str]) {
    for name in names {
        let chart = app.given_a_chart(name).await;
        app.given_a_violation_on(chart).await;
    }
}

/// The characteristics that a message tells of.
fn names(alert: &Alert) -> BTreeSet<String> {
    alert.notices().map(|notice| notice.update.episode.characteristic_name.clone()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn deliveries(app: &TestApp) -> Vec<Value> {
    let list = app.get("/deliveries").await;
    list["items"].as_array().expect("items").iter().rev().cloned().collect()
}

async fn are_delivered(app: &TestApp, count: usize) -> Vec<Value> {
    eventually("all of them are delivered", async || {
        let items = deliveries(app).await;
        (items.len() == count && items.iter().all(|item| item["state"] == "delivered")).then_some(items)
    })
    .await
}

async fn is_sound(app: &TestApp) {
    let (code, said) = check(&app.database()).await;
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test]
async fn what_comes_together_is_told_together() {
    let phone = TestReceiver::of_several([]);
    let app = telling(&phone, grouping()).spawn().await;
    given_violations(&app, &["Bore", "Width", "Height"]).await;
    is_sound(&app).await;
    let items = are_delivered(&app, 3).await;
    let taken = phone.taken();
    let told: Vec<_> = taken.iter().flat_map(names).collect();
    assert_eq!((told.len(), told.into_iter().collect()), (3, set(&["Bore", "Height", "Width"])), "each once");
    assert!(taken.len() < 3, "at least two of them came within a second");
    let leading = items.iter().find(|item| item["digest_id"] == item["id"]).expect("one leads");
    for item in items.iter().filter(|item| item["digest_id"] == leading["id"]) {
        let whole = app.get(&format!("/deliveries/{}", item["id"])).await;
        let attempts = whole["attempts"].as_array().expect("attempts");
        assert_eq!((attempts.len(), &attempts[0]["outcome"]), (1, &json!("delivered")), "{whole}");
    }
    is_sound(&app).await;
}

#[tokio::test]
async fn what_may_not_be_sent_yet_is_told_in_the_next_message_and_nothing_is_dropped() {
    let phone = TestReceiver::of_several([]);
    let app = telling(&phone, limited()).spawn().await;
    given_violations(&app, &["Bore"]).await;
    assert_eq!(names(&phone.has_taken(1).await[0]), set(&["Bore"]));
    given_violations(&app, &["Width", "Height", "Depth"]).await;
    are_delivered(&app, 4).await;
    let told: Vec<_> = phone.taken().iter().flat_map(names).collect();
    assert_eq!((told.len(), told.into_iter().collect()), (4, set(&["Bore", "Depth", "Height", "Width"])));
    assert!(phone.taken().len() < 4, "there was more than one in a message");
    is_sound(&app).await;
}

#[tokio::test]
async fn a_message_that_fails_is_tried_again_as_it_was() {
    let phone = TestReceiver::of_several([Treatment::Fails, Treatment::LeavesUncertain]);
    let app = telling(&phone, grouping()).spawn().await;
    given_violations(&app, &["Bore", "Width"]).await;
    phone.has_seen(3).await;
    given_violations(&app, &["Height"]).await;
    are_delivered(&app, 3).await;
    let attempts = phone.attempts();
    for of in [&attempts[1], &attempts[2]] {
        assert_eq!(of.delivery_id, attempts[0].delivery_id);
        assert_eq!(names(of), names(&attempts[0]));
    }
    is_sound(&app).await;
}

#[tokio::test]
async fn a_message_that_a_stop_cuts_short_is_the_same_after_the_start() {
    let hanging = TestReceiver::of_several([Treatment::Hangs, Treatment::Hangs, Treatment::Hangs]);
    let app = telling(&hanging, grouping()).with(|s| s.notify.stop_grace_ms = 50).spawn().await;
    given_violations(&app, &["Bore", "Width"]).await;
    let first = hanging.has_seen(1).await.remove(0);
    let directory = Arc::clone(app.directory());
    app.stop().await.expect("stops");
    let phone = TestReceiver::of_several([]);
    let app = telling(&phone, grouping()).on_database_of(&directory).spawn().await;
    are_delivered(&app, 2).await;
    let again =
        phone.taken().into_iter().find(|alert| alert.delivery_id == first.delivery_id).expect("tried again");
    assert_eq!(names(&again), names(&first));
    is_sound(&app).await;
}

#[tokio::test]
async fn a_refused_message_is_dead_in_all_its_parts_and_each_can_be_tried_again() {
    let phone = TestReceiver::of_several([Treatment::Refuses]);
    let app =
        telling(&phone, ReceiverSettings { group_seconds: 2, ..ReceiverSettings::default() }).spawn().await;
    given_violations(&app, &["Bore", "Width"]).await;
    let dead = eventually("they are dead", async || {
        let items = deliveries(&app).await;
        items
            .iter()
            .all(|item| item["state"] == "dead" && item["digest_id"] == items[0]["id"])
            .then_some(items)
    })
    .await;
    assert_eq!(dead[1]["reason"], "no such address");
    let (status, answer) = app.post(&format!("/deliveries/{}/retry", dead[1]["id"]), &json!({})).await;
    assert_eq!((status, &answer["digest_id"]), (200, &Value::Null), "{answer}");
    let taken = phone.has_taken(1).await;
    assert_eq!(names(&taken[0]), set(&["Width"]), "alone");
    is_sound(&app).await;
}

#[tokio::test]
async fn one_that_is_told_of_one_thing_at_a_time_is_told_more_slowly() {
    let phone = TestReceiver::new();
    let slowly = ReceiverSettings { rate_messages: 2, rate_seconds: 1, ..ReceiverSettings::default() };
    let app = telling(&phone, slowly).spawn().await;
    given_violations(&app, &["Bore", "Width", "Height"]).await;
    are_delivered(&app, 3).await;
    assert!(phone.taken().iter().all(|alert| alert.others.is_empty()));

    let refused = telling(&TestReceiver::new(), grouping()).try_spawn().await.err().expect("refused");
    let text = refused.to_string();
    assert!(text.contains("\"phone\"") && text.contains("group_seconds must be 0"), "{text}");
}

#[tokio::test]
async fn a_stretch_of_time_is_told_anew() {
    let phone = TestReceiver::treating([Treatment::Refuses]);
    let app = telling(&phone, ReceiverSettings::default()).spawn().await;
    given_violations(&app, &["Bore"]).await;
    eventually("it is dead", async || (deliveries(&app).await.first()?["state"] == "dead").then_some(()))
        .await;
    given_violations(&app, &["Width"]).await;
    phone.has_taken(1).await;
    let before = eventually("it is recorded", async || {
        let items = deliveries(&app).await;
        (items.get(1)?["state"] == "delivered").then_some(items)
    })
    .await;
    let replay = async |states: Value| {
        let body = json!({
            "receiver": "phone", "from": before[0]["created_at"], "to": "2999-01-01T00:00:00Z", "states": states,
        });
        app.post("/deliveries/replay", &body).await
    };
    assert_eq!(replay(Value::Null).await, (200, json!({"deliveries": 1})), "what is dead");
    are_delivered(&app, 2).await;
    assert_eq!(replay(json!(["delivered"])).await, (200, json!({"deliveries": 2})));
    phone.has_taken(4).await;
    are_delivered(&app, 2).await;
    let mut times = std::collections::BTreeMap::<_, usize>::new();
    phone.taken().iter().for_each(|alert| *times.entry(alert.delivery_id.clone()).or_default() += 1);
    assert_eq!(times.into_values().collect::<Vec<_>>(), [2, 2], "under their names");

    for (field, value, told) in [
        ("receiver", json!("nobody"), "there is no receiver \"nobody\""),
        ("states", json!(["pending"]), "delivered"),
        ("states", json!([]), "states must name"),
        ("from", json!("yesterday"), "yesterday"),
    ] {
        let mut body =
            json!({"receiver": "phone", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"});
        body[field] = value;
        let (status, answer) = app.post("/deliveries/replay", &body).await;
        let expected = if field == "receiver" { 404 } else { 422 };
        assert!(
            status == expected && answer["detail"].as_str().is_some_and(|it| it.contains(told)),
            "{answer}"
        );
    }
    is_sound(&app).await;
}
