//! What the wire did to each message that travels as a datagram, whole or in
//! fragments, and what the receiving kernel must have made of it.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::Observed;
use super::kernel::{Content, Handed, Piece, content, handed, handed_damaged};
use crate::compare::lane::Found;
use crate::compare::schedule::MOST_MESSAGES;
use crate::compare::{Mark, OnWire};
use crate::event::{Fate, Packet};
use crate::flow::Family;
use crate::probe::Probe;

/// What is known of one lane's datagrams.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    /// By number, from 1.
    messages: Vec<OnWire>,
    /// Datagrams that went whole into the receiving kernel.
    observed: Observed,
    fragments: Vec<Fragment>,
}

/// A packet that carried part of a datagram.
#[derive(Debug, Clone, Copy)]
struct Fragment {
    id: u64,
    is_copy: bool,
    piece: Piece,
    length: u32,
    family: Family,
    /// Of the message, which only the first fragment knows.
    number: Option<u32>,
    state: Arrival,
}

/// How a packet arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    Never,
    Damaged(Duration),
    Intact(Duration),
}

/// How many bytes of header a datagram has before its message.
fn header(mark: Mark) -> usize {
    match mark {
        Mark::Udp(_) | Mark::Echo(_) => 8,
        Mark::Tcp(_) | Mark::Protocol(_) => 0,
    }
}

impl Datagrams {
    /// A packet from client to server that carried part of a message.
    pub(super) fn add(&mut self, mark: Mark, packet: &Packet<'_>) {
        let Some(sent) = content(&packet.bytes).filter(|sent| sent.is_of(mark)) else {
            return;
        };
        let message = sent.bytes.get(header(mark)..).unwrap_or_default();
        let is_first = sent.piece.is_none_or(|piece| piece.offset == 0);
        let number = is_first.then(|| Probe::number_of(message)).flatten();
        let bytes = packet.bytes_delivered();
        let arrived = match packet.fate {
            Fate::Delivered => packet.delivered_at.zip(content(&bytes)),
            _ => None,
        };
        let arrived = arrived.filter(|(_, arrived)| {
            arrived.destination == sent.destination && arrived.piece == sent.piece
        });
        if let Some(piece) = sent.piece {
            self.fragments.push(Fragment {
                id: packet.id,
                is_copy: packet.changes.copy_of.is_some(),
                piece,
                length: u32::try_from(sent.bytes.len()).unwrap_or(u32::MAX),
                family: Family::of(sent.destination),
                number,
                state: match arrived {
                    None => Arrival::Never,
                    Some((at, arrived)) if arrived.bytes == sent.bytes => Arrival::Intact(at),
                    Some((at, _)) => Arrival::Damaged(at),
                },
            });
            return;
        }
        let handed = arrived.map(|(_, arrived)| handed(mark, &arrived));
        self.observed.count(handed);
        if let Some(message) = number.and_then(|number| self.message(number)) {
            let is_lost = matches!(packet.fate, Fate::Lost { .. } | Fate::Queued);
            let is_whole = arrived.is_some_and(|(_, arrived)| arrived.bytes == sent.bytes);
            message.count(packet.changes.copy_of.is_some(), is_lost, is_whole);
            message.intact += u16::from(matches!(handed, Some(Handed::Over(Found::Whole(..)))));
        }
    }

    fn message(&mut self, number: u32) -> Option<&mut OnWire> {
        at(&mut self.messages, number)
    }

    /// What became of each message, and of all.
    pub(super) fn resolve(&self, mark: Mark) -> (Vec<OnWire>, Observed) {
        let (mut messages, mut observed) = (self.messages.clone(), self.observed);
        for datagram in assemble(&self.fragments) {
            let times = reassembled(&datagram);
            let family = datagram[0].family;
            let whole = times.iter().filter(|is_intact| **is_intact).count();
            observed.intact += whole as u64;
            for _ in whole..times.len() {
                observed.count(Some(handed_damaged(mark, family)));
            }
            let number = datagram.iter().find_map(|fragment| fragment.number);
            let Some(message) = number.and_then(|number| at(&mut messages, number)) else {
                continue;
            };
            message.intact += u16::try_from(whole).unwrap_or(u16::MAX);
            for fragment in &datagram {
                let state = fragment.state;
                message.count(
                    fragment.is_copy,
                    state == Arrival::Never,
                    matches!(state, Arrival::Intact(_)),
                );
            }
        }
        (messages, observed)
    }
}

impl OnWire {
    /// One packet more.
    pub(super) fn count(&mut self, is_copy: bool, is_lost: bool, is_whole: bool) {
        self.packets += u16::from(!is_copy);
        self.copies += u16::from(is_copy);
        self.lost += u16::from(is_lost);
        self.damaged += u16::from(!is_lost && !is_whole);
    }
}

fn at(messages: &mut Vec<OnWire>, number: u32) -> Option<&mut OnWire> {
    let index = (number as usize).checked_sub(1)?;
    if number > MOST_MESSAGES {
        return None;
    }
    if messages.len() <= index {
        messages.resize(index + 1, OnWire::default());
    }
    messages.get_mut(index)
}

/// The fragments of each datagram, in the order in which they entered the wire.
/// An identification may come again, with a first fragment that is no copy.
fn assemble(fragments: &[Fragment]) -> Vec<Vec<Fragment>> {
    let mut sorted = fragments.to_vec();
    sorted.sort_by_key(|fragment| fragment.id);
    let mut datagrams: Vec<Vec<Fragment>> = Vec::new();
    let mut latest: HashMap<u32, usize> = HashMap::new();
    for fragment in sorted {
        let identification = fragment.piece.identification;
        let begins = fragment.piece.offset == 0 && !fragment.is_copy;
        match latest.get(&identification) {
            Some(&index) if !begins => datagrams[index].push(fragment),
            _ => {
                latest.insert(identification, datagrams.len());
                datagrams.push(vec![fragment]);
            }
        }
    }
    datagrams
}

/// How often the receiving kernel has all fragments of a datagram, and whether
/// all were intact then. It keeps the first of several copies, and forgets all
/// when the datagram is whole (RFC 791 section 3.2, RFC 5722).
fn reassembled(datagram: &[Fragment]) -> Vec<bool> {
    let mut arrived: Vec<(Duration, u64, &Fragment, bool)> = datagram
        .iter()
        .filter_map(|fragment| match fragment.state {
            Arrival::Never => None,
            Arrival::Intact(at) => Some((at, fragment.id, fragment, true)),
            Arrival::Damaged(at) => Some((at, fragment.id, fragment, false)),
        })
        .collect();
    arrived.sort_by_key(|(at, id, ..)| (*at, *id));
    let total = datagram
        .iter()
        .find(|fragment| !fragment.piece.more)
        .map(|last| last.piece.offset + last.length);
    let (mut there, mut have, mut is_intact) = (BTreeSet::new(), 0, true);
    let mut times = Vec::new();
    for (_, _, fragment, intact) in arrived {
        if !there.insert(fragment.piece.offset) {
            continue;
        }
        have += fragment.length;
        is_intact &= intact;
        if Some(have) == total {
            times.push(is_intact);
            there.clear();
            (have, is_intact) = (0, true);
        }
    }
    times
}

impl Observed {
    fn count(&mut self, handed: Option<Handed>) {
        match handed {
            None | Some(Handed::Nowhere) => {}
            Some(Handed::Refused) => self.refused += 1,
            Some(Handed::Over(Found::Whole(..))) => self.intact += 1,
            Some(Handed::Over(Found::Damaged)) => self.damaged += 1,
        }
    }
}

/// How many bytes of message a packet carries.
pub(super) fn payload(mark: Mark, content: &Content<'_>) -> usize {
    let is_first = content.piece.is_none_or(|piece| piece.offset == 0);
    let header = if is_first { header(mark) } else { 0 };
    content.bytes.len().saturating_sub(header)
}
