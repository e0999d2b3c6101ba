//! When to send, what counts, when to stop: ping without a socket or a clock.
//!
//! Pure: `now` comes in, probes and judgements come out. It never sees a byte
//! of a packet, so nothing a reply carries but its sequence number can
//! influence it. The rules are those of `ping(8)`, except that send times are
//! counted from the start and do not drift.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::statistics::RoundTrips;
use crate::event::{EchoJudgement, EchoSummary};
use crate::flow::Family;

/// How many probes are remembered: as many as sequence numbers tell apart.
const WINDOW: usize = 1 << 16;
/// Without an interval, a lost reply holds the next probe up this long.
const FLOOD_PATIENCE: Duration = Duration::from_millis(10);
/// Probes this late are still sent, all at once; later ones are skipped.
const CATCH_UP: Duration = Duration::from_millis(10);
/// The longest pause after the kernel had no buffer for a probe.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// An interval below this is no interval (iputils counts milliseconds).
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// When to send and when to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The protocol; for IPv6, errors do not enter into `pipe`, as in iputils.
    pub family: Family,
    /// From one probe to the next (`-i`); zero sends at each reply.
    pub interval: Duration,
    /// How many probes, or without limit (`-c`).
    pub count: Option<u64>,
    /// Stop this long after the start (`-w`).
    pub deadline: Option<Duration>,
    /// Wait this long for a first reply after the last probe (`-W`), or for
    /// ever.
    pub linger: Option<Duration>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            family: Family::Ipv4,
            interval: Duration::from_secs(1),
            count: None,
            deadline: None,
            linger: Some(Duration::from_secs(10)),
        }
    }
}

/// A request to send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Its number, from 1.
    pub number: u64,
    /// Its ICMP sequence number.
    pub sequence: u16,
}

/// What is known of a reply before the core has judged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Sound, and from the target.
    Sound,
    /// Its checksum is wrong.
    BadChecksum,
    /// From another address than the target's.
    DifferentAddress,
}

/// What the core makes of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// The number of the probe it answers.
    pub number: u64,
    /// From that probe's sending until now.
    pub round_trip: Duration,
    /// Whether it counts.
    pub judgement: EchoJudgement,
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
    /// The latest probes, the oldest first.
    window: VecDeque<Sent>,
    last_sent: Option<Instant>,
    /// After a refusal: not before then, and how long it has gone on.
    pause: Option<(Instant, Duration)>,
    /// The end of the final wait, once it has begun.
    wait_until: Option<Instant>,
    /// The newest probe that was answered or failed.
    acknowledged: u64,
    tally: Tally,
    round_trips: RoundTrips,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    at: Instant,
    before: Option<Instant>,
    answered: bool,
}

#[derive(Debug, Default)]
struct Tally {
    transmitted: u64,
    received: u64,
    duplicates: u64,
    corrupted: u64,
    errors: u64,
    pipe: u64,
}

impl Core {
    /// A run that begins now.
    pub fn new(plan: Plan, now: Instant) -> Self {
        Self {
            plan,
            started: now,
            slot: 0,
            window: VecDeque::new(),
            last_sent: None,
            pause: None,
            wait_until: None,
            acknowledged: 0,
            tally: Tally::default(),
            round_trips: RoundTrips::default(),
        }
    }

    /// The probe to send now, if one is due. It counts as sent.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Probe> {
        if self.next_probe()? > now || self.is_finished(now) {
            return None;
        }
        if self.window.len() == WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(Sent {
            at: now,
            before: self.last_sent,
            answered: false,
        });
        self.last_sent = Some(now);
        self.tally.transmitted += 1;
        self.advance(now);
        self.begin_final_wait();
        Some(Probe {
            number: self.tally.transmitted,
            sequence: sequence_of(self.tally.transmitted),
        })
    }

    /// The kernel had no buffer for the latest probe (`ENOBUFS`, `EAGAIN`).
    pub fn handle_refused(&mut self, now: Instant) -> Refused {
        let step = (self.plan.interval / 2).clamp(FLOOD_PATIENCE, LONGEST_PAUSE);
        let so_far = self.pause.map_or(Duration::ZERO, |(_, total)| total) + step;
        if self.plan.linger.is_some_and(|linger| so_far > linger) {
            self.pause = None;
            return Refused::Counted;
        }
        if let Some(sent) = self.window.pop_back() {
            self.last_sent = sent.before;
            self.tally.transmitted -= 1;
            self.wait_until = None;
            self.pause = Some((now + step, so_far));
        }
        Refused::Later
    }

    /// The kernel took the latest probe.
    pub fn handle_accepted(&mut self) {
        self.pause = None;
    }

    /// A reply with our identifier came. `None`: it answers no probe of ours.
    pub fn handle_reply(
        &mut self,
        now: Instant,
        sequence: u16,
        condition: Condition,
    ) -> Option<Judged> {
        let number = self.number_of(sequence)?;
        let sent = self.sent_mut(number)?;
        let round_trip = now.saturating_duration_since(sent.at);
        let judgement = match condition {
            Condition::BadChecksum => EchoJudgement::BadChecksum,
            Condition::DifferentAddress => EchoJudgement::DifferentAddress,
            Condition::Sound if sent.answered => EchoJudgement::Duplicate,
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
                sent.answered = true;
                self.tally.received += 1;
                self.round_trips.add(round_trip);
                self.acknowledge(number);
                self.begin_final_wait();
            }
        }
        Some(Judged {
            number,
            round_trip,
            judgement,
        })
    }

    /// An ICMP error that quotes a request with our identifier came. `None`:
    /// it is about no probe of ours.
    pub fn handle_error(&mut self, _now: Instant, sequence: u16) -> Option<u64> {
        let number = self.number_of(sequence)?;
        self.tally.errors += 1;
        if self.plan.family == Family::Ipv4 {
            self.acknowledge(number);
        }
        Some(number)
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

    /// The figures so far, for the host called `name`.
    pub fn summary(&self, name: &str) -> EchoSummary {
        let tally = &self.tally;
        let time = self.last_sent.map_or(Duration::ZERO, |last| {
            last.saturating_duration_since(self.started)
        });
        let unpaced = self.plan.interval < SHORTEST_INTERVAL && tally.received > 0;
        EchoSummary {
            name: name.to_owned(),
            transmitted: tally.transmitted,
            received: tally.received,
            duplicates: tally.duplicates,
            corrupted: tally.corrupted,
            errors: tally.errors,
            loss_percent: loss_percent(tally),
            time,
            round_trips: self.round_trips.figures(),
            pipe: tally.pipe,
            gap: (unpaced && tally.transmitted > 1)
                .then(|| time / u32::try_from(tally.transmitted - 1).unwrap_or(u32::MAX)),
        }
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
        let due = match self.last_sent {
            Some(last) if self.plan.interval.is_zero() => {
                if self.acknowledged < self.tally.transmitted {
                    last + FLOOD_PATIENCE
                } else {
                    last
                }
            }
            _ => self.grid(self.slot),
        };
        Some(self.pause.map_or(due, |(until, _)| due.max(until)))
    }

    fn grid(&self, slot: u64) -> Instant {
        let nanoseconds = self.plan.interval.as_nanos() * u128::from(slot);
        self.started + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX / 2))
    }

    fn advance(&mut self, now: Instant) {
        self.slot += 1;
        let late = now.saturating_duration_since(self.grid(self.slot));
        if late >= CATCH_UP && !self.plan.interval.is_zero() {
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
        let wait = if self.tally.received == 0 {
            self.plan.linger
        } else {
            Some((self.round_trips.longest() * 2).max(self.plan.interval))
        };
        self.wait_until = wait.map(|wait| last + wait);
    }

    fn acknowledge(&mut self, number: u64) {
        self.tally.pipe = self.tally.pipe.max(self.tally.transmitted - number + 1);
        self.acknowledged = self.acknowledged.max(number);
    }

    /// The latest probe with this sequence number.
    fn number_of(&self, sequence: u16) -> Option<u64> {
        let age = sequence_of(self.tally.transmitted).wrapping_sub(sequence);
        (usize::from(age) < self.window.len()).then(|| self.tally.transmitted - u64::from(age))
    }

    fn sent_mut(&mut self, number: u64) -> Option<&mut Sent> {
        let age = usize::try_from(self.tally.transmitted.checked_sub(number)?).ok()?;
        let index = self.window.len().checked_sub(age + 1)?;
        self.window.get_mut(index)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the sequence number is the low 16 bits"
)]
fn sequence_of(number: u64) -> u16 {
    number as u16
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a percentage of more than 2^53 probes may be off in its 16th digit"
)]
fn loss_percent(tally: &Tally) -> Option<f64> {
    let lost = tally.transmitted.saturating_sub(tally.received);
    (tally.transmitted > 0).then(|| lost as f64 * 100.0 / tally.transmitted as f64)
}

#[cfg(test)]
mod tests;
