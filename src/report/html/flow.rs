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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Changes, Place};
    use crate::packet::LinkType;

    const ACK: u8 = 0x10;
    const SYN: u8 = 0x02;

    /// A segment between 10.77.0.1:1000 and 10.77.0.2:5073.
    fn packet(
        id: u64,
        direction: Direction,
        flags: u8,
        numbers: (u32, u32),
        data: &[u8],
    ) -> Packet<'static> {
        let (ports, ends) = match direction {
            Direction::ClientToServer => ([1000_u16, 5073], [1, 2]),
            Direction::ServerToClient => ([5073, 1000], [2, 1]),
        };
        let length = u16::try_from(40 + data.len()).expect("short");
        let mut bytes = vec![0x45, 0];
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        bytes.extend(ends.iter().flat_map(|end| [10, 77, 0, *end]));
        bytes.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
        bytes.extend(numbers.0.to_be_bytes());
        bytes.extend(numbers.1.to_be_bytes());
        bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        bytes.extend(data);
        let sent_at = Duration::from_millis(id);
        Packet {
            id,
            direction,
            link: LinkType::Raw,
            bytes: bytes.into(),
            sent_at,
            fate: Fate::Delivered,
            changes: Changes::default(),
            place: None,
            due_at: None,
            delivered_at: Some(sent_at + Duration::from_millis(5)),
        }
    }

    fn events(packets: Vec<Packet<'static>>) -> Vec<Event<'static>> {
        let event = |packet: Packet<'static>| Event {
            at: packet.sent_at,
            host: Place::Wire,
            what: What::Packet(packet),
        };
        packets.into_iter().map(event).collect()
    }

    #[test]
    fn a_segment_that_was_lost_is_sent_again_and_then_acknowledged() {
        use Direction::{ClientToServer as Up, ServerToClient as Down};
        // Numbers that wrap within the connection.
        let start = u32::MAX - 3;
        let first = start.wrapping_add(1);
        let lost = Packet {
            fate: Fate::Lost {
                cause: "loss".into(),
            },
            delivered_at: None,
            ..packet(4, Up, ACK, (first, 701), b"12345678")
        };
        let copy = Packet {
            changes: Changes {
                copy_of: Some(5),
                ..Changes::default()
            },
            ..packet(6, Up, ACK, (first, 701), b"12345678")
        };
        let found = connections(&events(vec![
            packet(1, Up, SYN, (start, 0), b""),
            packet(2, Down, SYN | ACK, (700, first), b""),
            packet(3, Up, ACK, (first, 701), b""),
            lost,
            packet(5, Up, ACK, (first, 701), b"12345678"),
            copy,
            packet(7, Down, ACK, (701, first.wrapping_add(8)), b""),
            packet(8, Down, ACK, (701, first.wrapping_add(8)), b""),
        ]));
        let [connection] = &found[..] else {
            panic!("one connection, not {found:?}");
        };
        assert_eq!(
            connection.client,
            "10.77.0.1:1000".parse().expect("an address")
        );
        let told: Vec<_> = connection
            .segments
            .iter()
            .map(|one| (one.from, one.to, one.again, one.lost))
            .collect();
        let expected = [
            (0, 1, false, false),
            (1, 9, false, true),
            (1, 9, true, false),
        ];
        assert_eq!(told, expected);
        let at = Duration::from_millis;
        assert_eq!(
            connection.acknowledged,
            [(at(7), 1), (at(12), 9)],
            "only what grew"
        );
        assert_eq!(
            (connection.repeats(), connection.losses(), connection.end()),
            (1, 1, 9)
        );
        assert_eq!(connection.span(), Some((at(1), at(12))));
    }
}
