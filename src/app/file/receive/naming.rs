//! When a receiver's files get their names: while more comes, on a thread of its
//! own, and at the latest when it is asked.
//!
//! How that is done is the batch's business. Owns the order: each file is
//! answered for in the order in which they ended.

use std::io;

use nix::errno::Errno;
use tokio::task::{JoinHandle, spawn_blocking};

use super::Receiving;
use crate::app::file::batch::{Batch, Committed, Settled, Whole, code};
use crate::error::Error;
use crate::event::File;
use crate::protocol::file::Line;

/// A batch whose files are being named.
pub(super) type Naming = JoinHandle<io::Result<Committed>>;

impl Receiving<'_> {
    /// Sees to it that files get their names, where enough wait for them.
    pub(super) async fn name_some(&mut self) -> Result<(), Error> {
        if !self.store.is_worth_it() {
            return Ok(());
        }
        let is_free = self.naming.as_ref().is_none_or(JoinHandle::is_finished);
        if !is_free && !self.store.is_full() {
            return Ok(());
        }
        if self.naming.is_some() && !self.named().await? {
            // Descriptors are short: one after another.
            return self.commit().await;
        }
        self.begin_naming();
        Ok(())
    }

    /// Whether files wait for their names, or are being named.
    pub(super) fn has_unnamed(&self) -> bool {
        self.naming.is_some() || self.store.has_batch()
    }

    /// Gives those that wait their names, on another thread.
    pub(super) fn begin_naming(&mut self) {
        let batch = self.store.batch();
        self.naming = Some(spawn_blocking(move || batch.commit()));
    }

    /// Waits for those that are being named; whether there were any.
    async fn named(&mut self) -> Result<bool, Error> {
        let Some(naming) = &mut self.naming else {
            return Ok(false);
        };
        let outlasted = self.wire.outlast(naming).await;
        self.forget_named();
        self.settle(outlasted?)
    }

    /// Gives every file that is whole its name, and answers for it.
    pub(super) async fn commit(&mut self) -> Result<(), Error> {
        self.named().await?;
        while self.store.has_batch() {
            self.begin_naming();
            if self.named().await? || self.store.spend_spare() {
                continue;
            }
            if let Some(whole) = self.store.first() {
                self.unnamed(&whole);
            }
        }
        self.store.keep_spare();
        Ok(())
    }

    /// There is no descriptor for it, and none to wait for.
    fn unnamed(&mut self, whole: &Whole) {
        let error = io::Error::from(Errno::EMFILE);
        self.store.came(whole.size());
        self.fail(whole.entry().name.clone(), code(&error), Some(&error));
    }

    /// Waits no more for those that were named: where the conversation broke before,
    /// they still are being named.
    pub(super) fn forget_named(&mut self) {
        self.naming.take_if(|naming| naming.is_finished());
    }

    /// Answers for those that were named; whether there were any.
    pub(super) fn settle(&mut self, committed: io::Result<Committed>) -> Result<bool, Error> {
        let into = &self.config.into;
        let Committed { settled, rest } =
            committed.map_err(|error| Error::new("sync", into.display(), error))?;
        self.store.put_back(rest);
        let is_any = !settled.is_empty();
        for Settled {
            entry,
            size,
            was_in_memory,
            result,
        } in settled
        {
            if was_in_memory {
                self.store.came(size);
            }
            match result {
                Ok(named) => {
                    self.tally.files += 1;
                    self.wire.say(&Line::Ok);
                    self.wire.step(|| File::Kept {
                        named: Some(named).filter(|named| *named != entry.name),
                        name: entry.name,
                        size,
                    });
                }
                Err((code, error)) => self.fail(entry.name, code, Some(&error)),
            }
        }
        Ok(is_any)
    }

    /// The same where nobody is there to be answered.
    pub(super) async fn commit_quietly(&mut self) -> io::Result<()> {
        if let Some(naming) = self.naming.take() {
            self.count(naming.await??);
        }
        let batch: Batch = self.store.batch();
        // The spare one is enough for one after another.
        self.store.spend_spare();
        let committed = spawn_blocking(move || batch.commit()).await??;
        self.count(committed);
        Ok(())
    }

    fn count(&mut self, committed: Committed) {
        let named = committed.settled.iter().filter(|one| one.result.is_ok());
        self.tally.files += named.count() as u64;
        self.store.put_back(committed.rest);
    }
}
