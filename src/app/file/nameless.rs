//! A small file that came in one piece: kept in memory until it is written to a
//! file that has no name at all, which is linked under its own once it is on the
//! disk (open(2), O_TMPFILE; linkat(2)).
//!
//! Nobody ever sees it half-written, it takes nobody's place, and of one that
//! did not come so far nothing is left behind. Owns its bytes.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, futimens};
use nix::unistd::linkat;

use super::part::{NoPart, Part, times};
use crate::protocol::file::{Algorithm, Entry};

/// The largest that is kept in memory.
pub(super) const SMALL: u64 = 4096;

/// A file that is wanted whole, and of which nothing has come.
pub(super) struct Fresh {
    pub(super) entry: Entry,
    pub(super) folder: Arc<OwnedFd>,
    pub(super) size: u64,
    pub(super) hash: Algorithm,
}

/// One that has come.
pub(super) struct Small {
    pub(super) fresh: Fresh,
    pub(super) data: Vec<u8>,
}

/// Where its bytes are written to.
pub(super) enum Written {
    /// A file without a name.
    Nameless(OwnedFd),
    /// A hidden one, where the file system has no others.
    Hidden(Box<Part>),
}

impl Fresh {
    /// The unfinished file that it is kept in where it comes bit by bit.
    pub(super) fn begin(&self) -> Result<Part, NoPart> {
        let (folder, entry) = (Arc::clone(&self.folder), self.entry.clone());
        Part::open(folder, entry, self.size, self.hash)
    }
}

impl Small {
    /// Writes it, with the sender's time, and with its permissions but for those
    /// bits that the process's umask takes away.
    pub(super) fn write(&self, mask: u32) -> io::Result<Written> {
        let entry = &self.fresh.entry;
        let flags = OFlag::O_TMPFILE | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(entry.mode & 0o777);
        match openat(&*self.fresh.folder, ".", flags, mode) {
            Ok(file) => {
                write_all(&file, &self.data)?;
                let time = times(entry);
                // A time that the file system cannot hold is not worth a failure.
                let _ = futimens(&file, &time, &time);
                Ok(Written::Nameless(file))
            }
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL | Errno::ENOENT) => {
                self.write_hidden(mask)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn write_hidden(&self, mask: u32) -> io::Result<Written> {
        let mut part = self.fresh.begin().map_err(|none| match none {
            NoPart::Disk(error) => error,
            NoPart::Busy | NoPart::NotOurs => Errno::EEXIST.into(),
        })?;
        part.restart()?;
        part.write(&self.data)?;
        part.dress(mask)?;
        Ok(Written::Hidden(Box::new(part)))
    }
}

fn write_all(file: &OwnedFd, mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        match nix::unistd::write(file, data) {
            Ok(count) => data = &data[count..],
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Gives a file that has no name this one, where nothing has it yet.
pub(super) fn link(file: &OwnedFd, folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match linkat(file, "", folder, name, AtFlags::AT_EMPTY_PATH) {
        // Older kernels want a privilege for that, and none for the way round.
        Err(Errno::ENOENT | Errno::EPERM | Errno::EINVAL) => {
            let way = format!("/proc/self/fd/{}", file.as_raw_fd());
            let follow = AtFlags::AT_SYMLINK_FOLLOW;
            Ok(linkat(AT_FDCWD, &*way, folder, name, follow)?)
        }
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;
    use crate::app::file::folder::Folder;
    use crate::protocol::file::{Modified, Name};

    fn small(folder: &tempfile::TempDir, name: &str) -> Small {
        let folder = Folder::open(folder.path()).expect("a folder");
        let modified = Modified {
            seconds: 1_000_000_000,
            nanoseconds: 7,
        };
        Small {
            fresh: Fresh {
                entry: Entry {
                    name: Name::new(name).expect("a name"),
                    mode: 0o464,
                    modified,
                },
                folder: Arc::clone(folder.root()),
                size: 5,
                hash: Algorithm::default(),
            },
            data: b"bytes".to_vec(),
        }
    }

    /// Where the file system has no files without names, a hidden one is as good.
    #[test]
    fn a_hidden_file_is_written_as_a_nameless_one_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let small = small(&folder, "a");
        let Ok(Written::Hidden(part)) = small.write_hidden(0o022) else {
            panic!("a hidden file");
        };
        let meta = part.file().metadata().expect("it is open");
        assert_eq!(meta.permissions().mode() & 0o7777, 0o444);
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (1_000_000_000, 7));
        let path = folder.path().join(part.hidden());
        assert_eq!(std::fs::read(path).expect("it is there"), b"bytes");
        // Another transfer has it.
        assert!(small.write_hidden(0o022).is_err());
    }

    #[test]
    fn a_name_that_is_taken_stays_with_whom_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let taken = folder.path().join("a");
        std::fs::write(&taken, b"precious").expect("room");
        let small = small(&folder, "a");
        let written = small.write(0o022).expect("room");
        let Written::Nameless(file) = written else {
            panic!("the folder for temporary files has no nameless ones");
        };
        let error = link(&file, &small.fresh.folder, OsStr::new("a"));
        let error = error.expect_err("it is taken");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        link(&file, &small.fresh.folder, OsStr::new("b")).expect("it is free");
        assert_eq!(std::fs::read(taken).expect("it is there"), b"precious");
        let other = std::fs::read(folder.path().join("b"));
        assert_eq!(other.expect("it is there"), b"bytes");
    }
}
