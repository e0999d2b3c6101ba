//! What a sweep over many targets tells beyond what a run against one does: the
//! verdict on a target, and names that no address was found for.
//!
//! Pure values. Nothing here formats a line of output or decides what counts.

use std::time::Duration;

use serde::Serialize;

use super::{EchoAddress, EchoTarget};
use crate::units::optional_nanoseconds;

/// What a target turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EchoVerdict {
    /// The target.
    #[serde(flatten)]
    pub target: EchoTarget,
    /// Its address.
    pub address: EchoAddress,
    /// The verdict.
    pub verdict: EchoReachability,
    /// Requests sent to it until then.
    pub requests: u32,
    /// The round trip of the reply that decided it.
    #[serde(
        rename = "rtt_ns",
        serialize_with = "optional_nanoseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub round_trip: Option<Duration>,
}

/// Whether a target answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EchoReachability {
    /// It answered.
    Alive,
    /// It answered none of the requests it was given.
    Unreachable,
}

/// A target that has no address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EchoUnresolved {
    /// The target.
    #[serde(flatten)]
    pub target: EchoTarget,
    /// The resolver's reason.
    pub reason: String,
}
