//! Requests to a server's REST interface.
//!
//! Knows addresses, tokens and TLS, as the WebSocket does; knows nothing of what is asked. Redirects are not
//! followed: a token would travel with them. Proxies of the environment are not used.

use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder};

use super::address::{ServerAddress, Token};
use super::error::ClientError;
use super::tls;

/// A server, and the connections to it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Rest {
    server: ServerAddress,
    token: Option<Token>,
    http: reqwest::Client,
}

impl Rest {
    /// Calls of that server; each has `timeout` from its first packet to the last byte of its answer.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`], if the address is encrypted and this machine trusts no certificates.
    pub async fn new(
        server: ServerAddress,
        token: Option<Token>,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(&server).await?)
            .redirect(Policy::none())
            .timeout(timeout)
            .build()
            .expect("TLS is configured, and nothing else can fail");
        Ok(Self { server, token, http })
    }

    /// A request for a path of the server, such as `/api/v1/samples`; to be completed and sent.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, self.server.url(path));
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.authorization().as_bytes()),
            None => request,
        }
    }
}
