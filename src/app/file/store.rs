//! A receiver's disk: what is there, what may come, and what has come and waits
//! for its name (fstatat(2), statvfs(3)).
//!
//! How names are given is the batch's business. Owns no connection.

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

use super::batch::Batch;
use super::folder::{Folder, Missing, make};
use super::part::{NoPart, Part, is_addressable};
use super::source::is_out_of_descriptors;
use crate::event::SocketName;
use crate::protocol::file::{Algorithm, Entry, Escaped, Name, Reason};
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
    batch: Vec<Part>,
    batched: u64,
}

/// What is to be done about a file that is offered.
pub(super) enum Plan {
    /// It is wanted.
    Take(Box<Part>),
    /// One of that name and size is there.
    Compare(std::fs::File),
    /// It is not wanted; and the disk's own words, where it has any.
    Skip(Reason, Option<io::Error>),
}

/// Files that are synced and named together.
const BATCH: usize = 256;
/// Bytes that are synced and named together.
const BATCH_BYTES: u64 = 32 << 20;
/// After so many bytes the disk is asked again how many are free.
const UNASKED: u64 = 1 << 20;

/// A name's hidden one, found only where it is shown.
struct Hidden<'a>(&'a Name);

impl fmt::Display for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.0.unfinished()).fmt(f)
    }
}

impl Store {
    pub(super) fn open(
        into: &Path,
        exists: Exists,
        limits: Limits,
        recorder: &Recorder,
    ) -> io::Result<Self> {
        Ok(Self {
            folder: Folder::open(into)?,
            exists,
            limits,
            mask: mask(),
            recorder: recorder.clone(),
            promised: 0,
            free: 0,
            unasked: 0,
            batch: Vec::new(),
            batched: 0,
        })
    }

    /// Makes a folder that is offered.
    pub(super) fn make(&mut self, entry: &Entry) -> Result<(), (Reason, io::Error)> {
        let (inside, last) = entry.name.split();
        let refused = |error: io::Error| (reason(&error), error);
        let at = self.folder.enter(inside, Missing::Make).map_err(refused)?;
        make(&at, OsStr::from_bytes(last), entry.mode).map_err(refused)?;
        // Whatever is there must be a folder.
        let whole = Some(entry.name.as_bytes());
        self.folder.enter(whole, Missing::Fail).map_err(refused)?;
        Ok(())
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
        match status(&folder, last) {
            Err(error) => return Plan::Skip(reason(&error), Some(error)),
            Ok(Some(there)) if self.stays(&there) => return self.compare(&folder, last, size),
            _ => {}
        }
        let name = entry.name.clone();
        let opened = self.recorder.call(
            &SocketName::from("disk"),
            "openat",
            format_args!("{}, O_RDWR|O_NOFOLLOW", Hidden(&name)),
            || Ok(Part::open(folder, entry, size, hash)),
            |opened| match opened {
                Ok(part) => Returned::ZERO.and(format_args!("{} bytes", part.written())),
                Err(_) => Returned::ZERO.and("not ours, or busy"),
            },
        );
        let part = match opened {
            Ok(Ok(part)) => part,
            Ok(Err(NoPart::Busy)) => return Plan::Skip(Reason::Busy, None),
            Ok(Err(NoPart::NotOurs)) => return Plan::Skip(Reason::Unsafe, None),
            Ok(Err(NoPart::Disk(error))) | Err(error) => {
                return Plan::Skip(reason(&error), Some(error));
            }
        };
        let missing = size - part.written();
        if !self.has_room(missing) {
            drop(discarded(part));
            return Plan::Skip(Reason::Space, None);
        }
        self.promised = self.promised.saturating_add(missing);
        Plan::Take(Box::new(part))
    }

    /// So many bytes that were asked for have come, or will not.
    pub(super) fn came(&mut self, bytes: u64) {
        self.promised = self.promised.saturating_sub(bytes);
    }

    /// Takes a file that is whole. Whether it is time to to commit.
    pub(super) fn finished(&mut self, part: Part) -> bool {
        self.batched += part.size;
        self.batch.push(part);
        self.batch.len() >= BATCH || self.batched >= BATCH_BYTES
    }

    /// Whether files wait for their names.
    pub(super) fn has_batch(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Everything that waits for its name, to be [committed](Batch::commit).
    pub(super) fn batch(&mut self) -> Batch {
        self.batched = 0;
        Batch {
            parts: std::mem::take(&mut self.batch),
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
