//! How a stream of input becomes datagrams: a line each, or a block each.
//!
//! Pure: bytes in, datagrams out. An unfinished line waits for its end, or for
//! that of the input.

use super::LARGEST;

/// Where one datagram ends and the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// After each line feed.
    Lines(LineEnd),
    /// After so many bytes.
    Blocks(usize),
}

/// What becomes of a line's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineEnd {
    /// It is sent as it is.
    #[default]
    Kept,
    /// It is sent as CR LF.
    CrLf,
    /// It is left out, so that an empty line is an empty datagram.
    Dropped,
}

/// Input on its way into datagrams.
#[derive(Debug)]
pub(super) struct Cutter {
    cut: Cut,
    waiting: Vec<u8>,
}

impl Cutter {
    pub(super) fn new(cut: Cut) -> Self {
        Self {
            cut,
            waiting: Vec::new(),
        }
    }

    /// Takes more input and gives the datagrams that it completes.
    pub(super) fn push(&mut self, input: &[u8]) -> Vec<Vec<u8>> {
        self.waiting.extend_from_slice(input);
        let mut ready = Vec::new();
        while let Some(length) = self.next_length() {
            let rest = self.waiting.split_off(length);
            let datagram = std::mem::replace(&mut self.waiting, rest);
            ready.push(self.ended(datagram));
        }
        ready
    }

    /// What is left when the input has ended.
    pub(super) fn finish(&mut self) -> Option<Vec<u8>> {
        let rest = std::mem::take(&mut self.waiting);
        (!rest.is_empty()).then_some(rest)
    }

    fn next_length(&self) -> Option<usize> {
        match self.cut {
            Cut::Blocks(length) => (self.waiting.len() >= length).then_some(length),
            Cut::Lines(_) => {
                let end = self.waiting.iter().position(|byte| *byte == b'\n');
                // A line that no datagram can hold is let go of, so that it is
                // refused rather than collected for ever.
                let too_long = || (self.waiting.len() > LARGEST).then_some(self.waiting.len());
                end.map(|at| at + 1).or_else(too_long)
            }
        }
    }

    fn ended(&self, mut line: Vec<u8>) -> Vec<u8> {
        let Cut::Lines(end) = self.cut else {
            return line;
        };
        if end != LineEnd::Kept && line.ends_with(b"\n") {
            line.pop();
            if line.ends_with(b"\r") {
                line.pop();
            }
            if end == LineEnd::CrLf {
                line.extend_from_slice(b"\r\n");
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(cut: Cut, input: &str) -> Vec<String> {
        let mut cutter = Cutter::new(cut);
        let mut datagrams = cutter.push(input.as_bytes());
        datagrams.extend(cutter.finish());
        let text = |bytes| String::from_utf8(bytes).expect("text");
        datagrams.into_iter().map(text).collect()
    }

    #[test]
    fn lines_and_blocks() {
        let lines = |end| cut(Cut::Lines(end), "one\n\ntwo\r\nrest");
        assert_eq!(lines(LineEnd::Kept), ["one\n", "\n", "two\r\n", "rest"]);
        assert_eq!(lines(LineEnd::CrLf), ["one\r\n", "\r\n", "two\r\n", "rest"]);
        assert_eq!(lines(LineEnd::Dropped), ["one", "", "two", "rest"]);
        assert_eq!(cut(Cut::Blocks(2), "12345"), ["12", "34", "5"]);
    }

    #[test]
    fn a_line_beyond_every_datagram_does_not_wait_for_its_end() {
        let mut cutter = Cutter::new(Cut::Lines(LineEnd::Kept));
        let datagrams = cutter.push(&vec![b'x'; LARGEST + 1]);
        assert_eq!(datagrams.len(), 1);
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_however_the_input_comes(
            pieces in proptest::collection::vec("[a\n]{0,9}", 0..9), length in 1_usize..9,
        ) {
            for cut in [Cut::Lines(LineEnd::Kept), Cut::Blocks(length)] {
                let mut cutter = Cutter::new(cut);
                let mut whole: Vec<Vec<u8>> = pieces.iter().flat_map(|p| cutter.push(p.as_bytes())).collect();
                whole.extend(cutter.finish());
                prop_assert_eq!(whole.concat(), pieces.concat().into_bytes());
                prop_assert!(whole.iter().all(|datagram| !datagram.is_empty()));
            }
        }
    }
}
