//! How messages arrived: once, again, late in order, never; and how long they
//! took.
//!
//! Pure: numbers and durations in, figures out. Reordering is RFC 4737's
//! Type-P-Reordered: a message is out of order if a later one came before it.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::units::nanoseconds;

/// Judges the arrivals of messages numbered from 1 to a known count.
#[derive(Debug, Clone)]
pub struct Judge {
    seen: Vec<bool>,
    next_expected: u32,
    figures: Arrivals,
    latency: Latency,
}

/// What became of the messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Arrivals {
    /// Messages that arrived at least once.
    pub delivered: u32,
    /// Further copies of messages that had arrived.
    pub duplicated: u32,
    /// Messages that arrived after one with a higher number (RFC 4737).
    pub out_of_order: u32,
    /// Messages whose checksum did not match.
    pub corrupted: u32,
}

/// How one arrival is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The first copy, in order.
    InOrder,
    /// The first copy, after a later message.
    OutOfOrder,
    /// A further copy.
    Duplicate,
    /// A number that was never sent.
    Stranger,
}

impl Judge {
    /// For `sent` messages, numbered from 1.
    pub fn new(sent: u32) -> Self {
        Self {
            seen: vec![false; sent as usize],
            next_expected: 1,
            figures: Arrivals::default(),
            latency: Latency::default(),
        }
    }

    /// One message arrived after `latency`.
    pub fn arrived(&mut self, number: u32, latency: Duration) -> Verdict {
        let slot = (number as usize)
            .checked_sub(1)
            .and_then(|index| self.seen.get_mut(index));
        let Some(seen) = slot else {
            return Verdict::Stranger;
        };
        if std::mem::replace(seen, true) {
            self.figures.duplicated += 1;
            return Verdict::Duplicate;
        }
        self.figures.delivered += 1;
        self.latency.add(latency);
        if number >= self.next_expected {
            self.next_expected = number.saturating_add(1);
            Verdict::InOrder
        } else {
            self.figures.out_of_order += 1;
            Verdict::OutOfOrder
        }
    }

    /// A message arrived with a wrong checksum.
    pub fn corrupted(&mut self) {
        self.figures.corrupted += 1;
    }

    /// The counts so far.
    pub fn arrivals(&self) -> Arrivals {
        self.figures
    }

    /// The latencies so far.
    pub fn latency(&self) -> &Latency {
        &self.latency
    }
}

/// A distribution of latencies: exact extremes, percentiles to three
/// significant digits, in constant memory.
#[derive(Debug, Clone)]
pub struct Latency {
    histogram: Histogram<u64>,
    min: Option<Duration>,
    max: Option<Duration>,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            // From 1 ns to an hour; bounds in order and digits at most 5 are
            // always allowed.
            histogram: Histogram::new_with_bounds(1, 3_600_000_000_000, 3)
                .unwrap_or_else(|_| unreachable!()),
            min: None,
            max: None,
        }
    }
}

impl Latency {
    /// Adds one.
    pub fn add(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.histogram.saturating_record(nanoseconds);
        self.min = Some(self.min.map_or(latency, |min| min.min(latency)));
        self.max = Some(self.max.map_or(latency, |max| max.max(latency)));
    }

    /// The figures people quote; `None` where nothing arrived.
    pub fn summary(&self) -> Option<LatencySummary> {
        let (min, max) = (self.min?, self.max?);
        let quantile =
            |q| Duration::from_nanos(self.histogram.value_at_quantile(q)).clamp(min, max);
        Some(LatencySummary {
            min,
            p50: quantile(0.50),
            p90: quantile(0.90),
            p99: quantile(0.99),
            max,
        })
    }
}

/// A distribution in five figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LatencySummary {
    /// The smallest.
    #[serde(rename = "min_ns", serialize_with = "nanoseconds")]
    pub min: Duration,
    /// Half were at most this.
    #[serde(rename = "p50_ns", serialize_with = "nanoseconds")]
    pub p50: Duration,
    /// Nine in ten were at most this.
    #[serde(rename = "p90_ns", serialize_with = "nanoseconds")]
    pub p90: Duration,
    /// Ninety-nine in a hundred were at most this.
    #[serde(rename = "p99_ns", serialize_with = "nanoseconds")]
    pub p99: Duration,
    /// The largest.
    #[serde(rename = "max_ns", serialize_with = "nanoseconds")]
    pub max: Duration,
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Duplicate, InOrder, OutOfOrder, Stranger};
    use super::*;
    use proptest::prelude::*;

    const SOON: Duration = Duration::from_micros(10);

    #[test]
    fn judges_by_the_next_expected_number() {
        let mut judge = Judge::new(5);
        let verdicts = [1, 2, 4, 3, 4, 9, 5].map(|number| judge.arrived(number, SOON));
        assert_eq!(
            verdicts,
            [
                InOrder, InOrder, InOrder, OutOfOrder, Duplicate, Stranger, InOrder
            ]
        );
        assert_eq!(
            judge.arrivals(),
            Arrivals {
                delivered: 5,
                duplicated: 1,
                out_of_order: 1,
                corrupted: 0
            }
        );
    }

    #[test]
    fn percentiles_are_within_three_digits_and_extremes_exact() {
        let mut latency = Latency::default();
        (1..=1000).for_each(|micros| latency.add(Duration::from_micros(micros)));
        let summary = latency.summary().expect("a thousand arrived");
        assert_eq!(summary.min, Duration::from_micros(1));
        assert_eq!(summary.max, Duration::from_millis(1));
        let off = summary.p50.abs_diff(Duration::from_micros(500));
        assert!(off <= Duration::from_nanos(500), "p50 is {:?}", summary.p50);
    }

    proptest! {
        #[test]
        fn counts_agree_with_the_arrivals(numbers in proptest::collection::vec(1u32..50, 0..200)) {
            let mut judge = Judge::new(49);
            for &number in &numbers {
                judge.arrived(number, SOON);
            }
            let distinct: std::collections::BTreeSet<_> = numbers.iter().collect();
            let arrivals = judge.arrivals();
            prop_assert_eq!(arrivals.delivered as usize, distinct.len());
            prop_assert_eq!(arrivals.duplicated as usize, numbers.len() - distinct.len());
        }
    }
}
