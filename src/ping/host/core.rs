//! When to send, what counts, when to stop: pinging one host without a socket or
//! a clock.
//!
//! Pure: `now` comes in, probes and judgements come out. It never sees a byte
//! of a packet, so nothing a reply carries but its sequence number can
//! influence it. The rules are those of `ping(8)`, except that send times are
//! counted from the start and do not drift.

use std::time::{Duration, Instant};

mod figures;
mod window;

use window::{Fate, Window};

use super::plan::{Plan, Rhythm};
use crate::event::EchoJudgement;
use crate::flow::Family;
use crate::ping::Condition;
use crate::ping::statistics::RoundTrips;
use crate::socket::icmp::Token;

/// Without an interval, a lost reply holds the next probe up this long.
const FLOOD_PATIENCE: Duration = Duration::from_millis(10);
/// Probes this late are still sent, all at once; later ones are skipped.
const CATCH_UP: Duration = Duration::from_millis(10);
/// The longest pause after the kernel had no buffer for a probe.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Without an interval, at most so many probes go out at once, and only while
/// nobody has to wait for the replies.
const MOST_AT_ONCE: u64 = 64;

/// A request to send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Its number, from 1.
    pub number: u64,
    /// What its reply is known by.
    pub token: Token,
    /// The probe before it, where that has no reply yet.
    pub unanswered: Option<u64>,
}

/// What the core makes of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// The number of the probe it answers.
    pub number: u64,
    /// When that probe was handed to the kernel.
    pub sent_at: Instant,
    /// From when it left, as far as that is known, until now.
    pub round_trip: Duration,
    /// Whether it counts.
    pub judgement: EchoJudgement,
    /// Whether a reply to a later probe came before it.
    pub out_of_order: bool,
}

/// What to do with a probe the kernel had no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It was taken back and is offered again later.
    Later,
    /// It was refused too often and counts as sent.
    Counted,
}

/// ```text
///            last probe of -c sent          all answered, or waited enough
///  sending ─────────────────────► waiting ─────────────────────────────────► finished
///     └──────────────── -w over, or -c replies and errors ──────────────────────┘
/// ```
#[derive(Debug)]
pub struct Core {
    plan: Plan,
    started: Instant,
    /// The next probe's place on the grid of start + n × interval.
    slot: u64,
    window: Window,
    last_sent: Option<Instant>,
    /// After a refusal: not before then, and how long it has gone on.
    pause: Option<(Instant, Duration)>,
    /// The end of the final wait, once it has begun.
    wait_until: Option<Instant>,
    /// The newest probe that was answered or failed.
    acknowledged: u64,
    /// The newest probe that was answered.
    latest_answered: u64,
    /// Without an interval: how many probes may be without a reply.
    allowance: u64,
    tally: Tally,
    round_trips: RoundTrips,
}

#[derive(Debug, Default)]
struct Tally {
    transmitted: u64,
    received: u64,
    duplicates: u64,
    corrupted: u64,
    errors: u64,
    /// Probes that failed and were not answered.
    failed: u64,
    out_of_order: u64,
    pipe: u64,
}

impl Core {
    /// A run that begins now and whose tokens tell `width` probes apart.
    pub fn new(plan: Plan, width: u64, now: Instant) -> Self {
        Self {
            allowance: plan.preload.max(1),
            window: Window::new(width, plan.count),
            plan,
            started: now,
            slot: 0,
            last_sent: None,
            pause: None,
            wait_until: None,
            acknowledged: 0,
            latest_answered: 0,
            tally: Tally::default(),
            round_trips: RoundTrips::default(),
        }
    }

    /// The probe to send now, if one is due. It counts as sent.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Probe> {
        if self.next_probe()? > now || self.is_finished(now) {
            return None;
        }
        let before = self.window.newest();
        let unanswered = before.is_some_and(|sent| sent.fate != Fate::Answered);
        let unanswered = unanswered.then_some(self.tally.transmitted);
        self.window.push(self.offset(now));
        self.last_sent = Some(now);
        self.tally.transmitted += 1;
        self.advance(now);
        self.begin_final_wait();
        Some(Probe {
            number: self.tally.transmitted,
            token: self.window.latest_token(),
            unanswered,
        })
    }

    /// Every probe sent so far was answered before anyone had to wait: without
    /// an interval, the next ones may go out in larger batches.
    pub fn handle_promptness(&mut self) {
        self.allowance = (self.allowance * 2).clamp(1, MOST_AT_ONCE.max(self.plan.preload));
    }

    /// Replies have to be waited for: one probe at a time, or as many as the
    /// preload allows.
    pub fn handle_wait(&mut self) {
        self.allowance = self.plan.preload.max(1);
    }

    /// Whether probes go out as replies come.
    pub fn is_unpaced(&self) -> bool {
        self.interval().is_zero()
    }

    /// Whether the newest probe was answered or failed.
    pub fn is_caught_up(&self) -> bool {
        self.acknowledged == self.tally.transmitted
    }

    /// The kernel had no buffer for this probe (`ENOBUFS`, `EAGAIN`), so that
    /// neither it nor any after it was sent.
    pub fn handle_refused(&mut self, now: Instant, number: u64) -> Refused {
        let step = (self.plan.interval / 2).clamp(FLOOD_PATIENCE, LONGEST_PAUSE);
        let so_far = self.pause.map_or(Duration::ZERO, |(_, total)| total) + step;
        let hopeless = self.plan.linger.is_some_and(|linger| so_far > linger);
        let kept = if hopeless { number } else { number - 1 };
        while self.tally.transmitted > kept && self.window.take_back() {
            self.tally.transmitted -= 1;
        }
        if hopeless {
            self.pause = None;
            return Refused::Counted;
        }
        let before = self.window.newest().map(|sent| sent.at);
        self.last_sent = before.map(|at| self.instant(at));
        self.wait_until = None;
        self.pause = Some((now + step, so_far));
        Refused::Later
    }

    /// The kernel took this probe, at `at`.
    pub fn handle_accepted(&mut self, number: u64, at: Instant) {
        self.pause = None;
        let at = self.offset(at);
        if let Some(sent) = self.window.get_mut(number) {
            sent.at = at;
        }
    }

    /// The kernel says when the probe with this token left. What cannot be is not
    /// believed.
    pub fn handle_departed(&mut self, token: Token, at: Instant) {
        let at = self.offset(at);
        let number = self.window.number_of(token);
        if let Some(sent) = number.and_then(|number| self.window.get_mut(number)) {
            let later = at.checked_sub(sent.at);
            sent.departure = later.and_then(|later| later.try_into().ok()).unwrap_or(0);
        }
    }

    /// The kernel refused this probe for good; it counts as sent.
    pub fn handle_failed(&mut self, number: u64) {
        if let Some(sent) = self.window.get_mut(number) {
            sent.fate = Fate::Failed;
            self.tally.failed += 1;
        }
    }

    /// A reply with this token came. `None`: it answers no probe of ours.
    pub fn handle_reply(
        &mut self,
        now: Instant,
        token: Token,
        condition: Condition,
    ) -> Option<Judged> {
        let number = self.window.number_of(token)?;
        let sent = *self.window.get_mut(number)?;
        let arrived = self.offset(now);
        let round_trip = arrived
            .checked_sub(sent.at + u64::from(sent.departure))
            .unwrap_or_else(|| arrived.saturating_sub(sent.at));
        let round_trip = Duration::from_nanos(round_trip);
        let sent_at = self.instant(sent.at);
        let mut out_of_order = false;
        let judgement = match condition {
            Condition::BadChecksum => EchoJudgement::BadChecksum,
            Condition::DifferentAddress => EchoJudgement::DifferentAddress,
            Condition::Sound if sent.fate == Fate::Answered => EchoJudgement::Duplicate,
            Condition::Sound => EchoJudgement::Counted,
        };
        match judgement {
            EchoJudgement::BadChecksum => self.tally.corrupted += 1,
            EchoJudgement::DifferentAddress => {}
            EchoJudgement::Duplicate => {
                self.tally.duplicates += 1;
                self.round_trips.add(round_trip);
            }
            EchoJudgement::Counted => {
                out_of_order = number < self.latest_answered;
                self.answered(number, sent.fate, out_of_order);
                self.round_trips.add(round_trip);
                self.acknowledge(number);
                self.begin_final_wait();
            }
        }
        Some(Judged {
            number,
            sent_at,
            round_trip,
            judgement,
            out_of_order,
        })
    }

    fn answered(&mut self, number: u64, before: Fate, out_of_order: bool) {
        if let Some(sent) = self.window.get_mut(number) {
            sent.fate = Fate::Answered;
        }
        self.latest_answered = self.latest_answered.max(number);
        self.tally.failed -= u64::from(before == Fate::Failed);
        self.tally.received += 1;
        self.tally.out_of_order += u64::from(out_of_order);
    }

    /// An ICMP error that quotes a request with this token came. `None`: it is
    /// about no probe of ours.
    pub fn handle_error(&mut self, _now: Instant, token: Token) -> Option<u64> {
        let number = self.window.number_of(token)?;
        self.tally.errors += 1;
        let sent = self.window.get_mut(number)?;
        if sent.fate == Fate::Open {
            sent.fate = Fate::Failed;
            self.tally.failed += 1;
        }
        if self.plan.family == Family::Ipv4 {
            self.acknowledge(number);
        }
        Some(number)
    }

    /// The number of the latest probe with this token, if it is remembered.
    pub fn sent(&self, token: Token) -> Option<u64> {
        self.window.number_of(token)
    }

    /// This host's kernel reported an error of its own, such as a message
    /// longer than the MTU.
    pub fn handle_local_error(&mut self, _now: Instant) {
        self.tally.errors += 1;
    }

    /// When [`Core::poll_transmit`] or [`Core::is_finished`] next has news,
    /// unless a reply comes first. `None`: only a reply can change anything.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.next_probe(), self.wait_until, self.end()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether the run is over because of what came: enough replies and errors,
    /// or with a deadline any error.
    pub fn is_settled(&self) -> bool {
        let settled = self.tally.received + self.tally.errors;
        self.plan.count.is_some_and(|count| settled >= count)
            || (self.plan.deadline.is_some() && self.tally.errors > 0)
    }

    /// Whether the run is over at `now`: settled, or its time has passed.
    pub fn is_finished(&self, now: Instant) -> bool {
        self.is_settled()
            || self.end().is_some_and(|end| now >= end)
            || self.wait_until.is_some_and(|until| now >= until)
    }

    /// Whether the run was a success as `ping(8)`'s exit code tells it: some
    /// reply came, and with a deadline as many as were asked for.
    pub fn is_success(&self) -> bool {
        let enough =
            self.plan.deadline.is_none() || self.tally.received >= self.plan.count.unwrap_or(0);
        self.tally.received > 0 && enough
    }

    fn end(&self) -> Option<Instant> {
        self.plan.deadline.map(|deadline| self.started + deadline)
    }

    /// With a deadline, probes go out until it is over or enough are answered.
    fn all_sent(&self) -> bool {
        self.plan.deadline.is_none()
            && self
                .plan
                .count
                .is_some_and(|count| self.tally.transmitted >= count)
    }

    fn next_probe(&self) -> Option<Instant> {
        if self.all_sent() {
            return None;
        }
        let interval = self.interval();
        let due = match (self.last_sent, self.plan.rhythm) {
            (Some(last), _) if interval.is_zero() => {
                let under_way = self.tally.transmitted - self.acknowledged;
                if under_way < self.allowance.min(self.missing().max(1)) {
                    last
                } else {
                    last + FLOOD_PATIENCE
                }
            }
            (Some(last), Rhythm::Adaptive(_)) => {
                if self.tally.transmitted < self.plan.preload {
                    last
                } else {
                    last + interval
                }
            }
            _ => self.grid(self.slot),
        };
        Some(self.pause.map_or(due, |(until, _)| due.max(until)))
    }

    /// How many replies and errors will settle the run.
    fn missing(&self) -> u64 {
        let settled = self.tally.received + self.tally.errors;
        let count = self.plan.count.unwrap_or(u64::MAX);
        count.saturating_sub(settled)
    }

    /// From one probe to the next, as of now.
    fn interval(&self) -> Duration {
        match self.plan.rhythm {
            Rhythm::Adaptive(shortest) if self.tally.received > 0 => {
                let micros = self.round_trips.smoothed().as_micros();
                let millis = u64::try_from((micros + 500) / 1000).unwrap_or(u64::MAX);
                Duration::from_millis(millis).max(shortest)
            }
            _ => self.plan.interval,
        }
    }

    /// The preload's probes are all due at the start.
    fn grid(&self, slot: u64) -> Instant {
        let slot = slot.saturating_sub(self.plan.preload.saturating_sub(1));
        let nanoseconds = self.plan.interval.as_nanos() * u128::from(slot);
        self.started + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX / 2))
    }

    fn advance(&mut self, now: Instant) {
        self.slot += 1;
        if self.slot < self.plan.preload {
            // It is due whenever its turn comes.
            return;
        }
        if self.plan.interval.is_zero() {
            return;
        }
        let late = now.saturating_duration_since(self.grid(self.slot));
        if late >= CATCH_UP {
            let passed = late.as_nanos().div_ceil(self.plan.interval.as_nanos());
            self.slot += u64::try_from(passed).unwrap_or(0);
        }
    }

    /// Twice the longest round trip, at least an interval; where nothing came,
    /// the linger time. Decided once, when the last probe is sent; a wait
    /// without end is decided anew when a reply comes.
    fn begin_final_wait(&mut self) {
        let (true, None, Some(last)) = (self.all_sent(), self.wait_until, self.last_sent) else {
            return;
        };
        self.wait_until = self.patience().map(|wait| last + wait);
    }

    /// How long a reply is waited for, as far as is known now; `None` for ever.
    fn patience(&self) -> Option<Duration> {
        if self.tally.received == 0 {
            self.plan.linger
        } else {
            Some((self.round_trips.longest() * 2).max(self.interval()))
        }
    }

    fn acknowledge(&mut self, number: u64) {
        let under_way = self.tally.transmitted - number + 1;
        // Those of a larger batch were answered one after the other, which only
        // was not looked at.
        let preload = self.plan.preload.max(1);
        let batched = self.allowance > preload;
        let pipe = if batched {
            under_way.min(preload)
        } else {
            under_way
        };
        self.tally.pipe = self.tally.pipe.max(pipe);
        self.acknowledged = self.acknowledged.max(number);
    }

    fn offset(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.started);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    fn instant(&self, offset: u64) -> Instant {
        self.started + Duration::from_nanos(offset)
    }
}

#[cfg(test)]
mod tests;
