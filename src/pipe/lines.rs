//! Line ends on their way to the peer: CRLF for LF, as many protocols of text
//! want it (RFC 5321 section 2.3.8, RFC 854).
//!
//! Pure: bytes in, bytes out, however they are cut into pieces.

/// Turns LF into CRLF, and leaves CRLF as it is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LineEnds {
    after_return: bool,
}

impl LineEnds {
    /// The next piece, with its line ends turned, appended to `out`.
    pub(super) fn turn(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for &byte in piece {
            if byte == b'\n' && !self.after_return {
                out.push(b'\r');
            }
            out.push(byte);
            self.after_return = byte == b'\r';
        }
    }
}

/// The lines of a piece with their ends; the last one may have none.
pub(super) fn lines(piece: &[u8]) -> impl Iterator<Item = &[u8]> {
    piece.split_inclusive(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn turned(pieces: &[&[u8]]) -> Vec<u8> {
        let mut ends = LineEnds::default();
        let mut out = Vec::new();
        for piece in pieces {
            ends.turn(piece, &mut out);
        }
        out
    }

    #[test]
    fn a_line_ends_in_crlf_and_never_in_more() {
        assert_eq!(turned(&[b"a\nb\r\n\n"]), b"a\r\nb\r\n\r\n");
        assert_eq!(turned(&[b"a\r", b"\nb"]), b"a\r\nb");
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(bytes: Vec<u8>, cut: prop::sample::Index) {
            let cut = cut.index(bytes.len() + 1);
            prop_assert_eq!(turned(&[&bytes[..cut], &bytes[cut..]]), turned(&[&bytes]));
        }

        #[test]
        fn lines_make_up_the_piece(bytes: Vec<u8>) {
            prop_assert_eq!(lines(&bytes).collect::<Vec<_>>().concat(), bytes);
        }
    }
}
