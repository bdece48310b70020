//! Which web pages may talk to this server.

use serde_json::json;
use tokio_tungstenite::tungstenite::Error;

use crate::support::{Answer, TestApp, TestSocket};

const PLANT: &str = "https://plant.example";
const EVIL: &str = "https://evil.example";

async fn app() -> TestApp {
    TestApp::builder().with(|s| s.http.allowed_origins = vec![PLANT.to_owned()]).spawn().await
}

async fn handshake_from(app: &TestApp, path: &str, origin: &str) -> Result<TestSocket, u16> {
    TestSocket::handshake_at(app.address, path, &[("Origin", origin)]).await.map_err(|error| match error {
        Error::Http(response) => response.status().as_u16(),
        other => panic!("{other}"),
    })
}

#[tokio::test]
async fn a_page_from_elsewhere_may_not_listen() {
    let app = app().await;
    let own = format!("http://{}", app.address);
    for path in ["/api/v1/ws", "/ws", "/ws/samples"] {
        for origin in [EVIL, "null", "", "https://plant.example.evil.example", "http://plant.example"] {
            assert_eq!(handshake_from(&app, path, origin).await.err(), Some(403), "{origin}");
        }
        for origin in [PLANT, &own] {
            let mut socket = handshake_from(&app, path, origin).await.expect("allowed");
            assert_eq!(socket.next().await["type"], "welcome");
        }
    }
    let request = app.request("GET", "/ws").header("origin", EVIL).header("upgrade", "websocket");
    let answer = Answer::to(request).await;
    answer.expect_problem(403, "origin_not_allowed");
}

#[tokio::test]
async fn what_is_no_handshake_is_told_so() {
    let app = app().await;
    Answer::to(app.request("GET", "/ws")).await.expect_problem(400, "not_websocket");
}

fn preflight(app: &TestApp, origin: &str, method: &str) -> reqwest::RequestBuilder {
    app.request("OPTIONS", "/samples")
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "content-type,authorization")
}

#[tokio::test]
async fn a_browser_is_told_which_pages_may_call() {
    let app = app().await;
    for method in ["GET", "POST", "PUT"] {
        let allowed = Answer::to(preflight(&app, PLANT, method)).await;
        assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, PLANT));
        assert!(allowed.header("access-control-allow-methods").contains(method));
        let headers = allowed.header("access-control-allow-headers").to_lowercase();
        assert!(headers.contains("content-type") && headers.contains("authorization"), "{headers}");
    }
    let denied = Answer::to(preflight(&app, EVIL, "POST")).await;
    assert!(denied.status >= 400);
    assert_eq!(denied.header("access-control-allow-origin"), "");
    let none = TestApp::spawn().await;
    let denied = Answer::to(preflight(&none, PLANT, "POST")).await;
    assert_eq!(denied.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn only_an_allowed_page_can_read_the_answer() {
    let app = app().await;
    let get = |origin| Answer::to(app.request("GET", "/characteristics").header("origin", origin));
    assert_eq!(get(PLANT).await.header("access-control-allow-origin"), PLANT);
    assert_eq!(get(EVIL).await.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn what_a_page_can_send_without_asking_first_changes_nothing() {
    let app = app().await;
    let bore = app.given_a_chart("Bore").await;
    let violation = app.given_a_violation_on(bore).await;
    let sample = json!({"characteristic_id": bore, "measurements": [10]}).to_string();
    let answer = json!({"reason": "Other", "user": "eve"}).to_string();
    let acknowledge = format!("/violations/{violation}/acknowledge");
    // Simple requests (Fetch, CORS-safelisted content types): a browser sends them for any page.
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        for (path, body) in [("/samples", &sample), (&*acknowledge, &answer)] {
            let request = || app.request("POST", path).header("content-type", media_type).body(body.clone());
            Answer::to(request()).await.expect_problem(415, "unsupported_media_type");
            let of_a_page = request().header("origin", EVIL);
            Answer::to(of_a_page).await.expect_problem(403, "origin_not_allowed");
        }
    }
    assert_eq!(app.sample_total().await, 1);
    assert_eq!(app.get(&format!("/violations/{violation}")).await["acknowledged"], false);
}
