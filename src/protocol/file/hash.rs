//! The hashes that a transfer is judged by: BLAKE3, or SHA-256 (FIPS 180-4)
//! where an end has nothing else.
//!
//! Owns how they are written: the algorithm's name, a colon, 64 hexadecimal
//! digits. Proves integrity, never authenticity.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use sha2::Digest as _;

/// Which hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// BLAKE3 with 32 bytes.
    #[default]
    Blake3,
    /// SHA-256.
    Sha256,
}

/// What a hash came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    algorithm: Algorithm,
    bytes: [u8; 32],
}

/// A hash under way. A clone goes on by itself.
#[derive(Clone)]
pub enum Hasher {
    /// BLAKE3.
    Blake3(Box<blake3::Hasher>),
    /// SHA-256.
    Sha256(Box<sha2::Sha256>),
}

impl Hasher {
    /// Before the first byte.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Blake3 => Self::Blake3(Box::default()),
            Algorithm::Sha256 => Self::Sha256(Box::default()),
        }
    }

    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    /// The hash of the bytes so far.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Blake3(hasher) => Digest {
                algorithm: Algorithm::Blake3,
                bytes: *hasher.finalize().as_bytes(),
            },
            Self::Sha256(hasher) => Digest {
                algorithm: Algorithm::Sha256,
                bytes: (**hasher).clone().finalize().into(),
            },
        }
    }
}

impl Digest {
    /// Whose digest it is.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hash of these bytes.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let bytes = match algorithm {
            Algorithm::Blake3 => blake3::hash(bytes).into(),
            Algorithm::Sha256 => sha2::Sha256::digest(bytes).into(),
        };
        Self { algorithm, bytes }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Algorithm::Blake3 => "blake3",
            Algorithm::Sha256 => "sha256",
        })
    }
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "blake3" => Ok(Algorithm::Blake3),
            "sha256" => Ok(Algorithm::Sha256),
            _ => Err("the hashes are blake3 and sha256".into()),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 64];
        // There are twice as many digits as bytes.
        let _ = hex::encode_to_slice(self.bytes, &mut digits);
        write!(f, "{}:{}", self.algorithm, String::from_utf8_lossy(&digits))
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (algorithm, digits) = text.split_once(':').ok_or("a hash has a colon")?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|error| error.to_string())?;
        Ok(Self {
            algorithm: algorithm.parse()?,
            bytes,
        })
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Algorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From FIPS 180-4's example and BLAKE3's published test vectors.
    #[test]
    fn known_answers() {
        for (algorithm, input, expected) in [
            (
                Algorithm::Sha256,
                &b"abc"[..],
                "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                Algorithm::Blake3,
                b"",
                "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
            ),
        ] {
            let digest = Digest::of(algorithm, input);
            assert_eq!(digest.to_string(), expected);
            assert_eq!(expected.parse(), Ok(digest));
        }
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        for text in ["", "blake3", "blake3:", "md5:00", "blake3:0g", "blake3:00"] {
            text.parse::<Digest>().expect_err(text);
        }
    }
}
