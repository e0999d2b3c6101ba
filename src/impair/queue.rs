//! The queue before a bottleneck, first in, first out: how much it holds.
//!
//! Counts the packets that wait; the one that is being served is not among them.

use std::collections::VecDeque;

use super::parcel::Parcel;
use super::settings::Capacity;

/// Packets that wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    parcels: VecDeque<Parcel>,
    bytes: u64,
}

impl Queue {
    /// Whether `parcel` fits.
    pub(super) fn has_room(&self, capacity: Capacity, parcel: &Parcel) -> bool {
        match capacity {
            Capacity::Packets(most) => {
                usize::try_from(most).is_ok_and(|most| self.parcels.len() < most)
            }
            Capacity::Bytes(most) => self.bytes + parcel.length() <= most.0,
        }
    }

    /// Puts it at the end.
    pub(super) fn push(&mut self, parcel: Parcel) {
        self.bytes += parcel.length();
        self.parcels.push_back(parcel);
    }

    /// Takes the first one out.
    pub(super) fn pop(&mut self) -> Option<Parcel> {
        let parcel = self.parcels.pop_front()?;
        self.bytes -= parcel.length();
        Some(parcel)
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes all out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Parcel> {
        self.bytes = 0;
        self.parcels.drain(..)
    }
}
