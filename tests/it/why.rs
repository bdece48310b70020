//! Why somebody was told, or was not.

use andon::domain::rules::Severity;
use andon::notify::{ReceiverSettings, RouteSettings};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{Answer, TestApp, TestReceiver, address_of, eventually};

async fn why(app: &TestApp, violation: i64) -> Value {
    let path = format!("/violations/{violation}/why");
    eventually("it was looked at", async || {
        let why = app.get(&path).await;
        (why["explanation"] != "what is new about its episode has not been looked at yet").then_some(why)
    })
    .await
}

#[tokio::test]
async fn each_route_says_why_it_matched_or_not() {
    let scada = TestReceiver::new();
    let to_scada = RouteSettings { receivers: vec!["scada".to_owned()], ..RouteSettings::default() };
    let app = TestApp::builder()
        .with(|s| {
            s.notify.routes = vec![
                RouteSettings { tags: vec!["safety".to_owned()], ..to_scada.clone() },
                RouteSettings { min_severity: Some(Severity::Critical), ..to_scada.clone() },
                to_scada,
            ];
            s.notify.receivers =
                vec![ReceiverSettings { name: "scada".to_owned(), ..ReceiverSettings::default() }];
        })
        .notifier("scada", scada.clone())
        .spawn()
        .await;
    let bore = app.given_a_chart("Bore").await;
    let first = app.given_a_violation_on(bore).await;
    scada.has_taken(1).await;
    let told = why(&app, first).await;
    assert_eq!(
        told["explanation"],
        "what was new about its episode went to the receivers of the routes that matched"
    );
    assert_eq!(told["episode_id"], 1);
    let notice = &told["notices"][0];
    assert_eq!(
        notice["routes"],
        json!([
            "does not match: tags",
            "matches",
            "not reached: one before it matches and does not continue"
        ])
    );
    assert_eq!(
        (&notice["change"], &notice["deliveries"][0]["receiver"]),
        (&json!("opened"), &json!("scada"))
    );
    assert_eq!(app.get("/episodes/1").await["notices"][0]["routes"], notice["routes"]);

    let second = app.given_a_violation_on(bore).await;
    let told = why(&app, second).await;
    assert_eq!(told["explanation"], "people had been told of its episode before, and it brought nothing new");
    assert_eq!(told["notices"][0]["change"], "opened", "this one");
    Answer::to(app.request("GET", "/violations/99/why")).await.expect_problem(404, "unknown_violation");
}

#[tokio::test]
async fn where_no_route_matches_nobody_is_told_and_that_is_said() {
    let app = TestApp::builder()
        .with(|s| {
            let nowhere = RouteSettings { groups: vec!["elsewhere".to_owned()], ..RouteSettings::default() };
            s.notify.routes = vec![RouteSettings { receivers: vec!["log".to_owned()], ..nowhere }];
        })
        .spawn()
        .await;
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    let told = why(&app, violation).await;
    assert_eq!(told["explanation"], "no route matched what was new about its episode");
    assert_eq!(told["notices"][0]["routes"], json!(["does not match: groups"]));
    assert_eq!(told["notices"][0]["deliveries"], json!([]));

    let second = app.given_a_violation_on(bore).await;
    let told = why(&app, second).await;
    assert_eq!(told["explanation"], "no route had matched its episode before, and it brought nothing new");

    let past = json!({"characteristic_id": bore, "measurements": [99.0], "mode": "history"});
    assert_eq!(app.post("/samples", &past).await.0, 201);
    let violations = app.get("/violations?limit=1").await;
    let of_the_past = violations["items"][0]["id"].as_i64().expect("an id");
    let told = why(&app, of_the_past).await;
    assert_eq!(told["explanation"], "it is of the past, or older than episodes are: nobody is told");
}

#[tokio::test]
async fn routes_are_tested_beside_the_server() {
    let app = TestApp::spawn().await;
    let definition = json!({"name": "Bore", "key": "P7:bore", "group": "plant/line4", "tags": ["safety"]});
    let bore = app.given_a_characteristic(&definition).await;
    let config = tempfile::NamedTempFile::new().expect("a file");
    let text = "
        [[notify.receivers]]
        name = \"mes\"
        webhook = { url = \"https://mes.example/\" }
        [[notify.receivers]]
        name = \"log\"
        log = true
        [[notify.routes]]
        groups = [\"plant\"]
        min_severity = \"CRITICAL\"
        receivers = [\"mes\"]
        escalate = [{ after_seconds = 900, receivers = [\"log\"] }]
        repeat_seconds = 600
        continue = true
        [[notify.routes]]
        times = [{ days = [\"sat\", \"sun\"] }]
        receivers = [\"log\"]
    ";
    std::fs::write(config.path(), text).expect("written");
    let tested = async |arguments: &[&str]| {
        let mut andon = Command::new(env!("CARGO_BIN_EXE_andon"));
        andon.args(["routes", "test", "--config"]).arg(config.path());
        andon.args(["--database", &address_of(&app.database())]).args(arguments);
        let output = andon.output().await.expect("it runs");
        let texts = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
        (output.status.success(), texts.concat())
    };
    let id = bore.to_string();
    let saturday = "2026-01-10T12:00:00Z";
    let (is_fine, text) =
        tested(&["--characteristic", &id, "--severity", "CRITICAL", "--at", saturday]).await;
    assert!(is_fine, "{text}");
    assert_eq!(
        text,
        "Bore\nroute 0 to mes: matches\nroute 1 to log: matches\nmes is told at once, and again every \
         600 s until somebody answers\nlog is told after 900 s without an answer (step 1), and again every 600 s until \
         somebody answers\nlog is told at once\n"
    );
    let silence = json!({"receivers": ["log"], "reason": "Night", "minutes": 60, "user": "ann"});
    assert_eq!(app.post("/silences", &silence).await.0, 201);
    let (_, text) = tested(&["--characteristic", &id, "--severity", "CRITICAL"]).await;
    assert!(text.contains("by silence 1 of ann: Night") && text.contains("held back until 20"), "{text}");
    let monday = "2026-01-12T12:00:00Z";
    let (_, text) = tested(&["--characteristic", "P7:bore", "--severity", "info", "--at", monday]).await;
    assert_eq!(
        text,
        "Bore\nroute 0 to mes: does not match: min_severity\nroute 1 to log: does not match: times\nnobody is told\n"
    );
    let (is_fine, text) = tested(&["--characteristic", "99"]).await;
    assert!(!is_fine && text.contains("there is no characteristic \"99\""), "{text}");
}
