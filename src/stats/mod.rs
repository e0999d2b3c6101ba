//! How messages arrived: how often, in what order (RFC 4737), and how long they
//! took (RFC 3550).
//!
//! Pure: numbers and durations in, figures out.

mod jitter;
mod reordering;

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::units::nanoseconds;

pub use jitter::Jitter;
pub use reordering::{Reordering, ReorderingMeter};

/// What became of the messages of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Arrivals {
    /// Messages that arrived at least once.
    pub delivered: u32,
    /// Messages that arrived exactly once.
    pub delivered_once: u32,
    /// Messages that arrived more than once.
    #[serde(rename = "duplicated_messages")]
    pub repeated: u32,
    /// Further copies of messages that had arrived.
    pub duplicated: u32,
    /// Messages that arrived after one with a higher number (RFC 4737).
    pub out_of_order: u32,
    /// Messages whose checksum did not match.
    pub corrupted: u32,
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
    use super::*;

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
}
