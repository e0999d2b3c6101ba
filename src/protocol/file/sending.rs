//! What a sender may be told next: which entry an answer belongs to, and whether
//! it makes sense.
//!
//! Owns the order; the caller keeps with each entry what it needs for sending
//! it. Bounded by [`AHEAD`] and [`UNCONFIRMED`].

use std::collections::VecDeque;

use super::hash::Digest;
use super::inbox::Violation;
use super::line::Line;
use super::words::{Code, Reason};
use super::{AHEAD, UNCONFIRMED};

/// What an answer means to a sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered<File> {
    /// Send this file from here on, where the hash of what is before agrees.
    Wanted {
        /// Which.
        file: File,
        /// From which byte on.
        offset: u64,
        /// The largest block that the receiver takes.
        block: u64,
        /// The hash of the bytes before.
        prefix: Digest,
    },
    /// The folder is there.
    Made(File),
    /// Send this file's hash.
    Checked(File),
    /// It is not wanted.
    Skipped(File, Reason),
    /// It has arrived.
    Arrived(File),
    /// It has not.
    Failed(File, Code),
    /// The receiver has dealt with everything.
    Done,
    /// The receiver's disk is busy.
    Wait,
    /// The receiver ends it.
    Bye(Code),
}

/// What was offered and is not settled.
#[derive(Debug)]
pub struct Offers<File> {
    unanswered: VecDeque<(File, Kind)>,
    unconfirmed: VecDeque<File>,
    is_done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    File { size: u64 },
}

impl<File> Default for Offers<File> {
    fn default() -> Self {
        Self {
            unanswered: VecDeque::new(),
            unconfirmed: VecDeque::new(),
            is_done: false,
        }
    }
}

impl<File> Offers<File> {
    /// Whether another entry may be offered now.
    pub fn has_room(&self) -> bool {
        // Each that waits for its answer may have to be confirmed, too.
        let open = self.unanswered.len() + self.unconfirmed.len();
        self.unanswered.len() < AHEAD && open < UNCONFIRMED
    }

    /// Whether every entry has its answer.
    pub fn all_answered(&self) -> bool {
        self.unanswered.is_empty()
    }

    /// Whether every entry is settled.
    pub fn all_settled(&self) -> bool {
        self.unanswered.is_empty() && self.unconfirmed.is_empty()
    }

    /// A folder was offered.
    pub fn directory(&mut self, what: File) {
        self.unanswered.push_back((what, Kind::Directory));
    }

    /// A file of this size was offered.
    pub fn file(&mut self, what: File, size: u64) {
        self.unanswered.push_back((what, Kind::File { size }));
    }

    /// The file that was wanted or checked has been sent to its end.
    pub fn sent(&mut self, what: File) {
        self.unconfirmed.push_back(what);
    }

    /// `DONE` was said.
    pub fn done(&mut self) {
        self.is_done = true;
    }

    /// What this line means.
    pub fn handle(&mut self, line: Line) -> Result<Answered<File>, Violation> {
        match line {
            Line::Send {
                offset,
                block,
                prefix,
            } => match self.unanswered.pop_front() {
                Some((file, Kind::File { size })) if offset <= size => Ok(Answered::Wanted {
                    file,
                    offset,
                    block,
                    prefix,
                }),
                Some((_, Kind::File { .. })) => {
                    Err(Violation::Contradiction("the file has no such offset"))
                }
                _ => Err(Violation::Unexpected("SEND")),
            },
            Line::Check => match self.unanswered.pop_front() {
                Some((file, Kind::File { .. })) => Ok(Answered::Checked(file)),
                _ => Err(Violation::Unexpected("CHECK")),
            },
            Line::Skip(reason) => match self.unanswered.pop_front() {
                Some((file, _)) => Ok(Answered::Skipped(file, reason)),
                None => Err(Violation::Unexpected("SKIP")),
            },
            Line::Made => match self.unanswered.pop_front() {
                Some((file, Kind::Directory)) => Ok(Answered::Made(file)),
                _ => Err(Violation::Unexpected("MADE")),
            },
            Line::Ok => {
                let file = self.unconfirmed.pop_front();
                let file = file.ok_or(Violation::Unexpected("OK"))?;
                Ok(Answered::Arrived(file))
            }
            Line::Fail(code) => {
                let file = self.unconfirmed.pop_front();
                let file = file.ok_or(Violation::Unexpected("FAIL"))?;
                Ok(Answered::Failed(file, code))
            }
            Line::Done { .. } if self.is_done && self.all_settled() => Ok(Answered::Done),
            Line::Wait => Ok(Answered::Wait),
            Line::Bye(code) => Ok(Answered::Bye(code)),
            _ => Err(Violation::Unexpected("that line")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Algorithm, BLOCK};
    use super::*;
    use proptest::prelude::*;

    fn send(offset: u64) -> Line {
        Line::Send {
            offset,
            block: BLOCK,
            prefix: Digest::of(Algorithm::Blake3, b""),
        }
    }

    #[test]
    fn answers_belong_to_offers_in_their_order() {
        let mut offers = Offers::default();
        offers.file('a', 10);
        offers.directory('b');
        offers.file('c', 0);
        let answer = offers.handle(send(10)).expect("it fits");
        assert!(matches!(
            answer,
            Answered::Wanted {
                file: 'a',
                offset: 10,
                ..
            }
        ));
        offers.sent('a');
        assert_eq!(offers.handle(Line::Made), Ok(Answered::Made('b')));
        assert_eq!(offers.handle(Line::Ok), Ok(Answered::Arrived('a')));
        let skip = Line::Skip(Reason::Exists);
        let skipped = Answered::Skipped('c', Reason::Exists);
        assert_eq!(offers.handle(skip), Ok(skipped));
        let done = Line::Done { files: 1, bytes: 0 };
        offers.handle(done.clone()).expect_err("nobody said so");
        offers.done();
        assert_eq!(offers.handle(done), Ok(Answered::Done));
    }

    #[test]
    fn a_receiver_gets_nothing_that_was_not_offered() {
        for line in [send(0), Line::Check, Line::Made, Line::Ok, send(11)] {
            let mut offers = Offers::default();
            if line == send(11) {
                offers.file('a', 10);
            }
            offers.handle(line).expect_err("it makes no sense");
        }
        let mut offers = Offers::default();
        offers.directory('a');
        offers.handle(send(0)).expect_err("a folder has no bytes");
    }

    proptest! {
        #[test]
        fn no_answers_make_it_panic(lines in proptest::collection::vec(super::super::line::tests::line(), 0..20)) {
            let mut offers = Offers::default();
            offers.file(1, 100);
            offers.directory(2);
            for line in lines {
                if let Ok(Answered::Wanted { file, .. }) = offers.handle(line) {
                    offers.sent(file);
                }
            }
        }
    }
}
