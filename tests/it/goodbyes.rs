//! A stop: every client hears what was committed, is told when to come back, and nobody holds it up.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{Stream, TestApp, TestSocket, close_code, eventually};

const EVERYTHING: &str = r#"{"type":"subscribe","all":true}"#;

async fn listening_to_all(app: &TestApp) -> TestSocket {
    let mut socket = app.socket().await;
    socket.send(&json!({"type": "subscribe", "all": true})).await;
    socket.next_of_type("subscribed").await;
    socket
}

/// Measures one value after the other until the server takes no more; gives the last position that was answered.
fn measuring(app: &TestApp, characteristic: i64) -> tokio::task::JoinHandle<u64> {
    let request = app.request("POST", "/samples");
    tokio::spawn(async move {
        let mut last = 0;
        loop {
            let body = json!({"characteristic_id": characteristic, "measurements": [99.0]});
            let Some(request) = request.try_clone() else { return last };
            match request.json(&body).send().await {
                Ok(answer) if answer.status() == 201 => {
                    let answer: Value = answer.json().await.expect("JSON");
                    last = answer["seq"].as_u64().expect("a position");
                }
                _ => return last, // it is stopping
            }
        }
    })
}

async fn until_measured(app: &TestApp, samples: f64) {
    eventually("it is in the middle of it", async || {
        (app.metric("andon_events_published_total{kind=\"sample\"}").await >= samples).then_some(())
    })
    .await;
}

fn retry_after_ms(reason: &str) -> u64 {
    let reason: Value = serde_json::from_str(reason).expect("JSON");
    reason["retry_after_ms"].as_u64().expect("milliseconds")
}

#[tokio::test]
async fn everybody_hears_what_was_committed_and_comes_back_at_another_moment() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let sockets = join_all((0..200).map(|_| listening_to_all(&app))).await;
    let mut clients = JoinSet::new();
    for mut socket in sockets {
        clients.spawn(async move { socket.until_goodbye().await });
    }
    let measured = join_all((0..4).map(|_| measuring(&app, bore)));
    let directory = std::sync::Arc::clone(app.directory());
    let stop = async {
        until_measured(&app, 12.0).await;
        app.stop().await.expect("stopped");
    };
    let (answered, ()) = tokio::join!(measured, stop);
    let answered = answered.into_iter().map(|last| last.expect("no panic")).max().expect("four");

    let mut waits = vec![];
    let mut newest = vec![];
    while let Some(client) = clients.join_next().await {
        let (came, code, reason) = client.expect("it was told goodbye");
        assert_eq!(code, 1001);
        waits.push(retry_after_ms(&reason));
        let positions: Vec<u64> = came.iter().filter_map(|event| event["seq"].as_u64()).collect();
        let events = came.iter().filter(|event| event["revision"].is_u64()).count();
        assert!(events > 2, "the test came too early");
        newest.push(positions.into_iter().max().expect("some"));
    }
    let again = TestApp::builder().on_database_of(&directory).spawn().await;
    let head = again.metric("andon_log_head_position").await as u64;
    assert!(head > answered, "a violation stands behind the last sample");
    assert!(newest.iter().all(|seq| *seq == head), "{head} was committed, and heard was {newest:?}");
    waits.sort_unstable();
    assert_eq!(waits.len(), 200);
    for fifth in 0..5 {
        let within =
            waits.iter().filter(|ms| (fifth * 1_000 + 1..=fifth * 1_000 + 1_000).contains(*ms)).count();
        assert!((30..=50).contains(&within), "{within} of 200 come in second {fifth}: {waits:?}");
    }
}

#[tokio::test]
async fn a_client_that_is_behind_but_reads_gets_every_alert_before_the_goodbye() {
    let app = TestApp::spawn().await;
    let mut slow = app.raw_socket(Some(4_096)).await;
    slow.send(0x81, EVERYTHING.as_bytes()).await;
    slow.wait_for("subscribed").await;
    let (ids, mut stream): (Vec<i64>, _) = ((1..=10).collect(), Stream::of(&app));
    let mut violations = vec![];
    for _ in 0..100 {
        stream.samples(&ids, 50).await;
        violations.push(stream.violation(7));
    }
    stream.followed().await;
    let stopping = tokio::spawn(app.stop());
    let received = slow.read_to_the_end().await;
    assert_eq!(close_code(&received), Some(1001));
    let text = String::from_utf8_lossy(&received);
    let told: Vec<u64> = text
        .split("{\"type\":\"violation\",\"seq\":")
        .skip(1)
        .map(|rest| rest.split(',').next().expect("a number").parse().expect("a position"))
        .collect();
    assert_eq!(told, violations);
    stopping.await.expect("no panic").expect("stopped");
}

#[tokio::test]
async fn a_stop_under_load_ends_in_time_whoever_listens() {
    let grace = Duration::from_secs(4);
    let app = TestApp::builder().with(|s| s.stop.grace_ms = grace.as_millis() as u64).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut clients = JoinSet::new();
    for _ in 0..10 {
        let mut socket = listening_to_all(&app).await;
        clients.spawn(async move { socket.until_goodbye().await.1 });
    }
    let (mut deaf, mut slow) = (vec![], JoinSet::new());
    for number in 0..40 {
        let mut socket = app.raw_socket(Some(4_096)).await;
        socket.send(0x81, EVERYTHING.as_bytes()).await;
        socket.wait_for("subscribed").await;
        if number % 2 == 0 {
            deaf.push(socket);
        } else {
            slow.spawn(socket.read_slowly(Duration::from_millis(20)));
        }
    }
    app.measure_all(bore, &[10.0; 800]).await;
    let measured = join_all((0..4).map(|_| measuring(&app, bore)));
    let stop = async {
        until_measured(&app, 820.0).await;
        let begun = Instant::now();
        app.stop().await.expect("stopped");
        begun.elapsed()
    };
    let (_, took) = tokio::join!(measured, stop);
    assert!(took < grace, "it took {took:?}");
    while let Some(code) = clients.join_next().await {
        assert_eq!(code.expect("it was told goodbye"), 1001);
    }
    slow.shutdown().await;
}
