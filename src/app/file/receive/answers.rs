//! What a receiver answers to what it is offered: that it wants it and from
//! which byte on, that it has it, or why it does not want it.
//!
//! What is there already is the store's knowledge. Takes no data.

use std::io;

use super::{Pending, Receiving};
use crate::app::file::nameless::Fresh;
use crate::app::file::part::Part;
use crate::app::file::source::is_out_of_descriptors;
use crate::app::file::store::Plan;
use crate::error::{Error, explain};
use crate::event::File;
use crate::protocol::file::{Algorithm, Digest, Entry, Line, Name, Reason, Received};

impl Receiving<'_> {
    /// Answers the offers that wait, as far as there are descriptors.
    pub(super) async fn answer(&mut self) -> Result<(), Error> {
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
        if made.is_err() && self.has_unnamed() {
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
            && self.has_unnamed()
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
                self.wire.step(|| File::Compared { name: name.clone() });
                self.intake.checks(size, hash);
                self.pending
                    .push_back(Pending::Compare { name, size, file });
                self.wire.say(&Line::Check);
            }
            Plan::Take(part) => self.take(*part, size, block, hash).await?,
            Plan::TakeWhole(fresh) => self.take_whole(fresh, block),
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
        self.ask(&part.entry.name, offset, block, part.digest());
        self.intake.wants(size, hash, offset);
        self.pending.push_back(Pending::Part(Box::new(part)));
        Ok(())
    }

    fn take_whole(&mut self, fresh: Fresh, block: u64) {
        let nothing = Digest::of(fresh.hash, b"");
        self.ask(&fresh.entry.name, 0, block, nothing);
        self.intake.wants(fresh.size, fresh.hash, 0);
        self.pending.push_back(Pending::Fresh(fresh));
    }

    fn ask(&mut self, name: &Name, offset: u64, block: u64, prefix: Digest) {
        self.wire.step(|| File::Wanted {
            name: name.clone(),
            offset,
        });
        self.wire.say(&Line::Send {
            offset,
            block,
            prefix,
        });
    }
}

fn is_worth_another_try(reason: &Reason) -> bool {
    matches!(reason, Reason::Busy | Reason::Disk)
}
