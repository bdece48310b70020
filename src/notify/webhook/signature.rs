//! Signs as Standard Webhooks says (version 1, symmetric): HMAC-SHA256 of id, time and body.
//!
//! Source: <https://www.standardwebhooks.com>, "Signature scheme".

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What a key begins with, so that people and scanners see what it is.
const PREFIX: &str = "whsec_";
/// The lengths of keys in bytes that the scheme recommends.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that signs. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not written as one.
    #[error("must be `whsec_` and base64")]
    Text,
    /// It is too short to be safe, or too long to be one.
    #[error("must be 24 to 64 bytes long")]
    Length,
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(KeyError::Text)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| KeyError::Text)?;
        if LENGTHS.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(KeyError::Length) }
    }
}

/// The value of `webhook-signature`: one signature for each key, so that keys can be exchanged without a gap.
pub fn signature(keys: &[Key], id: &str, unix_seconds: i64, body: &[u8]) -> String {
    let sign = |key: &Key| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("a key of any length will do");
        mac.update(format!("{id}.{unix_seconds}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    };
    keys.iter().map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_published_example() {
        // Source: the specification's own test vector.
        let key: Key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().expect("a key");
        let signed =
            signature(&[key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_key_signs() {
        let keys = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"];
        let keys: Vec<Key> = keys.iter().map(|text| text.parse().expect("a key")).collect();
        let both = signature(&keys, "id", 7, b"body");
        let each: Vec<_> =
            keys.iter().map(|key| signature(std::slice::from_ref(key), "id", 7, b"body")).collect();
        assert_eq!(both, each.join(" "));
        assert_eq!(format!("{keys:?}"), "[Key, Key]");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse::<Key>(), Err(KeyError::Text));
        assert_eq!("whsec_not base64".parse::<Key>(), Err(KeyError::Text));
        assert_eq!("whsec_c2hvcnQ=".parse::<Key>(), Err(KeyError::Length));
    }
}
