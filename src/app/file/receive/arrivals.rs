//! What comes to a receiver: bytes, the ends of files, and files that the sender
//! takes back.
//!
//! Owns what is done with each of them until it is whole. Names are not its
//! business.

use std::fs;
use std::io;

use super::{Pending, Receiving};
use crate::app::file::batch::{Whole, code};
use crate::app::file::nameless::{Fresh, Small};
use crate::app::file::part::{self, NoPart, Part};
use crate::app::file::source::is_out_of_descriptors;
use crate::app::file::store::discarded;
use crate::error::{Error, explain};
use crate::event::File;
use crate::protocol::file::{Code, Digest, Hasher, Line, Name};

impl Receiving<'_> {
    pub(super) async fn data(&mut self, offset: u64, length: u64) -> Result<(), Error> {
        self.gauge.settle(offset);
        self.tally.resumed += offset;
        match self.pending.pop_front() {
            Some(Pending::Part(part)) => self.add(part, offset, length).await,
            Some(Pending::Fresh(fresh)) => self.whole(fresh, length).await,
            _ => {
                let peer = self.wire.peer();
                Err(Error::new("receive from", peer, "data of no file"))
            }
        }
    }

    /// A small file: as a whole where all of it is there, or bit by bit.
    async fn whole(&mut self, fresh: Fresh, length: u64) -> Result<(), Error> {
        if let Some(data) = self.wire.data_at_hand(length) {
            self.gauge.settle(length);
            self.tally.moved += length;
            let small = Small { fresh, data };
            self.pending.push_front(Pending::Small(small));
            return Ok(());
        }
        match self.store.begin(&fresh) {
            Ok(part) => self.add(Box::new(part), 0, length).await,
            Err(NoPart::Disk(error)) if is_out_of_descriptors(&error) => {
                let data = self.gather(length).await?;
                let small = Small { fresh, data };
                self.pending.push_front(Pending::Small(small));
                Ok(())
            }
            Err(none) => {
                self.gather(length).await?;
                let (code, error) = match none {
                    NoPart::Disk(error) => (code(&error), Some(error)),
                    NoPart::Busy | NoPart::NotOurs => (Code::Exists, None),
                };
                let name = fresh.entry.name;
                self.pending
                    .push_front(Pending::Refused { name, code, error });
                Ok(())
            }
        }
    }

    /// The data of a small file.
    async fn gather(&mut self, length: u64) -> Result<Vec<u8>, Error> {
        let mut all = Vec::new();
        let (gauge, tally) = (self.gauge, &mut *self.tally);
        let take = |data: &[u8]| {
            all.extend_from_slice(data);
            gauge.settle(data.len() as u64);
            tally.moved += data.len() as u64;
            Ok(())
        };
        self.wire.data(length, take).await?;
        Ok(all)
    }

    async fn add(&mut self, mut part: Box<Part>, offset: u64, length: u64) -> Result<(), Error> {
        let name = part.entry.name.clone();
        let failed = |error: io::Error| Error::new("write", &name, error);
        if offset == 0 && part.written() > 0 {
            let discarded = part.written();
            part.restart().map_err(failed)?;
            let name = part.entry.name.clone();
            self.wire.step(|| File::Restarted { name, discarded });
        }
        let (store, gauge, tally) = (&mut self.store, self.gauge, &mut *self.tally);
        let take = |data: &[u8]| {
            part.write(data).map_err(failed)?;
            store.came(data.len() as u64);
            gauge.settle(data.len() as u64);
            tally.moved += data.len() as u64;
            Ok(())
        };
        let result = self.wire.data(length, take).await;
        // However it ends, what has come is kept.
        self.pending.push_front(Pending::Part(part));
        result
    }

    pub(super) async fn ended(&mut self, hash: Digest) -> Result<(), Error> {
        match self.pending.pop_front() {
            Some(Pending::Part(part)) if part.digest() == hash => {
                self.keep(Whole::Part(part), hash).await
            }
            Some(Pending::Part(part)) => {
                self.commit().await?;
                let name = part.entry.name.clone();
                // Nothing of it can be trusted.
                let removed = part.remove();
                self.fail(name, Code::Hash, removed.err().as_ref());
                Ok(())
            }
            Some(Pending::Fresh(fresh)) => {
                let data = Vec::new();
                self.ended_small(Small { fresh, data }, hash).await
            }
            Some(Pending::Small(small)) => self.ended_small(small, hash).await,
            Some(Pending::Refused { name, code, error }) => {
                self.commit().await?;
                self.fail(name, code, error.as_ref());
                Ok(())
            }
            Some(Pending::Compare { name, size, file }) => {
                self.commit().await?;
                self.compare(name, size, file, hash).await
            }
            None => {
                let peer = self.wire.peer();
                Err(Error::new("receive from", peer, "no file ended"))
            }
        }
    }

    async fn ended_small(&mut self, small: Small, hash: Digest) -> Result<(), Error> {
        if Digest::of(hash.algorithm(), &small.data) == hash {
            return self.keep(Whole::Small(small), hash).await;
        }
        self.commit().await?;
        self.store.came(small.fresh.size);
        self.fail(small.fresh.entry.name, Code::Hash, None);
        Ok(())
    }

    async fn keep(&mut self, whole: Whole, hash: Digest) -> Result<(), Error> {
        self.wire.step(|| File::Ended {
            name: whole.entry().name.clone(),
            size: whole.size(),
            hash,
        });
        self.store.finished(whole);
        self.name_some().await
    }

    /// What has come is kept: it may be the beginning of what comes next time.
    pub(super) fn taken_back(&mut self, code: Code) {
        let name = match self.pending.pop_front() {
            Some(Pending::Part(part)) => {
                let name = part.entry.name.clone();
                drop(discarded(*part));
                name
            }
            Some(Pending::Fresh(fresh) | Pending::Small(Small { fresh, .. })) => fresh.entry.name,
            Some(Pending::Refused { name, .. } | Pending::Compare { name, .. }) => name,
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

    pub(super) fn fail(&mut self, name: Name, code: Code, error: Option<&io::Error>) {
        self.tally.failed += 1;
        self.wire.say(&Line::Fail(code.clone()));
        self.wire.tell(|| File::Failed {
            name,
            code,
            cause: error.map(explain),
        });
    }
}
