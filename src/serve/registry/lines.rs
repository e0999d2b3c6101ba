//! A stream cut into lines: at LF, a CR before it taken away, and no line longer
//! than a bound, so that a client that never ends its line costs no more memory
//! than one that does.

/// Bytes of a line; a longer one is handed over in pieces.
pub const LONGEST: usize = 4096;

/// What has arrived of the line under way.
#[derive(Debug, Default)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// Takes bytes and hands over every line that they complete, as text with
    /// U+FFFD for what is not UTF-8.
    pub fn handle_data(&mut self, data: &[u8], mut line: impl FnMut(String)) {
        for piece in data.split_inclusive(|&byte| byte == b'\n') {
            let mut rest = piece;
            while self.0.len() + rest.len() > LONGEST {
                let (now, later) = rest.split_at(LONGEST - self.0.len());
                self.0.extend_from_slice(now);
                rest = later;
                line(self.take());
            }
            self.0.extend_from_slice(rest);
            if self.0.ends_with(b"\n") {
                line(self.take());
            }
        }
    }

    /// The stream has ended: what was not ended by a line feed, if anything.
    pub fn handle_end(&mut self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> String {
        let bytes = std::mem::take(&mut self.0);
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        String::from_utf8_lossy(line).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_end_at_a_line_feed() {
        let mut lines = Lines::default();
        let mut said = Vec::new();
        for data in [&b"one\r\ntw"[..], b"o\n\n\xff!\nrest"] {
            lines.handle_data(data, |line| said.push(line));
        }
        assert_eq!(said, ["one", "two", "", "\u{fffd}!"]);
        assert_eq!(lines.handle_end().as_deref(), Some("rest"));
        assert_eq!(lines.handle_end(), None);
    }

    proptest! {
        /// However a text arrives, its lines are its lines.
        #[test]
        fn cuts_do_not_matter(
            text in "[a-z\n]{0,300}",
            cuts in prop::collection::vec(1_usize..50, 1..100),
        ) {
            let mut lines = Lines::default();
            let mut said = Vec::new();
            let mut rest = text.as_bytes();
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                lines.handle_data(now, |line| said.push(line));
                rest = later;
            }
            said.extend(lines.handle_end());
            let expected: Vec<&str> = text.split_terminator('\n').collect();
            prop_assert_eq!(said, expected);
        }

        /// Nothing is lost of a line without end, and no piece is longer than the
        /// bound.
        #[test]
        fn a_line_without_end_comes_in_pieces(length in 0_usize..20_000, step in 1_usize..6000) {
            let mut lines = Lines::default();
            let mut pieces = Vec::new();
            for chunk in vec![b'x'; length].chunks(step) {
                lines.handle_data(chunk, |line| pieces.push(line));
            }
            pieces.extend(lines.handle_end());
            prop_assert!(pieces.iter().all(|piece| piece.len() <= LONGEST));
            prop_assert_eq!(pieces.concat().len(), length);
        }
    }
}
