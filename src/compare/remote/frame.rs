//! Frames on the control connection: a length and so many bytes of JSON.
//!
//! Pure: bytes in, messages out. A frame that has not wholly arrived is
//! incomplete, which is not malformed; a length beyond the bound is refused
//! before a byte of it is kept.
//!
//! ```text
//!  0         4
//! ├ length ──┼─ JSON, `length` bytes ─┤   length in network byte order
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest frame a client may send: a plan with every kind is far shorter.
pub const LONGEST_ASKED: usize = 4 << 10;

/// The longest frame a server may send: a chunk of arrivals.
pub const LONGEST_TOLD: usize = 64 << 10;

const LENGTH: usize = 4;

/// Bytes that are no frame, or a frame that holds no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Longer than the reader takes.
    #[error("a frame of {stated} bytes, where at most {longest} are taken")]
    TooLong {
        /// What the length field says.
        stated: usize,
        /// What the reader takes.
        longest: usize,
    },
    /// Not JSON.
    #[error("a frame that is not JSON")]
    NotJson,
    /// JSON, but no message of this protocol.
    #[error("a frame that is no message of this protocol")]
    Unknown,
}

/// A message as a frame.
pub fn encode(message: &impl Serialize) -> Vec<u8> {
    let mut frame = vec![0; LENGTH];
    // Writing into memory fails only for maps with keys that are not strings.
    if serde_json::to_writer(&mut frame, message).is_err() {
        frame.truncate(LENGTH);
    }
    let length = u32::try_from(frame.len() - LENGTH).unwrap_or(u32::MAX);
    frame[..LENGTH].copy_from_slice(&length.to_be_bytes());
    frame
}

/// Takes bytes as they come and gives messages.
#[derive(Debug)]
pub struct Decoder {
    bytes: Vec<u8>,
    longest: usize,
}

impl Decoder {
    /// For frames of at most `longest` bytes.
    pub fn new(longest: usize) -> Self {
        Self {
            bytes: Vec::new(),
            longest,
        }
    }

    /// Adds bytes that arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message; `None` where it has not wholly arrived.
    pub fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Malformed> {
        let Some((length, rest)) = self.bytes.split_first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let stated = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if stated > self.longest {
            let longest = self.longest;
            return Err(Malformed::TooLong { stated, longest });
        }
        let Some(body) = rest.get(..stated) else {
            return Ok(None);
        };
        let message = serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Malformed::Unknown,
            _ => Malformed::NotJson,
        })?;
        self.bytes.drain(..LENGTH + stated);
        Ok(Some(message))
    }

    /// Whether nothing is left that no message was made of.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{ClientSays, Plan, ServerSays};
    use super::*;
    use proptest::prelude::*;

    fn asked() -> impl Strategy<Value = ClientSays> {
        prop_oneof![
            any::<u32>().prop_map(|version| ClientSays::Hello { version }),
            any::<u32>().prop_map(|number| ClientSays::Ping { number }),
            any::<u32>().prop_map(|sent| ClientSays::End { sent }),
            Just(ClientSays::Go),
            Just(ClientSays::Bye),
            (any::<u32>(), any::<u32>(), any::<u64>()).prop_map(|(count, size, bytes)| {
                ClientSays::Plan(Plan {
                    count,
                    size,
                    bytes,
                    ..Plan::default()
                })
            }),
        ]
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in(
            messages in proptest::collection::vec(asked(), 0..8),
            cut in 1usize..50,
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(encode).collect();
            let mut decoder = Decoder::new(LONGEST_ASKED);
            let mut heard = Vec::new();
            for piece in stream.chunks(cut) {
                decoder.feed(piece);
                while let Some(message) = decoder.next::<ClientSays>().expect("well formed") {
                    heard.push(message);
                }
            }
            prop_assert_eq!(heard, messages);
            prop_assert!(decoder.is_empty());
        }

        #[test]
        fn a_prefix_is_incomplete(message in asked(), cut in 0usize..200) {
            let frame = encode(&message);
            prop_assume!(cut < frame.len());
            let mut decoder = Decoder::new(LONGEST_ASKED);
            decoder.feed(&frame[..cut]);
            prop_assert_eq!(decoder.next::<ClientSays>(), Ok(None));
        }

        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = Decoder::new(LONGEST_ASKED);
            decoder.feed(&bytes);
            while let Ok(Some(_)) = decoder.next::<ClientSays>() {}
            let mut decoder = Decoder::new(LONGEST_TOLD);
            decoder.feed(&[&[0, 0, 0, 150][..], &bytes].concat());
            while let Ok(Some(_)) = decoder.next::<ServerSays>() {}
        }
    }

    #[test]
    fn hostile_frames_are_named() {
        let refused = |bytes: &[u8]| {
            let mut decoder = Decoder::new(LONGEST_ASKED);
            decoder.feed(bytes);
            decoder.next::<ClientSays>().map_err(|why| why.to_string())
        };
        let long = "a frame of 1195725856 bytes, where at most 4096 are taken";
        assert_eq!(refused(b"GET / HTTP/1.1\r\n"), Err(long.into()));
        assert_eq!(refused(&[0; 4]), Err("a frame that is not JSON".into()));
        let start = b"{\"say\":\"go\",\"x\":";
        let nest = [&4000_u32.to_be_bytes()[..], start, &[b'['; 4000]].concat();
        assert_eq!(refused(&nest), Err("a frame that is not JSON".into()));
        assert_eq!(
            refused(b"\0\0\0\x0c{\"say\":\"no\"}"),
            Err("a frame that is no message of this protocol".into())
        );
    }
}
