//! What earlier transfers left behind and nobody will go on with: unfinished
//! files of other offers under the same name.
//!
//! Owns when one is taken away: it is ours, nobody has it locked, and a large
//! one of its name is begun anew. Small ones are not worth the search.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::part::is_ours;
use crate::protocol::file::Name;

/// The smallest file that makes the search worth while.
const WORTH_IT: u64 = 1 << 20;

/// Takes away what other offers of this name left in the folder, but for `own`.
pub(super) fn clear(folder: &OwnedFd, name: &Name, own: &OsStr, size: u64) {
    if size < WORTH_IT {
        return;
    }
    let Ok(entries) = fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd())) else {
        return;
    };
    let begin = name.all_unfinished();
    for entry in entries.flatten() {
        let found = entry.file_name();
        if found.as_bytes().starts_with(&begin) && found != own {
            // What cannot be taken away stays hidden.
            let _ = take_away(folder, &found);
        }
    }
}

fn take_away(folder: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    if !is_ours(folder, name) {
        return Ok(());
    }
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = File::from(openat(folder, name, flags, Mode::empty())?);
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)?;
    unlinkat(folder, name, UnlinkatFlags::NoRemoveDir)?;
    drop(lock);
    Ok(())
}
