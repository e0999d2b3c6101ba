//! The folder of keys: this machine's secret key, whom it lets in, which servers
//! it knows.
//!
//! Owns the files and who may read and write them: a secret that others can read
//! is none, and a list that others can write says nothing. Never asks anybody
//! whether a key should be trusted.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use snow::resolvers::{CryptoResolver, DefaultResolver};

use crate::error::Error;
use crate::protocol::remote::allow::AllowList;
use crate::protocol::remote::{Authorised, Known, Public, Secret};

/// A folder of keys.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

/// Who may do what with a file beside its owner.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    /// Nothing at all.
    Nothing,
    /// They may read it.
    Read,
}

/// The largest file that is read here.
const LARGEST: u64 = 2 << 20;

/// Bytes from the system's own source (getrandom(2)).
///
/// # Errors
///
/// It has none to give.
pub fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    let failed = || Error::new("draw", "random bytes", "the system has none to give");
    let mut source = DefaultResolver.resolve_rng().ok_or_else(failed)?;
    source.try_fill_bytes(&mut bytes).map_err(|_| failed())?;
    Ok(bytes)
}

impl Folder {
    /// The folder that was asked for, or else the user's own
    /// (`$XDG_CONFIG_HOME/socklab`).
    pub fn at(asked: Option<&Path>) -> Result<Self, Error> {
        if let Some(path) = asked {
            return Ok(Self(path.to_path_buf()));
        }
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let config = variable("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".config")));
        config
            .map(|config| Self(config.join("socklab")))
            .ok_or_else(|| {
                Error::new("find", "the folder of keys", "there is no home directory")
                    .remedy("say where: --keys FOLDER")
            })
    }

    /// What has to be typed so that this folder is meant: nothing where it is
    /// the user's own.
    pub fn option(&self) -> String {
        match Self::at(None) {
            Ok(own) if own.0 == self.0 => String::new(),
            _ => format!(" --keys {}", self.0.display()),
        }
    }

    /// The secret key's file.
    pub fn secret_path(&self) -> PathBuf {
        self.0.join("remote-key")
    }

    /// The file of those who may come in.
    pub fn authorised_path(&self) -> PathBuf {
        self.0.join("remote-authorised")
    }

    /// The file of servers that are known.
    pub fn known_path(&self) -> PathBuf {
        self.0.join("remote-servers")
    }

    /// The allow-list, where no other is named.
    pub fn list_path(&self) -> PathBuf {
        self.0.join("remote.toml")
    }

    /// The audit log, where no other is named.
    pub fn audit_path(&self) -> PathBuf {
        self.0.join("remote-audit.jsonl")
    }

    /// Makes a new key. Never takes the place of one that is there.
    pub fn generate(&self) -> Result<Public, Error> {
        self.make()?;
        let path = self.secret_path();
        let secret = Secret::from_bytes(random()?);
        let failed = |error| Error::new("create", path.display(), error);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => failed(error).remedy(
                    "there is a key already, which others may know; move it away first if it is \
                     to be replaced",
                ),
                _ => failed(error),
            })?;
        file.write_all(secret.to_file().as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|error| Error::new("write", path.display(), error))?;
        Ok(secret.public())
    }

    /// This machine's secret key.
    pub fn secret(&self) -> Result<Secret, Error> {
        let path = self.secret_path();
        let text = read(&path, Others::Nothing)?.ok_or_else(|| {
            Error::new("open", path.display(), "there is no key (ENOENT)").remedy(format!(
                "socklab remote keys generate{} makes one",
                self.option()
            ))
        })?;
        Secret::from_file(&text)
            .map_err(|error| Error::new("read", path.display(), error.to_string()))
    }

    /// Whom this machine lets in.
    pub fn authorised(&self) -> Result<Authorised, Error> {
        let path = self.authorised_path();
        let text = read(&path, Others::Read)?.unwrap_or_default();
        Authorised::parse(&text)
            .map_err(|error| Error::new("read", path.display(), error.to_string()))
    }

    /// The servers that this machine knows.
    pub fn known(&self) -> Result<Known, Error> {
        let path = self.known_path();
        let text = read(&path, Others::Read)?.unwrap_or_default();
        Known::parse(&text).map_err(|error| Error::new("read", path.display(), error.to_string()))
    }

    /// Lets a client in from now on.
    pub fn authorise(&self, key: Public, name: &str) -> Result<(), Error> {
        let mut list = self.authorised()?;
        let path = self.authorised_path();
        list.add(key, name)
            .map_err(|cause| Error::new("add to", path.display(), cause))?;
        self.make()?;
        append(&path, format!("{key} {name}").trim_end())
    }

    /// Knows a server from now on.
    pub fn know(&self, host: &str, key: Public) -> Result<(), Error> {
        let mut list = self.known()?;
        let path = self.known_path();
        list.add(host, key).map_err(|cause| {
            Error::new("add to", path.display(), cause)
                .remedy("a line that is wrong is taken out by hand")
        })?;
        self.make()?;
        append(&path, &format!("{} {key}", host.to_ascii_lowercase()))
    }

    fn make(&self) -> Result<(), Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .map_err(|error| Error::new("create", self.0.display(), error))
    }
}

/// Reads an allow-list.
pub fn allow_list(path: &Path) -> Result<Option<AllowList>, Error> {
    let Some(text) = read(path, Others::Read)? else {
        return Ok(None);
    };
    let list = AllowList::parse(&text);
    list.map(Some)
        .map_err(|error| Error::new("read", path.display(), error.to_string()))
}

/// A file's text; none where there is no such file.
fn read(path: &Path, others: Others) -> Result<Option<String>, Error> {
    let failed = |error| Error::new("open", path.display(), error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // Of the file that is open, whatever its name means by now.
    check(path, &file.metadata().map_err(failed)?, others)?;
    let mut text = String::new();
    let read = file.take(LARGEST + 1).read_to_string(&mut text);
    read.map_err(|error| Error::new("read", path.display(), error))?;
    if text.len() as u64 > LARGEST {
        return Err(Error::new("read", path.display(), "it is too large"));
    }
    Ok(Some(text))
}

fn check(path: &Path, metadata: &fs::Metadata, others: Others) -> Result<(), Error> {
    let refused = |cause: String, remedy: String| {
        Err(Error::new("use", path.display(), cause).remedy(remedy))
    };
    if metadata.is_dir() {
        let remedy = "name the file in it".into();
        return refused("it is a folder (EISDIR)".into(), remedy);
    }
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o777);
    if owner != geteuid().as_raw() && owner != 0 {
        let cause = format!("it belongs to user {owner}");
        return refused(cause, "it must be the user's own, or root's".into());
    }
    let forbidden = match others {
        Others::Nothing => 0o077,
        Others::Read => 0o022,
    };
    if mode & forbidden != 0 {
        let (what, right) = match others {
            Others::Nothing => ("read", "600"),
            Others::Read => ("written", "644"),
        };
        return refused(
            format!("it can be {what} by others: its mode is {mode:03o}"),
            format!("chmod {right} {}", path.display()),
        );
    }
    Ok(())
}

/// Adds a line, after whatever is there.
fn append(path: &Path, line: &str) -> Result<(), Error> {
    let failed = |error| Error::new("write to", path.display(), error);
    let before = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    let gap = if before.last().is_some_and(|last| *last != b'\n') {
        "\n"
    } else {
        ""
    };
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
        .map_err(failed)?;
    file.write_all(format!("{gap}{line}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed)
}
