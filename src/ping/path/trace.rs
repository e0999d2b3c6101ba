//! A walk along the path, hop by hop: which probe goes next, when a hop is
//! complete, and where the path ends.
//!
//! Pure: `now` comes in, probes and complete hops come out. It never sees an
//! address or a byte; what an answer said is its caller's `Detail`. Several hops
//! are under way at once, but never more probes than the plan allows.

use std::time::{Duration, Instant};

/// The pause after the kernel had no room for a probe.
const PAUSE: Duration = Duration::from_millis(10);

/// How to walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The farthest hop to ask.
    pub most_hops: u8,
    /// Probes for each hop.
    pub probes: u8,
    /// How long each probe waits for an answer.
    pub wait: Duration,
    /// From one probe to the next.
    pub gap: Duration,
    /// How many probes may wait for an answer at once.
    pub under_way: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            most_hops: 30,
            probes: 3,
            wait: Duration::from_secs(1),
            gap: Duration::ZERO,
            under_way: 16,
        }
    }
}

/// A probe to send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Its number, from 1.
    pub number: u64,
    /// The time to live it is sent with.
    pub hop: u8,
}

/// What an answer says of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It goes on behind this hop.
    OnTheWay,
    /// It ends here.
    End,
}

/// What became of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate<Detail> {
    /// An answer came.
    Answered {
        /// From the send call to the answer.
        round_trip: Duration,
        /// What it said.
        detail: Detail,
    },
    /// None came in time.
    Silent,
    /// It could not be sent.
    Unsent(Detail),
}

/// A complete hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop<Detail> {
    /// Its number, from 1: the time to live.
    pub hop: u8,
    /// The number of its first probe; the others follow.
    pub first: u64,
    /// What became of each probe.
    pub fates: Vec<Fate<Detail>>,
    /// Whether the path ends here.
    pub is_last: bool,
}

/// A walk.
///
/// ```text
///             accepted             answered
///   (unsent) ----------> Waiting -----------> Settled
///                           |                    ^
///                           | wait is over       | a late answer, while
///                           +------> Settled ----+ the hop is not told
/// ```
#[derive(Debug)]
pub struct Trace<Detail> {
    plan: Plan,
    probes: Vec<State<Detail>>,
    next_send: Instant,
    /// The farthest hop that matters, as far as known.
    last: u8,
    told: u8,
}

#[derive(Debug)]
enum State<Detail> {
    Waiting {
        sent_at: Instant,
    },
    Settled {
        sent_at: Instant,
        fate: Fate<Detail>,
    },
}

impl<Detail: Clone> Trace<Detail> {
    /// A walk that begins at `now`.
    pub fn new(plan: Plan, now: Instant) -> Self {
        Self {
            last: plan.most_hops.max(1),
            plan,
            probes: Vec::new(),
            next_send: now,
            told: 0,
        }
    }

    /// The probe to send now. Every probe must be reported on before the next
    /// is asked for.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Probe> {
        self.expire(now);
        if now < self.next_send || !self.has_more() || self.waiting().count() >= self.limit() {
            return None;
        }
        let hop = self.hop_of(self.probes.len());
        self.probes.push(State::Waiting { sent_at: now });
        self.next_send = now + self.plan.gap;
        Some(Probe {
            number: self.probes.len() as u64,
            hop,
        })
    }

    /// The kernel took the probe at `at`.
    pub fn handle_accepted(&mut self, number: u64, at: Instant) {
        if let Some(State::Waiting { sent_at }) = self.state(number) {
            *sent_at = at;
        }
    }

    /// The kernel had no room for the probe last handed out; it goes again.
    pub fn handle_refused(&mut self, now: Instant) {
        if let Some(State::Waiting { .. }) = self.probes.last() {
            self.probes.pop();
        }
        self.next_send = now + PAUSE;
    }

    /// The probe could not be sent at all. Nothing lies behind that.
    pub fn handle_failed(&mut self, number: u64, detail: Detail) {
        let hop = self.hop_of(index(number));
        if let Some(state @ State::Waiting { .. }) = self.state(number) {
            let sent_at = state.sent_at();
            let fate = Fate::Unsent(detail);
            *state = State::Settled { sent_at, fate };
            self.last = self.last.min(hop);
        }
    }

    /// An answer to the probe came at `at`. Whether it is the first one, and in
    /// time for its hop.
    pub fn handle_answer(
        &mut self,
        at: Instant,
        number: u64,
        standing: Standing,
        detail: Detail,
    ) -> bool {
        let hop = self.hop_of(index(number));
        if hop <= self.told || hop > self.last {
            return false;
        }
        let Some(state) = self.state(number) else {
            return false;
        };
        let sent_at = match state {
            State::Waiting { sent_at }
            | State::Settled {
                sent_at,
                fate: Fate::Silent,
            } => *sent_at,
            State::Settled { .. } => return false,
        };
        let round_trip = at.saturating_duration_since(sent_at);
        let fate = Fate::Answered { round_trip, detail };
        *state = State::Settled { sent_at, fate };
        if standing == Standing::End {
            self.last = hop;
        }
        true
    }

    /// The answer to the probe came at `at`, as became known only now.
    pub fn correct(&mut self, number: u64, at: Instant) {
        if let Some(State::Settled {
            sent_at,
            fate: Fate::Answered { round_trip, .. },
        }) = self.state(number)
        {
            *round_trip = at.saturating_duration_since(*sent_at);
        }
    }

    /// What the answer to a probe said, so that more can be added to it.
    pub fn detail(&mut self, number: u64) -> Option<&mut Detail> {
        match self.state(number)? {
            State::Settled {
                fate: Fate::Answered { detail, .. },
                ..
            } => Some(detail),
            _ => None,
        }
    }

    /// The next complete hop, in order.
    pub fn poll_hop(&mut self, now: Instant) -> Option<Hop<Detail>> {
        self.expire(now);
        let hop = self.told + 1;
        if self.told >= self.last {
            return None;
        }
        let first = usize::from(self.told) * usize::from(self.each());
        let probes = self.probes.get(first..first + usize::from(self.each()))?;
        let fates: Option<Vec<Fate<Detail>>> = probes
            .iter()
            .map(|state| match state {
                State::Settled { fate, .. } => Some(fate.clone()),
                State::Waiting { .. } => None,
            })
            .collect();
        let fates = fates?;
        self.told = hop;
        Some(Hop {
            hop,
            first: first as u64 + 1,
            fates,
            is_last: hop == self.last,
        })
    }

    /// When to call again even if nothing arrives.
    pub fn next_deadline(&self) -> Option<Instant> {
        let expiry = self.waiting().map(|sent_at| sent_at + self.plan.wait).min();
        let more = self.has_more() && self.waiting().count() < self.limit();
        let send = more.then_some(self.next_send);
        expiry.into_iter().chain(send).min()
    }

    /// Whether every hop up to the last was handed out.
    pub fn is_finished(&self) -> bool {
        self.told >= self.last
    }

    /// How many probes were sent.
    pub fn sent(&self) -> u64 {
        self.probes.len() as u64
    }

    fn expire(&mut self, now: Instant) {
        let wait = self.plan.wait;
        for state in &mut self.probes {
            if let State::Waiting { sent_at } = *state
                && now >= sent_at + wait
            {
                let fate = Fate::Silent;
                *state = State::Settled { sent_at, fate };
            }
        }
    }

    fn each(&self) -> u8 {
        self.plan.probes.max(1)
    }

    fn limit(&self) -> usize {
        self.plan.under_way.max(1)
    }

    fn hop_of(&self, index: usize) -> u8 {
        let hop = (index / usize::from(self.each())).saturating_add(1);
        u8::try_from(hop).unwrap_or(u8::MAX)
    }

    fn has_more(&self) -> bool {
        self.probes.len() < usize::from(self.last) * usize::from(self.each())
    }

    /// When the probes that wait for an answer that matters were sent.
    fn waiting(&self) -> impl Iterator<Item = Instant> {
        let matter = usize::from(self.last) * usize::from(self.each());
        let probes = self.probes.iter().take(matter);
        probes.filter_map(|state| match state {
            State::Waiting { sent_at } => Some(*sent_at),
            State::Settled { .. } => None,
        })
    }

    fn state(&mut self, number: u64) -> Option<&mut State<Detail>> {
        self.probes.get_mut(index(number))
    }
}

impl<Detail> State<Detail> {
    fn sent_at(&self) -> Instant {
        match self {
            State::Waiting { sent_at } | State::Settled { sent_at, .. } => *sent_at,
        }
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number.wrapping_sub(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
