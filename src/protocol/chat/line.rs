//! Bytes of a stream to lines: split at LF, CR and NUL dropped, telnet's commands
//! dropped (RFC 854), and no line longer than [`LONGEST_LINE`].
//!
//! However the bytes are cut, the lines are the same. Keeps at most one line.

use std::time::Instant;

/// The most bytes of a line that a member may send, its end not counted.
pub const LONGEST_LINE: usize = 4096;

/// The most bytes of a line that the room may send: a member's, with a name
/// before it.
pub const LONGEST_ANSWER: usize = LONGEST_LINE + 256;

/// Telnet's "interpret as command".
const IAC: u8 = 255;
/// Subnegotiation begins, and ends.
const SB: u8 = 250;
const SE: u8 = 240;
/// WILL, WONT, DO, DONT: an option follows.
const WILL: u8 = 251;
/// The most bytes of a subnegotiation: a stray one must not swallow the rest.
const LONGEST_ASIDE: usize = 256;

/// Splits what one side sends.
#[derive(Debug)]
pub struct Splitter {
    longest: usize,
    partial: Vec<u8>,
    /// How long the line has become, where that is more than is kept.
    length: usize,
    telnet: Telnet,
    since: Option<Instant>,
}

/// A line as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Its bytes, without its end.
    Line(Vec<u8>),
    /// It had so many bytes, which are gone.
    TooLong(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telnet {
    Data,
    Command,
    Option,
    Aside(usize),
    AsideCommand(usize),
}

impl Splitter {
    /// Lines have at most so many bytes.
    pub fn new(longest: usize) -> Self {
        Self {
            longest,
            partial: Vec::new(),
            length: 0,
            telnet: Telnet::Data,
            since: None,
        }
    }

    /// Takes bytes that came at `now`, and gives each line that ends in them.
    pub fn push(&mut self, now: Instant, bytes: &[u8], mut each: impl FnMut(Piece)) {
        for byte in bytes {
            if let Some(data) = self.telnet(*byte) {
                self.data(data, &mut each);
            }
        }
        self.since = if self.is_partial() {
            Some(self.since.unwrap_or(now))
        } else {
            None
        };
    }

    /// The line that the end of the stream ends.
    pub fn finish(&mut self) -> Option<Piece> {
        self.since = None;
        self.telnet = Telnet::Data;
        (self.length > 0).then(|| self.take())
    }

    /// Since when a line has been begun and not ended.
    pub fn partial_since(&self) -> Option<Instant> {
        self.since
    }

    fn is_partial(&self) -> bool {
        self.length > 0 || self.telnet != Telnet::Data
    }

    fn data(&mut self, byte: u8, each: &mut impl FnMut(Piece)) {
        match byte {
            b'\n' => each(self.take()),
            b'\r' | 0 => {}
            byte => {
                self.length += 1;
                if self.length <= self.longest {
                    self.partial.push(byte);
                }
            }
        }
    }

    fn take(&mut self) -> Piece {
        let partial = std::mem::take(&mut self.partial);
        match std::mem::take(&mut self.length) {
            length if length > self.longest => Piece::TooLong(length),
            _ => Piece::Line(partial),
        }
    }

    /// What a byte is beneath telnet; none where it is telnet's own.
    fn telnet(&mut self, byte: u8) -> Option<u8> {
        let (next, data) = match (self.telnet, byte) {
            (Telnet::Data, IAC) => (Telnet::Command, None),
            (Telnet::Command, IAC) => (Telnet::Data, Some(IAC)),
            (Telnet::Command, SB) => (Telnet::Aside(0), None),
            (Telnet::Command, WILL..=254) => (Telnet::Option, None),
            (Telnet::Command, SE..) | (Telnet::Option, _) | (Telnet::AsideCommand(_), SE) => {
                (Telnet::Data, None)
            }
            // Plain data; or no command, but a stray byte of text in another
            // encoding, after which the text goes on; or an aside without end.
            (Telnet::Data | Telnet::Command | Telnet::Aside(LONGEST_ASIDE..), byte) => {
                (Telnet::Data, Some(byte))
            }
            (Telnet::Aside(length), IAC) => (Telnet::AsideCommand(length + 1), None),
            (Telnet::Aside(length) | Telnet::AsideCommand(length), _) => {
                (Telnet::Aside(length + 1), None)
            }
        };
        self.telnet = next;
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(cuts: &[&[u8]]) -> Vec<Piece> {
        let (mut splitter, now) = (Splitter::new(LONGEST_LINE), Instant::now());
        let mut lines = Vec::new();
        for cut in cuts {
            splitter.push(now, cut, |line| lines.push(line));
        }
        lines.extend(splitter.finish());
        lines
    }

    fn line(text: &str) -> Piece {
        Piece::Line(text.into())
    }

    /// ncat --chat made `par<user4> tial` of these (apps.md).
    #[test]
    fn a_line_in_two_segments_is_one_line() {
        assert_eq!(split(&[b"par", b"tial\n"]), [line("partial")]);
    }

    #[test]
    fn ends_of_lines_are_lf_or_cr_lf_and_the_streams_end_is_one() {
        let lines = split(&[b"one\ntwo\r\n\r\0\nlast"]);
        assert_eq!(lines, [line("one"), line("two"), line(""), line("last")]);
        assert_eq!(split(&[b""]), []);
    }

    #[test]
    fn telnets_commands_are_dropped() {
        // Ctrl-C as telnet(1) sends it, a terminal type, and a doubled IAC.
        let bytes = b"\xff\xf4\xff\xfd\x06he\xff\xfa\x18\x00xterm\nhidden\xff\xf0llo\xff\xff\n";
        assert_eq!(split(&[bytes]), [Piece::Line(b"hello\xff".to_vec())]);
    }

    #[test]
    fn a_stray_byte_swallows_no_end_of_a_line() {
        assert_eq!(split(&[b"caf\xff\nnext\n"]), [line("caf"), line("next")]);
        let mut endless = b"\xff\xfa".to_vec();
        endless.extend([b'x'; LONGEST_ASIDE]);
        endless.extend(b"\nafter\n");
        assert_eq!(split(&[&endless]), [line(""), line("after")]);
    }

    #[test]
    fn a_line_that_is_too_long_is_counted_and_not_kept() {
        let longest = [b'x'; LONGEST_LINE];
        let (mut splitter, now) = (Splitter::new(LONGEST_LINE), Instant::now());
        let mut lines = Vec::new();
        for _ in 0..100 {
            splitter.push(now, &longest, |line| lines.push(line));
            assert!(splitter.partial.capacity() <= 2 * LONGEST_LINE);
        }
        splitter.push(now, b"\nok\n", |line| lines.push(line));
        assert_eq!(lines, [Piece::TooLong(100 * LONGEST_LINE), line("ok")]);
        assert_eq!(
            split(&[&longest, b"\n"]),
            [Piece::Line(longest.to_vec())],
            "the longest is long enough"
        );
    }

    #[test]
    fn a_partial_line_is_as_old_as_its_first_byte() {
        let mut splitter = Splitter::new(LONGEST_LINE);
        let first = Instant::now();
        let later = first + std::time::Duration::from_secs(5);
        splitter.push(first, b"a", drop);
        splitter.push(later, b"b", drop);
        assert_eq!(splitter.partial_since(), Some(first));
        splitter.push(later, b"\n", drop);
        assert_eq!(splitter.partial_since(), None);
        splitter.push(later, b"\xff", drop);
        assert_eq!(splitter.partial_since(), Some(later), "telnet's too");
    }

    proptest! {
        #[test]
        fn the_lines_are_the_same_however_the_bytes_are_cut(
            bytes in prop::collection::vec(
                prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\r'), 240_u8..=255], 0..600),
            at in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut at: Vec<usize> = at.iter().map(|at| at.index(bytes.len() + 1)).collect();
            at.sort_unstable();
            let mut cuts = Vec::new();
            let mut before = 0;
            for at in at {
                cuts.push(&bytes[before..at]);
                before = at;
            }
            cuts.push(&bytes[before..]);
            prop_assert_eq!(split(&cuts), split(&[&bytes]));
        }

        #[test]
        fn plain_lines_come_out_as_they_went_in(lines: Vec<String>) {
            let plain: Vec<String> = lines
                .iter()
                .map(|line| line.replace(['\n', '\r', '\0'], ""))
                .collect();
            let sent: Vec<String> = plain.iter().map(|line| format!("{line}\n")).collect();
            let expected: Vec<Piece> = plain.iter().map(|plain| line(plain)).collect();
            prop_assert_eq!(split(&[sent.concat().as_bytes()]), expected);
        }
    }
}
