//! What every request passes first: is the server stopping, and may the page that sent it call at all.
//!
//! A stop waits for the requests that passed before it; what comes later on a connection that is still open is
//! sent away. `/health` always passes: it is asked by whatever looks after the process, and says nothing else.

use actix_web::HttpRequest;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::http::error::{ApiError, Kind};
use crate::http::tcp::Connection;
use crate::http::{Access, Settings, origin};

/// Lets requests in, and knows how many are under way.
#[derive(Clone)]
pub struct Gate {
    pub settings: Settings,
    pub access: Access,
    /// Holds the requests under way.
    pub requests: TaskTracker,
    /// Cancelled when no new ones are let in.
    pub stop: CancellationToken,
}

impl Gate {
    /// Lets a request in; it is under way until the token is dropped.
    ///
    /// # Errors
    /// 403, for a page that may not call; 503, while the server is stopping, and behind a stream.
    pub fn admit(&self, request: &HttpRequest) -> Result<TaskTrackerToken, ApiError> {
        // Counted first and looked at then: a stop that comes in between waits for this one in vain, shortly.
        let under_way = self.requests.token();
        if is_about_health(request.path()) {
            return Ok(under_way);
        }
        origin::check(request, &self.settings, self.access)?;
        if Connection::of(request).is_some_and(|connection| connection.has_had_its_last_answer()) {
            // It said so; and what was sent hours ago may not be wanted any more.
            let detail = "a stream was the last answer on this connection; nothing was stored";
            return Err(ApiError::new(Kind::Unavailable, detail));
        }
        if self.stop.is_cancelled() {
            return Err(ApiError::new(Kind::Unavailable, "the server is stopping; nothing was stored"));
        }
        Ok(under_way)
    }
}

fn is_about_health(path: &str) -> bool {
    path.starts_with("/health/") || path.starts_with("/api/v1/health/")
}
