//! The audit log: JSON Lines, one before a run and one after it, and one for each
//! that was refused.
//!
//! Written with one write(2) each to a file opened for appending, so that lines of
//! several servers do not mix. What cannot be written is not run. A server that
//! starts alone on a log (flock(2)) ends in it what a killed one had begun.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::fcntl::{Flock, FlockArg, OFlag};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::units::nanoseconds;

/// The log.
pub struct Audit {
    /// None keeps no log: for scenes that are recorded anyway.
    file: Option<(PathBuf, Mutex<File>)>,
    /// Tells other servers that one writes here.
    _lock: Option<Flock<File>>,
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
    /// After a run whose server did not live to see its end.
    #[serde(rename = "end")]
    Unknown {
        run: u64,
        id: &'a str,
        outcome: &'a str,
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

/// As much of a line as tells which runs have no end.
#[derive(Deserialize)]
struct Written {
    audit: String,
    run: Option<u64>,
    id: Option<String>,
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
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
        let audit = Self {
            file: Some((path.to_path_buf(), Mutex::new(file))),
            _lock: None,
        };
        if !is_file {
            return Ok(audit);
        }
        let lock = audit.end_what_was_begun(path)?;
        Ok(Self {
            _lock: lock,
            ..audit
        })
    }

    /// Ends what a server that was killed had begun, unless another one writes
    /// here: its runs have no end yet. Where nothing can be locked nobody knows.
    fn end_what_was_begun(&self, path: &Path) -> Result<Option<Flock<File>>, Error> {
        let failed = |error| Error::new("read the audit log", path.display(), error);
        let reader = File::open(path).map_err(failed)?;
        let lock = match Flock::lock(reader, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((reader, _)) => return Ok(Flock::lock(reader, FlockArg::LockShared).ok()),
        };
        for (run, id) in &begun(&lock).map_err(failed)? {
            self.write(&Entry::Unknown {
                run: *run,
                id,
                outcome: "unknown: the server was killed",
            })?;
        }
        // As long as this server runs, others that start see that it does.
        let shared = lock.relock(FlockArg::LockShared);
        Ok(shared.is_ok().then_some(lock))
    }

    /// Keeps no log.
    pub(super) fn none() -> Self {
        Self {
            file: None,
            _lock: None,
        }
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

/// The runs that have no end, and their commands.
fn begun(log: &File) -> io::Result<BTreeMap<u64, String>> {
    let mut begun = BTreeMap::new();
    for line in BufReader::new(log).split(b'\n') {
        // A line that was cut when the disk was full says nothing.
        let Ok(line) = serde_json::from_slice::<Written>(&line?) else {
            continue;
        };
        match (line.audit.as_str(), line.run) {
            ("begin", Some(run)) => {
                begun.insert(run, line.id.unwrap_or_default());
            }
            ("end", Some(run)) => {
                begun.remove(&run);
            }
            _ => {}
        }
    }
    Ok(begun)
}
