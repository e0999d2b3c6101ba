//! What a receiver may be told next, and whether it fits what was said before.
//!
//! Owns the order and the sums; decides nothing about files. Bounded: no more
//! than [`AHEAD`] entries wait.
//!
//! ```text
//!             DIR, FILE                 DATA              all bytes
//!   (idle) ─────────────► answered ───────────► in data ───────────► (idle)
//!      ▲                      │ END, where no data is wanted   │ END
//!      └──────────────────────┴────────────────────────────────┘
//! ```

use std::collections::VecDeque;

use super::AHEAD;
use super::hash::{Algorithm, Digest};
use super::inbox::Violation;
use super::line::{Entry, Line};
use super::words::Code;

/// What a line means to a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// So much will be offered.
    Manifest {
        /// Files.
        files: u64,
        /// Folders.
        directories: u64,
        /// The files' bytes.
        bytes: u64,
    },
    /// A folder is offered: make it.
    Directory(Entry),
    /// A file is offered: answer in the order of the offers, with [`Intake::wants`], [`Intake::checks`] or
    /// [`Intake::skips`].
    Offer {
        /// Its name, permissions and time.
        entry: Entry,
        /// Its bytes.
        size: u64,
        /// The unit in which they are sent.
        block: u64,
        /// The hash that it is judged by.
        hash: Algorithm,
    },
    /// So many bytes follow, from this one on: the one that was asked for, or
    /// the first.
    Data {
        /// From which one on.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// The file that was wanted or checked is over.
    End {
        /// The hash of all its bytes.
        hash: Digest,
    },
    /// The file that was wanted or checked is not what was offered any more: the
    /// sender takes it back, and waits for no answer.
    TakenBack(Code),
    /// Nothing more is offered. So much was announced and never offered.
    Done {
        /// Files.
        files: u64,
        /// Folders.
        directories: u64,
    },
    /// The sender's disk is busy.
    Wait,
    /// The sender ends it.
    Bye(Code),
}

/// A receiver's account of the conversation, after the greetings.
#[derive(Debug, Default)]
pub struct Intake {
    announced: Option<[u64; 3]>,
    offered: [u64; 3],
    unanswered: usize,
    wanted: VecDeque<Wanted>,
    /// Files whose data came to their end, and bytes of data.
    came: [u64; 2],
    is_done: bool,
}

/// A file that was asked for.
#[derive(Debug)]
struct Wanted {
    size: u64,
    hash: Algorithm,
    /// From which byte on; none where only the hash is asked for.
    offset: Option<u64>,
    /// Whether the data have come.
    has_come: bool,
}

impl Intake {
    /// What this line means.
    pub fn handle(&mut self, line: Line) -> Result<Received, Violation> {
        if self.is_done {
            return Err(Violation::Unexpected("that line"));
        }
        match line {
            Line::Manifest {
                files,
                directories,
                bytes,
            } if self.announced.is_none() => {
                self.announced = Some([files, directories, bytes]);
                Ok(Received::Manifest {
                    files,
                    directories,
                    bytes,
                })
            }
            Line::Dir(entry) => {
                self.count([0, 1, 0])?;
                Ok(Received::Directory(entry))
            }
            Line::File {
                entry,
                size,
                block,
                hash,
            } => {
                self.count([1, 0, size])?;
                if self.wanted.len() + self.unanswered >= AHEAD {
                    return Err(Violation::Contradiction("too much is offered at once"));
                }
                self.unanswered += 1;
                Ok(Received::Offer {
                    entry,
                    size,
                    block,
                    hash,
                })
            }
            Line::Data { offset, length } => self.data(offset, length),
            Line::End { bytes, hash } => self.end(bytes, hash),
            Line::Fail(code) if self.wanted.pop_front().is_some() => Ok(Received::TakenBack(code)),
            Line::Done { files, bytes } if self.wanted.is_empty() && self.unanswered == 0 => {
                self.done(files, bytes)
            }
            Line::Wait => Ok(Received::Wait),
            Line::Bye(code) => Ok(Received::Bye(code)),
            _ => Err(Violation::Unexpected("that line")),
        }
    }

    /// All has been offered: the sender's count of what it sent must be ours.
    fn done(&mut self, said_files: u64, said_bytes: u64) -> Result<Received, Violation> {
        let [files, bytes] = self.came;
        if [said_files, said_bytes] != self.came {
            return Err(Violation::Miscounted {
                said_files,
                said_bytes,
                files,
                bytes,
            });
        }
        self.is_done = true;
        let announced = self.announced.unwrap_or_default();
        // No more is offered than was announced.
        Ok(Received::Done {
            files: announced[0] - self.offered[0],
            directories: announced[1] - self.offered[1],
        })
    }

    /// The file that was offered is wanted from this byte on.
    pub fn wants(&mut self, size: u64, hash: Algorithm, offset: u64) {
        self.answered(size, hash, Some(offset));
    }

    /// The file that was offered is there: the sender is asked for its hash.
    pub fn checks(&mut self, size: u64, hash: Algorithm) {
        self.answered(size, hash, None);
    }

    /// The file that was offered is not wanted.
    pub fn skips(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
    }

    fn answered(&mut self, size: u64, hash: Algorithm, offset: Option<u64>) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.wanted.push_back(Wanted {
            size,
            hash,
            offset,
            has_come: false,
        });
    }

    /// Files, folders and bytes beyond what was announced are a lie.
    fn count(&mut self, more: [u64; 3]) -> Result<(), Violation> {
        let Some(announced) = self.announced else {
            return Err(Violation::Unexpected("an offer before the manifest"));
        };
        for (index, more) in more.into_iter().enumerate() {
            let sum = self.offered[index].checked_add(more);
            self.offered[index] = sum
                .filter(|sum| *sum <= announced[index])
                .ok_or(Violation::Contradiction("more is offered than announced"))?;
        }
        Ok(())
    }

    fn data(&mut self, offset: u64, length: u64) -> Result<Received, Violation> {
        let wanted = self.wanted.front_mut();
        let wanted = wanted.ok_or(Violation::Unexpected("DATA"))?;
        let asked = wanted.offset.ok_or(Violation::Unexpected("DATA"))?;
        if wanted.has_come {
            return Err(Violation::Unexpected("DATA"));
        }
        if offset != asked && offset != 0 {
            return Err(Violation::Contradiction("another offset was asked for"));
        }
        if wanted.size.checked_sub(offset) != Some(length) {
            return Err(Violation::Contradiction("the size was another one"));
        }
        wanted.has_come = true;
        // No more than was announced, but for what starts anew.
        self.came[1] = self.came[1].saturating_add(length);
        Ok(Received::Data { offset, length })
    }

    fn end(&mut self, bytes: u64, hash: Digest) -> Result<Received, Violation> {
        let wanted = self.wanted.pop_front();
        let wanted = wanted.ok_or(Violation::Unexpected("END"))?;
        if wanted.offset.is_some() && !wanted.has_come && wanted.size > 0 {
            return Err(Violation::Contradiction("the data are missing"));
        }
        if bytes != wanted.size {
            return Err(Violation::Contradiction("the size was another one"));
        }
        if hash.algorithm() != wanted.hash {
            return Err(Violation::Contradiction("the hash was another one"));
        }
        self.came[0] += u64::from(wanted.offset.is_some());
        Ok(Received::End { hash })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BLOCK, Modified, Name};
    use super::*;

    fn entry() -> Entry {
        Entry {
            name: Name::new("a").expect("a name"),
            mode: 0o644,
            modified: Modified::default(),
        }
    }

    fn file(size: u64) -> Line {
        Line::File {
            entry: entry(),
            size,
            block: BLOCK,
            hash: Algorithm::Blake3,
        }
    }

    fn begun(files: u64, bytes: u64) -> Intake {
        let mut intake = Intake::default();
        let manifest = Line::Manifest {
            files,
            directories: 0,
            bytes,
        };
        intake.handle(manifest).expect("the first line");
        intake
    }

    fn end(bytes: u64) -> Line {
        let hash = Digest::of(Algorithm::Blake3, b"");
        Line::End { bytes, hash }
    }

    #[test]
    fn a_lying_size_is_found_out() {
        let contradicts = |lines: &[Line]| {
            let mut intake = begun(1, 10);
            intake.handle(file(10)).expect("as announced");
            intake.wants(10, Algorithm::Blake3, 4);
            let (last, before) = lines.split_last().expect("some lines");
            for line in before {
                intake.handle(line.clone()).expect("allowed");
            }
            intake.handle(last.clone()).expect_err("a lie");
        };
        let data = |offset, length| Line::Data { offset, length };
        contradicts(&[data(4, 7)]);
        contradicts(&[data(4, u64::MAX)]);
        contradicts(&[data(3, 7)]);
        contradicts(&[data(u64::MAX, 1)]);
        contradicts(&[data(4, 6), data(0, 10)]);
        contradicts(&[data(4, 6), end(11)]);
        contradicts(&[end(10)]);
        contradicts(&[data(0, 10), end(10), end(10)]);
        contradicts(&[file(1)]);
        contradicts(&[Line::Ok]);
        contradicts(&[Line::Done { files: 0, bytes: 0 }]);
    }

    #[test]
    fn offers_without_end_are_refused() {
        let mut intake = begun(u64::MAX, u64::MAX);
        for _ in 0..AHEAD {
            intake.handle(file(1)).expect("within bounds");
            intake.wants(1, Algorithm::Blake3, 0);
        }
        intake.handle(file(1)).expect_err("too much");
        let mut intake = begun(2, u64::MAX);
        intake.handle(file(u64::MAX)).expect("as announced");
        intake.skips();
        intake.handle(file(1)).expect_err("the sum overflows");
    }

    #[test]
    fn a_file_that_was_asked_for_may_be_taken_back_and_no_other() {
        let mut intake = begun(1, 10);
        let back = || Line::Fail(Code::Changed);
        intake.handle(back()).expect_err("nothing was asked for");
        intake.handle(file(10)).expect("as announced");
        intake.wants(10, Algorithm::Blake3, 0);
        let taken = Ok(Received::TakenBack(Code::Changed));
        assert_eq!(intake.handle(back()), taken);
        intake.handle(end(10)).expect_err("it is over");
    }

    #[test]
    fn an_empty_file_goes_straight_to_its_end() {
        let mut intake = begun(1, 0);
        intake.handle(file(0)).expect("an offer");
        intake.wants(0, Algorithm::Blake3, 0);
        intake.handle(end(0)).expect("its end");
        let done = intake.handle(Line::Done { files: 1, bytes: 0 });
        let nothing_is_missing = Received::Done {
            files: 0,
            directories: 0,
        };
        assert_eq!(done, Ok(nothing_is_missing));
    }

    #[test]
    fn the_senders_count_is_what_came() {
        for (said, is_right) in [
            ([2, 9], true),
            ([1, 9], false),
            ([3, 9], false),
            ([2, 10], false),
            ([0, 0], false),
        ] {
            let mut intake = begun(4, 30);
            for offset in [4, 7] {
                intake.handle(file(10)).expect("an offer");
                intake.wants(10, Algorithm::Blake3, offset);
                let length = 10 - offset;
                intake.handle(Line::Data { offset, length }).expect("data");
                intake.handle(end(10)).expect("its end");
            }
            // One that was there, and one that was not wanted, did not come.
            intake.handle(file(10)).expect("an offer");
            intake.checks(10, Algorithm::Blake3);
            intake.handle(end(10)).expect("its end");
            intake.handle(file(0)).expect("an offer");
            intake.skips();
            let [files, bytes] = said;
            let done = intake.handle(Line::Done { files, bytes });
            assert_eq!(done.is_ok(), is_right, "{said:?}: {done:?}");
        }
    }

    #[test]
    fn what_was_announced_and_never_offered_is_missing() {
        let mut intake = begun(3, 10);
        intake.handle(file(0)).expect("an offer");
        intake.skips();
        let done = intake.handle(Line::Done { files: 0, bytes: 0 });
        let missing = Received::Done {
            files: 2,
            directories: 0,
        };
        assert_eq!(done, Ok(missing));
    }
}
