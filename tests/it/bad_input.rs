//! What no client should send: refused with the right status, told as a problem, and nothing is stored.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Answer, DEADLINE, TestApp};

/// A body of `POST /samples` that must be refused: with which status, type and place.
type Case = (Vec<u8>, u16, &'static str, Option<&'static str>);

fn case(body: impl Into<Vec<u8>>, status: u16, kind: &'static str, pointer: &'static str) -> Case {
    (body.into(), status, kind, Some(pointer))
}

fn not_json(body: impl Into<Vec<u8>>) -> Case {
    (body.into(), 400, "invalid_json", None)
}

/// A sample with this text in the place of its measurements.
fn measuring(measurements: &str) -> String {
    format!(r#"{{"characteristic_id":1,"measurements":{measurements}}}"#)
}

/// A good sample with one more member.
fn with(member: &str) -> String {
    format!(r#"{{"characteristic_id":1,"measurements":[10],{member}}}"#)
}

fn sample_bodies() -> Vec<Case> {
    let huge = "x".repeat(2_000_000);
    let deep = "[".repeat(100_000);
    let mut cases = vec![
        not_json(""),
        not_json(" \n"),
        not_json("{"),
        not_json("measurements=10"),
        not_json(with("\"batch\":\"\u{1}\"")),
        not_json(measuring("[NaN]")),
        not_json(measuring("[Infinity]")),
        not_json(measuring("[-Infinity]")),
        not_json(measuring("[01]")),
        not_json(measuring("[1,]")),
        not_json(measuring("[10]") + "{}"),
        not_json(with(r#""batch":"\ud800""#)),
        not_json(b"\xff\xfe{\x00}\x00".as_slice()),
        not_json([with("\"batch\":\"a").as_bytes(), b"\xc3\x28\"}"].concat()),
        case(&*deep, 422, "invalid_field", ""),
        case(measuring("[1e999]"), 422, "invalid_field", "/measurements/0"),
        case(measuring("[10,-1e400]"), 422, "invalid_field", "/measurements/1"),
        case(measuring("[\"10\"]"), 422, "invalid_field", "/measurements/0"),
        case(measuring("[null]"), 422, "invalid_field", "/measurements/0"),
        case(measuring("null"), 422, "invalid_field", "/measurements"),
        case(measuring("10"), 422, "invalid_field", "/measurements"),
        case(measuring("[]"), 422, "invalid_measurements", "/measurements"),
        case(measuring("[1,2]"), 422, "invalid_measurements", "/measurements"),
        case(measuring(&deep), 422, "invalid_field", "/measurements/0"),
        case("[1,[10]]", 422, "invalid_field", ""),
        case("7", 422, "invalid_field", ""),
        case("null", 422, "invalid_field", ""),
        case("\"text\"", 422, "invalid_field", ""),
        case("{}", 422, "invalid_field", ""),
        case(with(r#""surprise":1"#), 422, "invalid_field", "/surprise"),
        case(with(r#""measurements":[11]"#), 422, "invalid_field", "/measurements"),
        case(with(r#""metadata":{"a":1,"a":2}"#), 422, "invalid_field", "/metadata"),
        case(with(r#""metadata":{"a":[{"b":1,"b":2}]}"#), 422, "invalid_field", "/metadata"),
        case(with(r#""metadata":{"a":"\udc00"}"#), 422, "invalid_field", "/metadata"),
        case(with(r#""metadata":{"a":1e999}"#), 422, "invalid_field", "/metadata"),
        case(with(r#""metadata":[1]"#), 422, "invalid_field", "/metadata"),
        case(with(&format!(r#""metadata":{{"a":"{huge}"}}"#)), 422, "invalid_field", "/metadata"),
        case(
            with(&format!(r#""metadata":{{"a":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000))),
            422,
            "invalid_field",
            "/metadata",
        ),
        case(with(r#""batch":"a\u0000b""#), 422, "invalid_field", "/batch"),
        case(with(r#""operator":"""#), 422, "invalid_field", "/operator"),
        case(with(&format!(r#""operator":"{huge}""#)), 422, "invalid_field", "/operator"),
        case(with(&format!(r#""{huge}":1"#)), 422, "invalid_field", ""),
        case(with(&format!(r#""timestamp":"{huge}""#)), 422, "invalid_timestamp", "/timestamp"),
        case(with(r#""timestamp":"2026-01-01T00:00:00""#), 422, "invalid_timestamp", "/timestamp"),
        case(with(r#""timestamp":"2999-01-01T00:00:00Z""#), 422, "invalid_timestamp", "/timestamp"),
        case(with(r#""characteristic_id":1"#), 422, "invalid_field", "/characteristic_id"),
        (
            format!(r#"{{"characteristic_key":"{huge}","measurements":[10]}}"#).into(),
            404,
            "unknown_characteristic",
            None,
        ),
        (
            r#"{"characteristic_key":"a\u0000b","measurements":[10]}"#.into(),
            404,
            "unknown_characteristic",
            None,
        ),
    ];
    for id in [
        "0",
        "-1",
        "1.0",
        "1.5",
        "9007199254740992",
        "1e3",
        "123456789012345678901234567890",
        "\"1\"",
        "true",
        "[1]",
        "{}",
    ] {
        let body = format!(r#"{{"characteristic_id":{id},"measurements":[10]}}"#);
        cases.push(case(body, 422, "invalid_field", "/characteristic_id"));
    }
    cases
}

async fn json(app: &TestApp, path: &str, body: Vec<u8>) -> Answer {
    Answer::to(app.request("POST", path).header("content-type", "application/json").body(body)).await
}

#[track_caller]
fn check(body: &[u8], answer: &Answer, status: u16, kind: &str, pointer: Option<&str>) {
    let shown = String::from_utf8_lossy(&body[..body.len().min(120)]);
    let told = answer.body["type"].as_str().and_then(|kind| kind.rsplit(':').next());
    assert_eq!((answer.status, told), (status, Some(kind)), "{shown}: {}", answer.text);
    answer.expect_problem(status, kind);
    // What is not there, or cannot be named, has the place of what holds it.
    let place = answer.body["errors"][0]["pointer"].as_str();
    assert!(place == pointer || pointer.is_some() && place == Some(""), "{shown}: {}", answer.text);
    assert!(answer.text.len() < 8_000, "{} bytes for {shown}", answer.text.len());
}

#[tokio::test]
async fn a_sample_that_is_none_is_refused_and_nothing_is_stored() {
    let app = TestApp::spawn().await;
    assert_eq!(app.given_a_chart("Bore").await, 1);
    for (body, status, kind, pointer) in sample_bodies() {
        let answer = json(&app, "/samples", body.clone()).await;
        check(&body, &answer, status, kind, pointer);
    }
    assert_eq!(app.sample_total().await, 0);
    assert_eq!(app.measure(1, 10.0).await["in_control"], true);
}

#[tokio::test]
async fn the_same_in_a_batch_is_an_item_error_or_refuses_the_batch() {
    let app = TestApp::spawn().await;
    assert_eq!(app.given_a_chart("Bore").await, 1);
    let mut good = 0;
    for (body, status, kind, _) in sample_bodies() {
        let shown = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        let batch =
            [br#"{"samples":["#, &*body, br#",{"characteristic_id":1,"measurements":[10]}]}"#].concat();
        let answer = json(&app, "/samples/batch", batch).await;
        if answer.status == 200 {
            good += 1;
            assert_eq!((&answer.body["total"], &answer.body["failed"]), (&json!(2), &json!(1)), "{shown}");
            let error = &answer.body["results"][0]["error"];
            assert_eq!(error["type"], format!("urn:problem:andon:{kind}"), "{shown}: {}", answer.text);
            assert_eq!(error["status"], status, "{shown}: {}", answer.text);
        } else {
            // It is not even JSON, so nobody can tell where the next item begins.
            assert!(answer.status == 400 || body.len() > 50_000, "{shown}: {}", answer.text);
            answer.expect_problem(400, "invalid_json");
        }
        assert!(answer.text.len() < 8_000);
    }
    assert_eq!(app.sample_total().await, good);
}

#[tokio::test]
async fn a_body_that_does_not_say_it_is_json_is_not_read() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let body = json!({"characteristic_id": bore, "measurements": [10]}).to_string();
    for media_type in [
        None,
        Some("text/plain"),
        Some("text/json"),
        Some("application/xml"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/jsonx"),
        Some("json"),
        Some("*/*"),
        Some(""),
    ] {
        let mut request = app.request("POST", "/samples").body(body.clone());
        if let Some(media_type) = media_type {
            request = request.header("content-type", media_type);
        }
        Answer::to(request).await.expect_problem(415, "unsupported_media_type");
    }
    assert_eq!(app.sample_total().await, 0);
    for media_type in ["application/json; charset=utf-8", "Application/JSON", "application/vnd.plant+json"] {
        let request = app.request("POST", "/samples").header("content-type", media_type).body(body.clone());
        assert_eq!(Answer::to(request).await.status, 201, "{media_type}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_the_client_hears_of_it() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let body = vec![b' '; 20 << 20];
    for path in ["/samples", "/samples/batch", "/characteristics"] {
        let answer = json(&app, path, body.clone()).await;
        answer.expect_problem(413, "too_large");
    }
    assert_eq!(app.sample_total().await, 0);
    app.measure(bore, 10.0).await;
}

/// Sends everything before it reads anything, as simple clients do.
async fn sent_whole(app: &TestApp, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(app.address).await.expect("a connection");
    let head = format!(
        "POST /api/v1/samples HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{head}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(body).await.expect("all of the body is taken");
    let mut answer = vec![];
    while !answer.ends_with(b"}") {
        let read = timeout(DEADLINE, stream.read_buf(&mut answer)).await.expect("an answer in time");
        assert_ne!(read.expect("an answer"), 0, "{}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8(answer).expect("text")
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let app = TestApp::builder().with(|s| s.http.body_timeout_ms = 50).spawn().await;
    let cut = sent_whole(&app, "Content-Length: 1000", b"{").await;
    assert!(cut.starts_with("HTTP/1.1 408") && cut.contains("urn:problem:andon:timeout"), "{cut}");
    assert_eq!(app.sample_total().await, 0);
}

#[tokio::test]
async fn a_client_that_sends_all_before_it_reads_hears_that_it_was_too_much() {
    let app = TestApp::spawn().await;
    let body = vec![b' '; 20 << 20];
    let announced = sent_whole(&app, &format!("Content-Length: {}", body.len()), &body).await;
    assert!(announced.starts_with("HTTP/1.1 413"), "{announced}");
    let chunk = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
    let chunked = sent_whole(&app, "Transfer-Encoding: chunked", &chunk).await;
    assert!(chunked.starts_with("HTTP/1.1 413"), "{chunked}");
    assert_eq!(Answer::to(app.request("GET", "/health/ready")).await.status, 200);
}

#[tokio::test]
async fn a_request_that_breaks_off_stores_nothing() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let body = json!({"characteristic_id": bore, "measurements": [10]}).to_string();
    for half in [0, body.len() / 2, body.len() - 1] {
        let mut stream = TcpStream::connect(app.address).await.expect("a connection");
        let length = body.len();
        let head = format!(
            "POST /api/v1/samples HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream.write_all(&body.as_bytes()[..half]).await.expect("sent");
        stream.shutdown().await.expect("shut down");
        let mut answer = vec![];
        let _ = timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("an end in time");
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(app.sample_total().await, 0);
}

#[tokio::test]
async fn other_bodies_are_refused_alike() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    let paths = [
        ("POST", "/characteristics".to_owned()),
        ("PUT", format!("/characteristics/{bore}/control-limits")),
        ("POST", format!("/characteristics/{bore}/control-limits/recalculate")),
        ("PUT", "/violations/reason-codes".to_owned()),
        ("POST", format!("/violations/{violation}/acknowledge")),
        ("POST", "/violations/batch-acknowledge".to_owned()),
    ];
    let deep = "[".repeat(100_000);
    for (method, path) in &paths {
        for (body, status, kind) in [
            ("{", 400, "invalid_json"),
            ("NaN", 400, "invalid_json"),
            ("[]", 422, "invalid_field"),
            (&*deep, 422, "invalid_field"),
            (&*format!(r#"{{"a":{deep}"#), 422, "invalid_field"),
            (r#"{"surprise":1}"#, 422, "invalid_field"),
            (r#"{"name":"a","name":"b"}"#, 422, "invalid_field"),
            ("7", 422, "invalid_field"),
        ] {
            let request = app.request(method, path).header("content-type", "application/json");
            let answer = Answer::to(request.body(body.to_owned())).await;
            check(body.as_bytes(), &answer, status, kind, answer.body["errors"][0]["pointer"].as_str());
        }
    }
    assert_eq!(app.get("/characteristics").await["total"], 1);
    assert_eq!(app.get(&format!("/violations/{violation}")).await["acknowledged"], false);
}

#[tokio::test]
async fn a_query_that_is_broken_is_refused() {
    let app = TestApp::spawn().await;
    for query in ["limit=%FF", "characteristic_id=%00", "from=%ED%A0%80", "limit=1&limit=1", "offset=1e999"] {
        let answer = Answer::to(app.request("GET", &format!("/samples?{query}"))).await;
        answer.expect_problem(422, "invalid_query");
    }
    let long = format!("/characteristics?q={}", "x".repeat(20_000));
    assert_eq!(Answer::to(app.request("GET", &long)).await.body["total"], 0);
}
