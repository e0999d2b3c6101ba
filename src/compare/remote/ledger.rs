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
    seen: Vec<bool>,
    arrivals: Vec<Arrival>,
    different: u32,
    unlisted_copies: u64,
    corrupted: u32,
}

/// Copies of each message that are noted, on average.
const COPIES: usize = 3;

impl Ledger {
    /// For so many messages.
    pub fn new(count: u32) -> Self {
        Self {
            seen: vec![false; count as usize],
            arrivals: Vec::new(),
            different: 0,
            unlisted_copies: 0,
            corrupted: 0,
        }
    }

    /// Different messages that arrived.
    pub fn arrived(&self) -> u32 {
        self.different
    }

    /// Copies beyond those that are noted.
    pub fn unlisted_copies(&self) -> u64 {
        self.unlisted_copies
    }

    /// Messages whose checksum did not match.
    pub fn corrupted(&self) -> u32 {
        self.corrupted
    }

    /// Judges a datagram.
    pub fn datagram(&mut self, data: &[u8], now: Duration) -> Got {
        match Probe::parse(data) {
            Parsed::Whole(probe, length) if length == data.len() => {
                self.message(&probe, length, now)
            }
            // Only the client sends here: what is no message was one.
            _ => {
                self.damaged();
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
                    self.message(&probe, length, now);
                    start += length;
                    whole += 1;
                }
                Parsed::Corrupted(length) => {
                    self.damaged();
                    start += length;
                }
                Parsed::Incomplete => return (start, whole),
                // Only the client writes here: a foreign byte is damage, and the
                // next message is looked for behind it.
                Parsed::Foreign => start += 1,
            }
        }
    }

    /// One message, whole.
    pub fn message(&mut self, probe: &Probe, length: usize, now: Duration) -> Got {
        let index = (probe.number as usize).checked_sub(1);
        let Some(seen) = index.and_then(|index| self.seen.get_mut(index)) else {
            return Got::Foreign;
        };
        let is_copy = std::mem::replace(seen, true);
        self.different += u32::from(!is_copy);
        let copies = self.arrivals.len() - self.different.saturating_sub(1) as usize;
        if is_copy && copies >= self.seen.len() * COPIES {
            self.unlisted_copies += 1;
            return Got::Message;
        }
        self.arrivals.push(Arrival {
            number: probe.number,
            bytes: u32::try_from(length).unwrap_or(u32::MAX),
            at_ns: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
        });
        Got::Message
    }

    /// A message whose checksum does not match.
    pub fn damaged(&mut self) {
        self.corrupted = self.corrupted.saturating_add(1);
    }

    /// What arrived, in chunks that fit into frames.
    pub fn chunks(&self) -> impl Iterator<Item = &[Arrival]> {
        self.arrivals.chunks(CHUNK)
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
            (b"hello".to_vec(), Got::Bytes),
        ] {
            assert_eq!(ledger.datagram(&data, Duration::from_nanos(9)), got);
        }
        assert_eq!((ledger.arrived(), ledger.corrupted()), (3, 2));
        let numbers: Vec<_> = ledger.chunks().flatten().map(|one| one.number).collect();
        assert_eq!(numbers, [1, 3, 2, 2]);
    }

    #[test]
    fn copies_without_end_are_counted_and_not_kept() {
        let mut ledger = Ledger::new(2);
        for _ in 0..100 {
            ledger.datagram(&message(1), Duration::ZERO);
        }
        ledger.datagram(&message(2), Duration::ZERO);
        let kept = ledger.chunks().flatten().count() as u64;
        assert!(kept <= 2 + 2 * COPIES as u64 + 1, "{kept}");
        assert_eq!(kept + ledger.unlisted_copies(), 101);
        assert_eq!(ledger.arrived(), 2);
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
        let lengths: Vec<_> = ledger.chunks().map(<[Arrival]>::len).collect();
        assert_eq!(lengths, [1000, 1000, 500]);
    }
}
