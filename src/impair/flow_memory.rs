//! What the wire remembers of one flow in one direction: the last correlated
//! draws, the state of the loss model, the gap of reorder, the counts of the
//! rules, the highest sequence number, the furthest packet delivered.

use std::cmp::Ordering;

use super::draw::{Draws, Key, Last, Purpose};
use super::loss::LossMemory;
use super::selector::{Rule, Seen};
use super::settings::{Reorder, Settings};
use crate::flow::Direction;
use crate::packet::{Heading, TcpFlags, Transport};

/// One flow's memory in one direction.
#[derive(Debug, Default)]
pub(super) struct FlowMemory {
    /// What its draws are keyed by.
    pub(super) key: Key,
    pub(super) models: Models,
    /// How many packets each rule has described.
    counts: Vec<u64>,
    /// Where the next new byte is expected, and the connection's first number.
    sequence: Option<(u32, u32)>,
    /// The highest index delivered so far.
    furthest: u64,
}

/// What the models remember.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Models {
    pub(super) duplicate: Last,
    pub(super) loss: LossMemory,
    pub(super) corrupt: Last,
    pub(super) truncate: Last,
    pub(super) delay: Last,
    pub(super) reorder: Gap,
}

impl Models {
    /// Forgets what a model knew whose settings changed.
    fn change(&mut self, before: &Settings, after: &Settings) {
        let fresh = Self::default();
        if before.duplicate != after.duplicate {
            self.duplicate = fresh.duplicate;
        }
        if before.loss != after.loss {
            self.loss = fresh.loss;
        }
        if before.corrupt != after.corrupt {
            self.corrupt = fresh.corrupt;
        }
        if before.truncate != after.truncate {
            self.truncate = fresh.truncate;
        }
        if before.delay != after.delay {
            self.delay = fresh.delay;
        }
        if before.reorder != after.reorder {
            self.reorder = fresh.reorder;
        }
    }
}

/// Reorder's memory.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gap {
    last: Last,
    /// Packets delayed since the last one that was not.
    delayed: u32,
}

impl Gap {
    /// Whether the next packet overtakes: at least `gap - 1` were delayed since
    /// the last one that did, and its draw says so.
    pub(super) fn decide(&mut self, reorder: Option<Reorder>, draws: Draws) -> bool {
        let Some(Reorder { chance, gap }) = reorder else {
            return false;
        };
        let overtakes = self.delayed >= gap.saturating_sub(1)
            && self.last.decide(chance, draws, Purpose::Reorder);
        self.delayed = if overtakes {
            0
        } else {
            self.delayed.saturating_add(1)
        };
        overtakes
    }
}

impl FlowMemory {
    /// Forgets what depends on settings that changed.
    pub(super) fn change(&mut self, before: &Settings, after: &Settings) {
        self.models.change(before, after);
        if before.rules != after.rules {
            self.counts.clear();
        }
    }

    /// The first rule that takes the packet. Each rule counts what it describes,
    /// whether another one took it or not.
    pub(super) fn rule<'a>(
        &mut self,
        rules: &'a [Rule],
        direction: Direction,
        heading: &Heading,
    ) -> Option<&'a Rule> {
        let seen = Seen {
            direction,
            heading,
            is_retransmission: self.is_retransmission(heading),
        };
        self.counts.resize(rules.len(), 0);
        let mut first = None;
        for (rule, count) in rules.iter().zip(&mut self.counts) {
            if rule.selector.describes(seen) {
                *count += 1;
                if first.is_none() && rule.selector.takes(*count) {
                    first = Some(rule);
                }
            }
        }
        first
    }

    /// Notes that the packet at `index` is delivered; whether one that entered
    /// later was so before (RFC 4737 section 3.3).
    pub(super) fn is_reordered(&mut self, index: u64) -> bool {
        let is_late = index < self.furthest;
        self.furthest = self.furthest.max(index);
        is_late
    }

    /// Whether a TCP segment begins before the end of an earlier one. Sequence
    /// numbers wrap (RFC 9293 section 3.4).
    fn is_retransmission(&mut self, heading: &Heading) -> bool {
        let Transport::Tcp {
            flags,
            sequence,
            data,
            ..
        } = heading.transport
        else {
            return false;
        };
        let is_syn = flags.contains(TcpFlags::SYN);
        let length = data + usize::from(is_syn) + usize::from(flags.contains(TcpFlags::FIN));
        if length == 0 {
            return false;
        }
        let end = sequence.wrapping_add(u32::try_from(length).unwrap_or(u32::MAX));
        match self.sequence {
            // A connection between the same ends as an earlier one begins anew.
            Some((_, first)) if is_syn && first != sequence => {
                self.sequence = Some((end, sequence));
                false
            }
            Some((highest, first)) => {
                if order(end, highest) == Ordering::Greater {
                    self.sequence = Some((end, first));
                }
                order(sequence, highest) == Ordering::Less
            }
            None => {
                self.sequence = Some((end, sequence));
                false
            }
        }
    }
}

/// Which of two sequence numbers comes first.
fn order(one: u32, other: u32) -> Ordering {
    one.wrapping_sub(other).cast_signed().cmp(&0)
}
