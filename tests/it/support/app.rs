//! One running application.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use andon::app::{App, AppError};
use andon::bus::EventBus;
use andon::protocol::event::LoggedEvent;
use andon::settings::Settings;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{DEADLINE, Services, TestSocket};

/// Settings of a test, changed before the application starts.
pub struct TestAppBuilder {
    settings: Settings,
    directory: Arc<TempDir>,
}

/// An application that runs until it is stopped or dropped.
pub struct TestApp {
    pub address: SocketAddr,
    pub bus: EventBus<Arc<LoggedEvent>>,
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
        self.settings.store.url = format!("sqlite://{}", self.directory.path().join("andon.db").display());
        let app = App::builder(self.settings).build().await?;
        let (address, bus, stop) = (app.address(), app.bus(), CancellationToken::new());
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
        let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        TestAppBuilder { settings, directory }
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

    /// A request to `/api/v1` + `path`, with status and body of the answer.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, self.url(&format!("/api/v1{path}")));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
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

    /// An individuals chart with limits 7 .. 10 .. 13 and only rule 1, by its id.
    pub async fn given_a_chart(&self, name: &str) -> i64 {
        let body = json!({"name": name, "rules": {"preset": "outlier"}});
        let (status, created) = self.post("/characteristics", &body).await;
        assert_eq!(status, 201, "{created}");
        let id = created["id"].as_i64().expect("an id");
        let limits = json!({"center_line": 10.0, "sigma": 1.0});
        let (status, body) = self.put(&format!("/characteristics/{id}/control-limits"), &limits).await;
        assert_eq!(status, 200, "{body}");
        id
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

    /// A connected client that has been welcomed.
    pub async fn socket(&self) -> TestSocket {
        TestSocket::connect(self.address, self.token.as_deref()).await
    }

    /// Stops the application as SIGTERM would, and tells how it ended.
    pub async fn stop(self) -> Result<(), AppError> {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.running).await.expect("stops in time").expect("does not panic")
    }
}
