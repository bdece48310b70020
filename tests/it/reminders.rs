//! Who has not answered is reminded, and who knows the worst is not told of less.

use std::sync::Arc;

use andon::domain::episode::EpisodeChange::{Acknowledged, Opened, Worsened};
use andon::notify::{ReceiverSettings, RouteSettings};
use serde_json::{Value, json};

use crate::check::check;
use crate::support::{TestApp, TestAppBuilder, TestReceiver, Treatment, eventually};

/// Longer than a test takes.
const NEVER: u64 = 3_600;

fn telling(phone: &Arc<TestReceiver>, route: RouteSettings) -> TestAppBuilder {
    TestApp::builder()
        .with(|s| {
            s.notify.receivers =
                vec![ReceiverSettings { name: "phone".to_owned(), ..ReceiverSettings::default() }];
            s.notify.routes = vec![RouteSettings { receivers: vec!["phone".to_owned()], ..route }];
            s.notify.poll_interval_ms = 20;
        })
        .notifier("phone", phone.clone())
}

fn reminding(phone: &Arc<TestReceiver>, repeat_seconds: u64) -> TestAppBuilder {
    telling(phone, RouteSettings { repeat_seconds, ..RouteSettings::default() })
}

/// What became of the deliveries, notice by notice: change, reminder and state.
async fn told(app: &TestApp) -> Vec<(String, u64, String)> {
    let list = app.get("/deliveries").await;
    let told = |item: &Value| {
        let text = |name: &str| item[name].as_str().expect("text").to_owned();
        (text("change"), item["reminder"].as_u64().expect("a number"), text("state"))
    };
    let mut items = list["items"].as_array().expect("items").clone();
    items.sort_by_key(|item| (item["seq"].as_u64(), item["reminder"].as_u64()));
    items.iter().map(told).collect()
}

async fn has_told(app: &TestApp, expected: &[(&str, u64, &str)]) {
    eventually("the deliveries are in these states", async || {
        let told = told(app).await;
        let is = |(is, be): (&(String, u64, String), &(&str, u64, &str))| {
            (is.0.as_str(), is.1, is.2.as_str()) == *be
        };
        (told.len() == expected.len() && told.iter().zip(expected).all(is)).then_some(())
    })
    .await;
}

async fn is_sound(app: &TestApp) {
    let (code, said) = check(&app.database()).await;
    assert_eq!(code, Some(0), "{said}");
}

/// A chart whose mild pattern comes before a severe one.
async fn given_a_chart_with_limits(app: &TestApp) -> i64 {
    let bore = app.given_a_characteristic(&json!({"name": "Bore"})).await;
    let limits = json!({"center_line": 10.0, "sigma": 1.0});
    app.set(&format!("/characteristics/{bore}/control-limits"), &limits).await;
    bore
}

#[tokio::test]
async fn who_does_not_answer_is_reminded_until_somebody_does() {
    let phone = TestReceiver::new();
    let app = reminding(&phone, 1).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    let taken = phone.has_taken(3).await;
    let seen: Vec<_> = taken[..3].iter().map(|alert| (alert.notice.update.change, alert.reminder)).collect();
    assert_eq!(seen, [(Opened, 0), (Opened, 1), (Opened, 2)]);
    let names: std::collections::BTreeSet<_> = taken.iter().map(|alert| &alert.delivery_id).collect();
    assert_eq!(names.len(), taken.len(), "each reminder is a delivery of its own");
    is_sound(&app).await;
    assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
    eventually("the answer is told", async || phone.changes().contains(&Acknowledged).then_some(())).await;
    eventually("nothing is scheduled any more", async || {
        let told = told(&app).await;
        (told.iter().all(|(_, _, state)| matches!(&**state, "delivered" | "superseded"))).then_some(())
    })
    .await;
    let scheduled = told(&app).await.into_iter().filter(|(change, ..)| change == "acknowledged").count();
    assert_eq!(scheduled, 1, "nobody is reminded of an answer");
    is_sound(&app).await;
}

#[tokio::test]
async fn a_newer_notice_is_what_people_are_reminded_of() {
    let phone = TestReceiver::new();
    let app = reminding(&phone, NEVER).spawn().await;
    let bore = given_a_chart_with_limits(&app).await;
    app.measure_all(bore, &[12.5, 12.5, 99.0]).await;
    has_told(
        &app,
        &[
            ("opened", 0, "delivered"),
            ("opened", 1, "superseded"),
            ("worsened", 0, "delivered"),
            ("worsened", 1, "scheduled"),
        ],
    )
    .await;
    is_sound(&app).await;
}

#[tokio::test]
async fn nobody_is_reminded_of_what_has_not_arrived() {
    let phone = TestReceiver::always(Treatment::Hangs);
    let app = reminding(&phone, 1).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    phone.has_seen(1).await;
    let due_at = async || {
        let list = app.get("/deliveries?state=scheduled").await;
        list["items"][0]["due_at"].as_str().map(ToOwned::to_owned)
    };
    let first = due_at().await;
    eventually("the reminder is put off", async || (due_at().await > first).then_some(())).await;
    has_told(&app, &[("opened", 0, "leased"), ("opened", 1, "scheduled")]).await;
    is_sound(&app).await;
}

#[tokio::test]
async fn who_knows_the_worst_is_not_told_of_less() {
    for inhibit_lesser in [true, false] {
        let phone = TestReceiver::new();
        let route = RouteSettings { inhibit_lesser, repeat_seconds: NEVER, ..RouteSettings::default() };
        let app = telling(&phone, route).spawn().await;
        let bore = given_a_chart_with_limits(&app).await;
        // One beyond three sigma is critical; two of three beyond two sigma only warn.
        app.measure_all(bore, &[99.0]).await;
        phone.has_taken(1).await;
        app.measure_all(bore, &[10.0, 12.5, 12.5]).await;
        let worsened = if inhibit_lesser { "suppressed" } else { "delivered" };
        if inhibit_lesser {
            let states = [("opened", 0, "delivered"), ("opened", 1, "scheduled"), ("worsened", 0, worsened)];
            has_told(&app, &states).await;
            let reason = app.get("/deliveries?state=suppressed").await["items"][0]["reason"].clone();
            assert!(reason.as_str().expect("a reason").starts_with("inhibited"), "{reason}");
            assert_eq!(app.metric("andon_notify_suppressed_total{kind=\"inhibited\"}").await, 1.0);
        } else {
            phone.has_taken(2).await;
            assert_eq!(phone.changes(), [Opened, Worsened]);
        }
        is_sound(&app).await;
    }
}

#[tokio::test]
async fn an_answer_is_followed_by_news_however_mild() {
    let phone = TestReceiver::new();
    let route = RouteSettings { inhibit_lesser: true, ..RouteSettings::default() };
    let app = telling(&phone, route).spawn().await;
    let bore = given_a_chart_with_limits(&app).await;
    app.measure_all(bore, &[99.0]).await;
    phone.has_taken(1).await;
    let list = app.get("/violations").await;
    for violation in list["items"].as_array().expect("items") {
        assert_eq!(app.acknowledge(violation["id"].as_i64().expect("an id"), "ann").await.0, 200);
    }
    phone.has_taken(2).await;
    app.measure_all(bore, &[10.0, 12.5, 12.5]).await;
    phone.has_taken(3).await;
    assert_eq!(phone.changes(), [Opened, Acknowledged, Worsened], "it wants another answer");
}

#[tokio::test]
async fn who_could_not_be_told_of_the_worst_is_told_of_less() {
    let phone = TestReceiver::treating([Treatment::Refuses]);
    let route = RouteSettings { inhibit_lesser: true, ..RouteSettings::default() };
    let app = telling(&phone, route).spawn().await;
    let bore = given_a_chart_with_limits(&app).await;
    app.measure_all(bore, &[99.0]).await;
    has_told(&app, &[("opened", 0, "dead")]).await;
    app.measure_all(bore, &[10.0, 12.5, 12.5]).await;
    assert_eq!(phone.has_taken(1).await[0].notice.update.change, Worsened);
}

#[tokio::test]
async fn after_a_silence_nobody_is_reminded_of_what_was_before_it() {
    let phone = TestReceiver::new();
    let app = reminding(&phone, NEVER).spawn().await;
    let bore = given_a_chart_with_limits(&app).await;
    app.measure_all(bore, &[12.5, 12.5]).await;
    phone.has_taken(1).await;
    let silence = json!({"characteristic_ids": [bore], "reason": "Trial", "minutes": 60, "user": "ann"});
    assert_eq!(app.post("/silences", &silence).await.0, 201);
    app.measure_all(bore, &[99.0]).await;
    has_told(&app, &[("opened", 0, "delivered"), ("opened", 1, "superseded"), ("worsened", 0, "scheduled")])
        .await;
    assert_eq!(app.call("DELETE", "/silences/1?user=ann", None).await.0, 200);
    has_told(
        &app,
        &[
            ("opened", 0, "delivered"),
            ("opened", 1, "superseded"),
            ("worsened", 0, "delivered"),
            ("worsened", 1, "scheduled"),
        ],
    )
    .await;
    is_sound(&app).await;
}
