//! When to send to whom, what counts, and when it is known: a sweep without a
//! socket or a clock.
//!
//! Pure: `now` comes in, probes and judgements come out. It never sees an
//! address or a byte of a packet. Every queue is in the order of its times, so
//! each step takes the same time however many targets there are.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

mod said;

pub use said::{Judged, Probe, Totals, Unanswered};

use super::figures::{Figures, Keeping, Kept, Verdict};
use super::plan::{Goal, Plan};
use super::slots::{Slot, Slots, State};
use crate::event::EchoJudgement;
use crate::ping::Condition;
use crate::socket::icmp::Token;

/// Probes this late are still sent one after the other without a gap.
const CATCH_UP: u64 = 10_000_000;

/// Which request is next. At the same time, further ones go before first ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    /// One that found no room.
    Returned,
    /// A further one to a target.
    Further,
    /// A target's first.
    First,
}

/// ```text
///          ┌────────── retry: time over or failed, requests left ─────────┐
///          ▼                                                              │
///  fresh ──► sent ──► under way ──► answered ──► alive                    │
///              │          ├───────────────────────────────────────────────┤
///              │          └──► time over or failed, none left ──► unreachable
///              └── next period, when counting ──► due ──► sent
/// ```
#[derive(Debug)]
pub struct Core {
    plan: Plan,
    started: Instant,
    gap: u64,
    /// By level: how long a reply is waited for.
    patience: Vec<u64>,
    figures: Vec<Figures>,
    kept: Option<Kept>,
    slots: Slots,
    /// Targets without a request yet.
    fresh: VecDeque<(u64, Range<u32>)>,
    /// Further requests, in the order in which they are due.
    due: VecDeque<(u64, u32)>,
    /// Handed out, and not sent for want of room.
    returned: VecDeque<(u32, u32)>,
    /// By level: when the wait for a request is over.
    expiries: Vec<VecDeque<(u64, Token)>>,
    next_number: u64,
    /// No target's first request before that, and where a gap was asked for no
    /// request at all.
    next_slot: u64,
    /// No request before that: the kernel had no room.
    blocked: u64,
    /// The window was full.
    held_up: bool,
    /// Targets that something is still to be found out about.
    open: u32,
    totals: Totals,
}

impl Core {
    /// A sweep over no targets yet, with `window` requests told apart, that
    /// starts at `started`.
    pub fn new(plan: Plan, window: u64, started: Instant) -> Self {
        let patience: Vec<u64> = (0..plan.levels())
            .map(|level| nanoseconds(plan.patience(level)))
            .collect();
        Self {
            plan,
            started,
            gap: 0,
            expiries: vec![VecDeque::new(); patience.len()],
            patience,
            figures: Vec::new(),
            kept: None,
            slots: Slots::new(window),
            fresh: VecDeque::new(),
            due: VecDeque::new(),
            returned: VecDeque::new(),
            next_number: 0,
            next_slot: 0,
            blocked: 0,
            held_up: false,
            open: 0,
            totals: Totals::default(),
        }
    }

    /// Keeps each target's round trips; call it after the first targets were
    /// added.
    pub fn keep_round_trips(&mut self, keeping: Keeping) {
        let requests = match self.plan.goal {
            Goal::Check { .. } => Some(1),
            Goal::Count(count) => Some(count),
            Goal::Loop => None,
        };
        self.kept = Some(Kept::new(self.target_count(), requests, keeping));
    }

    /// Adds `count` targets, the next by number, that get their first request
    /// from `now` on.
    pub fn add_targets(&mut self, now: Instant, count: u32) {
        let first = self.target_count();
        self.grow(count, Figures::default());
        self.open += count;
        let at = self.since_start(now);
        self.fresh.push_back((at, first..first + count));
        self.gap = nanoseconds(self.plan.gap_between(self.open));
    }

    /// Adds a target that has no address.
    pub fn add_unresolved(&mut self) {
        let mut nothing = Figures::default();
        (nothing.verdict, nothing.closed) = (Verdict::Unresolved, true);
        self.grow(1, nothing);
    }

    fn grow(&mut self, count: u32, figures: Figures) {
        let length = self.figures.len() + count as usize;
        self.figures.reserve_exact(count as usize);
        self.figures.resize(length, figures);
        let targets = self.target_count();
        if let Some(kept) = &mut self.kept {
            kept.grow(targets);
        }
    }

    fn target_count(&self) -> u32 {
        u32::try_from(self.figures.len()).unwrap_or(u32::MAX)
    }

    /// The next request, if one is due and can be told apart from those under
    /// way.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Probe> {
        let now = self.since_start(now);
        if self.is_over(now) {
            return None;
        }
        if self.slots.is_taken(self.next_number) {
            self.held_up = true;
            return None;
        }
        if std::mem::take(&mut self.held_up) {
            // What was held up for want of tokens is not made up for.
            self.next_slot = self.next_slot.max(now);
        }
        let (slot, work) = self.next_work().filter(|(slot, _)| *slot <= now)?;
        if self.spaces_all() || work != Work::Further {
            self.next_slot = slot.max(now.saturating_sub(CATCH_UP)) + self.gap;
        }
        let (target, index) = self.take_work(slot, work, now)?;
        let token = self.slots.token(self.next_number);
        self.next_number += 1;
        let prepared = Slot {
            target,
            index,
            state: State::Prepared,
            sent: 0,
        };
        self.slots.write(token, prepared);
        Some(Probe {
            token,
            target,
            index,
        })
    }

    /// Whether the gap lies between any two requests. What nobody asked for but
    /// the targets' number spreads their first requests alone: a target keeps
    /// its own time from then on, and a stall that delays some delays no other.
    fn spaces_all(&self) -> bool {
        self.plan.gap.is_some() || matches!(self.plan.goal, Goal::Check { .. })
    }

    /// When the next request may go out, and which it is.
    fn next_work(&mut self) -> Option<(u64, Work)> {
        if !self.returned.is_empty() {
            return Some((self.next_slot, Work::Returned));
        }
        let first = self.fresh.front().map(|(at, _)| self.next_slot.max(*at));
        let first = first.map(|slot| (slot, Work::First));
        if first.is_some() && self.spaces_all() {
            return first;
        }
        let further = self.next_due().map(|slot| (slot, Work::Further));
        first.into_iter().chain(further).min()
    }

    fn next_due(&mut self) -> Option<u64> {
        let earliest = if self.spaces_all() {
            self.next_slot
        } else {
            self.blocked
        };
        while let Some(&(at, target)) = self.due.front() {
            if !self.figures.get(target as usize)?.closed {
                return Some(earliest.max(at));
            }
            self.due.pop_front();
        }
        None
    }

    fn take_work(&mut self, slot: u64, work: Work, now: u64) -> Option<(u32, u32)> {
        let (due, target) = match work {
            Work::Returned => {
                let (target, index) = self.returned.pop_front()?;
                self.figures.get_mut(target as usize)?.sent += 1;
                return Some((target, index));
            }
            Work::First => (slot, self.take_fresh()?),
            Work::Further => self.due.pop_front()?,
        };
        let figures = self.figures.get_mut(target as usize)?;
        figures.due = due;
        // Counted here, as several are handed out before one is known to be sent.
        let index = figures.sent;
        figures.sent += 1;
        let more = match self.plan.goal {
            Goal::Check { .. } => false,
            Goal::Count(count) => index + 1 < count,
            Goal::Loop => true,
        };
        if more {
            let period = nanoseconds(self.plan.period);
            // Counted from the request before, not from now; what a stall of
            // more than a period held up is not made up for.
            let next = (due + period).max(now.saturating_sub(period));
            self.due.push_back((next, target));
        }
        Some((target, index))
    }

    fn take_fresh(&mut self) -> Option<u32> {
        let (_, range) = self.fresh.front_mut()?;
        let target = range.next();
        if range.start >= range.end {
            self.fresh.pop_front();
        }
        target
    }

    /// The kernel took the request.
    pub fn handle_sent(&mut self, at: Instant, token: Token) {
        let Some((slot, _)) = self.find(token, &[State::Prepared]) else {
            return;
        };
        self.totals.sent += 1;
        let sent = self.since_start(at);
        let under_way = Slot {
            state: State::UnderWay,
            sent,
            ..slot
        };
        self.slots.write(token, under_way);
        if let Some(kept) = &mut self.kept {
            kept.forget(slot.target, slot.index);
        }
        let level = self.level(slot.index);
        let over = sent.saturating_add(self.patience[level]);
        self.expiries[level].push_back((over, token));
    }

    /// The kernel refused the request for good.
    pub fn handle_refused(&mut self, now: Instant, token: Token) -> Option<Unanswered> {
        let (slot, _) = self.find(token, &[State::Prepared])?;
        self.totals.sent += 1;
        let mut failed = self.fail(now, token, slot);
        // What cannot be sent once is not tried again (fping).
        if let Goal::Check { .. } = self.plan.goal {
            failed.decided |= self.decide(slot.target, Verdict::Unreachable);
        }
        Some(failed)
    }

    /// The kernel had no room for the request. It is offered again, not before
    /// `not_before`.
    pub fn take_back(&mut self, not_before: Instant, token: Token) {
        let Some((slot, figures)) = self.find(token, &[State::Prepared]) else {
            return;
        };
        figures.sent -= 1;
        let free = Slot {
            state: State::Free,
            ..slot
        };
        self.slots.write(token, free);
        self.returned.push_back((slot.target, slot.index));
        self.blocked = self.since_start(not_before);
        self.next_slot = self.next_slot.max(self.blocked);
    }

    /// The target of the request with this token.
    pub fn target_of(&self, token: Token) -> Option<u32> {
        let slot = self.slots.read(token);
        (slot.state != State::Free).then_some(slot.target)
    }

    /// A reply arrived at `at`. `None`: it is too late to count.
    pub fn handle_reply(
        &mut self,
        at: Instant,
        token: Token,
        condition: Condition,
    ) -> Option<Judged> {
        let arrived = self.since_start(at);
        let checking = matches!(self.plan.goal, Goal::Check { .. });
        let known = [State::UnderWay, State::Answered, State::Over];
        let (slot, _) = self.find(token, &known)?;
        let figures = self.figures.get_mut(slot.target as usize)?;
        let round_trip = arrived.saturating_sub(slot.sent);
        let mut judged = Judged {
            probe: probe(token, slot),
            sent_at: self.started + Duration::from_nanos(slot.sent),
            round_trip: Duration::from_nanos(round_trip),
            judgement: EchoJudgement::Counted,
            out_of_order: false,
            decided: false,
        };
        match condition {
            Condition::Sound => {}
            Condition::BadChecksum => {
                figures.corrupted = figures.corrupted.saturating_add(1);
                judged.judgement = EchoJudgement::BadChecksum;
                return Some(judged);
            }
            Condition::DifferentAddress => {
                judged.judgement = EchoJudgement::DifferentAddress;
                return Some(judged);
            }
        }
        match slot.state {
            State::Answered => {
                figures.duplicates += 1;
                self.totals.replies += 1;
                judged.judgement = EchoJudgement::Duplicate;
                return Some(judged);
            }
            // While a check waits for a further reply, an earlier one does.
            State::Over if checking && !figures.closed => {
                figures.lost -= 1;
                self.totals.lost -= 1;
            }
            State::Over => return None,
            _ if round_trip > self.patience[level(&self.patience, slot.index)] => return None,
            _ => {}
        }
        figures.answered(round_trip);
        judged.out_of_order = slot.index + 1 < figures.newest;
        figures.newest = figures.newest.max(slot.index + 1);
        figures.out_of_order += u32::from(judged.out_of_order);
        self.totals.replies += 1;
        if let Some(kept) = &mut self.kept {
            kept.keep(slot.target, slot.index, round_trip);
        }
        self.slots.write(
            token,
            Slot {
                state: State::Answered,
                ..slot
            },
        );
        judged.decided = checking && self.decide(slot.target, Verdict::Alive);
        self.close_if_settled(slot.target);
        Some(judged)
    }

    /// An ICMP error quotes the request.
    pub fn handle_error(&mut self, now: Instant, token: Token) -> Option<Unanswered> {
        let known = [State::UnderWay, State::Over, State::Failed];
        let (slot, _) = self.find(token, &known)?;
        self.totals.errors += 1;
        if slot.state == State::UnderWay {
            return Some(self.fail(now, token, slot));
        }
        Some(Unanswered {
            probe: probe(token, slot),
            counted: false,
            decided: false,
        })
    }

    fn fail(&mut self, now: Instant, token: Token, slot: Slot) -> Unanswered {
        self.totals.failed += 1;
        if let Some(figures) = self.figures.get_mut(slot.target as usize) {
            figures.failed += 1;
        }
        self.give_up(self.since_start(now), token, slot, State::Failed)
    }

    /// A request whose time was over at `looked_at`, until which all that had
    /// arrived was handed in.
    pub fn poll_expired(&mut self, looked_at: Instant) -> Option<Unanswered> {
        let now = self.since_start(looked_at);
        for level in 0..self.expiries.len() {
            while let Some(&(over, token)) = self.expiries[level].front() {
                let slot = self.slots.read(token);
                let same = slot.sent.saturating_add(self.patience[level]) == over;
                let waited_for = slot.state == State::UnderWay && same;
                if waited_for && over > now {
                    break;
                }
                self.expiries[level].pop_front();
                if waited_for {
                    self.totals.lost += 1;
                    if let Some(figures) = self.figures.get_mut(slot.target as usize) {
                        figures.lost += 1;
                    }
                    return Some(self.give_up(now, token, slot, State::Over));
                }
            }
        }
        None
    }

    fn give_up(&mut self, now: u64, token: Token, slot: Slot, state: State) -> Unanswered {
        self.slots.write(token, Slot { state, ..slot });
        let mut decided = false;
        if let Goal::Check { retries, .. } = self.plan.goal {
            if slot.index >= retries {
                decided = self.decide(slot.target, Verdict::Unreachable);
            } else {
                self.due.push_back((now, slot.target));
            }
        }
        self.close_if_settled(slot.target);
        Unanswered {
            probe: probe(token, slot),
            counted: true,
            decided,
        }
    }

    /// Whether this was still open.
    fn decide(&mut self, target: u32, verdict: Verdict) -> bool {
        let Some(figures) = self.figures.get_mut(target as usize) else {
            return false;
        };
        if figures.closed {
            return false;
        }
        figures.closed = true;
        figures.verdict = verdict;
        self.open -= 1;
        true
    }

    fn close_if_settled(&mut self, target: u32) {
        if let (Goal::Count(count), Some(figures)) =
            (self.plan.goal, self.figures.get_mut(target as usize))
            && figures.settled() >= count
            && !figures.closed
        {
            figures.closed = true;
            self.open -= 1;
        }
    }

    /// When there is something to do again, whatever arrives.
    pub fn next_deadline(&mut self) -> Option<Instant> {
        let fronts = self.expiries.iter().filter_map(VecDeque::front);
        let over = fronts.map(|(over, _)| *over).min();
        let work = if self.slots.is_taken(self.next_number) {
            None
        } else {
            self.next_work().map(|(slot, _)| slot)
        };
        let end = self.plan.deadline.map(nanoseconds);
        let next = over.into_iter().chain(work).chain(end).min()?;
        self.started.checked_add(Duration::from_nanos(next))
    }

    /// Whether the wait for a request may be over at `now`.
    pub fn may_expire(&self, now: Instant) -> bool {
        let now = self.since_start(now);
        let mut fronts = self.expiries.iter().filter_map(VecDeque::front);
        fronts.any(|(over, _)| *over <= now)
    }

    /// Whether a request may go out now.
    pub fn has_work(&mut self, now: Instant) -> bool {
        let now = self.since_start(now);
        !self.is_over(now)
            && !self.slots.is_taken(self.next_number)
            && self.next_work().is_some_and(|(slot, _)| slot <= now)
    }

    /// Whether nothing is left to find out, or time was over at `looked_at`.
    pub fn is_finished(&self, looked_at: Instant) -> bool {
        self.open == 0 || self.is_over(self.since_start(looked_at))
    }

    /// A target's figures.
    pub fn figures(&self, target: u32) -> Figures {
        let figures = self.figures.get(target as usize);
        figures.copied().unwrap_or_default()
    }

    /// The round trips kept of a target, by its requests' places; `None` where
    /// there was none.
    pub fn round_trips(&self, target: u32) -> impl Iterator<Item = Option<Duration>> + '_ {
        self.kept.iter().flat_map(move |kept| kept.of(target))
    }

    /// Figures over all targets.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// When the sweep started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    fn is_over(&self, now: u64) -> bool {
        let end = self.plan.deadline.map(nanoseconds);
        end.is_some_and(|end| now >= end)
    }

    fn find(&mut self, token: Token, states: &[State]) -> Option<(Slot, &mut Figures)> {
        let slot = self.slots.read(token);
        let figures = self.figures.get_mut(slot.target as usize)?;
        states.contains(&slot.state).then_some((slot, figures))
    }

    fn level(&self, index: u32) -> usize {
        level(&self.patience, index)
    }

    fn since_start(&self, at: Instant) -> u64 {
        nanoseconds(at.saturating_duration_since(self.started))
    }
}

fn level(patience: &[u64], index: u32) -> usize {
    (index as usize).min(patience.len() - 1)
}

fn probe(token: Token, slot: Slot) -> Probe {
    Probe {
        token,
        target: slot.target,
        index: slot.index,
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
