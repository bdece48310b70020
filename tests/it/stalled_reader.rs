//! A client that stops reading while a million samples pass, and reads again.

use std::collections::HashMap;

use serde_json::Value;

use crate::support::{Answer, RawSocket, Stream, TestApp};

const CHARACTERISTICS: i64 = 100;

/// Bytes of a sample, as it stands in a queue and on the wire, at most.
const FRAME: usize = 400;

/// What the client's kernel takes unread: it doubles what is asked for.
const WINDOW: u32 = 32 << 10;

/// An event, as far as this is about it.
#[derive(Debug)]
struct Event {
    seq: u64,
    id: i64,
    revision: u64,
    skipped: Option<u64>,
    bytes: usize,
}

/// Bytes that wait in all queues, and bytes of the process.
async fn held(app: &TestApp) -> (f64, f64) {
    let text = Answer::to(app.request_at("GET", "/metrics")).await.text;
    let sum = |name: &str| -> f64 {
        let values = text.lines().filter(|line| line.starts_with(name));
        values.map(|line| line.rsplit(' ').next().expect("a value").parse::<f64>().expect("a number")).sum()
    };
    (sum("andon_client_queue_bytes{"), sum("process_resident_memory_bytes "))
}

/// Everything up to the newest event of each characteristic.
async fn read_up_to(stream: &Stream, client: &mut RawSocket) -> Vec<Event> {
    let (mut events, mut missing) = (vec![], CHARACTERISTICS);
    while missing > 0 {
        let text = client.next_text().await;
        let told: Value = serde_json::from_str(&text).expect("JSON");
        let Some(revision) = told["revision"].as_u64() else { continue }; // no event
        let id = told["characteristic_id"].as_i64().expect("an id");
        missing -= i64::from(revision == stream.revision(id));
        let (seq, skipped) = (told["seq"].as_u64().expect("a position"), told["skipped"].as_u64());
        events.push(Event { seq, id, revision, skipped, bytes: text.len() });
    }
    events
}

async fn assert_a_stalled_reader_is_no_burden(samples: u64) {
    let never = 3_600_000;
    let app = TestApp::builder()
        .with(|s| {
            s.bus.capacity_events = 8_192.try_into().expect("not zero");
            (s.broadcast.stall_timeout_ms, s.broadcast.pong_timeout_ms) = (never, never);
            s.http.peer_timeout_ms = never;
        })
        .spawn()
        .await;
    let mut client = app.raw_socket(Some(WINDOW)).await;
    client.subscribe("\"all\":true").await;
    let (ids, mut stream): (Vec<i64>, _) = ((1..=CHARACTERISTICS).collect(), Stream::of(&app));
    // The ring is filled, and all that lies between the queue and the client.
    stream.samples(&ids, 10_000).await;
    let (full, (_, resident)) = (stream.position(), held(&app).await);
    let (mut queued, mut grown, mut violation) = (0f64, 0f64, 0);
    for tenth in 0..10 {
        stream.samples(&ids, samples / 10).await;
        if tenth == 4 {
            violation = stream.violation(38);
        }
        let (bytes, process) = held(&app).await;
        (queued, grown) = (queued.max(bytes), grown.max(process - resident));
    }
    // The newest sample of each, the one before the violation, the violation, a heartbeat and a ping.
    let most = FRAME * (CHARACTERISTICS as usize + 4);
    assert!(queued > 0.0 && queued <= most as f64, "{queued} bytes wait, and {most} may");
    assert!(grown < f64::from(16 << 20), "the process grew by {grown} bytes");

    let events = read_up_to(&stream, &mut client).await;
    let mut revisions: HashMap<i64, u64> = HashMap::new();
    for event in &events {
        let before = revisions.entry(event.id).or_insert(0);
        assert_eq!(event.revision, *before + 1 + event.skipped.unwrap_or(0), "{event:?}");
        *before = event.revision;
    }
    // What was under way, then the sample that the violation is about, the violation, and the newest of each.
    let alert = events.iter().position(|event| event.seq == violation).expect("it was told");
    let (held, rest) = events.split_at(alert - 1);
    assert!(held.iter().all(|event| event.seq <= full), "{:?}", held.iter().find(|event| event.seq > full));
    assert_eq!((rest[0].id, rest[0].revision), (38, rest[1].revision - 1));
    assert!(rest.len() <= CHARACTERISTICS as usize + 2, "{} came after what was under way", rest.len());
    // What was under way: in the client's kernel, in ours, and two chunks between them.
    let settings = andon::settings::Settings::default();
    let under_way =
        2 * WINDOW as usize + 2 * settings.http.send_buffer_bytes + 2 * settings.broadcast.write_bytes;
    let held_bytes: usize = held.iter().map(|event| event.bytes).sum();
    assert!(held_bytes <= under_way, "{held_bytes} bytes were under way, and {under_way} may");
}

#[tokio::test]
async fn a_reader_that_stalls_costs_no_memory_and_hears_the_alert_first() {
    assert_a_stalled_reader_is_no_burden(100_000).await;
}

#[tokio::test]
#[ignore = "long: a million samples"]
async fn a_reader_that_stalls_while_a_million_samples_pass() {
    assert_a_stalled_reader_is_no_burden(1_000_000).await;
}
