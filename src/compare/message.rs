//! What became of each message: what the programs saw, and what the wire did to
//! its packets.

use std::time::Duration;

use serde::Serialize;

use crate::units::{nanoseconds, optional_nanoseconds};

/// One message through one kind of socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Its number, from 1.
    pub number: u32,
    /// Its length in bytes.
    #[serde(rename = "size_bytes")]
    pub size: u32,
    /// When it was to be sent, on the run's clock.
    #[serde(rename = "due_at_ns", serialize_with = "nanoseconds")]
    pub due_at: Duration,
    /// When the program sent it; `None` where it did not, or could not.
    #[serde(rename = "sent_at_ns", serialize_with = "optional_nanoseconds")]
    pub sent_at: Option<Duration>,
    /// When the receiving program had it whole, for the first time.
    #[serde(rename = "received_at_ns", serialize_with = "optional_nanoseconds")]
    pub received_at: Option<Duration>,
    /// How often the receiving program got it whole.
    pub arrivals: u16,
    /// It came after one with a higher number (RFC 4737).
    pub out_of_order: bool,
    /// It came later than the deadline after it was sent.
    pub late: bool,
    /// How long its last byte lay in the receiving kernel because an earlier
    /// message was not there yet: head-of-line blocking, as the wire's times
    /// have it. `None` where it did not wait, or nobody can know.
    #[serde(rename = "waited_ns", serialize_with = "optional_nanoseconds")]
    pub waited: Option<Duration>,
    /// What the wire did to the packets that carried it, where a wire could see.
    pub wire: Option<OnWire>,
}

/// What the wire did to the packets that carried one message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct OnWire {
    /// Packets that carried any of it, retransmissions included, the wire's own
    /// copies not.
    pub packets: u16,
    /// Of those and of the copies, lost.
    pub lost: u16,
    /// Of those and of the copies, handed over with other bytes than were sent.
    pub damaged: u16,
    /// Copies that the wire made.
    pub copies: u16,
    /// How often it was handed over whole and unharmed: for datagrams, what the
    /// receiving program must have got unless its kernel dropped it.
    pub intact: u16,
}

/// A message's state in one word: a cell of the delivery strip. The worst of
/// what happened to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Once, in order, in time.
    Delivered,
    /// Later than the deadline.
    Late,
    /// More than once.
    Duplicated,
    /// After a later one.
    OutOfOrder,
    /// Never.
    Lost,
    /// It was never sent.
    NotSent,
}

impl Message {
    /// Its state in one word.
    pub fn state(&self) -> State {
        match self {
            Self { sent_at: None, .. } => State::NotSent,
            Self { arrivals: 0, .. } => State::Lost,
            Self {
                out_of_order: true, ..
            } => State::OutOfOrder,
            Self { arrivals: 2.., .. } => State::Duplicated,
            Self { late: true, .. } => State::Late,
            _ => State::Delivered,
        }
    }

    /// From the sender's call to the receiver's return.
    pub fn latency(&self) -> Option<Duration> {
        Some(self.received_at?.saturating_sub(self.sent_at?))
    }
}
