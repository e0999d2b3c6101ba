//! What a sweep amounts to, as the last line of its JSON.
//!
//! Pure values.

use std::time::Duration;

use serde::Serialize;

use crate::ping::sweep::Outcome;
use crate::units::nanoseconds;

/// The figures over all targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SweepResult {
    /// Targets that have an address.
    pub targets: u32,
    /// Those that answered.
    pub alive: u32,
    /// Those that did not.
    pub unreachable: u32,
    /// Names without an address.
    pub unresolved: u32,
    /// Requests sent.
    pub transmitted: u64,
    /// Replies, duplicates included.
    pub replies: u64,
    /// Requests whose time was over.
    pub lost: u64,
    /// Requests that failed, by an error from the path or the kernel.
    pub failed: u64,
    /// ICMP errors that quote a request.
    pub icmp_errors: u64,
    /// From the first request to the end.
    #[serde(rename = "time_ns", serialize_with = "nanoseconds")]
    pub time: Duration,
}

impl SweepResult {
    /// The figures of a sweep.
    pub fn of(outcome: &Outcome) -> Self {
        let totals = outcome.core.totals();
        let (alive, unresolved) = (outcome.alive(), outcome.unresolved());
        let targets = outcome.targets.count() - unresolved;
        Self {
            targets,
            alive,
            unreachable: targets - alive,
            unresolved,
            transmitted: totals.sent,
            replies: totals.replies,
            lost: totals.lost,
            failed: totals.failed,
            icmp_errors: totals.errors,
            time: outcome.elapsed,
        }
    }
}
