//! The sending end of one transfer: everything is offered, some way ahead, and
//! what is wanted is sent.
//!
//! Owns the order of that. What an answer means is [`Offers`]' business.

use std::io;
use std::os::unix::fs::FileExt;

use super::part;
use super::source::{After, Item, Kind, Opened, Opener, is_out_of_descriptors};
use super::wire::{PIECE, Wire};
use super::{Gauge, Send};
use crate::error::{Error, Exit, explain};
use crate::event::{File, FileTally as Tally};
use crate::protocol::file::{
    Answered, Code, Digest, Entry, Hasher, Line, Modified, Name, Offers, Reason,
};

/// So much of a file is read at once, and hashed at once.
const AT_ONCE: u64 = 64 << 10;

/// What is kept of an offer until it is settled.
enum Offered {
    Directory(Name),
    File(Box<Opened>),
    /// Sent; the file itself is closed.
    Sent(Name, u64),
}

/// One transfer.
pub(super) struct Sending<'a> {
    wire: &'a mut Wire,
    config: &'a Send,
    gauge: &'a Gauge,
    tally: &'a mut Tally,
    opener: Opener,
    offers: Offers<Offered>,
    /// Files whose data were sent to their end.
    sent: u64,
}

impl<'a> Sending<'a> {
    pub(super) fn new(
        wire: &'a mut Wire,
        config: &'a Send,
        gauge: &'a Gauge,
        tally: &'a mut Tally,
    ) -> Self {
        Self {
            wire,
            config,
            gauge,
            tally,
            opener: Opener::of(&config.source),
            offers: Offers::default(),
            sent: 0,
        }
    }

    /// Sends everything that is wanted.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        let source = std::sync::Arc::clone(&self.config.source);
        let (totals, sizes) = source.measure();
        self.gauge.announce(totals.bytes);
        self.wire.step(|| File::Announced {
            files: totals.files,
            directories: totals.directories,
            bytes: totals.bytes,
        });
        self.wire.say(&Line::Manifest {
            files: totals.files,
            directories: totals.directories,
            bytes: totals.bytes,
        });
        let mut items = source.items().iter().zip(sizes).peekable();
        let mut is_done = false;
        loop {
            while self.offers.has_room()
                && let Some((item, size)) = items.peek()
                && self.offer(item, *size)
            {
                items.next();
            }
            if !is_done && items.len() == 0 && self.offers.all_answered() {
                is_done = true;
                self.offers.done();
                let (files, bytes) = (self.sent, self.tally.moved);
                self.wire.say(&Line::Done { files, bytes });
            }
            let line = self.wire.line().await?;
            if self.answered(line).await? {
                return Ok(());
            }
            self.wire.flush_if_large().await?;
        }
    }

    /// Offers it, unless descriptors must become free before; whether it did.
    fn offer(&mut self, item: &Item, announced: u64) -> bool {
        if let Kind::Directory(mode) = item.kind {
            let name = item.name.clone();
            self.wire.say(&Line::Dir(Entry {
                name: name.clone(),
                mode,
                modified: Modified::default(),
            }));
            self.offers.directory(Offered::Directory(name));
            return true;
        }
        let opened = match self.opener.open(item, announced) {
            Ok(opened) => opened,
            Err(error) if is_out_of_descriptors(&error) && !self.offers.all_answered() => {
                return false;
            }
            Err(error) => {
                self.leave_out(item, announced, &error);
                return true;
            }
        };
        let (size, block, hash) = (opened.size, self.config.block, self.config.hash);
        self.wire.step(|| File::Offered {
            name: item.name.clone(),
            size,
            block,
            hash,
        });
        let line = Line::File {
            entry: opened.entry,
            size,
            block,
            hash,
        };
        self.wire.say(&line);
        if let Line::File { entry, .. } = line {
            let opened = Opened { entry, ..opened };
            self.offers.file(Offered::File(Box::new(opened)), size);
        }
        true
    }

    fn leave_out(&mut self, item: &Item, announced: u64, error: &io::Error) {
        self.tally.failed += 1;
        self.gauge.settle(announced);
        self.wire.tell(|| File::LeftOut {
            path: item.name.to_string(),
            why: explain(error),
        });
    }

    /// Does what an answer asks for; whether it was the last.
    async fn answered(&mut self, line: Line) -> Result<bool, Error> {
        let answered = self.offers.handle(line);
        let answered =
            answered.map_err(|violation| self.wire.offended(violation, Code::Protocol))?;
        match answered {
            Answered::Wanted {
                file: Offered::File(file),
                offset,
                block,
                prefix,
            } => self.send(*file, (offset, prefix), block).await?,
            Answered::Checked(Offered::File(file)) => self.check(*file).await?,
            Answered::Made(_) => self.tally.directories += 1,
            Answered::Skipped(what, reason) => self.skipped(what, reason),
            Answered::Arrived(Offered::Sent(name, size)) => {
                self.tally.files += 1;
                self.wire.step(|| File::Kept {
                    name,
                    named: None,
                    size,
                });
            }
            Answered::Failed(Offered::Sent(name, _), code) => {
                self.tally.failed += 1;
                self.wire.tell(|| File::Failed {
                    name,
                    code,
                    cause: None,
                });
            }
            Answered::Bye(code) => return Err(self.wire.left(&code)),
            Answered::Done => return Ok(true),
            // Only a file that was opened can be wanted, and only one that was
            // sent can arrive.
            _ => {}
        }
        Ok(false)
    }

    fn skipped(&mut self, what: Offered, reason: Reason) {
        let name = match what {
            Offered::Directory(name) | Offered::Sent(name, _) => name,
            Offered::File(file) => {
                self.gauge.settle(file.size);
                file.entry.name
            }
        };
        if reason == Reason::DryRun {
            return;
        }
        self.tally.skipped += 1;
        self.wire.tell(|| File::Skipped {
            name,
            reason,
            cause: None,
        });
    }

    async fn send(
        &mut self,
        opened: Opened,
        (asked, prefix): (u64, Digest),
        block: u64,
    ) -> Result<(), Error> {
        let block = block.min(self.config.block);
        if asked == 0 && opened.size <= AT_ONCE {
            self.send_whole(opened, block);
            return Ok(());
        }
        let (offset, mut hasher, opened) = self.agreed(opened, asked, prefix).await?;
        let name = &opened.entry.name;
        if offset != asked {
            self.wire.step(|| File::Restarted {
                name: name.clone(),
                discarded: asked,
            });
        }
        let size = opened.size;
        self.gauge.settle(offset);
        self.tally.resumed += offset;
        self.say_data(name, (offset, size - offset), block);
        self.wire.set_in_data(offset < size);
        let mut at = offset;
        while at < size {
            let count = self.piece(&opened, at, &mut hasher, block)?;
            at += count;
            self.gauge.settle(count);
            self.tally.moved += count;
            self.wire.flush_if_large().await?;
        }
        self.wire.set_in_data(false);
        let after = if opened.has_more() {
            After::More
        } else {
            After::Nothing
        };
        self.sent(opened.entry.name, (size, hasher.digest()), after);
        Ok(())
    }

    /// Sends all of a small file.
    fn send_whole(&mut self, opened: Opened, block: u64) {
        let size = opened.size;
        let before = self.wire.outbox().len();
        self.say_data(&opened.entry.name, (0, size), block);
        let outbox = self.wire.outbox();
        let start = outbox.len();
        self.gauge.settle(size);
        match opened.read_whole(outbox) {
            Ok(after) => {
                let hash = Digest::of(self.config.hash, &outbox[start..]);
                self.tally.moved += size;
                self.sent(opened.entry.name, (size, hash), after);
            }
            Err(error) => {
                outbox.truncate(before);
                self.take_back(opened.entry.name, Some(&error));
            }
        }
    }

    fn say_data(&mut self, name: &Name, (offset, length): (u64, u64), block: u64) {
        if length > 0 || offset > 0 {
            self.wire.step(|| File::Data {
                name: name.clone(),
                offset,
                length,
                blocks: length.div_ceil(block),
            });
            self.wire.say(&Line::Data { offset, length });
        }
    }

    fn sent(&mut self, name: Name, (size, hash): (u64, Digest), after: After) {
        match after {
            After::More => self.take_back(name, None),
            After::Nothing => {
                self.sent += 1;
                self.end(name, size, hash);
            }
        }
    }

    /// Whether what the receiver has is the beginning of this file: from where
    /// it is sent, and the hash of what is before.
    async fn agreed(
        &mut self,
        opened: Opened,
        asked: u64,
        prefix: Digest,
    ) -> Result<(u64, Hasher, Opened), Error> {
        let algorithm = self.config.hash;
        if asked == 0 {
            return Ok((0, Hasher::new(algorithm), opened));
        }
        let (read, opened) = self
            .wire
            .patiently(move || {
                let mut hasher = Hasher::new(algorithm);
                let read = part::hash(&opened.file, asked, &mut hasher);
                (read.map(|()| hasher), opened)
            })
            .await?;
        let hasher = read.map_err(|error| unreadable(&opened.entry.name, &error))?;
        Ok(if hasher.digest() == prefix {
            (asked, hasher, opened)
        } else {
            (0, Hasher::new(algorithm), opened)
        })
    }

    /// Reads the next blocks to where they are sent from.
    fn piece(
        &mut self,
        opened: &Opened,
        at: u64,
        hasher: &mut Hasher,
        block: u64,
    ) -> Result<u64, Error> {
        let whole = (PIECE as u64 / block).max(1) * block;
        let most = whole.min(opened.size - at);
        let outbox = self.wire.outbox();
        let start = outbox.len();
        outbox.resize(start + usize::try_from(most).unwrap_or(PIECE), 0);
        let room = &mut outbox[start..];
        let read = opened.file.read_exact_at(room, at);
        hasher.update(room);
        match read {
            Ok(()) => Ok(most),
            Err(error) => Err(unreadable(&opened.entry.name, &error)),
        }
    }

    async fn check(&mut self, opened: Opened) -> Result<(), Error> {
        let (name, size) = (opened.entry.name.clone(), opened.size);
        self.wire.step(|| File::Compared { name: name.clone() });
        let algorithm = self.config.hash;
        let read = move || {
            let mut hasher = Hasher::new(algorithm);
            part::hash(&opened.file, size, &mut hasher)?;
            Ok((hasher.digest(), opened.has_more()))
        };
        let read = self.wire.patiently(read).await?;
        let (hash, has_more) = read.map_err(|error| unreadable(&name, &error))?;
        self.gauge.settle(size);
        if has_more {
            self.take_back(name, None);
        } else {
            self.end(name, size, hash);
        }
        Ok(())
    }

    /// Ends a file that is not what was offered: it must not be taken for whole.
    fn take_back(&mut self, name: Name, error: Option<&io::Error>) {
        let code = Code::Changed;
        self.tally.failed += 1;
        self.wire.say(&Line::Fail(code.clone()));
        self.wire.tell(|| File::Failed {
            name,
            code,
            cause: error.map(explain),
        });
    }

    fn end(&mut self, name: Name, size: u64, hash: Digest) {
        self.wire.say(&Line::End { bytes: size, hash });
        self.wire.step(|| File::Ended {
            name: name.clone(),
            size,
            hash,
        });
        self.offers.sent(Offered::Sent(name, size));
    }
}

/// A file that became shorter cannot be sent as it was announced, and nothing is
/// ever made up.
fn unreadable(name: &Name, error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Error::new("send", name, "it became shorter while it was sent")
            .remedy("run it again");
    }
    Error::new("send", name, explain(error)).exiting(Exit::Other)
}
