//! Frames: two bytes of length, the highest first, then so many bytes (the
//! Noise specification, section 13, asks whoever carries it for such a length).
//!
//! Owns the bytes of a frame that has not wholly come, and nothing more.

/// The most that a frame holds.
pub const LARGEST_FRAME: usize = u16::MAX as usize;

/// Frames out of bytes that come in any pieces.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// What has been taken already.
    taken: usize,
}

/// A frame is longer than its reader allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

impl Frames {
    /// Takes bytes as they come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame of at most `most` bytes; `None` until it has come.
    pub(super) fn next(&mut self, most: usize) -> Result<Option<&[u8]>, TooLong> {
        let rest = &self.bytes[self.taken..];
        let Some((length, rest)) = rest.split_first_chunk::<2>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length > most {
            return Err(TooLong);
        }
        let Some(frame) = rest.get(..length) else {
            return Ok(None);
        };
        self.taken += 2 + length;
        Ok(Some(frame))
    }

    /// Whether a frame has begun and not come to its end.
    pub fn is_amid(&self) -> bool {
        self.taken < self.bytes.len()
    }
}

/// A frame with these bytes; `None` where they are too many.
pub fn framed(bytes: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(bytes.len()).ok()?;
    let mut frame = Vec::with_capacity(2 + bytes.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(bytes);
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn all(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut frames = Frames::default();
        let mut out = Vec::new();
        for piece in pieces {
            frames.push(piece);
            while let Ok(Some(frame)) = frames.next(LARGEST_FRAME) {
                out.push(frame.to_vec());
            }
        }
        out
    }

    #[test]
    fn a_frame_longer_than_allowed_is_refused_before_it_has_come() {
        let mut frames = Frames::default();
        frames.push(&[0, 5]);
        assert_eq!(frames.next(4), Err(TooLong));
        assert_eq!(frames.next(5), Ok(None));
        assert!(frames.is_amid());
    }

    proptest! {
        #[test]
        fn every_cut_gives_the_same_frames(
            texts in vec(vec(any::<u8>(), 0..50), 0..6), cut in 0_usize..400, other in 0_usize..400,
        ) {
            let bytes: Vec<u8> = texts.iter().filter_map(|text| framed(text)).flatten().collect();
            let (cut, other) = (cut.min(bytes.len()), other.min(bytes.len()));
            let (first, second) = (cut.min(other), cut.max(other));
            let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            prop_assert_eq!(all(&pieces), texts);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, most in 0..=LARGEST_FRAME) {
            let mut frames = Frames::default();
            frames.push(&bytes);
            while let Ok(Some(_)) = frames.next(most) {}
        }
    }
}
