//! A receiver's disk: what is there, what may come, and what has come and waits
//! for its name (fstatat(2), statvfs(3)).
//!
//! How names are given is the batch's business. Owns no connection.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, SFlag, fstatat};
use nix::sys::statvfs::fstatvfs;

use super::batch::{Batch, Whole};
use super::folder::{Folder, Missing};
use super::nameless::{Fresh, SMALL};
use super::part::{NoPart, Part, is_addressable};
use super::source::is_out_of_descriptors;
use crate::event::SocketName;
use crate::protocol::file::{Algorithm, Entry, Escaped, Reason};
use crate::recorder::{Recorder, Returned};

/// What is done where something of that name is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Exists {
    /// It stays, and nothing is received.
    #[default]
    Refuse,
    /// What comes gets another name.
    Rename,
    /// What comes takes its place, in one step.
    Overwrite,
}

/// What a receiver takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest file.
    pub file: u64,
    /// The most bytes of one sender.
    pub bytes: u64,
    /// The most files and folders of one sender.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file: u64::MAX,
            bytes: u64::MAX,
            entries: 1_000_000,
        }
    }
}

/// The disk, as one transfer uses it.
pub(super) struct Store {
    folder: Folder,
    exists: Exists,
    limits: Limits,
    mask: u32,
    recorder: Recorder,
    /// Bytes that were asked for and have not come.
    promised: u64,
    /// Bytes that were free when the disk was asked, and that were taken since.
    free: u64,
    unasked: u64,
    batch: VecDeque<Whole>,
    batched: u64,
    /// Closed where there is no other descriptor for what has come.
    spare: Option<OwnedFd>,
}

/// What is to be done about a file that is offered.
pub(super) enum Plan {
    /// It is wanted.
    Take(Box<Part>),
    /// It is wanted, it is small, and nothing of it is there.
    TakeWhole(Fresh),
    /// One of that name and size is there.
    Compare(std::fs::File),
    /// It is not wanted; and the disk's own words, where it has any.
    Skip(Reason, Option<io::Error>),
}

/// Files that are worth being synced and named together.
const BATCH: usize = 128;
/// Files that may wait for that, while others are.
const MOST: usize = 1024;
/// Bytes that are synced and named together.
const BATCH_BYTES: u64 = 32 << 20;
/// After so many bytes the disk is asked again how many are free.
const UNASKED: u64 = 1 << 20;

/// An offer's hidden name, found only where it is shown.
struct Hidden<'a>(&'a Fresh);

impl Hidden<'_> {
    fn name(&self) -> Vec<u8> {
        self.0.entry.unfinished(self.0.size, self.0.hash)
    }
}

impl fmt::Display for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.name()).fmt(f)
    }
}

impl Store {
    pub(super) fn open(
        into: &Path,
        exists: Exists,
        limits: Limits,
        recorder: &Recorder,
    ) -> io::Result<Self> {
        let folder = Folder::open(into)?;
        Ok(Self {
            spare: folder.root().try_clone().ok(),
            folder,
            exists,
            limits,
            mask: mask(),
            recorder: recorder.clone(),
            promised: 0,
            free: 0,
            unasked: 0,
            batch: VecDeque::new(),
            batched: 0,
        })
    }

    /// Makes a folder that is offered.
    pub(super) fn make(&mut self, entry: &Entry) -> Result<(), (Reason, io::Error)> {
        let (inside, last) = entry.name.split();
        let made = self.folder.make(inside, last, entry.mode);
        made.map_err(|error| (reason(&error), error))
    }

    /// What is to be done about a file, without doing any of it.
    pub(super) fn rehearse(&mut self, entry: &Entry, size: u64) -> Option<Reason> {
        if self.is_too_large(size) {
            return Some(Reason::TooLarge);
        }
        let (inside, last) = entry.name.split();
        let folder = match self.folder.enter(inside, Missing::Fail) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return Some(reason(&error)),
        };
        let is_there = status(&folder, last).is_ok_and(|there| there.is_some());
        (is_there && self.exists == Exists::Refuse).then_some(Reason::Exists)
    }

    /// What is to be done about a file, begun.
    pub(super) fn plan(&mut self, entry: Entry, size: u64, hash: Algorithm) -> Plan {
        if self.is_too_large(size) {
            return Plan::Skip(Reason::TooLarge, None);
        }
        let (inside, last) = entry.name.split();
        let folder = match self.folder.enter(inside, Missing::Make) {
            Ok(folder) => folder,
            Err(error) => return Plan::Skip(reason(&error), Some(error)),
        };
        // Nothing is in a folder that was made for this.
        let is_new = self.folder.is_new(inside);
        if !is_new {
            match status(&folder, last) {
                Err(error) => return Plan::Skip(reason(&error), Some(error)),
                Ok(Some(there)) if self.stays(&there) => return self.compare(&folder, last, size),
                _ => {}
            }
        }
        let fresh = Fresh {
            entry,
            folder,
            size,
            hash,
        };
        if self.is_taken_whole(&fresh, is_new) {
            return self.take_whole(fresh);
        }
        let part = match self.begin(&fresh) {
            Ok(part) => part,
            Err(NoPart::Busy) => return Plan::Skip(Reason::Busy, None),
            Err(NoPart::NotOurs) => return Plan::Skip(Reason::Unsafe, None),
            Err(NoPart::Disk(error)) => return Plan::Skip(reason(&error), Some(error)),
        };
        let missing = size - part.written();
        if !self.has_room(missing) {
            drop(discarded(part));
            return Plan::Skip(Reason::Space, None);
        }
        self.promised = self.promised.saturating_add(missing);
        Plan::Take(Box::new(part))
    }

    /// Whether it is small, takes nothing's place, and goes on from nothing.
    fn is_taken_whole(&self, fresh: &Fresh, is_new: bool) -> bool {
        fresh.size <= SMALL
            && self.exists != Exists::Overwrite
            && (is_new || matches!(status(&fresh.folder, &Hidden(fresh).name()), Ok(None)))
    }

    fn take_whole(&mut self, fresh: Fresh) -> Plan {
        if !self.has_room(fresh.size) {
            return Plan::Skip(Reason::Space, None);
        }
        self.promised = self.promised.saturating_add(fresh.size);
        Plan::TakeWhole(fresh)
    }

    /// Opens the unfinished file that belongs to an offer.
    pub(super) fn begin(&self, fresh: &Fresh) -> Result<Part, NoPart> {
        let opened = self.recorder.call(
            &SocketName::from("disk"),
            "openat",
            format_args!("{}, O_RDWR|O_NOFOLLOW", Hidden(fresh)),
            || Ok(fresh.begin()),
            |opened| match opened {
                Ok(part) => Returned::ZERO.and(format_args!("{} bytes", part.written())),
                Err(_) => Returned::ZERO.and("not ours, or busy"),
            },
        );
        opened.unwrap_or_else(|error| Err(NoPart::Disk(error)))
    }

    /// So many bytes that were asked for have come, or will not.
    pub(super) fn came(&mut self, bytes: u64) {
        self.promised = self.promised.saturating_sub(bytes);
    }

    /// Takes a file that is whole.
    pub(super) fn finished(&mut self, whole: Whole) {
        self.batched += whole.size();
        self.batch.push_back(whole);
    }

    /// Takes back what there were no descriptors for.
    pub(super) fn put_back(&mut self, mut rest: VecDeque<Whole>) {
        self.batched += rest.iter().map(Whole::size).sum::<u64>();
        rest.append(&mut self.batch);
        self.batch = rest;
    }

    /// Whether so many wait for their names that it is worth while.
    pub(super) fn is_worth_it(&self) -> bool {
        self.batch.len() >= BATCH || self.batched >= BATCH_BYTES
    }

    /// Whether no more may wait.
    pub(super) fn is_full(&self) -> bool {
        self.batch.len() >= MOST || self.batched >= BATCH_BYTES
    }

    /// Whether files wait for their names.
    pub(super) fn has_batch(&self) -> bool {
        !self.batch.is_empty()
    }

    /// The first that waits for its name.
    pub(super) fn first(&mut self) -> Option<Whole> {
        let first = self.batch.pop_front()?;
        self.batched -= first.size();
        Some(first)
    }

    /// Gives up the descriptor that was kept for the last need; whether there was
    /// one.
    pub(super) fn spend_spare(&mut self) -> bool {
        self.spare.take().is_some()
    }

    /// Keeps one again, where there is one.
    pub(super) fn keep_spare(&mut self) {
        if self.spare.is_none() {
            self.spare = self.folder.root().try_clone().ok();
        }
    }

    /// Everything that waits for its name, to be [committed](Batch::commit).
    pub(super) fn batch(&mut self) -> Batch {
        self.batched = 0;
        Batch {
            files: std::mem::take(&mut self.batch),
            root: Arc::clone(self.folder.root()),
            exists: self.exists,
            mask: self.mask,
            recorder: self.recorder.clone(),
        }
    }

    fn is_too_large(&self, size: u64) -> bool {
        size > self.limits.file || !is_addressable(size)
    }

    /// Whether what is there is left alone.
    fn stays(&self, there: &FileStat) -> bool {
        match self.exists {
            Exists::Refuse => true,
            Exists::Rename => false,
            // A folder is no file to be replaced.
            Exists::Overwrite => kind(there) == SFlag::S_IFDIR,
        }
    }

    fn compare(&self, folder: &OwnedFd, last: &[u8], size: u64) -> Plan {
        let file = super::source::open_file(folder, last).map(std::fs::File::from);
        match file.and_then(|file| Ok((file.metadata()?, file))) {
            Ok((meta, file))
                if meta.is_file() && meta.len() == size && self.exists == Exists::Refuse =>
            {
                Plan::Compare(file)
            }
            Err(error) if is_out_of_descriptors(&error) => Plan::Skip(Reason::Disk, Some(error)),
            _ => Plan::Skip(Reason::Exists, None),
        }
    }

    /// Whether so many bytes may come beside those that were promised. Small
    /// files together ask the disk as often as a large one.
    fn has_room(&mut self, bytes: u64) -> bool {
        let wanted = self.promised.saturating_add(bytes);
        self.unasked = self.unasked.saturating_add(bytes.max(4096));
        if self.unasked >= UNASKED || wanted > self.free {
            // A disk that does not say is found out by writing to it.
            self.free = fstatvfs(self.folder.root()).map_or(u64::MAX, |room| {
                room.blocks_available().saturating_mul(room.fragment_size())
            });
            self.unasked = 0;
        }
        wanted <= self.free
    }
}

/// Takes an unfinished file away where there is nothing in it.
pub(super) fn discarded(part: Part) -> Option<Part> {
    if part.written() > 0 {
        return Some(part);
    }
    // What stays behind is empty, and found again.
    let _ = part.remove();
    None
}

fn status(folder: &OwnedFd, last: &[u8]) -> io::Result<Option<FileStat>> {
    match fstatat(
        folder,
        OsStr::from_bytes(last),
        AtFlags::AT_SYMLINK_NOFOLLOW,
    ) {
        Err(Errno::ENOENT) => Ok(None),
        result => Ok(Some(result?)),
    }
}

fn kind(status: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT
}

/// What the sender is told of the disk's no.
fn reason(error: &io::Error) -> Reason {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ELOOP | Errno::ENOTDIR) => Reason::Unsafe,
        Some(Errno::ENOSPC | Errno::EDQUOT) => Reason::Space,
        Some(Errno::EEXIST) => Reason::Exists,
        _ => Reason::Disk,
    }
}

/// The process's umask (proc_pid_status(5)): asking umask(2) would change it for
/// a moment, for all threads.
fn mask() -> u32 {
    const USUAL: u32 = 0o022;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok())
        .unwrap_or(USUAL)
}
