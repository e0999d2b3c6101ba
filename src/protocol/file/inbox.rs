//! Bytes as they arrive, cut into lines and data: however they were cut on the
//! way, what comes out is the same.
//!
//! Bounded: holds one buffer of a fixed size and never more. Who asks says what
//! must come next, a line or data.

use std::io::BufRead;

use super::LONGEST_LINE;
use super::line::{Line, Malformed};

/// What the other end did wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A line that is none.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// A line that may not come now.
    #[error("{0} makes no sense here")]
    Unexpected(&'static str),
    /// What is said does not fit what was said before.
    #[error("{0}")]
    Contradiction(&'static str),
    /// What it says that it sent is not what came.
    #[error(
        "it counts {said_files} files and {said_bytes} bytes sent, and {files} and {bytes} have come"
    )]
    Miscounted {
        /// Files, by its count.
        said_files: u64,
        /// Bytes, by its count.
        said_bytes: u64,
        /// Files that came.
        files: u64,
        /// Bytes that came.
        bytes: u64,
    },
}

/// What has arrived and was not taken yet.
pub struct Inbox {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// How far it is known to hold no end of a line.
    searched: usize,
}

impl Inbox {
    /// One that holds `room` bytes, or a line where that is more.
    pub fn new(room: usize) -> Self {
        Self {
            buffer: vec![0; room.max(LONGEST_LINE)].into_boxed_slice(),
            start: 0,
            end: 0,
            searched: 0,
        }
    }

    /// Where the next bytes go; [`filled`](Self::filled) says how many they were.
    /// Empty where all room is taken.
    pub fn room(&mut self) -> &mut [u8] {
        let is_crowded = self.buffer.len() - self.end < LONGEST_LINE;
        if self.start > 0 && (is_crowded || self.start == self.end) {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.searched = self.searched.saturating_sub(self.start);
            self.start = 0;
        }
        &mut self.buffer[self.end..]
    }

    /// So many bytes were put there.
    pub fn filled(&mut self, count: usize) {
        self.end = self.buffer.len().min(self.end + count);
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The next line; none where it has not arrived whole.
    pub fn line(&mut self) -> Result<Option<Line>, Violation> {
        let from = self.searched.max(self.start);
        let mut rest = &self.buffer[from..self.end];
        let all = rest.len();
        // Nothing is read but memory.
        let length = rest.skip_until(b'\n').unwrap_or(all);
        let ended = self.buffer[from..from + length].ends_with(b"\n");
        let Some(at) = ended.then(|| length - 1) else {
            self.searched = self.end;
            return match self.end - self.start {
                LONGEST_LINE.. => Err(Malformed::TooLong.into()),
                _ => Ok(None),
            };
        };
        let line = &self.buffer[self.start..from + at];
        if line.len() >= LONGEST_LINE {
            return Err(Malformed::TooLong.into());
        }
        let line = Line::read(line.strip_suffix(b"\r").unwrap_or(line))?;
        self.start = from + at + 1;
        Ok(Some(line))
    }

    /// At most so many bytes of data, as far as they have arrived;
    /// [`taken`](Self::taken) says how many were taken.
    pub fn data(&self, most: u64) -> &[u8] {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let end = self.end.min(self.start.saturating_add(most));
        &self.buffer[self.start..end]
    }

    /// So many bytes of data are done with.
    pub fn taken(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::line;
    use super::*;
    use proptest::prelude::*;

    /// Everything that comes out when `input` arrives in pieces of these sizes:
    /// after `DATA`, so many bytes, as they are.
    fn read(input: &[u8], cuts: &[usize]) -> (Vec<String>, Option<Violation>) {
        let mut inbox = Inbox::new(0);
        let (mut out, mut left, mut data) = (Vec::new(), 0_u64, Vec::new());
        let mut rest = input;
        let mut cuts = cuts.iter().copied().cycle();
        loop {
            if left > 0 {
                let bytes = inbox.data(left);
                data.extend_from_slice(bytes);
                let count = bytes.len();
                inbox.taken(count);
                left -= count as u64;
                if left == 0 {
                    out.push(format!("{:?}", std::mem::take(&mut data)));
                    continue;
                }
            } else {
                match inbox.line() {
                    Err(violation) => return (out, Some(violation)),
                    Ok(Some(line)) => {
                        if let Line::Data { length, .. } = line {
                            left = length;
                        }
                        out.push(line.to_string());
                        continue;
                    }
                    Ok(None) => {}
                }
            }
            if rest.is_empty() {
                return (out, None);
            }
            let room = inbox.room();
            let count = cuts
                .next()
                .unwrap_or(1)
                .clamp(1, room.len().min(rest.len()));
            room[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            inbox.filled(count);
        }
    }

    #[test]
    fn a_line_without_an_end_is_refused_and_never_stored() {
        let endless = vec![b'a'; 1 << 20];
        let (out, violation) = read(&endless, &[1000]);
        assert_eq!(out, Vec::<String>::new());
        assert_eq!(violation, Some(Malformed::TooLong.into()));
        let (_, violation) = read(&[&endless[..LONGEST_LINE], b"\n"].concat(), &[1 << 20]);
        assert_eq!(violation, Some(Malformed::TooLong.into()));
    }

    #[test]
    fn nc_may_end_its_lines_with_crlf() {
        let (out, violation) = read(b"OK\r\nWAIT\n", &[3]);
        assert_eq!((out, violation), (vec!["OK".into(), "WAIT".into()], None));
    }

    proptest! {
        #[test]
        fn every_cut_gives_the_same(
            lines in proptest::collection::vec(line(), 0..8),
            data in proptest::collection::vec(any::<u8>(), 1..6000),
            noise in proptest::collection::vec(any::<u8>(), 0..40),
            cuts in proptest::collection::vec(1_usize..5000, 1..6),
        ) {
            let mut input = Vec::new();
            for line in &lines {
                // Data of a length that the input has.
                if !matches!(line, Line::Data { .. }) {
                    input.extend_from_slice(format!("{line}\n").as_bytes());
                }
            }
            let length = data.len();
            input.extend_from_slice(format!("DATA offset=0 length={length}\n").as_bytes());
            input.extend_from_slice(&data);
            input.extend_from_slice(b"OK\n");
            input.extend_from_slice(&noise);
            let whole = read(&input, &[input.len()]);
            prop_assert_eq!(&read(&input, &[1]), &whole);
            prop_assert_eq!(&read(&input, &cuts), &whole);
        }
    }
}
