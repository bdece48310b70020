//! The token that a command shows to a server.

use std::path::Path;

use anyhow::Context as _;
use tokio::fs;

use crate::client::Token;

/// As it was given, or as a file holds it.
///
/// # Errors
/// If the file cannot be read, or it is no token.
pub async fn token(given: Option<String>, file: Option<&Path>) -> anyhow::Result<Option<Token>> {
    let text = match (given, file) {
        (Some(text), _) => text,
        (None, Some(file)) => {
            fs::read_to_string(file).await.with_context(|| format!("--token-file {}", file.display()))?
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(text.trim().parse().context("the token cannot be used")?))
}
