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
