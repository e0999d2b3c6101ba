//! What the core of a sweep says: whom to ask next, what a reply is worth, and who
//! will not answer.
//!
//! Pure data.

use std::time::{Duration, Instant};

use crate::event::EchoJudgement;
use crate::socket::icmp::Token;

/// A request to send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// What its reply is known by.
    pub token: Token,
    /// Whom.
    pub target: u32,
    /// Which of the target's requests, from 0.
    pub index: u32,
}

/// What the core makes of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// The request it answers.
    pub probe: Probe,
    /// When that was sent.
    pub sent_at: Instant,
    /// From then until the reply arrived.
    pub round_trip: Duration,
    /// Whether it counts.
    pub judgement: EchoJudgement,
    /// Whether a reply to a later request of this target came before it.
    pub out_of_order: bool,
    /// Whether it decided that the target is alive.
    pub decided: bool,
}

/// A request that will not be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unanswered {
    /// Which.
    pub probe: Probe,
    /// Whether it was still waited for.
    pub counted: bool,
    /// Whether it decided that the target is unreachable.
    pub decided: bool,
}

/// Figures over all targets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests handed to the kernel.
    pub sent: u64,
    /// Replies, duplicates included.
    pub replies: u64,
    /// Requests whose time was over.
    pub lost: u64,
    /// Requests that failed.
    pub failed: u64,
    /// ICMP errors that quote a request.
    pub errors: u64,
}
