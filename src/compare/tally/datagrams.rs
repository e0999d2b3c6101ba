//! What the wire did to each message that travels as a datagram, and what the
//! receiving kernel must have made of it.

use super::Observed;
use super::fragments::{Assembled, Reassembled};
use super::kernel::{Content, Handed, content, handed, handed_damaged};
use crate::compare::lane::Found;
use crate::compare::schedule::MOST_MESSAGES;
use crate::compare::{Mark, OnWire};
use crate::event::{Fate, Packet};
use crate::probe::Probe;

/// What is known of one lane's datagrams.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    /// By number, from 1.
    messages: Vec<OnWire>,
    /// Datagrams that went whole into the receiving kernel.
    observed: Observed,
}

/// How many bytes of header a datagram has before its message.
fn header(mark: Mark) -> usize {
    match mark {
        Mark::Udp(_) | Mark::Echo(_) => 8,
        Mark::Tcp(_) | Mark::Protocol(_) => 0,
    }
}

impl Datagrams {
    /// A packet from client to server that carried a whole message.
    pub(super) fn add(&mut self, mark: Mark, packet: &Packet<'_>) {
        let Some(sent) = content(&packet.bytes).filter(|sent| sent.is_of(mark)) else {
            return;
        };
        let number = number(mark, &sent);
        let bytes = packet.bytes_delivered();
        let arrived = match packet.fate {
            Fate::Delivered => packet.delivered_at.zip(content(&bytes)),
            _ => None,
        };
        let arrived = arrived.filter(|(_, arrived)| {
            arrived.destination == sent.destination && arrived.piece == sent.piece
        });
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

    /// What became of each message, and of all; those in fragments come on top.
    pub(super) fn resolve(&self, mark: Mark, apart: &[&Reassembled]) -> (Vec<OnWire>, Observed) {
        let (mut messages, mut observed) = (self.messages.clone(), self.observed);
        for datagram in apart {
            let mut whole = 0;
            for one in &datagram.assembled {
                match *one {
                    Assembled::Intact => whole += 1,
                    Assembled::Damaged { passes } => {
                        let handed = handed_damaged(mark, datagram.family, passes);
                        observed.count(Some(handed));
                    }
                    Assembled::Discordant => {}
                }
            }
            observed.intact += u64::from(whole);
            let number = datagram.number;
            let Some(message) = number.and_then(|number| at(&mut messages, number)) else {
                continue;
            };
            message.intact += whole;
            message.packets += datagram.packets.packets;
            message.copies += datagram.packets.copies;
            message.lost += datagram.packets.lost;
            message.damaged += datagram.packets.damaged;
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

/// The number of the message that begins in a packet.
pub(super) fn number(mark: Mark, content: &Content<'_>) -> Option<u32> {
    let is_first = content.piece.is_none_or(|piece| piece.offset == 0);
    let message = content.bytes.get(header(mark)..).filter(|_| is_first)?;
    Probe::number_of(message)
}

/// How many bytes of message a packet carries.
pub(super) fn payload(mark: Mark, content: &Content<'_>) -> usize {
    let is_first = content.piece.is_none_or(|piece| piece.offset == 0);
    let header = if is_first { header(mark) } else { 0 };
    content.bytes.len().saturating_sub(header)
}
