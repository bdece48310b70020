//! For a while nobody is told of some processes, and nothing is forgotten meanwhile.

use std::sync::Arc;

use andon::domain::episode::EpisodeChange::{Acknowledged, Closed, Opened, Worsened};
use andon::notify::{ReceiverSettings, RouteSettings, StepSettings};
use serde_json::{Value, json};

use crate::check::check;
use crate::support::{TestApp, TestAppBuilder, TestReceiver, eventually};

fn telling(phone: &Arc<TestReceiver>) -> TestAppBuilder {
    TestApp::builder()
        .with(|s| {
            s.notify.receivers =
                vec![ReceiverSettings { name: "phone".to_owned(), ..ReceiverSettings::default() }];
            s.notify.poll_interval_ms = 20;
        })
        .notifier("phone", phone.clone())
}

/// A silence of an hour about a characteristic.
async fn silenced(app: &TestApp, of: i64) -> i64 {
    silence(app, &json!({"characteristic_ids": [of], "reason": "Tool Change", "minutes": 60, "user": "ann"}))
        .await
}

async fn silence(app: &TestApp, body: &Value) -> i64 {
    let (status, answer) = app.post("/silences", body).await;
    assert_eq!(status, 201, "{answer}");
    answer["id"].as_i64().expect("an id")
}

async fn end(app: &TestApp, id: i64) -> Value {
    let (status, answer) = app.call("DELETE", &format!("/silences/{id}?user=bob"), None).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// The deliveries to a receiver, oldest first.
async fn deliveries(app: &TestApp, receiver: &str) -> Vec<Value> {
    let list = app.get(&format!("/deliveries?receiver={receiver}")).await;
    let mut items = list["items"].as_array().expect("items").clone();
    items.reverse();
    items
}

async fn has_deliveries(app: &TestApp, receiver: &str, states: &[(&str, &str)]) -> Vec<Value> {
    eventually("the deliveries are in these states", async || {
        let items = deliveries(app, receiver).await;
        let is = |(item, (change, state)): (&Value, &(&str, &str))| {
            item["change"] == *change && item["state"] == *state
        };
        (items.len() == states.len() && items.iter().zip(states).all(is)).then_some(items)
    })
    .await
}

async fn is_sound(app: &TestApp) {
    let (code, said) = check(&app.database()).await;
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test]
async fn what_still_waits_when_a_silence_ends_is_told_then() {
    let phone = TestReceiver::new();
    let app = telling(&phone).spawn().await;
    let (bore, width) = (app.given_a_chart("Bore").await, app.given_a_chart("Width").await);
    let id = silenced(&app, bore).await;
    app.given_a_violation_on(bore).await;
    app.given_a_violation_on(width).await;
    assert_eq!(phone.has_taken(1).await[0].notice.update.episode.characteristic_name, "Width");
    let held = has_deliveries(&app, "phone", &[("opened", "scheduled"), ("opened", "delivered")]).await;
    assert_eq!(held[0]["silence_id"], id);
    assert_eq!(held[0]["reason"], format!("silence {id} by ann: Tool Change"));
    let ends_at = app.get(&format!("/silences/{id}")).await["ends_at"].clone();
    assert_eq!(held[0]["due_at"], ends_at);
    is_sound(&app).await;

    let ended = end(&app, id).await;
    assert_eq!((&ended["in_force"], &ended["ended_by"]), (&json!(false), &json!("bob")));
    assert_eq!(phone.has_taken(2).await[1].notice.update.episode.characteristic_name, "Bore");
    let told = has_deliveries(&app, "phone", &[("opened", "delivered"), ("opened", "delivered")]).await;
    assert_eq!(told[0]["reason"], Value::Null);
    is_sound(&app).await;
}

#[tokio::test]
async fn who_was_told_nothing_hears_nothing_of_the_answer_nor_of_the_end() {
    let phone = TestReceiver::new();
    let app = telling(&phone).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let id = silenced(&app, bore).await;
    let violation = app.given_a_violation_on(bore).await;
    assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
    has_deliveries(&app, "phone", &[("opened", "superseded"), ("acknowledged", "suppressed")]).await;
    end(&app, id).await; // what was held back stays untold
    app.measure_all(bore, &[10.0; 25]).await;
    let states = [("opened", "superseded"), ("acknowledged", "suppressed"), ("closed", "suppressed")];
    let over = has_deliveries(&app, "phone", &states).await;
    assert!(over[2]["reason"].as_str().expect("a reason").contains("a silence"), "{over:?}");
    assert!(phone.changes().is_empty());
    assert_eq!(app.metric("andon_notify_suppressed_total{kind=\"silenced\"}").await, 2.0);
    is_sound(&app).await;
}

#[tokio::test]
async fn who_was_told_before_hears_of_the_answer_and_of_the_end() {
    let phone = TestReceiver::new();
    let app = telling(&phone).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    phone.has_taken(1).await;
    silenced(&app, bore).await;
    assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
    app.measure_all(bore, &[10.0; 25]).await;
    phone.has_taken(3).await;
    assert_eq!(phone.changes(), [Opened, Acknowledged, Closed]);
    is_sound(&app).await;
}

#[tokio::test]
async fn of_what_is_held_back_the_newest_is_told_and_nothing_after_something_newer() {
    let phone = TestReceiver::new();
    let app = telling(&phone).spawn().await;
    let bore = app.given_a_characteristic(&json!({"name": "Bore"})).await;
    let limits = json!({"center_line": 10.0, "sigma": 1.0});
    app.set(&format!("/characteristics/{bore}/control-limits"), &limits).await;
    // Two of three beyond two sigma warn, one beyond three is critical.
    app.measure_all(bore, &[12.5, 12.5]).await;
    phone.has_taken(1).await;
    let id = silenced(&app, bore).await;
    app.measure_all(bore, &[99.0]).await;
    has_deliveries(&app, "phone", &[("opened", "delivered"), ("worsened", "scheduled")]).await;
    end(&app, id).await;
    phone.has_taken(2).await;
    assert_eq!(phone.changes(), [Opened, Worsened]);

    let width = app.given_a_characteristic(&json!({"name": "Width"})).await;
    app.set(&format!("/characteristics/{width}/control-limits"), &limits).await;
    let mild = json!({
        "characteristic_ids": [width], "max_severity": "WARNING", "reason": "Trial", "minutes": 60, "user": "ann"
    });
    let id = silence(&app, &mild).await;
    app.measure_all(width, &[12.5, 12.5, 99.0]).await;
    let taken = phone.has_taken(3).await;
    assert_eq!(taken[2].notice.update.change, Worsened, "severe enough to be told");
    end(&app, id).await;
    let states = [
        ("opened", "delivered"),
        ("worsened", "delivered"),
        ("opened", "superseded"),
        ("worsened", "delivered"),
    ];
    has_deliveries(&app, "phone", &states).await;
    is_sound(&app).await;
}

#[tokio::test]
async fn steps_of_an_escalation_wait_for_the_end_too() {
    let (phone, chief) = (TestReceiver::new(), TestReceiver::new());
    let app = telling(&phone)
        .with(|s| {
            let step = StepSettings { after_seconds: 1, receivers: vec!["chief".to_owned()] };
            s.notify.routes = vec![RouteSettings {
                receivers: vec!["phone".to_owned()],
                escalate: vec![step],
                ..RouteSettings::default()
            }];
        })
        .notifier("chief", chief.clone())
        .spawn()
        .await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    phone.has_taken(1).await;
    let id = silenced(&app, bore).await;
    // Its time comes while it is silenced: it is moved to the end of the silence.
    let ends_at = app.get(&format!("/silences/{id}")).await["ends_at"].clone();
    eventually("the step waits for the end", async || {
        (deliveries(&app, "chief").await[0]["due_at"] == ends_at).then_some(())
    })
    .await;
    assert!(chief.changes().is_empty());
    end(&app, id).await;
    assert_eq!(chief.has_taken(1).await[0].step, 1);
    is_sound(&app).await;
}

#[tokio::test]
async fn a_silence_names_something_has_an_author_and_ends() {
    let phone = TestReceiver::new();
    let app =
        telling(&phone).with(|s| (s.notify.max_silences, s.notify.silence_max_hours) = (2, 24)).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let whole = json!({"characteristic_ids": [bore], "reason": "Trial", "minutes": 60, "user": "ann"});
    for (field, value, status, told) in [
        ("characteristic_ids", json!([]), 422, "name at least one of"),
        ("characteristic_ids", json!([999]), 404, "characteristic 999 does not exist"),
        ("groups", json!(["plant//line"]), 422, "groups must be"),
        ("receivers", json!(["nobody"]), 404, "there is no receiver \"nobody\", only: phone"),
        ("reason", json!(" "), 422, "reason must be"),
        ("minutes", json!(0), 422, "it must end after now"),
        ("minutes", json!(25 * 60), 422, "it may last 24 hours at most"),
        ("minutes", Value::Null, 422, "ends_at or minutes"),
        ("ends_at", json!("2020-01-01T00:00:00Z"), 422, "and not both"),
        ("user", Value::Null, 422, "user is required"),
        ("for_ever", json!(true), 422, "for_ever"),
    ] {
        let mut body = whole.clone();
        body[field] = value;
        let (is, answer) = app.post("/silences", &body).await;
        assert_eq!(is, status, "{field}: {answer}");
        assert!(
            answer.to_string().contains(told) || answer["detail"].as_str().unwrap_or_default().contains(told),
            "{answer}"
        );
    }
    let first = silence(&app, &whole).await;
    silence(&app, &json!({"receivers": ["phone"], "reason": "Night", "minutes": 60, "user": "ann"})).await;
    let (status, answer) = app.post("/silences", &whole).await;
    assert_eq!((status, &answer["title"]), (409, &json!("Too many silences")), "{answer}");
    end(&app, first).await;
    assert_eq!(end(&app, first).await["ended_by"], "bob", "it is over already");
    let third = silence(&app, &whole).await;
    let list = async |query: &str| {
        let list = app.get(&format!("/silences{query}")).await;
        list["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|item| item["id"].as_i64().expect("an id"))
            .collect::<Vec<_>>()
    };
    assert_eq!(list("").await, [third, first + 1, first]);
    assert_eq!(list("?in_force=true").await, [third, first + 1]);
    assert_eq!(list("?in_force=false").await, [first]);
    assert_eq!(app.call("DELETE", "/silences/99?user=bob", None).await.0, 404);
    assert_eq!(app.call("DELETE", &format!("/silences/{third}"), None).await.0, 422, "nobody says who");
}

#[tokio::test]
async fn a_silence_outlasts_a_restart() {
    let phone = TestReceiver::new();
    let app = telling(&phone).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let id = silenced(&app, bore).await;
    let directory = Arc::clone(app.directory());
    app.stop().await.expect("stops");
    let app = telling(&phone).on_database_of(&directory).spawn().await;
    app.given_a_violation_on(bore).await;
    has_deliveries(&app, "phone", &[("opened", "scheduled")]).await;
    end(&app, id).await;
    phone.has_taken(1).await;
}

#[tokio::test]
async fn who_only_wants_to_know_the_end_hears_of_it() {
    let phone = TestReceiver::new();
    let app = telling(&phone)
        .with(|s| {
            s.notify.routes = vec![RouteSettings {
                notices: vec![Closed],
                receivers: vec!["phone".to_owned()],
                ..RouteSettings::default()
            }];
        })
        .spawn()
        .await;
    let bore = app.given_a_chart("Bore").await;
    silenced(&app, bore).await;
    app.given_a_violation_on(bore).await;
    app.measure_all(bore, &[10.0; 25]).await;
    assert_eq!(phone.has_taken(1).await[0].notice.update.change, Closed, "nothing was kept from them");
}

#[tokio::test]
async fn each_silence_holds_what_it_holds_and_no_longer() {
    let phone = TestReceiver::new();
    let app = telling(&phone).spawn().await;
    let bore = app.given_a_characteristic(&json!({"name": "Bore"})).await;
    let limits = json!({"center_line": 10.0, "sigma": 1.0});
    app.set(&format!("/characteristics/{bore}/control-limits"), &limits).await;
    let of = |minutes: u32| json!({"characteristic_ids": [bore], "reason": "Trial", "minutes": minutes, "user": "ann"});
    let short = silence(&app, &of(60)).await;
    app.measure_all(bore, &[12.5, 12.5]).await;
    has_deliveries(&app, "phone", &[("opened", "scheduled")]).await;
    let long = silence(&app, &of(120)).await;
    app.measure_all(bore, &[99.0]).await;
    has_deliveries(&app, "phone", &[("opened", "superseded"), ("worsened", "scheduled")]).await;
    end(&app, short).await;
    end(&app, long).await;
    assert_eq!(phone.has_taken(1).await[0].notice.update.change, Worsened);
    is_sound(&app).await;
}
