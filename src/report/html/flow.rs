//! One TCP connection as its packets tell it: what the client sent, when and
//! again, what became of it, and what the server acknowledged.
//!
//! Numbers are relative to the SYN (RFC 9293 section 3.4). Owns no drawing.

use std::net::SocketAddr;
use std::time::Duration;

use crate::conversation::WireAccount;
use crate::event::{Event, Fate, Packet, What};
use crate::flow::Direction;
use crate::packet::{Conversations, TcpFlags};

/// What one packet from the client carried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Segment {
    pub(super) at: Duration,
    /// The first byte's number.
    pub(super) from: u32,
    /// The number behind the last byte.
    pub(super) to: u32,
    pub(super) again: bool,
    pub(super) lost: bool,
}

/// A connection's packets, and the client's end of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Connection {
    pub(super) client: SocketAddr,
    pub(super) segments: Vec<Segment>,
    /// When the client learned that all before this number had arrived.
    pub(super) acknowledged: Vec<(Duration, u32)>,
}

impl Connection {
    /// When its first packet was sent, and the last thing drawn of it happened.
    pub(super) fn span(&self) -> Option<(Duration, Duration)> {
        let first = self.segments.first()?.at;
        let last = self.segments.last()?.at;
        let answered = self.acknowledged.last().map_or(last, |(at, _)| *at);
        Some((first, last.max(answered)))
    }

    /// The highest number sent.
    pub(super) fn end(&self) -> u32 {
        let ends = self.segments.iter().map(|segment| segment.to);
        ends.max().unwrap_or(0)
    }

    /// How many segments were sent again.
    pub(super) fn repeats(&self) -> usize {
        self.segments.iter().filter(|segment| segment.again).count()
    }

    /// How many segments the wire lost.
    pub(super) fn losses(&self) -> usize {
        self.segments.iter().filter(|segment| segment.lost).count()
    }
}

/// The connections of `events`, which are sorted by time, in the order of their
/// first packets.
pub(super) fn connections(events: &[Event<'_>]) -> Vec<Connection> {
    let mut found: Vec<Connection> = Vec::new();
    let mut conversations = Conversations::new();
    let mut account = WireAccount::default();
    for event in events {
        let What::Packet(packet) = &event.what else {
            continue;
        };
        let again = is_again(&mut account, packet);
        // What the wire made, nobody sent.
        if packet.changes.copy_of.is_none() {
            add(&mut found, &mut conversations, packet, again);
        }
    }
    for connection in &mut found {
        connection.settle();
    }
    found
}

/// Whether it carries what was sent before.
pub(super) fn is_again(account: &mut WireAccount, packet: &Packet<'_>) -> bool {
    let before = account.direction(packet.direction).tcp_retransmissions;
    account.add(packet);
    account.direction(packet.direction).tcp_retransmissions > before
}

fn add(
    found: &mut Vec<Connection>,
    conversations: &mut Conversations,
    packet: &Packet<'_>,
    again: bool,
) -> Option<()> {
    let dissection = packet.dissect();
    conversations.observe(&dissection);
    let tcp = dissection.tcp()?;
    let origin = conversations.origin(&dissection);
    let ends = dissection.endpoints()?;
    let client = match packet.direction {
        Direction::ClientToServer => ends.source,
        Direction::ServerToClient => ends.destination,
    };
    let client = SocketAddr::new(client.address, client.port?);
    let place = found.iter().position(|known| known.client == client);
    let place = place.unwrap_or_else(|| {
        found.push(Connection {
            client,
            segments: Vec::new(),
            acknowledged: Vec::new(),
        });
        found.len() - 1
    });
    let connection = found.get_mut(place)?;
    if packet.direction == Direction::ServerToClient {
        if tcp.flags.contains(TcpFlags::ACK) {
            let number = tcp.acknowledgment.wrapping_sub(origin.acknowledgment);
            connection.acknowledged.push((packet.delivered_at?, number));
        }
        return Some(());
    }
    let from = tcp.sequence.wrapping_sub(origin.sequence);
    // SYN and FIN take a number each (RFC 9293 section 3.4).
    let marks = [TcpFlags::SYN, TcpFlags::FIN].map(|flag| u32::from(tcp.flags.contains(flag)));
    let data = u32::try_from(dissection.payload().len()).ok()?;
    let length = data + marks[0] + marks[1];
    if length > 0 {
        connection.segments.push(Segment {
            at: packet.sent_at,
            from,
            to: from.wrapping_add(length),
            again,
            lost: matches!(packet.fate, Fate::Lost { .. }),
        });
    }
    Some(())
}

impl Connection {
    /// Puts both lists in the order of time; acknowledgments only grow.
    fn settle(&mut self) {
        self.segments.sort_by_key(|segment| segment.at);
        self.acknowledged.sort_by_key(|(at, _)| *at);
        let mut highest = 0;
        self.acknowledged.retain(|(_, number)| {
            let grows = *number > highest;
            highest = highest.max(*number);
            grows
        });
    }
}
