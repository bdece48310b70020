//! The webhook notifier against a receiver that speaks HTTP.

use std::time::Duration;

use andon::clock::Clock;
use andon::domain::episode::EpisodeChange;
use andon::notify::webhook::{Format, Settings, WebhookNotifier};
use andon::notify::{AlertNotifier, Failure, ReceiverSettings, contract, sample_alert};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::interop::{prepared, verified};
use crate::support::{TestApp, TestWebhook, eventually};

const KEYS: [&str; 2] = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"];

fn to(far_end: &TestWebhook) -> Settings {
    Settings { url: Some(far_end.url()), allow_private: true, ..Settings::default() }
}

fn notifier(settings: &Settings) -> WebhookNotifier {
    WebhookNotifier::new(settings, Clock::system()).expect("it can be called")
}

#[tokio::test]
async fn the_webhook_keeps_the_contract() {
    let far_end = TestWebhook::start().await;
    let signing = Settings { secrets: KEYS.map(str::to_owned).to_vec(), ..to(&far_end) };
    let made = contract::check(&notifier(&signing), &far_end).await.expect("keeps the contract");
    assert_eq!(made.len(), 11, "nothing was left out: {made:#?}");
}

/// The notifier that an integrator would write first, and which loses alerts.
struct Careless(WebhookNotifier);

#[async_trait::async_trait]
impl AlertNotifier for Careless {
    async fn notify(
        &self,
        alert: &andon::notify::Alert,
    ) -> Result<andon::notify::Receipt, andon::notify::NotifyError> {
        let _ = self.0.notify(alert).await;
        Ok(andon::notify::Receipt::silent())
    }
}

#[tokio::test]
async fn the_contract_finds_a_notifier_that_says_delivered_whatever_happened() {
    let far_end = TestWebhook::start().await;
    let broken =
        contract::check(&Careless(notifier(&to(&far_end))), &far_end).await.expect_err("it is broken");
    assert_eq!(broken.found, "it said that it had arrived");
}

#[tokio::test]
async fn an_answer_says_whether_to_try_again() {
    let far_end = TestWebhook::start().await;
    let notifier = notifier(&to(&far_end));
    let alert = sample_alert("log-1", "", EpisodeChange::Opened, "Bore");
    let in_an_hour =
        chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::UNIX_EPOCH + hour_from_now());
    let date = in_an_hour.format("%a, %d %b %Y %H:%M:%S GMT");
    let transient = |retry_after| Failure::Transient { retry_after };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    for (head, expected) in [
        ("301 Moved Permanently\r\nLocation: http://127.0.0.1:1/", transient(None)),
        ("400 Bad Request", Failure::Permanent),
        ("404 Not Found", transient(None)),
        ("410 Gone", Failure::Gone),
        ("422 Unprocessable Entity", Failure::Permanent),
        ("429 Too Many Requests\r\nRetry-After: 7", transient(seconds(7))),
        ("500 Internal Server Error", transient(None)),
        ("503 Service Unavailable\r\nRetry-After: soon", transient(None)),
    ] {
        far_end.answer(&format!("HTTP/1.1 {head}"));
        let error = notifier.notify(&alert).await.expect_err(head);
        assert_eq!(error.failure(), expected, "{head}");
        let said = head.split('\r').next().expect("a line");
        assert_eq!(error.to_string(), format!("it answered {said}"), "its address may be a secret");
    }
    far_end.answer(&format!("HTTP/1.1 503 Service Unavailable\r\nRetry-After: {date}"));
    let Failure::Transient { retry_after: Some(wait) } =
        notifier.notify(&alert).await.expect_err("503").failure()
    else {
        panic!("it named a time")
    };
    assert!((3_500..=3_600).contains(&wait.as_secs()), "{wait:?}");
}

fn hour_from_now() -> Duration {
    Duration::from_secs(3_600 + Clock::system().now().timestamp() as u64)
}

#[tokio::test]
async fn what_is_not_on_the_internet_is_not_told_unless_that_is_meant() {
    let far_end = TestWebhook::start().await;
    let strict = |url: String| Settings { url: Some(url), ..Settings::default() };
    let refused = WebhookNotifier::new(&strict(far_end.url()), Clock::system()).err().expect("loopback");
    assert!(refused.to_string().contains("allow_private"), "{refused}");
    // A name is looked at when it is resolved.
    let named = strict(format!("http://localhost:{}/", far_end.address.port()));
    let alert = sample_alert("log-1", "", EpisodeChange::Opened, "Bore");
    let error = notifier(&named).notify(&alert).await.expect_err("refused");
    let text = andon::error_chain::error_chain(&error).to_string();
    assert!(text.contains("no address on the internet") && !text.contains("localhost:"), "{text}");
    assert_eq!(far_end.requests().len(), 0);
}

#[tokio::test]
async fn a_webhook_that_cannot_be_is_refused_and_shows_no_secret() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "https://hooks.example/secret-path\n").expect("written");
    let from_file = Settings { url_file: Some(file.path().to_owned()), ..Settings::default() };
    notifier(&from_file);
    assert!(!format!("{from_file:?}").contains("secret"));
    let url = |url: &str| Settings { url: Some(url.to_owned()), ..Settings::default() };
    for (settings, expected) in [
        (Settings::default(), "one of `url`, `url_file` and `url_env`"),
        (
            Settings { url: Some("https://a".to_owned()), ..from_file.clone() },
            "one of `url`, `url_file` and `url_env`",
        ),
        (url("ftp://hooks.example/secret"), "must begin with https://"),
        (url("https://ann:secret@hooks.example/"), "without user and password"),
        (url("http://169.254.169.254/secret"), "not on the internet"),
        (
            Settings { secrets: vec!["whsec_c2VjcmV0".to_owned()], ..url("https://a/") },
            "secret number 1 must be 24 to 64",
        ),
        (
            Settings { secret_files: vec!["/nowhere/key".into()], ..url("https://a/") },
            "/nowhere/key cannot be read",
        ),
    ] {
        let told = WebhookNotifier::new(&settings, Clock::system()).err().expect("refused").to_string();
        assert!(told.contains(expected) && !told.contains("c2VjcmV0") && !told.contains("/secret"), "{told}");
    }
}

#[tokio::test]
async fn an_independent_library_verifies_what_is_signed_with_either_key() {
    let Some(python) = prepared("TEST_PYTHON") else { return };
    let far_end = TestWebhook::start().await;
    let signing = Settings { secrets: KEYS.map(str::to_owned).to_vec(), ..to(&far_end) };
    let receiver = |webhook| ReceiverSettings {
        name: "mes".to_owned(),
        webhook: Some(webhook),
        ..ReceiverSettings::default()
    };
    let app = TestApp::builder().with(|s| s.notify.receivers = vec![receiver(signing)]).spawn().await;
    let bore = app.given_a_chart("Bohrung Ø").await;
    app.given_a_violation_on(bore).await;
    let request = eventually("the webhook is called", async || far_end.requests().pop()).await;
    assert_eq!(request.path, "/hooks/andon");
    let body: Value = serde_json::from_str(&request.body).expect("JSON");
    assert_eq!(
        (&body["type"], &body["data"]["characteristic_name"]),
        (&json!("episode.opened"), &json!("Bohrung Ø"))
    );
    for (key, tampered, expected) in [
        (KEYS[0], "", "verified"),
        (KEYS[1], "", "verified"),
        (KEYS[0], " ", "refused"),
        ("whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcY", "", "refused"),
    ] {
        let asked =
            json!({"key": key, "headers": request.headers, "body": format!("{}{tampered}", request.body)});
        assert_eq!(verified(&python, &asked).await, expected, "{key}");
    }
}

#[tokio::test]
async fn a_receiver_can_be_tried_from_the_command_line() {
    let far_end = TestWebhook::start().await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    let webhook = format!("webhook = {{ url = \"{}\", allow_private = true }}", far_end.url());
    std::fs::write(file.path(), format!("[[notify.receivers]]\nname = \"mes\"\n{webhook}\n"))
        .expect("written");
    let tried = async |receiver: &str| {
        let mut andon = Command::new(env!("CARGO_BIN_EXE_andon"));
        andon.args(["notify", "test", receiver, "--config"]).arg(file.path());
        let output = andon.output().await.expect("it runs");
        let texts = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
        (output.status.success(), texts.concat())
    };
    assert_eq!(tried("mes").await, (true, "mes was told: 204\n".to_owned()));
    let name = far_end.names().remove(0);
    assert!(name.starts_with("test-"), "{name}");
    far_end.answer("HTTP/1.1 404 Not Found");
    let (is_fine, text) = tried("mes").await;
    assert!(!is_fine && text.starts_with("mes was NOT told: it answered 404 Not Found\n"), "{text}");
    let (is_fine, text) = tried("mail").await;
    assert!(!is_fine && text.contains("the settings have no receiver \"mail\""), "{text}");
}

#[tokio::test]
async fn each_format_is_sent_as_its_media_type() {
    let far_end = TestWebhook::start().await;
    for (format, media_type) in [
        (Format::Andon, "application/json"),
        (Format::CloudEvents, "application/cloudevents+json"),
        (Format::Slack, "application/json"),
        (Format::Teams, "application/json"),
        (Format::Alertmanager, "application/json"),
    ] {
        let settings = Settings { format, ..to(&far_end) };
        notifier(&settings)
            .notify(&sample_alert("log-1", "", EpisodeChange::Opened, "Bore"))
            .await
            .expect("taken");
        let request = far_end.requests().pop().expect("a request");
        assert_eq!(request.header("content-type"), media_type, "{format:?}");
        serde_json::from_str::<Value>(&request.body).expect("JSON");
    }
}
