//! What the wire did to each message of a stream: sequence numbers are mapped to
//! the bytes of messages, so that retransmissions are seen and head-of-line
//! blocking is measured (RFC 9293).

use std::collections::BTreeMap;
use std::time::Duration;

use super::kernel::{TCP, content};
use crate::compare::{Message, OnWire};
use crate::event::{Fate, Packet};

/// The client's segments that take part of the sequence space.
#[derive(Debug, Default)]
pub(super) struct Segments(Vec<Segment>);

#[derive(Debug, Clone, Copy)]
struct Segment {
    id: u64,
    is_copy: bool,
    sequence: u32,
    is_syn: bool,
    is_fin: bool,
    /// Bytes of data.
    data: u32,
    /// Bytes of the whole packet.
    length: u32,
    is_lost: bool,
    /// When it was handed over unharmed.
    intact_at: Option<Duration>,
}

/// What the segments amount to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Segments that the client's kernel sent again.
    pub(super) retransmitted: u64,
    /// Bytes of those that carried data, headers included.
    pub(super) retransmitted_bytes: u64,
    /// Bytes of messages, each counted the first time.
    pub(super) payload: u64,
    /// Bytes of the headers before those.
    pub(super) headers: u64,
}

impl Segments {
    /// A packet from client to server.
    pub(super) fn add(&mut self, packet: &Packet<'_>) {
        const FIN: u8 = 1;
        const SYN: u8 = 2;
        // An ICMP error about a segment is none.
        let Some(sent) = content(&packet.bytes).filter(|sent| sent.protocol == TCP) else {
            return;
        };
        let Some(header) = sent.bytes.first_chunk::<20>() else {
            return;
        };
        let data = sent
            .bytes
            .len()
            .saturating_sub(usize::from(header[12] >> 4) * 4);
        let (is_syn, is_fin) = (header[13] & SYN != 0, header[13] & FIN != 0);
        if data == 0 && !is_syn && !is_fin {
            return;
        }
        let is_delivered = packet.fate == Fate::Delivered;
        let is_sound = || content(&packet.bytes_delivered()).is_some_and(|one| one.is_sound());
        let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        self.0.push(Segment {
            id: packet.id,
            is_copy: packet.changes.copy_of.is_some(),
            sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            is_syn,
            is_fin,
            data: length(data),
            length: length(packet.bytes.len()),
            is_lost: !is_delivered && packet.fate != Fate::Unknown,
            intact_at: packet
                .delivered_at
                .filter(|_| is_delivered && (packet.changes.spare_bytes() || is_sound())),
        });
    }

    /// The segments in the order in which they entered the wire, each with the
    /// place of its first byte of data in the stream.
    fn placed(&self) -> Vec<(u64, Segment)> {
        let mut sorted = self.0.clone();
        sorted.sort_by_key(|segment| segment.id);
        let Some(syn) = sorted.iter().find(|segment| segment.is_syn) else {
            return Vec::new();
        };
        // The sequence number that the place `highest` has; a SYN takes one.
        let (mut highest, mut number) = (0_u64, syn.sequence.wrapping_add(1));
        sorted
            .iter()
            .map(|segment| {
                let first = segment.sequence.wrapping_add(u32::from(segment.is_syn));
                let ahead = i64::from(first.wrapping_sub(number).cast_signed());
                let place = highest.saturating_add_signed(ahead);
                let end = place + u64::from(segment.data) + u64::from(segment.is_fin);
                if end > highest {
                    let by = u32::try_from(end - highest).unwrap_or_default();
                    (highest, number) = (end, number.wrapping_add(by));
                }
                (place, *segment)
            })
            .collect()
    }

    /// What was sent, and what was sent again.
    pub(super) fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        let (mut highest, mut syns) = (0, 0);
        for (place, segment) in self.placed() {
            if segment.is_copy {
                continue;
            }
            let end = place + u64::from(segment.data) + u64::from(segment.is_fin);
            let is_again = if segment.is_syn {
                std::mem::replace(&mut syns, 1) > 0
            } else {
                place < highest
            };
            highest = end.max(highest);
            sums.retransmitted += u64::from(is_again);
            if segment.data == 0 {
                continue;
            }
            if is_again {
                sums.retransmitted_bytes += u64::from(segment.length);
            } else {
                sums.payload += u64::from(segment.data);
                sums.headers += u64::from(segment.length - segment.data);
            }
        }
        sums
    }

    /// Says of each message what the wire did to it, and how long it waited in
    /// the receiving kernel for an earlier one.
    pub(super) fn resolve(&self, messages: &mut [Message]) {
        let placed = self.placed();
        let mut ends = Vec::with_capacity(messages.len());
        let mut end = 0;
        for message in messages.iter() {
            end += u64::from(message.size);
            ends.push(end);
        }
        let mut on_wire = vec![OnWire::default(); messages.len()];
        for (place, segment) in &placed {
            for index in touched(&ends, *place, *place + u64::from(segment.data)) {
                let is_whole = segment.intact_at.is_some();
                on_wire[index].count(segment.is_copy, segment.is_lost, is_whole);
            }
        }
        let whole_at = whole_at(&placed, &ends);
        let mut in_order_at = Duration::ZERO;
        let mut is_open = true;
        for (index, message) in messages.iter_mut().enumerate() {
            on_wire[index].intact = u16::from(whole_at[index].is_some());
            message.wire = Some(on_wire[index]);
            match whole_at[index] {
                Some(at) if is_open => {
                    in_order_at = in_order_at.max(at);
                    let waited = in_order_at.saturating_sub(at);
                    message.waited = Some(waited).filter(|waited| !waited.is_zero());
                }
                // Nothing behind a hole that was never filled is ever read.
                _ => is_open = false,
            }
        }
    }
}

/// The messages that have any of these bytes of the stream.
fn touched(ends: &[u64], from: u64, to: u64) -> std::ops::Range<usize> {
    if from >= to {
        return 0..0;
    }
    let first = ends.partition_point(|end| *end <= from);
    let last = ends.partition_point(|end| *end < to);
    first..(last + 1).min(ends.len())
}

/// When the receiving kernel had all bytes of each message.
fn whole_at(placed: &[(u64, Segment)], ends: &[u64]) -> Vec<Option<Duration>> {
    let mut arrivals: Vec<(Duration, u64, u64, u64)> = placed
        .iter()
        .filter_map(|(place, segment)| {
            let to = *place + u64::from(segment.data);
            Some((segment.intact_at?, segment.id, *place, to))
        })
        .collect();
    arrivals.sort_unstable();
    let starts = |index: usize| if index == 0 { 0 } else { ends[index - 1] };
    let mut missing: Vec<u64> = (0..ends.len())
        .map(|index| ends[index] - starts(index))
        .collect();
    let mut whole_at = vec![None; ends.len()];
    let mut there = Covered::default();
    for (at, _, from, to) in arrivals {
        for (from, to) in there.add(from, to) {
            for index in touched(ends, from, to) {
                let part = to.min(ends[index]) - from.max(starts(index));
                missing[index] -= part;
                if missing[index] == 0 {
                    whole_at[index] = Some(at);
                }
            }
        }
    }
    whole_at
}

/// Bytes of a stream that are there: ranges that do not touch, by their starts.
#[derive(Debug, Default)]
struct Covered(BTreeMap<u64, u64>);

impl Covered {
    /// Adds a range; returns the parts of it that were not there.
    fn add(&mut self, from: u64, to: u64) -> Vec<(u64, u64)> {
        let mut fresh = Vec::new();
        let mut at = from;
        let before = self.0.range(..=from).next_back();
        let mut start = from;
        if let Some((&first, &end)) = before
            && end >= from
        {
            (start, at) = (first, end.max(from));
        }
        let inside: Vec<(u64, u64)> = self
            .0
            .range(from..=to)
            .map(|(first, end)| (*first, *end))
            .collect();
        let mut end = to.max(at);
        for (first, last) in inside {
            if first > at {
                fresh.push((at, first));
            }
            at = at.max(last);
            end = end.max(last);
            self.0.remove(&first);
        }
        if at < to {
            fresh.push((at, to));
        }
        self.0.insert(start, end);
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_byte_is_fresh_once(ranges in proptest::collection::vec((0u64..60, 1u64..20), 0..40)) {
            let mut covered = Covered::default();
            let mut there = std::collections::BTreeSet::new();
            for (from, length) in ranges {
                let fresh: Vec<u64> = covered
                    .add(from, from + length)
                    .into_iter()
                    .flat_map(|(from, to)| from..to)
                    .collect();
                let expected: Vec<u64> =
                    (from..from + length).filter(|byte| there.insert(*byte)).collect();
                prop_assert_eq!(fresh, expected);
            }
        }

        #[test]
        fn bytes_touch_the_messages_that_have_them(from in 0u64..30, length in 0u64..20) {
            let ends = [5, 6, 20, 30];
            let expected: Vec<usize> = (0..ends.len())
                .filter(|index| {
                    let start = if *index == 0 { 0 } else { ends[index - 1] };
                    from.max(start) < (from + length).min(ends[*index])
                })
                .collect();
            let found: Vec<usize> = touched(&ends, from, from + length).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
