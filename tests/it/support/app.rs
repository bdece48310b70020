//! One running application.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use andon::app::{App, AppError};
use andon::bus::EventBus;
use andon::clock::Clock;
use andon::health::Health;
use andon::notify::{AlertNotifier, ReadError};
use andon::protocol::event::LoggedEvent;
use andon::settings::Settings;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Answer, Asking, DEADLINE, EventSource, RawSocket, Services, TestSocket, address_of, eventually};

/// Settings of a test, changed before the application starts.
pub struct TestAppBuilder {
    settings: Settings,
    directory: Arc<TempDir>,
    clock: Option<Clock>,
    notifiers: Vec<(&'static str, Arc<dyn AlertNotifier>)>,
    reread: Option<Change>,
}

/// What has become of the settings of the start when they are read again.
type Change = Box<dyn Fn(&mut Settings) -> Result<(), ReadError> + Send + Sync>;

/// An application that runs until it is stopped or dropped.
pub struct TestApp {
    pub address: SocketAddr,
    pub bus: EventBus<Arc<LoggedEvent>>,
    /// How far it says it is.
    pub health: Health,
    /// The way in beside HTTP.
    pub services: Services,
    directory: Arc<TempDir>,
    http: reqwest::Client,
    token: Option<String>,
    stop: CancellationToken,
    running: JoinHandle<Result<(), AppError>>,
}

impl TestAppBuilder {
    /// Changes the settings.
    pub fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Another clock than the machine's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// A receiver of its own.
    pub fn notifier(mut self, name: &'static str, notifier: Arc<dyn AlertNotifier>) -> Self {
        self.notifiers.push((name, notifier));
        self
    }

    /// Reloads take the settings of the start, changed like this by then.
    pub fn reload_from(
        mut self,
        change: impl Fn(&mut Settings) -> Result<(), ReadError> + Send + Sync + 'static,
    ) -> Self {
        self.reread = Some(Box::new(change));
        self
    }

    /// Starts on the database of an application that was stopped.
    pub fn on_database_of(mut self, other: &Arc<TempDir>) -> Self {
        self.directory = Arc::clone(other);
        self
    }

    /// Starts the application.
    pub async fn spawn(self) -> TestApp {
        self.try_spawn().await.expect("the application starts")
    }

    /// Starts the application, or tells why it does not.
    pub async fn try_spawn(mut self) -> Result<TestApp, AppError> {
        super::name_tls_provider();
        self.settings.store.url = address_of(&self.directory.path().join("andon.db"));
        let start = self.settings.clone();
        let mut builder = App::builder(self.settings).clock(self.clock.unwrap_or_else(Clock::system));
        for (name, notifier) in self.notifiers {
            builder = builder.notifier(name, notifier);
        }
        if let Some(change) = self.reread {
            builder = builder.reload_from(move || {
                let mut settings = start.clone();
                change(&mut settings)?;
                Ok(settings)
            });
        }
        let app = builder.build().await?;
        let (address, bus, health) = (app.address(), app.bus(), app.health());
        let stop = CancellationToken::new();
        let services = Services {
            engine: app.engine(),
            alerts: app.alerts(),
            limits: app.limits(),
            catalog: app.catalog(),
        };
        let running = tokio::spawn(app.run(stop.clone()));
        let app = TestApp {
            address,
            bus,
            health,
            services,
            directory: self.directory,
            http: reqwest::Client::new(),
            token: None,
            stop,
            running,
        };
        super::eventually("the application is ready", async || {
            let ready = app.http.get(app.url("/health/ready")).send().await.ok()?;
            ready.status().is_success().then_some(())
        })
        .await;
        Ok(app)
    }
}

impl TestApp {
    /// An application with the settings of tests: one worker, a free port, a database of its own.
    pub fn builder() -> TestAppBuilder {
        let mut settings = Settings::default();
        settings.http.listen = "127.0.0.1:0".to_owned();
        settings.http.workers = 2;
        settings.broadcast.first_words_ms = 0; // who says nothing hears at once
        let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        TestAppBuilder { settings, directory, clock: None, notifiers: vec![], reread: None }
    }

    /// Starts an application with the settings of tests.
    pub async fn spawn() -> Self {
        Self::builder().spawn().await
    }

    /// From now on requests carry this token.
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// A path on this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.directory.path().join("andon.db")
    }

    /// The directory of the database; keep it to start another application on it.
    pub fn directory(&self) -> &Arc<TempDir> {
        &self.directory
    }

    /// A request to `/api/v1` + `path`, to be completed and sent.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.request_at(method, &format!("/api/v1{path}"))
    }

    /// A request to any path.
    pub fn request_at(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method.parse().expect("a method"), self.url(path));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// A request to `/api/v1` + `path`, with status and body of the answer.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let request = self.request(method, path);
        let answer = Answer::to(match body {
            Some(body) => request.json(body),
            None => request,
        });
        let Answer { status, body, .. } = answer.await;
        (status, body)
    }

    /// `GET`, which must succeed.
    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, None).await;
        assert_eq!(status, 200, "GET {path}: {body}");
        body
    }

    /// `POST`, with status and answer.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.call("POST", path, Some(body)).await
    }

    /// `PUT`, with status and answer.
    pub async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        self.call("PUT", path, Some(body)).await
    }

    /// `PUT`, which must succeed; gives the answer.
    pub async fn set(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.put(path, body).await;
        assert_eq!(status, 200, "PUT {path} {body}: {answer}");
        answer
    }

    /// A characteristic as `definition` says, by its id.
    pub async fn given_a_characteristic(&self, definition: &Value) -> i64 {
        let (status, created) = self.post("/characteristics", definition).await;
        assert_eq!(status, 201, "{created}");
        created["id"].as_i64().expect("an id")
    }

    /// An individuals chart with limits 7 .. 10 .. 13 and only rule 1, by its id; all subscribers have heard of it.
    pub async fn given_a_chart(&self, name: &str) -> i64 {
        let body = json!({"name": name, "rules": {"preset": "outlier"}});
        let id = self.given_a_characteristic(&body).await;
        let limits = json!({"center_line": 10.0, "sigma": 1.0});
        self.set(&format!("/characteristics/{id}/control-limits"), &limits).await;
        self.all_is_told().await;
        id
    }

    /// Sends single measurements in one batch, all of which must be taken; gives the ids.
    pub async fn measure_all(&self, characteristic: i64, values: &[f64]) -> Vec<i64> {
        let sample = |value: &f64| json!({"characteristic_id": characteristic, "measurements": [value]});
        let samples: Vec<Value> = values.iter().map(sample).collect();
        let (status, answer) = self.post("/samples/batch", &json!({ "samples": samples })).await;
        assert_eq!((status, answer["failed"].as_u64()), (200, Some(0)), "{answer}");
        let results = answer["results"].as_array().expect("results");
        results.iter().map(|item| item["sample_id"].as_i64().expect("an id")).collect()
    }

    /// How many samples are stored.
    pub async fn sample_total(&self) -> u64 {
        self.get("/samples?limit=1").await["total"].as_u64().expect("a total")
    }

    /// The present value of a metric; 0 while it is not there.
    pub async fn metric(&self, name: &str) -> f64 {
        let Answer { text, .. } = Answer::to(self.request_at("GET", "/metrics")).await;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Sends one measurement, which must be taken; gives the answer.
    pub async fn measure(&self, characteristic: i64, value: f64) -> Value {
        let body = json!({"characteristic_id": characteristic, "measurements": [value]});
        let (status, recorded) = self.post("/samples", &body).await;
        assert_eq!(status, 201, "{recorded}");
        recorded
    }

    /// Sends a measurement beyond the limits of [`TestApp::given_a_chart`]; gives the violation's id.
    pub async fn given_a_violation_on(&self, characteristic: i64) -> i64 {
        let recorded = self.measure(characteristic, 99.0).await;
        recorded["violations"][0]["violation_id"].as_i64().expect("rule 1 fires")
    }

    /// Acknowledges a violation.
    pub async fn acknowledge(&self, violation: i64, user: &str) -> (u16, Value) {
        let body = json!({"reason": "Tool Change", "user": user});
        self.post(&format!("/violations/{violation}/acknowledge"), &body).await
    }

    /// Waits until every shard has routed all that is committed: who connects after this hears nothing of it.
    pub async fn all_is_told(&self) {
        eventually("all that is committed is told", async || {
            let counted = Answer::to(self.request_at("GET", "/metrics")).await.text;
            let lag = |line: &&str| {
                line.starts_with("andon_relay_lag_events ")
                    || line.starts_with("andon_subscriber_lag_events{")
            };
            counted.lines().filter(lag).all(|line| line.ends_with(" 0.0")).then_some(())
        })
        .await;
    }

    /// A stream of events, asked for when all that was answered before is told.
    pub async fn event_source(&self, query: &str) -> EventSource {
        self.event_source_with(query, Asking::default()).await
    }

    /// The same of somebody who comes back with the last id that it heard.
    pub async fn resumed_event_source(&self, query: &str, last_id: &str) -> EventSource {
        self.event_source_with(query, Asking { last_id: Some(last_id), window: None }).await
    }

    /// The same with all that can be said.
    pub async fn event_source_with(&self, query: &str, asking: Asking<'_>) -> EventSource {
        self.all_is_told().await;
        EventSource::open(self.address, query, asking).await
    }

    /// A bare connection, made when all that was answered before is told; `window` as [`RawSocket::connect`] says.
    pub async fn raw_socket(&self, window: Option<u32>) -> RawSocket {
        self.all_is_told().await;
        RawSocket::connect(self.address, window).await
    }

    /// A connected client that has been welcomed, when all that was answered before is over: what it hears was
    /// done after this call.
    pub async fn socket(&self) -> TestSocket {
        self.socket_at("/api/v1/ws").await
    }

    /// The same on any of the paths.
    pub async fn socket_at(&self, path: &str) -> TestSocket {
        let counted = Answer::to(self.request_at("GET", "/metrics")).await.text;
        let mut lines = counted.lines();
        let committed = lines.find_map(|line| line.strip_prefix("andon_log_head_position "));
        // Without the right to read, nothing is told.
        let committed = committed.map_or(0, |position| position.parse::<f64>().expect("a position") as u64);
        let mut socket = TestSocket::connect_at(self.address, path, self.token.as_deref()).await;
        if socket.welcome["payload"]["seq"].as_u64() < Some(committed) {
            socket.all_up_to(committed).await;
        }
        socket
    }

    /// Waits until the application ends by itself, and tells how.
    pub async fn ended(self) -> Result<(), AppError> {
        tokio::time::timeout(DEADLINE, self.running).await.expect("ends in time").expect("does not panic")
    }

    /// Stops the application as SIGTERM would, and tells how it ended.
    pub async fn stop(self) -> Result<(), AppError> {
        self.stop.cancel();
        self.ended().await
    }
}
