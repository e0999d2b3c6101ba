//! How a room is kept, what it asks of its caller, and what happened in it
//! altogether.
//!
//! Values only: the rules are the room's.

use super::{Departure, MemberId};
use crate::event::Chat;
use crate::protocol::chat::outbox::Outbox;

/// How a room is kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Most members at once.
    pub most: usize,
    /// Most bytes that may wait for one member.
    pub queue: usize,
    /// How many of the last lines a newcomer is shown.
    pub history: usize,
    /// Whether the room answers each message.
    pub receipt: Receipt,
}

/// Whether the room answers each message with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// Messages are answered by nobody but people.
    None,
    /// Each message is answered: it was received.
    Each,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            most: 10,
            queue: 64 << 10,
            history: 10,
            receipt: Receipt::None,
        }
    }
}

/// What the caller must do, in this order.
#[derive(Debug)]
pub enum Order {
    /// Send what is left in the outbox, as far as it goes, and close.
    Close {
        /// Whose connection.
        member: MemberId,
        /// What is left.
        outbox: Outbox,
        /// Why.
        why: Departure,
    },
    /// Tell whoever watches.
    Tell(Chat),
}

/// What happened in a room altogether.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Account {
    /// Members that came in.
    pub members: u64,
    /// The most of them at once.
    pub most_at_once: usize,
    /// Those that were refused.
    pub refused: u64,
    /// Messages to all.
    pub messages: u64,
    /// Messages to one.
    pub whispers: u64,
    /// Lines that were put into outboxes.
    pub deliveries: u64,
    /// Members that were cut off because they did not read.
    pub too_slow: u64,
}
