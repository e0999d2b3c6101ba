//! Datagrams in fragments: which belong together, and what the receiving kernel
//! makes of them, as Linux reassembles (RFC 791 section 3.2, RFC 8200 section
//! 4.5, `net/ipv4/ip_fragment.c`).
//!
//! Pure.

use std::collections::{BTreeSet, HashMap};

use super::datagrams::number;
use super::kernel::{Piece, content};
use crate::compare::{Mark, OnWire};
use crate::event::{Fate, Packet};
use crate::flow::Family;
use crate::packet::checksum::Sum;

/// All fragments of all lanes.
#[derive(Debug, Default)]
pub(super) struct Fragments(Vec<Fragment>);

/// A packet that carried part of a datagram.
#[derive(Debug, Clone, Copy)]
struct Fragment {
    id: u64,
    /// Its place in the order of hand-over.
    told: u64,
    /// Which lane's it is.
    lane: usize,
    is_copy: bool,
    piece: Piece,
    length: u32,
    family: Family,
    protocol: u8,
    /// Of the message, which only the first fragment knows.
    number: Option<u32>,
    is_lost: bool,
    arrival: Option<Arrival>,
}

/// How a fragment arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Arrival {
    is_intact: bool,
    /// By how much the damage moves the sum that a checksum is taken over, as
    /// ones' complement arithmetic has it: damage to two fragments may cancel.
    drift: u32,
    /// Whether its ECN field is not the one that it was sent with.
    is_remarked: bool,
    /// Whether it says of itself that it belongs elsewhere in the datagram.
    is_misplaced: bool,
}

/// What became of one datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reassembled {
    pub(super) lane: usize,
    pub(super) family: Family,
    pub(super) number: Option<u32>,
    pub(super) packets: OnWire,
    /// Each time that the kernel had all fragments.
    pub(super) assembled: Vec<Assembled>,
}

/// What becomes of a datagram whose fragments are all there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Assembled {
    Intact,
    Damaged {
        /// Whether the checksum is right all the same.
        passes: bool,
    },
    /// The kernel throws fragments of different ECN away (RFC 3168 section 5.3).
    Discordant,
}

impl Fragments {
    /// A fragment from client to server.
    pub(super) fn add(&mut self, lane: usize, mark: Mark, (told, packet): (u64, &Packet<'_>)) {
        let Some(sent) = content(&packet.bytes).filter(|sent| sent.is_of(mark)) else {
            return;
        };
        let Some(piece) = sent.piece else {
            return;
        };
        let bytes = packet.bytes_delivered();
        let arrived = content(&bytes)
            .filter(|_| packet.fate == Fate::Delivered)
            .filter(|one| one.destination == sent.destination && one.source == sent.source)
            .filter(|one| {
                let identification = one.piece.map(|piece| piece.identification);
                identification == Some(piece.identification)
            });
        self.0.push(Fragment {
            id: packet.id,
            told,
            lane,
            is_copy: packet.changes.copy_of.is_some(),
            piece,
            length: u32::try_from(sent.bytes.len()).unwrap_or(u32::MAX),
            family: Family::of(sent.destination),
            protocol: sent.protocol,
            number: number(mark, &sent),
            is_lost: matches!(packet.fate, Fate::Lost { .. } | Fate::Queued),
            arrival: arrived.map(|arrived| Arrival {
                is_intact: arrived.bytes == sent.bytes,
                drift: drift(sent.bytes, arrived.bytes),
                is_remarked: arrived.ecn != sent.ecn,
                is_misplaced: arrived.piece != sent.piece || arrived.protocol != sent.protocol,
            }),
        });
    }

    /// What became of each datagram.
    pub(super) fn resolve(&self) -> Vec<Reassembled> {
        let (mut datagrams, whose) = self.assemble();
        let mut queues: Vec<Queue> = vec![Queue::default(); datagrams.len()];
        let totals = self.totals(&whose, datagrams.len());
        let mut received = 0;
        let mut told: Vec<(&Fragment, usize)> = self.0.iter().zip(whose).collect();
        told.sort_by_key(|(fragment, _)| fragment.told);
        for (fragment, index) in told {
            let datagram = &mut datagrams[index];
            datagram.number = datagram.number.or(fragment.number);
            let is_intact = fragment.arrival.is_some_and(|arrival| arrival.is_intact);
            datagram
                .packets
                .count(fragment.is_copy, fragment.is_lost, is_intact);
            if fragment.arrival.is_some() {
                received += 1;
                let assembled = queues[index].take(fragment, received, totals[index]);
                datagram.assembled.extend(assembled);
            }
        }
        datagrams
    }

    /// The datagrams, and which of them each fragment belongs to. Fragments enter
    /// the wire in the order of their numbers; an identification may come again,
    /// with a first fragment that is no copy.
    fn assemble(&self) -> (Vec<Reassembled>, Vec<usize>) {
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_by_key(|index| self.0[*index].id);
        let mut datagrams = Vec::new();
        let mut whose = vec![0; self.0.len()];
        let mut latest: HashMap<(u8, u32), usize> = HashMap::new();
        for at in order {
            let fragment = &self.0[at];
            let key = (fragment.protocol, fragment.piece.identification);
            let begins = fragment.piece.offset == 0 && !fragment.is_copy;
            whose[at] = match latest.get(&key) {
                Some(&index) if !begins => index,
                _ => {
                    latest.insert(key, datagrams.len());
                    datagrams.push(Reassembled {
                        lane: fragment.lane,
                        family: fragment.family,
                        number: None,
                        packets: OnWire::default(),
                        assembled: Vec::new(),
                    });
                    datagrams.len() - 1
                }
            };
        }
        (datagrams, whose)
    }

    /// The length of each datagram.
    fn totals(&self, whose: &[usize], count: usize) -> Vec<Option<u32>> {
        let mut totals = vec![None; count];
        for (fragment, &index) in self.0.iter().zip(whose) {
            if !fragment.piece.more {
                totals[index] = Some(fragment.piece.offset + fragment.length);
            }
        }
        totals
    }
}

/// What the kernel has of one datagram.
#[derive(Debug, Clone, Default)]
struct Queue {
    there: BTreeSet<u32>,
    parts: Vec<Arrival>,
    have: u32,
    /// How many fragments the host had received with the last of these.
    last: u64,
}

impl Queue {
    /// IPv4 gives up what it has of a datagram when so many fragments of the
    /// same sender came in between (`net.ipv4.ipfrag_max_dist`).
    const FARTHEST: u64 = 64;

    /// Takes the host's `received`th fragment. Of several copies the first
    /// stays; all is forgotten when the datagram is whole.
    fn take(
        &mut self,
        fragment: &Fragment,
        received: u64,
        total: Option<u32>,
    ) -> Option<Assembled> {
        let is_far = received - self.last > Self::FARTHEST;
        if is_far && fragment.family == Family::Ipv4 {
            *self = Self::default();
        }
        self.last = received;
        let arrival = fragment.arrival?;
        if arrival.is_misplaced {
            // It overlaps others, or makes the datagram longer: the kernel throws
            // all of it away (RFC 5722).
            *self = Self::default();
            return None;
        }
        if !self.there.insert(fragment.piece.offset) {
            return None;
        }
        self.have += fragment.length;
        self.parts.push(arrival);
        if Some(self.have) != total {
            return None;
        }
        Some(joined(&std::mem::take(self).parts))
    }
}

fn joined(parts: &[Arrival]) -> Assembled {
    let remarked = parts.iter().filter(|part| part.is_remarked).count();
    if remarked > 0 && remarked < parts.len() {
        return Assembled::Discordant;
    }
    if parts.iter().all(|part| part.is_intact) {
        return Assembled::Intact;
    }
    let drift: u32 = parts.iter().map(|part| part.drift).sum();
    Assembled::Damaged {
        passes: drift.is_multiple_of(MODULUS),
    }
}

/// Ones' complement sums of 16 bits are sums modulo this.
const MODULUS: u32 = 0xffff;

/// Fragments begin at even places, so that their sums may be added.
fn drift(sent: &[u8], arrived: &[u8]) -> u32 {
    let sum = |bytes| u32::from(Sum::new().bytes(bytes).checksum());
    // A checksum is the complement of the sum.
    (sum(sent) + MODULUS - sum(arrived)) % MODULUS
}
