//! Which web pages may talk to this server: a browser tells the page's origin, other programs tell none.

use actix_cors::Cors;
use actix_web::HttpRequest;
use actix_web::http::header::{HOST, ORIGIN};

use crate::http::error::{ApiError, Kind};
use crate::http::{Access, Settings};

/// Cross-origin requests: those from the origins of the settings.
pub fn cors(settings: &Settings) -> Cors {
    let cors = Cors::default().allow_any_method().allow_any_header().max_age(600);
    settings.allowed_origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}

/// Checks which page sends a request, and under which name it found this server.
///
/// A page that this server itself delivered has the server's own host as its origin. But a name can be made to
/// point here by anybody (DNS rebinding), and then any page looks like one of ours. So a name proves something
/// only where tokens do; addresses and `localhost` cannot be forged. Browsers do not check WebSocket handshakes
/// for us, and leave the origin out of plain reads: hence the look at the host.
///
/// # Errors
/// 403, for a page that may not.
pub fn check(request: &HttpRequest, settings: &Settings, access: Access) -> Result<(), ApiError> {
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or(""));
    let host = header(HOST).unwrap_or("");
    let is_allowed = |origin: &str| settings.allowed_origins.iter().any(|allowed| allowed == origin);
    let is_ours = match access {
        Access::Tokens => true,
        Access::Loopback | Access::Anybody => cannot_be_forged(host),
    };
    match header(ORIGIN) {
        Some(origin) if is_allowed(origin) => Ok(()),
        Some(origin) if is_ours && authority(origin) == Some(host) => Ok(()),
        Some(_) => Err(refuse("this origin is not in the setting http.allowed_origins")),
        None if access != Access::Loopback || is_ours => Ok(()),
        None if settings.allowed_origins.iter().any(|allowed| authority(allowed) == Some(host)) => Ok(()),
        None => Err(refuse("call this server by its address or as localhost")),
    }
}

/// Whether a browser could send this as a page's origin.
pub fn is_origin(text: &str) -> bool {
    let is_plain = |authority: &str| {
        !authority.is_empty() && !authority.contains(['/', '*', '?', '#', '@', ' ']) && authority.is_ascii()
    };
    text.split_once("://").is_some_and(|(scheme, authority)| {
        scheme.chars().all(|c| c.is_ascii_lowercase()) && !scheme.is_empty() && is_plain(authority)
    })
}

fn refuse(detail: &str) -> ApiError {
    ApiError::new(Kind::OriginNotAllowed, detail)
}

fn authority(origin: &str) -> Option<&str> {
    origin.split_once("://").map(|(_, authority)| authority)
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

    fn allowed(origin: Option<&str>, host: &str, access: Access) -> bool {
        let settings =
            Settings { allowed_origins: vec!["https://plant.example".to_owned()], ..Settings::default() };
        let mut request = TestRequest::default().insert_header((HOST, host));
        if let Some(origin) = origin {
            request = request.insert_header((ORIGIN, origin));
        }
        check(&request.to_http_request(), &settings, access).is_ok()
    }

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        assert!(
            ["https://spc.example", "http://10.0.0.7:8080", "http://[::1]:3000"].iter().all(|o| is_origin(o))
        );
        let wrong = ["*", "https://spc.example/", "spc.example", "https://*.example", "https://", "null"];
        assert!(!wrong.iter().any(|o| is_origin(o)));
    }

    #[test]
    fn a_page_from_elsewhere_may_not_call() {
        assert!(allowed(None, "127.0.0.1:8080", Access::Loopback));
        assert!(allowed(Some("https://plant.example"), "10.0.0.7:8080", Access::Loopback));
        assert!(allowed(Some("http://127.0.0.1:8080"), "127.0.0.1:8080", Access::Loopback));
        assert!(allowed(Some("http://[::1]:8080"), "[::1]:8080", Access::Loopback));
        assert!(allowed(Some("http://localhost:8080"), "localhost:8080", Access::Loopback));
        for access in [Access::Loopback, Access::Anybody, Access::Tokens] {
            assert!(!allowed(Some("http://evil.example"), "127.0.0.1:8080", access));
            assert!(!allowed(Some("null"), "127.0.0.1:8080", access));
        }
    }

    #[test]
    fn a_name_that_points_here_proves_nothing_unless_tokens_do() {
        let rebound = Some("http://rebound.example:8080");
        assert!(!allowed(rebound, "rebound.example:8080", Access::Loopback));
        assert!(!allowed(rebound, "rebound.example:8080", Access::Anybody));
        assert!(allowed(Some("http://spc.example:8080"), "spc.example:8080", Access::Tokens));
    }

    #[test]
    fn a_plain_read_under_a_forged_name_is_refused_where_only_this_machine_may_call() {
        assert!(!allowed(None, "rebound.example:8080", Access::Loopback));
        assert!(allowed(None, "plant.example", Access::Loopback));
        assert!(allowed(None, "andon:8080", Access::Anybody));
        assert!(allowed(None, "spc.example", Access::Tokens));
    }
}
