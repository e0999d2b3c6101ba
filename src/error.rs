//! What went wrong: the operation, the address, the cause with its errno name,
//! and a remedy. Printed once, by `main`; the exit code travels with it.
//!
//! Owns no policy: whoever fails says what failed and what would help.

use std::borrow::Cow;
use std::fmt;
use std::io;

use nix::errno::Errno;

/// A failure as the user reads it:
/// `bind 0.0.0.0:80: permission denied (EACCES); ports below 1024 need …`.
#[derive(Debug, thiserror::Error)]
pub struct Error {
    operation: String,
    target: String,
    cause: Cause,
    remedy: Option<String>,
    exit: Exit,
}

/// What a failure means for the exit code, as `ping(8)` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The network said no: refused, unreachable, no reply.
    Network,
    /// Wrong usage or anything else.
    Other,
    /// A program to run is there and cannot be run, as `env(1)` has it.
    NotExecutable,
    /// A program to run is not there, as `env(1)` has it.
    NoProgram,
}

impl Exit {
    fn after(cause: &Cause) -> Self {
        let errno = match cause {
            Cause::Io(error) => error.raw_os_error().map(Errno::from_raw),
            Cause::Said(_) => None,
        };
        match errno {
            Some(
                Errno::ECONNREFUSED
                | Errno::ECONNRESET
                | Errno::ECONNABORTED
                | Errno::EHOSTUNREACH
                | Errno::ENETUNREACH
                | Errno::ENETDOWN
                | Errno::EPIPE
                | Errno::ETIMEDOUT,
            ) => Exit::Network,
            _ => Exit::Other,
        }
    }

    /// The process exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Network => 1,
            Exit::Other => 2,
            Exit::NotExecutable => 126,
            Exit::NoProgram => 127,
        }
    }
}

/// Why it went wrong: an error of the kernel's, or words.
#[derive(Debug)]
pub enum Cause {
    /// A system call failed.
    Io(io::Error),
    /// No errno describes it.
    Said(String),
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for Cause {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

impl From<String> for Cause {
    fn from(words: String) -> Self {
        Self::Said(words)
    }
}

impl From<&str> for Cause {
    fn from(words: &str) -> Self {
        Self::Said(words.to_owned())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Io(error) => f.write_str(&explain(error)),
            Cause::Said(words) => f.write_str(words),
        }
    }
}

impl Error {
    /// `operation` on `target` failed because of `cause`. The exit code follows
    /// from the cause: 1 where the network said no, else 2.
    pub fn new(
        operation: impl Into<String>,
        target: impl fmt::Display,
        cause: impl Into<Cause>,
    ) -> Self {
        let cause = cause.into();
        Self {
            operation: operation.into(),
            target: target.to_string(),
            exit: Exit::after(&cause),
            cause,
            remedy: None,
        }
    }

    /// Adds what would help.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Changes what the failure means for the exit code.
    #[must_use]
    pub fn exiting(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// What the failure means for the exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The errno, where the kernel gave one.
    pub fn errno(&self) -> Option<Errno> {
        match &self.cause {
            Cause::Io(error) => error.raw_os_error().map(Errno::from_raw),
            Cause::Said(_) => None,
        }
    }

    /// Whether the failure is a closed pipe on standard output, which is how
    /// `| head` says that it has seen enough.
    pub fn is_broken_pipe(&self) -> bool {
        let is_closed =
            matches!(&self.cause, Cause::Io(error) if error.kind() == io::ErrorKind::BrokenPipe);
        is_closed && self.target == "standard output"
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.operation)?;
        if !self.target.is_empty() {
            write!(f, " {}", printable(&self.target))?;
        }
        write!(f, ": {}", printable(&self.cause.to_string()))?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {}", printable(remedy)),
            None => Ok(()),
        }
    }
}

/// Text with its control characters spelt out, as `\u{1b}`: what was typed or
/// read may hold what a terminal obeys.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let spelt = text.chars().map(|letter| {
        if letter.is_control() {
            letter.escape_default().to_string()
        } else {
            letter.to_string()
        }
    });
    Cow::Owned(spelt.collect())
}

/// An I/O error in the house form: `connection refused (ECONNREFUSED)`.
pub fn explain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => {
            let errno = Errno::from_raw(number);
            format!("{} ({errno:?})", uncapitalised(errno.desc()))
        }
        None => uncapitalised(&error.to_string()),
    }
}

/// An errno's name, such as `ECONNREFUSED`; the text itself where the error did
/// not come from the kernel.
pub fn errno_name(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!("{:?}", Errno::from_raw(number)),
        None => error.to_string(),
    }
}

fn uncapitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_operation_target_cause_and_remedy() {
        let error = Error::new(
            "bind",
            "0.0.0.0:80",
            io::Error::from_raw_os_error(Errno::EACCES as i32),
        )
        .remedy("ports below 1024 need CAP_NET_BIND_SERVICE; try --port 8080");
        assert_eq!(
            error.to_string(),
            "bind 0.0.0.0:80: permission denied (EACCES); \
             ports below 1024 need CAP_NET_BIND_SERVICE; try --port 8080"
        );
        assert_eq!(error.exit(), Exit::Other);
    }

    #[test]
    fn what_a_terminal_would_obey_is_spelt_out() {
        let error = Error::new("look up", "a\u{1b}[31mb\nc\u{9b}", "no\u{7}").remedy("not\tthat");
        assert_eq!(
            error.to_string(),
            "look up a\\u{1b}[31mb\\nc\\u{9b}: no\\u{7}; not\\tthat"
        );
        assert_eq!(printable("é ✗"), "é ✗");
    }

    #[test]
    fn a_refusal_is_the_networks_no() {
        let refused = io::Error::from_raw_os_error(Errno::ECONNREFUSED as i32);
        assert_eq!(Error::new("connect", "::1", refused).exit().code(), 1);
    }
}
