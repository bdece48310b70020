//! The answer to a request, whole.

use serde_json::Value;

use super::contract::{self, Exchange};

/// Status, headers and body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
    /// The body as JSON; as a string where it is none.
    pub body: Value,
}

/// Words that only the inside of this program knows.
const INTERNAL: [&str; 14] = [
    "sqlx", "sqlite", "serde", "tokio", "actix", "panicked", ".rs:", "src/", "/tmp", "andon.db", "struct",
    "f64", "i64", "u32",
];

impl Answer {
    /// Sends a request and reads all of the answer, which has to be one that the OpenAPI document tells of.
    pub async fn to(request: reqwest::RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.expect("a request");
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = client.execute(request).await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let body = serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.clone()));
        let (method, path) = (method.as_str(), path.as_str());
        contract::check(&Exchange { method, path, status, headers: &headers, body: &body });
        Self { status, headers, text, body }
    }

    /// A header's text; empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// Checks that this is a problem of a kind, told as the contract says and without internal text.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, kind: &str) -> &Self {
        assert_eq!((self.status, &self.body["type"]), (status, &format!("urn:problem:andon:{kind}").into()));
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert!(["title", "detail"].iter().all(|name| self.body[name].is_string()), "{}", self.text);
        self.expect_nothing_internal()
    }

    /// Checks that the problem names this place of the body.
    #[track_caller]
    pub fn expect_pointer(&self, pointer: &str) -> &Self {
        assert_eq!(self.body["errors"][0]["pointer"], pointer, "{}", self.text);
        self
    }

    #[track_caller]
    fn expect_nothing_internal(&self) -> &Self {
        let text = self.text.to_lowercase();
        for word in INTERNAL {
            assert!(!text.contains(word), "{word} in {text}");
        }
        self
    }
}
