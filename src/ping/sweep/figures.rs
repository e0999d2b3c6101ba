//! What is counted for each target of a sweep, in 96 bytes, and the round trips
//! that percentiles are taken from.
//!
//! Pure. It never decides whether a reply counts.

use std::time::Duration;

use crate::event::EchoRoundTrips;

/// Round trips kept for percentiles, over all targets.
const KEPT: usize = 1 << 22;
/// Round trips kept for one target at most, unless it gets more requests.
const KEPT_OF_ONE: usize = 1 << 16;
/// Round trips are kept in tens of nanoseconds: 42 s fit.
const UNIT: u64 = 10;

/// Whether a target answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verdict {
    /// It is not known yet.
    #[default]
    Open,
    /// It answered.
    Alive,
    /// It answered nothing.
    Unreachable,
    /// It has no address.
    Unresolved,
}

/// One target's figures.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// When its last request was due, in nanoseconds since the start.
    pub(super) due: u64,
    min: u64,
    max: u64,
    sum: u64,
    squares: f64,
    smoothed: f64,
    jitter: f64,
    last: u64,
    /// Requests handed out by the core and not taken back.
    pub(super) sent: u32,
    /// Requests that were answered in time.
    pub received: u32,
    /// Requests whose time was over.
    pub lost: u32,
    /// Requests that failed, by an error from the path or the kernel.
    pub failed: u32,
    /// Further replies to answered requests.
    pub duplicates: u32,
    /// Replies that came after a reply to a later request.
    pub out_of_order: u32,
    /// One more than the newest request that was answered.
    pub(super) newest: u32,
    /// Replies with a wrong checksum.
    pub corrupted: u16,
    /// Whether the target answers.
    pub(super) verdict: Verdict,
    /// What it was given is settled, and nothing more is due.
    pub(super) closed: bool,
}

impl Figures {
    /// Requests handed to the kernel, those under way included.
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// Requests whose fate is known.
    pub fn settled(&self) -> u32 {
        self.received + self.lost + self.failed
    }

    /// Requests that may still be answered.
    pub fn under_way(&self) -> u32 {
        self.sent.saturating_sub(self.settled())
    }

    /// Whether the target answers; what answered once does.
    pub fn verdict(&self) -> Verdict {
        match self.verdict {
            Verdict::Open if self.received > 0 => Verdict::Alive,
            verdict => verdict,
        }
    }

    /// Settled requests without a reply, in percent of those settled.
    pub fn loss_percent(&self) -> Option<f64> {
        let settled = self.settled();
        let unanswered = f64::from(settled - self.received);
        (settled > 0).then(|| unanswered * 100.0 / f64::from(settled))
    }

    /// Shortest, mean and longest round trip.
    pub fn extremes(&self) -> Option<[Duration; 3]> {
        let count = u64::from(self.received);
        let average = self.sum.checked_div(count)?;
        Some([self.min, average, self.max].map(Duration::from_nanos))
    }

    /// Takes the round trip of a request that is answered.
    #[expect(
        clippy::cast_precision_loss,
        reason = "what is lost beyond 52 bits does not show in a deviation"
    )]
    pub(super) fn answered(&mut self, round_trip: u64) {
        let value = round_trip as f64;
        if self.received == 0 {
            (self.min, self.smoothed) = (round_trip, value);
        } else {
            // RFC 3550 section 6.4.1; the moving average is ping(8)'s.
            let step = self.last.abs_diff(round_trip) as f64;
            self.jitter += (step - self.jitter) / 16.0;
            self.smoothed += (value - self.smoothed) / 8.0;
        }
        self.received += 1;
        self.min = self.min.min(round_trip);
        self.max = self.max.max(round_trip);
        self.sum = self.sum.saturating_add(round_trip);
        self.squares += value * value;
        self.last = round_trip;
    }

    /// All that is said about round trips; `kept` are those to take percentiles
    /// from, in any order.
    #[expect(
        clippy::cast_precision_loss,
        reason = "what is lost beyond 52 bits does not show in a deviation"
    )]
    pub fn round_trips(&self, mut kept: Vec<Duration>) -> Option<EchoRoundTrips> {
        let [min, average, max] = self.extremes()?;
        let mean = self.sum as f64 / f64::from(self.received);
        let variance = self.squares / f64::from(self.received) - mean * mean;
        kept.sort_unstable();
        let percentile = |percent: usize| {
            let rank = (kept.len() * percent).div_ceil(100);
            let value = kept.get(rank.saturating_sub(1)).copied();
            // What was kept is rounded.
            value.map_or(average, |value| value.clamp(min, max))
        };
        let nanoseconds = |value: f64| Duration::from_secs_f64(value.max(0.0) / 1e9);
        Some(EchoRoundTrips {
            min,
            average,
            max,
            deviation: nanoseconds(variance.max(0.0).sqrt()),
            smoothed: nanoseconds(self.smoothed),
            jitter: nanoseconds(self.jitter),
            p50: percentile(50),
            p90: percentile(90),
            p99: percentile(99),
            percentiles_of: (kept.len() < self.received as usize).then_some(kept.len() as u64),
        })
    }
}

/// Which round trips are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// Of each target the latest, as far as a bounded memory holds them.
    Latest,
    /// All.
    All,
}

/// The latest round trips of each target.
#[derive(Debug, Default)]
pub(super) struct Kept {
    of_one: usize,
    values: Vec<u32>,
}

impl Kept {
    /// Room for `targets` targets that get `requests` each, or any number.
    pub(super) fn new(targets: u32, requests: Option<u32>, keeping: Keeping) -> Self {
        let targets = usize::try_from(targets.max(1)).unwrap_or(1);
        let wanted = requests.map_or(KEPT_OF_ONE, |count| count as usize);
        let of_one = match keeping {
            Keeping::Latest => wanted.min((KEPT / targets).max(2)),
            Keeping::All => wanted,
        };
        Self {
            of_one,
            values: vec![0; targets * of_one],
        }
    }

    /// Makes room for further targets.
    pub(super) fn grow(&mut self, targets: u32) {
        self.values.resize(self.of_one * targets as usize, 0);
    }

    fn place(&self, target: u32, index: u32) -> usize {
        target as usize * self.of_one + index as usize % self.of_one.max(1)
    }

    pub(super) fn keep(&mut self, target: u32, index: u32, round_trip: u64) {
        let place = self.place(target, index);
        if let Some(value) = self.values.get_mut(place) {
            let units = round_trip.div_ceil(UNIT).max(1);
            *value = u32::try_from(units).unwrap_or(u32::MAX);
        }
    }

    /// The next request takes the place of an older one.
    pub(super) fn forget(&mut self, target: u32, index: u32) {
        let place = self.place(target, index);
        if let Some(value) = self.values.get_mut(place).filter(|value| **value != 0) {
            *value = 0;
        }
    }

    /// The round trip of each request that is kept, in order of their places.
    pub(super) fn of(&self, target: u32) -> impl Iterator<Item = Option<Duration>> + '_ {
        let start = self.place(target, 0);
        let values = self.values.get(start..start + self.of_one);
        values.unwrap_or_default().iter().map(|&value| {
            let nanoseconds = u64::from(value) * UNIT;
            (value != 0).then(|| Duration::from_nanos(nanoseconds))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping::RoundTrips;

    #[test]
    fn a_target_takes_96_bytes() {
        assert!(size_of::<Figures>() <= 96, "{}", size_of::<Figures>());
    }

    #[test]
    fn agrees_with_one_hosts_arithmetic() {
        let (mut figures, mut kept) = (Figures::default(), Kept::new(2, Some(5), Keeping::Latest));
        let mut exact = RoundTrips::default();
        for (index, micros) in (0..).zip([120, 80, 4000, 95, 110]) {
            figures.answered(micros * 1000);
            kept.keep(1, index, micros * 1000);
            exact.add(Duration::from_micros(micros));
        }
        let ours = figures.round_trips(kept.of(1).flatten().collect()).unwrap();
        let theirs = exact.figures().unwrap();
        assert_eq!(
            (ours.min, ours.average, ours.max),
            (theirs.min, theirs.average, theirs.max)
        );
        for (a, b) in [
            (ours.deviation, theirs.deviation),
            (ours.smoothed, theirs.smoothed),
            (ours.jitter, theirs.jitter),
        ] {
            assert!(a.abs_diff(b) < Duration::from_micros(1), "{a:?} {b:?}");
        }
        let micros = Duration::from_micros;
        assert_eq!((ours.p50, ours.p90), (micros(110), micros(4000)));
        assert_eq!(kept.of(0).flatten().count(), 0);
    }

    #[test]
    fn nothing_measured_gives_no_figures() {
        let nothing = Figures::default();
        assert_eq!(nothing.round_trips(Vec::new()), None);
        assert_eq!(
            (nothing.loss_percent(), nothing.verdict()),
            (None, Verdict::Open)
        );
    }

    #[test]
    fn a_million_targets_keep_little() {
        let kept = Kept::new(1 << 20, None, Keeping::Latest);
        assert_eq!((kept.of_one, kept.values.len()), (4, 1 << 22));
    }
}
