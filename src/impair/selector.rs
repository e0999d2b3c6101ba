//! Packets chosen by meaning: `c2s data#3`, `syn#1`, `ack#5..7`, `retrans`,
//! `every 400`, `udp len>1000`; and what is done to them.
//!
//! Parse and match in one file. Counting is the caller's, per flow, so that a
//! choice does not depend on what else is on the wire.

use std::time::Duration;

use crate::flow::Direction;
use crate::packet::Heading;

/// A choice of packets and what is done to them.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Which packets.
    pub selector: Selector,
    /// What is done.
    pub action: Action,
}

/// What a rule does to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It never arrives.
    Drop,
    /// It arrives so much later than it would have.
    Delay(Duration),
    /// It arrives twice.
    Duplicate,
    /// Its ECN field is set to Congestion Experienced, whatever it was.
    Mark,
}

/// Which packets are meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    /// As it was typed: a loss's cause.
    pub(super) text: String,
}

/// What a selector looks at.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Which way the packet goes.
    pub direction: Direction,
    /// Its headers.
    pub heading: &'a Heading,
    /// Whether it is a TCP segment that carries what an earlier one of its flow
    /// and direction did (SYN and FIN count as data).
    pub is_retransmission: bool,
}

impl Selector {
    /// Whether the packet is of the kind meant, its number aside.
    pub fn describes(&self, seen: Seen<'_>) -> bool {
        let _ = seen;
        todo!()
    }

    /// Whether the `count`th packet of the kind in its flow and direction,
    /// counted from 1, is meant.
    pub fn takes(&self, count: u64) -> bool {
        let _ = count;
        todo!()
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.text)
    }
}
