//! Which web pages may talk to this server: a browser tells the page's origin, other programs tell none.

use actix_cors::Cors;
use actix_web::HttpRequest;
use actix_web::http::header::{HOST, ORIGIN};

use crate::http::Settings;
use crate::http::error::{ApiError, Kind};

/// Cross-origin requests: those from the origins of the settings.
pub fn cors(settings: &Settings) -> Cors {
    let cors = Cors::default().allow_any_method().allow_any_header().max_age(600);
    settings.allowed_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}

/// Checks the origin of a WebSocket handshake, which browsers do not check for us.
///
/// A page that this server itself delivered has the server's own host as its origin. But a name can be made to
/// point here by anybody (DNS rebinding), so a host name counts only where tokens are required; addresses and
/// `localhost` cannot be forged.
///
/// # Errors
/// 403, for a page that may not.
pub fn check(request: &HttpRequest, settings: &Settings, tokens_required: bool) -> Result<(), ApiError> {
    let Some(origin) = request.headers().get(ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or("");
    if settings.allowed_origins.iter().any(|allowed| allowed == origin) {
        return Ok(());
    }
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let own = origin.split_once("://").is_some_and(|(_, authority)| authority == host);
    if own && (tokens_required || cannot_be_forged(host)) {
        return Ok(());
    }
    Err(ApiError::new(Kind::OriginNotAllowed, "this origin is not in the setting http.allowed_origins"))
}

fn cannot_be_forged(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn allowed(origin: Option<&str>, host: &str, tokens_required: bool) -> bool {
        let settings =
            Settings { allowed_origins: vec!["https://plant.example".to_owned()], ..Settings::default() };
        let mut request = TestRequest::default().insert_header((HOST, host));
        if let Some(origin) = origin {
            request = request.insert_header((ORIGIN, origin));
        }
        check(&request.to_http_request(), &settings, tokens_required).is_ok()
    }

    #[test]
    fn a_page_from_elsewhere_may_not_listen() {
        assert!(allowed(None, "127.0.0.1:8080", false));
        assert!(allowed(Some("https://plant.example"), "10.0.0.7:8080", false));
        assert!(allowed(Some("http://127.0.0.1:8080"), "127.0.0.1:8080", false));
        assert!(allowed(Some("http://[::1]:8080"), "[::1]:8080", false));
        assert!(allowed(Some("http://localhost:8080"), "localhost:8080", false));
        assert!(!allowed(Some("http://evil.example"), "127.0.0.1:8080", false));
        assert!(!allowed(Some("null"), "127.0.0.1:8080", false));
    }

    #[test]
    fn a_name_that_points_here_proves_nothing_unless_tokens_do() {
        assert!(!allowed(Some("http://rebound.example:8080"), "rebound.example:8080", false));
        assert!(allowed(Some("http://spc.example:8080"), "spc.example:8080", true));
    }
}
