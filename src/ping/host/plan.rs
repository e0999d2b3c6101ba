//! What a run against one host was asked for: when to send and when to stop.
//!
//! Values only, named by the options of `ping(8)`; what follows from them is the
//! core's.

use std::time::Duration;

use crate::flow::Family;

/// When to send and when to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The protocol; for IPv6, errors do not enter into `pipe`, as in iputils.
    pub family: Family,
    /// From one probe to the next (`-i`); zero sends at each reply.
    pub interval: Duration,
    /// How probes follow each other.
    pub rhythm: Rhythm,
    /// How many probes go out without waiting for a reply (`-l`), at least 1.
    pub preload: u64,
    /// How many probes, or without limit (`-c`).
    pub count: Option<u64>,
    /// Stop this long after the start (`-w`).
    pub deadline: Option<Duration>,
    /// Wait this long for a first reply after the last probe (`-W`), or for
    /// ever.
    pub linger: Option<Duration>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            family: Family::Ipv4,
            interval: Duration::from_secs(1),
            rhythm: Rhythm::Steady,
            preload: 1,
            count: None,
            deadline: None,
            linger: Some(Duration::from_secs(10)),
        }
    }
}

/// How probes follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rhythm {
    /// One an interval.
    Steady,
    /// One an interval, which is usually zero (`-f`).
    Flood,
    /// As far apart as a round trip takes, whole milliseconds, and no less than
    /// this (`-A`).
    Adaptive(Duration),
}
