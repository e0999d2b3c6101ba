//! What the far program prints, on its way to this end's outputs: bytes as they
//! are, or as a terminal may have them, or as events.
//!
//! Owns what has not wholly come: half a character, half a line. Colours end
//! here at a terminal: the far program is not to move its cursor, name its
//! window or ask it for answers.

use std::io::{self, Write};

use crate::event::{Remote, What};
use crate::protocol::remote::harmless;
use crate::recorder::Recorder;

/// The most that is kept of a line that does not end.
const LONGEST_LINE: usize = 8 << 10;

/// To a terminal: control characters are spelt out, but for the ends of lines
/// and tabs.
pub(super) struct Spelt<W: Write> {
    out: W,
    /// The beginning of a character whose end has not come.
    begun: Vec<u8>,
}

impl<W: Write> Spelt<W> {
    pub(super) fn new(out: W) -> Self {
        let begun = Vec::new();
        Self { out, begun }
    }
}

impl<W: Write> Write for Spelt<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend(bytes);
        let all = std::mem::take(&mut self.begun);
        let mut shown = String::with_capacity(all.len());
        let mut chunks = all.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            for letter in chunk.valid().chars() {
                match letter {
                    '\n' | '\t' => shown.push(letter),
                    _ => shown.push_str(&harmless(letter.encode_utf8(&mut [0; 4]))),
                }
            }
            let wrong = chunk.invalid();
            let is_begun = std::str::from_utf8(wrong).is_err_and(|e| e.error_len().is_none());
            if is_begun && chunks.peek().is_none() {
                self.begun = wrong.to_vec();
            } else if !wrong.is_empty() {
                shown.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.out.write_all(shown.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// To whoever reads the events: a line each.
pub(super) struct Events {
    recorder: Recorder,
    line: Vec<u8>,
}

impl Events {
    pub(super) fn new(recorder: Recorder) -> Self {
        let line = Vec::new();
        Self { recorder, line }
    }

    fn tell(&mut self) {
        let text = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        let now = self.recorder.clock().now();
        self.recorder
            .record(now, What::Remote(Remote::Stderr { text }));
    }
}

impl Write for Events {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            if *byte == b'\n' {
                self.tell();
                continue;
            }
            self.line.push(*byte);
            if self.line.len() == LONGEST_LINE {
                self.tell();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.tell();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_nothing_that_it_obeys_however_it_is_cut() {
        let printed = "é\u{1b}]0;x\u{7}\ta\u{9b}2Jb\r\n\u{202e}".as_bytes();
        let printed = [printed, b"\x9b\xff.\xc3"].concat();
        for size in 1..printed.len() {
            let mut spelt = Spelt::new(Vec::new());
            for piece in printed.chunks(size) {
                spelt.write_all(piece).expect("to memory");
            }
            assert_eq!(
                String::from_utf8(spelt.out).expect("UTF-8"),
                "é\\u{1b}]0;x\\u{7}\ta\\u{9b}2Jb\\u{d}\n\\u{202e}\u{fffd}\u{fffd}."
            );
        }
    }
}
