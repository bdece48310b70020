//! The files of the operators' page: where they are, what they may do, and how they travel.

use std::io::Read as _;

use flate2::read::GzDecoder;
use reqwest::Response;

use crate::support::{Answer, TestApp};

const PAGES: [&str; 5] = ["/", "/characteristics/1", "/alarms", "/system", "/api"];

/// Asks for a file. It is no operation, so no answer of the OpenAPI document.
async fn asked(app: &TestApp, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let request = app.request_at(method, path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.send().await.expect("an answer")
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

#[tokio::test]
async fn each_page_may_run_only_its_own_scripts_and_is_asked_about_before_it_is_shown_again() {
    let app = TestApp::spawn().await;
    for path in PAGES {
        let page = asked(&app, "GET", path, &[]).await;
        assert_eq!(page.status(), 200, "{path}");
        assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
        assert_eq!(header(&page, "cache-control"), "no-cache");
        let policy = header(&page, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let tag = header(&page, "etag");
        let again = asked(&app, "GET", path, &[("If-None-Match", &format!("\"other\", {tag}"))]).await;
        assert_eq!(again.status(), 304, "{path}");
        assert_eq!(again.text().await.expect("a body"), "");
        let changed = asked(&app, "GET", path, &[("If-None-Match", "\"other\"")]).await;
        assert_eq!(changed.status(), 200, "{path}");
        let head = asked(&app, "HEAD", path, &[]).await;
        assert_eq!((head.status().as_u16(), header(&head, "etag")), (200, tag));
        assert_eq!(head.text().await.expect("no body"), "");
    }
}

#[tokio::test]
async fn who_takes_it_gets_a_file_compressed() {
    const FILE: &str = "/assets/shared/style.css";
    let app = TestApp::spawn().await;
    let plain = asked(&app, "GET", FILE, &[]).await;
    assert_eq!((plain.status().as_u16(), header(&plain, "content-encoding")), (200, ""));
    let plain = plain.text().await.expect("a body");
    let squeezed = asked(&app, "GET", FILE, &[("Accept-Encoding", "br, gzip")]).await;
    assert_eq!(header(&squeezed, "content-encoding"), "gzip");
    assert_eq!(header(&squeezed, "content-type"), "text/css; charset=utf-8");
    let bytes = squeezed.bytes().await.expect("a body");
    let mut text = String::new();
    GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip");
    assert_eq!(text, plain);
    assert!(bytes.len() < text.len() / 2);
}

#[tokio::test]
async fn nothing_else_lies_there() {
    let app = TestApp::spawn().await;
    for path in
        ["/assets/no.js", "/assets/%2e%2e/mod.rs", "/assets/..%2fmod.rs", "/characteristics/x", "/alarms/1"]
    {
        Answer::to(app.request_at("GET", path)).await.expect_problem(404, "not_found");
    }
    for path in ["/", "/alarms", "/characteristics/1", "/assets/shared/style.css"] {
        let refused = Answer::to(app.request_at("POST", path)).await;
        refused.expect_problem(405, "method_not_allowed");
        assert_eq!(refused.header("allow"), "GET, HEAD");
    }
}

#[tokio::test]
async fn a_page_with_a_slash_behind_it_leads_to_the_page() {
    let app = TestApp::spawn().await;
    for (path, place) in [("/alarms/", "../alarms"), ("/characteristics/7/?violation=9", "../7?violation=9")]
    {
        // The client of these tests follows where it is led.
        let client =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let answer = client.get(format!("http://{}{path}", app.address)).send().await.expect("an answer");
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["location"]),
            (308, &place.parse().expect("a value"))
        );
    }
}

#[tokio::test]
async fn who_wants_no_page_has_none() {
    let app = TestApp::builder().with(|s| s.http.dashboard = false).spawn().await;
    for path in PAGES.into_iter().chain(["/assets/shared/style.css", "/alarms/"]) {
        Answer::to(app.request_at("GET", path)).await.expect_problem(404, "not_found");
    }
    assert_eq!(app.get("/characteristics").await["total"], 0);
}
