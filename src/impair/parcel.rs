//! A packet on its way through the wire: where it stands, when it is due, what
//! was changed of it, and how its way ended.
//!
//! Holds its bytes as they were sent; a second set only where they were altered.

use std::borrow::Cow;
use std::time::Duration;

use super::{corrupt, ecn};
use crate::event::{Changes, InFlow};
use crate::flow::Direction;

/// A packet on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// Its number on this wire, from 1, by arrival; a copy has its own.
    pub id: u64,
    /// Which way it goes.
    pub direction: Direction,
    /// Where it stands in its conversation; a copy stands where its original does.
    pub place: InFlow,
    /// When it entered.
    pub sent_at: Duration,
    /// When it leaves; when it was lost, where it is; while it waits in the
    /// queue of a bottleneck, when it came there.
    pub due_at: Duration,
    /// What was changed.
    pub changes: Changes,
    /// The bytes as they were sent.
    pub sent: Vec<u8>,
    /// The bytes to hand over, where they are others.
    pub altered: Option<Vec<u8>>,
}

impl Parcel {
    /// The bytes to hand over.
    pub fn bytes(&self) -> &[u8] {
        self.altered.as_deref().unwrap_or(&self.sent)
    }

    /// What packets are ordered by.
    pub(super) fn key(&self) -> (Duration, u64) {
        (self.due_at, self.id)
    }

    /// Bytes to hand over.
    pub(super) fn length(&self) -> u64 {
        u64::try_from(self.bytes().len()).unwrap_or(u64::MAX)
    }

    /// Memory that it takes, in bytes.
    pub(super) fn footprint(&self) -> u64 {
        u64::try_from(self.sent.len() + size_of::<Self>()).unwrap_or(u64::MAX)
    }

    /// A copy that the wire makes before anything happens to the packet but
    /// what is marked already.
    pub(super) fn copy(&self, id: u64) -> Self {
        Self {
            id,
            changes: Changes {
                copy_of: Some(self.id),
                ..self.changes
            },
            ..self.clone()
        }
    }

    /// Flips a bit and cuts the tail off.
    pub(super) fn damage(&mut self, corrupted_bit: Option<u64>, truncated_to: Option<usize>) {
        if let Some(bit) = corrupted_bit {
            corrupt::flip(self.alter(), bit);
            self.changes.corrupted_bit = corrupted_bit;
        }
        if let Some(length) = truncated_to {
            self.alter().truncate(length);
            self.changes.truncated_to = truncated_to;
        }
    }

    /// Sets Congestion Experienced.
    pub(super) fn mark(&mut self) {
        ecn::mark(self.alter());
        self.changes.marked = true;
    }

    /// Sets Congestion Experienced where the packet is ECN-capable; whether it is.
    pub(super) fn try_mark(&mut self) -> bool {
        let is_capable = ecn::is_capable(self.bytes());
        if is_capable {
            self.mark();
        }
        is_capable
    }

    fn alter(&mut self) -> &mut Vec<u8> {
        self.altered.get_or_insert_with(|| self.sent.clone())
    }
}

/// What became of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is to be handed over now.
    Deliver,
    /// It is lost.
    Lost(Cow<'static, str>),
}

/// A packet whose way has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The packet.
    pub parcel: Parcel,
    /// How its way ended.
    pub verdict: Verdict,
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::Parcel;
    use crate::event::{Changes, InFlow};
    use crate::flow::Direction;

    /// A packet of `length` bytes that is no IP packet.
    pub(in crate::impair) fn parcel(id: u64, length: usize) -> Parcel {
        Parcel {
            id,
            direction: Direction::ClientToServer,
            place: InFlow { flow: 1, index: id },
            sent_at: Duration::ZERO,
            due_at: Duration::ZERO,
            changes: Changes::default(),
            sent: vec![0; length],
            altered: None,
        }
    }

    #[test]
    fn a_packet_in_flight_costs_little_memory() {
        // Twice in a vector that has just grown.
        assert!(size_of::<Parcel>() <= 192, "{}", size_of::<Parcel>());
    }

    #[test]
    fn a_copy_keeps_a_mark_and_none_of_the_damage_that_comes_later() {
        let mut original = parcel(1, 20);
        original.sent[0] = 0x45;
        original.mark();
        let copy = original.copy(2);
        original.damage(Some(159), Some(5));
        assert_eq!(original.bytes().len(), 5);
        assert_eq!(copy.bytes().len(), 20);
        assert_eq!(copy.bytes()[1], 3);
        assert_eq!((copy.id, copy.changes.copy_of), (2, Some(1)));
        assert!(copy.changes.marked && copy.changes.corrupted_bit.is_none());
        assert_eq!(original.sent.len(), 20);
    }
}
