//! Relative sequence numbers: what each direction of each TCP conversation
//! began with (RFC 9293 section 3.4).
//!
//! Fed packets in order; never keeps a packet.

use std::collections::HashMap;

use super::checksum::Status;
use super::dissection::{Dissection, Endpoints, Protocol};
use super::tcp::{TcpFlags, TcpHeader};

/// Where sequence numbers count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Numbering {
    /// From each direction's SYN, which is 0.
    #[default]
    Relative,
    /// As they are in the packet.
    Absolute,
}

/// What a segment's numbers count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// Subtract it (modulo 2³²) from the sequence number.
    pub sequence: u32,
    /// Subtract it (modulo 2³²) from the acknowledgment number and from
    /// selective acknowledgments.
    pub acknowledgment: u32,
}

/// The initial sequence numbers of all conversations seen so far.
///
/// Where no SYN was seen, the first number of a direction counts as 1, as
/// Wireshark has it. A packet with a wrong checksum changes nothing that is
/// known. Grows with the number of conversations and forgets none.
#[derive(Debug, Clone, Default)]
pub struct Conversations {
    initial: HashMap<Endpoints, u32>,
}

impl Conversations {
    /// None seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Learns from the next packet.
    pub fn observe(&mut self, dissection: &Dissection) {
        let Some((forth, tcp)) = segment(dissection) else {
            return;
        };
        let back = forth.reversed();
        if tcp.flags.contains(TcpFlags::SYN) {
            let known = *self.initial.entry(forth).or_insert(tcp.sequence);
            if known != tcp.sequence && !is_corrupt(dissection) {
                self.initial.insert(forth, tcp.sequence);
                // The same ports once more: a new conversation.
                if !tcp.flags.contains(TcpFlags::ACK) {
                    self.initial.remove(&back);
                }
            }
        }
        self.initial
            .entry(forth)
            .or_insert(tcp.sequence.wrapping_sub(1));
        if tcp.flags.contains(TcpFlags::ACK) {
            self.initial
                .entry(back)
                .or_insert(tcp.acknowledgment.wrapping_sub(1));
        }
    }

    /// What this packet's numbers count from. A direction that is not known
    /// counts from zero, that is, absolutely.
    pub fn origin(&self, dissection: &Dissection) -> Origin {
        let Some(forth) = dissection.endpoints() else {
            return Origin::default();
        };
        Origin {
            sequence: self.initial.get(&forth).copied().unwrap_or_default(),
            acknowledgment: self
                .initial
                .get(&forth.reversed())
                .copied()
                .unwrap_or_default(),
        }
    }

    /// Says beside a segment's absolute numbers what they are relative to its
    /// conversation.
    pub fn explain(&self, dissection: &mut Dissection) {
        let origin = self.origin(dissection);
        let own = dissection.layers.iter_mut().filter(|layer| !layer.quoted);
        for field in own.flat_map(|layer| &mut layer.fields) {
            let base = match field.key {
                "tcp.seq_raw" => origin.sequence,
                "tcp.ack_raw" => origin.acknowledgment,
                _ => continue,
            };
            let number = field.value.number().and_then(|raw| u32::try_from(raw).ok());
            if let (Some(number), 1..) = (number, base) {
                let relative = number.wrapping_sub(base);
                field.meaning = Some(format!("relative {relative}").into());
            }
        }
    }
}

fn is_corrupt(dissection: &Dissection) -> bool {
    dissection
        .own()
        .filter(|layer| layer.protocol == Protocol::Tcp)
        .any(|layer| matches!(layer.checksum, Some(Status::Bad { .. })))
}

fn segment(dissection: &Dissection) -> Option<(Endpoints, &TcpHeader)> {
    Some((dissection.endpoints()?, dissection.tcp()?))
}
