//! One line of the conversation: a verb, and `key=value` words in which every
//! byte that is not an ordinary letter is written `%41`.
//!
//! Owns parse and emit, which invert each other. A key that is not known is
//! passed over; one that is missing, twice there or malformed is an error.

use std::fmt;
use std::net::SocketAddr;

use super::LONGEST_LINE;
use super::fields::{Fields, escape};
use super::hash::{Algorithm, Digest};
use super::name::Name;
use super::words::{Code, Reason};

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The greeting of either end.
    Hello {
        /// The protocol's version.
        version: u64,
        /// What this end does.
        role: Role,
        /// The host's name, for people.
        name: Vec<u8>,
        /// The server's own address.
        address: Option<SocketAddr>,
    },
    /// What will be offered, all told.
    Manifest {
        /// Files.
        files: u64,
        /// Folders.
        directories: u64,
        /// The files' bytes.
        bytes: u64,
    },
    /// A folder is offered.
    Dir(Entry),
    /// A file is offered.
    File {
        /// Its name, permissions and time.
        entry: Entry,
        /// Its bytes.
        size: u64,
        /// The unit in which they are sent.
        block: u64,
        /// The hash that it is judged by.
        hash: Algorithm,
    },
    /// The file is wanted, from this byte on.
    Send {
        /// How much is there already.
        offset: u64,
        /// The block's size that the receiver wants: no larger than was offered.
        block: u64,
        /// The hash of what is there.
        prefix: Digest,
    },
    /// The entry is not wanted.
    Skip(Reason),
    /// The folder is there.
    Made,
    /// A file of that name and size is there: is it the same?
    Check,
    /// The file's bytes follow.
    Data {
        /// From which one on.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// The file is over.
    End {
        /// All its bytes.
        bytes: u64,
        /// The hash of them all.
        hash: Digest,
    },
    /// It is on the disk, whole, under its name.
    Ok,
    /// It is not.
    Fail(Code),
    /// All has been offered; all has been dealt with.
    Done {
        /// Files that were sent to their end; files that have their names.
        files: u64,
        /// Bytes of files that were sent; that came.
        bytes: u64,
    },
    /// The disk is busy; the conversation goes on.
    Wait,
    /// The conversation ends here.
    Bye(Code),
}

/// What a file and a folder have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: Name,
    /// Its permissions: the lowest nine bits.
    pub mode: u32,
    /// When it was last modified.
    pub modified: Modified,
}

impl Entry {
    /// The name that its file has while it is not whole, in the same folder: the
    /// same for the same offer, so that a later run finds it again, and for no
    /// other, so that nobody is told a hash of what somebody else sent.
    pub fn unfinished(&self, size: u64, hash: Algorithm) -> Vec<u8> {
        let Modified {
            seconds,
            nanoseconds,
        } = self.modified;
        let offer = format!("{size} {seconds}.{nanoseconds:09} {hash}");
        self.name.unfinished(&offer)
    }
}

/// Seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modified {
    /// Seconds; before 1970 they are negative.
    pub seconds: i64,
    /// Nanoseconds after that.
    pub nanoseconds: u32,
}

/// What an end does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It has the files.
    Send,
    /// It wants them.
    Receive,
}

/// Why a line is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A verb that this version does not know.
    #[error("no such verb")]
    Verb,
    /// A word that is no `key=value`, or an escape that is none.
    #[error("a word is not written as key=value")]
    Word,
    /// A key that must be there once is not, or is there twice.
    #[error("{0} must be there, and once")]
    Key(&'static str),
    /// Its value is out of range.
    #[error("{0} has a value that makes no sense")]
    Value(&'static str),
    /// A name that no file may have.
    #[error("{0}")]
    Name(super::NameError),
    /// Longer than 4 KiB.
    #[error("a line is longer than {LONGEST_LINE} bytes")]
    TooLong,
}

impl Line {
    /// Reads a line without its end.
    pub fn read(text: &[u8]) -> Result<Self, Malformed> {
        let is_printable = |byte: &u8| (b' '..=b'~').contains(byte);
        let text = std::str::from_utf8(text).map_err(|_| Malformed::Word)?;
        if !text.as_bytes().iter().all(is_printable) {
            return Err(Malformed::Word);
        }
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let words = Fields::read(rest)?;
        Ok(match verb {
            "HELLO" => Line::Hello {
                version: words.number("version")?,
                role: words.role()?,
                name: words.bytes("name")?,
                address: words.address()?,
            },
            "MANIFEST" => Line::Manifest {
                files: words.number("files")?,
                directories: words.number("directories")?,
                bytes: words.number("bytes")?,
            },
            "DIR" => Line::Dir(words.entry()?),
            "FILE" => Line::File {
                entry: words.entry()?,
                size: words.number("size")?,
                block: words.block()?,
                hash: words.parsed("hash")?,
            },
            "SEND" => Line::Send {
                offset: words.number("offset")?,
                block: words.block()?,
                prefix: words.parsed("prefix-hash")?,
            },
            "SKIP" => Line::Skip(words.word("reason", Reason::read)?),
            "MADE" => Line::Made,
            "CHECK" => Line::Check,
            "DATA" => Line::Data {
                offset: words.number("offset")?,
                length: words.number("length")?,
            },
            "END" => Line::End {
                bytes: words.number("bytes")?,
                hash: words.parsed("hash")?,
            },
            "OK" => Line::Ok,
            "FAIL" => Line::Fail(words.word("code", Code::read)?),
            "DONE" => Line::Done {
                files: words.number("files")?,
                bytes: words.number("bytes")?,
            },
            "WAIT" => Line::Wait,
            "BYE" => Line::Bye(words.word("code", Code::read)?),
            _ => return Err(Malformed::Verb),
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Hello {
                version,
                role,
                name,
                address,
            } => {
                let role = role.word();
                write!(f, "HELLO version={version} role={role} name=")?;
                escape(f, name)?;
                match address {
                    Some(address) => write!(f, " address={address}"),
                    None => Ok(()),
                }
            }
            Line::Manifest {
                files,
                directories,
                bytes,
            } => write!(
                f,
                "MANIFEST files={files} directories={directories} bytes={bytes}"
            ),
            Line::Dir(entry) => write!(f, "DIR {entry}"),
            Line::File {
                entry,
                size,
                block,
                hash,
            } => write!(f, "FILE {entry} size={size} block={block} hash={hash}"),
            Line::Send {
                offset,
                block,
                prefix,
            } => write!(f, "SEND offset={offset} block={block} prefix-hash={prefix}"),
            Line::Skip(reason) => write!(f, "SKIP reason={}", reason.word()),
            Line::Made => f.write_str("MADE"),
            Line::Check => f.write_str("CHECK"),
            Line::Data { offset, length } => write!(f, "DATA offset={offset} length={length}"),
            Line::End { bytes, hash } => write!(f, "END bytes={bytes} hash={hash}"),
            Line::Ok => f.write_str("OK"),
            Line::Fail(code) => write!(f, "FAIL code={}", code.word()),
            Line::Done { files, bytes } => write!(f, "DONE files={files} bytes={bytes}"),
            Line::Wait => f.write_str("WAIT"),
            Line::Bye(code) => write!(f, "BYE code={}", code.word()),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("name=")?;
        escape(f, self.name.as_bytes())?;
        let Modified {
            seconds,
            nanoseconds,
        } = self.modified;
        write!(f, " mode={:o} mtime={seconds}", self.mode)?;
        match nanoseconds {
            0 => Ok(()),
            part => write!(f, ".{part:09}"),
        }
    }
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Role::Send => "send",
            Role::Receive => "receive",
        }
    }

    /// What the other end must do.
    #[must_use]
    pub fn counterpart(self) -> Self {
        match self {
            Role::Send => Role::Receive,
            Role::Receive => Role::Send,
        }
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
pub(super) mod tests;
