//! Many clients that never read, while samples and alerts pour: they cost bounded memory and nobody else any time, and
//! are gone in the end.

use std::collections::HashMap;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::{Stream, TestApp, TestSocket, close_code, eventually};

const DEAF: usize = 60;
const READERS: usize = 4;
const CHARACTERISTICS: i64 = 20;
const ALERT_QUEUE_BYTES: usize = 100_000;

async fn open(app: &TestApp) -> f64 {
    app.metric("andon_connections{kind=\"websocket\"}").await
}

/// Bytes that wait in the queues of both shards.
async fn queued(app: &TestApp) -> f64 {
    let of = |shard| format!("andon_client_queue_bytes{{shard=\"shard-{shard}\"}}");
    app.metric(&of(0)).await + app.metric(&of(1)).await
}

/// Reads on until it has the newest of each characteristic, and checks that samples it did not get were told, and that it
/// got every alert in the order of the log; gives their number.
async fn read_all(mut socket: TestSocket, mut newest: watch::Receiver<Option<HashMap<i64, u64>>>) -> u64 {
    let (mut alerts, mut last_alert) = (0, 0);
    let mut revisions: HashMap<i64, u64> = HashMap::new();
    loop {
        if newest.borrow_and_update().as_ref() == Some(&revisions) {
            return alerts;
        }
        let event = tokio::select! {
            event = socket.next() => event,
            _ = newest.changed() => continue,
        };
        let Some(revision) = event["revision"].as_u64() else { continue }; // a heartbeat
        let known = revisions.entry(event["characteristic_id"].as_i64().expect("an id")).or_insert(0);
        assert_eq!(revision, *known + 1 + event["skipped"].as_u64().unwrap_or(0), "{event}");
        *known = revision;
        if event["type"] == "violation" {
            let seq = event["seq"].as_u64().expect("a position");
            assert!(seq > last_alert, "{seq} came after {last_alert}");
            (alerts, last_alert) = (alerts + 1, seq);
        }
    }
}

#[tokio::test]
async fn many_clients_that_never_read_cost_little_memory_and_are_gone_in_the_end() {
    let app = TestApp::builder()
        .with(|s| {
            (s.broadcast.stall_timeout_ms, s.http.peer_timeout_ms) = (1_000, 5_000);
            s.broadcast.alert_queue_bytes = ALERT_QUEUE_BYTES;
        })
        .spawn()
        .await;
    let mut deaf = vec![];
    for _ in 0..DEAF {
        let mut client = app.raw_socket(Some(4_096)).await;
        client.subscribe("\"all\":true").await;
        deaf.push(client);
    }
    let (last, newest) = watch::channel(None);
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let mut socket = app.socket().await;
        socket.send(&json!({"type": "subscribe", "all": true})).await;
        socket.next_of_type("subscribed").await;
        readers.spawn(read_all(socket, newest.clone()));
    }

    let (ids, mut stream): (Vec<i64>, _) = ((1..=CHARACTERISTICS).collect(), Stream::of(&app));
    let (mut alerts, mut most) = (0, 0f64);
    while open(&app).await > READERS as f64 {
        stream.samples(&ids, 400).await;
        for id in &ids {
            stream.violation(*id);
            alerts += 1;
        }
        stream.followed().await;
        most = most.max(queued(&app).await);
        assert!(stream.position() < 1_000_000, "the deaf are still there");
    }
    // A line of samples and one of alerts, whatever was published.
    let line = andon::settings::Settings::default().broadcast.sample_queue_bytes + ALERT_QUEUE_BYTES;
    assert!(most > 0.0 && most < ((DEAF + READERS) * line) as f64, "{most} bytes waited");
    let ended = app.metric("andon_connections_closed_total{reason=\"too_slow\"}").await;
    assert_eq!(ended, DEAF as f64);

    last.send(Some(ids.iter().map(|id| (*id, stream.revision(*id))).collect())).expect("they listen");
    while let Some(read) = readers.join_next().await {
        assert_eq!(read.expect("it got all that it is due"), alerts);
    }
    eventually("nothing waits any more", async || (queued(&app).await == 0.0).then_some(())).await;
    // Who reads again learns why it was let go; of the others, whose windows stay closed, nothing is left.
    for client in deaf.drain(..5) {
        assert_eq!(close_code(&client.read_to_the_end().await), Some(4008));
    }
    for client in &deaf {
        eventually("it is really gone", async || (!client.is_held_by_the_server()).then_some(())).await;
    }
}
