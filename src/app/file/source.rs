//! What is sent: the files and folders that were named, found once, and opened
//! when their turn comes (nftw(3) in effect, openat(2)).
//!
//! Never follows a link that it finds, and never opens a device or a pipe.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstatat};
use walkdir::{DirEntry, WalkDir};

use super::folder::{Folder, Missing};
use crate::error::{Error, explain};
use crate::protocol::file::{Entry, Escaped, Modified, Name};

/// Everything that is to be sent, in order.
pub struct Source {
    roots: Vec<Root>,
    items: Vec<Item>,
    left_out: Vec<LeftOut>,
}

/// Where the items of one path are.
struct Root {
    /// As it was named.
    path: PathBuf,
    /// The name that the receiver is told.
    name: Name,
    folder: Folder,
    /// So many bytes of each name stand for the folder.
    prefix: usize,
    /// The file's own name there, where a file was named.
    file: Option<Vec<u8>>,
}

/// A file or a folder to be sent.
#[derive(Debug, Clone)]
pub struct Item {
    root: usize,
    /// The name that the receiver is told.
    pub name: Name,
    /// What it is.
    pub kind: Kind,
}

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A folder, and its permissions.
    Directory(u32),
    /// A file. How large it is, each transfer asks anew.
    File,
}

/// How much it is, all told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Totals {
    /// Files.
    pub files: u64,
    /// Folders.
    pub directories: u64,
    /// The files' bytes.
    #[serde(rename = "size_bytes")]
    pub bytes: u64,
}

/// Something that is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its path, harmless to show.
    pub path: String,
    /// Why.
    pub why: String,
    /// Whether somebody would miss it: links and devices are left out by design.
    pub is_missed: bool,
}

/// A file of the source, opened.
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) entry: Entry,
    pub(super) size: u64,
}

/// What of a file comes after its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing.
    Nothing,
    /// More than was offered.
    More,
}

impl Opened {
    /// Puts a file that is small after what is in `out`, with one call.
    pub(super) fn read_whole(&self, out: &mut Vec<u8>) -> io::Result<After> {
        let size = usize::try_from(self.size).map_err(io::Error::other)?;
        let start = out.len();
        // One byte more than there should be says whether there is one.
        out.resize(start + size + 1, 0);
        let read = self.file.read_at(&mut out[start..], 0);
        let read = read.and_then(|count| {
            if count < size {
                let rest = &mut out[start + count..start + size];
                self.file.read_exact_at(rest, count as u64)?;
            }
            Ok(count)
        });
        out.truncate(start + size);
        match read? {
            count if count > size => Ok(After::More),
            count if count < size && self.has_more() => Ok(After::More),
            _ => Ok(After::Nothing),
        }
    }

    /// Whether there is more of it than its size says, which it may have said
    /// of itself when it was opened: files of proc(5) say nothing.
    pub(super) fn has_more(&self) -> bool {
        let more = self.file.read_at(&mut [0], self.size);
        more.is_ok_and(|count| count > 0)
    }
}

impl Source {
    /// Finds everything below these paths.
    pub fn find(paths: &[PathBuf]) -> Result<Self, Error> {
        let mut source = Self {
            roots: Vec::new(),
            items: Vec::new(),
            left_out: Vec::new(),
        };
        for path in paths {
            source.add(path)?;
        }
        if source.items.is_empty() {
            let reason = "there is nothing that can be sent";
            return Err(Error::new(
                "send",
                shown(paths.first().map_or(Path::new(""), |path| path)),
                reason,
            ));
        }
        Ok(source)
    }

    /// Everything, in the order in which it is offered.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// How large each item is now, and all of them together. What is gone by now
    /// is nothing here: that it is missing is told when its turn comes.
    pub fn measure(self: &Arc<Self>) -> (Totals, Vec<u64>) {
        let mut opener = Opener::of(self);
        let mut totals = Totals::default();
        let sizes = self.items.iter().map(|item| {
            let Kind::File = item.kind else {
                totals.directories += 1;
                return 0;
            };
            let size = opener.size(item).unwrap_or(0);
            totals.files += 1;
            totals.bytes = totals.bytes.saturating_add(size);
            size
        });
        let sizes = sizes.collect();
        (totals, sizes)
    }

    /// What is not sent.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    fn add(&mut self, path: &Path) -> Result<(), Error> {
        let failed = |error: io::Error| {
            let error = Error::new("send", shown(path), error);
            match error.errno() {
                Some(Errno::ENOENT) => error.remedy("check the spelling"),
                _ => error,
            }
        };
        let real = fs::canonicalize(path).map_err(failed)?;
        let named = path.file_name().or(real.file_name());
        let base = named.ok_or_else(|| Error::new("send", shown(path), "it has no name"))?;
        let name = Name::new(base.as_bytes());
        let name = name.map_err(|error| Error::new("send", shown(path), error.to_string()))?;
        self.refuse_double(path, &name)?;
        let meta = fs::metadata(&real).map_err(failed)?;
        if meta.is_dir() {
            self.roots.push(Root {
                path: path.to_owned(),
                name: name.clone(),
                folder: Folder::open(&real).map_err(failed)?,
                prefix: name.as_bytes().len() + 1,
                file: None,
            });
            self.add_folder(&real, &name);
            return Ok(());
        }
        if !meta.is_file() {
            let cause = "it is neither a file nor a folder";
            return Err(Error::new("send", shown(path), cause));
        }
        let parent = real.parent().unwrap_or(Path::new("/"));
        let last = real.file_name().unwrap_or(base);
        self.roots.push(Root {
            path: path.to_owned(),
            name: name.clone(),
            folder: Folder::open(parent).map_err(failed)?,
            prefix: 0,
            file: Some(last.as_bytes().to_vec()),
        });
        self.push(name, Kind::File);
        Ok(())
    }

    /// Two of one name would be one at the receiver's.
    fn refuse_double(&self, path: &Path, name: &Name) -> Result<(), Error> {
        let Some(other) = self.roots.iter().find(|root| root.name == *name) else {
            return Ok(());
        };
        let other = shown(&other.path);
        let cause = format!("{other} would have the same name there, {name}");
        let error = Error::new("send", shown(path), cause);
        Err(error.remedy("send them one after the other, or from a folder above both"))
    }

    fn add_folder(&mut self, real: &Path, name: &Name) {
        for found in WalkDir::new(real).follow_links(false).sort_by_file_name() {
            match found {
                Ok(found) => self.add_found(real, &found, name),
                Err(error) => {
                    let path = error.path().unwrap_or(real);
                    let why = error.io_error().map_or_else(|| error.to_string(), explain);
                    self.leave_out(path, why, true);
                }
            }
        }
    }

    fn add_found(&mut self, real: &Path, found: &DirEntry, name: &Name) {
        let path = found.path();
        let inside = path.strip_prefix(real).unwrap_or(path).as_os_str();
        let name = match inside.as_bytes() {
            b"" => Ok(name.clone()),
            inside => name.join(inside),
        };
        let name = match name {
            Ok(name) => name,
            Err(error) => return self.leave_out(path, error.to_string(), true),
        };
        let kind = found.file_type();
        match () {
            () if kind.is_file() => self.push(name, Kind::File),
            () if kind.is_dir() => match found.metadata() {
                Ok(meta) => self.push(name, Kind::Directory(meta.mode() & 0o777)),
                Err(error) => self.leave_out(path, error.to_string(), true),
            },
            () if kind.is_symlink() => self.leave_out(path, "a link is not followed".into(), false),
            () => self.leave_out(path, "it is neither a file nor a folder".into(), false),
        }
    }

    fn push(&mut self, name: Name, kind: Kind) {
        self.items.push(Item {
            root: self.roots.len() - 1,
            name,
            kind,
        });
    }

    fn leave_out(&mut self, path: &Path, why: String, is_missed: bool) {
        self.left_out.push(LeftOut {
            path: shown(path),
            why,
            is_missed,
        });
    }
}

/// A path as a terminal may have it.
fn shown(path: &Path) -> String {
    Escaped(path.as_os_str().as_bytes()).to_string()
}

/// One transfer's hand on a source: which folder it entered last.
pub(super) struct Opener {
    source: Arc<Source>,
    folders: Vec<Folder>,
}

impl Opener {
    pub(super) fn of(source: &Arc<Source>) -> Self {
        let folders = source.roots.iter().map(|root| root.folder.clone());
        Self {
            folders: folders.collect(),
            source: Arc::clone(source),
        }
    }

    fn size(&mut self, item: &Item) -> Option<u64> {
        let (folder, last) = self.place(item).ok()?;
        let last = OsStr::from_bytes(last);
        let status = fstatat(&folder, last, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
        u64::try_from(status.st_size).ok()
    }

    /// The folder that it is in, and its name there.
    fn place<'a>(&'a mut self, item: &'a Item) -> io::Result<(Arc<OwnedFd>, &'a [u8])> {
        let root = &self.source.roots[item.root];
        let (folder, last) = match &root.file {
            Some(file) => (None, &file[..]),
            None => within(&item.name.as_bytes()[root.prefix..]),
        };
        let folder = self.folders[item.root].enter(folder, Missing::Fail)?;
        Ok((folder, last))
    }

    /// Opens a file that was found, and that was announced with this size.
    pub(super) fn open(&mut self, item: &Item, announced: u64) -> io::Result<Opened> {
        if let Kind::Directory(_) = item.kind {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let (folder, last) = self.place(item)?;
        let file = File::from(open_file(&folder, last)?);
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other("it is no file any more"));
        }
        if meta.len() > announced {
            return Err(io::Error::other("it grew after it was announced"));
        }
        Ok(Opened {
            entry: entry(item.name.clone(), &meta),
            size: meta.len(),
            file,
        })
    }
}

/// The folders before a path's last component, and that.
fn within(path: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (Some(&path[..slash]), &path[slash + 1..]),
        None => (None, path),
    }
}

/// Opens a file for reading. What became a link or a pipe in the meantime is
/// neither followed nor waited for.
pub(super) fn open_file(folder: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    Ok(openat(
        folder,
        OsStr::from_bytes(name),
        flags,
        Mode::empty(),
    )?)
}

/// Whether this process, or the machine, has as many files open as it may.
pub(super) fn is_out_of_descriptors(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE))
}

/// What a file is offered as.
pub(super) fn entry(name: Name, meta: &Metadata) -> Entry {
    Entry {
        name,
        mode: meta.mode() & 0o777,
        modified: Modified {
            seconds: meta.mtime(),
            nanoseconds: u32::try_from(meta.mtime_nsec()).unwrap_or(0),
        },
    }
}
