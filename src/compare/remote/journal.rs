//! The server's log: one line a session or a bad client, and never so many that
//! the log itself is the damage.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Writes lines where the caller wants them.
pub struct Journal {
    write: Box<dyn Fn(&str) + Send + Sync>,
    second: Mutex<Second>,
}

struct Second {
    began: Instant,
    written: u32,
    withheld: u64,
}

/// Lines in one second.
const MOST: u32 = 50;

impl Journal {
    /// Hands each line to `write`.
    pub fn new(write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            write: Box::new(write),
            second: Mutex::new(Second {
                began: Instant::now(),
                written: 0,
                withheld: 0,
            }),
        }
    }

    /// One line of which there are few: what became of a session.
    pub(super) fn tell(&self, line: impl Display) {
        (self.write)(&line.to_string());
    }

    /// One line, of which a hostile client could cause any number.
    pub(super) fn say(&self, line: impl Display) {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        if second.began.elapsed() >= Duration::from_secs(1) {
            if second.withheld > 0 {
                (self.write)(&format!("{} more lines were not written", second.withheld));
            }
            *second = Second {
                began: Instant::now(),
                written: 0,
                withheld: 0,
            };
        }
        if second.written < MOST {
            second.written += 1;
            (self.write)(&line.to_string());
        } else {
            second.withheld += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_flood_is_cut() {
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let written = Arc::clone(&lines);
        let journal = Journal::new(move |line| written.lock().expect("lines").push(line.into()));
        for number in 0..1000 {
            journal.say(number);
        }
        let lines = lines.lock().expect("lines");
        assert!(lines.len() < 500, "{}", lines.len());
        assert_eq!(lines[0], "0");
    }
}
