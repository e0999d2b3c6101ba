//! Delivery in bursts: packets wait for the next slot, which passes so many
//! packets or bytes at one instant.
//!
//! netem's `slot`. A packet that comes after a slot has begun opens the next
//! one, so that slots do not run on while there is nothing to deliver.

use std::collections::VecDeque;
use std::time::Duration;

use super::draw::{Key, Purpose};
use super::jitter::spread;
use super::parcel::Parcel;
use super::settings::Slot;

/// Where packets wait for their slot.
#[derive(Debug)]
pub(super) struct Gate {
    settings: Option<Slot>,
    key: Key,
    /// Slots so far.
    count: u64,
    opens_at: Duration,
    packets_left: u64,
    bytes_left: u64,
    waiting: VecDeque<Parcel>,
}

impl Gate {
    /// A gate whose first slot is at `now`.
    pub(super) fn new(settings: Option<Slot>, key: Key, now: Duration) -> Self {
        let mut gate = Self {
            settings,
            key,
            count: 0,
            opens_at: now,
            packets_left: 0,
            bytes_left: 0,
            waiting: VecDeque::new(),
        };
        gate.refill();
        gate
    }

    /// Goes over to other settings; those that wait keep their times.
    pub(super) fn change(&mut self, settings: Option<Slot>, now: Duration) {
        if self.settings == settings {
            return;
        }
        self.settings = settings;
        // Whoever comes later does not leave earlier.
        self.opens_at = self.waiting.back().map_or(now, |last| last.due_at.max(now));
        self.refill();
    }

    /// Whether packets pass as they come.
    pub(super) fn is_open(&self) -> bool {
        self.settings.is_none()
    }

    /// Takes in a packet that is due here now.
    pub(super) fn arrive(&mut self, mut parcel: Parcel) {
        if parcel.due_at > self.opens_at {
            self.open_next(parcel.due_at);
        }
        parcel.due_at = self.opens_at;
        self.packets_left = self.packets_left.saturating_sub(1);
        self.bytes_left = self.bytes_left.saturating_sub(parcel.length());
        if self.packets_left == 0 || self.bytes_left == 0 {
            self.open_next(self.opens_at);
        }
        self.waiting.push_back(parcel);
    }

    /// When the first one leaves.
    pub(super) fn due(&self) -> Option<Duration> {
        self.waiting.front().map(|parcel| parcel.due_at)
    }

    /// Takes the first one out.
    pub(super) fn leave(&mut self) -> Option<Parcel> {
        self.waiting.pop_front()
    }

    /// Takes all out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Parcel> {
        self.waiting.drain(..)
    }

    fn open_next(&mut self, from: Duration) {
        self.count += 1;
        let pause = self.settings.map_or(Duration::ZERO, |slot| {
            let draw = self.key.packet(self.count, false).unit(Purpose::Slot);
            match slot.distribution {
                Some(shape) => spread(slot.least, slot.most, shape.quantile(draw)),
                None => spread(slot.least, slot.most.saturating_sub(slot.least), draw),
            }
        });
        self.opens_at = from.saturating_add(pause);
        self.refill();
    }

    fn refill(&mut self) {
        let most = |limit: u32| match limit {
            0 => u64::MAX,
            limit => limit.into(),
        };
        self.packets_left = self.settings.map_or(u64::MAX, |slot| most(slot.packets));
        self.bytes_left = self.settings.map_or(u64::MAX, |slot| most(slot.bytes));
    }
}
