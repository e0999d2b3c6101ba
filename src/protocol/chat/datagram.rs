//! One datagram of a room: a line and its number, so that what is lost, late or
//! doubled shows. `#7 text` is the seventh message, `=7` says that there were
//! seven so far, anything else is a line without a number.
//!
//! Numbers begin at 1, one sequence from each sender to each receiver. Sends
//! nothing.

use std::fmt::Write;

/// A datagram's meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbered<'a> {
    /// A message.
    Message {
        /// Its number.
        number: u64,
        /// What it says.
        text: &'a [u8],
    },
    /// The sender is there, and this was its last number.
    Alive {
        /// The number; 0 where there was none.
        last: u64,
    },
    /// A line without a number.
    Plain(&'a [u8]),
}

impl<'a> Numbered<'a> {
    /// Reads a datagram; its line's end is not part of it.
    pub fn read(datagram: &'a [u8]) -> Self {
        let mut line = datagram.strip_suffix(b"\n").unwrap_or(datagram);
        while let Some(shorter) = line.strip_suffix(b"\r") {
            line = shorter;
        }
        let read = match line {
            [b'#', rest @ ..] => split_number(rest)
                .filter(|(number, _)| *number > 0)
                .and_then(|(number, rest)| {
                    let text = rest.strip_prefix(b" ")?;
                    Some(Self::Message { number, text })
                }),
            [b'=', rest @ ..] => match split_number(rest) {
                Some((last, b"")) => Some(Self::Alive { last }),
                _ => None,
            },
            _ => None,
        };
        read.unwrap_or(Self::Plain(line))
    }

    /// The datagram.
    pub fn write(&self) -> Vec<u8> {
        let (head, text) = match self {
            Self::Message { number, text } => (format!("#{number} "), *text),
            Self::Alive { last } => (format!("={last}"), &b""[..]),
            Self::Plain(text) => (String::new(), *text),
        };
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(text);
        bytes.push(b'\n');
        bytes
    }
}

/// The digits at the beginning, and what is after them.
pub(super) fn split_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let digits = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (digits, rest) = bytes.split_at(digits);
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, rest))
}

/// The numbers that one sender gives.
#[derive(Debug, Default, Clone, Copy)]
pub struct Numbering {
    last: u64,
}

impl Numbering {
    /// The next number.
    pub fn take(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The last number that was given; 0 where none was.
    pub fn last(self) -> u64 {
        self.last
    }
}

/// How many messages in a row may be lost before a number is not believed: one
/// that is made up would make all that follow too old.
const FARTHEST: u64 = 10_000;

/// The numbers that one receiver has seen of a sender: the highest, and which of
/// the 64 up to it.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sequence {
    highest: u64,
    seen: u64,
    missing: u64,
    received: u64,
    late: u64,
    repeated: u64,
    /// The number after the last that was not believed: two in a row are (as in
    /// RFC 3550 section A.1).
    doubted: Option<u64>,
}

/// What a number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It was this one's turn.
    Next,
    /// The numbers from the first to the second are missing before it.
    After(u64, u64),
    /// It was missing, and comes late.
    Late,
    /// It is too far ahead to be believed, or its sender counts anew.
    Astray,
    /// It was there before, or is too old to know.
    Again,
}

impl Sequence {
    /// After this number; what was up to it is nobody's loss.
    pub fn after(number: u64) -> Self {
        let mut sequence = Self::default();
        sequence.rise(number);
        sequence
    }

    /// A message with this number came.
    pub fn hear(&mut self, number: u64) -> Turn {
        if number <= self.highest {
            let age = self.highest - number;
            if age >= u64::from(u64::BITS) || self.seen & (1 << age) != 0 {
                self.repeated = self.repeated.saturating_add(1);
                return Turn::Again;
            }
            self.seen |= 1 << age;
            self.received = self.received.saturating_add(1);
            self.late = self.late.saturating_add(1);
            self.missing = self.missing.saturating_sub(1);
            return Turn::Late;
        }
        self.received = self.received.saturating_add(1);
        let doubted = self.doubted.take();
        if number - self.highest > FARTHEST {
            if doubted != Some(number) {
                self.doubted = number.checked_add(1);
                return Turn::Astray;
            }
            self.rise(number);
            self.seen |= 1;
            return Turn::Next;
        }
        let before = self.highest;
        self.rise(number);
        self.seen |= 1;
        match number - before - 1 {
            0 => Turn::Next,
            gap => {
                self.missing = self.missing.saturating_add(gap);
                Turn::After(before + 1, number - 1)
            }
        }
    }

    /// The sender says that this was its last number: which are missing since.
    pub fn learn(&mut self, last: u64) -> Option<(u64, u64)> {
        if last <= self.highest || last - self.highest > FARTHEST {
            return None;
        }
        let before = self.highest;
        self.rise(last);
        self.missing = self.missing.saturating_add(last - before);
        Some((before + 1, last))
    }

    /// How many are missing for good so far.
    pub fn missing(self) -> u64 {
        self.missing
    }

    /// How many came, each counted once.
    pub fn received(self) -> u64 {
        self.received
    }

    /// How many of those came after a later one.
    pub fn late(self) -> u64 {
        self.late
    }

    /// How many came that had been there before, or were too old to know.
    pub fn repeated(self) -> u64 {
        self.repeated
    }

    fn rise(&mut self, to: u64) {
        let by = to - self.highest;
        self.seen = u32::try_from(by)
            .ok()
            .and_then(|by| self.seen.checked_shl(by))
            .unwrap_or(0);
        self.highest = to;
    }
}

/// The numbers from one to another, as they are said.
pub fn numbers(from: u64, to: u64) -> String {
    let mut text = format!("#{from}");
    if to > from {
        // Writing to a String cannot fail.
        let _ = write!(text, " to #{to}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_datagram_has_a_meaning() {
        let message = |number, text| Numbered::Message { number, text };
        for (datagram, expected) in [
            (&b"#1 hello\n"[..], message(1, &b"hello"[..])),
            (b"#12 \r\n", message(12, b"")),
            (b"=0", Numbered::Alive { last: 0 }),
            (b"=7\n", Numbered::Alive { last: 7 }),
            (b"=7 up", Numbered::Plain(b"=7 up")),
            (b"#0 hello", Numbered::Plain(b"#0 hello")),
            (b"#channel", Numbered::Plain(b"#channel")),
            (
                b"#99999999999999999999 x",
                Numbered::Plain(b"#99999999999999999999 x"),
            ),
            (b"hello\n", Numbered::Plain(b"hello")),
            (b"\r\r\n", Numbered::Plain(b"")),
            (b"", Numbered::Plain(b"")),
        ] {
            assert_eq!(Numbered::read(datagram), expected, "{datagram:?}");
        }
    }

    #[test]
    fn what_is_lost_late_or_doubled_shows() {
        let mut sequence = Sequence::default();
        for (number, expected) in [
            (1, Turn::Next),
            (2, Turn::Next),
            (2, Turn::Again),
            (5, Turn::After(3, 4)),
            (4, Turn::Late),
            (4, Turn::Again),
            (6, Turn::Next),
        ] {
            assert_eq!(sequence.hear(number), expected, "#{number}");
        }
        assert_eq!(sequence.missing(), 1);
        let counted = (sequence.received(), sequence.late(), sequence.repeated());
        assert_eq!(counted, (5, 1, 2));
        assert_eq!(sequence.learn(6), None);
        assert_eq!(sequence.learn(8), Some((7, 8)), "the last may be lost too");
        assert_eq!(sequence.hear(8), Turn::Late);
        assert_eq!(sequence.missing(), 2);
        assert_eq!(sequence.hear(108), Turn::After(9, 107));
        assert_eq!(sequence.hear(9), Turn::Again, "too old to know");
        assert_eq!(
            (numbers(3, 3), numbers(3, 4)),
            ("#3".into(), "#3 to #4".into())
        );
    }

    #[test]
    fn one_huge_number_mutes_nobody() {
        let mut sequence = Sequence::default();
        for (number, expected) in [
            (1, Turn::Next),
            (u64::MAX, Turn::Astray),
            (2, Turn::Next),
            (10_003, Turn::Astray),
            (3, Turn::Next),
            (u64::MAX - 1, Turn::Astray),
            (u64::MAX, Turn::Next),
        ] {
            assert_eq!(sequence.hear(number), expected, "#{number}");
        }
        assert_eq!(sequence.missing(), 0);
        let mut sequence = Sequence::default();
        assert_eq!(sequence.learn(u64::MAX), None);
        assert_eq!(sequence.hear(10_000), Turn::After(1, 9_999));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(datagram: Vec<u8>) {
            let read = Numbered::read(&datagram);
            let written = read.write();
            prop_assert_eq!(Numbered::read(&written), read);
        }

        #[test]
        fn each_message_counts_once(numbers in prop::collection::vec(1_u64..60, 0..200)) {
            let mut sequence = Sequence::default();
            let taken: Vec<u64> = numbers
                .iter()
                .copied()
                .filter(|number| sequence.hear(*number) != Turn::Again)
                .collect();
            let distinct: std::collections::BTreeSet<u64> = numbers.iter().copied().collect();
            prop_assert_eq!(taken.len(), distinct.len());
            let highest = distinct.last().copied().unwrap_or(0);
            prop_assert_eq!(sequence.missing(), highest - distinct.len() as u64);
        }
    }
}
