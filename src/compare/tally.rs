//! The wire's account of each kind of socket, kept as packets pass: a sink that
//! counts and keeps only the first packet that carried a message.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::event::{Event, Packet, Sink, Topic, What};
use crate::flow::{Direction, Kind};
use crate::packet::{Dissection, IpProtocol, LinkType, dissect};

/// What one kind of socket put on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct WireUse {
    /// Packets from client to server.
    pub packets_up: u64,
    /// Packets from server to client: ACKs, echo replies.
    pub packets_down: u64,
    /// Bytes of all those packets, IP headers included.
    pub bytes: u64,
    /// Packets from client to server that carried part of a message.
    pub data_packets: u64,
    /// Packets before the first that carried a message.
    pub set_up_packets: u64,
}

/// The first packet that carried a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstPacket {
    /// What its first byte belongs to.
    pub link: LinkType,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Counts packets by kind of socket.
#[derive(Debug, Default)]
pub struct WireTally(Mutex<[Entry; 3]>);

#[derive(Debug, Default)]
struct Entry {
    wire: WireUse,
    first: Option<FirstPacket>,
}

impl WireTally {
    /// What `kind` has put on the wire so far.
    pub fn of(&self, kind: Kind) -> WireUse {
        self.entries()[index(kind)].wire
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
        let dissection = dissect(packet.link, &packet.bytes);
        let Some(kind) = kind_of(&dissection) else {
            return;
        };
        self.entries()[index(kind)].count(packet, &dissection);
    }
}

impl Entry {
    fn count(&mut self, packet: &Packet<'_>, dissection: &Dissection) {
        let wire = &mut self.wire;
        wire.bytes += packet.bytes.len() as u64;
        let carries = !dissection.payload().is_empty();
        match packet.direction {
            Direction::ClientToServer => {
                wire.packets_up += 1;
                wire.data_packets += u64::from(carries);
            }
            Direction::ServerToClient => wire.packets_down += 1,
        }
        if self.first.is_none() {
            if carries {
                self.first = Some(FirstPacket {
                    link: packet.link,
                    bytes: packet.bytes.to_vec(),
                });
            } else {
                wire.set_up_packets += 1;
            }
        }
    }
}

fn kind_of(packet: &Dissection) -> Option<Kind> {
    match packet.ip()?.protocol {
        IpProtocol::TCP => Some(Kind::Tcp),
        IpProtocol::UDP => Some(Kind::Udp),
        IpProtocol::ICMP | IpProtocol::ICMPV6 => Some(Kind::Raw),
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
