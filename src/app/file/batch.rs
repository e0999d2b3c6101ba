//! How files that have come get their names: whole and on the disk before, under
//! the name after, never in between (rename(2), fsync(2), syncfs(2)).
//!
//! Many small files are synced together: one syncfs(2) for all their bytes, then
//! their names, then one for those. Owns the files until then.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, RenameFlags, renameat, renameat2};
use nix::sys::stat::fstat;
use nix::unistd::{UnlinkatFlags, fsync, linkat, syncfs, unlinkat};

use super::part::Part;
use super::store::Exists;
use crate::event::SocketName;
use crate::protocol::file::{Code, Name};
use crate::recorder::{Recorder, Returned};

/// What became of a file of a batch.
pub(super) struct Settled {
    pub(super) part: Part,
    /// The name that it has now, or why it has none.
    pub(super) result: Result<Name, (Code, io::Error)>,
}

/// So few are synced one by one.
const FEW: usize = 4;
/// How many other names are tried.
const OTHER_NAMES: u32 = 10_000;

/// Files that get their names together.
pub(super) struct Batch {
    pub(super) parts: Vec<Part>,
    pub(super) root: Arc<OwnedFd>,
    pub(super) exists: Exists,
    pub(super) mask: u32,
    pub(super) recorder: Recorder,
}

impl Batch {
    /// Gives them their times and permissions, syncs them all, names them all, and syncs the names.
    pub(super) fn commit(self) -> io::Result<Vec<Settled>> {
        let files: Vec<BorrowedFd<'_>> =
            self.parts.iter().map(|part| part.file().as_fd()).collect();
        // Their times and permissions are to be on the disk with them.
        let dressed: Vec<io::Result<()>> = self
            .parts
            .iter()
            .map(|part| part.dress(self.mask))
            .collect();
        self.sync(&files)?;
        let mut named = Vec::with_capacity(self.parts.len());
        let mut folders: Vec<BorrowedFd<'_>> = Vec::new();
        let mut last: Option<&Arc<OwnedFd>> = None;
        for (part, dressed) in self.parts.iter().zip(dressed) {
            let result = dressed
                .map_err(|error| (code(&error), error))
                .and_then(|()| name(part, self.exists, &self.recorder));
            if !last.is_some_and(|last| Arc::ptr_eq(last, &part.folder)) {
                last = Some(&part.folder);
                folders.push(part.folder.as_fd());
            }
            named.push(result);
        }
        self.sync(&folders)?;
        let settled = self.parts.into_iter().zip(named);
        Ok(settled
            .map(|(part, result)| Settled { part, result })
            .collect())
    }

    /// Waits until these are on the disk: each by itself where they are few, or
    /// where other disks are mounted below the folder.
    fn sync(&self, these: &[BorrowedFd<'_>]) -> io::Result<()> {
        let disk = SocketName::from("disk");
        let device = fstat(&self.root)?.st_dev;
        let is_here = |part: &Part| part.device() == device;
        if these.len() > FEW && self.parts.iter().all(is_here) {
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
}

/// Gives a file its name.
fn name(part: &Part, exists: Exists, recorder: &Recorder) -> Result<Name, (Code, io::Error)> {
    let failed = |error: io::Error| (code(&error), error);
    let mut candidate = part.entry.name.clone();
    for number in 1..OTHER_NAMES {
        let (_, last) = candidate.split();
        let last = OsStr::from_bytes(last);
        let renamed = recorder.call(
            &SocketName::from("disk"),
            if exists == Exists::Overwrite {
                "renameat"
            } else {
                "renameat2"
            },
            format_args!("{}, {candidate}", part.hidden().to_string_lossy()),
            || match exists {
                Exists::Overwrite => {
                    Ok(renameat(&*part.folder, part.hidden(), &*part.folder, last)?)
                }
                _ => rename_new(&part.folder, part.hidden(), last),
            },
            |()| Returned::ZERO,
        );
        match renamed {
            Ok(()) => return Ok(candidate),
            Err(error) if error.raw_os_error() == Some(Errno::EEXIST as i32) => {
                let other = part.entry.name.numbered(number);
                match other.filter(|_| exists == Exists::Rename) {
                    Some(other) => candidate = other,
                    None => return Err(failed(error)),
                }
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Err(failed(Errno::EEXIST.into()))
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
