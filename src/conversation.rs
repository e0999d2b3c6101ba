//! The wire's own account of a run: what each direction carried, counted from
//! packets alone (RFC 9293, RFC 768, RFC 791, RFC 8200).
//!
//! Knows nothing of sockets or kernels, so that the programs' figures and the
//! kernel's can be held against it. Counts what was offered to the wire; what
//! was lost there is counted besides, copies the wire made are not offered.

use std::collections::HashMap;
use std::ops::Range;

use serde::Serialize;

use crate::event::{Event, Fate, Packet, What};
use crate::flow::Direction;
use crate::packet::{
    Checksums, Dissection, Endpoints, IpProtocol, Protocol, TcpFlags, TcpHeader, dissect_with,
};

/// What one direction count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Packets offered to the wire.
    pub packets: u64,
    /// Their bytes, IP headers included.
    pub bytes: u64,
    /// Packets of those that the wire lost.
    pub lost: u64,
    /// Application data in bytes, each time that it was sent.
    pub payload_bytes: u64,
    /// TCP segments with data.
    pub tcp_data_segments: u64,
    /// TCP segments that only acknowledge.
    pub tcp_pure_acks: u64,
    /// TCP segments with SYN.
    pub tcp_syns: u64,
    /// TCP segments with FIN.
    pub tcp_fins: u64,
    /// TCP segments with RST.
    pub tcp_resets: u64,
    /// TCP segments whose sequence numbers had all or partly been sent before.
    pub tcp_retransmissions: u64,
    /// UDP datagrams, one that was sent in fragments once.
    pub udp_datagrams: u64,
    /// IP fragments.
    pub fragments: u64,
    /// ICMP and ICMPv6 packets.
    pub icmp_packets: u64,
}

impl Count {
    /// Bytes that are not application data.
    pub fn header_bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.payload_bytes)
    }
}

/// The account of both directions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WireAccount {
    /// From client to server.
    pub client_to_server: Count,
    /// From server to client.
    pub server_to_client: Count,
    /// What each TCP direction has sent so far, relative to its first number.
    #[serde(skip)]
    sent: HashMap<Endpoints, Sent>,
}

/// How far one TCP direction has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    /// The first sequence number that has not been sent.
    next: u32,
}

impl WireAccount {
    /// The account of all packets among `events`, in their order.
    pub fn of(events: &[Event<'_>]) -> Self {
        let mut account = Self::default();
        for event in events {
            if let What::Packet(packet) = &event.what {
                account.add(packet);
            }
        }
        account
    }

    /// Counts one more packet.
    pub fn add(&mut self, packet: &Packet<'_>) {
        if packet.changes.copy_of.is_some() {
            return;
        }
        let checksums = match packet.fate {
            Fate::Unknown => Checksums::Pending,
            _ => Checksums::Complete,
        };
        let dissection = dissect_with(packet.link, &packet.bytes, checksums);
        let is_retransmission = self.observe(&dissection);
        let count = match packet.direction {
            Direction::ClientToServer => &mut self.client_to_server,
            Direction::ServerToClient => &mut self.server_to_client,
        };
        count.packets += 1;
        count.bytes += network_length(&dissection, packet.bytes.len());
        count.lost += u64::from(matches!(packet.fate, Fate::Lost { .. }));
        count.tcp_retransmissions += u64::from(is_retransmission);
        count.count(&dissection);
    }

    /// What one direction count.
    pub fn direction(&self, direction: Direction) -> &Count {
        match direction {
            Direction::ClientToServer => &self.client_to_server,
            Direction::ServerToClient => &self.server_to_client,
        }
    }

    /// Learns how far a TCP direction has come; says whether this segment
    /// repeats any of it.
    fn observe(&mut self, dissection: &Dissection) -> bool {
        let (Some(tcp), Some(ends)) = (dissection.tcp(), dissection.endpoints()) else {
            return false;
        };
        if tcp.flags.contains(TcpFlags::RST) {
            return false;
        }
        let taken = sequence_range(tcp, dissection.payload().len());
        let is_new = tcp.flags.contains(TcpFlags::SYN) && !tcp.flags.contains(TcpFlags::ACK);
        let before = self.sent.get(&ends).map(|sent| sent.next);
        // The same ports with another first number are a new conversation.
        let restarts = |next: u32| is_new && tcp.sequence != next.wrapping_sub(1);
        match before {
            Some(next) if !restarts(next) => {
                let repeats = taken.start != taken.end && is_before(taken.start, next);
                if is_before(next, taken.end) {
                    self.sent.insert(ends, Sent { next: taken.end });
                }
                repeats
            }
            _ => {
                self.sent.insert(ends, Sent { next: taken.end });
                false
            }
        }
    }
}

impl Count {
    fn count(&mut self, dissection: &Dissection) {
        let fragment = dissection.ip().and_then(|ip| ip.fragment);
        self.fragments += u64::from(fragment.is_some());
        let payload = dissection.payload().len() as u64;
        if let Some(tcp) = dissection.tcp() {
            self.count_segment(tcp, payload);
        } else if speaks(dissection, IpProtocol::UDP) {
            // Only a datagram's first fragment counts as the datagram.
            self.udp_datagrams += u64::from(fragment.is_none_or(|fragment| fragment.offset == 0));
            self.payload_bytes += payload;
        } else if speaks(dissection, IpProtocol::ICMP) || speaks(dissection, IpProtocol::ICMPV6) {
            self.icmp_packets += 1;
            // An error's quotation is the kernels' talk, an echo's data is ours.
            if dissection.quoted().is_none() {
                self.payload_bytes += payload;
            }
        } else {
            self.payload_bytes += payload;
        }
    }

    fn count_segment(&mut self, tcp: &TcpHeader, payload: u64) {
        let has = |flag| tcp.flags.contains(flag);
        let marks = [
            (TcpFlags::SYN, &mut self.tcp_syns),
            (TcpFlags::FIN, &mut self.tcp_fins),
            (TcpFlags::RST, &mut self.tcp_resets),
        ];
        let mut is_mark = false;
        for (flag, count) in marks {
            *count += u64::from(has(flag));
            is_mark |= has(flag);
        }
        self.payload_bytes += payload;
        self.tcp_data_segments += u64::from(payload > 0);
        self.tcp_pure_acks += u64::from(payload == 0 && !is_mark && has(TcpFlags::ACK));
    }
}

fn speaks(dissection: &Dissection, protocol: IpProtocol) -> bool {
    dissection.ip().is_some_and(|ip| ip.protocol == protocol)
}

/// The packet's length without what the link added.
fn network_length(dissection: &Dissection, length: usize) -> u64 {
    let is_link = |protocol| matches!(protocol, Protocol::Ethernet | Protocol::Vlan);
    let link: usize = dissection
        .own()
        .filter(|layer| is_link(layer.protocol))
        .map(|layer| layer.range.len())
        .sum();
    length.saturating_sub(link) as u64
}

/// The sequence numbers that a segment takes: its data, and one each for SYN
/// and FIN (RFC 9293 section 3.4).
fn sequence_range(tcp: &TcpHeader, payload: usize) -> Range<u32> {
    let marks = [TcpFlags::SYN, TcpFlags::FIN];
    let marks = marks.iter().filter(|flag| tcp.flags.contains(**flag));
    let taken = payload + marks.count();
    let end = tcp
        .sequence
        .wrapping_add(u32::try_from(taken).unwrap_or(u32::MAX));
    tcp.sequence..end
}

/// Whether one sequence number comes before another, modulo 2³² (RFC 9293
/// section 3.4).
fn is_before(one: u32, other: u32) -> bool {
    other.wrapping_sub(one).wrapping_sub(1) < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_wrap() {
        assert!(is_before(1, 2));
        assert!(!is_before(2, 2));
        assert!(!is_before(2, 1));
        assert!(is_before(u32::MAX, 3));
        assert!(!is_before(3, u32::MAX));
    }
}
