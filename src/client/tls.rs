//! Encryption for `https` and `wss`: TLS, with the certificates that the machine trusts.

use std::io;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use tokio::task::spawn_blocking;
use tokio_tungstenite::Connector;

use super::address::ServerAddress;
use super::error::ClientError;
use crate::tls;

/// What a connection to that address goes through.
pub(super) async fn connector(server: &ServerAddress) -> Result<Connector, ClientError> {
    if !server.is_encrypted() {
        return Ok(Connector::Plain);
    }
    Ok(Connector::Rustls(Arc::new(config(server).await?)))
}

/// How TLS is spoken with that address; where it is not encrypted, nothing is trusted.
pub(super) async fn config(server: &ServerAddress) -> Result<ClientConfig, ClientError> {
    let roots = match server.is_encrypted() {
        // Read anew for each connection, so that a renewed authority is seen. It reads hundreds of files.
        true => spawn_blocking(tls::trusted_roots).await.map_err(io::Error::other).and_then(|roots| roots),
        false => Ok(RootCertStore::empty()),
    };
    let roots = roots.map_err(ClientError::Unreachable)?;
    Ok(tls::trusting(roots))
}
