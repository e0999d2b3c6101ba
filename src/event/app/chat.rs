//! What a chat room tells: who comes, speaks and goes, and what was lost.
//!
//! Pure values. Nothing here formats a line of output.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use crate::units::nanoseconds;

/// A step of a chat room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "chat", rename_all = "snake_case")]
pub enum Chat {
    /// Somebody came in.
    Joined {
        /// Their number in this room, from 1.
        member: u64,
        /// What they are called for now.
        nick: String,
        /// Where they are.
        address: SocketAddr,
    },
    /// Somebody was not let in.
    Refused {
        /// Where they are.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
    /// Somebody said something to all.
    Said {
        /// Who, by number; 0 is the room itself.
        member: u64,
        /// And by name.
        nick: String,
        /// What, as the others see it.
        text: String,
        /// How many it was sent to.
        heard_by: usize,
    },
    /// Somebody said something to one only; what, is nobody else's business.
    Whispered {
        /// Who, by number.
        member: u64,
        /// And by name.
        nick: String,
        /// To whom.
        to: String,
        /// How long it was.
        #[serde(rename = "text_bytes")]
        bytes: usize,
    },
    /// Somebody has another name now.
    Renamed {
        /// Who, by number.
        member: u64,
        /// The name before.
        from: String,
        /// The name now.
        to: String,
    },
    /// Something that was asked for was not done.
    Denied {
        /// Who asked, by number.
        member: u64,
        /// And by name.
        nick: String,
        /// What they were told.
        reason: String,
    },
    /// Datagrams that somebody sent did not arrive.
    Missing {
        /// Whose, by number; 0 is the room's own.
        member: u64,
        /// And by name.
        nick: String,
        /// From this number.
        from: u64,
        /// To this one.
        to: u64,
    },
    /// A datagram came after a later one, or a second time.
    Stray {
        /// Whose, by number; 0 is the room's own.
        member: u64,
        /// And by name.
        nick: String,
        /// Its number.
        number: u64,
        /// Whether it had been there before.
        again: bool,
    },
    /// A line came from the room, as a member sees it.
    Heard {
        /// The line.
        line: String,
    },
    /// A line went to the room.
    Sent {
        /// The line.
        line: String,
    },
    /// Somebody is gone.
    Left {
        /// Who, by number.
        member: u64,
        /// And by name.
        nick: String,
        /// Why.
        why: Departure,
        /// Lines that they sent.
        lines: u64,
        /// Bytes of those.
        #[serde(rename = "received_bytes")]
        received: u64,
        /// Lines that were still waiting for them and are gone.
        dropped_lines: u64,
        /// How long they were here.
        #[serde(rename = "stayed_ns", serialize_with = "nanoseconds")]
        stayed: Duration,
    },
}

/// Why somebody is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Departure {
    /// They said so.
    Exit,
    /// Their stream ended.
    Ended,
    /// Their connection was reset.
    Reset,
    /// They did not read what was sent.
    TooSlow,
    /// They did nothing for too long.
    Idle,
    /// They began a line and did not end it.
    Unfinished,
    /// Their connection failed in another way.
    Failed,
    /// The room closed.
    Closed,
}
