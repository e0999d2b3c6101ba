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
    last: Option<Last>,
}

#[derive(Clone)]
struct Last {
    path: Vec<u8>,
    folder: Arc<OwnedFd>,
    is_new: bool,
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
        if let Some(last) = &self.last
            && last.path == path
        {
            return Ok(Arc::clone(&last.folder));
        }
        let mut at = Arc::clone(&self.root);
        let mut is_new = false;
        for component in path.split(|byte| *byte == b'/') {
            let inside = step(&at, OsStr::from_bytes(component), missing, &mut is_new)?;
            at = Arc::new(inside);
        }
        self.last = Some(Last {
            path: path.to_vec(),
            folder: Arc::clone(&at),
            is_new,
        });
        Ok(at)
    }

    /// Whether the one that was entered last was made for that: nothing was in it.
    pub(super) fn is_new(&self, inside: Option<&[u8]>) -> bool {
        let is_it = |last: &Last| last.is_new && inside == Some(&last.path);
        self.last.as_ref().is_some_and(is_it)
    }

    /// Makes a folder in the one `inside`, and enters it.
    pub(super) fn make(&mut self, inside: Option<&[u8]>, last: &[u8], mode: u32) -> io::Result<()> {
        let at = self.enter(inside, Missing::Make)?;
        let is_new = make(&at, OsStr::from_bytes(last), mode)?;
        let whole = match inside {
            Some(inside) => [inside, b"/", last].concat(),
            None => last.to_vec(),
        };
        // Whatever is there must be a folder.
        self.last = None;
        self.enter(Some(&whole), Missing::Fail)?;
        if let Some(last) = &mut self.last {
            last.is_new = is_new;
        }
        Ok(())
    }
}

/// One folder further. `is_new` says then whether it was made.
fn step(
    at: &OwnedFd,
    component: &OsStr,
    missing: Missing,
    is_new: &mut bool,
) -> io::Result<OwnedFd> {
    *is_new = false;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(at, component, flags, Mode::empty()) {
        Err(Errno::ENOENT) if missing == Missing::Make => {
            *is_new = make(at, component, 0o777)?;
            Ok(openat(at, component, flags, Mode::empty())?)
        }
        result => Ok(result?),
    }
}

/// Makes a folder; one that is there already is as good. Whether it was not.
fn make(at: &OwnedFd, component: &OsStr, mode: u32) -> io::Result<bool> {
    // Its owner must be able to fill it.
    let mode = Mode::from_bits_truncate((mode & 0o777) | 0o700);
    match mkdirat(at, component, mode) {
        Ok(()) => Ok(true),
        Err(Errno::EEXIST) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}
