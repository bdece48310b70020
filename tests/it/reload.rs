//! Receivers and routes are reloaded while everything runs.

use std::sync::{Arc, Mutex};

use andon::notify::{
    Alert, AlertNotifier, NotifyError, Receipt, ReceiverSettings, RouteSettings, Settings, email, webhook,
};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use andon::notify::contract::{FarEnd as _, Mood};

use crate::auth::{ADMIN, INGEST, OPERATE, READ, with_tokens};
use crate::support::{
    Answer, Process, Request, TestApp, TestAppBuilder, TestReceiver, TestWebhook, eventually,
};

const KEYS: [&str; 2] = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"];

/// What the settings say of receivers and routes by now.
#[derive(Clone)]
struct Written(Arc<Mutex<Settings>>);

impl Written {
    fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.0.lock().expect("not poisoned"));
    }
}

/// An application with these receivers and routes, that reads them again where they can be changed.
fn reloadable(builder: TestAppBuilder, change: impl FnOnce(&mut Settings)) -> (TestAppBuilder, Written) {
    let mut settings = Settings::default();
    change(&mut settings);
    let written = Written(Arc::new(Mutex::new(settings.clone())));
    let source = written.clone();
    let builder = builder.with(|s| s.notify = settings).reload_from(move |settings| {
        settings.notify = source.0.lock().expect("not poisoned").clone();
        Ok(())
    });
    (builder, written)
}

fn to(name: &str, far_end: &TestWebhook) -> ReceiverSettings {
    let webhook =
        webhook::Settings { url: Some(far_end.url()), allow_private: true, ..webhook::Settings::default() };
    ReceiverSettings { name: name.to_owned(), webhook: Some(webhook), ..ReceiverSettings::default() }
}

fn route(receiver: &str) -> RouteSettings {
    RouteSettings { receivers: vec![receiver.to_owned()], ..RouteSettings::default() }
}

/// Reloads, which must succeed; gives the answer.
async fn reload(app: &TestApp) -> Value {
    let (status, answer) = app.post("/reload", &json!({})).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn given_a_violation(app: &TestApp, name: &str) {
    let chart = app.given_a_chart(name).await;
    app.given_a_violation_on(chart).await;
}

async fn has_taken(far_end: &TestWebhook, count: usize) -> Vec<String> {
    eventually("the webhook has taken it", async || {
        Some(far_end.names()).filter(|names| names.len() >= count)
    })
    .await
}

/// The deliveries to a receiver, oldest first, once there are so many and all are over.
async fn over(app: &TestApp, receiver: &str, count: usize) -> Vec<Value> {
    eventually("deliveries are over", async || {
        let answer = app.get(&format!("/deliveries?receiver={receiver}")).await;
        let mut items = answer["items"].as_array().expect("items").clone();
        items.reverse();
        let are_over = items.len() >= count && items.iter().all(|item| !item["ended_at"].is_null());
        are_over.then_some(items)
    })
    .await
}

#[tokio::test]
async fn a_route_leads_elsewhere_from_then_on() {
    let (day, night) = (TestWebhook::start().await, TestWebhook::start().await);
    let (builder, written) = reloadable(TestApp::builder(), |s| {
        s.receivers = vec![to("day", &day), to("night", &night)];
        s.routes = vec![route("day")];
    });
    let app = builder.spawn().await;
    given_a_violation(&app, "Bore").await;
    has_taken(&day, 1).await;
    written.change(|s| s.routes = vec![route("night")]);
    assert_eq!(reload(&app).await, json!({"receivers": ["day", "night"], "needs_restart": []}));
    given_a_violation(&app, "Ring").await;
    has_taken(&night, 1).await;
    assert_eq!((day.names().len(), night.names().len()), (1, 1));
    assert_eq!(app.metric("andon_reloads_total{kind=\"applied\"}").await, 1.0);
}

/// Whether a webhook was called by somebody who has this key.
fn is_signed_with(key: &str, request: &Request) -> bool {
    let key = STANDARD.decode(key.trim_start_matches("whsec_")).expect("base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
    let (id, time) = (request.header("webhook-id"), request.header("webhook-timestamp"));
    mac.update(format!("{id}.{time}.{}", request.body).as_bytes());
    request.header("webhook-signature") == format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[tokio::test]
async fn a_secret_that_was_exchanged_in_its_file_is_used() {
    let (mes, file) = (TestWebhook::start().await, tempfile::NamedTempFile::new().expect("a file"));
    std::fs::write(file.path(), KEYS[0]).expect("written");
    let (builder, _) = reloadable(TestApp::builder(), |s| {
        s.receivers = vec![to("mes", &mes)];
        s.receivers[0].webhook.as_mut().expect("one").secret_files = vec![file.path().to_owned()];
    });
    let app = builder.spawn().await;
    for (name, key, other) in [("Bore", KEYS[0], KEYS[1]), ("Ring", KEYS[1], KEYS[0])] {
        std::fs::write(file.path(), key).expect("written");
        reload(&app).await;
        given_a_violation(&app, name).await;
        let request = eventually("the webhook is called", async || {
            mes.requests().into_iter().find(|request| request.body.contains(name))
        })
        .await;
        assert!(is_signed_with(key, &request) && !is_signed_with(other, &request), "{name}");
    }
}

#[tokio::test]
async fn settings_that_cannot_be_change_nothing() {
    let (mes, other) = (TestWebhook::start().await, TestWebhook::start().await);
    let templates = tempfile::tempdir().expect("a directory");
    std::fs::write(templates.path().join("body.txt"), "{{ no such thing").expect("written");
    let (builder, written) = reloadable(TestApp::builder(), |s| s.receivers = vec![to("mes", &mes)]);
    let app = builder
        .with(|s| s.site.public_url = Some("https://spc.example".to_owned().try_into().expect("a URL")))
        .spawn()
        .await;
    let mails = email::Settings {
        server: "smtp.example".to_owned(),
        from: "andon@example.com".to_owned(),
        to: vec!["ann@example.com".to_owned()],
        templates: Some(templates.path().to_owned()),
        ..email::Settings::default()
    };
    let before = written.0.lock().expect("not poisoned").clone();
    type Break<'a> = &'a dyn Fn(&mut Settings);
    let breaks: [(Break<'_>, &str); 4] = [
        (&|s| s.routes = vec![route("nobody")], "names \"nobody\", which is none of: mes"),
        (
            &|s| s.receivers[0].webhook.as_mut().expect("one").secret_files = vec!["/nowhere/key".into()],
            "the webhook of the receiver \"mes\" in notify.receivers cannot be called: the file /nowhere/key",
        ),
        (&|s| s.receivers[0].email = Some(mails.clone()), "body.txt"),
        (&|s| s.heartbeat.url = Some("hc.example/hunter2".to_owned()), "notify.heartbeat"),
    ];
    for (number, (broken, told)) in breaks.into_iter().enumerate() {
        written.change(|s| {
            *s = before.clone();
            s.receivers[0] = to("mes", &other);
            broken(s);
        });
        let (status, problem) = app.post("/reload", &json!({})).await;
        let detail = problem["detail"].as_str().expect("a text");
        assert_eq!((status, &problem["type"]), (422, &json!("urn:problem:andon:unusable_settings")));
        assert!(detail.contains(told) && !detail.contains("hunter2"), "{detail}");
        given_a_violation(&app, &format!("Bore {number}")).await;
        has_taken(&mes, number + 1).await;
    }
    assert_eq!(other.names().len(), 0);
    assert_eq!(app.metric("andon_reloads_total{kind=\"refused\"}").await, 4.0);
    assert_eq!(app.metric("andon_reloads_total{kind=\"applied\"}").await, 0.0);
}

#[tokio::test]
async fn who_hangs_holds_up_nobody_else_and_no_answer() {
    let ends = [(); 4].map(|()| TestWebhook::start());
    let [slow, quick, slow_next, quick_next] = futures_util::future::join_all(ends)
        .await
        .try_into()
        .unwrap_or_else(|_| panic!("as many as there were"));
    slow.set(Mood::Hangs).await;
    let (builder, written) = reloadable(TestApp::builder(), |s| {
        s.stop_grace_ms = 60_000;
        s.receivers = vec![to("slow", &slow), to("quick", &quick)];
    });
    let app = builder.with(|s| s.stop.grace_ms = 120_000).spawn().await;
    given_a_violation(&app, "Bore").await;
    has_taken(&quick, 1).await;
    eventually("it hangs", async || (slow.requests().len() == 1).then_some(())).await;
    written.change(|s| s.receivers = vec![to("slow", &slow_next), to("quick", &quick_next)]);
    reload(&app).await;
    given_a_violation(&app, "Ring").await;
    has_taken(&quick_next, 1).await;
    assert_eq!(slow_next.requests().len(), 0, "the one before has not ended");
    assert_eq!((slow.requests().len(), quick.names().len()), (1, 1));
}

#[tokio::test]
async fn what_takes_longer_than_the_grace_is_tried_anew_under_the_same_name() {
    let (slow, next) = (TestWebhook::start().await, TestWebhook::start().await);
    slow.set(Mood::Hangs).await;
    let (builder, written) = reloadable(TestApp::builder(), |s| {
        s.stop_grace_ms = 10;
        s.receivers = vec![to("mes", &slow)];
    });
    let app = builder.spawn().await;
    given_a_violation(&app, "Bore").await;
    eventually("it hangs", async || (slow.requests().len() == 1).then_some(())).await;
    written.change(|s| s.receivers = vec![to("mes", &next)]);
    reload(&app).await;
    let delivery = over(&app, "mes", 1).await.remove(0);
    assert_eq!((&delivery["state"], &delivery["name"]), (&json!("delivered"), &json!(next.names()[0])));
    let attempts = app.get(&format!("/deliveries/{}", delivery["id"])).await["attempts"].clone();
    let told = |number: usize| (&attempts[number]["outcome"], &attempts[number]["detail"]);
    assert_eq!(told(0).0, "uncertain");
    assert_eq!(told(0).1, "cut short: the process stopped, or its settings were reloaded");
    assert_eq!(told(1).0, "delivered");
}

/// Takes an alert, and leaves, when it is let.
struct Doorkeeper {
    seen: Mutex<Vec<String>>,
    let_through: Semaphore,
}

impl Doorkeeper {
    fn see(&self, what: impl Into<String>) {
        self.seen.lock().expect("not poisoned").push(what.into());
    }

    fn seen(&self, what: &[&str]) -> Vec<String> {
        let seen = self.seen.lock().expect("not poisoned").clone();
        seen.into_iter().filter(|seen| what.iter().any(|word| seen.starts_with(word))).collect()
    }
}

#[async_trait]
impl AlertNotifier for Doorkeeper {
    async fn notify(&self, alert: &Alert) -> Result<Receipt, NotifyError> {
        let name = &alert.notice.update.episode.characteristic_name;
        self.see(format!("begins {name}"));
        self.let_through.acquire().await.expect("open").forget();
        self.see(format!("takes {name}"));
        Ok(Receipt::silent())
    }

    async fn run(&self, stop: CancellationToken) {
        self.see("connects");
        stop.cancelled().await;
        self.let_through.acquire().await.expect("open").forget();
        self.see("leaves");
    }
}

#[tokio::test]
async fn who_serves_a_receiver_next_waits_for_the_one_before_and_each_delivery_arrives_once() {
    let (door, quick) =
        (Doorkeeper { seen: Mutex::default(), let_through: Semaphore::new(0) }, TestReceiver::new());
    let door = Arc::new(door);
    let named = |name: &str, concurrency| ReceiverSettings {
        name: name.to_owned(),
        concurrency,
        ..ReceiverSettings::default()
    };
    let (builder, written) = reloadable(TestApp::builder(), |s| {
        s.stop_grace_ms = 60_000;
        s.receivers = vec![named("door", 1), named("quick", 1)];
        s.routes = vec![route("door")];
    });
    let builder = builder.with(|s| s.stop.grace_ms = 120_000);
    let app = builder.notifier("door", door.clone()).notifier("quick", quick.clone()).spawn().await;
    for name in ["A", "B", "C"] {
        given_a_violation(&app, name).await;
    }
    eventually("the first is under way", async || (door.seen(&["begins"]).len() == 1).then_some(())).await;
    written.change(|s| {
        s.receivers = vec![named("door", 4), named("quick", 4)];
        s.routes = vec![route("door"), route("quick")];
        s.routes[0].goes_on = true;
    });
    tokio::join!(reload(&app), reload(&app), reload(&app));
    given_a_violation(&app, "D").await;
    quick.has_taken(1).await; // the new plan is carried out
    assert_eq!(door.seen(&["begins", "connects"]), ["connects", "begins A"]);
    door.let_through.add_permits(100);
    let deliveries = over(&app, "door", 4).await;
    assert!(
        deliveries.iter().all(|it| it["attempt_total"] == 1 && it["state"] == "delivered"),
        "{deliveries:?}"
    );
    let mut taken = door.seen(&["takes"]);
    assert_eq!(taken[0], "takes A");
    taken.sort();
    assert_eq!(taken, ["takes A", "takes B", "takes C", "takes D"]);
    eventually("it connects again", async || {
        (door.seen(&["connects", "leaves"]) == ["connects", "leaves", "connects"]).then_some(())
    })
    .await;
    let (left, next) = (door.seen(&["leaves", "begins B"]), ["leaves", "begins B"]);
    assert_eq!(left, next, "the one before has left");
}

#[tokio::test]
async fn what_waits_for_a_receiver_that_was_taken_away_waits_until_it_is_back() {
    let (mes, page) = (TestWebhook::start().await, TestWebhook::start().await);
    mes.set(Mood::Busy).await;
    let (builder, written) = reloadable(TestApp::builder(), |s| {
        s.sweep_interval_ms = 20;
        s.receivers = vec![to("mes", &mes), to("other", &page)];
        s.routes = vec![route("mes")];
    });
    let app = builder.spawn().await;
    given_a_violation(&app, "Bore").await;
    let is_counted = async || {
        let text = Answer::to(app.request_at("GET", "/metrics")).await.text;
        text.contains("receiver=\"mes\"")
    };
    eventually("it has failed", async || {
        (app.metric("andon_notify_attempts_total{receiver=\"mes\",outcome=\"transient\"}").await > 0.0)
            .then_some(())
    })
    .await;
    let there = written.0.lock().expect("not poisoned").clone();
    written.change(|s| {
        s.receivers.remove(0);
        s.routes.clear();
        s.heartbeat.url = Some(page.url());
        s.heartbeat.allow_private = true;
    });
    assert_eq!(reload(&app).await["receivers"], json!(["other"]));
    eventually("nothing is counted of it any more", async || (!is_counted().await).then_some(())).await;
    eventually("the new heartbeat beats", async || (!page.requests().is_empty()).then_some(())).await;
    assert_eq!(app.get("/deliveries?receiver=mes&state=retrying").await["total"], 1);
    mes.set(Mood::Takes).await;
    assert_eq!(mes.names().len(), 0);
    written.change(|s| *s = there);
    reload(&app).await;
    let delivery = over(&app, "mes", 1).await.remove(0);
    assert_eq!(
        (&delivery["state"], mes.names()),
        (&json!("delivered"), vec![delivery["name"].as_str().expect("a name").to_owned()])
    );
    assert!(is_counted().await);
}

#[tokio::test]
async fn sections_that_need_a_restart_are_named_and_not_applied() {
    let app = TestApp::builder().reload_from(|settings| {
        settings.http.workers = 7;
        settings.auth.allow_anonymous = true;
        settings.log.filter = "hunter2".to_owned();
        Ok(())
    });
    let app = app.spawn().await;
    assert_eq!(reload(&app).await, json!({"receivers": ["log"], "needs_restart": ["http", "auth", "log"]}));
}

#[tokio::test]
async fn a_program_without_a_source_of_settings_says_so() {
    let app = TestApp::spawn().await;
    Answer::to(app.request("POST", "/reload")).await.expect_problem(409, "no_settings_source");
}

#[tokio::test]
async fn only_who_may_do_everything_may_reload() {
    let reads = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&reads);
    let builder = with_tokens().reload_from(move |_| {
        *counted.lock().expect("not poisoned") += 1;
        Ok(())
    });
    let mut app = builder.spawn().await;
    Answer::to(app.request("POST", "/reload")).await.expect_problem(401, "not_authenticated");
    for token in [READ, INGEST, OPERATE] {
        app = app.with_token(token);
        Answer::to(app.request("POST", "/reload")).await.expect_problem(403, "forbidden");
    }
    assert_eq!(*reads.lock().expect("not poisoned"), 0);
    app = app.with_token(ADMIN);
    reload(&app).await;
    assert_eq!(*reads.lock().expect("not poisoned"), 1);
}

/// Sends a violation on a new chart to a process.
async fn given_a_violation_in(process: &Process, name: &str) {
    let call = async |method: &str, path: &str, body: Value| -> Value {
        let url = format!("http://{}/api/v1{path}", process.address);
        let request = reqwest::Client::new().request(method.parse().expect("a method"), url);
        let answer = request.json(&body).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{method} {path}: {}", answer.status());
        answer.json().await.expect("JSON")
    };
    let definition = json!({"name": name, "rules": {"preset": "outlier"}});
    let id = call("POST", "/characteristics", definition).await["id"].clone();
    let limits = json!({"center_line": 10.0, "sigma": 1.0});
    call("PUT", &format!("/characteristics/{id}/control-limits"), limits).await;
    call("POST", "/samples", json!({"characteristic_id": id, "measurements": [99.0]})).await;
}

#[tokio::test]
async fn sighup_reloads_the_file_and_a_broken_one_changes_nothing() {
    let (mes, next) = (TestWebhook::start().await, TestWebhook::start().await);
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("andon.toml");
    let receiver = |far_end: &TestWebhook| {
        let url = far_end.url();
        format!("[[notify.receivers]]\nname = 'mes'\nwebhook = {{ url = '{url}', allow_private = true }}\n")
    };
    std::fs::write(&file, receiver(&mes)).expect("written");
    let mut command = Process::serve(&directory.path().join("andon.db"));
    command.arg("--config").arg(&file);
    let process = Process::start(command).await;

    std::fs::write(&file, receiver(&next) + "[auth]\ntokens = ['hunter2\n").expect("written");
    process.signal("HUP").await;
    let told = "receivers and routes were not reloaded";
    eventually("it is told", async || process.log().contains(told).then_some(())).await;
    assert_eq!(process.log().matches("ERROR").count(), 1, "{}", process.log());
    let url = format!("http://{}/api/v1/reload", process.address);
    let refused = reqwest::Client::new().post(url).send().await.expect("an answer");
    assert_eq!(refused.status(), 422);
    let refused = refused.text().await.expect("a text");
    for text in [&refused, &process.log()] {
        assert!(text.contains("TOML parse error at line 5") && !text.contains("hunter2"), "{text}");
    }
    given_a_violation_in(&process, "Bore").await;
    has_taken(&mes, 1).await;

    std::fs::write(&file, receiver(&next) + "[http]\nworkers = 1\n").expect("written");
    process.signal("HUP").await;
    eventually("it is told", async || {
        process.log().contains("settings in http have changed, too").then_some(())
    })
    .await;
    given_a_violation_in(&process, "Ring").await;
    has_taken(&next, 1).await;
    assert_eq!((mes.names().len(), next.names().len()), (1, 1));
    process.terminate().await;
    assert!(process.end().await.0.success());
}
