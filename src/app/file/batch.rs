//! How files that have come get their names: whole and on the disk before, under
//! the name after, never in between (rename(2), fsync(2), syncfs(2)).
//!
//! Many small files are synced together: one syncfs(2) for all their bytes, then
//! their names, then one for those. Owns the files until then.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, RenameFlags, renameat, renameat2};
use nix::sys::stat::fstat;
use nix::unistd::{UnlinkatFlags, fsync, linkat, syncfs, unlinkat};

use super::nameless::{Small, Written, link};
use super::part::Part;
use super::source::is_out_of_descriptors;
use super::store::Exists;
use crate::event::SocketName;
use crate::protocol::file::{Code, Entry, Escaped, Name};
use crate::recorder::{Recorder, Returned};

/// A file that has come, whole.
pub(super) enum Whole {
    /// In a hidden file.
    Part(Box<Part>),
    /// In memory.
    Small(Small),
}

/// What became of a file of a batch.
pub(super) struct Settled {
    pub(super) entry: Entry,
    pub(super) size: u64,
    /// Whether its bytes were written only now.
    pub(super) was_in_memory: bool,
    /// The name that it has now, or why it has none.
    pub(super) result: Result<Name, (Code, io::Error)>,
}

/// What became of a batch.
#[derive(Default)]
pub(super) struct Committed {
    pub(super) settled: Vec<Settled>,
    /// For these there were no descriptors: they are to be given again.
    pub(super) rest: VecDeque<Whole>,
}

/// So few are synced one by one.
const FEW: usize = 4;
/// How many other names are tried.
const OTHER_NAMES: u32 = 10_000;

/// Files that get their names together.
pub(super) struct Batch {
    pub(super) files: VecDeque<Whole>,
    pub(super) root: Arc<OwnedFd>,
    pub(super) exists: Exists,
    pub(super) mask: u32,
    pub(super) recorder: Recorder,
}

/// A file with all its bytes, its time and its permissions, but without its name.
struct Ready {
    entry: Entry,
    size: u64,
    was_in_memory: bool,
    folder: Arc<OwnedFd>,
    file: io::Result<Written>,
}

impl Whole {
    /// What it was offered as.
    pub(super) fn entry(&self) -> &Entry {
        match self {
            Self::Part(part) => &part.entry,
            Self::Small(small) => &small.fresh.entry,
        }
    }

    /// Its bytes.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Part(part) => part.size,
            Self::Small(small) => small.fresh.size,
        }
    }
}

impl Batch {
    /// Gives them their times and permissions, syncs them all, names them all, and syncs the names.
    pub(super) fn commit(mut self) -> io::Result<Committed> {
        let ready = self.ready();
        let mut folders: Vec<&Arc<OwnedFd>> = ready.iter().map(|file| &file.folder).collect();
        folders.dedup_by(|one, next| Arc::ptr_eq(one, next));
        let are_here = self.are_here(&folders);
        let files: Vec<BorrowedFd<'_>> = ready
            .iter()
            .filter_map(|ready| ready.file.as_ref().ok())
            .map(Written::as_fd)
            .collect();
        self.sync(&files, are_here)?;
        let results: Vec<_> = ready.iter().map(|ready| self.name(ready)).collect();
        let folders: Vec<BorrowedFd<'_>> = folders.iter().map(|folder| folder.as_fd()).collect();
        self.sync(&folders, are_here)?;
        let settled = ready.into_iter().zip(results);
        Ok(Committed {
            settled: settled
                .map(|(ready, result)| ready.settled(result))
                .collect(),
            rest: self.files,
        })
    }

    /// Those that there are descriptors for; the others stay.
    fn ready(&mut self) -> Vec<Ready> {
        let mut ready = Vec::with_capacity(self.files.len());
        while let Some(whole) = self.files.pop_front() {
            let (mask, size) = (self.mask, whole.size());
            match whole {
                Whole::Part(part) => ready.push(Ready {
                    entry: part.entry.clone(),
                    size,
                    was_in_memory: false,
                    folder: Arc::clone(&part.folder),
                    file: part.dress(mask).map(|()| Written::Hidden(part)),
                }),
                Whole::Small(small) => match self.write(&small) {
                    Err(error) if is_out_of_descriptors(&error) => {
                        self.files.push_front(Whole::Small(small));
                        break;
                    }
                    file => ready.push(Ready {
                        entry: small.fresh.entry,
                        size,
                        was_in_memory: true,
                        folder: small.fresh.folder,
                        file,
                    }),
                },
            }
        }
        ready
    }

    fn write(&self, small: &Small) -> io::Result<Written> {
        self.recorder.call(
            &SocketName::from("disk"),
            "openat",
            "., O_WRONLY|O_TMPFILE",
            || small.write(self.mask),
            |_| Returned::ZERO.and(format_args!("{} bytes", small.data.len())),
        )
    }

    /// Whether all folders are on the disk of the first: others may be mounted
    /// below it.
    fn are_here(&self, folders: &[&Arc<OwnedFd>]) -> bool {
        let device = |folder: &Arc<OwnedFd>| fstat(&**folder).map(|status| status.st_dev);
        let here = device(&self.root);
        folders.iter().all(|folder| device(folder) == here)
    }

    /// Waits until these are on the disk: each by itself where they are few, or
    /// not all on one.
    fn sync(&self, these: &[BorrowedFd<'_>], are_here: bool) -> io::Result<()> {
        let disk = SocketName::from("disk");
        if these.len() > FEW && are_here {
            let all = || Ok(syncfs(&self.root)?);
            let recorder = &self.recorder;
            return recorder.call(&disk, "syncfs", "", all, |()| Returned::ZERO);
        }
        for one in these {
            let sync = || Ok(fsync(one)?);
            self.recorder
                .call(&disk, "fsync", "", sync, |()| Returned::ZERO)?;
        }
        Ok(())
    }

    /// Gives a file its name.
    fn name(&self, ready: &Ready) -> Result<Name, (Code, io::Error)> {
        let failed = |error: io::Error| (code(&error), error);
        let again = |error: &io::Error| {
            failed(io::Error::from_raw_os_error(
                error.raw_os_error().unwrap_or(Errno::EIO as i32),
            ))
        };
        let file = ready.file.as_ref().map_err(again)?;
        let mut candidate = ready.entry.name.clone();
        for number in 1..OTHER_NAMES {
            match self.name_once(file, &ready.folder, &candidate) {
                Ok(()) => return Ok(candidate),
                Err(error) if error.raw_os_error() == Some(Errno::EEXIST as i32) => {
                    let other = ready.entry.name.numbered(number);
                    match other.filter(|_| self.exists == Exists::Rename) {
                        Some(other) => candidate = other,
                        None => return Err(failed(error)),
                    }
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Err(failed(Errno::EEXIST.into()))
    }

    fn name_once(&self, file: &Written, folder: &OwnedFd, name: &Name) -> io::Result<()> {
        let (_, last) = name.split();
        let last = OsStr::from_bytes(last);
        let call = match (file, self.exists) {
            (Written::Nameless(_), _) => "linkat",
            (Written::Hidden(_), Exists::Overwrite) => "renameat",
            (Written::Hidden(_), _) => "renameat2",
        };
        self.recorder.call(
            &SocketName::from("disk"),
            call,
            format_args!("{file}, {name}"),
            || match file {
                Written::Nameless(file) => link(file, folder, last),
                Written::Hidden(part) if self.exists == Exists::Overwrite => {
                    Ok(renameat(folder, part.hidden(), folder, last)?)
                }
                Written::Hidden(part) => rename_new(folder, part.hidden(), last),
            },
            |()| Returned::ZERO,
        )
    }
}

impl Ready {
    fn settled(self, result: Result<Name, (Code, io::Error)>) -> Settled {
        if let (Err(_), Ok(Written::Hidden(part))) = (&result, self.file) {
            // The name is what could not be had: the bytes may come again.
            let _ = part.remove();
        }
        Settled {
            entry: self.entry,
            size: self.size,
            was_in_memory: self.was_in_memory,
            result,
        }
    }
}

impl Written {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Nameless(file) => file.as_fd(),
            Self::Hidden(part) => part.file().as_fd(),
        }
    }
}

/// What it is known by until it has its name.
impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nameless(_) => f.write_str("a file without a name"),
            Self::Hidden(part) => Escaped(part.hidden().as_bytes()).fmt(f),
        }
    }
}

/// Renames where nothing has that name yet, in one step.
fn rename_new(folder: &OwnedFd, from: &OsStr, to: &OsStr) -> io::Result<()> {
    match renameat2(folder, from, folder, to, RenameFlags::RENAME_NOREPLACE) {
        // Some file systems cannot; a second link is refused just so.
        Err(Errno::EINVAL | Errno::ENOSYS) => {
            linkat(folder, from, folder, to, AtFlags::empty())?;
            Ok(unlinkat(folder, from, UnlinkatFlags::NoRemoveDir)?)
        }
        result => Ok(result?),
    }
}

/// What the sender is told of the disk's no, once bytes have come.
pub(super) fn code(error: &io::Error) -> Code {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOSPC | Errno::EDQUOT) => Code::Space,
        Some(Errno::EEXIST | Errno::EISDIR) => Code::Exists,
        Some(Errno::EFBIG) => Code::TooLarge,
        _ => Code::Disk,
    }
}
