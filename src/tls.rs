//! How this process speaks TLS as a client: with the certificates that the machine trusts.

use std::io;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// TLS with these authorities. The provider is named, so that another crate that brings its own cannot make the choice
/// ambiguous.
pub fn trusting(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// The machine's store, or the file that `SSL_CERT_FILE` names. Reads hundreds of files: it blocks.
///
/// # Errors
/// Nothing is trusted, or it cannot be read.
pub fn trusted_roots() -> io::Result<RootCertStore> {
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
