//! `andon health`: asks a server whether it is ready, and says so in a line and by its exit code.
//!
//! For whoever watches a container or a service: needs no token, and answers within its timeout.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::lines::printable;
use crate::client::{Rest, ServerAddress};
use crate::error_chain::error_chain;
use crate::settings::{Overrides, Settings};

const READY: &str = "/health/ready";

/// Ask whether a server is ready: exit code 0 if it is, 1 if not
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Where the server is [default: this machine, where the settings say that it listens]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The settings file (TOML) of the server; not needed with --url
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
    /// How long to wait for the answer
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    timeout: f64,
}

/// Asks once.
///
/// # Errors
/// A server that is not ready, that does not answer, or that is none.
pub async fn run(arguments: HealthArgs) -> anyhow::Result<()> {
    let timeout = Duration::try_from_secs_f64(arguments.timeout).ok().filter(|timeout| !timeout.is_zero());
    let timeout = timeout.context("--timeout must be more than 0 seconds")?;
    let url = match arguments.url {
        Some(url) => url,
        None => {
            let settings = Settings::load(arguments.config.as_deref(), Overrides::new())?;
            own_url(&settings.http.listen)?
        }
    };
    let server: ServerAddress = url.parse().with_context(|| format!("--url {}", printable(&url)))?;
    let rest = Rest::new(server, None, timeout).await?;
    let answer = async {
        let answer = rest.request(Method::GET, READY).send().await?;
        Ok((answer.status(), answer.text().await?))
    };
    let (status, body) = answer.await.map_err(|error| unanswered(&url, timeout, &error))?;
    let parts =
        parts(&body).with_context(|| format!("what answers at {url} is not Andon (HTTP {status})"))?;
    if status != StatusCode::OK {
        bail!("{url} is not ready: {parts}");
    }
    writeln!(io::stdout(), "{url} is ready: {parts}").context("could not write")
}

/// Where a process that listens there is called from this machine.
fn own_url(listen: &str) -> anyhow::Result<String> {
    let Ok(address) = listen.parse::<SocketAddr>() else {
        return Ok(format!("http://{listen}")); // a name and a port
    };
    if address.port() == 0 {
        bail!("the setting http.listen leaves the port to the system: say --url");
    }
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    Ok(format!("http://{}", SocketAddr::new(ip, address.port())))
}

fn unanswered(url: &str, timeout: Duration, error: &reqwest::Error) -> anyhow::Error {
    if error.is_timeout() {
        anyhow!("{url} did not answer within {timeout:?}")
    } else if error.is_connect() {
        anyhow!("nothing answers at {url}: {}", printable(&root_cause(error)))
    } else {
        anyhow!("no answer from {url}: {}", printable(&error_chain(error)))
    }
}

/// The libraries in between only repeat that there is no connection.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// `process running, database writable`; none, if the body is not the answer to that question.
fn parts(body: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(body).ok()?;
    let parts = answer.get("parts")?.as_object()?;
    let told = parts.iter().map(|(part, state)| match state.as_str() {
        Some(state) => format!("{part} {state}"),
        None => format!("{part} {state}"),
    });
    Some(printable(&told.collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_listens_everywhere_is_asked_on_this_machine() {
        for (listen, url) in [
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("[::]:80", "http://[::1]:80"),
            ("10.0.0.7:8080", "http://10.0.0.7:8080"),
            ("localhost:8080", "http://localhost:8080"),
        ] {
            assert_eq!(own_url(listen).expect(listen), url);
        }
        assert!(own_url("127.0.0.1:0").is_err());
    }

    #[test]
    fn the_parts_are_told_in_words() {
        let body = r#"{"status":"not_ready","parts":{"process":"stopping","disk":{"free":1}}}"#;
        assert_eq!(parts(body).as_deref(), Some(r#"disk {"free":1}, process stopping"#));
        for other in ["", "<html>", "[]", r#"{"status":"UP"}"#] {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}
