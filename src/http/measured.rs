//! Counts and times every request by the pattern of its path, never by what stands in it.

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use tokio::time::Instant;

use crate::metrics::{Answered, Metrics};

/// A request that is being answered.
pub struct Measured {
    metrics: Metrics,
    begun: Instant,
    route: String,
    method: &'static str,
}

impl Measured {
    /// Begins when a request's head has been read.
    pub fn begin(request: &ServiceRequest, metrics: Metrics) -> Self {
        let route = request.match_pattern().unwrap_or_else(|| "none".to_owned());
        Self { metrics, begun: Instant::now(), route, method: method(request.method()) }
    }

    /// Ends when the head of the answer is there; its body may still be on its way.
    pub fn end<B>(self, answer: &Result<ServiceResponse<B>, actix_web::Error>) {
        let status = match answer {
            Ok(answer) => answer.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        let answered = Answered { route: self.route, method: self.method, status: class(status) };
        self.metrics.answered(answered, self.begun.elapsed());
    }
}

/// A method can be any word that a client thinks of.
fn method(method: &Method) -> &'static str {
    const USUAL: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    USUAL.into_iter().find(|usual| *usual == method.as_str()).unwrap_or("OTHER")
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
