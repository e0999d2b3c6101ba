//! An unfinished file: hidden, locked, readable by its owner alone, and found
//! again by the next run (open(2), flock(2)).
//!
//! Owns the descriptor until the file has its name. Whatever else stands under
//! the hidden name, a link or somebody else's file, is never written to.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag, openat};
use nix::libc::off_t;
use nix::sys::stat::{Mode, SFlag, fchmod, fstatat, futimens};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, ftruncate, geteuid, unlinkat};

use super::wire::PIECE;
use crate::protocol::file::{Algorithm, Digest, Entry, Hasher};

/// A file on its way.
pub(super) struct Part {
    pub(super) entry: Entry,
    pub(super) folder: Arc<OwnedFd>,
    pub(super) size: u64,
    /// Bytes that were there before this run.
    pub(super) resumed: u64,
    hidden: Vec<u8>,
    file: Flock<File>,
    written: u64,
    algorithm: Algorithm,
    hasher: Hasher,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum NoPart {
    /// Another transfer has it.
    Busy,
    /// Something stands there that is not ours.
    NotOurs,
    /// The disk said no.
    Disk(io::Error),
}

impl From<Errno> for NoPart {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ELOOP | Errno::ENOTDIR | Errno::ENXIO | Errno::EISDIR => Self::NotOurs,
            errno => Self::Disk(errno.into()),
        }
    }
}

impl Part {
    /// Opens the unfinished file of this name, or begins one.
    pub(super) fn open(
        folder: Arc<OwnedFd>,
        entry: Entry,
        size: u64,
        algorithm: Algorithm,
    ) -> Result<Self, NoPart> {
        let hidden = entry.unfinished(size, algorithm);
        let (file, meta) = open(&folder, OsStr::from_bytes(&hidden))?;
        let length = meta.len();
        if length == 0 {
            super::leftovers::clear(&folder, &entry.name, OsStr::from_bytes(&hidden), size);
        }
        let mut part = Self {
            entry,
            folder,
            size,
            resumed: 0,
            hidden,
            file,
            written: length,
            algorithm,
            hasher: Hasher::new(algorithm),
        };
        if length > size {
            part.restart().map_err(NoPart::Disk)?;
        }
        Ok(part)
    }

    /// How much of it there is.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// The hash of what there is.
    pub(super) fn digest(&self) -> Digest {
        self.hasher.digest()
    }

    /// Reads what was there before.
    pub(super) fn reread(mut self) -> io::Result<Self> {
        self.hasher = Hasher::new(self.algorithm);
        self.resumed = self.written;
        hash(&self.file, self.written, &mut self.hasher)?;
        Ok(self)
    }

    /// Throws away what there is.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        ftruncate(self.file.as_fd(), 0)?;
        self.hasher = Hasher::new(self.algorithm);
        self.written = 0;
        self.resumed = 0;
        Ok(())
    }

    /// Adds bytes at the end.
    pub(super) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, self.written)?;
        self.hasher.update(data);
        self.written += data.len() as u64;
        Ok(())
    }

    /// Gives it the sender's time, and its permissions but for those bits that
    /// the mask takes away.
    pub(super) fn dress(&self, mask: u32) -> io::Result<()> {
        let time = times(&self.entry);
        // A time that the file system cannot hold is not worth a failure.
        let _ = futimens(self.file.as_fd(), &time, &time);
        let mode = Mode::from_bits_truncate(self.entry.mode & 0o777 & !mask);
        Ok(fchmod(self.file.as_fd(), mode)?)
    }

    /// Its hidden name.
    pub(super) fn hidden(&self) -> &OsStr {
        OsStr::from_bytes(&self.hidden)
    }

    /// The file itself.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Takes it away.
    pub(super) fn remove(self) -> io::Result<()> {
        let gone = unlinkat(&*self.folder, self.hidden(), UnlinkatFlags::NoRemoveDir);
        Ok(gone?)
    }
}

/// The sender's time of a file.
pub(super) fn times(entry: &Entry) -> TimeSpec {
    let modified = entry.modified;
    TimeSpec::new(modified.seconds, modified.nanoseconds.into())
}

/// The file under the hidden name, locked.
fn open(folder: &OwnedFd, hidden: &OsStr) -> Result<(Flock<File>, Metadata), NoPart> {
    let common = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let own = Mode::S_IRUSR | Mode::S_IWUSR;
    // Who ends a transfer may rename it away between two calls.
    for _ in 0..8 {
        let new = openat(folder, hidden, common | OFlag::O_CREAT | OFlag::O_EXCL, own);
        let is_new = new.is_ok();
        let found = match new {
            Err(Errno::EEXIST) => openat(folder, hidden, common, Mode::empty()),
            other => other,
        };
        let file = match found {
            Err(Errno::ENOENT) => continue,
            // It had got its permissions already, and they keep even us out.
            Err(Errno::EACCES) if is_ours(folder, hidden) => {
                unlinkat(folder, hidden, UnlinkatFlags::NoRemoveDir)?;
                continue;
            }
            other => File::from(other?),
        };
        let meta = file.metadata().map_err(NoPart::Disk)?;
        let is_ours = || meta.is_file() && meta.nlink() == 1 && meta.uid() == geteuid().as_raw();
        if !is_new && !is_ours() {
            return Err(NoPart::NotOurs);
        }
        let locked = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => locked,
            Err((_, Errno::EWOULDBLOCK)) => return Err(NoPart::Busy),
            Err((_, errno)) => return Err(errno.into()),
        };
        let there = fstatat(folder, hidden, AtFlags::AT_SYMLINK_NOFOLLOW);
        if there.is_ok_and(|there| there.st_ino == meta.ino() && there.st_dev == meta.dev()) {
            return Ok((locked, meta));
        }
    }
    Err(NoPart::Busy)
}

/// Whether a file of this name is there, and this user's.
pub(super) fn is_ours(folder: &OwnedFd, name: &OsStr) -> bool {
    let stat = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| {
        let is_file = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG;
        is_file && stat.st_uid == geteuid().as_raw()
    })
}

/// Hashes a file's first `length` bytes. That it has fewer is an error.
pub(super) fn hash(file: &File, length: u64, hasher: &mut Hasher) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    while at < length {
        let most = (length - at).min(PIECE as u64);
        let room = &mut buffer[..usize::try_from(most).unwrap_or(PIECE)];
        match file.read_at(room, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                hasher.update(&room[..count]);
                at += count as u64;
            }
        }
    }
    Ok(())
}

/// Whether an offset is one that the kernel has.
pub(super) fn is_addressable(size: u64) -> bool {
    off_t::try_from(size).is_ok()
}
