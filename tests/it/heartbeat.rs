//! The dead man's switch: somebody outside is called as long as people can be told.

use andon::notify::ReceiverSettings;

use crate::support::{Answer, TestApp, TestAppBuilder, TestReceiver, TestWebhook, Treatment, eventually};

fn beating(page: &TestWebhook) -> TestAppBuilder {
    let url = page.url();
    TestApp::builder().with(move |s| {
        s.notify.heartbeat.url = Some(url);
        s.notify.heartbeat.allow_private = true;
        s.notify.heartbeat.interval_seconds = 1;
        s.notify.sweep_interval_ms = 20;
    })
}

async fn count(app: &TestApp, outcome: &str) -> f64 {
    let text = Answer::to(app.request_at("GET", "/metrics")).await.text;
    let line = format!("andon_notify_heartbeats_total{{kind=\"{outcome}\"}} ");
    text.lines().find_map(|l| l.strip_prefix(&line)).map_or(0.0, |n| n.parse().expect("a number"))
}

#[tokio::test]
async fn it_is_sent_as_long_as_people_can_be_told() {
    let page = TestWebhook::start().await;
    let app = beating(&page).spawn().await;
    eventually("two beats", async || (page.requests().len() >= 2).then_some(())).await;
    assert_eq!(page.requests()[0].path, "/hooks/andon");
    page.answer("HTTP/1.1 500 Internal Server Error");
    eventually("one that was not heard", async || (count(&app, "failed").await >= 1.0).then_some(())).await;
    assert!(count(&app, "sent").await >= 1.0);
}

#[tokio::test]
async fn it_is_held_back_when_something_is_overdue() {
    let page = TestWebhook::start().await;
    let scada = TestReceiver::always(Treatment::Fails);
    let receiver = ReceiverSettings { name: "scada".to_owned(), ..ReceiverSettings::default() };
    let app = beating(&page)
        .with(|s| {
            s.notify.overdue_seconds = 0;
            s.notify.receivers = vec![receiver];
        })
        .notifier("scada", scada)
        .spawn()
        .await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    eventually("a beat is held back", async || (count(&app, "held_back").await >= 1.0).then_some(())).await;
    let ready = Answer::to(app.request("GET", "/health/ready")).await;
    assert_eq!(ready.status, 200, "a receiver in trouble is no reason to be not ready");
}

#[tokio::test]
async fn a_page_that_cannot_be_called_is_refused_at_the_start() {
    let app = TestApp::builder().with(|s| s.notify.heartbeat.url = Some("hc-ping.example/secret".to_owned()));
    let error = app.try_spawn().await.err().expect("refused");
    let told = andon::error_chain::error_chain(&error).to_string();
    assert!(told.contains("notify.heartbeat") && !told.contains("secret"), "{told}");
}
