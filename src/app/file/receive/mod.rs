//! The receiving end of one transfer: offers are weighed, bytes taken, files
//! named, and each of them answered for.
//!
//! Owns the order of that. What may be said is
//! [`Intake`]'s business, the disk is the store's.

mod answers;
mod arrivals;
mod naming;

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::time::Duration;

use self::naming::Naming;
use super::nameless::{Fresh, Small};
use super::part::Part;
use super::store::{Store, discarded};
use super::wire::{LineOr, Wire};
use super::{Gauge, Receive};
use crate::error::Error;
use crate::event::{File, FileTally as Tally};
use crate::protocol::file::{AHEAD, Code, Intake, Line, Name, Received};

/// How long a file may wait for its name while nothing else comes.
const PAUSE: Duration = Duration::from_millis(50);

/// What waits for its data, or its hash.
enum Pending {
    Part(Box<Part>),
    /// Nothing of it has come.
    Fresh(Fresh),
    /// All of it has come.
    Small(Small),
    /// It could not be kept.
    Refused {
        name: Name,
        code: Code,
        error: Option<io::Error>,
    },
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
    naming: Option<Naming>,
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
            naming: None,
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
            let _ = self.commit_quietly().await;
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
            self.wire.step(|| File::Offered {
                name: entry.name.clone(),
                size: *size,
                block: *block,
                hash: *hash,
            });
        }
        self.waiting.push_back(offer);
        Ok(())
    }

    /// The next line. Where none comes at once, what is whole gets its name.
    async fn next(&mut self) -> Result<Line, Error> {
        loop {
            if let Some(naming) = &mut self.naming {
                let first = self.wire.line_or(naming).await;
                if !matches!(first, Ok(LineOr::Line(_))) {
                    self.forget_named();
                }
                match first? {
                    LineOr::Line(line) => return Ok(line),
                    LineOr::Done(committed) => {
                        self.settle(committed)?;
                    }
                }
            } else if self.store.has_batch() {
                if let Some(line) = self.wire.line_within(PAUSE).await? {
                    return Ok(line);
                }
                self.commit().await?;
            } else {
                return self.wire.line().await;
            }
        }
    }

    fn announced(&mut self, files: u64, directories: u64, bytes: u64) -> Result<(), Error> {
        self.gauge.announce(bytes);
        self.wire.step(|| File::Announced {
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
