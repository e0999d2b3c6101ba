//! What a file transfer tells: what was offered, what was wanted of it, what
//! became of it.
//!
//! Pure values. Nothing here formats a line of output. Names are harmless to
//! show. Steps that go as they should are a topic of their own: there are several
//! of them for each file.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use crate::protocol::file::{Algorithm, Code, Digest, Name, Reason, Role};
use crate::units::nanoseconds;

/// A step, and the other end of the transfer that it is of: a listener has many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileStep {
    /// Where the other end is.
    pub peer: SocketAddr,
    /// What happened.
    #[serde(flatten)]
    pub step: File,
}

/// A step of a file transfer. In JSON the field `file` names the variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "file", rename_all = "snake_case")]
pub enum File {
    /// The other end greeted us.
    Greeted {
        /// What it calls itself, harmless to show.
        name: String,
        /// What it does.
        role: Role,
    },
    /// So much will be offered.
    Announced {
        /// Files.
        files: u64,
        /// Folders.
        directories: u64,
        /// The files' bytes.
        #[serde(rename = "size_bytes")]
        bytes: u64,
    },
    /// Something will not be sent.
    LeftOut {
        /// Its path, harmless to show.
        path: String,
        /// Why.
        why: String,
    },
    /// A file was offered.
    Offered {
        /// Its name.
        name: Name,
        /// Its size.
        #[serde(rename = "size_bytes")]
        size: u64,
        /// The unit in which it is sent.
        #[serde(rename = "block_bytes")]
        block: u64,
        /// The hash that it is judged by.
        hash: Algorithm,
    },
    /// A file is wanted.
    Wanted {
        /// Its name.
        name: Name,
        /// How much of it is there already.
        #[serde(rename = "offset_bytes")]
        offset: u64,
    },
    /// A file of that name and size is there: is it the same?
    Compared {
        /// Its name.
        name: Name,
    },
    /// What was there of it is something else: it starts anew.
    Restarted {
        /// Its name.
        name: Name,
        /// How much is thrown away.
        #[serde(rename = "discarded_bytes")]
        discarded: u64,
    },
    /// It would be received, were it no rehearsal.
    Rehearsed {
        /// Its name.
        name: Name,
        /// Its size.
        #[serde(rename = "size_bytes")]
        size: u64,
    },
    /// A file or folder is not wanted.
    Skipped {
        /// Its name.
        name: Name,
        /// Why.
        reason: Reason,
        /// What the disk said.
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
    /// Its bytes go over the wire.
    Data {
        /// Its name.
        name: Name,
        /// From which byte on.
        #[serde(rename = "offset_bytes")]
        offset: u64,
        /// How many.
        #[serde(rename = "length_bytes")]
        length: u64,
        /// In how many blocks, the last one perhaps short.
        blocks: u64,
    },
    /// It is over, and this is its hash.
    Ended {
        /// Its name.
        name: Name,
        /// Its size.
        #[serde(rename = "size_bytes")]
        size: u64,
        /// The hash of all its bytes.
        hash: Digest,
    },
    /// It is on the receiver's disk, whole.
    Kept {
        /// The name that it was offered under.
        name: Name,
        /// The name that it has there, where that is known and another one.
        #[serde(skip_serializing_if = "Option::is_none")]
        named: Option<Name>,
        /// Its size.
        #[serde(rename = "size_bytes")]
        size: u64,
    },
    /// It is not.
    Failed {
        /// Its name.
        name: Name,
        /// Why.
        code: Code,
        /// What the disk said.
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
    /// So much was announced and never came.
    Missing {
        /// Files.
        files: u64,
        /// Folders.
        directories: u64,
    },
    /// All is done.
    Over(Tally),
}

impl File {
    /// Whether it is as it should be, and told only where each step is.
    pub fn is_routine(&self) -> bool {
        !matches!(
            self,
            Self::LeftOut { .. }
                | Self::Failed { .. }
                | Self::Skipped { .. }
                | Self::Rehearsed { .. }
                | Self::Missing { .. }
        )
    }
}

/// What a transfer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    /// Files that were transferred.
    pub files: u64,
    /// Folders that were made.
    pub directories: u64,
    /// Bytes that went over the wire.
    #[serde(rename = "moved_bytes")]
    pub moved: u64,
    /// Bytes that were there from an earlier transfer.
    #[serde(rename = "resumed_bytes")]
    pub resumed: u64,
    /// Files that were there already, the same.
    pub same: u64,
    /// Entries that were not wanted.
    pub skipped: u64,
    /// Files that failed.
    pub failed: u64,
    /// How long it took.
    #[serde(rename = "took_ns", serialize_with = "nanoseconds")]
    pub took: Duration,
}

impl Tally {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            files: self.files + other.files,
            directories: self.directories + other.directories,
            moved: self.moved + other.moved,
            resumed: self.resumed + other.resumed,
            same: self.same + other.same,
            skipped: self.skipped + other.skipped,
            failed: self.failed + other.failed,
            took: self.took.max(other.took),
        }
    }

    /// Whether everything that was offered is there now.
    pub fn is_whole(&self) -> bool {
        self.skipped == 0 && self.failed == 0
    }
}
