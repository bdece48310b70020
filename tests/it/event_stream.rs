//! Server-sent events: what a browser's `EventSource` hears, and how it comes back.

use serde_json::{Value, json};

use crate::auth::with_tokens;
use crate::support::{Answer, Asking, EventSource, TestApp, Told, eventually};

fn seq(told: &Told) -> u64 {
    told.data["seq"].as_u64().expect("a position")
}

async fn connected(app: &TestApp) -> f64 {
    app.metric("andon_connections{kind=\"event_stream\"}").await
}

#[tokio::test]
async fn a_stream_tells_what_a_socket_tells_with_the_position_of_each() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut socket = app.socket().await.subscribed_to([bore]).await;
    let mut source = app.event_source(&format!("characteristic_ids={bore}")).await;
    assert_eq!(source.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(source.header("cache-control"), Some("no-store, no-transform"));
    assert_eq!(source.header("x-accel-buffering"), Some("no"));
    assert_eq!(source.header("content-encoding"), None, "although the client would take it");
    let welcome = source.next().await;
    assert_eq!((&*welcome.event, &welcome.data["type"]), ("welcome", &json!("welcome")));
    assert_eq!(source.retry_ms, Some(2_000));
    let epoch = welcome.data["payload"]["epoch"].as_str().expect("a log");
    let subscribed = source.next().await;
    assert_eq!((&*subscribed.event, &subscribed.data["characteristic_ids"]), ("subscribed", &json!([bore])));
    assert_eq!(subscribed.id, Some(format!("{epoch}.{}", seq(&subscribed))));
    let violation = app.given_a_violation_on(bore).await;
    assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
    for kind in ["sample", "violation", "ack_update"] {
        let told = source.next().await;
        assert_eq!((&*told.event, &told.data), (kind, &socket.next_of_type(kind).await));
        assert_eq!(told.id, Some(format!("{epoch}.{}", seq(&told))));
    }
}

#[tokio::test]
async fn who_comes_back_with_its_last_id_loses_nothing_and_hears_nothing_twice() {
    const SAMPLES: u64 = 600;
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let query = format!("characteristic_ids={bore}");
    let mut source = app.event_source(&query).await;
    let (mut heard, mut first) = (0, None);
    let send = async {
        for _ in 0..SAMPLES / 20 {
            app.measure_all(bore, &[10.0; 20]).await;
        }
    };
    let listen = async {
        while heard < SAMPLES {
            for _ in 0..37.min(SAMPLES - heard) {
                let told = source.next_event().await;
                assert_eq!(seq(&told), *first.get_or_insert(seq(&told)) + heard);
                heard += 1;
            }
            let last = source.last_id.clone().expect("an id");
            let asking = Asking { last_id: Some(&last), window: None };
            source = EventSource::open(app.address, &query, asking).await; // whatever is still on its way
            assert_eq!(source.next().await.event, "welcome");
            let subscribed = source.next().await;
            assert_eq!((&subscribed.data["recovered"], &subscribed.id), (&json!(true), &None));
        }
    };
    tokio::join!(send, listen);
    assert_eq!(source.next().await.data["replayed"], 0);
    app.measure(bore, 10.0).await;
    assert_eq!(seq(&source.next_event().await), first.expect("it was heard") + SAMPLES);
}

#[tokio::test]
async fn the_last_id_counts_more_than_the_address_that_it_comes_back_to() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.measure_all(bore, &[10.0; 5]).await; // 2 to 6
    let epoch = app.socket().await.welcome["payload"]["epoch"].as_str().expect("a log").to_owned();
    let query = format!("characteristic_ids={bore}&since={epoch}.2");
    let mut source = app.event_source(&query).await;
    for due in 3..=6 {
        assert_eq!(seq(&source.next_event().await), due);
    }
    let resumed = source.next().await;
    assert_eq!((&*resumed.event, &resumed.data["replayed"]), ("resumed", &json!(4)));
    let mut source = app.resumed_event_source(&query, &format!("{epoch}.5")).await;
    assert_eq!(seq(&source.next_event().await), 6);
    assert_eq!(source.next().await.event, "resumed");
}

#[tokio::test]
async fn the_present_state_comes_before_any_place_to_resume_from() {
    let app = TestApp::spawn().await;
    let (bore, flow) = (app.given_a_chart("Bore").await, app.given_a_chart("Flow").await);
    let violation = app.given_a_violation_on(bore).await;
    let query = format!("characteristic_ids={bore},{flow}&snapshot=true");
    let mut source = app.event_source(&query).await;
    assert_eq!(source.next().await.event, "welcome");
    let subscribed = source.next().await;
    // Who came back there would not get what follows.
    assert_eq!((&*subscribed.event, &subscribed.id), ("subscribed", &None));
    for (id, open) in [(bore, 1), (flow, 0)] {
        let told = source.next().await;
        assert_eq!(
            (&*told.event, &told.id, &told.data["characteristic_id"]),
            ("snapshot", &None, &json!(id))
        );
        assert_eq!(told.data["payload"]["open_total"], open, "{}", told.data);
        assert_eq!(told.data["revision"], subscribed.data["revisions"][id.to_string()]);
    }
    assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
    let update = source.next().await;
    let last = update.id.clone().expect("a place to resume from");
    assert_eq!((&*update.event, seq(&update)), ("ack_update", seq(&subscribed) + 1));
    // What was told is not told again.
    let mut source = app.resumed_event_source(&query, &last).await;
    let came = [source.next().await.event, source.next().await.event, source.next().await.event];
    assert_eq!(came, ["welcome", "subscribed", "resumed"]);
}

#[tokio::test]
async fn a_group_is_heard_with_those_who_come_into_it_later() {
    let app = TestApp::spawn().await;
    let in_group = |name: &str, group: &str| json!({"name": name, "group": group});
    let bore = app.given_a_characteristic(&in_group("Bore", "plant/line4")).await;
    let elsewhere = app.given_a_characteristic(&in_group("Flow", "planting")).await;
    let mut source = app.event_source("groups=plant&types=sample").await;
    assert_eq!(source.next().await.event, "welcome");
    assert_eq!(source.next().await.data["groups"], json!(["plant"]));
    let later = app.given_a_characteristic(&in_group("Ring", "plant/line5/press")).await;
    for id in [bore, elsewhere, later] {
        app.measure(id, 10.0).await;
    }
    for id in [bore, later] {
        assert_eq!(source.next_event().await.data["characteristic_id"], id);
    }
}

#[tokio::test]
async fn a_position_in_another_log_is_told_not_to_be_recovered() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let newest = app.measure(bore, 10.0).await["seq"].as_u64().expect("a position");
    let mut source = app.resumed_event_source(&format!("characteristic_ids={bore}"), "other.1").await;
    let epoch = source.next().await.data["payload"]["epoch"].as_str().expect("a log").to_owned();
    let subscribed = source.next().await;
    let told = (&subscribed.data["recovered"], &subscribed.data["epoch"], seq(&subscribed));
    assert_eq!(told, (&json!(false), &json!(epoch), newest));
    let snapshot = source.next().await;
    assert_eq!((&*snapshot.event, &snapshot.data["characteristic_id"]), ("snapshot", &json!(bore)));
}

#[tokio::test]
async fn a_query_chooses_as_a_subscribe_does() {
    let app = TestApp::spawn().await;
    let body = json!({"name": "Bore", "key": "P7:bore", "rules": {"preset": "outlier"}});
    let bore = app.given_a_characteristic(&body).await;
    app.set(&format!("/characteristics/{bore}/control-limits"), &json!({"center_line": 10, "sigma": 1}))
        .await;
    let flow = app.given_a_chart("Flow").await;
    let of_bore = app.event_source("characteristic_keys=P7:bore&types=violation").await;
    let of_flow = app.event_source(&format!("characteristic_ids={flow},9&types=ack_update")).await;
    let of_all = app.event_source("all=true&rule_ids=1&min_severity=WARNING&history=true").await;
    let mut sources = [of_bore, of_flow, of_all];
    for source in &mut sources {
        assert_eq!(source.next().await.event, "welcome");
        assert_eq!(source.next().await.event, "subscribed");
    }
    let violated = |id| json!({"characteristic_id": id, "measurements": [99.0]});
    let samples = json!({"samples": [violated(flow), violated(bore)]});
    assert_eq!(app.post("/samples/batch", &samples).await.1["failed"], 0);
    let [of_bore, of_flow, of_all] = &mut sources;
    let heard = async |source: &mut EventSource| {
        let told = source.next().await;
        (told.event, told.data["characteristic_id"].as_i64().expect("an id"), told.data["skipped"].as_u64())
    };
    assert_eq!(heard(of_bore).await, ("violation".to_owned(), bore, Some(1)));
    assert_eq!(app.acknowledge(1, "ann").await.0, 200);
    assert_eq!(heard(of_flow).await, ("ack_update".to_owned(), flow, Some(3)));
    for (id, kind) in [(flow, "sample"), (flow, "violation"), (bore, "sample"), (bore, "violation")] {
        assert_eq!(heard(of_all).await, (kind.to_owned(), id, None));
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_the_stream_begins() {
    let app = TestApp::builder().with(|s| s.broadcast.subscriptions_per_client = 2).spawn().await;
    for (query, status, kind) in [
        ("", 422, "invalid_query"),
        ("all=false", 422, "invalid_query"),
        ("all=maybe", 422, "invalid_query"),
        ("all=true&groups=plant", 422, "invalid_query"),
        ("characteristic_ids=1,x", 422, "invalid_query"),
        ("characteristic_ids=1,2&groups=plant", 422, "invalid_query"),
        ("characteristic_ids=1&since=12", 422, "invalid_query"),
        ("characteristic_ids=1&types=weather", 422, "invalid_query"),
        ("characteristic_ids=1&mood=1", 422, "invalid_query"),
        ("characteristic_keys=nobody", 404, "unknown_characteristic"),
    ] {
        let answer = Answer::to(app.request("GET", &format!("/events/stream?{query}"))).await;
        answer.expect_problem(status, kind);
    }
    let request = app.request("GET", "/events/stream?all=true").header("Last-Event-ID", "twelve");
    Answer::to(request).await.expect_problem(422, "invalid_header");
    assert_eq!(connected(&app).await, 0.0);

    let app = with_tokens().spawn().await;
    let path = "/events/stream?all=true";
    Answer::to(app.request("GET", path)).await.expect_problem(401, "not_authenticated");
    let app = app.with_token("ingest-0123456789abcdef");
    Answer::to(app.request("GET", path)).await.expect_problem(403, "forbidden");
    let app = app.with_token(crate::auth::READ);
    let begun = app.request("GET", path).send().await.expect("an answer");
    assert_eq!(begun.status(), 200);
}

/// Otherwise a client that hears little would come back to where the log no longer reaches.
#[tokio::test]
async fn heartbeats_are_comments_that_move_the_position_of_who_hears_nothing() {
    let app = TestApp::builder().with(|s| s.broadcast.heartbeat_seconds = 0.05).spawn().await;
    let (bore, flow) = (app.given_a_chart("Bore").await, app.given_a_chart("Flow").await);
    let query = format!("characteristic_ids={bore}");
    let mut source = app.event_source(&query).await;
    let epoch = source.next().await.data["payload"]["epoch"].as_str().expect("a log").to_owned();
    assert_eq!(source.next().await.event, "subscribed");
    app.measure_all(flow, &[10.0; 50]).await;
    let newest = app.measure(flow, 10.0).await["seq"].as_u64().expect("a position");
    let last = format!("{epoch}.{newest}");
    source.until_last_id(&last).await;
    let comment = source.next_block().await.expect("the stream goes on");
    let text = comment.lines().next().and_then(|line| line.strip_prefix(": ")).expect("a comment");
    let heartbeat: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!((&heartbeat["type"], &heartbeat["head_seq"]), (&json!("heartbeat"), &json!(newest)));
    let mut source = app.resumed_event_source(&query, &last).await;
    assert_eq!(source.next().await.event, "welcome");
    assert_eq!(source.next().await.data["recovered"], true);
    assert_eq!(source.next().await.data["replayed"], 0);
}

#[tokio::test]
async fn who_reads_slowly_gets_everything_in_order() {
    let app = TestApp::builder().with(|s| s.broadcast.alert_queue_bytes = 64 << 10).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let query = format!("characteristic_ids={bore}");
    let narrow = Asking { window: Some(4_096), ..Asking::default() };
    let mut source = app.event_source_with(&query, narrow).await;
    assert_eq!(source.next().await.event, "welcome");
    let subscribed = seq(&source.next().await);
    app.measure_all(bore, &[10.0; 10_000]).await;
    let violation = app.given_a_violation_on(bore).await;
    eventually("more waits for it than may, so that it reads for itself", async || {
        (app.metric("andon_replays_total{reason=\"overflow\"}").await >= 1.0).then_some(())
    })
    .await;
    for due in 1..=10_001 {
        let told = source.next_event().await;
        assert_eq!((&*told.event, seq(&told)), ("sample", subscribed + due));
        assert_eq!(told.data.get("skipped"), None);
    }
    let last = source.next_event().await;
    assert_eq!((&*last.event, &last.data["payload"]["id"]), ("violation", &json!(violation)));
}

#[tokio::test]
async fn who_takes_nothing_is_let_go_and_who_has_gone_is_found_out() {
    let app = TestApp::builder()
        .with(|s| (s.broadcast.stall_timeout_ms, s.broadcast.heartbeat_seconds) = (1_000, 0.05))
        .spawn()
        .await;
    let bore = app.given_a_chart("Bore").await;
    let query = format!("characteristic_ids={bore}");
    let narrow = Asking { window: Some(4_096), ..Asking::default() };
    let _deaf = app.event_source_with(&query, narrow).await;
    let mut there = app.event_source(&query).await;
    drop(app.event_source(&query).await);
    let read = async {
        for _ in 0..10_000 {
            there.next_event().await;
        }
    };
    tokio::join!(app.measure_all(bore, &[10.0; 10_000]), read);
    eventually("one is left", async || (connected(&app).await == 1.0).then_some(())).await;
    for reason in ["too_slow", "gone"] {
        let ended = app.metric(&format!("andon_connections_closed_total{{reason=\"{reason}\"}}")).await;
        assert_eq!(ended, 1.0, "{reason}");
    }
    app.measure(bore, 10.0).await;
    there.next_event().await;
}

#[tokio::test]
async fn a_stopping_server_ends_its_streams_and_spreads_their_return() {
    let app = TestApp::builder().with(|s| s.broadcast.return_window_ms = 4_000).spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let mut sources = vec![];
    for _ in 0..8 {
        let mut source = app.event_source(&format!("characteristic_ids={bore}")).await;
        assert_eq!(source.next().await.event, "welcome");
        assert_eq!(source.next().await.event, "subscribed");
        sources.push(source);
    }
    app.given_a_violation_on(bore).await;
    let stopped = tokio::spawn(app.stop());
    let mut returns = vec![];
    for source in &mut sources {
        for kind in ["sample", "violation"] {
            assert_eq!(source.next().await.event, kind);
        }
        assert_eq!(source.next_or_end().await, None);
        returns.push(source.retry_ms.expect("a time"));
    }
    assert!(returns.iter().all(|ms| (500..=4_000).contains(ms)), "{returns:?}");
    assert!(returns.iter().any(|ms| *ms < 4_000), "all at once: {returns:?}");
    stopped.await.expect("no panic").expect("stops");
}
