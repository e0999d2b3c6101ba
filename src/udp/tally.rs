//! What went through a datagram socket, in numbers, and why it ended.
//!
//! Pure. Never asks the kernel for a figure: whoever has it adds it.

use serde::Serialize;

/// Datagrams and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// How many.
    pub datagrams: u64,
    /// Their payload, as it was sent.
    pub bytes: u64,
}

impl Count {
    pub(super) fn add(&mut self, bytes: usize) {
        self.datagrams += 1;
        self.bytes += bytes as u64;
    }
}

/// What went through a mailbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Handed to the kernel.
    pub sent: Count,
    /// Taken from the kernel.
    pub received: Count,
    /// Received, of those whose tail was gone.
    pub truncated: u64,
    /// Received without a byte in them.
    pub empty: u64,
    /// Errors that came back.
    pub refused: u64,
    /// Arrived and found no room at the socket, as its kernel counts.
    pub dropped: u64,
}

impl Tally {
    /// Both together.
    pub(super) fn with(self, other: Self) -> Self {
        let both = |one: Count, other: Count| Count {
            datagrams: one.datagrams + other.datagrams,
            bytes: one.bytes + other.bytes,
        };
        Self {
            sent: both(self.sent, other.sent),
            received: both(self.received, other.received),
            truncated: self.truncated + other.truncated,
            empty: self.empty + other.empty,
            refused: self.refused + other.refused,
            dropped: self.dropped + other.dropped,
        }
    }
}

/// Why a tool ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The input ended, and nothing more came.
    InputOver,
    /// Nothing came or went for as long as was asked.
    Idle,
    /// As many datagrams as were asked for.
    Count,
    /// Somebody asked it to stop.
    Interrupted,
    /// Nobody reads what is received.
    OutputClosed,
    /// The other side said no.
    Refused,
}
