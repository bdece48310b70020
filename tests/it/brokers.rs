//! MQTT: against a double of a broker that fails as it may, and Mosquitto, to which Python listens.

use andon::domain::episode::EpisodeChange::{Closed, Opened};
use andon::notify::mqtt::{MqttNotifier, Settings};
use andon::notify::{AlertNotifier, Failure, ReceiverSettings, contract, sample_alert};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::interop::prepared;
use crate::support::{Mosquitto, MqttListener, TestApp, TestBroker, eventually, impatient};

fn notifier(settings: &Settings) -> MqttNotifier {
    MqttNotifier::new(settings).expect("it can be told")
}

#[tokio::test]
async fn a_broker_is_told_as_the_contract_says() {
    let far_end = TestBroker::start().await;
    let made = contract::check(&notifier(&far_end.settings()), &far_end).await.expect("keeps the contract");
    assert_eq!(made.len(), 10, "nothing was left out: {made:#?}");
}

#[tokio::test]
async fn a_broker_that_cannot_be_told_is_refused_at_once() {
    let settings = impatient(1883);
    for (settings, told) in [
        (Settings { server: " ".to_owned(), ..settings.clone() }, "`server` must name the broker"),
        (Settings { topic: "andon/#".to_owned(), ..settings.clone() }, "`topic` must not begin with $"),
        (Settings { topic: "{name}".to_owned(), ..settings.clone() }, "{group}, {characteristic} and {key}"),
        (
            Settings { status_topic: Some("{group}".to_owned()), ..settings.clone() },
            "`status_topic` may name",
        ),
        (
            Settings { topic: "andon/{group}".to_owned(), ..settings.clone() },
            "must have {characteristic} or {key}",
        ),
        (Settings { max_reconnect_ms: 0, ..settings.clone() }, "`max_reconnect_ms` must be at least 1"),
        (Settings { keep_alive_seconds: 0, ..settings.clone() }, "`keep_alive_seconds` must be at least 5"),
        (Settings { user: Some("a".to_owned()), ..settings.clone() }, "`user` needs one of"),
        (Settings { password_file: Some("/nowhere".into()), ..settings }, "/nowhere cannot be read"),
    ] {
        let error = MqttNotifier::new(&settings).err().expect("refused").to_string();
        assert!(error.contains(told), "{error}");
    }
}

/// A broker to which anybody may listen and say something.
async fn open_broker() -> Option<(Mosquitto, String)> {
    let (program, python) = (prepared("TEST_MOSQUITTO")?, prepared("TEST_PYTHON")?);
    Some((Mosquitto::start(&program, |_| "allow_anonymous true".to_owned()).await, python))
}

fn receiver(settings: Settings) -> ReceiverSettings {
    ReceiverSettings {
        name: "scada".to_owned(),
        mqtt: Some(settings),
        backoff_ms: 20,
        max_backoff_ms: 100,
        breaker_pause_ms: 50,
        ..ReceiverSettings::default()
    }
}

#[tokio::test]
async fn who_listens_to_mosquitto_hears_the_episode_and_who_comes_later_its_state() {
    let Some((broker, python)) = open_broker().await else { return };
    let mut listener = MqttListener::start(&python, broker.port, "andon/#", None).await;
    let scada = receiver(impatient(broker.port));
    let app = TestApp::builder().with(|s| s.notify.receivers = vec![scada]).spawn().await;
    assert_eq!(listener.next().await.0["payload"], "online");
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
    app.measure_all(bore, &[10.0; 8]).await;
    for change in ["opened", "acknowledged", "closed"] {
        let heard = listener.next().await;
        assert_eq!(heard.topic(), format!("andon/{bore}/alarm"));
        assert_eq!((&heard.0["qos"], &heard.0["retained"]), (&json!(1), &json!(false)), "{heard:?}");
        let payload = heard.payload();
        assert_eq!(payload["type"], format!("episode.{change}"));
        assert_eq!(payload["data"]["characteristic_name"], "Bore");
        assert_eq!(heard.0["properties"]["ContentType"], "application/json");
        assert_eq!(heard.0["properties"]["UserProperty"], json!([["delivery_id", payload["delivery_id"]]]));
    }
    let deliveries = app.get("/deliveries?receiver=scada").await;
    let states: Vec<_> =
        deliveries["items"].as_array().expect("items").iter().map(|it| &it["state"]).collect();
    assert_eq!(states.len(), 3);

    let mut late = MqttListener::start(&python, broker.port, "andon/#", None).await;
    let kept = late.next_on("/alarm").await;
    assert_eq!((&kept.0["retained"], &kept.payload()["type"]), (&json!(true), &json!("episode.closed")));
    let mut status = MqttListener::start(&python, broker.port, "andon/status", None).await;
    assert_eq!(status.next().await.0["payload"], "online");
    app.stop().await.expect("in order");
    assert_eq!(listener.next().await.0["payload"], "offline", "it says goodbye");
    assert!(listener.stays_silent().await);
}

#[tokio::test]
async fn what_is_late_about_an_older_episode_is_not_the_state() {
    let Some((broker, python)) = open_broker().await else { return };
    let notifier = notifier(&impatient(broker.port));
    let alert = |id: i64, change| {
        let mut alert = sample_alert(&format!("log-{id}"), "", change, "Bore");
        let mut notice = (*alert.notice).clone();
        notice.update.episode.id = id.try_into().expect("an id");
        alert.notice = notice.into();
        alert
    };
    let telling = async {
        notifier.notify(&alert(2, Opened)).await.expect("told");
        notifier.notify(&alert(1, Closed)).await.expect("told");
    };
    tokio::select! {
        () = telling => {}
        () = notifier.run(CancellationToken::new()) => panic!("it goes on"),
    }
    let mut late = MqttListener::start(&python, broker.port, "andon/#", None).await;
    let kept = late.next_on("/alarm").await;
    assert_eq!(kept.payload()["delivery_id"], "log-2", "the open episode is the state");
    let mut status = MqttListener::start(&python, broker.port, "andon/status", None).await;
    while status.next().await.0["payload"] != "offline" {} // its last will, once the broker has noticed
}

#[tokio::test]
async fn a_broker_that_was_away_hears_all_of_it_in_order() {
    let Some((mut broker, python)) = open_broker().await else { return };
    broker.end().await;
    let scada = receiver(Settings { connect_timeout_ms: 50, ..impatient(broker.port) });
    let app = TestApp::builder().with(|s| s.notify.receivers = vec![scada]).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.given_a_violation_on(bore).await;
    eventually("it was tried in vain", async || {
        let tried = app.get("/deliveries?receiver=scada&state=retrying").await;
        (tried["total"].as_u64() > Some(0)).then_some(())
    })
    .await;
    broker.begin().await;
    let mut listener = MqttListener::start(&python, broker.port, "andon/#", None).await;
    app.measure_all(bore, &[10.0; 8]).await;
    // What came before it listened is kept for it; the rest comes as it happens.
    let mut heard = vec![];
    while heard.last() != Some(&json!("episode.closed")) {
        heard.push(listener.next_on("/alarm").await.payload()["type"].clone());
    }
    heard.dedup();
    assert_eq!(heard, ["episode.opened", "episode.closed"]);
    let id = app.get("/deliveries?receiver=scada").await["items"][1]["id"].clone();
    let attempts = app.get(&format!("/deliveries/{id}")).await["attempts"].clone();
    let why = attempts[0]["detail"].as_str().expect("a reason");
    assert!(why.starts_with("no connection to the broker"), "{why}");
}

#[tokio::test]
async fn the_way_to_mosquitto_is_encrypted_and_who_is_not_known_is_not_let_in() {
    let (Some(program), Some(python)) = (prepared("TEST_MOSQUITTO"), prepared("TEST_PYTHON")) else { return };
    let certificates = tempfile::TempDir::new().expect("a folder");
    let made = std::process::Command::new(&python)
        .args(["-m", "trustme", "--quiet", "--identities", "localhost", "--dir"])
        .arg(certificates.path())
        .status();
    assert!(made.expect("Python runs").success());
    let file = |name: &str| certificates.path().join(name);
    let broker = Mosquitto::start(&program, |folder| {
        // Of the password `geheim`: PBKDF2 with SHA-512, 101 rounds, as `mosquitto_passwd` writes it.
        let hash = "import base64,hashlib; s=b'0123456789ab'; \
                    h=hashlib.pbkdf2_hmac('sha512', b'geheim', s, 101); b=lambda x: base64.b64encode(x).decode(); \
                    print(f'andon:$7$101${b(s)}${b(h)}')";
        let line = std::process::Command::new(&python).args(["-c", hash]).output().expect("Python runs").stdout;
        let passwords = folder.join("passwords");
        std::fs::write(&passwords, line).expect("written");
        format!(
            "allow_anonymous false\npassword_file {}\ncertfile {}\nkeyfile {}\nuser root",
            passwords.display(),
            file("server.pem").display(),
            file("server.key").display(),
        )
    })
    .await;
    let config = tempfile::NamedTempFile::new().expect("a file");
    let text = format!(
        "[[notify.receivers]]\nname = \"scada\"\nmqtt = {{ server = \"localhost\", port = {}, user = \"andon\", \
         password_env = \"MQTT_PASSWORD\", connect_timeout_ms = 2000 }}\n",
        broker.port
    );
    std::fs::write(config.path(), text).expect("written");
    let tried = async |password: &str, trusts: bool| {
        let mut andon = tokio::process::Command::new(env!("CARGO_BIN_EXE_andon"));
        andon.args(["notify", "test", "scada", "--config"]).arg(config.path());
        andon.env("MQTT_PASSWORD", password);
        if trusts {
            andon.env("SSL_CERT_FILE", file("client.pem"));
        }
        let output = andon.output().await.expect("it runs");
        let texts = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
        (output.status.success(), texts.concat())
    };
    let (is_fine, text) = tried("geheim", true).await;
    assert!(is_fine && text.contains("scada was told: acknowledged"), "{text}");
    let (is_fine, text) = tried("falsch", true).await;
    assert!(!is_fine && text.contains("no connection to the broker") && !text.contains("falsch"), "{text}");
    let (is_fine, text) = tried("geheim", false).await;
    assert!(!is_fine && text.to_lowercase().contains("certificate"), "{text}");
}

#[tokio::test]
async fn without_a_connection_an_attempt_says_so_and_is_transient() {
    let far_end = TestBroker::start().await;
    contract::FarEnd::set(&far_end, contract::Mood::Absent).await;
    let notifier = notifier(&Settings { connect_timeout_ms: 30, ..far_end.settings() });
    let error =
        notifier.notify(&sample_alert("log-1", "", Opened, "Bore")).await.expect_err("nobody holds it");
    assert_eq!(error.failure(), Failure::Transient { retry_after: None });
    assert_eq!(error.to_string(), "no connection to the broker");
}

#[tokio::test]
async fn what_is_tried_leaves_nothing_behind() {
    let Some((broker, python)) = open_broker().await else { return };
    let mut listener = MqttListener::start(&python, broker.port, "#", None).await;
    let config = tempfile::NamedTempFile::new().expect("a file");
    let text = format!(
        "[[notify.receivers]]\nname = \"scada\"\n\
         mqtt = {{ server = \"localhost\", port = {}, encryption = \"none\", client_id = \"andon\" }}\n",
        broker.port
    );
    std::fs::write(config.path(), text).expect("written");
    let mut andon = tokio::process::Command::new(env!("CARGO_BIN_EXE_andon"));
    andon.args(["notify", "test", "scada", "--config"]).arg(config.path());
    assert!(andon.status().await.expect("it runs").success());
    assert!(listener.next().await.topic().ends_with("/alarm"), "it is heard");
    assert!(listener.stays_silent().await, "and nothing else");
    let mut late = MqttListener::start(&python, broker.port, "#", None).await;
    assert!(late.stays_silent().await, "nothing of it is kept");
}
