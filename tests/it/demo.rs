//! The demo with the configuration that the README shows: whoever it names is told the story of the piston rings.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::interop::{prepared, verified};
use crate::support::{MailServer, Mosquitto, MqttListener, TestWebhook, eventually};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The one of the README, with other ports, and more patience with a slow machine.
fn configuration(mail: u16, webhook: u16, mqtt: u16) -> String {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```toml\n").expect("a configuration");
    let (text, _) = rest.split_once("```").expect("its end");
    let mut text = text.to_owned();
    for (there, here) in [
        ("2525", mail.to_string()),
        ("9000", webhook.to_string()),
        ("1883", mqtt.to_string()),
        ("email = {", "timeout_ms = 60000\nemail = { chart_timeout_ms = 20000,".to_owned()),
    ] {
        assert!(text.contains(there), "{there}: {text}");
        text = text.replace(there, &here);
    }
    assert!(text.contains(KEY));
    text
}

#[tokio::test]
async fn the_story_of_the_piston_rings_is_told_by_mail_webhook_and_mqtt() {
    let (Some(python), Some(mosquitto)) = (prepared("TEST_PYTHON"), prepared("TEST_MOSQUITTO")) else {
        return;
    };
    let mut mails = MailServer::start(&python, "none", None).await;
    let webhook = TestWebhook::start().await;
    let broker = Mosquitto::start(&mosquitto, |_| "allow_anonymous true".to_owned()).await;
    let mut listener = MqttListener::start(&python, broker.port, "andon/#", None).await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), configuration(mails.port, webhook.address.port(), broker.port))
        .expect("written");
    let _demo = Command::new(env!("CARGO_BIN_EXE_andon"))
        .args(["demo", "--rate", "20", "--quiet-samples", "--listen", "127.0.0.1:0", "--config"])
        .arg(file.path())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");

    let mut told = vec![];
    while told.last() != Some(&json!("episode.closed")) {
        told.push(listener.next_on("/alarm").await.payload()["type"].clone());
    }
    let story =
        ["opened", "worsened", "acknowledged", "closed"].map(|change| json!(format!("episode.{change}")));
    let mut once = told.clone();
    once.dedup();
    assert_eq!(once, story);

    let requests = eventually("the webhook has heard it all", async || {
        let requests = webhook.requests();
        (requests.len() == told.len()).then_some(requests)
    })
    .await;
    for (request, kind) in requests.iter().zip(&told) {
        let body: Value = serde_json::from_str(&request.body).expect("JSON");
        assert_eq!(&body["type"], kind);
        assert_eq!(body["data"]["characteristic_name"], "Piston ring diameter");
        let asked = json!({"key": KEY, "headers": request.headers, "body": request.body});
        assert_eq!(verified(&python, &asked).await, "verified");
    }

    let mut conversation = None;
    for kind in &told {
        let mail = mails.next().await;
        let subject = mail.header("subject");
        // Three rules fire on the sample that makes it worse; the severest is told.
        let begins = match kind.as_str().expect("text") {
            "episode.acknowledged" => "[ACKNOWLEDGED] Piston ring diameter: by demo operator, Tool Change",
            "episode.closed" => "[CLOSED] Piston ring diameter: ",
            "episode.worsened" => "[CRITICAL] Piston ring diameter: Outlier, 74.0",
            _ => "[WARNING] Piston ring diameter: Zone",
        };
        assert!(subject.starts_with(begins) && subject.contains("Piston ring diameter"), "{kind}: {subject}");
        let references = mail.header("references").to_owned();
        assert_eq!(conversation.get_or_insert(references.clone()), &references, "one conversation");
        assert!(!mail.part("image/png")["content"].as_str().expect("a chart").is_empty());
        let text = mail.part("text/plain")["content"].as_str().expect("text");
        assert!(text.contains("call maintenance") && text.contains(" mm"), "{text}");
        if let Some(folder) = std::env::var_os("KEEP_MAILS") {
            let name = format!("{}.json", mail.header("message-id").trim_matches(['<', '>']));
            std::fs::write(std::path::Path::new(&folder).join(name), mail.0.to_string()).expect("kept");
        }
    }
    assert!(mails.stays_empty().await);
}
