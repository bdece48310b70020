//! Large answers are compressed for whoever takes that, and nothing else is.

use std::io::Read as _;

use flate2::read::GzDecoder;
use reqwest::Response;

use crate::support::TestApp;

async fn asked(app: &TestApp, path: &str, takes: &str) -> Response {
    app.request_at("GET", path).header("Accept-Encoding", takes).send().await.expect("an answer")
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

/// With this many violations: their list is compressed on the thread that answers, or, if it is very long, elsewhere.
async fn given(violations: usize) -> TestApp {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.measure_all(bore, &vec![99.0; violations]).await;
    app
}

#[tokio::test]
async fn a_long_list_is_told_compressed_and_is_the_same() {
    const PATH: &str = "/api/v1/violations?rule_id=1&limit=1000";
    for violations in [20, 300] {
        let app = given(violations).await;
        let plain = asked(&app, PATH, "identity").await;
        assert_eq!(header(&plain, "content-encoding"), "");
        assert!(header(&plain, "vary").starts_with("Accept-Encoding"));
        let plain = plain.text().await.expect("a body");
        let squeezed = asked(&app, PATH, "gzip, deflate").await;
        assert_eq!(
            (squeezed.status().as_u16(), header(&squeezed, "content-type")),
            (200, "application/json")
        );
        assert_eq!(header(&squeezed, "content-encoding"), "gzip");
        assert!(header(&squeezed, "vary").starts_with("Accept-Encoding"));
        let length: usize = header(&squeezed, "content-length").parse().expect("a length");
        let bytes = squeezed.bytes().await.expect("a body");
        assert_eq!(bytes.len(), length);
        let mut text = String::new();
        GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip");
        assert_eq!(text, plain);
        assert!(bytes.len() * 5 < text.len(), "{} bytes of {}", bytes.len(), text.len());
    }
}

#[tokio::test]
async fn what_is_short_or_on_its_way_or_a_picture_is_not_touched() {
    let app = given(20).await;
    for (path, status, media_type) in [
        ("violations?limit=1", 200, "application/json"),
        ("violations/9999", 404, "application/problem+json"),
        ("characteristics/1/chart.png", 200, "image/png"),
        ("events/stream?all=true", 200, "text/event-stream; charset=utf-8"),
    ] {
        let answer = asked(&app, &format!("/api/v1/{path}"), "gzip").await;
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "content-type")),
            (status, media_type),
            "{path}"
        );
        assert_eq!(header(&answer, "content-encoding"), "", "{path}");
    }
    let metrics = asked(&app, "/metrics", "gzip").await;
    assert_eq!(header(&metrics, "content-encoding"), "gzip");
}
