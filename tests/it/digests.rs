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

/// Together what comes within an hour, or until somebody asks for it.
fn grouping() -> ReceiverSettings {
    ReceiverSettings { group_seconds: 3_600, ..ReceiverSettings::default() }
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
    alert.parts().map(|(notice, _)| notice.update.episode.characteristic_name.clone()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn deliveries(app: &TestApp) -> Vec<Value> {
    let list = app.get("/deliveries").await;
    list["items"].as_array().expect("items").iter().rev().cloned().collect()
}

/// Waits until so many are stored, and has the first of them tried at once, and with it all that waits.
async fn hurried(app: &TestApp, count: usize) -> Vec<Value> {
    let items = eventually("they are stored", async || {
        Some(deliveries(app).await).filter(|items| items.len() == count)
    })
    .await;
    let first = items.iter().find(|item| item["state"] == "pending").expect("one that waits");
    let (status, answer) = app.post(&format!("/deliveries/{}/retry", first["id"]), &json!({})).await;
    assert_eq!(status, 200, "{answer}");
    items
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
    let stored = hurried(&app, 3).await;
    assert!(stored.iter().all(|item| item["state"] == "pending" && item["attempt_total"] == 0), "{stored:?}");
    let items = are_delivered(&app, 3).await;
    let taken = phone.taken();
    assert_eq!((taken.len(), names(&taken[0])), (1, set(&["Bore", "Height", "Width"])));
    for item in &items {
        assert_eq!(item["digest_id"], items[0]["id"], "the first one leads");
        let whole = app.get(&format!("/deliveries/{}", item["id"])).await;
        let attempts = whole["attempts"].as_array().expect("attempts");
        assert_eq!((attempts.len(), &attempts[0]["outcome"]), (1, &json!("delivered")), "{whole}");
    }
    is_sound(&app).await;
}

#[tokio::test]
async fn a_window_ends_by_itself() {
    let phone = TestReceiver::of_several([]);
    let app = telling(&phone, ReceiverSettings { group_seconds: 1, ..grouping() }).spawn().await;
    given_violations(&app, &["Bore"]).await;
    let items = are_delivered(&app, 1).await;
    let time = |name: &str| -> chrono::DateTime<chrono::Utc> {
        items[0][name].as_str().expect("a time").parse().expect("a time")
    };
    assert!(time("ended_at") - time("created_at") >= chrono::TimeDelta::seconds(1), "{items:?}");
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
    hurried(&app, 2).await;
    are_delivered(&app, 2).await;
    given_violations(&app, &["Height"]).await;
    hurried(&app, 3).await;
    are_delivered(&app, 3).await;
    let attempts = phone.attempts();
    let told: Vec<_> = attempts.iter().map(|alert| (alert.attempt, names(alert))).collect();
    let both = set(&["Bore", "Width"]);
    assert_eq!(told, [(1, both.clone()), (2, both.clone()), (3, both), (1, set(&["Height"]))]);
    assert!(attempts[..3].iter().all(|alert| alert.delivery_id == attempts[0].delivery_id));
    is_sound(&app).await;
}

/// A message of two that hangs, of an app that has stopped then.
async fn given_a_message_cut_short() -> (Alert, Arc<tempfile::TempDir>) {
    let hanging = TestReceiver::of_several([Treatment::Hangs]);
    let app = telling(&hanging, grouping()).with(|s| s.notify.stop_grace_ms = 50).spawn().await;
    given_violations(&app, &["Bore", "Width"]).await;
    hurried(&app, 2).await;
    let message = hanging.has_seen(1).await.remove(0);
    let directory = Arc::clone(app.directory());
    app.stop().await.expect("stops");
    (message, directory)
}

#[tokio::test]
async fn a_message_that_a_stop_cuts_short_is_the_same_after_the_start() {
    let (message, directory) = given_a_message_cut_short().await;
    let phone = TestReceiver::of_several([]);
    // What was put together stays so, also where nothing new is.
    let app = telling(&phone, ReceiverSettings::default()).on_database_of(&directory).spawn().await;
    let again = phone.has_taken(1).await.remove(0);
    assert_eq!((&again.delivery_id, names(&again)), (&message.delivery_id, names(&message)));
    are_delivered(&app, 2).await;
    is_sound(&app).await;
}

#[tokio::test]
async fn who_can_be_told_of_one_thing_only_by_now_is_told_one_by_one() {
    let (message, directory) = given_a_message_cut_short().await;
    let phone = TestReceiver::new();
    let app = telling(&phone, ReceiverSettings::default()).on_database_of(&directory).spawn().await;
    let items = are_delivered(&app, 2).await;
    assert!(items.iter().all(|item| item["digest_id"].is_null()), "{items:?}");
    let taken = phone.taken();
    assert!(taken.len() == 2 && taken.iter().all(|alert| alert.others.is_empty()));
    assert_eq!(taken.iter().flat_map(names).collect::<BTreeSet<_>>(), names(&message));
    is_sound(&app).await;
}

#[tokio::test]
async fn of_a_refused_message_each_part_is_told_alone() {
    let phone = TestReceiver::of_several([Treatment::Refuses, Treatment::Refuses]);
    let app = telling(&phone, grouping()).spawn().await;
    given_violations(&app, &["Bore", "Width", "Height"]).await;
    hurried(&app, 3).await;
    let items = eventually("all of them are over", async || {
        Some(deliveries(&app).await).filter(|items| items.iter().all(|item| !item["ended_at"].is_null()))
    })
    .await;
    let states: BTreeSet<_> = items.iter().map(|item| item["state"].as_str().expect("a state")).collect();
    assert_eq!(states, BTreeSet::from(["dead", "delivered"]), "one of them was what is refused");
    assert_eq!(phone.taken().len(), 2);
    assert!(phone.attempts()[1..].iter().all(|alert| alert.others.is_empty()));
    assert_eq!(names(&phone.attempts()[0]).len(), 3);
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
