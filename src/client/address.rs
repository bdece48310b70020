//! Where a server is, and the token shown to it.

use std::fmt;
use std::str::FromStr;

use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::http::header::HeaderValue;
use tokio_tungstenite::tungstenite::http::uri::InvalidUri;

const SOCKET_PATH: &str = "/api/v1/ws";

/// The address of a server, as a person gives it: `http://host:port`, with a base path behind a proxy.
///
/// `https`, `ws` and `wss` are fine too; the path of the socket is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    given: String,
    socket: Uri,
    /// Scheme, host, port and base path for plain requests, without a slash at the end.
    base: String,
}

impl ServerAddress {
    /// The URL of the WebSocket.
    pub fn socket(&self) -> &Uri {
        &self.socket
    }

    /// The URL of a path of the server, such as `/health/ready`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.socket.scheme_str() == Some("wss")
    }
}

/// Not the address of a server.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAddress {
    #[error("not a URL; one looks like http://localhost:8080")]
    NotAUrl(#[source] InvalidUri),
    #[error("must begin with http://, https://, ws:// or wss://")]
    Scheme,
    #[error("names no host")]
    NoHost,
    #[error("a port is a number up to 65535")]
    Port,
    #[error("must be host, port and base path alone, without user, query or fragment")]
    TooMuch,
}

impl FromStr for ServerAddress {
    type Err = InvalidAddress;

    fn from_str(given: &str) -> Result<Self, InvalidAddress> {
        if given.contains(['?', '#', '@']) {
            return Err(InvalidAddress::TooMuch);
        }
        let url: Uri = given.parse().map_err(InvalidAddress::NotAUrl)?;
        let (scheme, plain) = match url.scheme_str() {
            Some("http" | "ws") => ("ws", "http"),
            Some("https" | "wss") => ("wss", "https"),
            _ => return Err(InvalidAddress::Scheme),
        };
        let authority = url.authority().filter(|a| !a.host().is_empty()).ok_or(InvalidAddress::NoHost)?;
        // The library would read a port that is none as the usual one.
        if authority.as_str() != authority.host() && authority.port_u16().is_none() {
            return Err(InvalidAddress::Port);
        }
        let path = url.path().trim_end_matches('/');
        let socket = format!("{scheme}://{authority}{path}{SOCKET_PATH}");
        let socket = socket.parse().map_err(InvalidAddress::NotAUrl)?;
        Ok(Self { given: given.to_owned(), socket, base: format!("{plain}://{authority}{path}") })
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

/// A bearer token. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(HeaderValue);

impl Token {
    /// The value of the `Authorization` header.
    pub(super) fn authorization(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// Not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is one or more visible ASCII characters")]
pub struct InvalidToken;

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(token: &str) -> Result<Self, InvalidToken> {
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidToken);
        }
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| InvalidToken)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_the_socket_is_added() {
        for (given, socket) in [
            ("http://localhost:8080", "ws://localhost:8080/api/v1/ws"),
            ("http://localhost:8080/", "ws://localhost:8080/api/v1/ws"),
            ("https://plant.example/andon/", "wss://plant.example/andon/api/v1/ws"),
            ("ws://10.0.0.1", "ws://10.0.0.1/api/v1/ws"),
            ("wss://[::1]:8443/a/b", "wss://[::1]:8443/a/b/api/v1/ws"),
        ] {
            let address: ServerAddress = given.parse().expect(given);
            assert_eq!(
                (address.socket().to_string(), address.to_string()),
                (socket.to_owned(), given.to_owned())
            );
        }
    }

    #[test]
    fn paths_of_the_server_stand_behind_the_base_path() {
        for (given, url) in [
            ("http://localhost:8080/", "http://localhost:8080/health/ready"),
            ("wss://plant.example/andon/", "https://plant.example/andon/health/ready"),
        ] {
            let address: ServerAddress = given.parse().expect(given);
            assert_eq!(address.url("/health/ready"), url);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "localhost",
            "localhost:8080",
            "/api",
            "ftp://localhost",
            "http://",
            "http://:8080",
            "http://localhost:port",
            "http://localhost:70000",
            "http://localhost:",
            "http://kim:secret@localhost",
            "http://localhost/?token=secret",
            "http://localhost/#top",
            "http://local host",
        ] {
            assert!(bad.parse::<ServerAddress>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_cannot_break_out_of_its_header_and_is_not_shown() {
        for bad in ["", "a b", "a\r\nHost: b", "é", "a\n"] {
            assert_eq!(bad.parse::<Token>(), Err(InvalidToken), "{bad:?}");
        }
        let token: Token = "s3cret".parse().expect("visible");
        assert_eq!(token.authorization(), "Bearer s3cret");
        assert!(!format!("{token:?} {:?}", token.authorization()).contains("s3cret"));
    }
}
