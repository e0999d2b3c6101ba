//! What can keep a ping from running: operation, target, cause, remedy.
//!
//! Replies that do not come are no errors; the summary counts them.

use std::fmt;
use std::io;

use nix::errno::Errno;

/// Why a ping could not run. Prints as `operation target: cause; remedy`.
#[derive(Debug, thiserror::Error)]
pub struct Error {
    operation: String,
    target: String,
    cause: String,
    remedy: Option<String>,
}

impl Error {
    /// `operation` on `target` failed because of `cause`.
    pub fn new(
        operation: impl Into<String>,
        target: impl Into<String>,
        cause: impl Into<Cause>,
    ) -> Self {
        Self {
            operation: operation.into(),
            target: target.into(),
            cause: cause.into().0,
            remedy: None,
        }
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.operation)?;
        if !self.target.is_empty() {
            write!(f, " {}", self.target)?;
        }
        write!(f, ": {}", self.cause)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// A cause in words, with the errno's name where there is one.
#[derive(Debug)]
pub struct Cause(String);

impl From<Errno> for Cause {
    fn from(errno: Errno) -> Self {
        Self(format!("{} ({errno:?})", lowercase_first(errno.desc())))
    }
}

impl From<&io::Error> for Cause {
    fn from(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(number) => Errno::from_raw(number).into(),
            None => Self(error.to_string()),
        }
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self::from(&error)
    }
}

impl From<String> for Cause {
    fn from(words: String) -> Self {
        Self(words)
    }
}

impl From<&str> for Cause {
    fn from(words: &str) -> Self {
        Self(words.to_owned())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn lowercase_first(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_operation_target_cause_remedy() {
        let error = Error::new("connect", "10.9.9.9", Errno::ENETUNREACH).remedy("add a route");
        assert_eq!(
            error.to_string(),
            "connect 10.9.9.9: network is unreachable (ENETUNREACH); add a route"
        );
    }
}
