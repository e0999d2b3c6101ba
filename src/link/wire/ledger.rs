//! The wire's count of what it carried: by flow and direction, and how
//! punctual it was.
//!
//! Counts; decides nothing. Its memory grows with the number of flows only.

use std::borrow::Cow;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::event::{Changes, Fate, InFlow};
use crate::flow::Direction;
use crate::impair::{FlowName, Parcel};
use crate::link::account::{Carried, FlowAccount, Lateness, NOT_IP, Traffic, WireCount};

/// Nanoseconds that no packet is late by: a minute. What is, counts as that.
const LATEST: u64 = 60_000_000_000;

/// The count so far.
pub(super) struct Ledger {
    /// By flow; flow 1 is the first.
    flows: Vec<Carried>,
    /// Nanoseconds from due to handed over, to three digits; the least is 1.
    lateness: Histogram<u64>,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            flows: Vec::new(),
            lateness: Histogram::new_with_bounds(1, LATEST, 3)
                .unwrap_or_else(|_| unreachable!("these bounds are valid")),
        }
    }

    /// A packet entered.
    pub(super) fn offered(&mut self, direction: Direction, place: InFlow, length: usize) {
        self.traffic(direction, place).offered.count(length);
    }

    /// A packet that entered passed as it is, or was refused by the device.
    pub(super) fn passed(
        &mut self,
        direction: Direction,
        place: InFlow,
        length: usize,
        fate: &Fate,
    ) {
        let traffic = self.traffic(direction, place);
        traffic.offered.count(length);
        match fate {
            Fate::Delivered => traffic.delivered.count(length),
            fate => turned_away(traffic, length, fate),
        }
    }

    /// A packet was handed over at `now`.
    pub(super) fn delivered(&mut self, parcel: &Parcel, now: Duration) {
        let length = parcel.bytes().len();
        let traffic = self.began(parcel);
        traffic.delivered.count(length);
        traffic.truncated_bytes += (parcel.sent.len() - length) as u64;
        let Changes {
            corrupted_bit,
            truncated_to,
            marked,
            hastened,
            reordered,
            copy_of: _,
        } = parcel.changes;
        let is_held = parcel.due_at > parcel.sent_at;
        let changed = &mut traffic.changed;
        changed.corrupted += u64::from(corrupted_bit.is_some());
        changed.truncated += u64::from(truncated_to.is_some());
        changed.delayed += u64::from(is_held);
        changed.hastened += u64::from(hastened);
        changed.reordered += u64::from(reordered);
        changed.marked += u64::from(marked);
        if is_held {
            let late = now.saturating_sub(parcel.due_at).as_nanos();
            self.lateness
                .saturating_record(u64::try_from(late).unwrap_or(u64::MAX));
        }
    }

    /// A packet was lost on purpose.
    pub(super) fn lost(&mut self, parcel: &Parcel, cause: Cow<'static, str>) {
        let length = parcel.sent.len();
        let lost = &mut self.began(parcel).lost;
        lost.entry(cause).or_default().count(length);
    }

    /// A packet was refused by the device.
    pub(super) fn refused(&mut self, parcel: &Parcel, fate: &Fate) {
        let length = parcel.sent.len();
        turned_away(self.began(parcel), length, fate);
    }

    /// A packet was still under way when the wire stopped.
    pub(super) fn queued(&mut self, parcel: &Parcel) {
        let length = parcel.sent.len();
        self.began(parcel).queued.count(length);
    }

    /// All of it, with the flows' names.
    pub(super) fn count(&self, names: &[FlowName]) -> WireCount {
        let mut wire = Carried::default();
        for carried in &self.flows {
            wire.add(carried);
        }
        let flows = (1..).zip(names.iter().zip(&self.flows));
        WireCount {
            wire,
            flows: flows
                .map(|(flow, (name, carried))| FlowAccount {
                    flow,
                    name: name.clone(),
                    carried: carried.clone(),
                })
                .collect(),
            under_way: 0,
            overrun: 0,
            lateness: Lateness {
                packets: self.lateness.len(),
                p50: Duration::from_nanos(self.lateness.value_at_quantile(0.5)),
                p99: Duration::from_nanos(self.lateness.value_at_quantile(0.99)),
                max: Duration::from_nanos(self.lateness.max()),
            },
        }
    }

    /// The traffic of a packet whose way has ended. A copy was not offered, and
    /// so is counted as coming into being here.
    fn began(&mut self, parcel: &Parcel) -> &mut Traffic {
        let traffic = self.traffic(parcel.direction, parcel.place);
        if parcel.changes.copy_of.is_some() {
            traffic.copied.count(parcel.sent.len());
        }
        traffic
    }

    fn traffic(&mut self, direction: Direction, place: InFlow) -> &mut Traffic {
        let index = place.flow.saturating_sub(1) as usize;
        if index >= self.flows.len() {
            self.flows.resize_with(index + 1, Carried::default);
        }
        self.flows[index].count(direction)
    }
}

/// Counts a packet that the device refused: as the link's own loss, unless it was
/// none that any device takes.
fn turned_away(traffic: &mut Traffic, length: usize, fate: &Fate) {
    match fate {
        Fate::Lost { cause } if cause == NOT_IP => {
            traffic.lost.entry(cause.clone()).or_default().count(length);
        }
        _ => traffic.refused.count(length),
    }
}
