//! How a sender of datagrams proves that it is where it says: it sends the
//! session's token and gets one datagram of the same length back.
//!
//! Pure. The answer is never longer than the question, so that a server that is
//! lied to about the sender's address sends no more than it got.
//!
//! ```text
//!  0        4        20      21
//! ├ "SLQ1" ─┼─ token ─┼─ kind ┤  question (client)
//! ├ "SLA1" ─┼─ token ─┼─ kind ┤  answer (server)
//! ```

use super::protocol::Token;
use crate::compare::Variant;

/// The length of both.
pub const LENGTH: usize = 21;

const QUESTION: &[u8; 4] = b"SLQ1";
const ANSWER: &[u8; 4] = b"SLA1";

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The client's.
    Question(Token, Variant),
    /// The server's.
    Answer(Token, Variant),
}

impl Proof {
    /// As a datagram.
    pub fn emit(self) -> [u8; LENGTH] {
        let (magic, token, variant) = match self {
            Self::Question(token, variant) => (QUESTION, token, variant),
            Self::Answer(token, variant) => (ANSWER, token, variant),
        };
        let mut bytes = [0; LENGTH];
        bytes[..4].copy_from_slice(magic);
        bytes[4..20].copy_from_slice(&token.0);
        let place = Variant::ALL.iter().position(|other| *other == variant);
        bytes[20] = u8::try_from(place.unwrap_or(usize::MAX)).unwrap_or(u8::MAX);
        bytes
    }

    /// Receipts a datagram; `None` where it is neither.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LENGTH] = bytes.try_into().ok()?;
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        let (token, place) = rest.split_first_chunk::<16>()?;
        let variant = *Variant::ALL.get(usize::from(*place.first()?))?;
        match magic {
            QUESTION => Some(Self::Question(Token(*token), variant)),
            ANSWER => Some(Self::Answer(Token(*token), variant)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parse_inverts_emit(token: [u8; 16], place in 0..Variant::ALL.len(), asks: bool) {
            let (token, variant) = (Token(token), Variant::ALL[place]);
            let proof = if asks {
                Proof::Question(token, variant)
            } else {
                Proof::Answer(token, variant)
            };
            prop_assert_eq!(Proof::parse(&proof.emit()), Some(proof));
            prop_assert_eq!(Proof::parse(&proof.emit()[..LENGTH - 1]), None);
        }

        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            Proof::parse(&bytes);
        }
    }
}
