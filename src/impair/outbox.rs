//! Packets whose way has ended, by when it did, until they are polled.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use super::parcel::{Outcome, Parcel, Verdict};

/// Outcomes ordered by time, then by number.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    ended: VecDeque<Outcome>,
    /// All that ever ended.
    total: Load,
}

/// Packets, and the memory they take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

impl Load {
    /// One more.
    pub(super) fn add(&mut self, parcel: &Parcel) {
        self.packets += 1;
        self.bytes += parcel.footprint();
    }
}

impl Outbox {
    /// The packet is delivered at its `due_at`.
    pub(super) fn deliver(&mut self, parcel: Parcel) {
        self.put(Outcome {
            parcel,
            verdict: Verdict::Deliver,
        });
    }

    /// The packet is lost at `now`.
    pub(super) fn lose(&mut self, mut parcel: Parcel, now: Duration, cause: Cow<'static, str>) {
        parcel.due_at = now;
        self.put(Outcome {
            parcel,
            verdict: Verdict::Lost(cause),
        });
    }

    /// The first outcome.
    pub(super) fn first(&self) -> Option<&Outcome> {
        self.ended.front()
    }

    /// Takes the first outcome out.
    pub(super) fn pop(&mut self) -> Option<Outcome> {
        self.ended.pop_front()
    }

    /// All that ever ended.
    pub(super) fn total(&self) -> Load {
        self.total
    }

    /// Outcomes come in the order of time but for those of one instant.
    fn put(&mut self, outcome: Outcome) {
        self.total.add(&outcome.parcel);
        let later = self
            .ended
            .iter()
            .rev()
            .take_while(|other| other.parcel.key() > outcome.parcel.key())
            .count();
        if later == 0 {
            self.ended.push_back(outcome);
        } else {
            self.ended.insert(self.ended.len() - later, outcome);
        }
    }
}
