//! The receiving end of one transfer: offers are weighed, bytes taken, files
//! named, and each of them answered for.
//!
//! Owns the order of that. What may be said is
//! [`Intake`]'s business, the disk is the store's.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::time::Duration;

use super::batch::Settled;
use super::part::{self, Part};
use super::source::is_out_of_descriptors;
use super::store::{Plan, Store, discarded};
use super::wire::Wire;
use super::{Gauge, Receive};
use crate::error::{Error, explain};
use crate::event::{File, FileTally as Tally};
use crate::protocol::file::{
    AHEAD, Algorithm, Code, Digest, Entry, Hasher, Intake, Line, Name, Reason, Received,
};

/// How long a file may wait for its name while nothing else comes.
const PAUSE: Duration = Duration::from_millis(50);

/// What waits for its data, or its hash.
enum Pending {
    Part(Box<Part>),
    Compare {
        name: Name,
        size: u64,
        file: fs::File,
    },
}

/// One transfer.
pub(super) struct Receiving<'a> {
    wire: &'a mut Wire,
    config: &'a Receive,
    gauge: &'a Gauge,
    tally: &'a mut Tally,
    store: Store,
    intake: Intake,
    pending: VecDeque<Pending>,
    /// Offers that wait for their answer until descriptors are free.
    waiting: VecDeque<Received>,
}

impl<'a> Receiving<'a> {
    pub(super) fn new(
        wire: &'a mut Wire,
        config: &'a Receive,
        gauge: &'a Gauge,
        tally: &'a mut Tally,
    ) -> Result<Self, Error> {
        let store = Store::open(&config.into, config.exists, config.limits, wire.recorder());
        let store = store.map_err(|error| config.unusable(error))?;
        Ok(Self {
            wire,
            config,
            gauge,
            tally,
            store,
            intake: Intake::default(),
            pending: VecDeque::new(),
            waiting: VecDeque::new(),
        })
    }

    /// Receives everything that is offered. What is whole at the end has its
    /// name, however it ends.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        let result = self.converse().await;
        if result.is_err() {
            for pending in std::mem::take(&mut self.pending) {
                if let Pending::Part(part) = pending {
                    drop(discarded(*part));
                }
            }
            // The first error is the one to be told.
            let _ = self.commit_quietly();
        }
        result
    }

    async fn converse(&mut self) -> Result<(), Error> {
        loop {
            let line = self.next().await?;
            let received = self.intake.handle(line);
            let received =
                received.map_err(|violation| self.wire.offended(violation, Code::Protocol))?;
            match received {
                Received::Manifest {
                    files,
                    directories,
                    bytes,
                } => self.announced(files, directories, bytes)?,
                offer @ (Received::Directory(_) | Received::Offer { .. }) => {
                    self.take_in(offer)?;
                }
                Received::Data { offset, length } => self.data(offset, length).await?,
                Received::End { hash } => self.ended(hash).await?,
                Received::TakenBack(code) => self.taken_back(code),
                Received::Wait => {}
                Received::Bye(code) => return Err(self.wire.left(&code)),
                Received::Done { files, directories } => {
                    return self.done(files, directories).await;
                }
            }
            self.answer().await?;
            self.wire.flush_if_large().await?;
        }
    }

    /// Keeps an offer until its turn has come.
    fn take_in(&mut self, offer: Received) -> Result<(), Error> {
        if self.waiting.len() >= AHEAD {
            let cause = "too much is offered at once";
            return Err(self.wire.offended(cause, Code::Protocol));
        }
        if let Received::Offer {
            entry,
            size,
            block,
            hash,
        } = &offer
        {
            self.wire.tell(|| File::Offered {
                name: entry.name.clone(),
                size: *size,
                block: *block,
                hash: *hash,
            });
        }
        self.waiting.push_back(offer);
        Ok(())
    }

    /// Answers the offers that wait, as far as there are descriptors.
    async fn answer(&mut self) -> Result<(), Error> {
        while let Some(offer) = self.waiting.pop_front() {
            let was_answered = match &offer {
                Received::Directory(entry) => self.directory(entry.clone()).await?,
                Received::Offer {
                    entry,
                    size,
                    block,
                    hash,
                } => self.offered(entry.clone(), *size, *block, *hash).await?,
                _ => true,
            };
            if !was_answered {
                self.waiting.push_front(offer);
                break;
            }
        }
        Ok(())
    }

    /// The next line. Where none comes at once, what is whole gets its name.
    async fn next(&mut self) -> Result<Line, Error> {
        if self.store.has_batch() {
            if let Some(line) = self.wire.line_within(PAUSE).await? {
                return Ok(line);
            }
            self.commit().await?;
        }
        self.wire.line().await
    }

    fn announced(&mut self, files: u64, directories: u64, bytes: u64) -> Result<(), Error> {
        self.gauge.announce(bytes);
        self.wire.tell(|| File::Announced {
            files,
            directories,
            bytes,
        });
        let limits = self.config.limits;
        if bytes > limits.bytes || files.saturating_add(directories) > limits.entries {
            let cause = format!("it offers {files} files and {bytes} bytes, more than is taken");
            let error = self.wire.offended(cause, Code::TooLarge);
            return Err(error.remedy("--max-files and --max-total say how much"));
        }
        Ok(())
    }

    /// Whether it could be answered.
    async fn directory(&mut self, entry: Entry) -> Result<bool, Error> {
        if self.is_refused(&entry.name) {
            self.skip(entry.name, Reason::Hidden, None);
            return Ok(true);
        }
        if self.config.rehearsal {
            self.wire.say(&Line::Skip(Reason::DryRun));
            return Ok(true);
        }
        let mut made = self.store.make(&entry);
        if made.is_err() && self.store.has_batch() {
            self.commit().await?;
            made = self.store.make(&entry);
        }
        match made {
            Ok(()) => {
                self.tally.directories += 1;
                self.wire.say(&Line::Made);
            }
            Err((_, error)) if self.may_wait(&error) => return Ok(false),
            Err((reason, error)) => self.skip(entry.name, reason, Some(&error)),
        }
        Ok(true)
    }

    /// Whether descriptors will be free once what was asked for has come.
    fn may_wait(&self, error: &io::Error) -> bool {
        let is_full = is_out_of_descriptors(error);
        is_full && !self.pending.is_empty()
    }

    /// A sender that nobody proved could plant a program's settings.
    fn is_refused(&self, name: &Name) -> bool {
        name.is_hidden() && !self.config.hidden
    }

    fn skip(&mut self, name: Name, reason: Reason, error: Option<&io::Error>) {
        self.tally.skipped += 1;
        self.wire.say(&Line::Skip(reason.clone()));
        self.wire.tell(|| File::Skipped {
            name,
            reason,
            cause: error.map(explain),
        });
    }

    /// Whether it could be answered.
    async fn offered(
        &mut self,
        entry: Entry,
        size: u64,
        block: u64,
        hash: Algorithm,
    ) -> Result<bool, Error> {
        let name = entry.name.clone();
        if self.is_refused(&name) {
            self.intake.skips();
            self.gauge.settle(size);
            self.skip(name, Reason::Hidden, None);
            return Ok(true);
        }
        if self.config.rehearsal {
            self.rehearse(&entry, size);
            return Ok(true);
        }
        let mut plan = self.store.plan(entry.clone(), size, hash);
        if matches!(&plan, Plan::Skip(reason, _) if is_worth_another_try(reason))
            && self.store.has_batch()
        {
            // Names and descriptors that were held may be free afterwards.
            self.commit().await?;
            plan = self.store.plan(entry, size, hash);
        }
        match plan {
            Plan::Skip(_, Some(error)) if self.may_wait(&error) => return Ok(false),
            Plan::Skip(reason, error) => {
                self.intake.skips();
                self.gauge.settle(size);
                self.skip(name, reason, error.as_ref());
            }
            Plan::Compare(file) => {
                self.wire.tell(|| File::Compared { name: name.clone() });
                self.intake.checks(size, hash);
                self.pending
                    .push_back(Pending::Compare { name, size, file });
                self.wire.say(&Line::Check);
            }
            Plan::Take(part) => self.take(*part, size, block, hash).await?,
        }
        Ok(true)
    }

    fn rehearse(&mut self, entry: &Entry, size: u64) {
        let reason = self.store.rehearse(entry, size);
        self.intake.skips();
        self.gauge.settle(size);
        if let Some(reason) = reason {
            self.skip(entry.name.clone(), reason, None);
        } else {
            self.tally.files += 1;
            self.wire.say(&Line::Skip(Reason::DryRun));
            let name = entry.name.clone();
            self.wire.tell(|| File::Rehearsed { name, size });
        }
    }

    async fn take(
        &mut self,
        mut part: Part,
        size: u64,
        block: u64,
        hash: Algorithm,
    ) -> Result<(), Error> {
        if part.written() > 0 {
            let name = part.entry.name.clone();
            let reread = self.wire.patiently(move || part.reread()).await?;
            part = reread.map_err(|error| Error::new("read again", &name, error))?;
        }
        let offset = part.written();
        self.wire.tell(|| File::Wanted {
            name: part.entry.name.clone(),
            offset,
        });
        self.wire.say(&Line::Send {
            offset,
            block,
            prefix: part.digest(),
        });
        self.intake.wants(size, hash, offset);
        self.pending.push_back(Pending::Part(Box::new(part)));
        Ok(())
    }

    async fn data(&mut self, offset: u64, length: u64) -> Result<(), Error> {
        let Some(Pending::Part(part)) = self.pending.front_mut() else {
            return Err(Error::new(
                "receive from",
                self.wire.peer(),
                "data of no file",
            ));
        };
        let name = part.entry.name.clone();
        let failed = |error: io::Error| Error::new("write", &name, error);
        if offset == 0 && part.written() > 0 {
            let discarded = part.written();
            part.restart().map_err(failed)?;
            let name = part.entry.name.clone();
            self.wire.tell(|| File::Restarted { name, discarded });
        }
        self.gauge.settle(offset);
        let (store, gauge, tally) = (&mut self.store, self.gauge, &mut *self.tally);
        tally.resumed += offset;
        let take = |data: &[u8]| {
            part.write(data).map_err(failed)?;
            store.came(data.len() as u64);
            gauge.settle(data.len() as u64);
            tally.moved += data.len() as u64;
            Ok(())
        };
        self.wire.data(length, take).await
    }

    async fn ended(&mut self, hash: Digest) -> Result<(), Error> {
        match self.pending.pop_front() {
            Some(Pending::Part(part)) if part.digest() == hash => {
                let (name, size) = (part.entry.name.clone(), part.size);
                self.wire.tell(|| File::Ended { name, size, hash });
                if self.store.finished(*part) {
                    self.commit().await?;
                }
            }
            Some(Pending::Part(part)) => {
                self.commit().await?;
                let name = part.entry.name.clone();
                // Nothing of it can be trusted.
                let removed = part.remove();
                self.fail(name, Code::Hash, removed.err().as_ref());
            }
            Some(Pending::Compare { name, size, file }) => {
                self.commit().await?;
                self.compare(name, size, file, hash).await?;
            }
            None => {
                return Err(Error::new(
                    "receive from",
                    self.wire.peer(),
                    "no file ended",
                ));
            }
        }
        Ok(())
    }

    /// What has come is kept: it may be the beginning of what comes next time.
    fn taken_back(&mut self, code: Code) {
        let name = match self.pending.pop_front() {
            Some(Pending::Part(part)) => {
                let name = part.entry.name.clone();
                drop(discarded(*part));
                name
            }
            Some(Pending::Compare { name, .. }) => name,
            None => return,
        };
        self.tally.failed += 1;
        self.wire.tell(|| File::Failed {
            name,
            code,
            cause: None,
        });
    }

    async fn compare(
        &mut self,
        name: Name,
        size: u64,
        file: fs::File,
        theirs: Digest,
    ) -> Result<(), Error> {
        let mut hasher = Hasher::new(theirs.algorithm());
        let read = move || part::hash(&file, size, &mut hasher).map(|()| hasher.digest());
        let own = self.wire.patiently(read).await?;
        self.gauge.settle(size);
        match own {
            Ok(own) if own == theirs => {
                self.tally.same += 1;
                self.wire.say(&Line::Ok);
            }
            Ok(_) => self.fail(name, Code::Exists, None),
            Err(error) => self.fail(name, Code::Exists, Some(&error)),
        }
        Ok(())
    }

    fn fail(&mut self, name: Name, code: Code, error: Option<&io::Error>) {
        self.tally.failed += 1;
        self.wire.say(&Line::Fail(code.clone()));
        self.wire.tell(|| File::Failed {
            name,
            code,
            cause: error.map(explain),
        });
    }

    /// Gives every file that is whole its name, and answers for it.
    async fn commit(&mut self) -> Result<(), Error> {
        if !self.store.has_batch() {
            return Ok(());
        }
        let batch = self.store.batch();
        let settled = self.wire.patiently(move || batch.commit()).await?;
        let into = &self.config.into;
        let settled = settled.map_err(|error| Error::new("sync", into.display(), error))?;
        for Settled { part, result } in settled {
            let (name, size) = (part.entry.name.clone(), part.size);
            match result {
                Ok(named) => {
                    self.tally.files += 1;
                    self.wire.say(&Line::Ok);
                    self.wire.tell(|| File::Kept {
                        named: Some(named).filter(|named| *named != name),
                        name,
                        size,
                    });
                }
                Err((code, error)) => {
                    let _ = part.remove();
                    self.fail(name, code, Some(&error));
                }
            }
        }
        Ok(())
    }

    /// The same where nobody is there to be answered.
    fn commit_quietly(&mut self) -> io::Result<()> {
        for settled in self.store.batch().commit()? {
            self.tally.files += u64::from(settled.result.is_ok());
        }
        Ok(())
    }

    async fn done(&mut self, files: u64, directories: u64) -> Result<(), Error> {
        self.commit().await?;
        if files > 0 || directories > 0 {
            self.tally.failed += files.saturating_add(directories);
            self.wire.tell(|| File::Missing { files, directories });
        }
        self.wire.say(&Line::Done {
            files: self.tally.files,
            bytes: self.tally.moved,
        });
        self.wire.flush().await
    }
}

fn is_worth_another_try(reason: &Reason) -> bool {
    matches!(reason, Reason::Busy | Reason::Disk)
}
