//! What arrived of one kind: when each message first came, and how often.
//!
//! Pure: numbers and times in, a report in chunks out. Its memory is bounded by
//! the plan's count.

use std::time::Duration;

use super::protocol::{Arrival, CHUNK};
use crate::probe::{Parsed, Probe};

/// What one receive was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Got {
    /// One message, whole.
    Message,
    /// Part of a message, or several, or a damaged one.
    Bytes,
    /// Somebody else's.
    Foreign,
}

/// The arrivals of messages numbered from 1 to a known count.
#[derive(Debug)]
pub struct Ledger {
    messages: Vec<Slot>,
    arrived: u32,
    highest: u32,
    corrupted: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    first_at_ns: u64,
    copies: u16,
    out_of_order: bool,
}

impl Ledger {
    /// For so many messages.
    pub fn new(count: u32) -> Self {
        Self {
            messages: vec![Slot::default(); count as usize],
            arrived: 0,
            highest: 0,
            corrupted: 0,
        }
    }

    /// Different messages that arrived.
    pub fn arrived(&self) -> u32 {
        self.arrived
    }

    /// Messages whose checksum did not match.
    pub fn corrupted(&self) -> u32 {
        self.corrupted
    }

    /// Judges a datagram.
    pub fn datagram(&mut self, data: &[u8], now: Duration) -> Got {
        match Probe::parse(data) {
            Parsed::Whole(probe, length) if length == data.len() => self.message(&probe, now),
            Parsed::Foreign => Got::Foreign,
            Parsed::Whole(..) | Parsed::Corrupted(_) | Parsed::Incomplete => {
                self.corrupted = self.corrupted.saturating_add(1);
                Got::Bytes
            }
        }
    }

    /// Judges the messages at the start of a stream's bytes. Returns how many
    /// bytes those were, and how many messages.
    pub fn stream(&mut self, data: &[u8], now: Duration) -> (usize, usize) {
        let (mut start, mut whole) = (0, 0);
        loop {
            match Probe::parse(&data[start..]) {
                Parsed::Whole(probe, length) => {
                    self.message(&probe, now);
                    start += length;
                    whole += 1;
                }
                Parsed::Corrupted(length) => {
                    self.corrupted = self.corrupted.saturating_add(1);
                    start += length;
                }
                Parsed::Incomplete => return (start, whole),
                // Only the client writes here: a foreign byte is damage, and the
                // next message is looked for behind it.
                Parsed::Foreign => start += 1,
            }
        }
    }

    fn message(&mut self, probe: &Probe, now: Duration) -> Got {
        let index = (probe.number as usize).checked_sub(1);
        let Some(slot) = index.and_then(|index| self.messages.get_mut(index)) else {
            return Got::Foreign;
        };
        slot.copies = slot.copies.saturating_add(1);
        if slot.copies == 1 {
            slot.first_at_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
            slot.out_of_order = probe.number < self.highest;
            self.arrived += 1;
            self.highest = self.highest.max(probe.number);
        }
        Got::Message
    }

    /// What arrived, in chunks that fit into frames.
    pub fn chunks(&self) -> impl Iterator<Item = Vec<Arrival>> {
        let slots = (1_u32..).zip(&self.messages);
        let arrivals: Vec<Arrival> = slots
            .filter(|(_, slot)| slot.copies > 0)
            .map(|(number, slot)| Arrival {
                number,
                first_at_ns: slot.first_at_ns,
                copies: slot.copies,
                out_of_order: slot.out_of_order,
            })
            .collect();
        let count = arrivals.len().div_ceil(CHUNK);
        (0..count).map(move |at| {
            let end = arrivals.len().min((at + 1) * CHUNK);
            arrivals[at * CHUNK..end].to_vec()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u32) -> Vec<u8> {
        let mut bytes = vec![0; 40];
        let sent_at = Duration::ZERO;
        Probe { number, sent_at }.emit(&mut bytes);
        bytes
    }

    #[test]
    fn copies_order_damage_and_strangers_are_told_apart() {
        let mut ledger = Ledger::new(3);
        let mut damaged = message(2);
        damaged[30] ^= 1;
        for (data, got) in [
            (message(1), Got::Message),
            (message(3), Got::Message),
            (message(2), Got::Message),
            (message(2), Got::Message),
            (message(4), Got::Foreign),
            (message(0), Got::Foreign),
            (damaged, Got::Bytes),
            (b"hello".to_vec(), Got::Foreign),
        ] {
            assert_eq!(ledger.datagram(&data, Duration::from_nanos(9)), got);
        }
        assert_eq!((ledger.arrived(), ledger.corrupted()), (3, 1));
        let told: Vec<_> = ledger
            .chunks()
            .flatten()
            .map(<(u32, u64, u16, bool)>::from)
            .collect();
        assert_eq!(told, [(1, 9, 1, false), (2, 9, 2, true), (3, 9, 1, false)]);
    }

    #[test]
    fn a_stream_is_judged_piece_by_piece() {
        let mut ledger = Ledger::new(2);
        let data = [&b"noise"[..], &message(1), &message(2)[..30]].concat();
        assert_eq!(ledger.stream(&data, Duration::ZERO), (45, 1));
        assert_eq!(ledger.arrived(), 1);
    }

    #[test]
    fn no_chunk_is_longer_than_a_frame_takes() {
        let mut ledger = Ledger::new(2500);
        for number in 1..=2500 {
            ledger.datagram(&message(number), Duration::ZERO);
        }
        let lengths: Vec<_> = ledger.chunks().map(|chunk| chunk.len()).collect();
        assert_eq!(lengths, [1000, 1000, 500]);
    }
}
