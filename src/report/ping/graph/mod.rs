//! The round trips of all hosts as they come (`--graph`): what is kept of the
//! events, and one moment of it to be drawn.
//!
//! Keeps a fixed number of slices of time a host, however many replies come.
//! Whoever draws takes a [`View`] and draws that, so that the run never waits for
//! a terminal. Drawing is [`draw()`]'s; neither knows one.

mod axis;
mod draw;
mod plot;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::ledger::{Account, Entry, Ledger};
use crate::event::{Echo, EchoUnresolved, Event, Sink, Topic, What};

pub use draw::draw;

/// Slices of the time that is shown.
const SLICES: u32 = 600;
/// Requests of a host that are shown at a time, where that is neither too short
/// nor too long.
const SHOWN: u32 = 60;
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(3600);
/// Of more hosts nothing is kept.
const MOST_HOSTS: usize = 64;

/// Keeps what the graph shows.
#[derive(Debug, Default)]
pub struct Graph(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ledger: Ledger,
    trails: BTreeMap<u32, Trail>,
    not_shown: usize,
}

/// What became of one host's requests lately, by when they were sent.
#[derive(Debug)]
struct Trail {
    window: Duration,
    slice: Duration,
    slices: VecDeque<Slice>,
}

/// The requests of one slice of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    number: u64,
    replies: u32,
    sum: Duration,
    min: Duration,
    max: Duration,
    lost: u32,
    failed: u32,
}

/// One moment of a run.
#[derive(Debug, Clone)]
pub struct View {
    /// When, counted from the start of the run.
    pub now: Duration,
    /// How far it looks back.
    pub window: Duration,
    /// The hosts, in the order in which they were given.
    pub hosts: Vec<HostView>,
    /// Hosts that are not among them.
    pub not_shown: usize,
}

/// One host at one moment.
#[derive(Debug, Clone)]
pub struct HostView {
    name: String,
    /// Why it has no address, and so no figures.
    unresolved: Option<String>,
    slice: Duration,
    slices: Vec<Slice>,
    last: Option<Duration>,
    extremes: Option<(Duration, Duration)>,
    average: Option<Duration>,
    p95: Option<Duration>,
    jitter: Option<Duration>,
    /// Requests without an answer, and those that have had their time.
    lost: (u64, u64),
}

impl Graph {
    /// What there is to see at `now`.
    pub fn view(&self, now: Duration) -> View {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { ledger, trails, .. } = &mut *state;
        ledger.settle(now, |index, sent_at| {
            if let Some(trail) = trails.get_mut(&index) {
                trail.at(sent_at).lost += 1;
            }
        });
        let pinged = trails.iter().filter_map(|(index, trail)| {
            let account = ledger.account(*index)?;
            Some((*index, HostView::of(account, trail)))
        });
        let unresolved = ledger.unresolved();
        let unresolved = unresolved.map(|one| (one.target.index, HostView::without_address(one)));
        let hosts: BTreeMap<u32, HostView> = pinged.chain(unresolved).collect();
        let windows = trails.values().map(|trail| trail.window);
        View {
            now,
            window: windows.max().unwrap_or(SHORTEST),
            hosts: hosts.into_values().collect(),
            not_shown: state.not_shown,
        }
    }
}

impl Sink for Graph {
    fn wants(&self, topic: Topic) -> bool {
        topic == Topic::Echo
    }

    fn record(&self, event: &Event<'_>) {
        let What::Echo(echo) = &event.what else {
            return;
        };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = matches!(echo, Echo::Started(_) | Echo::Unresolved(_));
        let shown = state.trails.len() + state.ledger.unresolved().len();
        if is_new && shown >= MOST_HOSTS {
            state.not_shown += 1;
            return;
        }
        let State { ledger, trails, .. } = &mut *state;
        let Some((index, entry)) = ledger.record(event.at, echo) else {
            return;
        };
        let Some(account) = ledger.account(index) else {
            return;
        };
        let trail = trails.entry(index).or_insert_with(|| Trail::of(account));
        match entry {
            Entry::Measured(sent_at) => {
                let round_trip = account.last.unwrap_or_default();
                trail.at(sent_at).add(round_trip);
            }
            Entry::Lost(sent_at) => trail.at(sent_at).lost += 1,
            Entry::Failed(sent_at) => trail.at(sent_at).failed += 1,
            Entry::Other => {}
        }
    }
}

impl Trail {
    fn of(account: &Account) -> Self {
        let window = (account.started.interval * SHOWN).clamp(SHORTEST, LONGEST);
        Self {
            window,
            slice: window / SLICES,
            slices: VecDeque::new(),
        }
    }

    /// The slice of what was sent then. What is older than all that is kept goes
    /// into the oldest.
    fn at(&mut self, sent_at: Duration) -> &mut Slice {
        let number = u64::try_from(sent_at.as_nanos() / self.slice.as_nanos().max(1));
        let number = number.unwrap_or(u64::MAX);
        let place = self.slices.partition_point(|slice| slice.number < number);
        let found = self.slices.get(place);
        if found.is_none_or(|slice| slice.number != number) {
            self.slices.insert(place, Slice::empty(number));
        }
        let newest = self.slices.back().map_or(0, |slice| slice.number);
        let oldest = newest.saturating_sub(u64::from(SLICES) + 1);
        let mut place = place;
        while self.slices.len() > 1 && self.slices[0].number < oldest {
            self.slices.pop_front();
            place = place.saturating_sub(1);
        }
        &mut self.slices[place]
    }
}

impl Slice {
    const fn empty(number: u64) -> Self {
        Self {
            number,
            replies: 0,
            sum: Duration::ZERO,
            min: Duration::MAX,
            max: Duration::ZERO,
            lost: 0,
            failed: 0,
        }
    }

    fn add(&mut self, round_trip: Duration) {
        self.replies = self.replies.saturating_add(1);
        self.sum = self.sum.saturating_add(round_trip);
        self.min = self.min.min(round_trip);
        self.max = self.max.max(round_trip);
    }

    fn join(&mut self, other: &Slice) {
        self.replies = self.replies.saturating_add(other.replies);
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.lost += other.lost;
        self.failed += other.failed;
    }
}

impl HostView {
    fn of(account: &Account, trail: &Trail) -> Self {
        let settled = account.sent.saturating_sub(account.in_flight());
        Self {
            name: account.started.target.name.to_string(),
            unresolved: None,
            slice: trail.slice,
            slices: trail.slices.iter().copied().collect(),
            last: account.last,
            extremes: account.round_trips.extremes(),
            average: account.round_trips.average(),
            p95: account.round_trips.percentile(95),
            jitter: account.jitter(),
            lost: (settled.saturating_sub(account.received), settled),
        }
    }

    fn without_address(unresolved: &EchoUnresolved) -> Self {
        Self {
            name: unresolved.target.name.to_string(),
            unresolved: Some(unresolved.reason.clone()),
            slice: SHORTEST,
            slices: Vec::new(),
            last: None,
            extremes: None,
            average: None,
            p95: None,
            jitter: None,
            lost: (0, 0),
        }
    }
}

#[cfg(test)]
mod tests;
