//! One direction of a wire: what is decided when a packet enters, and the events
//! that bring it to its end, in the order of their time.
//!
//! ```text
//! offer ─ rules ─ duplicate ─ loss ─ corrupt ─ limit ─ line ─ station ─ gate ─ outbox
//! ```
//!
//! A discrete-event simulation: time only moves on in `advance`, and every event
//! counts from the time it was due, not from when it was dealt with.

use std::time::Duration;

use super::draw::{Draws, Key};
use super::flow_memory::FlowMemory;
use super::line::Line;
use super::lot::Lot;
use super::outbox::{Load, Outbox};
use super::parcel::{Outcome, Parcel};
use super::selector::{Action, Rule};
use super::settings::{Course, Server, Settings};
use super::slot::Gate;
use super::station::Station;
use crate::flow::Direction;
use crate::packet::Heading;

/// Memory that the packets under way may take, in bytes.
const MOST_BYTES: u64 = 2 << 30;

/// One direction of a wire.
#[derive(Debug)]
pub(super) struct Path {
    settings: Settings,
    /// What is to come, timed from the schedule's start, which has not come yet.
    waiting: Vec<(Duration, Settings)>,
    /// What is still to come, the next change last.
    changes: Vec<(Duration, Settings)>,
    key: Key,
    direction: Direction,
    flows: Vec<FlowMemory>,
    line: Line,
    /// Until when the line is taken where it must keep its order.
    in_order_until: Duration,
    station: Station,
    gate: Gate,
    /// All that ever entered.
    entered: Load,
    outbox: Outbox,
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// Other settings.
    Change,
    /// A packet leaves the gate.
    Gate,
    /// A packet has been served.
    Station,
    /// A packet has been long enough on its way.
    Line,
}

impl Path {
    /// An empty one, whose draws are keyed by `seed` and `direction`, and whose
    /// changes wait for [`start_schedule`](Self::start_schedule).
    pub(super) fn new(course: Course, seed: u64, direction: Direction) -> Self {
        let key = Key::of(&[seed, direction as u64]);
        let start = Duration::ZERO;
        Self {
            station: Station::new(course.first.bottleneck.as_ref(), start),
            gate: Gate::new(course.first.slot, key, start),
            settings: course.first,
            waiting: course.changes,
            changes: Vec::new(),
            key,
            direction,
            flows: Vec::new(),
            line: Line::default(),
            in_order_until: start,
            entered: Load::default(),
            outbox: Outbox::default(),
        }
    }

    /// Counts the times of the changes from `now`.
    pub(super) fn start_schedule(&mut self, now: Duration) {
        let waiting = self.waiting.drain(..).rev();
        let timed = waiting.map(|(at, settings)| (at.saturating_add(now), settings));
        self.changes.extend(timed);
    }

    /// Takes a packet in. `copy_id` gives the number for a copy.
    pub(super) fn offer(
        &mut self,
        mut parcel: Parcel,
        heading: Option<&Heading>,
        identity: Key,
        copy_id: impl FnOnce() -> u64,
    ) {
        let now = parcel.sent_at;
        self.advance(now);
        self.entered.add(&parcel);
        let settings = &self.settings;
        let memory = known(&mut self.flows, position(&parcel));
        memory.key = self.key.then(identity);
        let draws = memory.key.packet(parcel.place.index, false);
        let mut lot = Lot::draw(settings, &mut memory.models, draws, parcel.sent.len());
        let rule =
            heading.and_then(|heading| memory.rule(&settings.rules, self.direction, heading));
        let mut later = Duration::ZERO;
        if let Some(Rule { selector, action }) = rule {
            match action {
                Action::Drop => {
                    let cause = format!("drop {selector}");
                    return self.outbox.lose(parcel, now, cause.into());
                }
                Action::Delay(extra) => later = *extra,
                Action::Duplicate => lot.is_duplicated = true,
                Action::Mark => parcel.mark(),
            }
        }
        if lot.is_lost && settings.ecn && parcel.try_mark() {
            lot.is_lost = false;
        }
        // netem counts 1 + duplicate - lost.
        let copy = (lot.is_duplicated && !lot.is_lost).then(|| parcel.copy(copy_id()));
        if lot.is_lost && !lot.is_duplicated {
            let cause = settings.loss.cause();
            return self.outbox.lose(parcel, now, cause.into());
        }
        self.enter(parcel, draws, lot, later);
        if let Some(copy) = copy {
            self.offer_copy(copy, later);
        }
    }

    /// A copy has draws of its own. It is judged from where its original left
    /// the models' memory, and leaves that as it was, so that duplication shifts
    /// nobody else's draws.
    fn offer_copy(&mut self, mut parcel: Parcel, later: Duration) {
        self.entered.add(&parcel);
        let memory = &self.flows[position(&parcel)];
        let draws = memory.key.packet(parcel.place.index, true);
        let mut models = memory.models;
        let lot = Lot::draw(&self.settings, &mut models, draws, parcel.sent.len());
        if lot.is_lost && !(self.settings.ecn && parcel.try_mark()) {
            let (now, cause) = (parcel.sent_at, self.settings.loss.cause());
            return self.outbox.lose(parcel, now, cause.into());
        }
        self.enter(parcel, draws, lot, later);
    }

    /// Puts a packet that is not lost on its way, `later` than it would be.
    fn enter(&mut self, mut parcel: Parcel, draws: Draws, lot: Lot, later: Duration) {
        let now = parcel.sent_at;
        parcel.damage(lot.corrupted_bit, lot.truncated_to);
        let load = self.in_flight();
        let limit = self.settings.limit.map_or(u64::MAX, u64::from);
        if load.packets > limit {
            return self.outbox.lose(parcel, now, "limit".into());
        }
        if load.bytes > MOST_BYTES {
            return self.outbox.lose(parcel, now, "wire full".into());
        }
        self.schedule(&mut parcel, draws, later);
        self.line.push(parcel);
    }

    /// Says when a packet is at the end of the line. netem's `rate` keeps the
    /// order whatever the jitter; without it jitter reorders.
    fn schedule(&mut self, parcel: &mut Parcel, draws: Draws, later: Duration) {
        let memory = &mut self.flows[position(parcel)].models;
        let mut models = *memory;
        let delay = self.settings.delay.draw(&mut models.delay, draws);
        parcel.changes.hastened = models.reorder.decide(self.settings.reorder, draws);
        if parcel.changes.copy_of.is_none() {
            *memory = models;
        }
        let mut due = parcel.sent_at;
        if !parcel.changes.hastened {
            due = due.saturating_add(delay);
            if self.keeps_order() {
                due = due.max(self.in_order_until);
            }
            self.in_order_until = self.in_order_until.max(due);
        }
        parcel.due_at = due.saturating_add(later);
    }

    fn keeps_order(&self) -> bool {
        self.settings
            .bottleneck
            .as_ref()
            .is_some_and(|bottleneck| matches!(bottleneck.server, Server::Rate { .. }))
    }

    /// What is under way, the packet that is just entering included.
    pub(super) fn in_flight(&self) -> Load {
        let ended = self.outbox.total();
        Load {
            packets: self.entered.packets - ended.packets,
            bytes: self.entered.bytes - ended.bytes,
        }
    }

    /// Lets happen what happens until `now`.
    pub(super) fn advance(&mut self, now: Duration) {
        while let Some((at, next)) = self.next()
            && at <= now
        {
            match next {
                Next::Change => self.change(),
                Next::Gate => {
                    if let Some(parcel) = self.gate.leave() {
                        self.deliver(parcel);
                    }
                }
                Next::Station => {
                    if let Some(parcel) = self.station.leave(&mut self.outbox) {
                        self.reach_gate(parcel);
                    }
                }
                Next::Line => {
                    if let Some(parcel) = self.line.pop() {
                        self.reach_station(parcel);
                    }
                }
            }
        }
    }

    /// The first packet whose way has ended.
    pub(super) fn first(&self) -> Option<&Outcome> {
        self.outbox.first()
    }

    /// Takes the first packet out whose way has ended.
    pub(super) fn pop(&mut self) -> Option<Outcome> {
        self.outbox.pop()
    }

    /// When there will be something to poll, or to move on. What merely joins
    /// the end of a queue can wait.
    pub(super) fn deadline(&self) -> Option<Duration> {
        if let Some(outcome) = self.outbox.first() {
            return Some(outcome.parcel.due_at);
        }
        if self.in_flight().packets == 0 {
            return None;
        }
        let line = self.line.due().filter(|_| !self.station.is_busy());
        [
            line,
            self.station.due(),
            self.gate.due(),
            self.changes.last().map(|(at, _)| *at),
        ]
        .into_iter()
        .flatten()
        .min()
        .filter(|due| *due < Duration::MAX)
    }

    /// Takes out what is under way, in no order.
    pub(super) fn abandon(&mut self) -> Vec<Parcel> {
        self.entered = self.outbox.total();
        let mut parcels: Vec<Parcel> = self.line.drain().collect();
        parcels.extend(self.station.drain());
        parcels.extend(self.gate.drain());
        parcels
    }

    /// What happens next, and when; a change of settings before all else.
    fn next(&self) -> Option<(Duration, Next)> {
        let mut first = None;
        let events = [
            (self.changes.last().map(|(at, _)| *at), Next::Change),
            (self.gate.due(), Next::Gate),
            (self.station.due(), Next::Station),
            (self.line.due(), Next::Line),
        ];
        for (at, next) in events {
            if let Some(at) = at
                && first.is_none_or(|(earliest, _)| at < earliest)
            {
                first = Some((at, next));
            }
        }
        first
    }

    fn change(&mut self) {
        let Some((at, settings)) = self.changes.pop() else {
            return;
        };
        for flow in &mut self.flows {
            flow.change(&self.settings, &settings);
        }
        self.station
            .change(settings.bottleneck.as_ref(), at, &mut self.outbox);
        self.gate.change(settings.slot, at);
        self.settings = settings;
    }

    fn reach_station(&mut self, parcel: Parcel) {
        if self.station.is_open() {
            return self.reach_gate(parcel);
        }
        let key = self.flows[position(&parcel)].key;
        self.station.arrive(parcel, key, &mut self.outbox);
    }

    fn reach_gate(&mut self, parcel: Parcel) {
        if self.gate.is_open() {
            self.deliver(parcel);
        } else {
            self.gate.arrive(parcel);
        }
    }

    fn deliver(&mut self, mut parcel: Parcel) {
        if parcel.changes.copy_of.is_none() {
            let flow = &mut self.flows[position(&parcel)];
            parcel.changes.reordered = flow.is_reordered(parcel.place.index);
        }
        self.outbox.deliver(parcel);
    }
}

/// The flow at `position`, with no memory yet where it is new.
fn known(flows: &mut Vec<FlowMemory>, position: usize) -> &mut FlowMemory {
    if flows.len() <= position {
        flows.resize_with(position + 1, FlowMemory::default);
    }
    &mut flows[position]
}

/// Where a packet's flow stands among the flows.
fn position(parcel: &Parcel) -> usize {
    parcel.place.flow as usize - 1
}
