//! The search for the largest packet that reaches the target whole (RFC 1191,
//! RFC 8201, RFC 4821): which sizes to try, how often, and when it is known.
//!
//! Pure: `now` comes in, probes and findings come out. A size is known to pass
//! only by a probe that was answered. What a router says of the MTU is a hint,
//! to be tried and never believed, so that a router that says nothing (a black
//! hole) is found as well. Without hints, each round tries a few sizes at once.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Sizes tried at once.
const AT_ONCE: u32 = 8;
/// The shortest pause before a size is tried again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// The pause after the kernel had no room for a probe.
const PAUSE: Duration = Duration::from_millis(10);

/// Where to search, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The smallest size in bytes, IP header included: one that every path
    /// carries.
    pub least: u32,
    /// The largest.
    pub most: u32,
    /// How often a size is tried before it counts as lost.
    pub tries: u8,
    /// How long to wait for an answer.
    pub wait: Duration,
}

/// A probe to send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Its number, from 1.
    pub number: u64,
    /// The packet's size in bytes, IP header included.
    pub bytes: u32,
}

/// What is known of a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding<Detail> {
    /// The target answered.
    Passes {
        /// From the send call to the answer.
        round_trip: Duration,
    },
    /// Someone says that it does not pass.
    Refused {
        /// The MTU that goes with it; routers older than RFC 1191 give none.
        mtu: Option<u32>,
        /// What else was said, and who said it.
        detail: Detail,
    },
    /// Nothing was heard of it, however often it was tried.
    Vanishes,
}

/// A size of which something became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<Detail> {
    /// The packet's size in bytes.
    pub bytes: u32,
    /// How often it was tried.
    pub tries: u8,
    /// What is known.
    pub finding: Finding<Detail>,
}

/// What the search came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict<Detail> {
    /// The largest size that was answered; `None` if none was.
    pub mtu: Option<u32>,
    /// What happens to the next larger size; `None` if there is none to try.
    pub beyond: Option<Step<Detail>>,
}

/// A search.
///
/// ```text
///   least and most ──► both known? ──► hint? ──► that size, and one byte more ─┐
///                          ▲             │ none                                │
///                          │             └─────► eight sizes in between ───────┤
///                          └──────────────────────────────────────────────────┘
///   until the largest that passes and the smallest that does not are neighbours
/// ```
#[derive(Debug)]
pub struct Search<Detail> {
    plan: Plan,
    sizes: BTreeMap<u32, Size<Detail>>,
    /// The size and time of each probe.
    probes: Vec<(u32, Instant)>,
    hints: Vec<u32>,
    steps: VecDeque<Step<Detail>>,
    longest: Option<Duration>,
    /// Not before this: the kernel had no room.
    resume: Instant,
}

#[derive(Debug)]
struct Size<Detail> {
    tries: u8,
    last_try: Option<Instant>,
    finding: Option<Finding<Detail>>,
}

impl<Detail: Copy> Search<Detail> {
    /// A search that begins at `now`.
    pub fn new(plan: Plan, now: Instant) -> Self {
        let mut search = Self {
            plan,
            sizes: BTreeMap::new(),
            probes: Vec::new(),
            hints: Vec::new(),
            steps: VecDeque::new(),
            longest: None,
            resume: now,
        };
        search.propose(search.plan.least);
        search.propose(search.plan.most);
        search
    }

    /// The probe to send now. Every probe must be reported on before the next
    /// is asked for.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Probe> {
        self.settle(now);
        if now < self.resume {
            return None;
        }
        let pause = self.pause();
        let (tries, (above, below)) = (self.plan.tries.max(1), self.bounds());
        let due = self.sizes.iter_mut().find(|(bytes, size)| {
            let open = size.finding.is_none() && size.tries < tries;
            let rested = size.last_try.is_none_or(|at| now >= at + pause);
            open && rested && **bytes > above && **bytes < below
        });
        let (&bytes, size) = due?;
        size.tries += 1;
        size.last_try = Some(now);
        self.probes.push((bytes, now));
        let number = self.probes.len() as u64;
        Some(Probe { number, bytes })
    }

    /// The kernel took the probe at `at`.
    pub fn handle_accepted(&mut self, number: u64, at: Instant) {
        let Some((bytes, sent_at)) = self.probe_mut(number) else {
            return;
        };
        *sent_at = at;
        let bytes = *bytes;
        if let Some(size) = self.sizes.get_mut(&bytes) {
            size.last_try = Some(at);
        }
    }

    /// The kernel had no room for the probe last handed out; it goes again.
    pub fn handle_no_room(&mut self, now: Instant) {
        if let Some((bytes, _)) = self.probes.pop()
            && let Some(size) = self.sizes.get_mut(&bytes)
        {
            size.tries = size.tries.saturating_sub(1);
            size.last_try = None;
        }
        self.resume = now + PAUSE;
    }

    /// The target answered the probe, in full length, at `at`.
    pub fn handle_reply(&mut self, at: Instant, number: u64) {
        let Some(&(bytes, sent_at)) = self.probe(number) else {
            return;
        };
        let round_trip = at.saturating_duration_since(sent_at);
        self.longest = self.longest.max(Some(round_trip));
        self.find(bytes, Finding::Passes { round_trip });
    }

    /// Someone says that the probe does not pass, and perhaps which MTU does.
    pub fn handle_error(&mut self, number: u64, mtu: Option<u32>, detail: Detail) {
        let Some(&(bytes, _)) = self.probe(number) else {
            return;
        };
        let mtu = mtu.filter(|&mtu| mtu > 0);
        self.hints.extend(mtu);
        self.find(bytes, Finding::Refused { mtu, detail });
    }

    /// A size of which something new is known.
    pub fn poll_step(&mut self) -> Option<Step<Detail>> {
        self.steps.pop_front()
    }

    /// When to call again even if nothing arrives.
    pub fn next_deadline(&self) -> Option<Instant> {
        let due = self.open().map(|(_, size)| match size.last_try {
            Some(at) if size.tries < self.plan.tries.max(1) => (at + self.pause()).max(self.resume),
            Some(at) => at + self.plan.wait,
            None => self.resume,
        });
        due.min()
    }

    /// Whether it is known, or can never be.
    pub fn is_finished(&mut self, now: Instant) -> bool {
        self.settle(now);
        self.open().next().is_none()
    }

    /// What is known.
    pub fn verdict(&self) -> Verdict<Detail> {
        let (above, below) = self.bounds();
        let beyond = self.sizes.get(&below).and_then(|size| size.step(below));
        Verdict {
            mtu: (above >= self.plan.least).then_some(above),
            beyond,
        }
    }

    /// The packet size of a probe, in bytes.
    pub fn bytes(&self, number: u64) -> Option<u32> {
        self.probe(number).map(|&(bytes, _)| bytes)
    }

    /// How many probes were sent.
    pub fn sent(&self) -> u64 {
        self.probes.len() as u64
    }

    /// The largest size that passes, or one less than the least; and the
    /// smallest above it that does not, or one more than the most.
    fn bounds(&self) -> (u32, u32) {
        let known = |size: &Size<Detail>| size.finding;
        let mut passing = self.sizes.iter().rev();
        let above = passing.find(|(_, size)| matches!(known(size), Some(Finding::Passes { .. })));
        let above = above.map_or(self.plan.least - 1, |(&bytes, _)| bytes);
        let mut larger = self.sizes.range(above + 1..);
        let below = larger.find(|(_, size)| known(size).is_some());
        (above, below.map_or(self.plan.most + 1, |(&bytes, _)| bytes))
    }

    /// The sizes whose fate still matters.
    fn open(&self) -> impl Iterator<Item = (&u32, &Size<Detail>)> {
        let (above, below) = self.bounds();
        let between = self.sizes.range(above + 1..below.max(above + 1));
        between.filter(|(_, size)| size.finding.is_none())
    }

    /// Calls sizes lost whose time is over, and begins the next round once this
    /// one is done.
    fn settle(&mut self, now: Instant) {
        let (tries, wait) = (self.plan.tries.max(1), self.plan.wait);
        let over: Vec<u32> = self
            .open()
            .filter(|(_, size)| size.tries >= tries)
            .filter(|(_, size)| size.last_try.is_some_and(|at| now >= at + wait))
            .map(|(&bytes, _)| bytes)
            .collect();
        for bytes in over {
            self.find(bytes, Finding::Vanishes);
        }
        if self.open().next().is_none() {
            self.begin_round();
        }
    }

    fn begin_round(&mut self) {
        let (above, below) = self.bounds();
        if above < self.plan.least || below - above <= 1 {
            return;
        }
        let inside = |bytes: &&u32| **bytes > above && **bytes < below;
        if let Some(&hint) = self.hints.iter().filter(inside).min() {
            self.propose(hint);
            if hint + 1 < below {
                self.propose(hint + 1);
            }
            return;
        }
        let gap = below - above;
        for place in 1..=AT_ONCE {
            let bytes = above + (gap * place / (AT_ONCE + 1)).max(place);
            if bytes < below {
                self.propose(bytes);
            }
        }
    }

    fn propose(&mut self, bytes: u32) {
        self.sizes.entry(bytes).or_insert(Size {
            tries: 0,
            last_try: None,
            finding: None,
        });
    }

    /// An answer proves that a size passes, whatever was found before.
    fn find(&mut self, bytes: u32, finding: Finding<Detail>) {
        let Some(size) = self.sizes.get_mut(&bytes) else {
            return;
        };
        let passes = matches!(finding, Finding::Passes { .. });
        let before = size.finding;
        if matches!(before, Some(Finding::Passes { .. })) || (before.is_some() && !passes) {
            return;
        }
        size.finding = Some(finding);
        self.steps.extend(size.step(bytes));
    }

    fn pause(&self) -> Duration {
        let patient = self.longest.map(|longest| longest * 2);
        let pause = patient.map_or(self.plan.wait, |pause| pause.max(SHORTEST_PAUSE));
        pause.min(self.plan.wait)
    }

    fn probe(&self, number: u64) -> Option<&(u32, Instant)> {
        self.probes.get(index(number))
    }

    fn probe_mut(&mut self, number: u64) -> Option<&mut (u32, Instant)> {
        self.probes.get_mut(index(number))
    }
}

impl<Detail: Copy> Size<Detail> {
    fn step(&self, bytes: u32) -> Option<Step<Detail>> {
        let tries = self.tries;
        self.finding.map(|finding| Step {
            bytes,
            tries,
            finding,
        })
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number.wrapping_sub(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
