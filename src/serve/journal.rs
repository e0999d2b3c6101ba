//! What a server says about itself: few lines, each to whoever the caller chose.
//!
//! Running out of descriptors happens thousands of times a second once it
//! happens; it is said at most once a second.

use std::fmt::Display;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::explain;

/// Takes a server's lines.
pub struct Journal {
    write: Box<dyn Fn(&str) + Send + Sync>,
    exhaustion: Mutex<Exhaustion>,
}

#[derive(Default)]
struct Exhaustion {
    said: Option<Instant>,
    unsaid: u64,
}

/// How long one line about exhaustion stands for all.
const QUIET: Duration = Duration::from_secs(1);

impl Journal {
    /// Hands each line to `write`.
    pub fn new(write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            write: Box::new(write),
            exhaustion: Mutex::default(),
        }
    }

    /// One line.
    pub(super) fn say(&self, line: impl Display) {
        (self.write)(&line.to_string());
    }

    /// accept(2) found no descriptor or no memory for the next client.
    pub(super) fn exhausted(&self, error: &io::Error) {
        if let Some(line) = self.exhaustion().line(error, Instant::now()) {
            self.say(line);
        }
    }

    fn exhaustion(&self) -> std::sync::MutexGuard<'_, Exhaustion> {
        let kept = self.exhaustion.lock();
        kept.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exhaustion {
    /// The line that is due at `now`, if one is.
    fn line(&mut self, error: &io::Error, now: Instant) -> Option<String> {
        if self.said.is_some_and(|said| now < said + QUIET) {
            self.unsaid += 1;
            return None;
        }
        self.said = Some(now);
        let again = match std::mem::take(&mut self.unsaid) {
            0 => String::new(),
            count => format!(" ({count} times since this was last said)"),
        };
        let cause = explain(error);
        Some(format!(
            "accept: {cause}{again}; clients wait until one leaves; ulimit -n raises the limit"
        ))
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    #[test]
    fn exhaustion_is_said_once_a_second() {
        let error = io::Error::from(Errno::EMFILE);
        let mut exhaustion = Exhaustion::default();
        let start = Instant::now();
        let mut lines = Vec::new();
        for millisecond in 0..2500 {
            let now = start + Duration::from_millis(millisecond);
            lines.extend(exhaustion.line(&error, now));
        }
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].starts_with("accept: too many open files (EMFILE); clients wait"));
        assert!(lines[1].contains("(EMFILE) (999 times since this was last said);"));
    }
}
