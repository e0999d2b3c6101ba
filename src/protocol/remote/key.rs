//! Key pairs of Curve25519 (RFC 7748): how they are written, and the fingerprint
//! by which people compare them.
//!
//! Draws nothing at random: whoever makes a key brings its bytes. A secret key is
//! never shown except where it is asked for by name.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};
use snow::params::DHChoice;
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::Dh;

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 32 bytes in base64.
    #[error("a key is 32 bytes in base64: 44 letters, the last an equals sign")]
    Form,
    /// A point of small order: what is agreed with it is no secret.
    #[error("this key is no secret's other half: anybody could use it")]
    Weak,
    /// Not the file of a secret key.
    #[error("a secret key's file is one line: {HEADING} and the key")]
    File,
}

/// What a secret key's file begins with.
const HEADING: &str = "socklab-secret-key";

/// The half of a key pair that everybody may know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Public([u8; 32]);

/// The half of a key pair that nobody else may know.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Public {
    /// The key with these bytes.
    ///
    /// # Errors
    ///
    /// [`KeyError::Weak`] where every secret would agree on the same with it.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        let mut agreed = [0; 32];
        let any = curve(&Secret([7; 32])).ok_or(KeyError::Weak)?;
        match any.dh(&bytes, &mut agreed) {
            Ok(()) if agreed != [0; 32] => Ok(Self(bytes)),
            _ => Err(KeyError::Weak),
        }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What people compare: the SHA-256 of the key, as ssh(1) writes it.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(self.0)))
    }
}

impl Secret {
    /// The secret with these bytes, which must have been drawn at random.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its other half.
    pub fn public(&self) -> Public {
        let mut bytes = [0; 32];
        if let Some(curve) = curve(self) {
            bytes.copy_from_slice(curve.pubkey());
        }
        Public(bytes)
    }

    /// The text of a secret key's file.
    pub fn to_file(&self) -> String {
        format!("{HEADING} {}\n", STANDARD.encode(self.0))
    }

    /// Reads a secret key's file.
    pub fn from_file(text: &str) -> Result<Self, KeyError> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let (heading, key) = line.split_once(' ').ok_or(KeyError::File)?;
        if heading != HEADING {
            return Err(KeyError::File);
        }
        decode(key).map(Self)
    }
}

fn curve(secret: &Secret) -> Option<Box<dyn Dh>> {
    let mut curve = DefaultResolver.resolve_dh(&DHChoice::Curve25519)?;
    curve.set(&secret.0);
    Some(curve)
}

fn decode(text: &str) -> Result<[u8; 32], KeyError> {
    let bytes = STANDARD.decode(text).map_err(|_| KeyError::Form)?;
    bytes.try_into().map_err(|_| KeyError::Form)
}

impl fmt::Display for Public {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Public {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

impl FromStr for Public {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(decode(text)?)
    }
}

/// Never shows the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret of {}", self.public().fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_secret_has_one_other_half_and_shows_only_that() {
        // The base point times one known scalar: RFC 7748, section 5.2, where the
        // scalar of all nines is clamped alike.
        let mut nine = [0; 32];
        nine[0] = 9;
        let public = Secret::from_bytes(nine).public();
        assert_eq!(
            hex::encode(public.as_bytes()),
            "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"
        );
        let shown = format!("{:?}", Secret::from_bytes(nine));
        assert_eq!(shown, format!("Secret of {}", public.fingerprint()));
        assert_eq!(public.fingerprint().len(), "SHA256:".len() + 43);
    }

    #[test]
    fn a_key_that_anybody_could_use_is_refused() {
        assert_eq!(Public::from_bytes([0; 32]), Err(KeyError::Weak));
        let mut one = [0; 32];
        one[0] = 1;
        assert_eq!(Public::from_bytes(one), Err(KeyError::Weak));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for wrong in ["", "AAAA", "not base64!", &"A".repeat(44)] {
            assert_eq!(wrong.parse::<Public>(), Err(KeyError::Form), "{wrong:?}");
        }
        for wrong in ["", "socklab-secret-key", "other AAAA\n"] {
            assert_eq!(Secret::from_file(wrong), Err(KeyError::File), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes: [u8; 32]) {
            let secret = Secret::from_bytes(bytes);
            prop_assert_eq!(Secret::from_file(&secret.to_file()), Ok(secret.clone()));
            let public = secret.public();
            prop_assert_eq!(public.to_string().parse(), Ok(public));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = text.parse::<Public>();
            let _ = Secret::from_file(&text);
        }
    }
}
