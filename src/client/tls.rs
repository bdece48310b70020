//! Encryption for `https` and `wss`: TLS, with the certificates that the machine trusts.

use std::io;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::task::spawn_blocking;
use tokio_tungstenite::Connector;

use super::address::ServerAddress;
use super::error::ClientError;

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
        true => spawn_blocking(trusted_roots).await.map_err(io::Error::other).and_then(|roots| roots),
        false => Ok(RootCertStore::empty()),
    };
    let roots = roots.map_err(ClientError::Unreachable)?;
    // The provider is named, so that another crate that brings its own cannot make the choice ambiguous.
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// The machine's store, or the file that `SSL_CERT_FILE` names.
fn trusted_roots() -> io::Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let cause = found.errors.into_iter().next();
        return Err(cause.map_or_else(
            || io::Error::new(io::ErrorKind::NotFound, "this machine trusts no certificates"),
            io::Error::other,
        ));
    }
    Ok(roots)
}
