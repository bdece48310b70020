//! Who is connected, and what an operator does about it.

use serde_json::{Value, json};

use crate::auth::{ADMIN, READ, with_tokens};
use crate::support::{Answer, Asking, Stream, TestApp, TestSocket, eventually};

fn number(welcome: &Value) -> u64 {
    welcome["payload"]["connection_id"].as_u64().expect("a number")
}

/// The numbers of the connections that a list tells.
async fn listed(app: &TestApp, query: &str) -> Vec<u64> {
    let list = app.get(&format!("/connections{query}")).await;
    let items = list["items"].as_array().expect("items");
    items.iter().map(|item| item["connection_id"].as_u64().expect("a number")).collect()
}

#[tokio::test]
async fn everybody_who_is_connected_is_listed_with_what_it_listens_to() {
    let app = TestApp::spawn().await;
    let in_group = json!({"name": "Bore", "key": "bore", "group": "plant/line4"});
    let bore = app.given_a_characteristic(&in_group).await;
    let mut named = app.socket().await.subscribed_to([bore, 99]).await;
    let mut grouped = app.event_source("groups=plant").await;
    let grouped_id = number(&grouped.next().await.data);
    assert_eq!(grouped.next().await.event, "subscribed");
    let mut idle = app.socket().await;
    let mut all = app.socket().await;
    all.send(&json!({"type": "subscribe", "all": true})).await;
    all.next_of_type("subscribed").await;
    let ids = [number(&named.welcome), grouped_id, number(&idle.welcome), number(&all.welcome)];

    let list = app.get("/connections").await;
    assert_eq!((&list["total"], &list["offset"], &list["limit"]), (&json!(4), &json!(0), &json!(100)));
    assert_eq!(listed(&app, "").await, ids);
    assert_eq!(listed(&app, "?offset=1&limit=2").await, ids[1..3]);
    assert_eq!(app.get("/connections?offset=9").await["items"], json!([]));
    let by_key = "?characteristic_key=bore".to_owned();
    for query in [by_key, format!("?characteristic_id={bore}")] {
        assert_eq!(listed(&app, &query).await, [ids[0], ids[1], ids[3]], "{query}");
    }
    assert_eq!(listed(&app, "?characteristic_id=99").await, [ids[0], ids[3]]);

    let told = &list["items"][0];
    let subscriptions = json!({
        "characteristics": 2, "characteristic_ids": [bore, 99], "groups": [], "all": false,
    });
    assert_eq!((&told["subscriptions"], &told["transport"]), (&subscriptions, &json!("websocket")));
    assert_eq!((&told["address"], &told["user"]), (&json!("127.0.0.1"), &Value::Null));
    let told = &list["items"][1];
    assert_eq!(
        (&told["transport"], &told["subscriptions"]["groups"]),
        (&json!("event_stream"), &json!(["plant"]))
    );
    assert_eq!(
        (&list["items"][2]["subscriptions"]["characteristics"], &list["items"][3]["subscriptions"]["all"]),
        (&json!(0), &json!(true))
    );

    let seq = app.measure(bore, 10.0).await["seq"].clone();
    for socket in [&mut named, &mut all] {
        assert_eq!(socket.next_of_type("sample").await["seq"], seq);
    }
    named.send(&json!({"type": "received", "seq": seq})).await;
    named.assert_nothing_came().await;
    idle.assert_nothing_came().await;
    let one = app.get(&format!("/connections/{}", ids[0])).await;
    assert_eq!((&one["last_sent_seq"], &one["received_seq"], &one["delivered"]), (&seq, &seq, &json!(1)));
    assert_eq!(
        (&one["state"], &one["behind"], &one["skipped_samples"]),
        (&json!("live"), &json!(false), &json!(0))
    );
    assert_eq!(app.get(&format!("/connections/{}", ids[2])).await["last_sent_seq"], 0);
}

#[tokio::test]
async fn those_that_are_worst_off_can_come_first() {
    let app = TestApp::spawn().await;
    let (ids, mut stream): (Vec<i64>, _) = ((1..=10).collect(), Stream::of(&app));
    let mut well = app.socket().await.subscribed_to([1]).await;
    let reading = tokio::spawn(async move { while well.next().await != Value::Null {} });
    let mut stalled = vec![];
    for _ in 0..2 {
        let mut client = app.raw_socket(Some(4_096)).await;
        let welcome = serde_json::from_str(&client.next_text().await).expect("JSON");
        client.subscribe("\"all\":true").await;
        stalled.push((number(&welcome), client));
    }
    eventually("they stall", async || {
        stream.samples(&ids, 1_000).await;
        let list = app.get("/connections?order=stalled&limit=2").await;
        let is_stalled = |item: &Value| item["stalled_ms"].as_u64() > Some(0) && item["behind"] == true;
        list["items"].as_array().expect("items").iter().all(is_stalled).then_some(())
    })
    .await;
    let due: Vec<u64> = stalled.iter().map(|(number, _)| *number).collect();
    for order in ["stalled", "queued"] {
        // Who reads has nothing left to read in the end.
        eventually(order, async || {
            let mut first = listed(&app, &format!("?order={order}&limit=2")).await;
            first.sort_unstable();
            (first == due).then_some(())
        })
        .await;
    }
    reading.abort();
    eventually("the metrics tell it", async || {
        let mut longest = 0f64;
        for shard in 0..2 {
            let name = format!("andon_client_stalled_seconds{{shard=\"shard-{shard}\"}}");
            longest = longest.max(app.metric(&name).await);
        }
        (longest > 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_is_not_there_is_unknown() {
    let app = TestApp::spawn().await;
    let body = json!({"characteristic_ids": [1]});
    for (method, path, body) in [
        ("GET", "/connections/7", None),
        ("DELETE", "/connections/7", None),
        ("POST", "/connections/7/subscribe", Some(&body)),
        ("POST", "/connections/7/unsubscribe", Some(&body)),
    ] {
        let request = app.request(method, path);
        let answer = Answer::to(match body {
            Some(body) => request.json(body),
            None => request,
        });
        answer.await.expect_problem(404, "unknown_connection");
    }
    for id in ["0", "-1", "x", "9007199254740992"] {
        Answer::to(app.request("GET", &format!("/connections/{id}"))).await.expect_problem(404, "not_found");
    }
    for query in ["?quality=splendid", "?order=up", "?limit=0", "?mood=1"] {
        let answer = Answer::to(app.request("GET", &format!("/connections{query}"))).await;
        answer.expect_problem(422, "invalid_query");
    }
}

#[tokio::test]
async fn an_operator_ends_a_connection() {
    let app = TestApp::spawn().await;
    let mut socket = app.socket().await;
    let mut source = app.event_source("all=true").await;
    let ids = [number(&socket.welcome), number(&source.next().await.data)];
    assert_eq!(source.next().await.event, "subscribed");
    for id in ids {
        assert_eq!(app.call("DELETE", &format!("/connections/{id}"), None).await.0, 204);
    }
    assert_eq!(socket.close_code().await, Some(1000));
    assert_eq!(source.next_or_end().await, None);
    eventually("nobody is listed", async || listed(&app, "").await.is_empty().then_some(())).await;
}

#[tokio::test]
async fn an_operator_subscribes_in_a_clients_place_and_the_client_hears_of_it() {
    let app = TestApp::builder().with(|s| s.broadcast.subscriptions_per_client = 2).spawn().await;
    let body = json!({"name": "Bore", "key": "bore", "rules": {"preset": "outlier"}});
    let bore = app.given_a_characteristic(&body).await;
    app.set(&format!("/characteristics/{bore}/control-limits"), &json!({"center_line": 10, "sigma": 1}))
        .await;
    let mut socket = app.socket().await;
    let path = format!("/connections/{}", number(&socket.welcome));
    let subscribe = format!("{path}/subscribe");
    let filtered =
        json!({"characteristic_keys": ["bore"], "filter": {"types": ["violation"]}, "snapshot": true});
    let (status, view) = app.post(&subscribe, &filtered).await;
    assert_eq!((status, &view["subscriptions"]["characteristic_ids"]), (200, &json!([bore])), "{view}");
    assert_eq!(socket.next_of_type("subscribed").await["characteristic_ids"], json!([bore]));
    assert_eq!(socket.next_of_type("snapshot").await["characteristic_id"], bore);
    app.given_a_violation_on(bore).await;
    assert_eq!(socket.next().await["type"], "violation");

    for (body, status, kind) in [
        (json!({}), 422, "invalid_field"),
        (json!({"all": true, "groups": ["plant"]}), 422, "invalid_field"),
        (json!({"characteristic_ids": [bore], "since": {"epoch": "e", "seq": 1}}), 422, "invalid_field"),
        (json!({"characteristic_ids": [7, 8]}), 422, "invalid_field"), // three in all
        (json!({"characteristic_keys": ["nobody"]}), 404, "unknown_characteristic"),
    ] {
        let answer = Answer::to(app.request("POST", &subscribe).json(&body)).await;
        answer.expect_problem(status, kind);
    }
    let unsubscribe = format!("{path}/unsubscribe");
    let (status, view) = app.post(&unsubscribe, &json!({"characteristic_keys": ["bore"]})).await;
    assert_eq!((status, &view["subscriptions"]["characteristics"]), (200, &json!(0)), "{view}");
    let left = json!({"type": "unsubscribed", "characteristic_ids": [bore]});
    assert_eq!(socket.next().await, left, "what was refused was told to nobody else");
    let (status, view) = app.post(&subscribe, &json!({"all": true})).await;
    assert_eq!((status, &view["subscriptions"]["all"]), (200, &json!(true)), "{view}");
    assert_eq!(socket.next_of_type("subscribed").await["all"], true);
    let leave = app.request("POST", &unsubscribe).json(&json!({"characteristic_ids": [bore]}));
    Answer::to(leave).await.expect_problem(422, "invalid_field");
    let seq = app.measure(bore, 10.0).await["seq"].clone();
    assert_eq!(socket.next().await["seq"], seq);
}

/// What it counts from has to stand behind what it is still told, and nobody waits for a slow client for long.
#[tokio::test]
async fn a_client_that_is_still_told_what_it_missed_cannot_be_subscribed_now() {
    let app = TestApp::builder()
        .with(|s| (s.broadcast.alert_queue_bytes, s.broadcast.read_timeout_ms) = (64 << 10, 200))
        .spawn()
        .await;
    let mut stream = Stream::of(&app);
    let narrow = Asking { window: Some(4_096), ..Asking::default() };
    let mut slow = app.event_source_with("characteristic_ids=1", narrow).await;
    let path = format!("/connections/{}", number(&slow.next().await.data));
    eventually("it reads for itself", async || {
        stream.samples(&[1], 1_000).await;
        let view = app.get(&path).await;
        (view["state"] == "replaying" && view["stalled_ms"].as_u64() > Some(0)).then_some(())
    })
    .await;
    let subscribe =
        || app.request("POST", &format!("{path}/subscribe")).json(&json!({"characteristic_ids": [2]}));
    let refused = Answer::to(subscribe()).await;
    assert_eq!(refused.expect_problem(503, "busy").header("retry-after"), "1");
    while slow.next().await.data["seq"].as_u64() < Some(stream.position()) {}
    // Nothing was changed by it, not even later.
    eventually("it is live", async || (app.get(&path).await["state"] == "live").then_some(())).await;
    assert_eq!(app.get(&path).await["subscriptions"]["characteristics"], 1);
    assert_eq!(Answer::to(subscribe()).await.status, 200);
    assert_eq!(slow.next().await.data["characteristic_ids"], json!([2]));
}

#[tokio::test]
async fn a_test_message_reaches_who_would_hear_an_alert_and_leaves_no_trace() {
    let app = with_tokens().spawn().await;
    let mut bore = TestSocket::connect(app.address, Some(READ)).await.subscribed_to([1]).await;
    let mut flow = TestSocket::connect(app.address, Some(READ)).await.subscribed_to([2]).await;
    let app = app.with_token("operate-0123456789abcdef");
    let test = json!({"characteristic_id": 1, "severity": "WARNING", "message": "Does line 4\nhear this?"});
    assert_eq!(app.post("/broadcast/test", &test).await, (200, json!({"connections": 1})));
    let heard = bore.next_of_type("test").await;
    let payload = &heard["payload"];
    assert_eq!(payload["message"], test["message"]);
    assert_eq!((&payload["severity"], &payload["characteristic_id"]), (&json!("WARNING"), &json!(1)));
    assert_eq!((&payload["user"], payload["timestamp"].is_string()), (&json!("ann"), true));
    flow.assert_nothing_came().await;
    let everybody = json!({"severity": "INFO", "message": "Is anybody there?"});
    assert_eq!(app.post("/broadcast/test", &everybody).await, (200, json!({"connections": 2})));
    for socket in [&mut bore, &mut flow] {
        assert_eq!(socket.next_of_type("test").await["payload"]["characteristic_id"], Value::Null);
    }
    for bad in [
        json!({"severity": "INFO", "message": ""}),
        json!({"severity": "BAD", "message": "x"}),
        json!({"severity": "INFO", "message": "\u{7}"}),
        json!({"message": "x"}),
    ] {
        let answer = Answer::to(app.request("POST", "/broadcast/test").json(&bad)).await;
        answer.expect_problem(422, "invalid_field");
    }
    assert_eq!(app.metric("andon_log_head_position").await, 0.0);
    let view = app.get(&format!("/connections/{}", number(&bore.welcome))).await;
    assert_eq!((&view["delivered"], &view["user"]), (&json!(0), &json!("screen")));
}

#[tokio::test]
async fn everybody_who_reads_may_look_and_only_an_admin_may_interfere() {
    let app = with_tokens().spawn().await.with_token(ADMIN);
    let socket = app.socket().await;
    let path = format!("/connections/{}", number(&socket.welcome));
    assert_eq!(listed(&app, "?user=root").await, [number(&socket.welcome)]);
    assert!(listed(&app, "?user=screen").await.is_empty());
    let app = app.with_token(READ);
    assert_eq!(listed(&app, "").await.len(), 1);
    assert_eq!(app.get(&path).await["user"], "root");
    let test = json!({"severity": "INFO", "message": "x"});
    Answer::to(app.request("POST", "/broadcast/test").json(&test)).await.expect_problem(403, "forbidden");
    let app = app.with_token("operate-0123456789abcdef");
    assert_eq!(app.post("/broadcast/test", &test).await.0, 200);
    let body = json!({"characteristic_ids": [1]});
    for action in ["subscribe", "unsubscribe"] {
        let request = app.request("POST", &format!("{path}/{action}")).json(&body);
        Answer::to(request).await.expect_problem(403, "forbidden");
    }
    Answer::to(app.request("DELETE", &path)).await.expect_problem(403, "forbidden");
    let app = app.with_token("ingest-0123456789abcdef");
    Answer::to(app.request("GET", "/connections")).await.expect_problem(403, "forbidden");
}
