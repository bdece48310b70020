//! Mails: against a double that fails wherever it may, and a real mail server whose mails Python reads.

use std::path::Path;

use andon::clock::Clock;
use andon::domain::episode::EpisodeChange;
use andon::notify::email::{EmailNotifier, Encryption, Settings};
use andon::notify::{AlertNotifier, Failure, ReceiverSettings, Surroundings, contract, sample_alert};
use andon::site;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::json;
use tokio::process::Command;

use crate::interop::prepared;
use crate::support::{MailServer, Received, TestApp, TestMailServer};

fn site() -> site::Settings {
    let url = "https://spc.example.com".to_owned().try_into().expect("an address");
    site::Settings { time_zone: "Europe/Berlin".parse().expect("a zone"), public_url: Some(url) }
}

fn notifier(settings: &Settings) -> Result<EmailNotifier, String> {
    let surroundings = Surroundings::without_pictures(Clock::system(), site());
    EmailNotifier::new(settings, surroundings).map_err(|error| error.to_string())
}

#[tokio::test]
async fn mails_keep_the_contract() {
    let far_end = TestMailServer::start().await;
    let notifier = notifier(&far_end.settings()).expect("it can send");
    let made = contract::check(&notifier, &far_end).await.expect("keeps the contract");
    assert_eq!(made.len(), 11, "nothing was left out: {made:#?}");
}

#[tokio::test]
async fn what_a_mail_server_says_and_when_tells_whether_to_try_again() {
    let far_end = TestMailServer::start().await;
    let notifier = notifier(&far_end.settings()).expect("it can send");
    let alert = sample_alert("log-1", "ann@example.com", EpisodeChange::Opened, "Bore");
    let transient = Failure::Transient { retry_after: None };
    for (command, answer, expected) in [
        ("hello", "554 not today", transient),
        ("EHLO", "", transient),
        ("MAIL", "550 not from you", transient),
        ("MAIL", "", transient),
        ("RCPT", "450 mailbox busy", transient),
        ("RCPT", "550 no such user", Failure::Permanent),
        ("RCPT", "550 5.1.1 no such user", Failure::Permanent),
        ("RCPT", "552 5.2.2 mailbox full", Failure::Permanent),
        ("RCPT", "554 5.7.1 Relay access denied", transient),
        ("RCPT", "550 5.7.1 not from 10.0.0.7", transient),
        ("RCPT", "530 authentication required", transient),
        ("RCPT", "", transient),
        ("DATA", "451 later", transient),
        ("DATA", "", transient),
        ("mail", "452 disk full", transient),
        ("mail", "554 looks like spam", Failure::Permanent),
        ("mail", "", Failure::Uncertain),
        ("mail", "354 go on", Failure::Uncertain),
    ] {
        far_end.takes_everything();
        far_end.answer(command, answer);
        let error = notifier.notify(&alert).await.expect_err(answer);
        assert_eq!(error.failure(), expected, "{command}: {answer}");
        let said = answer.split_once(' ').map_or("", |(_, said)| said);
        assert!(error.to_string().contains(said), "{command}: {answer}: {error}");
    }
    assert_eq!(far_end.mails(), []);
}

#[tokio::test]
async fn a_connection_is_used_again_until_the_server_or_the_setting_has_had_enough() {
    let far_end = TestMailServer::start().await;
    let keeping = notifier(&far_end.settings()).expect("it can send");
    let send = async |notifier: &EmailNotifier, name: &str| {
        let alert = sample_alert(name, "ann@example.com", EpisodeChange::Opened, "Bore");
        notifier.notify(&alert).await.expect("taken").answer().expect("an answer").to_owned()
    };
    for name in ["log-1", "log-2", "log-3"] {
        assert_eq!(send(&keeping, name).await, "250 taken as 4711");
    }
    assert_eq!(far_end.connections(), 1);
    contract::FarEnd::set(&far_end, contract::Mood::Takes).await; // ends all connections
    send(&keeping, "log-4").await;
    assert_eq!(far_end.connections(), 2, "it has noticed, and nobody else");
    let forgetful = notifier(&Settings { idle_ms: 0, ..far_end.settings() }).expect("it can send");
    send(&forgetful, "log-5").await;
    send(&forgetful, "log-6").await;
    assert_eq!(far_end.connections(), 4);
    assert_eq!(far_end.mails().len(), 6);
}

#[tokio::test]
async fn mails_that_cannot_be_sent_are_refused_at_once() {
    let far_end = TestMailServer::start().await;
    let settings = far_end.settings();
    let user = Some("andon".to_owned());
    for (settings, told) in [
        (Settings { server: String::new(), ..settings.clone() }, "`server` must name the mail server"),
        (
            Settings { from: "andon".to_owned(), ..settings.clone() },
            "from has \"andon\", which is no address",
        ),
        (Settings { to: vec!["a@b\r\nBcc: c@d".to_owned()], ..settings.clone() }, "which is no address"),
        (
            Settings { user: user.clone(), ..settings.clone() },
            "needs one of `password_file` and `password_env`",
        ),
        (
            Settings { user: user.clone(), password_env: Some("PATH".to_owned()), ..settings.clone() },
            "a password is not sent in the clear",
        ),
        (
            Settings { user, password_file: Some("/nowhere".into()), ..settings.clone() },
            "the file /nowhere cannot be read",
        ),
        (Settings { templates: Some("/nowhere".into()), ..settings.clone() }, "/nowhere cannot be read"),
    ] {
        let error = notifier(&settings).err().expect("refused");
        assert!(error.contains(told), "{error}");
    }
    let homeless = Surroundings::without_pictures(Clock::system(), site::Settings::default());
    let error = EmailNotifier::new(&settings, homeless).err().expect("refused").to_string();
    assert!(error.contains("site.public_url"), "{error}");
}

fn email(server: &MailServer, to: &[&str]) -> ReceiverSettings {
    let email = Settings {
        server: "localhost".to_owned(),
        port: Some(server.port),
        encryption: Encryption::None,
        from: "Andon Werk 2 <andon@example.com>".to_owned(),
        to: to.iter().map(|one| (*one).to_owned()).collect(),
        chart_timeout_ms: 20_000, // painting is slow where it is not optimized
        ..Settings::default()
    };
    ReceiverSettings {
        name: "mail".to_owned(),
        email: Some(email),
        timeout_ms: 60_000,
        ..ReceiverSettings::default()
    }
}

#[tokio::test]
async fn an_episode_is_one_conversation_with_its_chart_in_it() {
    let Some(python) = prepared("TEST_PYTHON") else { return };
    let mut server = MailServer::start(&python, "none", None).await;
    let receiver = email(&server, &["Ännchen <ann@example.com>"]);
    let app = TestApp::builder()
        .with(|s| {
            s.site = site();
            s.notify.receivers = vec![receiver];
        })
        .spawn()
        .await;
    let bore = app.given_a_chart("Bohrung Ø <b>").await;
    let violation = app.given_a_violation_on(bore).await;
    let opened = server.next().await;
    assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
    let acknowledged = server.next().await;
    app.measure_all(bore, &[10.0; 8]).await;
    let closed = server.next().await;

    let mails = [&opened, &acknowledged, &closed];
    let subjects = mails.map(|mail| mail.header("subject").to_owned());
    let expected = [
        "[CRITICAL] Bohrung Ø <b>: Outlier, 99",
        "[ACKNOWLEDGED] Bohrung Ø <b>: by ann, Tool Change",
        "[CLOSED] Bohrung Ø <b>: Outlier, 99",
    ];
    for (subject, expected) in subjects.iter().zip(expected) {
        assert!(subject.starts_with(expected), "{subject}");
    }
    let names: std::collections::BTreeSet<_> = mails.map(|mail| mail.header("message-id")).into();
    assert_eq!(names.len(), 3, "each has its own");
    for mail in mails {
        assert_eq!(mail.0["defects"], json!([]));
        assert_eq!(mail.0["to"], json!(["ann@example.com"]));
        assert_eq!(mail.header("to"), "Ännchen <ann@example.com>");
        assert_eq!(mail.header("from"), "Andon Werk 2 <andon@example.com>");
        assert_eq!(mail.header("auto-submitted"), "auto-generated");
        assert!(!mail.header("references").is_empty());
        assert_eq!(mail.header("references"), opened.header("references"), "one conversation");
        assert_eq!(mail.header("in-reply-to"), opened.header("references"));
        assert_eq!(
            mail.0["structure"],
            json!(["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"])
        );
        has_a_chart(mail);
        assert!(
            !mail.part("text/html")["content"].as_str().expect("text").contains("<b>"),
            "names stay text"
        );
    }
    let text = opened.part("text/plain")["content"].as_str().expect("text").to_owned();
    for expected in [
        "Bohrung Ø <b>",
        "https://spc.example.com/characteristics/",
        "https://spc.example.com/alarms?episode=",
        "Limits:",
        " CE",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    // Each is a delivery, under the name that the mail has.
    let deliveries = app.get("/deliveries?receiver=mail").await;
    for (item, mail) in deliveries["items"].as_array().expect("items").iter().rev().zip(mails) {
        let name = item["name"].as_str().expect("a name");
        assert_eq!(mail.header("message-id"), format!("<{name}@example.com>"));
        assert_eq!(item["recipient"], "ann@example.com");
    }
}

/// The HTML shows a PNG that is part of the mail and of the size that charts have.
fn has_a_chart(mail: &Received) {
    let picture = mail.part("image/png");
    let id = picture["content_id"].as_str().expect("an id").trim_matches(['<', '>']);
    let html = mail.part("text/html")["content"].as_str().expect("text");
    assert!(html.contains(&format!("src=\"cid:{id}\"")), "{html}");
    assert_eq!(picture["disposition"], "inline");
    let png = BASE64_STANDARD.decode(picture["content"].as_str().expect("base64")).expect("base64");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().expect("four"));
    assert_eq!((&png[1..4], number(16), number(20)), (&b"PNG"[..], 1440, 1120));
}

#[tokio::test]
async fn one_refused_recipient_keeps_nothing_from_the_others() {
    let far_end = TestMailServer::start().await;
    far_end.answer("RCPT", "550 no such user");
    let to = vec!["gone@example.com".to_owned(), "ben@example.com".to_owned()];
    let settings = Settings { to, ..far_end.settings() };
    let notifier = notifier(&settings).expect("it can send");
    assert_eq!(notifier.recipients(), ["ben@example.com", "gone@example.com"]);
    let alert = |to: &str| sample_alert("log-1", to, EpisodeChange::Opened, "Bore");
    let refused = notifier.notify(&alert("gone@example.com")).await.expect_err("refused");
    assert_eq!(refused.failure(), Failure::Permanent);
    far_end.takes_everything();
    notifier.notify(&alert("ben@example.com")).await.expect("taken");
    assert_eq!(far_end.mails()[0].0, "ben@example.com");
    let stranger = notifier.notify(&alert("eve@example.com")).await.expect_err("nobody");
    assert_eq!(stranger.failure(), Failure::Permanent);
}

/// `andon notify test mail`, with the authorities that the machine is said to trust.
async fn tried(config: &Path, authority: Option<&Path>, password: &str) -> (bool, String) {
    let mut andon = Command::new(env!("CARGO_BIN_EXE_andon"));
    andon.args(["notify", "test", "mail", "--config"]).arg(config).env("MAIL_PASSWORD", password);
    if let Some(authority) = authority {
        andon.env("SSL_CERT_FILE", authority);
    }
    let output = andon.output().await.expect("it runs");
    let texts = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    (output.status.success(), texts.concat())
}

#[tokio::test]
async fn the_way_to_a_real_server_is_encrypted_and_who_sends_logs_in() {
    let Some(python) = prepared("TEST_PYTHON") else { return };
    for encryption in ["starttls", "tls"] {
        let mut server = MailServer::start(&python, encryption, Some(("andon", "geheim"))).await;
        let file = tempfile::NamedTempFile::new().expect("a file");
        let port = server.port;
        let config = |host: &str| {
            let text = format!(
                "[site]\npublic_url = \"https://spc.example.com\"\n[[notify.receivers]]\nname = \"mail\"\n\
                 email = {{ server = \"{host}\", port = {port}, encryption = \"{encryption}\", user = \"andon\", \
                 password_env = \"MAIL_PASSWORD\", from = \"a@example.com\", to = [\"b@example.com\"] }}\n"
            );
            std::fs::write(file.path(), text).expect("written");
        };
        config("localhost");
        let authority = server.authority.clone();
        let (is_fine, text) = tried(file.path(), Some(&authority), "geheim").await;
        assert!(is_fine, "{encryption}: {text}");
        assert_eq!(text, "b@example.com was told: 250 taken\n");
        let mail = server.next().await;
        assert_eq!((&mail.0["encrypted"], &mail.0["user"]), (&json!(true), &json!("andon")), "{encryption}");

        let (is_fine, text) = tried(file.path(), Some(&authority), "falsch").await;
        assert!(!is_fine && text.contains("535") && !text.contains("falsch"), "{text}");
        let (is_fine, text) = tried(file.path(), None, "geheim").await;
        assert!(!is_fine && text.contains("certificate"), "nobody has signed it: {text}");
        config("127.0.0.1");
        let (is_fine, text) = tried(file.path(), Some(&authority), "geheim").await;
        assert!(!is_fine && text.contains("certificate"), "it is somebody else's: {text}");
        assert!(server.stays_empty().await);
    }
}

#[tokio::test]
async fn a_server_that_cannot_encrypt_gets_nothing() {
    let far_end = TestMailServer::start().await;
    let settings = Settings { encryption: Encryption::Starttls, ..far_end.settings() };
    let notifier = notifier(&settings).expect("it can send");
    let alert = sample_alert("log-1", "ann@example.com", EpisodeChange::Opened, "Bore");
    let error = notifier.notify(&alert).await.expect_err("not in the clear");
    assert_eq!(error.failure(), Failure::Transient { retry_after: None });
    assert_eq!(far_end.mails(), [] as [(String, String); 0]);
}
