//! The wire's account of each kind of socket, kept as packets pass: a sink that
//! counts and keeps only the first packet that carried a message.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::event::{Changes, Event, Fate, Packet, Sink, Topic, What};
use crate::flow::{Direction, Kind};
use crate::packet::{
    Checksums, Dissection, IcmpBody, IcmpHeader, Ip, IpProtocol, LinkType, TcpFlags, dissect_with,
};

/// Packets of both directions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Packets from client to server.
    pub packets_up: u64,
    /// Packets from server to client: ACKs, echo replies.
    pub packets_down: u64,
    /// Bytes of all those packets, IP headers included.
    pub bytes: u64,
}

/// What one kind of socket put on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct WireUse {
    /// Before the first packet that carried part of a message.
    pub set_up: Traffic,
    /// The messages, and what answered them.
    pub messages: Traffic,
    /// From the first FIN or RST on that carried nothing.
    pub closing: Traffic,
    /// Packets from client to server that carried part of a message.
    pub data_packets: u64,
    /// Of those, packets that the wire lost, changed or held for long, so that
    /// the message may not have arrived whole and in time.
    pub data_packets_harmed: u64,
    /// Copies of those that the wire made.
    pub data_packets_copied: u64,
    /// Fragments among all these packets.
    pub fragments: u64,
}

/// The first packet that carried a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstPacket {
    /// What its first byte belongs to.
    pub link: LinkType,
    /// Whether its checksums had been filled in when it was seen.
    pub checksums: Checksums,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl FirstPacket {
    /// The packet taken apart.
    pub fn dissect(&self) -> Dissection {
        dissect_with(self.link, &self.bytes, self.checksums)
    }
}

/// Counts packets by kind of socket.
#[derive(Debug, Default)]
pub struct WireTally(Mutex<[Entry; 3]>);

#[derive(Debug, Default)]
struct Entry {
    wire: WireUse,
    seen: bool,
    closing: bool,
    first: Option<FirstPacket>,
}

impl WireTally {
    /// What `kind` has put on the wire so far; `None` where no packet of it was
    /// seen.
    pub fn of(&self, kind: Kind) -> Option<WireUse> {
        let entry = &self.entries()[index(kind)];
        entry.seen.then_some(entry.wire)
    }

    /// The first packet of `kind` that carried a message.
    pub fn first(&self, kind: Kind) -> Option<FirstPacket> {
        self.entries()[index(kind)].first.clone()
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, [Entry; 3]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for WireTally {
    fn wants(&self, topic: Topic) -> bool {
        topic == Topic::Packet
    }

    fn record(&self, event: &Event<'_>) {
        let What::Packet(packet) = &event.what else {
            return;
        };
        let dissection = packet.dissect();
        let Some(kind) = kind_of(&dissection) else {
            return;
        };
        self.entries()[index(kind)].count(packet, &dissection);
    }
}

impl Entry {
    fn count(&mut self, packet: &Packet<'_>, dissection: &Dissection) {
        self.seen = true;
        let carries = !dissection.payload().is_empty();
        let is_data = carries && packet.direction == Direction::ClientToServer;
        self.wire.data_packets_harmed += u64::from(is_data && is_harmed(packet));
        // What the wire made, no socket has put on it.
        if packet.changes.copy_of.is_some() {
            self.wire.data_packets_copied += u64::from(is_data);
            return;
        }
        if carries && self.first.is_none() {
            self.first = Some(FirstPacket {
                link: packet.link,
                checksums: match packet.fate {
                    Fate::Unknown => Checksums::Pending,
                    _ => Checksums::Complete,
                },
                bytes: packet.bytes.to_vec(),
            });
        }
        self.closing |= !carries && is_end(dissection);
        let is_fragment = |ip: Ip| ip.fragment.is_some_and(|fragment| !fragment.is_whole());
        let wire = &mut self.wire;
        wire.fragments += u64::from(dissection.ip().is_some_and(is_fragment));
        let traffic = if carries {
            &mut wire.messages
        } else if self.closing {
            &mut wire.closing
        } else if self.first.is_none() {
            &mut wire.set_up
        } else {
            &mut wire.messages
        };
        traffic.bytes += packet.bytes.len() as u64;
        match packet.direction {
            Direction::ClientToServer => {
                traffic.packets_up += 1;
                wire.data_packets += u64::from(carries);
            }
            Direction::ServerToClient => traffic.packets_down += 1,
        }
    }
}

/// Whether what the wire did to a packet may cost its message.
fn is_harmed(packet: &Packet<'_>) -> bool {
    /// Receivers wait for longer than this.
    const LATE: Duration = Duration::from_millis(500);
    let Changes {
        corrupted_bit,
        truncated_to,
        ..
    } = packet.changes;
    let under_way = packet
        .delivered_at
        .map(|at| at.saturating_sub(packet.sent_at));
    matches!(packet.fate, Fate::Lost { .. } | Fate::Queued)
        || corrupted_bit.is_some()
        || truncated_to.is_some()
        || under_way.is_some_and(|under_way| under_way > LATE)
}

fn is_end(packet: &Dissection) -> bool {
    packet
        .tcp()
        .is_some_and(|tcp| tcp.flags.contains(TcpFlags::FIN) || tcp.flags.contains(TcpFlags::RST))
}

/// Which kind of socket a packet belongs to; an ICMP error, to that of the
/// packet it quotes.
fn kind_of(packet: &Dissection) -> Option<Kind> {
    if let Some(quoted) = packet.quoted() {
        return kind_of(&quoted);
    }
    let ip = packet.ip()?;
    let later_fragment = ip.fragment.is_some_and(|fragment| fragment.offset > 0);
    match ip.protocol {
        IpProtocol::TCP => Some(Kind::Tcp),
        IpProtocol::UDP => Some(Kind::Udp),
        IpProtocol::ICMP | IpProtocol::ICMPV6 => {
            let is_echo = |icmp: &IcmpHeader| matches!(icmp.body, IcmpBody::Echo { .. });
            (later_fragment || packet.icmp().is_some_and(is_echo)).then_some(Kind::Raw)
        }
        _ => None,
    }
}

fn index(kind: Kind) -> usize {
    match kind {
        Kind::Tcp => 0,
        Kind::Udp => 1,
        Kind::Raw => 2,
    }
}
