//! Folders entered one component at a time, so that no link on the way leads
//! elsewhere (openat(2), O_NOFOLLOW).
//!
//! Owns descriptors of folders. The names it is given are checked by
//! [`Name`](crate::protocol::file::Name) before.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, mkdirat};

/// A folder, and the one inside it that was entered last.
#[derive(Clone)]
pub(super) struct Folder {
    root: Arc<OwnedFd>,
    last: Option<(Vec<u8>, Arc<OwnedFd>)>,
}

/// What is done about a folder that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is made.
    Make,
    /// It is an error.
    Fail,
}

impl Folder {
    /// The folder that somebody named: links on the way there are followed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = open(path, flags, Mode::empty())?;
        Ok(Self {
            root: Arc::new(root),
            last: None,
        })
    }

    /// Itself.
    pub(super) fn root(&self) -> &Arc<OwnedFd> {
        &self.root
    }

    /// The folder inside it of this name, itself where there is none. A link or
    /// anything else that is no folder is an error.
    pub(super) fn enter(
        &mut self,
        inside: Option<&[u8]>,
        missing: Missing,
    ) -> io::Result<Arc<OwnedFd>> {
        let Some(path) = inside else {
            return Ok(Arc::clone(&self.root));
        };
        if let Some((last, folder)) = &self.last
            && last == path
        {
            return Ok(Arc::clone(folder));
        }
        let mut at = Arc::clone(&self.root);
        for component in path.split(|byte| *byte == b'/') {
            at = Arc::new(step(&at, OsStr::from_bytes(component), missing)?);
        }
        self.last = Some((path.to_vec(), Arc::clone(&at)));
        Ok(at)
    }
}

fn step(at: &OwnedFd, component: &OsStr, missing: Missing) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(at, component, flags, Mode::empty()) {
        Err(Errno::ENOENT) if missing == Missing::Make => {
            make(at, component, 0o777)?;
            Ok(openat(at, component, flags, Mode::empty())?)
        }
        result => Ok(result?),
    }
}

/// Makes a folder; one that is there already is as good.
pub(super) fn make(at: &OwnedFd, component: &OsStr, mode: u32) -> io::Result<()> {
    // Its owner must be able to fill it.
    let mode = Mode::from_bits_truncate((mode & 0o777) | 0o700);
    match mkdirat(at, component, mode) {
        Err(Errno::EEXIST) | Ok(()) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
