//! mahimahi's packet delivery traces: when a link had an opportunity to send.
//!
//! One whole number of milliseconds a line, never descending; each line is an
//! opportunity for 1500 bytes of IP; the trace repeats at its last time
//! (mm-link(1)). Bytes in, values out: the caller reads the file.

use std::time::Duration;

/// Bytes that one opportunity carries.
pub const OPPORTUNITY: u64 = 1500;

/// A trace that was read whole and makes sense: at least one opportunity, and
/// an end after 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Times of the opportunities from the trace's start, ascending; several
    /// may be equal. The last one is also the length after which it repeats.
    pub(super) opportunities: Vec<Duration>,
    /// Where it came from, for reports.
    pub(super) name: String,
}

/// Why a trace makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// No line at all.
    #[error("the trace is empty; it needs one whole number of milliseconds a line")]
    Empty,
    /// A line that is no whole number.
    #[error("line {line} of the trace is \"{text}\"; it needs one whole number of milliseconds")]
    NotANumber {
        /// Counted from 1.
        line: usize,
        /// What it says, its beginning.
        text: String,
    },
    /// A time before the one above it.
    #[error(
        "line {line} of the trace goes back from {before} ms to {after} ms; times may be equal, \
         never earlier"
    )]
    Descends {
        /// Counted from 1.
        line: usize,
        /// The time above it.
        before: u64,
        /// Its own.
        after: u64,
    },
    /// A last time of 0: repeated without end at once.
    #[error("the trace ends at 0 ms, and it repeats at its last time; that must be later")]
    EndsAtZero,
}

impl Trace {
    /// Reads a trace. `name` is what it is called in reports: its file's.
    pub fn parse(name: impl Into<String>, text: &str) -> Result<Self, TraceError> {
        let mut opportunities = Vec::new();
        let mut last = 0;
        let lines = text.lines().map(str::trim).enumerate();
        for (index, line) in lines.filter(|(_, line)| !line.is_empty()) {
            let Some(time) = milliseconds(line) else {
                let text = line.chars().take(20).flat_map(char::escape_debug);
                return Err(TraceError::NotANumber {
                    line: index + 1,
                    text: text.collect(),
                });
            };
            if time < last {
                return Err(TraceError::Descends {
                    line: index + 1,
                    before: last,
                    after: time,
                });
            }
            last = time;
            opportunities.push(Duration::from_millis(time));
        }
        match opportunities.last().copied() {
            None => Err(TraceError::Empty),
            Some(Duration::ZERO) => Err(TraceError::EndsAtZero),
            Some(_) => Ok(Self {
                opportunities,
                name: name.into(),
            }),
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// At most ten digits: four months, and no overflow.
fn milliseconds(line: &str) -> Option<u64> {
    let is_whole = line.len() <= 10 && line.bytes().all(|byte| byte.is_ascii_digit());
    is_whole.then(|| line.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mahimahis_traces_are_read_unchanged() {
        let trace = Trace::parse("short.up", "0\n5\n5\n12\n").unwrap();
        let times: Vec<_> = trace
            .opportunities
            .iter()
            .map(Duration::as_millis)
            .collect();
        assert_eq!(times, [0, 5, 5, 12]);
        assert_eq!(trace.name(), "short.up");
        assert!(Trace::parse("windows", "1\r\n2\r\n").is_ok());
    }

    #[test]
    fn nonsense_is_named_with_its_line() {
        for (text, said) in [
            ("", "is empty"),
            ("\n\n", "is empty"),
            ("0\n0\n", "ends at 0 ms"),
            ("1\n\nsoon\n", "line 3 of the trace is \"soon\""),
            ("1.5", "line 1 of the trace is \"1.5\""),
            ("-1", "line 1"),
            ("99999999999", "line 1"),
            (
                "3\n9\n5\n",
                "line 3 of the trace goes back from 9 ms to 5 ms",
            ),
        ] {
            let error = Trace::parse("t", text).unwrap_err().to_string();
            assert!(error.contains(said), "{text:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC*|([0-9a-]{0,12}\n){0,8}") {
            let _ = Trace::parse("t", &text);
        }
    }
}
