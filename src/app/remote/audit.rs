//! The audit log: JSON Lines, one before a run and one after it, and one for each
//! that was refused.
//!
//! Written with one write(2) each to a file opened for appending, so that lines of
//! several servers do not mix. What cannot be written is not run.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::fcntl::OFlag;
use serde::Serialize;

use crate::error::Error;
use crate::units::nanoseconds;

/// The log.
pub struct Audit {
    /// None keeps no log: for scenes that are recorded anyway.
    file: Option<(PathBuf, Mutex<File>)>,
}

/// Who asked.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Who {
    pub(super) peer: SocketAddr,
    pub(super) fingerprint: String,
    pub(super) name: String,
}

/// What happened. In JSON the field `audit` names the variant.
#[derive(Debug, Serialize)]
#[serde(tag = "audit", rename_all = "snake_case")]
pub(super) enum Entry<'a> {
    /// Before a run.
    Begin {
        run: u64,
        #[serde(flatten)]
        who: &'a Who,
        id: &'a str,
        parameters: &'a [String],
        program: String,
        arguments: &'a [String],
    },
    /// After it.
    End {
        run: u64,
        outcome: &'a str,
        stdout_bytes: u64,
        stderr_bytes: u64,
        left_out_bytes: u64,
        #[serde(serialize_with = "nanoseconds")]
        took_ns: Duration,
    },
    /// What was asked for was not run.
    Refused {
        #[serde(flatten)]
        who: &'a Who,
        id: &'a str,
        parameters: &'a [String],
        reason: &'a str,
    },
    /// A connection was closed because of what came on it.
    Broken { peer: SocketAddr, cause: &'a str },
    /// Somebody failed too often.
    LockedOut {
        peer: SocketAddr,
        #[serde(serialize_with = "nanoseconds")]
        for_ns: Duration,
    },
}

#[derive(Serialize)]
struct Line<'a> {
    unix_ns: u64,
    #[serde(flatten)]
    entry: &'a Entry<'a>,
}

impl Audit {
    /// Opens the log, for its owner only.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(path)
            .map_err(|error| Error::new("open the audit log", path.display(), error))?;
        Ok(Self {
            file: Some((path.to_path_buf(), Mutex::new(file))),
        })
    }

    /// Keeps no log.
    pub(super) fn none() -> Self {
        Self { file: None }
    }

    /// Writes a line.
    pub(super) fn write(&self, entry: &Entry<'_>) -> Result<(), Error> {
        let Some((path, file)) = &self.file else {
            return Ok(());
        };
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let unix_ns = since.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let mut line = serde_json::to_vec(&Line { unix_ns, entry })
            .map_err(|error| Error::new("write", path.display(), error.to_string()))?;
        line.push(b'\n');
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line)
            .map_err(|error| Error::new("write to the audit log", path.display(), error))
    }
}
